"""Being asked to end: by Ctrl-C, by SIGTERM (the machine is taken away), by a terminal that closes.

Where nobody trains the first wish raises `Stopped` at once. Between steps it is only noted, and whoever trains ends
when the step is done and all is saved. The same wish once more tears nothing: only a second Ctrl-C, from a person who
will not wait, ends at once. Nothing here imports torch.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
ONE_WISH = 0.2  # seconds: `timeout` sends to a process and to its group, and it hears one wish twice

_asked: list[int] = []  # of this process, in the order they came: signals are the process's, so there is one list
_heard: list[float] = []  # when


class Stopped(KeyboardInterrupt):
    """A key or a signal ends the run; if it came while a member trained, that ended between two steps and is saved.

    A KeyboardInterrupt, so that nobody who catches exceptions takes it for a failure.

    Attributes:
        signal_number: Which; the process ends with 128 more.
        is_said: Whether somebody has told the person how to go on.
    """

    def __init__(self, signal_number: int):
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.is_said = False


@contextmanager
def stoppable() -> Iterator[None]:
    """Where nobody trains: a signal to end raises Stopped at once.

    Example:
        >>> import os, signal
        >>> try:
        ...     with stoppable(): os.kill(os.getpid(), signal.SIGTERM)
        ... except Stopped as stop: print(128 + stop.signal_number)
        143
    """

    def stop(number: int, frame: Any) -> None:
        if _is_first(number) or _is_impatient(number):
            raise Stopped(number)

    with _handled(stop):
        yield


@contextmanager
def between_steps() -> Iterator[list[int]]:
    """Where somebody trains: gives the list in which signals to end are noted, so that a step is never torn.

    What was asked for before, and went astray in code that swallows exceptions, stands in it too.
    """

    def note(number: int, frame: Any) -> None:
        if not _is_first(number) and _is_impatient(number):
            raise Stopped(number)

    with _handled(note) as is_heard:
        yield _asked if is_heard else []


def deafen() -> None:
    """The process ends, and its exit code is settled: from here on the same wish changes nothing."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _is_first(number: int) -> bool:
    """Note a signal; gives whether nobody had asked before."""
    _asked.append(number)
    _heard.append(time.monotonic())
    return len(_asked) == 1


def _is_impatient(number: int) -> bool:
    """Whether it is Ctrl-C once more, from a person, who is slower than a program."""
    return number == signal.SIGINT and _heard[-1] - _heard[0] > ONE_WISH


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[bool]:
    """Signals to end come to this handler, unless the process was started to ignore them; gives whether they do."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: held for number, held in before.items() if held not in (signal.SIG_IGN, None)}
    is_outermost = not any(getattr(held, "__module__", None) == __name__ for held in before.values())
    if is_outermost:
        _asked.clear()
        _heard.clear()
    for number in before:
        signal.signal(number, handler)
    try:
        yield True
    finally:
        for number, held in before.items():
            if signal.getsignal(number) is handler:  # else it was deafened
                signal.signal(number, held)
