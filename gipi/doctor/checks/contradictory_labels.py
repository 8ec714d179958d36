"""Equal rows with different labels, or with numbers far apart: no model can be right on all of them.

Where columns are few and coarse, rows meet by chance and differ in what nobody wrote down; that is a note. Equal rows
of many or fine columns, or equal pictures, are the same thing labelled twice: then somebody was wrong.
"""

import numpy as np

from gipi.doctor.copies import worth_comparing
from gipi.doctor.equal_rows import MATCHED, missing_by_one, totals, twins
from gipi.doctor.finding import Finding, Remedy, Severity, View, keys
from gipi.messages import _

ROWS = 200_000  # that are looked at
MANY, VERY_MANY = 0.02, 0.1  # of the rows, by definition: a score that is a fiftieth, or a tenth, too low
FAR = 1.0  # standard deviations of the target: two rows drawn at random differ by 1.1 on average
SURE = 4.0  # standard errors


def check(view: View) -> Finding | None:
    if view.y is None or view.x is None or view.x.ndim < 2 or len(view.x) != len(view.y):
        return None
    rows = np.arange(len(view.x))[:ROWS]
    x, y = view.x[rows], np.asarray(view.y)[rows]
    is_class = view.target_kind in ("class", "labels")
    if (
        not len(rows)
        or x.dtype.kind not in "fiub"
        or y.dtype.kind not in "fiub"
        or not (is_class or view.target_kind in ("number", "normal"))
    ):
        return None
    told = totals(x) if x.ndim == 2 else keys(x)
    if x.ndim == 4 or "text" in view.used.values():
        looked = worth_comparing(x, told)  # the others are a matter of broken-inputs
        x, y, told = x[looked], y[looked], told[looked]
        if not len(x):
            return None
    _keys, group, sizes = np.unique(told, return_inverse=True, return_counts=True)
    if sizes.max() < 2:
        return None
    labels = np.unique(y.reshape(len(y), -1), axis=0, return_inverse=True)[1].ravel() if is_class else None
    differs, floor = _of_classes(group, labels) if labels is not None else _of_numbers(group, y)
    count = int(differs[group].sum())
    if not count:
        return None
    coarse = _coarse(x, group, differs)
    worse = labels is not None and _worse_than_chance(group, labels, sizes)
    severity = _severity(count / len(rows), coarse, worse)
    return Finding(
        "contradictory-labels",
        severity,
        {"rows": count, "of": len(rows), "floor": floor, "by_chance": coarse, "worse_than_chance": worse},
        _cause(is_class, count, len(rows), floor),
        (
            Remedy(_("Look at these rows and correct their labels, or remove them.")),
            Remedy(_("A column that tells them apart may be missing: add it if there is one.")),
        ),
    )


def _cause(is_class: bool, count: int, rows: int, floor: float) -> str:
    if is_class:
        return _(
            "{count} of {rows} rows are equal to a row that has another label (contradictory data): whatever the "
            "model, at least {floor} of the rows must be answered wrong.",
            count=count,
            rows=rows,
            floor=f"{floor:.1%}",
        )
    return _(
        "{count} of {rows} rows are equal to a row whose target is more than a standard deviation away (contradictory "
        "data): whatever the model, {floor} of the target's variance stay unexplained.",
        count=count,
        rows=rows,
        floor=f"{floor:.1%}",
    )


def _severity(share: float, coarse: bool, worse: bool) -> Severity:
    if share > VERY_MANY and (worse or not coarse):
        return "problem"
    return "warning" if share > MANY and (worse or not coarse) else "note"


def _of_classes(group: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Which groups of equal rows have several labels; the share of rows that no model can answer right."""
    pairs, counts = np.unique(np.stack([group, labels], 1), axis=0, return_counts=True)
    several = np.bincount(pairs[:, 0]) > 1
    most = np.zeros(len(several), np.int64)
    np.maximum.at(most, pairs[:, 0], counts)
    return several, float(1 - most.sum() / len(group))


def _of_numbers(group: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Which groups hold numbers far apart; the share of the variance that no model can explain."""
    numbers = y.reshape(len(y), -1)[:, 0].astype(np.float64)
    spread = numbers.std()
    if not np.isfinite(spread) or spread == 0:
        return np.zeros(group.max() + 1, bool), 0.0
    low, high = np.full(group.max() + 1, np.inf), np.full(group.max() + 1, -np.inf)
    np.minimum.at(low, group, numbers)
    np.maximum.at(high, group, numbers)
    means = np.bincount(group, numbers) / np.bincount(group)
    return high - low > FAR * spread, float(((numbers - means[group]) ** 2).mean() / spread**2)


def _coarse(x: np.ndarray, group: np.ndarray, differs: np.ndarray) -> bool:
    """Whether most of the rows that contradict met by chance; pictures do not."""
    if x.ndim != 2:
        return False
    places = np.flatnonzero(differs[group])
    some = np.random.default_rng(0).permutation(places)[: MATCHED // 4]
    known = np.union1d(np.random.default_rng(1).permutation(len(x))[:20_000], some)
    own = totals(x[known])
    counts = twins(totals(x[some]), own) - 1  # not itself
    return bool((missing_by_one(x[some], x[known], counts + 1) > counts).mean() > 0.5)


def _worse_than_chance(group: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether equal rows differ in their labels more often than rows drawn at random do: then some were changed."""
    inside = sizes[group] > 1
    codes, kinds = group[inside], labels[inside]
    shares = np.bincount(kinds) / len(kinds)
    chance = 1 - (shares**2).sum()
    pairs, counts = np.unique(np.stack([codes, kinds], 1), axis=0, return_counts=True)
    agree = np.bincount(pairs[:, 0], counts * (counts - 1.0), minlength=len(sizes))
    several = sizes > 1
    rates = 1 - agree[several] / (sizes[several] * (sizes[several] - 1.0))
    error = max(rates.std() / np.sqrt(len(rates)), np.sqrt(chance * (1 - chance) / len(rates)))
    return bool(error > 0 and rates.mean() > chance + SURE * error)
