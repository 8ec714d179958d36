"""Rows lie in time and parts were drawn at random: each test row has neighbours in training that half tell its answer.

The same quick model is judged twice: on rows drawn at random, and on whole stretches of time that it did not see, as
the rows to come will be (Bergmeir and Benitez, "On the use of cross-validation for time series", 2012). Where the
first is far better than the second, the score of the run flatters by as much.
"""

import re

import numpy as np

from gipi.doctor.columns import Column, columns_of, is_table, matrix, questions, some_rows, words_of
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.quick import by_many, by_one, random_folds, unexplained
from gipi.messages import _

FEWEST = 60  # rows
ROWS = 1200  # that the quick models see
STRETCH = 50  # neighbours in time that are taken together where there are more rows
BLOCKS = 4  # of time, each predicted from the others
GROUPS = 25  # of neighbours, over which the difference is averaged: neighbours are not independent
SURE = 3.5  # standard errors of 25 means: a chance of 1e-3 (t-distribution)
FLATTERED, DOUBLE = 1.25, 2.0  # times as much is left unexplained: a quarter more costs something; twice, by definition
SCORED = 0.5  # share of test rows that lie between training rows: else the parts are cut by time already
REGULAR = 0.9  # share of equal distances by which a column of numbers counts time
NAMES = frozenset(
    {"time", "timestamp", "date", "datetime", "day", "week", "month", "year", "hour", "t", "period", "instant"}
)
KOREAN = r"날짜|일자|시각|시간|일시|연도|년도|연월"


def check(view: View) -> Finding | None:
    if view.time or view.group or not is_table(view) or view.frame is None or "train" not in view.parts:
        return None
    rows = some_rows(view, 1 << 20)
    if len(rows) < FEWEST:
        return None
    clock = _clock(columns_of(view, rows, left_out=True))
    if clock is None or not _are_mixed(view, rows, clock.values):
        return None
    order = np.argsort(clock.values, kind="stable")
    chosen = _stretches(order)
    some = rows[order[chosen]]  # in the order of time
    columns = columns_of(view, some)
    for _name, asked in questions(view, some):
        if found := _compared(clock.name, matrix(columns), asked):
            return found
    return None


def _clock(columns: list[Column]) -> Column | None:
    """The column that says when a row was: of dates, or of numbers that count time in equal steps."""
    for column in columns:
        if column.kind == "date" and not np.isnan(column.values).any() and len(np.unique(column.values)) >= BLOCKS * 4:
            return column
    for column in columns:
        is_named = bool(NAMES & set(words_of(column.name))) or re.search(KOREAN, column.name) is not None
        if column.kind != "number" or not is_named or np.isnan(column.values).any():
            continue
        steps = np.diff(np.unique(column.values))
        if len(steps) + 1 >= REGULAR * len(column.values) and (steps == np.median(steps)).mean() >= REGULAR:
            return column
    return None


def _are_mixed(view: View, rows: np.ndarray, times: np.ndarray) -> bool:
    """Whether most test rows lie before the last training row."""
    held = [view.parts[part] for part in ("test", "valid") if part in view.parts]
    if not held:
        return False
    is_train = np.isin(rows, view.parts["train"])
    latest = times[is_train].max() if is_train.any() else -np.inf
    return bool((times[~is_train] < latest).mean() > SCORED) if (~is_train).any() else False


def _stretches(order: np.ndarray) -> np.ndarray:
    """Places in time of the rows that are looked at: all, or stretches of neighbours."""
    if len(order) <= ROWS:
        return np.arange(len(order))
    starts = np.linspace(0, len(order) - STRETCH, ROWS // STRETCH).astype(int)
    return np.unique((starts[:, None] + np.arange(STRETCH)).ravel())


def _compared(name: str, x: np.ndarray, asked: np.ndarray) -> Finding | None:
    count = len(asked)
    time = np.arange(count) / count  # an input, or as good as one: what rows of one day share tells the day
    x = np.concatenate([x, time[:, None].astype(np.float32)], 1)

    def judged(fold: np.ndarray) -> np.ndarray:
        return min(by_many(x, asked, fold), by_one(time, asked, fold), key=lambda errors: errors.sum())

    mixed, apart = judged(random_folds(count, 0, BLOCKS)), judged(np.arange(count) * BLOCKS // count)
    means = np.array([part.mean() for part in np.array_split(apart - mixed, GROUPS)])
    error = means.std(ddof=1) / np.sqrt(GROUPS)
    left, left_apart = unexplained(mixed, asked), unexplained(apart, asked)
    if means.mean() < SURE * error or left_apart < FLATTERED * left or left > 0.9:
        return None
    return Finding(
        "time-leak",
        "problem" if left_apart >= DOUBLE * left else "warning",
        {"column": name, "told_at_random": 1 - left, "told_by_time": 1 - left_apart},
        _(
            "Rows that are neighbours in time ('{column}') stand in training and in test, and their targets are alike: "
            "a quick model tells {mixed} of the target on random rows, but {apart} on stretches of time that it has "
            "not seen, so the score flatters (a leak through time).",
            column=name,
            mixed=f"{max(0.0, 1 - left):.0%}",
            apart=f"{max(0.0, 1 - left_apart):.0%}",
        ),
        (Remedy(_("Let the latest rows be the test part: --time {column}", column=name), {"time": name}),),
        Plot(
            _("share of the target that a quick model tells"),
            {_("share"): [1 - left, 1 - left_apart]},
            labels=[_("random rows"), _("stretches of time")],
        ),
    )
