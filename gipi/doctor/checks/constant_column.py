"""A column that says the same of nearly every row, or nothing: there is nothing to learn from it."""

import numpy as np

from gipi.data.remarks import abbreviated
from gipi.doctor.changes import without
from gipi.doctor.columns import Column, columns_of, is_table, some_rows
from gipi.doctor.finding import Finding, Remedy, View
from gipi.messages import _

ROWS = 20_000
# Rows that differ from all others, or have a value at all: with fewer a share of one half is known to no better than
# 0.22 (its standard error, sqrt(0.25 / 5)), so whatever is learned of them is chance.
FEWEST = 5
EMPTY = 0.95  # of the values are missing; the ratio of 95 to 5 is that of Kuhn's caret for columns hardly worth having


def check(view: View) -> Finding | None:
    if not is_table(view) or "train" not in view.parts:
        return None
    rows = some_rows(view, ROWS, ("train",))
    if len(rows) < 4 * FEWEST:
        return None
    columns = columns_of(view, rows, left_out=view.frame is not None)
    constant, nearly, empty = [], [], []
    for column in columns:
        gaps, most = _most(column)
        if gaps == len(rows) or most == len(rows):
            constant.append(column.name)
        elif gaps > EMPTY * len(rows) or len(rows) - gaps < FEWEST:
            empty.append(column.name)
        elif len(rows) - max(most, gaps) < FEWEST:
            nearly.append(column.name)
    if not constant and not nearly and not empty:
        return None
    said = []
    if constant:
        said.append(_("constant: {columns}", columns=abbreviated(constant)))
    if nearly:
        said.append(_("the same but for fewer than {count} rows: {columns}", count=FEWEST, columns=abbreviated(nearly)))
    if empty:
        said.append(_("nearly empty: {columns}", columns=abbreviated(empty)))
    return Finding(
        "constant-column",
        "note",
        {"constant": constant, "nearly": nearly, "empty": empty},
        _(
            "Columns of the training data in which there is nothing to learn from ({said}): they cost parameters, and "
            "what is learned from the few rows that differ is chance.",
            said="; ".join(said),
        ),
        (
            Remedy(
                _("Leave these columns out, or find out why they are empty or all the same."),
                without(view, [name for name in (*constant, *nearly, *empty) if name in view.used]),
            ),
        ),
    )


def _most(column: Column) -> tuple[int, int]:
    """How many gaps, and how many rows have the most frequent value."""
    gaps = np.isnan(column.values)
    present = column.values[~gaps]
    if not len(present):
        return len(column.values), 0
    return int(gaps.sum()), int(np.unique(present, return_counts=True)[1].max())
