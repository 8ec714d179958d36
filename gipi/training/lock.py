"""A file's lock: one process has it, and whoever dies lets go of it, however it dies."""

import errno
import os
import time
from typing import IO

ATTEMPTS = 5  # at a lock: whoever only asks whether a run is held has it for an instant
PLACE = 1 << 30  # the byte that is locked on Windows, where a locked byte cannot be read


def take(file: IO) -> None:
    """Lock a file; raises BlockingIOError if another process has it, not just for an instant."""
    for attempt in range(ATTEMPTS):
        try:
            return lock(file)
        except BlockingIOError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02)


def lock(file: IO, is_shared: bool = False) -> None:
    """Lock a file without waiting; raises BlockingIOError if another process has it."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file.fileno(), PLACE, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK):
            raise BlockingIOError(error.errno, error.strerror) from error
        raise
