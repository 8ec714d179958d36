"""Pictures from many files, decoded once: one array in the cache, of the size that training wants, for later runs too.

It is found again by its content: by the bytes of all files, their names, and the size that was asked for. Reading all
bytes takes a while, so what was found is noted under the files' paths, lengths, times and numbers on the disk; as long
as these are the same, nothing is read. The time that counts is that of the last change of any kind (ctime), which no
program can set: a picture that was changed is seen even if its length and its date are as before. Where the array
would take too much memory it stays on disk and is mapped; else it is read whole, which takes no decoding. Where the
cache cannot be written to, pictures are decoded for this run alone, if memory holds them.

N pictures, C H W channels, height, width
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gipi.data.archives import Packed
from gipi.data.budget import is_large
from gipi.data.fetch import cache_folder
from gipi.data.kept import kept_set, make_room
from gipi.data.mapped import mapped
from gipi.errors import DataError
from gipi.messages import _

FORMAT = 2  # of what is kept; another one is made anew
FEWEST = 64  # pictures; fewer are decoded in a moment
COPIES = 5  # times that pictures are in memory: as they come, by channels, split, in an epoch's order, in a batch
ELEMENTS = 1 << 24  # that are looked at together
AT_ONCE = 512  # files whose bytes are added up together
SETTLED = 2.0  # seconds after which a file's times say whether it changes again; FAT counts in steps of two
FILE = "pictures"

Source = Path | Packed
Decoded = Callable[[], tuple[tuple[int, int, int], Iterator[tuple[int, np.ndarray]], list[str]]]
Progress = Callable[[str, int, int | None], None]


def kept_pictures(
    sources: Sequence[Source], names: Sequence[str], wanted: object, decode: Decoded, progress: Progress | None = None
) -> tuple[np.ndarray, list[int], list[str]]:
    """`(N, H, W, C)` uint8, which of the sources they are, and notes.

    Args:
        sources: The pictures, in order.
        names: What notes call them.
        wanted: What else decides about the result: the size that was asked for.
        decode: Gives `(C, H, W)`, pairs of a source's place and its picture `(H, W, C)`, and notes that are complete
            when all pairs were taken.
        progress: Told while bytes are read.

    Raises:
        DataError: No picture can be read, or they changed meanwhile.
        CannotKeepError: The disk has no room, or the cache cannot be written.
    """
    began = time.time()
    outside, last_change = _from_outside(sources, names, wanted)
    key = _noted(outside)
    if key is None:
        key = _of_content(sources, names, wanted, progress)

    def make(folder: Path) -> dict:
        shape, pictures, notes = decode()
        make_room(len(sources) * int(np.prod(shape)))
        kept = np.zeros(len(sources), bool)
        path = folder / FILE
        with path.open("wb") as file:
            for place, picture in pictures:
                file.write(np.ascontiguousarray(picture.transpose(2, 0, 1)).data)
                kept[place] = True
        if shape[0] == 3 and _is_grey(mapped(path, np.uint8, (-1, *shape))):
            shape = _to_grey(path, shape)
        if _from_outside(sources, names, wanted)[0] != outside:
            raise DataError(_("The pictures were changed while they were read; try again when they are all there."))
        return {"shape": shape, "left_out": np.flatnonzero(~kept).tolist(), "notes": notes}

    folder, said = kept_set("pictures", key, 0, make)
    if last_change < began - SETTLED:
        _note(outside, key)
    array = mapped(folder / FILE, np.uint8, (-1, *said["shape"]))
    if not is_large(COPIES * array.nbytes):
        array = np.array(array)
    left_out = set(said["left_out"])
    kept = [place for place in range(len(sources)) if place not in left_out] if left_out else [*range(len(sources))]
    return array.transpose(0, 2, 3, 1), kept, said["notes"]


# --- what pictures they are --------------------------------------------------------------------------------------


def _from_outside(sources: Sequence[Source], names: Sequence[str], wanted: object) -> tuple[str, float]:
    """A key of the files as the disk lists them, none of them opened; and the seconds at which the last one changed."""
    digest, last = _begun(wanted), 0.0
    known: dict[Path, str] = {}  # all pictures in a zip have the same file
    for source, name in zip(sources, names, strict=True):
        path = source.archive.path if isinstance(source, Packed) else source
        if path not in known:
            try:
                held = path.stat()
                last = max(last, held.st_ctime, held.st_mtime)
                known[path] = f"{held.st_size} {held.st_mtime_ns} {held.st_ctime_ns} {held.st_ino} {held.st_dev}"
            except OSError:  # it is gone, or must not be read: decoding says so
                known[path] = ""
        digest.update(f"{os.path.abspath(path)}\0{name}\0{known[path]}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32], last


def _of_content(sources: Sequence[Source], names: Sequence[str], wanted: object, progress: Progress | None) -> str:
    """A key of the files' names and bytes."""
    digest = _begun(wanted)
    paths = [source for source in sources if isinstance(source, Path)]
    for archive in dict.fromkeys(source.archive.path for source in sources if isinstance(source, Packed)):
        digest.update(_bytes_of(archive))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), AT_ONCE):
            for found in pool.map(_bytes_of, paths[start : start + AT_ONCE]):
                digest.update(found)
            if progress:
                progress(_("looking for changes"), min(start + AT_ONCE, len(paths)), len(paths))
    digest.update("\n".join(names).encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _begun(wanted: object) -> "hashlib._Hash":
    import PIL

    return hashlib.sha256(repr((FORMAT, PIL.__version__, wanted)).encode())


def _bytes_of(path: Path) -> bytes:
    """The SHA-256 of a file's bytes; nothing where it cannot be read, which decoding says."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


def _noted(outside: str) -> str | None:
    """The key of the content that these files had when they were last read."""
    try:
        key = (cache_folder() / "pictures" / f"{outside}.key").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return key if re.fullmatch(r"[0-9a-f]{32}", key) else None


def _note(outside: str, key: str) -> None:
    path = cache_folder() / "pictures" / f"{outside}.key"
    if _noted(outside) == key:
        return
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(key, encoding="ascii")
        os.replace(part, path)
    except OSError:  # then the bytes are read again the next time
        part.unlink(missing_ok=True)


# --- greys -------------------------------------------------------------------------------------------------------


def _is_grey(pictures: np.ndarray) -> bool:
    """Whether the three channels are equal in all pictures `(N, C, H, W)`."""
    return all((piece[:, :1] == piece[:, 1:]).all() for piece in _pieces(pictures))


def _to_grey(path: Path, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    pictures, other = mapped(path, np.uint8, (-1, *shape)), path.with_suffix(".grey")
    with other.open("wb") as file:
        for piece in _pieces(pictures):
            file.write(np.ascontiguousarray(piece[:, :1]).data)
    del pictures
    other.replace(path)
    return (1, *shape[1:])


def _pieces(pictures: np.ndarray) -> Iterator[np.ndarray]:
    size = max(1, ELEMENTS // max(1, pictures[:1].size))
    return (pictures[start : start + size] for start in range(0, len(pictures), size))
