"""A few targets so far out that a squared loss is about them and hardly about the rest.

How far is measured by the median and the quartiles, which outliers do not move (Tukey 1977; Hampel 1974).
"""

import numpy as np

from gipi.doctor.finding import Finding, Plot, Remedy, Severity, View
from gipi.messages import _

FEWEST = 30  # rows; of fewer the quartiles are not known
ROWS = 200_000
FEW = 0.05  # of the rows are outliers at most; more are part of what is to be learned
FAR = 6.0  # robust standard deviations: of a normal target one in 5e8
GAP, CLEAR_GAP = 2.0, 5.0  # times as far from the median as the farthest of the rest; long tails hardly have the second
MOST, HALF = 0.9, 0.5  # of the squared distances belong to the outliers, by definition
ONE = 0.01  # of the rows
NORMAL = 1.349  # quartiles of a normal distribution lie so many standard deviations apart
BARS = 24


def check(view: View) -> Finding | None:
    if view.target_kind not in ("number", "normal", "quantiles") or view.y is None:
        return None
    y = np.asarray(view.y)
    if y.dtype.kind not in "fiu" or len(y) < FEWEST:
        return None
    y = y.reshape(len(y), -1)[:ROWS].astype(np.float64)
    for place in range(min(y.shape[1], 8)):
        if found := _one(view, y[:, place], place):
            return found
    return None


def _one(view: View, y: np.ndarray, place: int) -> Finding | None:
    y = y[np.isfinite(y)]
    if len(y) < FEWEST:
        return None
    distance, width = _distances(y)
    order = np.sort(distance)[::-1]
    if width == 0 or order[0] < FAR:
        return None
    squares = np.cumsum(order**2) / (order**2).sum()
    few = max(1, int(FEW * len(order)))
    ratios = order[:few] / np.maximum(order[1 : few + 1], 1e-12)
    ratios[order[:few] < FAR] = 0
    by_gap = int(np.argmax(ratios >= GAP)) + 1 if (ratios >= GAP).any() else 0
    if by_gap:  # the last gap of this size: all beyond it are outliers
        by_gap = int(np.flatnonzero(ratios >= GAP)[-1]) + 1
    percent = max(1, int(ONE * len(order)))
    if by_gap and squares[by_gap - 1] >= HALF:
        count, share = by_gap, float(squares[by_gap - 1])
        severity: Severity = "problem" if share >= MOST and ratios[by_gap - 1] >= CLEAR_GAP else "warning"
    elif squares[percent - 1] >= HALF:
        count, share, severity = percent, float(squares[percent - 1]), "warning"
    else:
        return None
    if view.options.get("loss") in ("huber", "mae") or view.target_kind == "quantiles":
        severity = "note"
    name = view.target[place] if place < len(view.target) else ""
    return Finding(
        "outlier-target",
        severity,
        {"rows": count, "of": len(y), "share": share, "farthest": float(order[0]), "target": name},
        _(
            "{count} of {rows} targets lie so far from all others (up to {far} robust standard deviations) that they "
            "make {share} of the squared loss: the model learns these outliers, not the rest.",
            count=count,
            rows=len(y),
            far=f"{order[0]:.0f}",
            share=f"{share:.0%}",
        ),
        _remedies(view),
        _histogram(y),
    )


def _distances(y: np.ndarray) -> tuple[np.ndarray, float]:
    """Distances from the median in robust standard deviations, and what such a deviation is; 0: there is none."""
    low, middle, high = np.quantile(y, (0.25, 0.5, 0.75))
    width = (high - low) / NORMAL
    if width == 0:  # more than half of the rows are alike, as where most targets are zero: by those that are not
        others = np.abs(y[y != middle] - middle)
        width = float(np.median(others)) if len(others) > FEW * len(y) else 0.0
    return np.abs(y - middle) / (width or 1.0), float(width)


def _remedies(view: View) -> tuple[Remedy, ...]:
    look = Remedy(_("Look at these rows: a wrong unit or a code for a missing value has to be corrected or removed."))
    if view.target_kind != "number" or view.options.get("loss") in ("huber", "mae"):
        return (look,)
    text = _("Use a loss that grows in proportion to the error, not to its square: --loss huber")
    return Remedy(text, {"loss": "huber"}), look


def _histogram(y: np.ndarray) -> Plot:
    counts, edges = np.histogram(y, BARS)
    title = _("targets as they are learned, on how many rows (logarithm to base 10 of 1 + rows)")
    return Plot(title, {_("rows"): np.log10(1 + counts).tolist()}, labels=[f"{edge:.3g}" for edge in edges[:-1]])
