"""A stranger's program runs for the first time in a process of its own, with limits on its memory and time.

Rules cannot see everything (graph_rules.py): forty joins of a value with itself, products of shapes, a bug of the
runtime. So a child process gets the program, its weights and inputs through a pipe, runs it, and gives the outputs back
through another; it opens no file. Where it takes too much or crashes, the child is what is lost.

What goes through the pipes are messages: eight bytes of length, then the content; arrays go as a safetensors file, and
what comes back is read as strictly as any stranger's file, for who knows what the child has become.

On Windows there are no such limits on a process: there, time alone is limited.
"""

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from gipi.messages import _
from gipi.release import tensor_file
from gipi.release.graph import Value
from gipi.release.refused import Refused
from gipi.release.session import NUMPY, Session, onnxruntime

MEMORY = 1 << 29  # bytes beyond the weights that a first run may take
SECONDS = 20.0
STARTING = 10.0  # seconds more, for the child to start and to take in the weights
GOOD, BAD, FULL = b"good", b"bad ", b"full"
LONGEST_REASON = 2000
RESERVED = 512 << 20  # bytes of addresses, beyond memory in use: stacks of threads, what the allocator sets aside
ALIGNED = 64
HOME = str(Path(__file__).parents[2])  # where gipi lies
START = "import sys; sys.path[:] = {path!r}; from gipi.release.trial import child; child()"
KEPT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # what a process needs to start at all


def try_program(
    program: bytes,
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> dict[str, np.ndarray]:
    """What a program answers, the first time it runs: in a child process with limits.

    Args:
        program: The program, checked by `graph_rules.check`.
        weights: The arrays of the tensors outside it, as for `Session`.
        inputs: What it is asked, by name.
        seconds: How long it may take, starting onnxruntime's session included.
        memory: Bytes that it may take beyond its weights (not on Windows), and that its answers may have.

    Returns:
        The outputs by name, in the dtypes and with as many axes as the program says.

    Raises:
        Refused: It took too much, crashed, or does not give what it says; the text says which.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", START.format(path=[HOME, *filter(os.path.isabs, sys.path)])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in KEPT if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdin is not None and process.stdout is not None
    limits = json.dumps({"seconds": seconds, "memory": memory}).encode()
    request = [limits, program, *tensor_file.packed(weights), *tensor_file.packed(inputs)]
    sizes = [1, 1, 1 + len(weights), 1 + len(inputs)]
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds + STARTING, stop)
    timer.start()
    teller = threading.Thread(target=_tell, args=(process.stdin, request, sizes), daemon=True)
    teller.start()
    try:
        status, content = _answer(process.stdout, memory)
    finally:
        process.kill()  # whatever it may still want to do
        timer.cancel()
        teller.join()
        process.stdout.close()
        code = process.wait()
    if late.is_set() or (status is None and code == -_signal("SIGXCPU")):
        raise Refused(_("the program took longer than {seconds} s", seconds=f"{seconds:g}"))
    if status is None:
        raise Refused(_("the program crashed when it was tried"))
    if status == FULL:
        raise _too_large(memory)
    if status != GOOD:
        raise Refused(str(content[:LONGEST_REASON], "utf-8", "replace"))
    return _outputs(program, content)


def _tell(pipe: IO[bytes], pieces: list, sizes: list[int]) -> None:
    """The whole request; who is at the other end may be gone."""
    with suppress(OSError), pipe:
        begin = 0
        for count in sizes:
            message = [memoryview(piece).cast("B") for piece in pieces[begin : begin + count]]
            pipe.write(sum(map(len, message)).to_bytes(8, "little"))
            for piece in message:
                pipe.write(piece)
            begin += count


def _answer(pipe: IO[bytes], largest: int) -> tuple[bytes | None, memoryview]:
    """The child's status and what it says, or None where it said nothing whole."""
    status, length = pipe.read(4), pipe.read(8)
    if status not in (GOOD, BAD, FULL) or len(length) != 8:
        return None, memoryview(b"")
    size = int.from_bytes(length, "little")
    if size > largest:
        return FULL, memoryview(b"")
    room = _room(size)
    return (status, room) if _fill(pipe, room) else (None, room)


def _outputs(program: bytes, content: memoryview) -> dict[str, np.ndarray]:
    """What the child gave, if it is what the program says."""
    from gipi.release import graph

    found = tensor_file.arrays(content)
    values = graph.read(program).outputs
    if set(found) != {value.name for value in values} or not all(_fits(found[value.name], value) for value in values):
        raise Refused(_("the program does not give the outputs that it says"))
    return {value.name: found[value.name] for value in values}


def _fits(array: np.ndarray, value: Value) -> bool:
    lengths = zip(array.shape, value.shape, strict=False)
    is_same = all(length == axis for length, axis in lengths if isinstance(axis, int))
    return array.dtype == NUMPY[value.dtype] and array.ndim == len(value.shape) and is_same


def _too_large(memory: int) -> Refused:
    return Refused(_("the program took more than {count} MB of memory", count=memory >> 20))


def _signal(name: str) -> int:
    import signal

    return int(getattr(signal, name, 0))


def _room(size: int) -> memoryview:
    """Memory whose start is aligned, so that tensors in it are."""
    room = np.empty(size + ALIGNED, np.uint8)
    begin = -room.ctypes.data % ALIGNED
    return memoryview(room)[begin : begin + size]  # type: ignore[arg-type]  # an array is one


def _fill(pipe: IO[bytes], room: memoryview) -> bool:
    """Whether as much came as there is room for."""
    done = 0
    while done < len(room):
        came = pipe.readinto(room[done:])  # type: ignore[attr-defined]  # pipes have it
        if not came:
            return False
        done += came
    return True


# --- in the child ------------------------------------------------------------------------------------------------


def child() -> None:
    """What the child process does: takes the request, limits itself, runs, answers."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    onnxruntime()  # opens files, so before the limits
    limits, program, weights, inputs = (_taken(source) for _message in range(4))
    asked = json.loads(bytes(limits))
    given = tensor_file.arrays(weights), tensor_file.arrays(inputs)
    _limit(asked["seconds"], asked["memory"])
    status, content = FULL, [b""]
    try:
        found = Session(bytes(program), given[0]).run(given[1], asked["seconds"])
        status, content = GOOD, tensor_file.packed(found)
    except Refused as error:
        if not _is_memory(str(error)):
            status, content = BAD, [str(error).encode()[:LONGEST_REASON]]
    except MemoryError:
        pass
    target.write(status + sum(memoryview(piece).nbytes for piece in content).to_bytes(8, "little"))
    for piece in content:
        target.write(piece)
    target.flush()
    os._exit(0)  # nothing is left to put in order


def _taken(pipe: IO[bytes]) -> memoryview:
    room = _room(int.from_bytes(pipe.read(8), "little"))
    if not _fill(pipe, room):
        os._exit(1)  # who asked is gone
    return room


def _limit(seconds: float, memory: int) -> None:
    """From here on this process may take so much more; open nothing, write no file, start nothing."""
    try:
        import resource
    except ImportError:  # Windows
        return

    def at_most(kind: str, limit: int, over: int = 0) -> None:
        if hasattr(resource, kind):
            with suppress(ValueError, OSError):  # a system that does not know it, or an outer limit that is lower
                resource.setrlimit(getattr(resource, kind), (limit, limit + over))

    try:
        pages = [int(count) * resource.getpagesize() for count in Path("/proc/self/statm").read_text().split()]
        addresses, data = pages[0], pages[5]
    except (OSError, ValueError):  # not Linux
        addresses = data = 0
    if addresses:
        at_most("RLIMIT_AS", addresses + memory + RESERVED)
        at_most("RLIMIT_DATA", data + memory)
    at_most("RLIMIT_CPU", math.ceil(seconds) + 1, over=1)  # at the first it is told, by a signal of its own
    at_most("RLIMIT_FSIZE", 0)
    at_most("RLIMIT_CORE", 0)
    at_most("RLIMIT_NOFILE", 0)


def _is_memory(reason: str) -> bool:
    """Whether this is how onnxruntime says that it got no memory."""
    return any(word in reason for word in ("bad_alloc", "Failed to allocate memory", "out of memory"))
