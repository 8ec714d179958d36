"""A target with several labels in a cell, as one column of yes or no for each label.

Tables write them in one cell, `beach;sea` or `beach|sea`; JSON writes lists. Learning knows labels as columns that hold
0 or 1, so that is what the column becomes. A cell without any label says that there is none, if it is an empty list;
an empty cell says nothing, and its row is left out as any row without a target.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.layout import few
from gipi.errors import DataError
from gipi.messages import _

SEPARATORS = (";", "|")
MOST = 1000  # labels


def spread(data: Dataset) -> Dataset:
    """The data set, its one target turned into a column for each label if its cells hold several.

    Raises:
        DataError: A label is also the name of a column, or there are too many labels.

    Example:
        >>> frame = pl.DataFrame({"tags": ["sea;sun", "sea", "sun", "sea;sun"]})
        >>> spread(Dataset("photos", frame, target=("tags",))).frame.row(0, named=True)
        {'sea': 1, 'sun': 1}
    """
    if len(data.target) != 1:
        return data
    (name,) = data.target
    lists = _lists(data.frame[name])
    if lists is None:
        return data
    labels = _labels(lists)
    data = _with_columns(data, name, lists, labels)
    note = _(
        "The column '{name}' holds several labels in a cell; each became a column of 0 and 1: {labels}.",
        name=name,
        labels=few(labels, 12),
    )
    return replace(data, target=tuple(labels), notes=[*data.notes, note])


def spread_like(data: Dataset, labels: Sequence[str]) -> Dataset:
    """The data set with these labels as columns, from the one column of several labels that has them; else as it is.

    For rows that come later, to a model or as a part: `labels` are those of the training rows.

    Raises:
        DataError: A cell has a label that is not among them.
    """
    if len(labels) < 2 or all(label in data.frame.columns for label in labels):
        return data
    for name in data.frame.columns:
        lists = _lists(data.frame[name], labels)
        if lists is None:
            continue
        unknown = [label for label in _labels(lists) if label not in labels]
        if unknown:
            raise DataError(
                _(
                    "The label '{label}' in column '{name}' is not known; known are: {labels}.",
                    label=unknown[0],
                    name=name,
                    labels=few(labels, 12),
                )
            )
        return _with_columns(data, name, lists, labels)
    return data


def without_lists(data: Dataset) -> Dataset:
    """The data set without columns of lists, which nobody learns from; they are said."""
    nested = [name for name, dtype in data.frame.schema.items() if isinstance(dtype, pl.List)]
    if not nested:
        return data
    note = _("left out, because their cells are lists: {names}", names=few(nested))
    return replace(data, frame=data.frame.drop(nested), notes=[*data.notes, note])


def _lists(column: pl.Series, known: Sequence[str] = ()) -> pl.Series | None:
    """The labels of each cell; None if the cells do not hold several. `known`: what the labels may be."""
    if isinstance(column.dtype, pl.List):
        lists = column.cast(pl.List(pl.String))
        return lists if not known or set(_labels(lists)) & set(known) else None
    if column.dtype != pl.String:
        return None
    mark = next((mark for mark in SEPARATORS if _is_split_by(column.drop_nulls().unique(), mark, known)), None)
    return None if mark is None else _split(column, mark)


def _is_split_by(cells: pl.Series, mark: str, known: Sequence[str]) -> bool:
    """Whether a mark separates labels in these cells: so that words come in combinations, or are those that are known.

    "Rock", "Pop", "Rock;Pop" are two labels; "Seoul;Korea" and "Busan;Japan" are two names.
    """
    several = cells.str.contains(mark, literal=True)
    words = set(_labels(_split(cells, mark)))
    if known:
        return bool(words) and (words <= set(known) or (several.any() and bool(words & set(known))))
    if not several.any():
        return False
    alone = set(cells.filter(~several).str.strip_chars().to_list())
    return len(words) < len(cells) or bool(alone & set(_labels(_split(cells.filter(several), mark))))


def _split(column: pl.Series, mark: str) -> pl.Series:
    """An empty cell is missing; empty words between two marks are nothing."""
    text = column.str.strip_chars()
    words = text.str.split(mark).list.eval(pl.element().str.strip_chars())
    words = words.list.eval(pl.element().filter(pl.element() != ""))
    return words.to_frame().select(pl.when((text == "").fill_null(True)).then(None).otherwise(pl.first())).to_series()


def _labels(lists: pl.Series) -> list[str]:
    return sorted(lists.explode().drop_nulls().unique().to_list())


def _with_columns(data: Dataset, name: str, lists: pl.Series, labels: Sequence[str]) -> Dataset:
    if len(labels) > MOST:
        raise DataError(
            _(
                "the column '{name}' holds {count} different labels; the most is {most}.",
                name=name,
                count=len(labels),
                most=MOST,
            )
        )
    others = [column for column in data.frame.columns if column != name]
    if twice := [label for label in labels if label in others]:
        raise DataError(
            _(
                "The label '{label}' in column '{name}' is also the name of a column; rename one of them.",
                label=twice[0],
                name=name,
            )
        )
    columns = [lists.list.contains(label).cast(pl.Int64).alias(label) for label in labels]
    return replace(data, frame=data.frame.drop(name).with_columns(columns))
