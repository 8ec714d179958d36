"""A table whose column names picture files: labels beside their pictures, one label, several, or numbers.

The files are sought where the table lies, and in the folders beside it. A label whose picture is not there and a
picture that no row names are both left out, and said with their count and names.
"""

import os
from pathlib import Path

import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.layout import Place, Tree, few, is_hidden, is_picture
from gipi.data.mapped import is_mapped
from gipi.data.picture_sets import Progress, Size, read_pictures
from gipi.messages import _

SAMPLE = 100  # rows that say whether a column names pictures


def tree_beside(frame: pl.DataFrame, folder: Path) -> Tree:
    """The folders that the table's cells may lead to from the folder of the table, listed; and no others."""
    try:
        folders = sorted(
            (entry.name,) for entry in os.scandir(folder) if entry.is_dir() and not is_hidden([entry.name])
        )
    except OSError:
        folders = []
    named = {place[:-1] for column in _candidates(frame) for place in map(placed, frame[column].drop_nulls()) if place}
    files: list[Place] = []
    for place in sorted({(*above, *below) for above in ((), *folders) for below in named}):
        try:
            files += [(*place, entry.name) for entry in os.scandir(folder.joinpath(*place)) if entry.is_file()]
        except OSError:  # not there, or not to be read: its pictures are not found
            continue
    return Tree(str(folder), sorted(files), folders, lambda place: folder.joinpath(*place))


def tree_below(tree: Tree, folder: Place) -> Tree:
    """The part of a tree that lies in one of its folders."""
    depth = len(folder)
    files = [place[depth:] for place in tree.files if place[:depth] == folder]
    folders = [place[depth:] for place in tree.folders if place[:depth] == folder and len(place) > depth]
    return Tree(tree.shown, files, folders, lambda place: tree.source((*folder, *place)))


def picture_column(frame: pl.DataFrame, tree: Tree) -> tuple[str, Place] | None:
    """The first column whose values are picture files of the tree, and the folder that they are relative to.

    That is the root, or the folder in it that has most of them. None: there is no such column.
    """
    there = set(tree.files)
    for column in _candidates(frame):
        values = [placed(value) for value in frame[column].drop_nulls().head(SAMPLE)]
        found = {folder: sum((*folder, *value) in there for value in values) for folder in ((), *tree.folders)}
        best = max(found, key=lambda folder: (found[folder], -len(folder)))
        if found[best]:
            return column, best
    return None


def _candidates(frame: pl.DataFrame) -> list[str]:
    """The columns of which each value, as far as one looks, is called as pictures are."""
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    looked_at = {name: [placed(value) for value in frame[name].drop_nulls().head(SAMPLE)] for name in names}
    return [name for name, values in looked_at.items() if values and all(v and is_picture(v) for v in values)]


def placed(value: str) -> Place:
    """The steps of a path that a table names."""
    return Path(value.strip().replace("\\", "/")).parts


def pictures_of_table(
    frame: pl.DataFrame,
    tree: Tree,
    column: str,
    folder: Place = (),
    size: Size = None,
    progress: Progress | None = None,
) -> Dataset:
    """The pictures that a table's column names, relative to a folder of the tree; other columns stand beside them.

    Raises:
        DataError: No picture can be read.
    """
    notes = [_("The pictures are the files that column '{name}' names.", name=column)]
    values = [(value or "").strip() for value in frame[column].cast(pl.String)]
    places = [(*folder, *placed(value)) for value in values]
    there = set(tree.files)
    found = [n for n, place in enumerate(places) if place in there]
    lost = [values[n] or _("row {row}", row=n + 1) for n, place in enumerate(places) if place not in there]
    named = {places[n] for n in found}
    beside = {place[:-1] for place in named}
    alone = ["/".join(file) for file in tree.files if file[:-1] in beside and is_picture(file) and file not in named]
    if lost:
        notes.append(_("{count} labels have no picture and were left out: {names}.", count=len(lost), names=few(lost)))
    if alone:
        notes.append(
            _("{count} pictures have no label and were left out: {names}.", count=len(alone), names=few(alone))
        )
    names = [values[n] for n in found]
    pictures, kept = read_pictures([tree.source(places[n]) for n in found], names, size, notes, progress)
    rows = [found[i] for i in kept]
    names, on_disk = [names[i] for i in kept], is_mapped(pictures)
    return Dataset(tree.shown, frame[rows].drop(column), pictures, (), notes, mapped=on_disk, names=names)
