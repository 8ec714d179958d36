"""What gipi asks of the process that it runs in: Python's collector of garbage, and the allocator of memory."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h

_lock = threading.Lock()
_keeping = 0  # how many want that freed memory is kept


@contextmanager
def large_imports() -> Iterator[None]:
    """What is imported here stays: the collector neither looks at it meanwhile nor ever again, not even at the end.

    PyTorch makes a million objects that live as long as the process. This way a process that imports it and does
    nothing else takes 0.7 of its time. Where torch is there already nothing happens.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.collect()  # what is garbage now would stay for ever
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Large tensors that are freed leave their memory with the process, because the next step asks for as much again.

    Getting pages from the system anew can cost more than the arithmetic: a small convolutional network in float32 took
    1.2 times as long to train, and twice as long to evaluate. With glibc alone; elsewhere nothing happens.
    """
    global _keeping
    mallopt, trim = _of_glibc()
    with _lock:
        _keeping += 1
        mallopt(MMAP_THRESHOLD, 1 << 30)
        mallopt(TRIM_THRESHOLD, (1 << 31) - 1)
    try:
        yield
    finally:
        with _lock:
            _keeping -= 1
            if not _keeping:
                mallopt(MMAP_THRESHOLD, 32 << 20)  # what glibc itself comes to where large blocks are freed
                mallopt(TRIM_THRESHOLD, 64 << 20)
                trim(0)


def give_memory_back() -> None:
    """What was freed goes back to the system, where large blocks of it would stand between those that come next."""
    _mallopt, trim = _of_glibc()
    trim(0)


def _of_glibc() -> tuple[Callable[..., int], Callable[[int], int]]:
    """Its `mallopt` and `malloc_trim`, or what does nothing."""
    if sys.platform == "linux":
        import ctypes

        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt") and hasattr(library, "malloc_trim"):
            return library.mallopt, library.malloc_trim
    return (lambda *_given: 0), (lambda _pad: 0)
