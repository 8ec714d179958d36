"""A folder of pictures without classes, for what wants no labels: all that are in it, however deep.

A folder that has a folder for each class, or parts, is left to data/picture_sets.py: there the labels are known too.
"""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.images import SUFFIXES
from gipi.data.mapped import is_mapped
from gipi.data.picture_sets import read_pictures
from gipi.messages import _

Progress = Callable[[str, int, int | None], None]


def plain_folder(source: Any, size: Any = None, progress: Progress | None = None) -> Dataset | None:
    """The pictures of a folder in which some lie loose, or which has no more than one folder; None for all else.

    Args:
        source: What a person gave as data.
        size: The height and width that pictures are brought to; None: see `read_pictures`.
        progress: Told how far it is.

    Raises:
        DataError: No picture can be read.
    """
    if not isinstance(source, (str, PathLike)) or not Path(source).expanduser().is_dir():
        return None
    folder = Path(source).expanduser()
    children = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__"))]
    is_loose = any(path.is_file() and path.suffix.lower() in SUFFIXES for path in children)
    folders = [path for path in children if path.is_dir()]
    if not is_loose and (len(folders) != 1 or any(path.is_dir() for path in folders[0].iterdir())):
        return None
    tables = [path for path in children if path.suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx")]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() in SUFFIXES]
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if tables or not files:
        return None
    notes: list[str] = []
    names = [path.relative_to(folder).as_posix() for path in files]
    pictures, kept = read_pictures(files, names, size, notes, progress)
    frame = pl.DataFrame(height=len(kept))
    name, origin = folder.resolve().name, str(folder.resolve())
    notes.append(_("The folder has no folders for classes: {count} pictures without labels.", count=len(kept)))
    return Dataset(name, frame, pictures, (), notes, origin=origin, mapped=is_mapped(pictures))
