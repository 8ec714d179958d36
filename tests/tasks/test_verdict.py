"""The verdict: its tests agree with published ones, its sentence says what the numbers say, and it knows its limits."""

import json
import math

import numpy as np
import pytest

from gipi.tasks import figures, paired
from gipi.tasks.baselines import Baseline, fit_baselines
from gipi.tasks.intervals import Metric
from gipi.tasks.verdict import judge


def classes(right: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Probabilities `(n, 2)` that are right where told."""
    return np.where((np.eye(2)[y] == 1) == right[:, None], 0.9, 0.1)


def right_rows(rows: int, wrong: list[int]) -> np.ndarray:
    right = np.ones(rows, bool)
    right[wrong] = False
    return right


def baseline(name, predictions, seconds=0.1):
    return Baseline(name, predictions, seconds, 0.01, "", 100)


def verdict_of(rows, ours_wrong, theirs_wrong, seconds=4.0, their_seconds=0.1):
    y = np.arange(rows) % 2
    theirs = [
        baseline("majority", np.tile([0.6, 0.4], (rows, 1)), 0.0),
        baseline("linear", classes(right_rows(rows, theirs_wrong), y), their_seconds),
    ]
    return judge("mlp", classes(right_rows(rows, ours_wrong), y), seconds, theirs, y, "classify")


def test_mcnemar_is_the_exact_binomial_test():
    from scipy import stats

    for b, c in ((9, 1), (0, 6), (30, 12), (5, 5), (700, 640)):
        expected = stats.binomtest(min(b, c), b + c).pvalue
        assert paired.mcnemar(b, c) == pytest.approx(expected, rel=1e-9) == paired.mcnemar(c, b)
    assert paired.mcnemar(0, 0) == 1


@pytest.mark.parametrize(
    ("counts", "expected"),  # Newcombe 1998, table III, method 10
    [((36, 12, 2, 0), (0.0569, 0.3404)), ((54, 0, 0, 0), (-0.0664, 0.0664))],
)
def test_paired_interval_is_newcombes(counts, expected):
    right = np.repeat([True, True, False, False], counts)
    other = np.repeat([True, False, True, False], counts)
    found = paired.paired_shares(right, other)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-4)


def test_paired_interval_covers_the_truth():
    """Models that are right together on most rows, as two good models are."""
    random = np.random.default_rng(0)
    inside, widths = 0, []
    for _ in range(400):
        kind = random.choice(4, 200, p=[0.85, 0.07, 0.02, 0.06])  # both, only ours, only theirs, neither
        found = paired.paired_shares(kind <= 1, (kind == 0) | (kind == 2))
        inside += found.low <= 0.05 <= found.high
        widths.append(found.high - found.low)
    assert 0.92 * 400 <= inside <= 0.98 * 400
    assert np.mean(widths) == pytest.approx(2 * 1.96 * math.sqrt((0.09 - 0.05**2) / 200), rel=0.1)


def test_ours_wins():
    verdict = verdict_of(400, range(8), range(40))
    assert verdict.worth_it is True and verdict.winner == "mlp" and verdict.rival == "linear"
    assert verdict.difference == pytest.approx(0.08) and verdict.difference.low > 0.04 and verdict.p_value < 1e-6
    assert verdict.sentence.startswith(
        "mlp wins: accuracy 98.0 % against 90.0 % for the linear model, the best classical model, on the same 400 "
        "test rows (8.0 points apart ["
    )
    assert verdict.sentence.endswith("p < 0.001). Fitting took 4.0 s against 0.10 s.")


def test_ours_loses():
    verdict = verdict_of(400, range(40), range(8))
    assert verdict.worth_it is False and verdict.winner == "linear" and verdict.difference < 0
    assert verdict.sentence.startswith("Not worth it here: accuracy is 98.0 % for the linear model and 90.0 % for mlp")
    assert "8.0 points apart [5" in verdict.sentence and verdict.sentence.endswith("take the linear model.")


def test_a_tie_goes_to_the_cheaper_that_is_not_behind():
    dear = verdict_of(400, [1, 2, 3], [3, 4])
    assert dear.worth_it is False and dear.winner is None and dear.p_value == 1
    assert dear.sentence == (
        "No clear winner: on the same 400 test rows accuracy is 99.2 % for mlp and 99.5 % for the linear model, the "
        "best classical model; chance alone can make that difference (p = 1.00). Take the linear model: it is as good "
        "and costs 1/40 (0.10 s against 4.0 s to fit)."
    )
    cheap = verdict_of(400, [3, 4], [1, 2, 3], seconds=0.5, their_seconds=10)
    assert cheap.worth_it is True and "Take mlp: it is as good and costs 1/20 (0.50 s" in cheap.sentence
    alike = verdict_of(400, [1, 2, 3], [3, 4], seconds=1, their_seconds=1.4)
    assert alike.worth_it is False and alike.sentence.endswith("Both cost about the same (1.0 s and 1.4 s to fit).")
    same = verdict_of(100, [1], [1])
    assert same.winner is None and same.difference == 0 and same.difference.low < 0 < same.difference.high


def test_a_tie_in_which_the_dearer_is_ahead_is_open():
    for verdict, cheaper, times in (
        (verdict_of(400, [3], range(6)), "the linear model", 40),
        (verdict_of(400, range(6), [3], 0.1, 2.0), "mlp", 20),
    ):
        assert verdict.winner is None and verdict.worth_it is None and 0.05 < verdict.p_value < 0.1
        assert f"At 1/{times} of the cost (0.10 s against" in verdict.sentence
        assert (
            f"{cheaper} is the safer choice until more test rows, or folds (--folds 5), can tell." in verdict.sentence
        )
    assert verdict_of(400, [3], range(6), seconds=0.1).worth_it is None


def test_too_few_rows():
    verdict = verdict_of(29, [], range(20))
    assert verdict.worth_it is None and verdict.winner is None
    assert verdict.sentence.startswith("Too few test rows for a verdict (29; it takes 30): accuracy is 100.0 % for mlp")
    assert verdict_of(30, [], range(20)).winner == "mlp"


def test_the_rival_is_the_best_and_of_equals_the_cheapest():
    y = np.arange(100) % 2
    good = classes(right_rows(100, [5]), y)
    made = [baseline("linear", good, 2.0), baseline("neighbors", good, 0.5), baseline("boosting", 1 - good, 0.1)]
    verdict = judge("mlp", good, 1.0, made, y, "classify")
    assert verdict.rival == "neighbors" and [row.p_value is None for row in verdict.models] == [True] + 3 * [False]
    assert "k-nearest neighbors" in verdict.sentence


def test_numbers_are_compared_in_their_units():
    random = np.random.default_rng(0)
    y = random.normal(50, 10, 300)
    made = [
        baseline("mean", np.full((300, 1), 50.0)),
        baseline("linear", (y + random.normal(0, 4, 300))[:, None]),
        Baseline("boosting", None, settings="left out: why"),
    ]
    verdict = judge("mlp", y + random.normal(0, 3, 300), 7.0, made, y, "regress")
    assert verdict.winner == "mlp" and verdict.metric == "rmse" and 0.5 < verdict.difference < 1.5
    assert verdict.difference.low > 0 and 0.0009 < verdict.p_value < 0.001
    assert "mlp wins: root mean squared error 2.78 against 3.9" in verdict.sentence and " apart [" in verdict.sentence
    assert verdict.models[3].figure is None and "left out: why" in verdict._repr_html_()
    losing = judge("mlp", made[1].predictions, 7.0, [baseline("linear", y[:, None] + 1)], y, "regress")
    assert losing.winner == "linear" and losing.difference < 0
    two = np.stack([y, -y], 1)
    tie = judge("mlp", two + random.normal(0, 3, two.shape), 7.0, [baseline("linear", two + 3)], two, "regress")
    assert tie.rival == "linear"


def test_paired_bootstrap_p_values_are_uniform_where_nothing_differs():
    random = np.random.default_rng(0)
    values = []
    for _ in range(60):
        y = random.normal(size=(100, 1))
        a, b = y + random.normal(size=(100, 1)), y + random.normal(size=(100, 1))
        values.append(paired.pair(a, b, y, "regress")[1])
    assert 0.35 < np.mean(values) < 0.65 and np.mean(np.array(values) < 0.05) < 0.13


def test_labels_and_weights():
    random = np.random.default_rng(0)
    y = (random.random((200, 3)) < 0.4).astype(float)
    good = np.where(random.random(y.shape) < 0.95, y, 1 - y)
    poor = np.where(random.random(y.shape) < 0.75, y, 1 - y)
    verdict = judge(
        "mlp", good, 1.0, [baseline("mean", np.tile(y.mean(0), (200, 1))), baseline("linear", poor)], y, "labels"
    )
    assert verdict.winner == "mlp" and verdict.metric == "f1_micro" and verdict.p_value < 0.001
    figures_differ = verdict.models[0].figure - verdict.models[2].figure
    assert verdict.difference == pytest.approx(figures_differ, rel=1e-9)
    t = np.arange(100) % 2
    ours, theirs = classes(right_rows(100, range(10)), t), classes(right_rows(100, range(50, 60)), t)
    weight = np.where(np.arange(100) < 50, 0.01, 1)
    weighted = judge("mlp", ours, 1, [baseline("linear", theirs)], t, "classify", weight=weight)
    assert weighted.winner == "mlp" and weighted.difference == pytest.approx(9.9 / 50.5)
    assert judge("mlp", ours, 1, [baseline("linear", theirs)], t, "classify").winner is None


def test_nothing_to_compare_with():
    y = np.arange(40) % 2
    verdict = judge("mlp", classes(y >= 0, y), 1, [Baseline("linear", None, settings="left out")], y, "classify")
    assert verdict.sentence == "There is nothing to compare mlp with." and verdict.worth_it is None


def test_it_shows_itself_and_is_json():
    verdict = verdict_of(400, range(8), range(40))
    data = json.loads(json.dumps(verdict.json(), allow_nan=False))
    assert data["winner"] == "mlp" and data["models"][0]["metrics"]["accuracy"]["low"] < 0.98
    assert data["difference"]["value"] == pytest.approx(0.08) and data["worth_it"] is True
    lines = str(verdict).splitlines()
    assert lines[0] == verdict.sentence and lines[2].split()[:2] == ["model", "accuracy"]
    assert lines[3].startswith("mlp") and "98.0 % [96.1, 99.0]" in lines[3] and "< 0.001" in lines[5]
    assert "<table>" in verdict._repr_html_() and "chosen on these same test rows" in verdict._repr_html_()


def test_the_whole_way_on_real_rows():
    from sklearn.datasets import load_diabetes

    from gipi.data.schema import Sizes

    x, y = load_diabetes(return_X_y=True)
    made = fit_baselines("regress", (x[:350], y[:350]), (x[350:],), Sizes((10,), 1))
    verdict = judge("mlp", made[1].predictions + 0.5, 3.0, made, y[350:], "regress")
    assert verdict.winner is None and len(verdict.models) == 5 and verdict.rows == 92
    json.dumps(verdict.json(), allow_nan=False)


def test_figures_are_said_for_people():
    assert figures.figure("accuracy", Metric(0.972, 0.961, 0.98), True) == "97.2 % [96.1, 98.0]"
    assert figures.figure("rmse", Metric(0.01234)) == "0.0123" and figures.figure("rmse", 1234.5) == "1234"
    assert figures.figure("auc", math.nan) == "-"
    assert figures.distance("accuracy", Metric(-0.025, -0.04, -0.01)) == "2.5 points apart [1.0, 4.0]"
    assert [figures.chance(p) for p in (0.0001, 0.0312, 0.5)] == ["p < 0.001", "p = 0.031", "p = 0.50"]
    assert [figures.duration(s) for s in (0, 0.123, 3.14, 99.99, 250)] == [
        "0.01 s", "0.12 s", "3.1 s", "1 min 40 s", "4 min 10 s",
    ]  # fmt: skip
    assert figures.metric_title("unknown") == "unknown"
