"""How good predictions are: every metric of classification, of several labels and of regression, with its interval.

NumPy only: importing scikit-learn costs two seconds, so it is the oracle of the tests and not a dependency of a run.
Every function takes predictions, the truth, optional row weights, and optionally a `Resample` that its interval comes
from; `classification`, `labels` and `regression` call them all on one `Resample`.

n rows, K classes or labels, T targets, Q quantiles
"""

import numpy as np

from gipi.tasks.intervals import Array, Metric, Resample, effective_rows, wilson
from gipi.tasks.intervals import metric_from_json as metric_from_json
from gipi.tasks.intervals import metric_json as metric_json

HEADLINE = {"classify": "accuracy", "labels": "f1_micro", "regress": "rmse"}  # what a verdict compares
BINS = 15  # of the calibration error, as in Guo et al. 2017


def _prepare(rows: int, weight: Array | None, resample: Resample | None) -> tuple[Array, Resample]:
    assert rows > 0, "a metric of no rows"
    return np.ones(rows) if weight is None else np.asarray(weight, np.float64), resample or Resample(rows, 0)


def _mean(values: Array, weight: Array, resample: Resample, higher_is_better: bool, is_share: bool = False) -> Metric:
    """The weighted mean of one value a row."""
    sums = resample.sums(np.stack([weight * values, weight], 1))
    return resample.metric(sums, lambda s: s[:, 0] / s[:, 1], higher_is_better, is_share)


# One class of several


def confusion(predicted: Array, y: Array, classes: int, weight: Array | None = None) -> Array:
    """`(K, K)`: how often class i (row) was taken for class j (column)."""
    counts = np.bincount(y * classes + predicted, weight, classes * classes).reshape(classes, classes)
    return counts if weight is not None else counts.astype(np.int64)


def accuracy(probabilities: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The share of rows whose most probable class is right; Wilson's interval."""
    weights, _ = _prepare(len(y), weight, resample)
    value = float(np.average(probabilities.argmax(1) == y, weights=weights))
    return Metric(value, *wilson(value, effective_rows(weight, len(y))))


def _class_counts(probabilities: Array, y: Array, weight: Array | None, resample: Resample) -> Array:
    """`(G, 3K)`: rows right, rows predicted, rows that are, for each class."""
    K, predicted = probabilities.shape[1], probabilities.argmax(1)
    right = np.where(predicted == y, y, -1)
    return np.concatenate([resample.tally(codes, K, weight) for codes in (right, predicted, y)], axis=1)


def balanced_accuracy(
    probabilities: Array, y: Array, weight: Array | None = None, resample: Resample | None = None
) -> Metric:
    """The mean over the classes (that occur in y) of the share of their rows that is right."""
    _, resample = _prepare(len(y), weight, resample)

    def statistic(sums: Array) -> Array:
        right, _, true = np.split(sums, 3, axis=1)
        return _mean_where(right, true)

    return resample.metric(_class_counts(probabilities, y, weight, resample), statistic, is_share=True)


def f1_macro(probabilities: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The mean over the classes (that occur in y or are predicted) of F1, the harmonic mean of precision and recall."""
    _, resample = _prepare(len(y), weight, resample)

    def statistic(sums: Array) -> Array:
        right, predicted, true = np.split(sums, 3, axis=1)
        return _mean_where(2 * right, predicted + true)

    return resample.metric(_class_counts(probabilities, y, weight, resample), statistic, is_share=True)


def _mean_where(above: Array, below: Array) -> Array:
    """The mean over columns of above / below, leaving out columns where below is 0."""
    present = below > 0
    return np.where(present, above / np.where(present, below, 1), 0).sum(1) / present.sum(1)


def auc(probabilities: Array, y: Array, weight: Array | None = None) -> Metric:
    """The chance that a row of the class gets a higher score than a row of another, ties counting half.

    With two classes that of class 1; with more the mean over the classes that occur in y, each against the rest. nan
    where y holds one class only. The interval is Wilson's for the number of rows that DeLong's variance is worth
    (DeLong, DeLong and Clarke-Pearson 1988), so it stays in 0..1 and is not empty where the order is perfect.
    """
    K = probabilities.shape[1]
    weights, _ = _prepare(len(y), weight, None)
    values, spreads, fewest = [], [], float(len(y))
    for k in [1] if K == 2 else range(K):
        is_class = y == k
        count = int(is_class.sum())
        if 0 < count < len(y):
            value, spread = _auc_of_one(probabilities[:, k], is_class, weights)
            values.append(value)
            spreads.append(spread)
            fewest = min(fewest, count, len(y) - count)
    if not values:
        return Metric(np.nan)
    value = float(np.mean(values))
    variance = float((np.mean(spreads, axis=0) ** 2).sum())
    worth = value * (1 - value) / variance if variance > 1e-12 else fewest
    return Metric(value, *wilson(value, min(worth, len(y))))


def _auc_of_one(score: Array, is_class: Array, weight: Array) -> tuple[float, Array]:
    """The AUC of one class, and what each row `(n,)` adds to its error (the squares' sum is the variance)."""
    values, place = np.unique(score, return_inverse=True)
    inside = np.bincount(place, weight * is_class, len(values))
    outside = np.bincount(place, weight * ~is_class, len(values))
    beaten = (np.cumsum(outside) - outside / 2) / outside.sum()  # the share of other rows that score less
    beating = 1 - (np.cumsum(inside) - inside / 2) / inside.sum()
    value = float((inside * beaten).sum() / inside.sum())
    part = np.where(is_class, (beaten[place] - value) / inside.sum(), (beating[place] - value) / outside.sum())
    return value, weight * part


def log_loss(probabilities: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The mean of -log(probability of the true class), the probability kept one rounding error away from 0 and 1."""
    weights, resample = _prepare(len(y), weight, resample)
    smallest = float(np.finfo(probabilities.dtype).eps)
    chance = probabilities[np.arange(len(y)), y].astype(np.float64).clip(smallest, 1 - smallest)
    return _mean(-np.log(chance), weights, resample, higher_is_better=False)


def brier(probabilities: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The mean squared distance between the probabilities and the truth; with two classes, of class 1 only (0..1)."""
    weights, resample = _prepare(len(y), weight, resample)
    p = probabilities.astype(np.float64)
    distance = (p**2).sum(1) - 2 * p[np.arange(len(y)), y] + 1
    return _mean(distance / 2 if p.shape[1] == 2 else distance, weights, resample, higher_is_better=False)


def _bins(probabilities: Array) -> tuple[Array, Array]:
    """How sure the prediction is, and its bin: (0, 1/15], (1/15, 2/15] ... (14/15, 1]."""
    sure = probabilities.max(1).astype(np.float64)
    return sure, (np.ceil(sure * BINS) - 1).clip(0, BINS - 1).astype(np.int64)


def calibration(probabilities: Array, y: Array, weight: Array | None = None) -> Array:
    """What a calibration plot shows, `(15, 3)`: rows in the bin, their mean confidence, the share that is right."""
    weights, _ = _prepare(len(y), weight, None)
    sure, place = _bins(probabilities)
    rows, mean, right = (
        np.bincount(place, weights * v, BINS) for v in (np.ones(len(y)), sure, probabilities.argmax(1) == y)
    )
    filled = np.where(rows > 0, rows, np.nan)
    return np.stack([rows, mean / filled, right / filled], 1)


def calibration_error(
    probabilities: Array, y: Array, weight: Array | None = None, resample: Resample | None = None
) -> Metric:
    """How far confidence is from the share of right answers: the mean over 15 bins of equal width, weighted by rows.

    Confidence is the probability of the predicted class (Guo et al. 2017, equation 3). Few rows make it look worse
    than it is; so does resampling, and the interval is moved back by that much.
    """
    weights, resample = _prepare(len(y), weight, resample)
    sure, place = _bins(probabilities)
    gap = weights * ((probabilities.argmax(1) == y) - sure)
    sums = np.concatenate([resample.tally(place, BINS, gap), resample.sums(weights[:, None])], axis=1)
    return resample.metric(sums, lambda s: np.abs(s[:, :-1]).sum(1) / s[:, -1], False, recenter=True)


def classification(
    probabilities: Array, y: Array, intervals: bool = True, weight: Array | None = None, seed: int = 0
) -> dict[str, Metric]:
    """All metrics of one class of several.

    Args:
        probabilities: `(n, K)`, each row sums to 1.
        y: `(n,)` class numbers in 0..K-1. A class that does not occur is left out of the means over classes.
        intervals: With 95 % intervals.
        weight: `(n,)` row weights.
        seed: Of the resampling.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
        >>> found = classification(p, np.array([0, 1, 1, 1]))
        >>> found["accuracy"], round(found["log_loss"], 3)
        (0.75, 0.4)
    """
    given = probabilities, y, weight
    resample = Resample(len(y), 1000 if intervals else 0, seed)
    return {
        "accuracy": accuracy(*given),
        "balanced_accuracy": balanced_accuracy(*given, resample),
        "f1_macro": f1_macro(*given, resample),
        "auc": auc(*given),
        "log_loss": log_loss(*given, resample),
        "brier": brier(*given, resample),
        "calibration_error": calibration_error(*given, resample),
    }


# Several labels


def label_f1(
    predicted: Array, y: Array, average: str, weight: Array | None = None, resample: Resample | None = None
) -> Metric:
    """F1 over several labels: "micro" counts all labels together, "macro" is the mean of each label's.

    A label that neither occurs nor is predicted has F1 0 in the mean, as in scikit-learn.
    """
    weights, resample = _prepare(len(y), weight, resample)
    predicted, y = predicted.astype(bool), y.astype(bool)
    counts = np.concatenate([2.0 * (predicted & y), 1.0 * predicted + y], axis=1) * weights[:, None]

    def statistic(sums: Array) -> Array:
        both, either = np.split(sums, 2, axis=1)
        if average == "micro":
            both, either = both.sum(1, keepdims=True), either.sum(1, keepdims=True)
        return np.where(either > 0, both / np.where(either > 0, either, 1), 0).mean(1)

    return resample.metric(resample.sums(counts), statistic, is_share=True)


def subset_accuracy(predicted: Array, y: Array, weight: Array | None = None) -> Metric:
    """The share of rows whose labels are all right; Wilson's interval."""
    weights, _ = _prepare(len(y), weight, None)
    value = float(np.average((predicted.astype(bool) == y.astype(bool)).all(1), weights=weights))
    return Metric(value, *wilson(value, effective_rows(weight, len(y))))


def hamming_loss(predicted: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The share of labels, over all rows, that is wrong."""
    weights, resample = _prepare(len(y), weight, resample)
    return _mean((predicted.astype(bool) != y.astype(bool)).mean(1), weights, resample, False, is_share=True)


def labels(
    probabilities: Array,
    y: Array,
    intervals: bool = True,
    weight: Array | None = None,
    seed: int = 0,
    threshold: float = 0.5,
) -> dict[str, Metric]:
    """All metrics of several labels; probabilities and y (0 or 1) are `(n, K)`, at `threshold` a label is given."""
    resample = Resample(len(y), 1000 if intervals else 0, seed)
    predicted = probabilities >= threshold
    return {
        "subset_accuracy": subset_accuracy(predicted, y, weight),
        "f1_micro": label_f1(predicted, y, "micro", weight, resample),
        "f1_macro": label_f1(predicted, y, "macro", weight, resample),
        "hamming_loss": hamming_loss(predicted, y, weight, resample),
    }


# Numbers


def _columns(*arrays: Array) -> list[Array]:
    """As `(n, T)` in float64."""
    return [np.asarray(a, np.float64).reshape(len(a), -1) for a in arrays]


def r2(predicted: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The share of the targets' variance that is explained, the mean over the targets.

    As in scikit-learn a constant target has 1 if every prediction is exact, else 0, and one row alone has nan.
    """
    predicted, y = _columns(predicted, y)
    weights, resample = _prepare(len(y), weight, resample)
    if len(y) < 2:
        return Metric(np.nan)
    w = weights[:, None]
    centered = (y - np.average(y, axis=0, weights=weights)) * (np.ptp(y, axis=0) > 0)  # no rounding dust in constants
    sums = resample.sums(np.concatenate([w * (y - predicted) ** 2, w * centered**2, w * centered, w], axis=1))

    def statistic(sums: Array) -> Array:
        error, square, total = np.split(sums[:, :-1], 3, axis=1)
        spread = square - total**2 / sums[:, -1:]
        varies = spread > 1e-12 * square  # a resample may hold one row many times
        score = 1 - error / np.where(varies, spread, 1)
        return np.where(varies, score, np.where(error == 0, 1.0, 0.0)).mean(1)

    return resample.metric(sums, statistic)


def rmse(predicted: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The root of the mean squared error of each target, the mean over the targets."""
    predicted, y = _columns(predicted, y)
    weights, resample = _prepare(len(y), weight, resample)
    sums = resample.sums(np.concatenate([weights[:, None] * (y - predicted) ** 2, weights[:, None]], axis=1))
    return resample.metric(sums, lambda s: np.sqrt(s[:, :-1] / s[:, -1:]).mean(1), higher_is_better=False)


def mae(predicted: Array, y: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The mean absolute error, the mean over the targets."""
    predicted, y = _columns(predicted, y)
    weights, resample = _prepare(len(y), weight, resample)
    return _mean(np.abs(y - predicted).mean(1), weights, resample, higher_is_better=False)


def regression(
    predicted: Array, y: Array, intervals: bool = True, weight: Array | None = None, seed: int = 0
) -> dict[str, Metric]:
    """All metrics of numbers; predicted and y are `(n, T)`, in the targets' own units."""
    resample = Resample(len(y), 1000 if intervals else 0, seed)
    given = predicted, y, weight, resample
    return {"rmse": rmse(*given), "mae": mae(*given), "r2": r2(*given)}


# Distributions


def coverage(
    low: Array, high: Array, y: Array, weight: Array | None = None, resample: Resample | None = None
) -> Metric:
    """The share of true values inside the predicted interval; to be compared with the level it was made for."""
    low, high, y = _columns(low, high, y)
    weights, resample = _prepare(len(y), weight, resample)
    return _mean(((low <= y) & (y <= high)).mean(1), weights, resample, higher_is_better=True, is_share=True)


def interval_width(low: Array, high: Array, weight: Array | None = None, resample: Resample | None = None) -> Metric:
    """The mean width of the predicted intervals."""
    low, high = _columns(low, high)
    weights, resample = _prepare(len(low), weight, resample)
    return _mean((high - low).mean(1), weights, resample, higher_is_better=False)


def gaussian_nll(
    mean: Array, spread: Array, y: Array, weight: Array | None = None, resample: Resample | None = None
) -> Metric:
    """The mean of -log of the normal density (constant included) of y; `spread` is the standard deviation."""
    mean, spread, y = _columns(mean, spread, y)
    weights, resample = _prepare(len(y), weight, resample)
    values = 0.5 * np.log(2 * np.pi) + np.log(spread) + 0.5 * ((y - mean) / spread) ** 2
    return _mean(values.mean(1), weights, resample, higher_is_better=False)


def pinball(
    predicted: Array,
    y: Array,
    levels: Array | tuple[float, ...],
    weight: Array | None = None,
    resample: Resample | None = None,
) -> Metric:
    """The mean quantile loss of `(n, Q)` or `(n, T, Q)` predicted quantiles, over targets and levels."""
    (y,) = _columns(y)
    predicted = np.asarray(predicted, np.float64).reshape(*y.shape, -1)
    weights, resample = _prepare(len(y), weight, resample)
    above = y[:, :, None] - predicted
    values = np.maximum(np.asarray(levels) * above, (np.asarray(levels) - 1) * above)
    return _mean(values.mean((1, 2)), weights, resample, higher_is_better=False)


def distribution(
    low: Array,
    high: Array,
    y: Array,
    mean: Array | None = None,
    spread: Array | None = None,
    intervals: bool = True,
    weight: Array | None = None,
    seed: int = 0,
) -> dict[str, Metric]:
    """Metrics of predicted intervals `(n, T)`, and of the normal distribution they came from if it is given."""
    resample = Resample(len(y), 1000 if intervals else 0, seed)
    found = {
        "coverage": coverage(low, high, y, weight, resample),
        "interval_width": interval_width(low, high, weight, resample),
    }
    if mean is not None and spread is not None:
        found["nll"] = gaussian_nll(mean, spread, y, weight, resample)
    return found
