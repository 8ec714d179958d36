"""What was made of a person's data once and is kept for the next run: columns of a table, decoded pictures, tokens.

A kept set is a folder of the cache, named by what it was made of. It is written beside its place and moved there when
it is whole; its list of files says how long each is and what its bytes add up to, and a set that does not agree is made
anew. Where the disk is full, sets that were not used for the longest time make room.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from gipi.data.fetch import alone, cache_folder
from gipi.errors import DataError
from gipi.messages import _

LIST = "set.json"
PIECE = 1 << 24  # bytes that are added up at once
MARGIN = 1 << 28  # bytes that stay free on the disk
SET_KINDS = ("tables", "pictures", "tokens")


class CannotKeepError(DataError):
    """The cache has no room, or must not be written to."""


def kept_set(kind: str, key: str, needed: int, make: Callable[[Path], dict]) -> tuple[Path, dict]:
    """The folder of the set with this key, and what `make(folder)` said of it; made if it is not there, or not whole.

    Args:
        kind: tables, pictures or tokens.
        key: Names what it is made of.
        needed: Bytes that making it may take.
        make: Fills an empty folder; what it gives is kept as JSON beside its files.

    Raises:
        CannotKeepError: The disk has no room for it, or it cannot be written.
    """
    home = cache_folder() / kind
    folder = home / key
    try:
        home.mkdir(parents=True, exist_ok=True)
        with alone(home / f".{key}.lock"):
            said = _whole(folder)
            if said is None:
                shutil.rmtree(folder, ignore_errors=True)
                make_room(needed)
                said = _made(folder, make)
            os.utime(folder)
    except OSError as error:
        said = _whole(folder)  # a cache that may only be read
        if said is not None:
            return folder, said
        raise cannot_keep(error, home, needed) from error
    return folder, said


def make_room(needed: int) -> None:
    """See to it that the disk of the cache has room; the sets that were not used for the longest time go first.

    Raises:
        CannotKeepError: There is none, even so.
    """
    home = cache_folder()
    home.mkdir(parents=True, exist_ok=True)
    sets = [path.parent for kind in SET_KINDS for path in home.glob(f"{kind}/*/{LIST}")]
    for folder in sorted(sets, key=lambda folder: folder.stat().st_mtime):
        if shutil.disk_usage(home).free >= needed + MARGIN:
            return
        shutil.rmtree(folder, ignore_errors=True)
    if shutil.disk_usage(home).free < needed + MARGIN:
        raise cannot_keep(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), home, needed)


def cannot_keep(error: OSError, folder: Path, needed: int) -> CannotKeepError:
    if error.errno == errno.ENOSPC:
        return CannotKeepError(
            _(
                "The data is larger than memory and goes to the disk of {folder}, which has too little room: about "
                "{count} MB are needed. Make room, or set XDG_CACHE_HOME to a folder on another disk.",
                folder=folder,
                count=needed // 1_000_000 + 1,
            )
        )
    what = error.strerror or str(error)
    return CannotKeepError(_("{path} cannot be written ({what}).", path=error.filename or folder, what=what))


def scratch() -> Path:
    """The folder for files that last as long as the process; they have no name once they are open."""
    folder = cache_folder() / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear() -> int:
    """Remove every kept set, once nobody is making it; gives the bytes that were freed. Fetched files stay."""
    freed, home = 0, cache_folder()
    for kind in SET_KINDS:
        for folder in [*(home / kind).glob("*/")] if (home / kind).is_dir() else []:
            with alone(home / kind / f".{folder.name.partition('.')[0]}.lock"):
                freed += size_of(folder)
                shutil.rmtree(folder, ignore_errors=True)
        for file in (home / kind).glob("*.key"):
            file.unlink(missing_ok=True)
    return freed


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _made(folder: Path, make: Callable[[Path], dict]) -> dict:
    for left in folder.parent.glob(f"{folder.name}.part-*"):  # of a process that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    with _part(folder) as part:
        said = make(part)
        files = {path.name: [path.stat().st_size, _sum(path)] for path in sorted(part.iterdir())}
        with (part / LIST).open("w", encoding="utf-8") as file:
            json.dump({"files": files, "said": said}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder)
    return said


@contextlib.contextmanager
def _part(folder: Path) -> Iterator[Path]:
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _whole(folder: Path) -> dict | None:
    """What is said of the set, if all its files are there and as they were written."""
    try:
        held = json.loads((folder / LIST).read_text(encoding="utf-8"))
        for name, (size, total) in held["files"].items():
            path = folder / name
            if path.stat().st_size != size or _sum(path) != total:
                return None
        return held["said"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sum(path: Path) -> int:
    """CRC-32 of a file: six gigabytes a second, and it need only tell a damaged file from a whole one."""
    total = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            total = zlib.crc32(piece, total)
    return total
