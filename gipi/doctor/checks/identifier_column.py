"""A column that names the rows: what is learned from it holds for these rows alone, and for no row to come."""

import numpy as np

from gipi.data.remarks import abbreviated
from gipi.doctor.changes import without
from gipi.doctor.columns import Column, columns_of, is_table, names_rows, questions, some_rows
from gipi.doctor.finding import Finding, Remedy, View
from gipi.doctor.quick import by_one, paired_z, random_folds, unexplained
from gipi.messages import _

ROWS = 20_000
HALF = 0.5  # of the target: from then on the number of a row is the answer, as where rows lie sorted by class
SURE = 4.0  # standard errors
OWN = 0.5  # of the rows have a value of their own: nothing can be learned of most of them
WEIGHTY = 0.05  # of the target told: less harms nobody


def check(view: View) -> Finding | None:
    if not is_table(view):
        return None
    rows = some_rows(view, len(view.x) if view.x is not None else 0)
    start = np.sort(rows)[:ROWS]  # in their order: a row number counts
    columns = columns_of(view, start, left_out=view.frame is not None)
    columns = [one for one in columns if one.name not in (view.time, view.group)]
    naming = [one for one in columns if one.is_used and (names_rows(one) or _is_own(one))]
    if naming:
        return _learned(view, naming, start)
    left = [one.name for one in columns if not one.is_used and (_is_own(one) or _is_unique(one))]
    if not left:
        return None
    return Finding(
        "identifier-column",
        "note",
        {"left_out": left},
        _(
            "Each row has a value of its own in {columns}: gipi leaves such identifiers out, nothing general can be "
            "learned from them.",
            columns=abbreviated(left),
        ),
    )


def _is_unique(column: Column) -> bool:
    """Whole numbers, each once; of a column that was left out, that is enough."""
    return column.is_whole and len(column.values) >= 20 and len(np.unique(column.values)) == len(column.values)


def _is_own(column: Column) -> bool:
    """Words of which most rows have their own."""
    if column.kind != "category":
        return False
    present = column.values[~np.isnan(column.values)]
    _values, counts = np.unique(present, return_counts=True)
    return len(column.values) >= 20 and (counts == 1).sum() > OWN * len(column.values)


def _learned(view: View, naming: list[Column], rows: np.ndarray) -> Finding:
    told, name = 0.0, naming[0].name
    for _name, asked in questions(view, rows):
        fold = random_folds(len(rows))
        for one in naming:
            errors = by_one(one.values, asked, fold, one.kind == "category")
            share = 1 - unexplained(errors, asked)
            if share > told and paired_z((asked**2).sum(1), errors) > SURE:
                told, name = share, one.name
    names = [one.name for one in naming]
    said = abbreviated([f"'{one}'" for one in names])
    if told > WEIGHTY:
        cause = _(
            "{columns} only names the rows, yet '{name}' tells {share} of the target: the rows lie in an order that "
            "follows the answer, and no new row has such a number (a leak).",
            columns=said,
            name=name,
            share=f"{told:.0%}",
        )
    else:
        cause = _(
            "{columns} only names the rows (each has a value of its own): the model can learn the rows by heart from "
            "it (overfitting), and nothing that holds for new ones.",
            columns=said,
        )
    return Finding(
        "identifier-column",
        "problem" if told > HALF else "warning",
        {"columns": names, "told": float(told)},
        cause,
        (Remedy(_("Leave out {columns}.", columns=said), without(view, names)),),
    )
