"""Reads the files of named sets of texts: an archive of classes, parallel files, tables of rows without much ado."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from gipi.data.catalog import Entry
from gipi.data.dataset import Dataset
from gipi.data.texts import open_pairs, part_of, stem_of
from gipi.data.zips import open_zip
from gipi.errors import DataError
from gipi.messages import _


def read_archive(_entry: Entry, paths: list[Path]) -> Dataset:
    return open_zip(paths[0])


def read_parallel(entry: Entry, paths: list[Path]) -> Dataset:
    return open_pairs(list(zip(paths[::2], paths[1::2], strict=True)), entry.name)


def read_rows(entry: Entry, paths: list[Path]) -> Dataset:
    """Files with the same columns, one below the other; those called train, dev and test are the parts."""
    frames = [_records(path, entry) if path.suffix == ".json" else _table(path, entry) for path in paths]
    counts = [frame.height for frame in frames]
    frame = pl.concat(frames)
    if entry.classes:
        (name,) = entry.target
        numbers = {str(number): known for number, known in enumerate(entry.classes, 1)}
        frame = frame.with_columns(pl.col(name).replace_strict(numbers, return_dtype=pl.String))
    places = np.split(np.arange(frame.height), np.cumsum(counts)[:-1])
    parts = {part_of(stem_of(path)): rows for path, rows in zip(paths, places, strict=True)} if len(paths) > 1 else {}
    return Dataset(entry.name, frame, None, entry.target, [], parts)


def _table(path: Path, entry: Entry) -> pl.DataFrame:
    """Tabs and no quotes, or commas; all cells are text."""
    names = {"has_header": False, "new_columns": list(entry.columns)} if entry.columns else {}
    is_tabs = path.suffix == ".tsv"
    own = {"separator": "\t", "quote_char": None} if is_tabs else {}
    frame = pl.read_csv(path, infer_schema=False, **own, **names)
    return frame.drop(entry.drop)


def _records(path: Path, entry: Entry) -> pl.DataFrame:
    """A list of records, whose answers may be one level further down."""
    records = json.loads(path.read_text(encoding="utf-8"))
    rows = [{**record, **record.get("labels", {})} for record in records]
    return pl.DataFrame([{name: row[name] for name in (*entry.text, *entry.target)} for row in rows])


def refuse_running(entry: Entry, _paths: list[Path]) -> Dataset:
    if entry.form == "tags":
        raise DataError(_("{name} has a tag for each word: it is for `gipi fit {name} --task tag`.", name=entry.name))
    raise DataError(
        _(
            "{path} is running text: it has no rows with answers. `gipi fit {path}` learns to write such text; to "
            "tell texts apart, give a table with a column of texts, or a folder of text files for each class.",
            path=entry.name,
        )
    )
