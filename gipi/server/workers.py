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

from gipi.errors import UsageError
from gipi.messages import _

LAST = 25.0  # seconds that workers have to end, before they are killed
TOO_SOON = 2.0  # seconds: a worker that dies so soon after its start will do so again
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

    Args:
        count: How many.
        work: Answers requests until it is asked to stop; has said by itself why it cannot begin.
    """
    running: dict[int, tuple[int, float]] = {}  # process: its number, since when
    is_stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal is_stopping
        is_stopping = True
        for process in running:
            _tell(process, signal.SIGTERM)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in range(count):
            running[_begun(number, work, before)] = (number, time.monotonic())
        end = None
        while running:
            if is_stopping and end is None:
                end = time.monotonic() + LAST
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
                stop(0, None)
                return 1
            print(_("gipi: a worker has died ({code}) and is started anew", code=code), file=sys.stderr)
            running[_begun(number, work, before)] = (number, time.monotonic())
        return 0
    finally:
        for process in running:
            _tell(process, signal.SIGTERM)
        for number, handler in before.items():
            signal.signal(number, handler)


def _begun(number: int, work: Callable[[int], None], before: dict) -> int:
    """A process that works."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    code = FAILED
    try:
        for one, handler in before.items():
            signal.signal(one, handler)
        work(number)
        code = 0
    except BaseException as error:  # nothing of the first process's may run on in this one
        from gipi.report.text import clean

        print(f"gipi: {clean(str(error) or type(error).__name__)}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(process, number)
