"""Two models on the same rows: how far apart they are, with an interval, and how often chance alone does that.

Classes by the exact McNemar test and Newcombe's interval; numbers, labels and weighted rows by a paired bootstrap.
"""

import math

import numpy as np

from gipi.tasks.baselines import Kind
from gipi.tasks.intervals import Array, Metric, Resample, wilson

RESAMPLES = 2000  # so that the smallest p value is 0.001


def pair(
    ours: Array, theirs: Array, y: Array, kind: Kind, weight: Array | None = None, seed: int = 0
) -> tuple[Metric, float]:
    """Ours minus theirs in a scale where more is better, with its interval, and the p value."""
    if kind == "classify" and weight is None:
        right, other = ours.argmax(1) == y, theirs.argmax(1) == y
        return paired_shares(right, other), mcnemar(int((right & ~other).sum()), int((~right & other).sum()))
    rows = len(y)
    resample = Resample(rows, RESAMPLES, seed)
    w = np.ones((rows, 1)) if weight is None else np.asarray(weight, np.float64)[:, None]
    if kind == "classify":
        features = [(p.argmax(1) == y)[:, None] for p in (ours, theirs)]
    elif kind == "labels":
        truth = y.astype(bool)
        given = [p >= 0.5 for p in (ours, theirs)]
        features = [np.stack([2 * (p & truth).sum(1), p.sum(1) + truth.sum(1)], 1) for p in given]
    else:
        features = [(p.reshape(y.shape) - y) ** 2 for p in (ours, theirs)]
    width = features[0].shape[1]
    sums = resample.sums(w * np.concatenate([*features, np.ones((rows, 1))], axis=1))

    def score(sums: Array, total: Array) -> Array:
        if kind == "labels":
            return np.where(sums[:, 1] > 0, sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], 1), 0)
        return (sums / total).mean(1) if kind == "classify" else -np.sqrt(sums / total).mean(1)

    def difference(sums: Array) -> Array:
        return score(sums[:, :width], sums[:, -1:]) - score(sums[:, width:-1], sums[:, -1:])

    return two_sided(resample.metric(sums, difference), resample.draws(sums, difference))


def two_sided(found: Metric, draws: Array) -> tuple[Metric, float]:
    """A difference, and its p value: the share of resamples on the other side of zero, doubled."""
    if found.low is None or not len(draws):
        return Metric(found, found, found), 1.0
    beyond = min((draws <= 0).sum(), (draws >= 0).sum())
    return found, float(min(1.0, 2 * (beyond + 1) / (len(draws) + 1)))  # one is added: it is never exactly 0


def mcnemar(only_ours: int, only_theirs: int) -> float:
    """The exact p value of McNemar's test: of the rows that one model alone got right, half should be each one's.

    Args:
        only_ours: Rows that we alone got right.
        only_theirs: Rows that they alone got right.

    Example:
        >>> mcnemar(9, 1), mcnemar(0, 0)
        (0.021484375, 1.0)
    """
    count, fewer = only_ours + only_theirs, min(only_ours, only_theirs)
    logs = [math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1) for i in range(fewer + 1)]
    tail = math.fsum(math.exp(value - count * math.log(2)) for value in logs)
    return min(1.0, round(2 * tail, 15))


def paired_shares(right: Array, other: Array) -> Metric:
    """The difference of two shares of the same rows, with the interval of Newcombe 1998, method 10.

    Statistics in Medicine 17, p. 2635: Wilson's intervals of both shares, joined by squares, with their correlation.
    """
    n = len(right)
    both, first = int((right & other).sum()), int((right & ~other).sum())
    second, neither = int((~right & other).sum()), int((~right & ~other).sum())
    share, share_other = (both + first) / n, (both + second) / n
    low, high = wilson(share, n)
    low_other, high_other = wilson(share_other, n)
    margins = math.sqrt((both + first) * (second + neither) * (both + second) * (first + neither))
    product = both * neither - first * second
    if product > 0:
        product = max(product - n / 2, 0)  # Newcombe's continuity correction
    phi = product / margins if margins else 0.0

    def joined(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    difference = share - share_other
    below = joined(share - low, high_other - share_other)
    above = joined(share_other - low_other, high - share)
    return Metric(difference, difference - below, difference + above)
