"""Open whatever a person has: a file, a folder, a name, a frame, arrays, tensors. All become a Dataset.

An existing path is opened by its kind, then a registered name is looked up; anything in memory goes by its type. What
columns mean is not decided here but in columns.py.
"""

import dataclasses
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.several import spread, spread_like, without_lists
from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _

TARGET_NAMES = ("target", "label", "class", "y")
TARS = (".tar.gz", ".tgz", ".tar")
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".7z", ".rar", ".xz", ".bz2")
CODE = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npy", ".npz", ".h5", ".hdf5", ".mat")


def open_data(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    name: str | None = None,
    picture_size: int | tuple[int, int] | None = None,
    separator: str | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Dataset:
    """A data set from anything that holds one.

    Args:
        source: A path, a registered name, a frame of polars or pandas, a dict of columns, a list of dicts, arrays or
            tensors `(X, y)` or X alone, a map-style PyTorch data set, or a Dataset.
        target: The columns to be predicted. None: those of the source, else the one column called target, label, class
            or y, else none.
        name: What to call it; None: after its file.
        picture_size: The side, or (height, width), that pictures from files are brought to.
        separator: Of a delimited text file; None: found out.
        progress: Called while something takes long (a registered set is fetched, a large file read, pictures are
            decoded) with a name, how much is done and how much there is.

    Raises:
        UsageError: There is no such path, name or target column; says the nearest.
        DataError: The data cannot be used; says which row, column or file, and what to do.

    Example:
        >>> open_data(([[9.0], [8.0], [4.0], [2.0]], [90, 80, 40, 20])).target
        ('y',)
    """
    if isinstance(source, Dataset):
        data = dataclasses.replace(source, notes=list(source.notes))
    elif isinstance(source, str | PathLike):
        data = _of_text(source, picture_size, separator, progress)
    else:
        data = _of_memory(source, picture_size)
    if name:
        data.name = name
    if target is not None and not isinstance(target, str):
        data = spread_like(data, target)
    data.target = _target(data, target)
    return without_lists(_with_joined_classes(spread(data)))


# --- paths and names ---------------------------------------------------------------------------------------------


def _of_text(source: str | PathLike, size: Any, separator: str | None, progress: Any) -> Dataset:
    from gipi.data.registry import entry_of, open_named

    text = str(source)
    if text.startswith(("http://", "https://", "s3://", "hf://", "ftp://")):
        raise UsageError(_("{source} is an address; download the file first and give its path.", source=text))
    path = Path(source).expanduser()
    looks_like_path = isinstance(source, PathLike) or any(mark in text for mark in "/\\~") or bool(path.suffix)
    is_known = not isinstance(source, PathLike) and entry_of(text) is not None
    exists = bool(text.strip()) and path.exists()
    if exists and (looks_like_path or not is_known):
        return _of_path(path, size, separator, progress)
    if not is_known and looks_like_path:
        raise UsageError(_no_such_path(path))
    data = open_named(text, progress)
    if exists:
        data.notes.append(
            _("This is the set that gipi knows as '{name}'; for the one in this folder type ./{name}.", name=text)
        )
    return data


def _of_path(path: Path, size: Any, separator: str | None, progress: Any) -> Dataset:
    """An existing file or folder."""
    from gipi.data.cifar import BATCH, are_pickles, pickled, pictures_of_cifar_archive, pictures_of_cifar_folder
    from gipi.data.idx import is_idx, pictures_of_idx
    from gipi.data.texts import form_of
    from gipi.data.zips import open_zip

    if path.is_dir():
        return _of_folder(path, size, progress)
    lower = path.name.lower()
    if lower.endswith(".zip"):
        return open_zip(path, size, separator, progress)
    if lower.endswith(TARS) and "cifar" in lower:
        return pictures_of_cifar_archive(path)
    if lower.endswith(ARCHIVES):
        raise DataError(
            _(
                "{path} is an archive of a kind that is not read; unpack it and give the folder or file that was in "
                "it, or make it a zip.",
                path=path,
            )
        )
    if are_pickles([path.name]):
        raise pickled(str(path))
    if BATCH.fullmatch(path.name):
        return pictures_of_cifar_folder(path.parent, only=path.name)
    if lower.endswith(CODE):
        raise DataError(
            _(
                "{path} is not read: expected a table (CSV, Parquet, Excel, JSON lines), IDX or a folder of pictures. "
                "Load it in Python and give the arrays: gipi.fit((X, y)).",
                path=path,
            )
        )
    if is_idx(path):
        return pictures_of_idx(path)
    if _is_picture(path):
        raise DataError(
            _(
                "{path} is one picture; expected a folder of pictures for each class, or a CSV that names files.",
                path=path,
            )
        )
    if form_of(path) == "running":
        raise DataError(
            _(
                "{path} is running text: it has no rows with answers. `gipi fit {path}` learns to write such text; to "
                "tell texts apart, give a table with a column of texts, or a folder of text files for each class.",
                path=path,
            )
        )
    return _of_table(path, size, separator, progress)


def _of_folder(path: Path, size: Any, progress: Any) -> Dataset:
    from gipi.data.cifar import is_cifar, pictures_of_cifar_folder
    from gipi.data.idx import is_idx, pictures_of_idx
    from gipi.data.picture_sets import folder_of_pictures
    from gipi.data.zips import TABLES

    try:
        files = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    except PermissionError:
        raise DataError(_("{path}: reading this folder is not permitted.", path=path)) from None
    if any(is_idx(file) for file in files):
        return pictures_of_idx(path)
    if is_cifar(file.name for file in files):
        data = pictures_of_cifar_folder(path)
        data.name = path.resolve().name
        return data
    if (path / "run.json").is_file():
        raise UsageError(_("{path} is a run, not data; expected a file or folder of data.", path=path))
    try:
        return folder_of_pictures(path, size, progress)
    except DataError as error:
        if (texts := _texts_of_folder(path, progress)) is not None:
            return texts
        tables = sorted(file for file in files if file.suffix.lower() in TABLES)
        if not tables:
            raise
        if len(tables) == 1 and (data := _of_table(tables[0], size, None, progress)).kind == "picture":
            return data
        raise DataError(str(error) + " " + _("Perhaps you mean the table {path}.", path=tables[0])) from None


def _texts_of_folder(path: Path, progress: Any) -> Dataset | None:
    from gipi.data.layout import is_picture, tree_of_folder
    from gipi.data.text_sets import texts_of_tree

    tree = tree_of_folder(path)
    if any(map(is_picture, tree.files)):
        return None
    data = texts_of_tree(tree, lambda place: path.joinpath(*place).read_bytes(), progress)
    if data is not None:
        data.name, data.origin = path.resolve().name, str(path.resolve())
    return data


def _of_table(path: Path, size: Any, separator: str | None, progress: Any) -> Dataset:
    from gipi.data.large_tables import is_large_table, open_large_table
    from gipi.data.picture_tables import picture_column, pictures_of_table, tree_beside
    from gipi.data.tables import read_table

    is_large = is_large_table(path)
    frame, notes = open_large_table(path, separator, progress) if is_large else read_table(path, separator=separator)
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    tree = tree_beside(frame, path.parent)
    found = picture_column(frame, tree)
    data = pictures_of_table(frame, tree, *found, size, progress) if found else Dataset(stem, frame, mapped=is_large)
    data.name = stem
    data.notes = [*notes, *data.notes]
    data.origin = str(path.resolve())
    return data


def _is_picture(path: Path) -> bool:
    suffixes = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
    return path.suffix.lower() in suffixes


def _no_such_path(path: Path) -> str:
    from gipi.data.registry import known

    message = _("There is no file or folder {path}.", path=path)
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = nearest(path.name, beside)
    if hint or path.parent.is_dir():
        return message + (hint or nearest(path.name, [entry.name for entry in known()]))
    return message + " " + _("There is no folder {folder} either.", folder=path.parent)


# --- memory ------------------------------------------------------------------------------------------------------


def _of_memory(source: Any, size: Any) -> Dataset:
    from gipi.data.arrays import data_of, frame_of, is_array, is_pandas, is_torch_dataset, pictures_or_table_of_torch

    if is_torch_dataset(source):
        return pictures_or_table_of_torch(source, size)
    if isinstance(source, pl.DataFrame | pl.LazyFrame | dict) or is_pandas(source):
        return Dataset("data", frame_of(source))
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], int | float | str):
        return data_of(*source)
    if isinstance(source, list) and source and isinstance(source[0], dict):
        return Dataset("data", frame_of(source))
    if is_array(source) or (isinstance(source, list | tuple) and source):
        return data_of(source, None)
    kind = type(source).__name__
    if isinstance(source, list | tuple | set):
        raise DataError(_("The data is an empty {kind}; expected rows.", kind=kind))
    raise UsageError(
        _(
            "A {kind} is not data that can be opened; expected a path, a name, a frame, a dict of columns, "
            "a list of dicts, arrays (X, y), or a PyTorch data set with a length.",
            kind=kind,
        )
    )


# --- target ------------------------------------------------------------------------------------------------------


def _target(data: Dataset, asked: str | Sequence[str] | None) -> tuple[str, ...]:
    if asked is None or asked == ():
        if data.target or (data.kind == "picture" and not data.frame.width):
            return data.target
        named = [column for column in data.frame.columns if column.lower() in TARGET_NAMES]
        if len(named) == 1:
            return (named[0],)
        if data.kind != "picture":
            return ()
        columns = data.frame.columns  # one beside the pictures, or several that say of each label whether it is there
        return tuple(columns) if len(columns) == 1 or (columns and all(map(_is_flag, data.frame))) else ()
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    for column in names:
        if column not in data.frame.columns:
            raise UsageError(
                _("There is no column '{name}' in {data}.", name=column, data=data.name)
                + nearest(column, data.frame.columns)
                + " "
                + _("Its columns are: {names}.", names=_first(data.frame.columns))
            )
    if twice := [column for column in names if names.count(column) > 1]:
        raise UsageError(_("The target '{name}' is given twice.", name=twice[0]))
    return names


def _with_joined_classes(data: Dataset) -> Dataset:
    """Labels of pictures that differ only in case or blanks are one class, as those of folders are."""
    from gipi.data.layout import joined_classes

    if data.kind != "picture" or len(data.target) != 1 or data.frame.schema[data.target[0]] != pl.String:
        return data
    column, notes = data.frame[data.target[0]], [*data.notes]
    known = column.drop_nulls().unique().to_list()
    if len({name.strip().casefold() for name in known}) == len(known):
        return data
    there = column.is_not_null()
    joined = pl.Series(column.name, joined_classes(column.filter(there).to_list(), notes), dtype=pl.String)
    frame = data.frame.with_columns(column.scatter(there.arg_true(), joined))
    return dataclasses.replace(data, frame=frame, notes=notes)


def _is_flag(column: pl.Series) -> bool:
    """Whether it holds nothing but 0 and 1."""
    return not column.dtype.is_nested() and set(column.cast(pl.String).unique().to_list()) <= {"0", "1"}


def _first(columns: Sequence[str], most: int = 20) -> str:
    return ", ".join(columns[:most]) + (" ..." if len(columns) > most else "")
