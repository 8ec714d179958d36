"""Copies of test or validation rows among the training rows: the figures are then better than the model is."""

from collections.abc import Sequence

import numpy as np

from gipi.doctor.copies import digests, equal_pictures, near_pictures, worth_comparing
from gipi.doctor.equal_rows import copied, nearly_copied, totals
from gipi.doctor.finding import Finding, Remedy, Severity, View
from gipi.messages import _

# By definition: a twentieth of the score is about rows that were learned by heart, as much as a usual test of
# significance lets pass; a two-hundredth is below the standard error of most scores.
MANY, SOME = 0.05, 0.005
FEW = 5  # names that are said
NEAR = 4000  # pictures that are looked for as saved anew
HELD, KNOWN = 20_000, 200_000  # rows of a table that are looked for, and among which


def check(view: View) -> Finding | None:
    held_out = [view.parts[part] for part in ("test", "valid") if part in view.parts]
    if view.x is None or not held_out or "train" not in view.parts or view.x.ndim < 2:
        return None
    rows, train = np.concatenate(held_out), view.parts["train"]
    if not len(rows) or not len(train):
        return None
    return _pictures(view, view.x, rows, train) if view.x.ndim == 4 else _rows(view, view.x, rows, train)


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _severity(share: float) -> Severity:
    return "problem" if share > MANY else "warning" if share > SOME else "note"


def _remedies() -> tuple[Remedy, ...]:
    return (Remedy(_("Remove the copies, or keep them in one part with --group.")),)


def _rows(view: View, x: np.ndarray, rows: np.ndarray, train: np.ndarray) -> Finding | None:
    told = x.reshape(len(x), -1)
    if told.dtype.kind not in "fiub":
        return None
    if view.y is not None and view.y.dtype.kind in "fiub":  # a copy has the same answer too
        told = np.concatenate([told, view.y.reshape(len(told), -1).astype(told.dtype)], 1)
    count = len(rows)
    if "text" in view.used.values():
        looked = worth_comparing(x, totals(x))
        rows, train = rows[looked[rows]], train[looked[train]]
    held, known = told[_some(rows, HELD)], told[_some(train, KNOWN)]
    (equal, exact), near = copied(held, known), 0
    times = len(rows) / max(1, len(held)) * len(train) / max(1, len(known))  # of very many rows some are looked at
    if x.dtype.kind == "f" and x.ndim == 2:
        close, looked = nearly_copied(held[~equal], known)
        near = round(close / max(1, looked) * int((~equal).sum()))
    by_chance = int(equal.sum()) - exact
    exact, near = min(len(rows), round(exact * times)), min(len(rows), round(near * times))
    copies = min(len(rows), exact + near)
    if not copies:
        return None
    return Finding(
        "duplicate-rows",
        _severity(copies / count),
        {"copies": copies, "exact": exact, "near": near, "by_chance": by_chance, "rows": count},
        _(
            "{copies} of {rows} validation and test rows are copies of training rows ({exact} exact, {near} with a "
            "little noise): the model has seen the answers, so the score flatters (a leak).",
            copies=copies,
            rows=count,
            exact=exact,
            near=near,
        ),
        _remedies(),
    )


def _pictures(view: View, x: np.ndarray, rows: np.ndarray, train: np.ndarray) -> Finding | None:
    count = len(rows)
    looked = worth_comparing(x, digests(x))
    rows, train = rows[looked[rows]], train[looked[train]]
    exact = equal_pictures(x, rows, train)
    others = rows[~np.isin(rows, [row for row, _twin in exact])]
    some = _some(others, NEAR)
    near = near_pictures(x, some, train)
    if not exact and not near:
        return None
    nearly = round(len(near) * len(others) / len(some)) if near else 0  # of very many some are looked at
    copies = len(exact) + nearly
    severity = _severity(copies / count)
    if severity == "problem" and _contradict(view, [*exact, *near]):
        severity = "warning"  # what was learned from them is wrong here: the score does not flatter
    return Finding(
        "duplicate-rows",
        severity,
        {"copies": copies, "exact": len(exact), "near": nearly, "rows": count},
        _(
            "{copies} of {rows} validation and test pictures are copies of training pictures ({exact} exact, {near} "
            "nearly), so the score flatters: {pairs}.",
            copies=copies,
            rows=count,
            exact=len(exact),
            near=nearly,
            pairs=_said([*exact, *near], view.names),
        ),
        _remedies(),
    )


def _contradict(view: View, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether most copies have another label than what they are copies of."""
    if view.y is None or view.target_kind != "class":
        return False
    first, second = np.array(pairs).T
    return bool((np.asarray(view.y)[first] != np.asarray(view.y)[second]).mean() > 0.5)


def _said(pairs: Sequence[tuple[int, int]], names: Sequence[str]) -> str:
    def name(row: int) -> str:
        return names[row] if names else _("row {row}", row=row + 1)

    said = [f"{name(row)} = {name(twin)}" for row, twin in pairs[:FEW]]
    rest = len(pairs) - len(said)
    return ", ".join(said) + (", " + _("and {count} more", count=rest) if rest else "")
