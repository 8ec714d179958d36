"""Many pictures, of one size and one number of channels: a folder for each class, a table that names files, or arrays.

Pictures of different sizes are brought to their median size, at most 64 pixels a side unless asked otherwise (1,000
such RGB pictures are 12 MB). What cannot be read is set aside, and said with its name and a count.

N pictures, H W height and width, C channels
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gipi.data.archives import Packed
from gipi.data.budget import is_large
from gipi.data.dataset import Dataset
from gipi.data.fetch import cache_folder
from gipi.data.images import Header, channels_last, decoded, plain_array, quiet, read_header
from gipi.data.kept import CannotKeepError
from gipi.data.layout import Tree, check_classes, few, layout_of, tree_of_folder
from gipi.data.mapped import is_mapped
from gipi.data.picture_store import COPIES, FEWEST, Decoded, kept_pictures
from gipi.errors import DataError
from gipi.messages import _

Progress = Callable[[str, int, int | None], None]
Size = int | tuple[int, int] | None  # a side, or (height, width), or the median

LONGEST_SIDE = 64  # unless a size is asked for
MOST_BYTES = 8 << 30  # all pictures together, as bytes, where they are not kept on disk
AT_ONCE = 512  # pictures that threads are given together


def folder_of_pictures(path: Path, size: Size = None, progress: Progress | None = None) -> Dataset:
    """Pictures in a folder for each class; folders train, valid (or val) and test above them become the given parts.

    Raises:
        DataError: There are no pictures, or fewer than two classes.
    """
    data = pictures_of_tree(tree_of_folder(path), size, progress)
    data.name, data.origin = path.resolve().name, str(path.resolve())
    return data


def pictures_of_tree(tree: Tree, size: Size = None, progress: Progress | None = None) -> Dataset:
    """See `folder_of_pictures`; the tree may be that of a zip."""
    found = layout_of(tree)
    notes = found.notes
    names = ["/".join(file) for file in found.files]
    pictures, kept = read_pictures([tree.source(file) for file in found.files], names, size, notes, progress)
    frame = pl.DataFrame({"label": [found.labels[i] for i in kept]})
    check_classes(tree, frame["label"].to_list())
    parts = dict.fromkeys(part for part in found.parts if part)
    rows = {part: np.flatnonzero([found.parts[i] == part for i in kept]) for part in parts}
    return Dataset(
        tree.shown, frame, pictures, ("label",), notes, rows, mapped=is_mapped(pictures), names=[names[i] for i in kept]
    )


def read_pictures(
    sources: Sequence[Any], names: Sequence[str], size: Size, notes: list[str], progress: Progress | None = None
) -> tuple[np.ndarray, list[int]]:
    """`(N, H, W, C)` uint8 of the pictures that can be read, and which of the sources they are.

    Sources are paths, files in a zip, or Pillow images. What is done to them, and what is set aside, is added to the
    notes. Files are decoded once and kept (picture_store.py); what is too large for memory stays on disk.

    Raises:
        DataError: None can be read, or together they do not fit into memory.
    """
    said: list[str] = []

    def decode() -> tuple[tuple[int, int, int], Iterator[tuple[int, np.ndarray]], list[str]]:
        shape, pictures = _decoded(sources, names, size, said, progress)
        return shape, pictures, said

    if len(sources) >= FEWEST and all(isinstance(source, Path | Packed) for source in sources):
        try:
            found, kept, said = kept_pictures(sources, names, size, decode, progress)
        except CannotKeepError as error:
            said.clear()
            found, kept = _held(decode, len(sources), instead_of=error)
            said.append(
                _(
                    "{folder} is full or cannot be written to: the pictures were decoded for this run alone.",
                    folder=cache_folder(),
                )
            )
    else:
        found, kept = _held(decode, len(sources))
    notes += said
    return found, kept


def _held(decode: Decoded, count: int, instead_of: CannotKeepError | None = None) -> tuple[np.ndarray, list[int]]:
    """The pictures in memory, and which they are; `instead_of`: what is said if they do not fit."""
    shape, pictures, _notes = decode()
    size = count * int(np.prod(shape))
    if instead_of is not None and is_large(COPIES * size):
        raise instead_of
    if size > MOST_BYTES:
        raise DataError(
            _("{count} pictures of {shape} do not fit into memory; ask for a smaller size.", count=count, shape=shape)
        )
    held = list(pictures)
    return _grey_if_all_are(np.stack([picture for _i, picture in held])), [i for i, _picture in held]


def _decoded(
    sources: Sequence[Any], names: Sequence[str], size: Size, notes: list[str], progress: Progress | None
) -> tuple[tuple[int, int, int], Iterator[tuple[int, np.ndarray]]]:
    """The common `(C, H, W)`, and each picture that can be read with its place; notes are complete after the last."""
    damaged: dict[int, str] = {}

    def tried(read, index: int):
        try:
            source = sources[index]
            return read(source.read() if isinstance(source, Packed) else source, names[index])
        except DataError as error:
            damaged[index] = str(error).removeprefix(f"{sources[index]}: ").removeprefix(f"{names[index]}: ")

    def each(read, places: Sequence[int], what: str) -> Iterator[tuple[int, Any]]:
        """By several threads, some at a time: what waits to be taken would fill the memory."""
        with quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(places), AT_ONCE):
                some = places[start : start + AT_ONCE]
                yield from zip(some, pool.map(lambda i: tried(read, i), some), strict=True)
                if progress and len(places) >= FEWEST:
                    progress(what, start + len(some), len(places))

    headers = [header for _i, header in each(read_header, range(len(sources)), _("looking at pictures"))]
    found = [header for header in headers if header is not None]
    kept = [i for i, header in enumerate(headers) if header is not None]
    shape = _common_shape(found, size, notes) if found else (1, 1, 1)
    several = sum(header.frames > 1 for header in found)

    def pictures() -> Iterator[tuple[int, np.ndarray]]:
        read = each(lambda source, name: decoded(source, name, shape), kept, _("decoding pictures"))
        yield from ((i, picture) for i, picture in read if picture is not None)
        if damaged:
            said = [f"{names[i]} ({why.rstrip('.')})" for i, why in sorted(damaged.items())]
            if len(said) == len(sources):
                raise DataError(
                    _("None of the {count} pictures can be read: {names}.", count=len(said), names=few(said, 3))
                )
            notes.append(
                _("{count} pictures cannot be read and were set aside: {names}.", count=len(said), names=few(said))
            )
        if several:
            notes.append(_("{count} files hold an animation or several pages; the first was taken.", count=several))

    return shape, pictures()


def pictures_of_arrays(X: Any, y: Any = None, name: str = "pictures") -> Dataset:
    """Pictures from an array or tensor `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`, with C 1 or 3, and their labels.

    Bytes stay bytes. Other numbers become float32, and white is 1 where none is above it, else their maximum
    rounded up. Labels keep their type. Labels of two dimensions become columns label1, label2 ...

    Raises:
        DataError: The shapes are none of these or do not agree, or an element is NaN or infinite; names the row.
    """
    from gipi.data.arrays import columns_of

    array = plain_array(X)
    if array.dtype.kind not in "uifb":
        raise DataError(_("Pictures are an array of {dtype}; expected numbers.", dtype=str(array.dtype)))
    pictures = array[:, :, :, None] if array.ndim == 3 else channels_last(array) if array.ndim == 4 else None
    if pictures is None or pictures.shape[3] == 4 or pictures.size == 0:
        raise DataError(
            _(
                "An array of shape {shape} is no pictures; expected (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3.",
                shape=array.shape,
            )
        )
    notes: list[str] = []
    pictures, white = _scaled(np.ascontiguousarray(pictures), notes)
    labels = {} if y is None else columns_of(y, "label", rows=len(pictures))
    frame = pl.DataFrame(list(labels.values())) if labels else pl.DataFrame(height=len(pictures))
    return Dataset(name, frame, pictures, tuple(labels), notes, white=white)


def _scaled(pictures: np.ndarray, notes: list[str]) -> tuple[np.ndarray, float]:
    """Bytes, or float32 and the value of white."""
    if pictures.dtype == np.uint8:
        return pictures, 255.0
    if pictures.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(pictures).all(axis=(1, 2, 3)))
        if len(bad):
            raise DataError(
                _(
                    "The picture in row {row} has NaN or infinite elements ({count} such rows); expected finite ones.",
                    row=int(bad[0]),
                    count=len(bad),
                )
            )
    low, high = float(pictures.min()), float(pictures.max())
    if pictures.dtype.kind in "ui" and low >= 0 and 128 <= high <= 255:  # bytes in a wider type
        return pictures.astype(np.uint8), 255.0
    white = 1.0 if high <= 1 else float(np.ceil(high))
    notes.append(
        _(
            "The pictures' elements lie in {low} .. {high}; white is taken to be {white}.",
            low=f"{low:g}",
            high=f"{high:g}",
            white=f"{white:g}",
        )
    )
    return pictures.astype(np.float32), white


def _common_shape(headers: list[Header], size: Size, notes: list[str]) -> tuple[int, int, int]:
    """The `(C, H, W)` that all pictures are brought to."""
    channels = 1 if all(header.is_grey for header in headers) else 3
    sizes = np.array([(header.height, header.width) for header in headers])
    is_one_size = bool((sizes == sizes[0]).all())
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 1:
            raise DataError(
                _("A picture size of {height} x {width} is too small; expected at least 1.", height=height, width=width)
            )
    else:
        median = np.median(sizes, axis=0)
        median = median * min(1.0, LONGEST_SIDE / median.max())
        # pictures of several sizes have no size of their own: a multiple of 4 can be halved twice without a rest
        height, width = (max(1, round(side)) if is_one_size else max(4, 4 * round(side / 4)) for side in median)
    if not (is_one_size and (sizes[0] == (height, width)).all()):
        found = (
            "{1} x {0}".format(*sizes[0])
            if is_one_size
            else "{1} x {0} .. {3} x {2}".format(*sizes.min(0), *sizes.max(0))
        )
        notes.append(
            _(
                "The pictures are {found} pixels (width x height) and were brought to {width} x {height}; "
                "--picture-size chooses another.",
                found=found,
                width=width,
                height=height,
            )
        )
    num_grey = sum(header.is_grey for header in headers)
    if channels == 3 and num_grey:
        notes.append(_("{count} of {all} pictures are grey and were made RGB.", count=num_grey, all=len(headers)))
    return channels, int(height), int(width)


def _grey_if_all_are(pictures: np.ndarray) -> np.ndarray:
    """One channel where the three are equal in all pictures: greys that were stored as colour."""
    if pictures.shape[3] == 3 and (pictures[..., :1] == pictures[..., 1:]).all():
        return np.ascontiguousarray(pictures[..., :1])
    return pictures
