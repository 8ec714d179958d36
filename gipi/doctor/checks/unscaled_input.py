"""Numbers that reach the network far larger than 1, or columns of very different size.

Initial weights are made for inputs of mean 0 and variance 1 (LeCun et al., "Efficient BackProp", 1998, section 4.3;
Glorot 2010; He 2015). The step size must fit the steepest direction of the loss: where one column is r times as large
as another, steepness differs by r squared, and what is right for one is far too small for the other.
"""

import numpy as np

from gipi.doctor.finding import Finding, Plot, Remedy, Severity, View
from gipi.messages import _

ROWS = 5000
# Root mean square of a column, or ratio of the largest to the usual one. Steepness goes with the square: 100 and 10,000
# times, as many steps does plain gradient descent take longer (its condition number; Nocedal and Wright, section 3.3).
LARGE, HUGE = 10.0, 100.0
SHOWN = 20


def check(view: View) -> Finding | None:
    if view.x is None or view.x.ndim < 2 or not len(view.x) or view.x.dtype.kind != "f":
        return None  # codes, tokens; bytes of pictures are scaled on their way
    if view.options.get("scale", "none") != "none" or "text" in view.used.values():
        return None
    rows = view.parts.get("train", np.arange(len(view.x)))
    x = view.x[rows[:: max(1, len(rows) // ROWS)]].astype(np.float64)
    if not len(x):
        return None
    columns = _sizes(view, x)
    columns = columns[np.isfinite(columns) & (columns > 0)]
    answer = _target(view, rows)
    largest = float(columns.max(initial=0.0))
    ratio = largest / float(np.median(columns)) if len(columns) else 1.0
    worst = max(largest, answer)
    if worst < LARGE:
        return None
    severity: Severity = "problem" if worst >= HUGE else "warning"
    return Finding(
        "unscaled-input",
        severity,
        {"largest": largest, "times_the_usual": ratio, "target": answer},
        _cause(largest, ratio, answer),
        _remedies(view),
        Plot(
            _("size of the numbers that reach the network (root mean square, logarithm to base 10), largest first"),
            {_("size"): np.log10(np.sort(columns)[::-1][:SHOWN]).tolist()},
            labels=[str(n + 1) for n in range(min(SHOWN, len(columns)))],
            limit=0.0,
        )
        if len(columns)
        else None,
    )


def _sizes(view: View, x: np.ndarray) -> np.ndarray:
    """The root mean square of each numeric column, of each channel of pictures."""
    if x.ndim == 2:
        coded = sum(kind == "category" for kind in view.used.values())  # codes stand last, and are looked up
        x = x[:, : x.shape[1] - coded] if coded < x.shape[1] else x[:, :0]
        return np.sqrt((x**2).mean(0))
    return np.sqrt((x**2).mean(axis=(0, *range(2, x.ndim))))


def _target(view: View, rows: np.ndarray) -> float:
    """How large the numbers are that the network has to answer."""
    if view.y is None or view.target_kind not in ("number", "normal", "quantiles"):
        return 0.0
    y = np.asarray(view.y)[rows]
    if y.dtype.kind not in "fiu":
        return 0.0
    y = y.astype(np.float64)
    size = float(np.sqrt((y**2).mean())) if len(y) else 0.0
    return size if np.isfinite(size) else 0.0


def _cause(largest: float, ratio: float, answer: float) -> str:
    if answer > largest:
        return _(
            "The targets are not scaled (about {size}, where the network starts near 0): the loss begins huge, and the "
            "step size that fits other numbers is far too small or too large.",
            size=f"{answer:.3g}",
        )
    if ratio >= LARGE:
        return _(
            "The inputs are not scaled: the largest column is about {size}, {ratio} times the usual one, so no one "
            "step size fits all weights (the loss is a narrow valley).",
            size=f"{largest:.3g}",
            ratio=f"{ratio:.3g}",
        )
    return _(
        "The inputs are not scaled: they are about {size}, where weights are initialised for about 1, so activations "
        "and gradients begin that much too large.",
        size=f"{largest:.3g}",
    )


def _remedies(view: View) -> tuple[Remedy, ...]:
    if "scale" not in view.options:
        text = _("Subtract the mean of each input column over the training rows, and divide by its standard deviation.")
        return (Remedy(text),)
    text = _("Let gipi center and scale the numbers by the training rows: --scale standard")
    return (Remedy(text, {"scale": "standard"}),)
