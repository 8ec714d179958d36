"""Several processes behind one address: each has the models for itself, and all listen at the same socket.

The first process opens nothing and answers nothing: it starts the others, starts one anew that has died, and passes on
the wish to stop. What they count lies in memory that they share.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.signals import SIGNALS

LAST = 25.0  # seconds that workers have to end, before they are killed
TOO_SOON = 2.0  # seconds: a worker that dies so soon after its start will do so again
LONGEST_WORD = 2000  # bytes of why a worker cannot begin: they go into a pipe at once
FAILED = 3  # the exit code of a worker that cannot begin


def check_workers(count: int) -> None:
    """Raises:
    UsageError: There cannot be so many.
    """
    if count < 1:
        raise UsageError(_("--workers is 1 or more; {came} came", came=count))
    if count > 1 and not hasattr(os, "fork"):
        raise UsageError(_("--workers needs a system that can fork; this one cannot"))


def run_workers(count: int, work: Callable[[int], None]) -> int:
    """Run `work(number)` in so many processes until asked to stop; gives the exit code.

    Raises:
        RunError: A worker cannot begin; says why, once.

    Args:
        count: How many.
        work: Answers requests until it is asked to stop.
    """
    running: dict[int, tuple[int, float]] = {}  # process: its number, since when
    is_stopping = False
    failure: str | None = None
    said, say = os.pipe()  # through which workers say why they cannot begin: all of them, mostly, and the same

    def stop(number: int, frame: object) -> None:
        nonlocal is_stopping
        is_stopping = True  # whoever runs is told below: there may be one more in a moment

    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: held for number, held in before.items() if held not in (signal.SIG_IGN, None)}  # as by nohup
    for number in before:
        signal.signal(number, stop)
    try:
        for number in range(count):
            running[_begun(number, work, [*before], say)] = (number, time.monotonic())
        end = None
        while running:
            if is_stopping and end is None:
                end = time.monotonic() + LAST
                for process in running:
                    _tell(process, signal.SIGTERM)
            if end is not None and time.monotonic() > end:
                for process in running:
                    _tell(process, signal.SIGKILL)
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                time.sleep(0.05)
                continue
            number, since = running.pop(process)
            code = os.waitstatus_to_exitcode(status)
            if is_stopping:
                continue
            if code == FAILED or time.monotonic() - since < TOO_SOON:
                os.write(say, b"\0")  # so that there is something to be read
                text = os.read(said, LONGEST_WORD).split(b"\0")[0].decode(errors="replace")
                is_stopping, failure = True, text or _("a worker has died ({code}) soon after its start", code=code)
                continue
            print(_("gipi: a worker has died ({code}) and is started anew", code=code), file=sys.stderr)
            running[_begun(number, work, [*before], say)] = (number, time.monotonic())
        if failure is not None:
            raise RunError(failure)
        return 0
    finally:
        for process in running:
            _tell(process, signal.SIGTERM)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(said)
        os.close(say)


def _begun(number: int, work: Callable[[int], None], signals: list[int], say: int) -> int:
    """A process that works. Until it answers it simply ends when it is told to; a person's Ctrl-C we tell it."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    process = os.fork()
    if process:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        return process
    code = FAILED
    try:
        for one in signals:
            signal.signal(one, signal.SIG_DFL if one == signal.SIGTERM else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        work(number)
        code = 0
    except BaseException as error:  # nothing of the first process's may run on in this one
        os.write(say, (str(error) or type(error).__name__).encode(errors="replace")[:LONGEST_WORD] + b"\0")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(process, number)
