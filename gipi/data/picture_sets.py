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

from gipi.data.dataset import Dataset
from gipi.data.images import SUFFIXES, Header, channels_last, decoded, plain_array, quiet, read_header
from gipi.data.mapped import is_mapped
from gipi.data.picture_store import FEWEST, kept_pictures
from gipi.errors import DataError
from gipi.messages import _

Progress = Callable[[str, int, int | None], None]
Size = int | tuple[int, int] | None  # a side, or (height, width), or the median

LONGEST_SIDE = 64  # unless a size is asked for
MOST_BYTES = 8 << 30  # all pictures together, as bytes, where they are not kept on disk
AT_ONCE = 512  # pictures that threads are given together
PARTS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
    "testing": "test",
}


def folder_of_pictures(path: Path, size: Size = None, progress: Progress | None = None) -> Dataset:
    """Pictures in a folder for each class; folders train, valid (or val) and test above them become the given parts.

    Raises:
        DataError: There are no pictures, or fewer than two classes.
    """
    notes: list[str] = []
    root = _unwrapped(_listed(path, path), notes)
    parts = _part_folders(root)
    if parts:
        others = [folder.name for folder in _folders(root) if folder not in parts.values()]
        if others:
            notes.append(_("Folders beside train, valid and test were left out: {names}.", names=_few(others)))
    files: list[Path] = []
    labels: list[str] = []
    part_of: list[str] = []
    num_others = 0
    for part, folder in parts.items() if parts else {"": root}.items():
        for class_folder in _folders(folder):
            found = sorted(file for file in class_folder.rglob("*") if file.is_file() and not _is_hidden(file, root))
            pictures = [file for file in found if file.suffix.lower() in SUFFIXES]
            num_others += len(found) - len(pictures)
            if not pictures:
                notes.append(_("The folder {name} has no picture and was left out.", name=_inside(class_folder, path)))
            files += pictures
            labels += [class_folder.name] * len(pictures)
            part_of += [part] * len(pictures)
    if num_others:
        notes.append(_("{count} files that are not pictures were left out.", count=num_others))
    _check_classes(path, root, labels)
    pictures, kept = read_pictures(files, [_inside(file, path) for file in files], size, notes, progress)
    frame = pl.DataFrame({"label": [labels[i] for i in kept]})
    _check_classes(path, root, frame["label"].to_list())
    rows = {part: np.flatnonzero([part_of[i] == part for i in kept]) for part in parts}
    origin, on_disk = str(path.resolve()), is_mapped(pictures)
    return Dataset(path.resolve().name, frame, pictures, ("label",), notes, rows, origin, mapped=on_disk)


def picture_column(frame: pl.DataFrame, folder: Path) -> str | None:
    """The first column whose values are picture files that exist, relative to the folder; None: there is none."""
    for column in frame.columns:
        if frame.schema[column] != pl.String:
            continue
        values = frame[column].drop_nulls().head(100).to_list()
        looks_so = bool(values) and all(Path(value.strip()).suffix.lower() in SUFFIXES for value in values)
        if looks_so and any((folder / value.strip()).is_file() for value in values):
            return column
    return None


def pictures_of_table(
    frame: pl.DataFrame, folder: Path, column: str, size: Size = None, progress: Progress | None = None
) -> Dataset:
    """The pictures that a table's column names, relative to the folder; the other columns stand beside them."""
    notes: list[str] = []
    values = [(value or "").strip() for value in frame[column].cast(pl.String).to_list()]
    pictures, kept = read_pictures([folder / value for value in values], values, size, notes, progress)
    notes.insert(0, _("The pictures are the files that column '{name}' names.", name=column))
    return Dataset(folder.resolve().name, frame[kept].drop(column), pictures, (), notes, mapped=is_mapped(pictures))


def read_pictures(
    sources: Sequence[Any], names: Sequence[str], size: Size, notes: list[str], progress: Progress | None = None
) -> tuple[np.ndarray, list[int]]:
    """`(N, H, W, C)` uint8 of the pictures that can be read, and which of the sources they are.

    Sources are paths or Pillow images. What is done to them, and what is set aside, is added to the notes. Many files
    are decoded once and kept (picture_store.py); what is too large for memory stays on disk.

    Raises:
        DataError: None can be read, or together they do not fit into memory.
    """
    said: list[str] = []

    def decode() -> tuple[tuple[int, int, int], Iterator[tuple[int, np.ndarray]], list[str]]:
        shape, pictures = _decoded(sources, names, size, said, progress)
        return shape, pictures, said

    if len(sources) >= FEWEST and all(isinstance(source, Path) for source in sources):
        found, kept, said = kept_pictures(sources, size, decode)
    else:
        shape, pictures, said = decode()
        if len(sources) * int(np.prod(shape)) > MOST_BYTES:
            raise DataError(
                _(
                    "{count} pictures of {shape} do not fit into memory; ask for a smaller size.",
                    count=len(sources),
                    shape=shape,
                )
            )
        held = list(pictures)
        found, kept = _grey_if_all_are(np.stack([picture for _i, picture in held])), [i for i, _picture in held]
    notes += said
    return found, kept


def _decoded(
    sources: Sequence[Any], names: Sequence[str], size: Size, notes: list[str], progress: Progress | None
) -> tuple[tuple[int, int, int], Iterator[tuple[int, np.ndarray]]]:
    """The common `(C, H, W)`, and each picture that can be read with its place; notes are complete after the last."""
    damaged: dict[int, str] = {}

    def tried(read, index: int):
        try:
            return read(sources[index], names[index])
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
                    _("None of the {count} pictures can be read: {names}.", count=len(said), names=_few(said, 3))
                )
            notes.append(
                _("{count} pictures cannot be read and were set aside: {names}.", count=len(said), names=_few(said))
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


def _check_classes(path: Path, root: Path, labels: list[str]) -> None:
    names = sorted(set(labels))
    if len(names) > 1:
        return
    loose = sum(file.suffix.lower() in SUFFIXES for file in root.iterdir())
    if names:
        raise DataError(
            _(
                "{path}: all pictures are in one class, '{name}'; expected a folder for each of two or more classes.",
                path=path,
                name=names[0],
            )
        )
    if loose:
        raise DataError(
            _(
                "{path}: {count} pictures lie in the folder itself; expected a folder for each class, "
                "or a CSV that names files and labels.",
                path=path,
                count=loose,
            )
        )
    raise DataError(
        _("{path}: there are no pictures in this folder; expected a folder of pictures for each class.", path=path)
    )


def _listed(path: Path, shown: Path) -> Path:
    try:
        next(iter(os.scandir(path)), None)
    except NotADirectoryError:
        raise DataError(_("{path} is a file; expected a folder of pictures for each class.", path=shown)) from None
    except FileNotFoundError:
        raise DataError(_("{path}: there is no such folder.", path=shown)) from None
    except PermissionError:
        raise DataError(_("{path}: reading this folder is not permitted.", path=shown)) from None
    return path


def _unwrapped(path: Path, notes: list[str]) -> Path:
    """The folder in which the classes or parts are: unpacked archives often wrap it in one more."""
    folders = _folders(path)
    if (
        len(folders) == 1
        and len(_folders(folders[0])) > 1
        and not any(f.suffix.lower() in SUFFIXES for f in path.iterdir())
    ):
        notes.append(_("The classes are the folders in {name}.", name=folders[0].name))
        return folders[0]
    return path


def _part_folders(root: Path) -> dict[str, Path]:
    """train, valid and test, in this order, if there is a train folder that holds class folders."""
    found = {PARTS[folder.name.lower()]: folder for folder in _folders(root) if folder.name.lower() in PARTS}
    if "train" not in found or not _folders(found["train"]):
        return {}
    return {part: found[part] for part in ("train", "valid", "test") if part in found}


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in file.relative_to(root).parts)


def _inside(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _few(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (", " + _("and {count} more", count=rest) if rest > 0 else "")
