"""Copies of test or validation rows among the training rows: the figures are then better than the model is."""

from collections.abc import Sequence

import numpy as np

from gipi.doctor.copies import equal_pictures, near_pictures
from gipi.doctor.equal_rows import copied, nearly_copied
from gipi.doctor.finding import Finding, Remedy, Severity, View
from gipi.messages import _

# By definition: a twentieth of the score is about rows that were learned by heart, as much as a usual test of
# significance lets pass; a two-hundredth is below the standard error of most scores.
MANY, SOME = 0.05, 0.005
FEW = 5  # names that are said


def check(view: View) -> Finding | None:
    held_out = [view.parts[part] for part in ("test", "valid") if part in view.parts]
    if view.x is None or not held_out or "train" not in view.parts or view.x.ndim < 2:
        return None
    rows, train = np.concatenate(held_out), view.parts["train"]
    if not len(rows) or not len(train):
        return None
    return _pictures(view, view.x, rows, train) if view.x.ndim == 4 else _rows(view, view.x, rows, train)


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
    held, known = told[rows], told[train]
    (equal, exact), near = copied(held, known), 0
    if x.dtype.kind == "f" and x.ndim == 2:
        close, looked = nearly_copied(held[~equal], known)
        near = round(close / max(1, looked) * int((~equal).sum()))
    copies = exact + near
    if not copies:
        return None
    return Finding(
        "duplicate-rows",
        _severity(copies / len(rows)),
        {"copies": copies, "exact": exact, "near": near, "by_chance": int(equal.sum()) - exact, "rows": len(rows)},
        _(
            "{copies} of {rows} validation and test rows are copies of training rows ({exact} exact, {near} with a "
            "little noise): the model has seen the answers, so the score flatters (a leak).",
            copies=copies,
            rows=len(rows),
            exact=exact,
            near=near,
        ),
        _remedies(),
    )


def _pictures(view: View, x: np.ndarray, rows: np.ndarray, train: np.ndarray) -> Finding | None:
    exact = equal_pictures(x, rows, train)
    others = rows[~np.isin(rows, [row for row, _twin in exact])]
    near = near_pictures(x, others, train)
    if not exact and not near:
        return None
    copies = len(exact) + len(near)
    return Finding(
        "duplicate-rows",
        _severity(copies / len(rows)),
        {"copies": copies, "exact": len(exact), "near": len(near), "rows": len(rows)},
        _(
            "{copies} of {rows} validation and test pictures are copies of training pictures ({exact} exact, {near} "
            "nearly), so the score flatters: {pairs}.",
            copies=copies,
            rows=len(rows),
            exact=len(exact),
            near=len(near),
            pairs=_said([*exact, *near], view.names),
        ),
        _remedies(),
    )


def _said(pairs: Sequence[tuple[int, int]], names: Sequence[str]) -> str:
    def name(row: int) -> str:
        return names[row] if names else _("row {row}", row=row + 1)

    said = [f"{name(row)} = {name(twin)}" for row, twin in pairs[:FEW]]
    rest = len(pairs) - len(said)
    return ", ".join(said) + (", " + _("and {count} more", count=rest) if rest else "")
