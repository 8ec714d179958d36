"""Regress: losses by name, points and distributions in their own units, members combined; and small fits."""

import json

import numpy as np
import pytest
import torch

import gipi
from gipi import losses
from gipi.cli.main import main
from gipi.data.schema import Field, Schema
from gipi.tasks import regress as task


def schema(kind="number", levels=()):
    return Schema(
        (), (Field("u", kind, values=levels, center=10.0, scale=2.0), Field("v", kind, values=levels, scale=0.5))
    )


POINT, NORMAL, QUANTILES = schema(), schema("normal"), schema("quantiles", task.LEVELS)


def numbers(rows, width, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the module


def test_sizes():
    assert [task.output(s) for s in (POINT, NORMAL, QUANTILES)] == [2, 4, 6]
    assert task.headline(POINT) == "rmse"


@pytest.mark.parametrize("name", [None, *task.LOSSES["number"]])
def test_losses_of_a_point(name):
    output, y = numbers(5, 2), numbers(5, 2, 1)
    assert task.loss(POINT, name)(output, y) == getattr(losses, name or "mse")(output, y)


def test_losses_of_distributions_take_the_outputs_in_order():
    """Of each target in turn: its mean and spread, or its quantiles."""
    output, y = numbers(5, 4), numbers(5, 2, 1)
    assert torch.isclose(task.loss(NORMAL)(output, y), losses.nll(output.reshape(5, 2, 2), y))
    wide = numbers(5, 6)
    expected = losses.quantile(wide.reshape(5, 2, 3), y, levels=task.LEVELS)
    assert torch.isclose(task.loss(QUANTILES)(wide, y), expected)
    weight = torch.tensor([1.0, 0, 0, 0, 0], dtype=torch.float64)
    assert torch.isclose(task.loss(NORMAL)(output, y, weight), task.loss(NORMAL)(output[:1], y[:1]))


def test_answers_are_in_the_targets_own_units():
    assert task.answer(torch.tensor([[0.0, 0.0], [1.0, -2.0]]), POINT).tolist() == [[[10.0], [0.0]], [[12.0], [-1.0]]]
    mean, spread = task.answer(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), NORMAL).unbind(-1)
    assert mean.tolist() == [[12.0, 0.5]]
    assert spread[0, 0] == pytest.approx(2 * np.log(2), rel=1e-3) and spread[0, 1] * 4 == pytest.approx(spread[0, 0])


def test_quantiles_that_cross_are_put_in_order():
    found = task.answer(torch.tensor([[1.0, -1.0, 0.0, 3.0, 2.0, 1.0]]), QUANTILES)
    assert found.tolist() == [[[8.0, 10.0, 12.0], [0.5, 1.0, 1.5]]]


def test_truth_comes_back_from_scaled_targets():
    y = torch.tensor([[0.5, 2.0]])
    assert task.truth(y, POINT).tolist() == [[11.0, 1.0]]


def test_members_are_averaged():
    one, other = torch.tensor([[[1.0], [5.0]]]), torch.tensor([[[3.0], [5.0]]])
    mean, disagreement = task.combine([one, other], POINT)
    assert mean.tolist() == [[[2.0], [5.0]]] and disagreement is not None and disagreement.tolist() == [[1.0, 0.0]]


def test_normal_members_are_mixed():
    """The variance of a mixture: the mean of the variances and the variance of the means."""
    random = np.random.default_rng(0)
    one, other = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]), torch.tensor([[[4.0, 3.0], [0.0, 1.0]]])
    mean, disagreement = task.combine([one, other], NORMAL)
    drawn = np.concatenate([random.normal(0, 1, 200_000), random.normal(4, 3, 200_000)])
    assert mean[0, 0].tolist() == pytest.approx([drawn.mean(), drawn.std()], rel=0.01)
    assert mean[0, 1].tolist() == [0.0, 1.0] and disagreement is not None and disagreement[0].tolist() == [2.0, 0.0]


def test_points_and_intervals():
    quantiles = torch.tensor([[[1.0, 2.0, 5.0], [0.0, 1.0, 2.0]]])
    assert task.points(quantiles, QUANTILES).tolist() == [[2.0, 1.0]]
    low, high = task.interval(quantiles, QUANTILES) or (None, None)
    assert low is not None and low.tolist() == [[1.0, 0.0]] and high.tolist() == [[5.0, 2.0]]
    low, high = task.interval(torch.tensor([[[10.0, 2.0], [0.0, 1.0]]]), NORMAL) or (None, None)
    assert low is not None and low[0, 0] == pytest.approx(10 - 2 * 1.6449, abs=1e-3)
    assert high[0, 1] == pytest.approx(1.6449, abs=1e-3)
    assert task.interval(torch.tensor([[[1.0], [2.0]]]), POINT) is None


def test_decoded_answers():
    one = Schema((), (Field("u", "number"),))
    assert task.decode(torch.tensor([[[3.5]]]), None, one) == [{"value": 3.5}]
    (both,) = task.decode(torch.tensor([[[3.5], [1.0]]]), torch.tensor([[0.5, 0.0]]), POINT)
    assert both == {"u": {"value": 3.5, "disagreement": 0.5}, "v": {"value": 1.0, "disagreement": 0.0}}
    (said,) = task.decode(torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), None, QUANTILES)
    assert said["v"] == {"value": 5.0, "low": 4.0, "high": 6.0}


def test_metrics_and_quick_looks():
    answers, y = torch.tensor([[[1.0], [0.0]], [[3.0], [2.0]]]), np.array([[1.0, 0.0], [2.0, 2.0]])
    found = task.metrics(answers, y, POINT)
    assert found["mae"] == pytest.approx(0.25)
    output, target = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert task.quick(output, target, POINT) == {"rmse": 1.0}  # two units off in one target, none in the other
    middle = torch.tensor([[9.0, 0.0, 9.0, 9.0, 0.0, 9.0]])
    assert task.quick(middle, torch.zeros(1, 2), QUANTILES) == {"rmse": 0.0}
    normal = task.metrics(torch.tensor([[[0.0, 1.0], [0.0, 1.0]]] * 2), np.array([[0.0, 0.0], [9.0, 0.0]]), NORMAL)
    assert normal["coverage"] == 0.75


# --- fits


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(data, **options):
    return gipi.fit(data, **{"quiet": True, "verdict": False, "threads": 1, "doctor": False, **options})


def noisy(rows=1500, seed=0):
    """A line whose noise grows with |x|."""
    random = np.random.default_rng(seed)
    x = random.uniform(-2, 2, rows)
    return {"x": x, "y": 50 + 10 * x + random.normal(size=rows) * (1 + 2 * np.abs(x))}


def test_several_targets_in_units_of_their_own():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 2))
    data = {"a": X[:, 0], "b": X[:, 1], "big": 1e4 * X[:, 0], "small": 1e-3 * X[:, 1] + 7}
    run = fit(data, target=("big", "small"), system="linear")
    (found,) = run.predict({"a": 1.0, "b": 2.0})
    assert found["big"]["value"] == pytest.approx(1e4, rel=1e-3)
    assert found["small"]["value"] == pytest.approx(7.002, abs=1e-5)
    assert run.metrics["r2"] > 0.999


@pytest.mark.parametrize("kind", ["normal", "quantiles"])
def test_intervals_hold_nine_of_ten(kind):
    run = fit(noisy(), target="y", distribution=kind, hidden=(32,), dropout=0.0, epochs=30, lr=0.01, seed=1)
    fresh = noisy(4000, seed=9)
    found = run.evaluate(fresh)
    assert found["coverage"] == pytest.approx(0.9, abs=0.04)
    assert found["rmse"] < 5
    near, far = run.predict({"x": [0.0, 2.0]})
    assert near["low"] < near["value"] < near["high"]
    assert far["high"] - far["low"] > 1.5 * (near["high"] - near["low"])  # it knows where it is unsure


def test_a_distribution_of_members_carries_their_disagreement():
    run = fit(noisy(200), target="y", distribution="normal", ensemble=2, hidden=(8,), epochs=5)
    assert set(run.predict({"x": 1.0})[0]) == {"value", "low", "high", "disagreement"}


def test_weighted_rows_count_as_repeated_rows():
    random = np.random.default_rng(3)
    x, times = random.normal(size=60), random.integers(0, 5, 60)
    y = 3 * x + random.normal(size=60)
    options = {"system": "linear", "test_share": 0.0, "valid_share": 0.0, "precision": "float64", "scale": "none"}
    weighted = fit({"x": x, "w": times, "y": y}, target="y", weight="w", **options)
    again = np.repeat(np.arange(60), times)
    repeated = fit({"x": x[again], "y": y[again]}, target="y", **options)
    slope = np.polyfit(x, y, 1, w=np.sqrt(times))
    for run in (weighted, repeated):
        values = [answer["value"] for answer in run.predict({"x": [0.0, 1.0]})]
        assert values == pytest.approx([slope[1], slope.sum()], rel=1e-6)


def test_weights_decide_what_validation_likes():
    """Rows of weight 0 are as good as absent, also where the best weights are chosen."""
    random = np.random.default_rng(4)
    x = random.normal(size=200)
    trusted = random.random(200) < 0.5
    y = np.where(trusted, 2 * x, -40 * x)
    run = fit({"x": x, "w": trusted.astype(float), "y": y}, target="y", weight="w", hidden=(16,), epochs=60, lr=0.01)
    (found,) = run.predict({"x": 1.0})
    assert found["value"] == pytest.approx(2, abs=0.6)


def test_mixup_of_numbers_and_clipping():
    run = fit(noisy(300), target="y", mixup=0.2, clip=0.5, hidden=(16,), epochs=30, lr=0.01)
    assert run.metrics["r2"] > 0.5


def run_line(capsys, *arguments):
    code = main(["fit", "diabetes", "--steps", "4", *arguments, "--quiet", "--no-verdict", "--no-doctor", "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    found = json.loads(captured.out.strip().splitlines()[-1])
    assert found["status"] == "done" and np.isfinite(found["metrics"]["rmse"]["value"])
    return found


@pytest.mark.parametrize("name", task.LOSSES["number"])
def test_each_loss_by_name(capsys, name):
    run_line(capsys, "--loss", name, "--threads", "1")


@pytest.mark.parametrize("name", ["point", "normal", "quantiles"])
def test_each_distribution_by_name(capsys, name):
    found = run_line(capsys, "--distribution", name, "--threads", "1")
    assert ("coverage" in found["metrics"]) == (name != "point")
