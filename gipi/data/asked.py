"""Texts that a model is asked about, in whatever form they come."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.tables import open_table
from gipi.data.texts import clean
from gipi.errors import DataError
from gipi.messages import _

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx")


def texts_asked(rows: Any, name: str) -> list[str]:
    """One text or many as a list: a text, texts, records or a frame with a column of this name, a file of any of them.

    A file of the kind .txt has a text on each line.

    Raises:
        DataError: Something in it is no text.

    Example:
        >>> texts_asked("Seoul", "text"), texts_asked([{"text": "Seoul"}, "Busan"], "text")
        (['Seoul'], ['Seoul', 'Busan'])
    """
    if isinstance(rows, Dataset):
        rows = rows.frame
    if isinstance(rows, (str, Path)) and (path := _file(rows)):
        rows = path.read_text("utf-8-sig").splitlines() if path.suffix == ".txt" else open_table(path).frame
    if isinstance(rows, pl.DataFrame):
        if name not in rows.columns:
            came = ", ".join(rows.columns[:12])
            raise DataError(_("column '{name}' is missing; the columns are: {came}", name=name, came=came))
        rows = rows[name]
    if isinstance(rows, (np.ndarray, pl.Series)):
        rows = rows.tolist() if isinstance(rows, np.ndarray) else rows.to_list()
    if isinstance(rows, (str, Mapping)):
        rows = [rows]
    if not isinstance(rows, (list, tuple)):
        raise DataError(_("a text or several were expected; {came} came", came=repr(rows)[:60]))
    return [_text(row, name, number) for number, row in enumerate(rows, 1)]


def _text(row: Any, name: str, number: int) -> str:
    said = row.get(name) if isinstance(row, Mapping) else row
    if said is None and isinstance(row, Mapping) and name in row:
        said = ""  # a gap
    if not isinstance(said, str):
        raise DataError(
            _("row {row} is {came}; texts were expected: {names}", row=number, came=repr(row)[:60], names=name)
        )
    return clean(said)


def _file(text: str | Path) -> Path | None:
    """The file that is meant, if one is there."""
    try:
        path = Path(text).expanduser()
        is_meant = path.suffix.lower() in (".txt", *TABLES) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long for a name, or with a letter that no name has
        return None
    return path if is_meant else None
