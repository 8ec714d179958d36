"""How well straight lines do on the same rows: what a network must at least reach, computed in a moment.

Least squares from the inputs to the answers (for classes: to one-hot columns, the largest wins), a little ridge added.
"""

import math

import numpy as np

from gipi.doctor.finding import View
from gipi.doctor.trends import SIGNIFICANT

MOST_ROWS = 4000  # of training rows; validation the same
MOST_INPUTS = 256  # of a row; of more some are left out
MOST_CLASSES = 64
RIDGE = 1e-2  # of the mean square of an input
ROOM = 0.1  # of R squared, or of right answers, that straight lines must be ahead by to be worth a word


def ahead_of(view: View) -> dict[str, float] | None:
    """What straight lines reach and the model does not, if they are clearly ahead of it."""
    own = _own_score(view)
    found = straight_score(view) if own is not None else None
    if own is None or found is None:
        return None
    score, chance, rows = found
    error = math.sqrt(max(0.0, score * (1 - score)) / rows + max(0.0, own * (1 - own)) / rows)
    if score - max(own, 0.0) < max(ROOM, SIGNIFICANT * error) or score - chance < SIGNIFICANT * error:
        return None
    return {"straight_lines": score, "model": own}


def _own_score(view: View) -> float | None:
    """The best that the model reached on validation rows: the share of right answers, or R squared."""
    looks = [look.get("valid", {}) for look in view.history if look.get("member", 0) == 0]
    if view.target_kind == "class":
        return max((look["accuracy"] for look in looks if "accuracy" in look), default=None)
    if view.target_kind != "number" or view.y is None or "valid" not in view.parts:
        return None
    if view.options.get("loss") not in (None, "mse") or view.options.get("distribution", "point") != "point":
        return None
    spread = float(np.var(np.asarray(view.y, float)[np.asarray(view.parts["valid"])]))
    errors = [look["loss"] for look in looks if math.isfinite(look.get("loss", math.nan))]  # squares, as y is here
    return 1 - min(errors) / spread if errors and spread > 0 else None


def straight_score(view: View) -> tuple[float, float, int] | None:
    """What straight lines reach on validation rows, what chance does, of how many rows; None where it is not known.

    Of classes the shares of right answers; of numbers R squared, and 0.
    """
    if view.x is None or view.y is None or not {"train", "valid"} <= set(view.parts):
        return None
    if view.target_kind not in ("class", "number") or len(view.y) != len(view.x):
        return None
    fixed = np.random.default_rng(0)
    train, valid = (_some(np.asarray(view.parts[part]), fixed) for part in ("train", "valid"))
    if len(train) < 10 or len(valid) < 10:
        return None
    inputs, judged = _inputs(view.x, train), _inputs(view.x, valid)
    center, scale = inputs.mean(0), inputs.std(0)
    usable = np.isfinite(center) & np.isfinite(scale) & (scale > 0)
    if not usable.any():
        return None
    inputs, judged = (_filled((one[:, usable] - center[usable]) / scale[usable]) for one in (inputs, judged))
    if view.target_kind == "class":
        return _of_classes(inputs, np.asarray(view.y)[train], judged, np.asarray(view.y)[valid])
    return _of_numbers(inputs, np.asarray(view.y)[train], judged, np.asarray(view.y)[valid])


def _some(rows: np.ndarray, fixed: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= MOST_ROWS else np.sort(fixed.choice(rows, MOST_ROWS, replace=False))


def _inputs(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`(n, N)` numbers, of large pictures some of them."""
    size = int(np.prod(x.shape[1:]))
    columns = np.arange(0, size, max(1, -(-size // MOST_INPUTS)))
    return x[rows].reshape(len(rows), -1)[:, columns].astype(np.float64)


def _filled(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0.0)


def _lines(inputs: np.ndarray, targets: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Answers of the lines that fit best."""
    middle = targets.mean(0)
    square = inputs.T @ inputs
    square.flat[:: len(square) + 1] += RIDGE * len(inputs)
    return judged @ np.linalg.solve(square, inputs.T @ (targets - middle)) + middle


def _of_classes(
    inputs: np.ndarray, y: np.ndarray, judged: np.ndarray, truth: np.ndarray
) -> tuple[float, float, int] | None:
    classes = np.unique(y)
    if y.ndim != 1 or not 2 <= len(classes) <= MOST_CLASSES:
        return None
    answers = classes[_lines(inputs, (y[:, None] == classes).astype(float), judged).argmax(1)]
    _values, counts = np.unique(truth, return_counts=True)
    return float((answers == truth).mean()), float(counts.max() / len(truth)), len(truth)


def _of_numbers(
    inputs: np.ndarray, y: np.ndarray, judged: np.ndarray, truth: np.ndarray
) -> tuple[float, float, int] | None:
    y, truth = (one.reshape(len(one), -1).astype(np.float64) for one in (y, truth))
    if y.shape[1] != 1 or not (np.isfinite(y).all() and np.isfinite(truth).all()) or truth.var() == 0:
        return None
    off = np.square(_lines(inputs, y, judged) - truth).mean()
    return float(1 - off / truth.var()), 0.0, len(truth)
