"""What a zip holds, opened as a folder of the same files would be: classes, a table, IDX, CIFAR's batches."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from gipi.data.archives import Archive, opened
from gipi.data.cifar import is_cifar, pictures_of_cifar
from gipi.data.dataset import Dataset
from gipi.data.idx import is_idx, pictures_of_idx
from gipi.data.layout import Place, few, is_picture
from gipi.data.picture_sets import pictures_of_tree
from gipi.data.picture_tables import picture_column, pictures_of_table, tree_below
from gipi.data.tables import read_table
from gipi.data.text_sets import texts_of_tree
from gipi.errors import DataError
from gipi.messages import _

TABLES = (".csv", ".tsv", ".parquet", ".xlsx", ".jsonl", ".ndjson")  # that may name pictures beside them
Progress = Callable[[str, int, int | None], None]


def open_zip(path: Path, size: Any = None, separator: str | None = None, progress: Progress | None = None) -> Dataset:
    """The pictures or texts in a zip; see `sources.open_data` for the arguments.

    Raises:
        DataError: It is no zip, one that is not to be trusted (archives.py), or holds nothing with labels.
    """
    with opened(path) as archive:
        data = _data_of(archive, size, separator, progress)
    data.name, data.origin = path.stem, str(path.resolve())
    data.notes = [*archive.notes, *data.notes]
    return data


def _data_of(archive: Archive, size: Any, separator: str | None, progress: Progress | None) -> Dataset:
    tree = archive.tree
    if idx := [place for place in tree.files if is_idx(Path(place[-1]))]:
        return pictures_of_idx(zipfile.Path(archive.file, "".join(f"{step}/" for step in idx[0][:-1])))
    if is_cifar(place[-1] for place in tree.files):
        return pictures_of_cifar(
            {place[-1]: lambda place=place: archive.read(place) for place in tree.files}, tree.shown
        )
    if not any(map(is_picture, tree.files)):
        if (data := texts_of_tree(tree, archive.read, progress)) is not None:
            return data
        raise DataError(
            _(
                "{path}: the archive holds neither pictures nor texts of several classes, but {names}; unpack it and "
                "give the file that is meant.",
                path=archive.path,
                names=few([place[-1] for place in tree.files]) or _("nothing"),
            )
        )
    try:
        return pictures_of_tree(tree, size, progress)
    except DataError as error:
        tables = [place for place in tree.files if Path(place[-1]).suffix.lower() in TABLES]
        if len(tables) != 1:
            names = ", ".join("/".join(place) for place in tables)
            more = " " + _("Of its tables {names} none is plainly the one: unpack it.", names=names) if tables else ""
            raise DataError(str(error) + more) from None
        data = _pictures_of_table(archive, tables[0], size, separator, progress)
        if data is None:
            raise
        return data


def _pictures_of_table(
    archive: Archive, place: Place, size: Any, separator: str | None, progress: Progress | None
) -> Dataset | None:
    """The pictures that the table at this place in the archive names; None: it names none."""
    frame, notes = _table(archive, place, separator)
    tree = tree_below(archive.tree, place[:-1])
    found = picture_column(frame, tree)
    if found is None:
        return None
    data = pictures_of_table(frame, tree, *found, size, progress)
    data.notes = [*notes, *data.notes]
    return data


def _table(archive: Archive, place: Place, separator: str | None) -> tuple[pl.DataFrame, list[str]]:
    """Tables are read from files: it goes into one for as long as that takes, under the last step of its name."""
    with tempfile.TemporaryDirectory(prefix="gipi-") as folder:
        path = Path(folder) / place[-1]
        path.write_bytes(archive.read(place))
        return read_table(path, separator=separator)
