"""What a user can do something about: each message says what came, what was expected, and what to do.

Everything else (a broken invariant of ours) is an assertion and may show its traceback.
"""

import errno
import shutil
from pathlib import Path

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class DataError(ValueError):
    """The data cannot be used as it is; names the file, row or column. Command line: exit code 1."""


class RunError(ValueError):
    """A run folder or a kept model cannot be used as it is. Command line: exit code 1."""


class ProgramWarning(UserWarning):
    """A model is kept without a program, so it needs PyTorch to be opened."""


class DamageWarning(UserWarning):
    """A file of a run is damaged; what was said instead of it, or in spite of it, is in the message."""


class DoctorWarning(UserWarning):
    """The doctor could not look at something, or has found something in a person's own loop."""


class TrainingError(ValueError):
    """Training cannot go on, for instance because the loss diverged. Command line: exit code 1."""


class UsageError(ValueError):
    """An option or a name is wrong; says which and what exists instead. Command line: exit code 2."""


def nearest(name: str, known: list[str]) -> str:
    """` Did you mean 'mlp'?` or nothing: the known name closest to a misspelt one."""
    from difflib import get_close_matches

    from gipi.messages import _

    close = get_close_matches(name, known, 1, 0.5)
    return " " + _("Did you mean '{name}'?", name=close[0]) if close else ""


def reason_of(error: OSError) -> str:
    """What the system says of a file, in the language in force where it is one of the usual things."""
    from gipi.messages import _

    usual = {
        errno.ENOENT: _("No such file or directory"),
        errno.EACCES: _("Permission denied"),
        errno.EPERM: _("Operation not permitted"),
        errno.EISDIR: _("Is a directory"),
        errno.ENOTDIR: _("Not a directory"),
        errno.EROFS: _("Read-only file system"),
        errno.ENOSPC: _("No space left on device"),
        errno.ENAMETOOLONG: _("File name too long"),
    }
    return usual.get(error.errno or 0) or error.strerror or str(error)


def cannot_write(path: Path, error: OSError) -> RunError:
    """What the system refuses as a sentence, with the path and how much room there is."""
    from gipi.messages import _

    why = reason_of(error)
    place = next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path("/"))
    try:
        free = f"{shutil.disk_usage(place).free / 2**20:,.1f} MB"
    except OSError:
        free = "?"
    if error.errno in FULL:
        text = _("cannot write {path}: {reason}; free there: {free}. Make room", path=path, reason=why, free=free)
    elif error.errno == errno.EFBIG:
        text = _(
            "cannot write {path}: {reason}; free there: {free}. Files of this process may not be so large (ulimit -f)",
            path=path,
            reason=why,
            free=free,
        )
    else:
        text = _("cannot write {path}: {reason}; free there: {free}", path=path, reason=why, free=free)
    return RunError(text)
