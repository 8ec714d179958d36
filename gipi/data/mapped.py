"""Arrays that lie on disk and are read page by page, as if they were in memory; and choices of their rows.

A page that nobody has looked at for a while costs no memory: the system drops it and reads it again. All arrays are
mapped for reading only.

R rows, and what a row holds: (R, N) a table, (R, C, H, W) pictures
"""

import mmap
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from gipi.data.kept import cannot_keep, make_room, scratch


def mapped(path: Path, dtype: np.dtype | type, shape: tuple[int, ...] = (-1,)) -> np.ndarray:
    """The numbers in a file as an array."""
    with path.open("rb") as file:
        return _map(file, np.dtype(dtype), shape)


def written(pieces: Iterable[np.ndarray], needed: int) -> np.ndarray:
    """Arrays with a common shape behind the first axis, one after the other as one array on disk.

    The file has no name and goes with the process, however that ends.

    Args:
        pieces: At least one; each is written before the next is made.
        needed: Bytes, at most.

    Raises:
        DataError: The disk is full.
    """
    make_room(needed)
    shape: tuple[int, ...] = ()
    dtype, rows = np.dtype(float), 0
    folder = scratch()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for piece in pieces:
                shape, dtype, rows = piece.shape[1:], piece.dtype, rows + len(piece)
                file.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
            file.flush()
            return _map(file, dtype, (rows, *shape))
    except OSError as error:
        raise cannot_keep(error, folder, needed) from error


def _map(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if not os.fstat(file.fileno()).st_size:
        return np.empty(shape if -1 not in shape else (0, *shape[1:]), dtype)
    held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(held, dtype).reshape(shape)


def is_mapped(array: np.ndarray) -> bool:
    """Whether it lies on disk."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, (mmap.mmap, memoryview)) and (
        isinstance(base, mmap.mmap) or isinstance(base.obj, mmap.mmap)
    )


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor on the same memory. PyTorch warns that a read-only one must not be written to; nobody does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ", category=UserWarning)
        return torch.from_numpy(array)


class Chosen:
    """Rows of an array on disk, in this order, gathered only when they are asked for.

    Example:
        >>> some = Chosen(np.arange(10) * 10, np.array([7, 2, 5]))
        >>> len(some), some[1:].tolist(), some[np.array([0, 0])].tolist()
        (3, [20, 50], [70, 70])
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray, device: torch.device | str = "cpu"):
        self.array = array
        self.rows = rows
        self.device = device

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.array.shape[1:])

    def __getitem__(self, places: slice | np.ndarray) -> Tensor:
        # np.take copies row by row in the calling thread and lets other threads run meanwhile
        return torch.from_numpy(np.take(self.array, self.rows[places], axis=0)).to(self.device)

    def to(self, device: torch.device | str) -> "Chosen":
        return Chosen(self.array, self.rows, device)

    def split(self, size: int) -> Iterator[Tensor]:
        """Pieces of so many rows, in order."""
        return (self[start : start + size] for start in range(0, len(self), size))
