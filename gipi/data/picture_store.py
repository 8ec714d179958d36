"""Pictures from many files, decoded once: one array in the cache, of the size that training wants, for later runs too.

It is found again by the names, sizes and times of the files: a file changed, added or removed makes it anew. Where
the array would take too much memory it stays on disk and is mapped; else it is read whole, which takes no decoding.

N pictures, C H W channels, height, width
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from gipi.data.budget import is_large
from gipi.data.kept import kept_set, make_room
from gipi.data.mapped import mapped

FORMAT = 1  # of what is kept; another one is made anew
FEWEST = 2000  # pictures; fewer are decoded in a second or two
COPIES = 5  # times that pictures are in memory: as they come, by channels, split, in an epoch's order, in a batch
ELEMENTS = 1 << 24  # that are looked at together
FILE = "pictures"

Decoded = Callable[[], tuple[tuple[int, int, int], Iterator[tuple[int, np.ndarray]], list[str]]]


def kept_pictures(files: Sequence[Path], wanted: object, decode: Decoded) -> tuple[np.ndarray, list[int], list[str]]:
    """`(N, H, W, C)` uint8, which of the files they are, and notes.

    Args:
        files: The pictures, in order.
        wanted: What else decides about the result: the size that was asked for.
        decode: Gives `(C, H, W)`, pairs of a file's place and its picture `(H, W, C)`, and notes that are complete when
            all pairs were taken.

    Raises:
        DataError: No picture can be read, or the disk has no room.
    """

    def make(folder: Path) -> dict:
        shape, pictures, notes = decode()
        make_room(len(files) * int(np.prod(shape)))
        kept = np.zeros(len(files), bool)
        path = folder / FILE
        with path.open("wb") as file:
            for place, picture in pictures:
                file.write(np.ascontiguousarray(picture.transpose(2, 0, 1)).data)
                kept[place] = True
        if shape[0] == 3 and _is_grey(mapped(path, np.uint8, (-1, *shape))):
            shape = _to_grey(path, shape)
        return {"shape": shape, "left_out": np.flatnonzero(~kept).tolist(), "notes": notes}

    folder, said = kept_set("pictures", _key(files, wanted), 0, make)
    array = mapped(folder / FILE, np.uint8, (-1, *said["shape"]))
    if not is_large(COPIES * array.nbytes):
        array = np.array(array)
    left_out = set(said["left_out"])
    kept = [place for place in range(len(files)) if place not in left_out] if left_out else list(range(len(files)))
    return array.transpose(0, 2, 3, 1), kept, said["notes"]


def _key(files: Sequence[Path], wanted: object) -> str:
    import PIL

    digest = hashlib.sha256(repr((FORMAT, PIL.__version__, wanted)).encode())
    for file in files:
        try:
            known = file.stat()
            digest.update(f"{file}\0{known.st_size}\0{known.st_mtime_ns}\n".encode())
        except OSError:  # it is gone, or must not be read: decoding says so
            digest.update(f"{file}\0\n".encode())
    return digest.hexdigest()[:32]


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
