"""Rows of one patient, user or device stand in training and in test: the model knows them, as it will not know others.

The same quick model is judged on rows drawn at random and on whole groups that it did not see (Saeb et al., "The need
to approximate the use-case in clinical machine learning", 2017, who found errors several times larger).
"""

import numpy as np

from gipi.doctor.columns import Column, columns_of, is_table, matrix, names_owners, questions, some_rows
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.quick import by_many, by_one, random_folds, unexplained
from gipi.messages import _

FEWEST = 60  # rows
ROWS = 1000  # that the quick models see
GROUPS = 5  # at least; a mean over fewer has no standard error to trust
MANY = 20  # distinct values, from which on a column that is not called so may name groups
EACH = 2  # rows of a group on average, at least
BUNDLES = 25  # of groups, over which the difference is averaged
SURE = 3.5  # standard errors of 25 means: a chance of 1e-3 (t-distribution)
FLATTERED, HALF_MORE = 1.25, 1.5  # times as much is left unexplained on groups that are new
MOST = 3  # columns that are tried
TOLD = 0.02  # of the target by the group alone: with less there is nothing to leak


def check(view: View) -> Finding | None:
    if view.group or view.time or view.frame is None or not is_table(view) or "train" not in view.parts:
        return None
    rows = some_rows(view, 20_000)
    columns = columns_of(view, rows, left_out=True)
    candidates = [one for one in columns if _may_be_groups(one)]
    candidates.sort(key=lambda one: not names_owners(one.name))
    worst: tuple[float, Finding] | None = None
    for group in candidates[:MOST]:
        found = _compared(view, rows, group) if _stand_in_both(view, rows, group.values) else None
        if found and (worst is None or found[0] > worst[0]):
            worst = found
    return worst[1] if worst else None


def _may_be_groups(column: Column) -> bool:
    if column.kind == "date" or not (column.kind == "category" or column.is_whole):
        return False
    is_named = names_owners(column.name)
    if column.kind != "category" and not is_named:
        return False
    present = column.values[~np.isnan(column.values)]
    count = len(np.unique(present))
    return count >= (GROUPS if is_named else MANY) and len(present) >= max(FEWEST, EACH * count)


def _stand_in_both(view: View, rows: np.ndarray, groups: np.ndarray) -> bool:
    """Whether most rows that are held out belong to a group that training rows have."""
    is_train = np.isin(rows, view.parts["train"])
    held = groups[~is_train & ~np.isnan(groups)]
    return len(held) > 0 and bool(np.isin(held, groups[is_train]).mean() > 0.5)


def _compared(view: View, rows: np.ndarray, group: Column) -> tuple[float, Finding] | None:
    names, codes = np.unique(np.nan_to_num(group.values, nan=-np.inf), return_inverse=True)
    random = np.random.default_rng(0)
    order = random.permutation(len(names))
    place = np.argsort(order)[codes]  # a random number of each row's group
    few = np.flatnonzero(np.cumsum(np.bincount(place)) <= ROWS)
    chosen = np.flatnonzero(place < max(2 * GROUPS, len(few)))[: 2 * ROWS]
    place, some = place[chosen], rows[chosen]
    is_named = names_owners(group.name)
    inputs = [one for one in columns_of(view, some) if is_named or one.name != group.name]
    worst = None
    for _name, asked in questions(view, some):
        by_group = by_one(place.astype(np.float64), asked, random_folds(len(some)), True)
        if not inputs or 1 - unexplained(by_group, asked) < TOLD:
            continue
        x = matrix(inputs)
        mixed = by_many(x, asked, random_folds(len(some)))
        apart = by_many(x, asked, place % 3)
        bundles = place % min(BUNDLES, len(np.unique(place)))
        difference = np.bincount(bundles, apart - mixed) / np.maximum(1, np.bincount(bundles))
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        left, left_apart = unexplained(mixed, asked), unexplained(apart, asked)
        if difference.mean() > SURE * error and left_apart > FLATTERED * left and left < 0.9:
            ratio = left_apart / left
            if worst is None or ratio > worst[0]:
                worst = ratio, _finding(group.name, is_named, left, left_apart, len(names))
    return worst


def _finding(name: str, is_named: bool, left: float, left_apart: float, count: int) -> Finding:
    return Finding(
        "group-leak",
        "problem" if is_named and left_apart >= HALF_MORE * left else "warning",
        {"column": name, "groups": count, "told_at_random": 1 - left, "told_of_new_groups": 1 - left_apart},
        _(
            "Rows of one '{column}' stand in training and in test: a quick model tells {mixed} of the target on random "
            "rows, but {apart} on groups that it has not seen, so the score flatters if new ones will come (a leak "
            "through groups).",
            column=name,
            mixed=f"{max(0.0, 1 - left):.0%}",
            apart=f"{max(0.0, 1 - left_apart):.0%}",
        ),
        (Remedy(_("Keep the rows of one group in one part: --group {column}", column=name), {"group": name}),),
        Plot(
            _("share of the target that a quick model tells"),
            {_("share"): [1 - left, 1 - left_apart]},
            labels=[_("random rows"), _("new groups")],
        ),
    )
