"""Every metric against scikit-learn's, to 1e-9, with and without row weights; every interval against simulation."""

import copy
import json
import math
import pickle
import time
import warnings

import numpy as np
import pytest
from sklearn import metrics as oracle

from gipi.tasks import metrics
from gipi.tasks.intervals import BLOCKS, Resample, effective_rows, wilson
from gipi.tasks.metrics import Metric, metric_from_json, metric_json

CLOSE = {"rel": 1e-9, "abs": 1e-12}


def some_classes(rows=300, K=4, seed=0, dtype=np.float64):
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(K), random.integers(0, K, rows - K)])
    scores = random.normal(size=(rows, K)) + 1.2 * np.eye(K)[y]
    p = np.exp(np.round(scores, 1))  # rounded, so that there are ties
    return (p / p.sum(1, keepdims=True)).astype(dtype), y, random.uniform(0.1, 3, rows)


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intervals", [False, True])
def test_classification_agrees_with_scikit_learn(K, weighted, intervals):
    p, y, weight = some_classes(K=K)
    weight = weight if weighted else None
    found = metrics.classification(p, y, intervals=intervals, weight=weight)
    predicted = p.argmax(1)
    if K == 2:
        auc = oracle.roc_auc_score(y, p[:, 1], sample_weight=weight)
    else:
        auc = np.mean([oracle.roc_auc_score(y == k, p[:, k], sample_weight=weight) for k in range(K)])
    expected = {
        "accuracy": oracle.accuracy_score(y, predicted, sample_weight=weight),
        "balanced_accuracy": oracle.balanced_accuracy_score(y, predicted, sample_weight=weight),
        "f1_macro": oracle.f1_score(y, predicted, average="macro", sample_weight=weight),
        "auc": auc,
        "log_loss": oracle.log_loss(y, p, sample_weight=weight),
        "brier": oracle.brier_score_loss(y, p[:, 1] if K == 2 else p, sample_weight=weight),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, **CLOSE), name
    table = metrics.confusion(predicted, y, K, weight)
    assert np.allclose(table, oracle.confusion_matrix(y, predicted, sample_weight=weight), rtol=1e-9)


def test_unweighted_auc_is_scikit_learns_one_against_the_rest():
    p, y, _ = some_classes(K=5)
    assert metrics.auc(p, y) == pytest.approx(oracle.roc_auc_score(y, p, multi_class="ovr"), **CLOSE)


def test_probabilities_of_exactly_zero_cost_what_scikit_learn_says():
    p = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    y = np.array([0, 1, 1])
    assert metrics.log_loss(p, y) == pytest.approx(oracle.log_loss(y, p), rel=1e-6)  # it sums in float32


def test_a_class_that_the_part_does_not_hold():
    p, y, _ = some_classes(K=4)
    kept = y != 2
    p, y = p[kept], y[kept]
    found = metrics.classification(p, y)
    predicted = p.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found["balanced_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(y, predicted), **CLOSE)
        assert found["f1_macro"] == pytest.approx(oracle.f1_score(y, predicted, average="macro"), **CLOSE)
        assert found["log_loss"] == pytest.approx(oracle.log_loss(y, p, labels=[0, 1, 2, 3]), **CLOSE)
    assert found["auc"] == pytest.approx(np.mean([oracle.roc_auc_score(y == k, p[:, k]) for k in (0, 1, 3)]), **CLOSE)


@pytest.mark.parametrize("intervals", [False, True])
def test_one_row_and_one_class(intervals):
    one = metrics.classification(np.array([[0.7, 0.3]]), np.array([0]), intervals)
    assert one["accuracy"] == 1 and one["accuracy"].low < 0.25
    assert math.isnan(one["auc"]) and one["auc"].low is None
    assert one["log_loss"] == pytest.approx(-math.log(0.7)) and one["log_loss"].low is None
    same = metrics.classification(np.full((50, 2), [0.6, 0.4]), np.zeros(50, int), intervals)
    assert math.isnan(same["auc"]) and same["balanced_accuracy"] == 1
    assert same["calibration_error"] == pytest.approx(0.4)


def test_calibration_error_by_hand():
    sure = np.array([0.95, 0.95, 0.95, 0.95, 0.60, 0.60])
    y = np.array([0, 0, 0, 1, 0, 1])
    p = np.stack([sure, 1 - sure], 1)
    assert metrics.calibration_error(p, y) == pytest.approx((4 * abs(0.95 - 0.75) + 2 * abs(0.6 - 0.5)) / 6)
    bins = metrics.calibration(p, y)
    assert bins[14] == pytest.approx([4, 0.95, 0.75]) and bins[8] == pytest.approx([2, 0.6, 0.5])
    assert np.isnan(bins[0, 1]) and bins[:, 0].sum() == 6


@pytest.mark.parametrize("weighted", [False, True])
def test_labels_agree_with_scikit_learn(weighted):
    random = np.random.default_rng(1)
    y = (random.random((200, 5)) < 0.3).astype(int)
    y[:, 4] = 0
    p = np.clip(0.3 * random.random((200, 5)) + 0.5 * y * (random.random((200, 5)) < 0.8) + 0.1, 0, 1)
    p[:, 4] = 0.1
    weight = random.uniform(0.1, 3, 200) if weighted else None
    predicted = p >= 0.5
    found = metrics.labels(p, y, weight=weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for average in ("micro", "macro"):
            expected = oracle.f1_score(y, predicted, average=average, sample_weight=weight)
            assert found[f"f1_{average}"] == pytest.approx(expected, **CLOSE)
    assert found["subset_accuracy"] == pytest.approx(oracle.accuracy_score(y, predicted, sample_weight=weight), **CLOSE)
    assert found["hamming_loss"] == pytest.approx(oracle.hamming_loss(y, predicted, sample_weight=weight), **CLOSE)
    assert all(m.low <= m <= m.high for m in found.values())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("T", [1, 3])
def test_regression_agrees_with_scikit_learn(weighted, T):
    random = np.random.default_rng(2)
    y = random.normal(1e4, 10, (200, T)) * np.arange(1, T + 1)
    predicted = y + random.normal(0, 5, (200, T))
    weight = random.uniform(0.1, 3, 200) if weighted else None
    found = metrics.regression(predicted, y, weight=weight)
    assert found["r2"] == pytest.approx(oracle.r2_score(y, predicted, sample_weight=weight), **CLOSE)
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(y, predicted, sample_weight=weight), **CLOSE)
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(y, predicted, sample_weight=weight), **CLOSE)
    assert all(m.low < m < m.high for m in found.values())
    assert found["r2"].higher_is_better and not found["rmse"].higher_is_better


def test_a_constant_target_and_one_row():
    y = np.full((30, 1), 0.5)
    assert metrics.r2(y, y) == oracle.r2_score(y, y) == 1
    assert metrics.r2(y + 1, y) == oracle.r2_score(y, y + 1) == 0
    y = np.full((30, 1), 0.1)  # its mean is not exactly 0.1, from which scikit-learn makes -1e33
    assert metrics.r2(y + 1, y) == 0
    assert metrics.regression(y + 1, y)["r2"] == 0
    assert math.isnan(metrics.r2(y[:1], y[:1])) and metrics.regression(y[:1] + 1, y[:1])["rmse"] == 1


def test_distributions():
    from scipy import stats

    random = np.random.default_rng(3)
    mean, spread = random.normal(size=(400, 2)), random.uniform(0.5, 2, (400, 2))
    y = random.normal(mean, spread)
    low, high = mean - 1.645 * spread, mean + 1.645 * spread
    found = metrics.distribution(low, high, y, mean, spread)
    assert found["nll"] == pytest.approx(-stats.norm.logpdf(y, mean, spread).mean(), **CLOSE)
    assert found["coverage"] == pytest.approx(((low <= y) & (y <= high)).mean(), **CLOSE)
    assert found["coverage"].low < 0.9 < found["coverage"].high
    assert found["interval_width"] == pytest.approx(3.29 * spread.mean(), **CLOSE)
    quantiles = np.stack([low, mean, high], 2)
    losses = [
        oracle.mean_pinball_loss(y, q, alpha=a) for q, a in zip((low, mean, high), (0.05, 0.5, 0.95), strict=True)
    ]
    assert metrics.pinball(quantiles, y, (0.05, 0.5, 0.95)) == pytest.approx(np.mean(losses), **CLOSE)


def test_wilson_is_the_published_interval():
    from scipy import stats

    for right, rows in ((81, 263), (15, 148), (0, 20), (29, 29)):  # the first three: Newcombe 1998, table I
        expected = stats.binomtest(right, rows).proportion_ci(method="wilson")
        assert wilson(right / rows, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(0.3, 0) == (0, 1)
    assert effective_rows(np.full(7, 3.0), 7) == pytest.approx(7)
    assert effective_rows(np.array([1, 0, 0]), 3) == 1


@pytest.mark.parametrize("rows", [200, 3 * BLOCKS + 7])
def test_bootstrap_spread_is_the_standard_error(rows):
    """Also with blocks of rows, and where the rows are sorted: blocks are dealt at random."""
    y = np.sort(np.random.default_rng(0).normal(size=rows))[:, None]
    found = metrics.mae(np.zeros_like(y), y, resample=Resample(rows))
    expected = 2 * 1.96 * np.abs(y).std() / math.sqrt(rows)
    assert found.high - found.low == pytest.approx(expected, rel=0.12)
    again = metrics.mae(np.zeros_like(y), y, resample=Resample(rows))
    other = metrics.mae(np.zeros_like(y), y, resample=Resample(rows, seed=1))
    assert (found.low, found.high) == (again.low, again.high) != (other.low, other.high)


def test_tally_counts_each_row_once():
    codes = np.random.default_rng(0).integers(-1, 5, 5000)
    resample = Resample(5000)
    assert resample.tally(codes, 5).shape == (BLOCKS, 5)
    assert (resample.tally(codes, 5).sum(0) == np.bincount(codes[codes >= 0])).all()
    assert np.allclose(resample.tally(codes, 5), resample.sums(np.eye(6)[codes][:, :5]))


def test_intervals_cover_the_truth():
    """Of 100 samples about 95 have the population's figure inside their interval."""
    p, y, _ = some_classes(20_000, K=3, seed=5)
    truth = metrics.classification(p, y, intervals=False)
    made = [metrics.classification(p[s], y[s]) for s in np.array_split(np.arange(20_000), 100)]
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "auc", "log_loss", "brier"):
        inside = sum(m[name].low <= truth[name] <= m[name].high for m in made)
        assert 88 <= inside <= 100, name
        assert np.mean([m[name].high - m[name].low for m in made]) < 0.3 * max(1, truth[name]), name


def test_binary_auc_interval_is_delongs():
    p, y, _ = some_classes(400, K=2)
    found = metrics.auc(p, y)
    positive, negative = p[y == 1, 1], p[y == 0, 1]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(1).var() / len(positive) + wins.mean(0).var() / len(negative)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.05)


def test_perfect_predictions_do_not_look_certain():
    p, y = np.eye(3)[np.arange(30) % 3], np.arange(30) % 3
    found = metrics.classification(p, y)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "auc"):
        assert found[name] == 1 and 0.7 < found[name].low < 0.9 and found[name].high == 1


def test_a_hundred_thousand_rows_cost_little():
    p, y, _ = some_classes(100_000, K=10)
    start = time.process_time()
    metrics.classification(p, y)
    metrics.regression(p[:, :2], p[:, 1:3])
    assert time.process_time() - start < 3


def test_a_metric_is_a_float_that_survives_everything():
    metric = Metric(0.5, 0.4, 0.6, higher_is_better=False)
    for same in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric)), metric_from_json(metric_json(metric))):
        assert (same, same.low, same.high, same.higher_is_better) == (0.5, 0.4, 0.6, False)
    assert repr(metric) == "0.5" and f"{metric:.1%}" == "50.0%" and metric + 1 == 1.5
    assert json.loads(json.dumps({"accuracy": metric})) == {"accuracy": 0.5}
    assert metric_json(Metric(math.nan))["value"] is None and metric_json(3)["low"] is None
    assert metric.better_than(0.7) and not metric.better_than(0.5) and metric.better_than(math.nan)
    assert not Metric(math.nan).better_than(0.5)


def test_nothing_heavy_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, gipi.tasks.metrics; print(sum(m in sys.modules for m in ('sklearn', 'torch', 'scipy', 'polars')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "0"
