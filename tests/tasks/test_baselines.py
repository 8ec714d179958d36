"""Baselines: as good as scikit-learn's own on real data, robust on awkward data, and open about every cut."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_classification
from sklearn.linear_model import LogisticRegression, Ridge

from gipi.data.schema import Sizes
from gipi.tasks import baselines
from gipi.tasks.baselines import fit_baselines


def parts(x, y, seed=0):
    order = np.random.default_rng(seed).permutation(len(x))
    cut = len(x) * 4 // 5
    return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]])


def by_name(made):
    return {baseline.name: baseline for baseline in made}


def test_classes_on_iris():
    train, test = parts(*load_iris(return_X_y=True))
    made = by_name(fit_baselines("classify", train, test, Sizes((4,), 3)))
    assert list(made) == ["majority", "linear", "neighbors", "boosting"]
    for baseline in made.values():
        assert baseline.predictions.shape == (30, 3) and np.allclose(baseline.predictions.sum(1), 1)
        assert baseline.rows == 120 and baseline.seconds_fit > 0
        right = (baseline.predictions.argmax(1) == test[1]).mean()
        assert right > 0.85 or baseline.name == "majority"
    assert np.allclose(made["majority"].predictions[0], np.bincount(train[1]) / 120)
    center, scale = train[0].mean(0), train[0].std(0)
    expected = LogisticRegression(max_iter=300).fit((train[0] - center) / scale, train[1])
    assert np.allclose(made["linear"].predictions, expected.predict_proba((test[0] - center) / scale), atol=1e-3)
    assert made["neighbors"].settings.startswith("k = ") and made["boosting"].settings == "100 rounds"
    assert made["boosting"].title == "gradient boosting"


def test_numbers_keep_their_units_and_several_targets_work():
    x, y = load_diabetes(return_X_y=True)
    y = np.stack([y, 1000 * x[:, 2] - 5, np.full(len(y), 7.0)], 1)
    train, test = parts(x, y)
    made = by_name(fit_baselines("regress", train, test, Sizes((10,), 3)))
    assert list(made) == ["mean", "linear", "neighbors", "boosting"]
    for name, baseline in made.items():
        assert baseline.predictions.shape == (89, 3) and np.allclose(baseline.predictions[:, 2], 7)
        error = np.sqrt(((baseline.predictions[:, 0] - test[1][:, 0]) ** 2).mean())
        assert error < 62 or name == "mean"
    center, scale = train[0].mean(0), train[0].std(0)
    expected = Ridge(1.0).fit((train[0] - center) / scale, train[1]).predict((test[0] - center) / scale)
    assert np.allclose(made["linear"].predictions, expected, rtol=1e-3, atol=0.05)
    flat = fit_baselines("regress", (train[0], train[1][:, 0]), test, Sizes((10,), 1))
    assert np.allclose(flat[1].predictions, made["linear"].predictions[:, :1], rtol=1e-4)


def test_several_labels_one_of_them_never_seen():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    y = np.stack([x[:, 0] > 0, x[:, 1] > 1, np.zeros(200), np.ones(200)], 1).astype(float)
    train, test = parts(x, y)
    for baseline in fit_baselines("labels", train, test, Sizes((3,), 4)):
        assert baseline.predictions.shape == (40, 4), baseline
        assert np.allclose(baseline.predictions[:, 2:], [0, 1]), baseline
        wrong = ((baseline.predictions >= 0.5) != test[1])[:, :2].mean()
        assert wrong < 0.15 or baseline.name == "mean"


def test_categories_with_unseen_and_very_many_values():
    random = np.random.default_rng(0)
    few, many = random.integers(1, 4, 2000), random.integers(1, 401, 2000)
    y = (many % 2 == 0).astype(int)
    x = np.stack([random.normal(size=2000), few, many], 1)
    (train, test) = parts(x, y)
    test[0][:5, 1:] = 0  # unseen
    made = by_name(fit_baselines("classify", train, test, Sizes((1,), 2, (3, 400))))
    assert all(np.isfinite(b.predictions).all() for b in made.values())
    assert "the 253 most frequent" in made["boosting"].settings
    assert (made["linear"].predictions.argmax(1) == test[1]).mean() > 0.6


def test_one_hot_gives_unseen_values_no_column():
    x = np.array([[3.0, 1, 2], [5.0, 0, 3]])
    made = baselines.one_hot(x, 1, 4.0, 2.0, (2, 3))
    assert made.tolist() == [[-0.5, 1, 0, 0, 1, 0], [0.5, 0, 0, 0, 0, 1]]


def test_a_class_in_train_only_or_with_one_row_or_absent():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 2)), np.arange(60) % 2
    y[0] = 2  # a class with one row; class 3 has none
    for baseline in fit_baselines("classify", (x, y), (x[:10] + 0.1,), Sizes((2,), 4)):
        assert baseline.predictions.shape == (10, 4) and (baseline.predictions[:, 3] == 0).all(), baseline


def test_a_class_with_one_row_does_not_break_early_stopping():
    x, y = make_classification(11_000, 4, random_state=0)
    y[0] = 2
    rows = baselines.Rows("classify", x.astype(np.float32), x, y, None, 3, (), 0)
    predict, _, used = baselines.boosting(rows, None, 5)
    assert used == 11_000 and predict(x[:5], x[:5]).shape == (5, 3)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_very_few_rows(count):
    x, y = np.arange(count)[:, None] * 1.0, np.arange(count) % 2
    for kind, K in (("classify", 2), ("regress", 1)):
        for baseline in fit_baselines(kind, (x, y), (x,), Sizes((1,), K)):
            assert baseline.predictions is not None, baseline
            assert np.isfinite(baseline.predictions).all()


def test_one_class_is_left_out_aloud():
    made = fit_baselines("classify", (np.zeros((9, 1)), np.ones(9, int)), (np.zeros((2, 1)),), Sizes((1,), 2))
    assert made[0].predictions.tolist() == [[0, 1], [0, 1]]
    assert all(b.predictions is None and "one class only" in b.settings for b in made[1:])


def test_a_failure_is_a_sentence_not_a_crash():
    x, y = np.ones((40, 2)), np.arange(40) % 2
    x[3, 0] = np.nan
    made = by_name(fit_baselines("classify", (x, y), (x,), Sizes((2,), 2)))
    assert made["linear"].predictions is None and "left out: it failed" in made["linear"].settings


def test_pictures_are_flattened():
    digits = load_digits()
    pictures = digits.images[:, None].astype(np.uint8)
    train, test = parts(pictures[:600], digits.target[:600])
    made = by_name(fit_baselines("classify", train, test, Sizes((1, 8, 8), 10), budget=1.0))
    assert (made["neighbors"].predictions.argmax(1) == test[1]).mean() > 0.93
    assert made["boosting"].settings.startswith("30 rounds")


def test_a_budget_cuts_rows_and_says_so(monkeypatch):
    monkeypatch.setattr(baselines, "SECONDS_NEIGHBORS", 1e-7)
    monkeypatch.setattr(baselines, "SECONDS_TREE", (1e-3, 5e-6))
    monkeypatch.setattr(baselines, "SECONDS_LINEAR", 1e-6)
    x, y = make_classification(20_000, 30, random_state=0)
    made = by_name(fit_baselines("classify", (x, y), (x[:5000],), Sizes((30,), 2), budget=60.0))
    for name in ("linear", "neighbors", "boosting"):
        assert 500 < made[name].rows < 20_000, name
        assert f"fitted on {made[name].rows} of 20000 training rows to stay in time" in made[name].settings
    assert made["majority"].rows == 20_000
    again = by_name(fit_baselines("classify", (x, y), (x[:5000],), Sizes((30,), 2), budget=60.0))
    assert all((again[name].predictions == made[name].predictions).all() for name in made)


def test_time_used_up_is_said(monkeypatch):
    import time

    def slow(rows, limit, to_predict):
        time.sleep(0.2)
        return lambda x, z: np.zeros((len(x), 2)), "", len(rows)

    monkeypatch.setattr(baselines, "linear", slow)
    monkeypatch.setattr(baselines, "PATIENCE", 0)
    x, y = np.arange(40.0)[:, None], np.arange(40) % 2
    made = fit_baselines("classify", (x, y), (x,), Sizes((1,), 2), budget=0.1)
    assert [b.predictions is None for b in made] == [False, False, True, True]
    assert "were used up" in made[2].settings


def test_a_subsample_keeps_every_class():
    y = np.zeros(5000, int)
    y[[7, 4000]] = 1, 2
    rows = baselines.Rows("classify", np.zeros((5000, 1)), np.zeros((5000, 1)), y, np.arange(5000.0), 3, (), 0)
    some = rows.some(100)
    assert 100 <= len(some) <= 102 and set(some.y) == {0, 1, 2} and some.weight[some.y == 1] == 7
    assert rows.some(5000) is rows


def test_row_weights_count():
    x = np.array([[0.0], [0.0], [1.0], [1.0]] * 20)
    y = np.array([0, 1, 0, 1] * 20)
    weight = np.where((x[:, 0] == 1) == (y == 1), 9.0, 1.0)
    made = fit_baselines("classify", (x, y, weight), (np.array([[0.0], [1.0]]),), Sizes((1,), 2))
    assert np.allclose(made[0].predictions, 0.5)
    for baseline in made[1:]:
        assert baseline.name == "neighbors" or baseline.predictions.argmax(1).tolist() == [0, 1], baseline
