"""Classify: losses by name, probabilities, members combined, answers, metrics; and small fits by the front door."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import gipi
from gipi.algorithms.averaging import AVERAGES
from gipi.algorithms.optimizers import OPTIMIZERS
from gipi.algorithms.schedules import SCHEDULES
from gipi.cli.main import main
from gipi.data.schema import Field, Schema
from gipi.losses import LOSSES
from gipi.models.activations import ACTIVATIONS
from gipi.tasks import classify as task

CLASSES = Schema((), (Field("y", "class", values=("a", "b", "c")),))
LABELS = Schema((), (Field("labels", "labels", values=("u", "v")),))


def scores(rows=6, width=3, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the module


def test_sizes_and_headlines():
    assert task.output(CLASSES) == 3 and task.output(LABELS) == 2
    assert task.headline(CLASSES) == "accuracy" and task.headline(LABELS) == "f1_micro"


def test_the_usual_losses():
    output, y = scores(), torch.tensor([0, 1, 2, 0, 1, 2])
    assert task.loss(CLASSES)(output, y) == F.cross_entropy(output, y)
    several = torch.tensor([[1.0, 0.0]] * 6, dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(output[:, :2], several)
    assert torch.isclose(task.loss(LABELS)(output[:, :2], several), expected)


@pytest.mark.parametrize("name", task.LOSSES["class"])
def test_every_loss_for_classes_falls_with_the_right_score(name):
    assert name in LOSSES
    y = torch.tensor([0, 1, 2])
    loss = task.loss(CLASSES, name)
    poor, good = loss(torch.zeros(3, 3), y), loss(3 * torch.eye(3), y)
    assert good < poor
    weight = torch.tensor([1.0, 0.0, 0.0])
    assert torch.isclose(loss(scores(3).float(), y, weight), loss(scores(3).float()[:1], y[:1]))


def test_one_class_against_the_rest_is_a_sigmoid_for_each():
    output, y = scores(), torch.tensor([0, 1, 2, 0, 1, 2])
    found = task.loss(CLASSES, "bce")(output, y)
    expected = F.binary_cross_entropy_with_logits(output, F.one_hot(y, 3).double())
    assert torch.isclose(found, expected)


def test_label_smoothing_is_torchs():
    output, y = scores(), torch.tensor([0, 1, 2, 0, 1, 2])
    found = task.loss(CLASSES, None, 0.1)(output, y)
    assert torch.isclose(found, F.cross_entropy(output, y, label_smoothing=0.1))
    assert task.loss(LABELS, None, 0.2)(20 * torch.ones(1, 2), torch.ones(1, 2)) > 1  # too sure


def test_answers_are_probabilities():
    for schema in (CLASSES, LABELS):
        found = task.answer(scores(width=task.output(schema)), schema)
        assert ((found > 0) & (found < 1)).all()
    assert torch.allclose(task.answer(scores(), CLASSES).sum(1), torch.ones(6, dtype=torch.float64))


def test_members_are_averaged_and_their_disagreement_is_of_the_class_that_is_answered():
    one = torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.8, 0.1]])
    other = torch.tensor([[0.2, 0.8, 0.0], [0.1, 0.8, 0.1]])
    mean, disagreement = task.combine([one, other], CLASSES)
    assert torch.allclose(mean, (one + other) / 2)
    assert disagreement is not None and torch.allclose(disagreement, torch.tensor([0.2, 0.0]))
    assert task.combine([one], CLASSES) == (one, None)


def test_decoded_answers():
    (one,) = task.decode(torch.tensor([[0.1, 0.7, 0.2]]), torch.tensor([0.05]), CLASSES)
    assert one["label"] == "b" and one["probability"] == pytest.approx(0.7)
    assert list(one["probabilities"]) == ["a", "b", "c"] and one["disagreement"] == pytest.approx(0.05)
    rows = task.decode(torch.tensor([[0.9, 0.5], [0.1, 0.2]]), None, LABELS)
    assert [row["labels"] for row in rows] == [["u", "v"], []]
    assert "disagreement" not in rows[0]


def test_metrics_of_known_answers():
    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    found = task.metrics(probabilities, np.array([0, 1, 2, 2]), CLASSES)
    assert found["accuracy"] == 0.75 and found["accuracy"].low < 0.75 < found["accuracy"].high
    labels = task.metrics(torch.tensor([[0.9, 0.1], [0.9, 0.9]]), np.array([[1, 0], [1, 0]]), LABELS)
    assert labels["subset_accuracy"] == 0.5
    quick = task.quick(torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.tensor([0, 1]), CLASSES)
    assert quick == {"accuracy": 0.5}
    both = task.quick(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), LABELS)
    assert both == {"subset_accuracy": 0.5}


# --- fits


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rings(rows=240, seed=0):
    """Two classes that no line separates."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 2))
    return X, np.where((X**2).sum(1) < 1.4, "in", "out")


def fit(data, **options):
    return gipi.fit(data, **{"quiet": True, "verdict": False, "threads": 1, "doctor": False, **options})


def test_classes_are_learned_and_kept(place):
    X, y = rings()
    run = fit((X, y), epochs=60, lr=0.01)
    assert run.metrics["accuracy"] > 0.85
    answers = run.predict(X)
    assert np.mean([a["label"] == t for a, t in zip(answers, y, strict=True)]) > 0.85
    assert gipi.load(run.save("rings")).predict(X) == answers
    assert run.evaluate((X, y))["accuracy"] > 0.85


def test_several_labels(place):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    run = fit({"a": X[:, 0], "b": X[:, 1], "p": X[:, 0] > 0, "q": X[:, 1] > 0}, target=("p", "q"), epochs=40, lr=0.01)
    assert run.record["task"] == "classify" and run.metrics["subset_accuracy"] > 0.8
    (answer,) = run.predict({"a": 2.0, "b": -2.0})
    assert answer["labels"] == ["p"] and set(answer["probabilities"]) == {"p", "q"}
    again = run.evaluate({"a": X[:, 0], "b": X[:, 1], "p": X[:, 0] > 0, "q": (X[:, 1] > 0).astype(int)})
    assert again["f1_micro"] > 0.8


def test_balanced_classes_count_as_repeated_rows(place):
    """Three rows of one class beside one of the other, balanced, learn what three of each would."""
    random = np.random.default_rng(1)
    few, many = random.normal(1, 1, (15, 2)), random.normal(-1, 1, (45, 2))
    X, y = np.concatenate([few, many]), np.repeat(["few", "many"], [15, 45])
    options = {"system": "linear", "test_share": 0.0, "valid_share": 0.0, "precision": "float64", "scale": "none"}
    balanced = fit((X, y), class_weight="balanced", **options)
    repeated = fit((np.concatenate([few, few, few, many]), np.repeat(["few", "many"], [45, 45])), **options)
    for one, other in zip(balanced.predict(X), repeated.predict(X), strict=True):
        assert one["probability"] == pytest.approx(other["probability"], rel=1e-5)
    plain = fit((X, y), **options)
    chances = [np.mean([a["probabilities"]["few"] for a in run.predict(X)]) for run in (plain, balanced)]
    assert chances[0] < chances[1] - 0.02


def test_row_weights_count_as_repeated_rows(place):
    random = np.random.default_rng(2)
    X, times = random.normal(size=(50, 2)), random.integers(0, 4, 50)
    y = np.where(X[:, 0] + random.normal(size=50) > 0, "p", "n")
    options = {"system": "linear", "test_share": 0.0, "valid_share": 0.0, "precision": "float64", "scale": "none"}
    weighted = fit({"a": X[:, 0], "b": X[:, 1], "w": times, "y": y}, target="y", weight="w", **options)
    again = np.repeat(np.arange(50), times)
    repeated = fit({"a": X[again, 0], "b": X[again, 1], "y": y[again]}, target="y", **options)
    rows = {"a": X[:, 0], "b": X[:, 1]}
    for one, other in zip(weighted.predict(rows), repeated.predict(rows), strict=True):
        assert one["probabilities"]["p"] == pytest.approx(other["probabilities"]["p"], rel=1e-5)


def test_one_class_against_all_others(place):
    run = fit("iris", system="linear", positive="setosa")
    assert run.metrics["accuracy"] == 1.0
    found = run.predict([[5.0, 3.4, 1.5, 0.2]])
    assert found[0]["label"] is True
    assert run.evaluate("iris")["accuracy"] == 1.0  # the data's own labels


def test_numbers_may_be_labels(place):
    X, y = rings()
    codes = np.where(y == "in", 3, 8)
    run = fit((X, codes), steps=20, task="classify")
    assert {answer["label"] for answer in run.predict(X)} <= {3, 8}
    assert all(isinstance(answer["label"], int) for answer in run.predict(X[:3]))
    assert 0 <= run.evaluate((X, codes.astype(float)))["accuracy"] <= 1


def test_ways_of_training_together(place):
    X, y = rings()
    run = fit((X, y), epochs=15, mixup=0.2, label_smoothing=0.1, clip=1.0, dropout=0.2, averaging="ema", warmup=0.1)
    assert run.metrics["accuracy"] > 0.6
    norms = fit((X, y), steps=30, optimizer="sgd", lr=1.0, clip=1e-9, dropout=0.0)
    first, last = norms.steps[0]["learner"], norms.steps[-1]["learner"]
    assert last == pytest.approx(first, abs=0.2)  # clipped to nothing, it does not move


def line(capsys, *arguments):
    code = main(["fit", *arguments, "--quiet", "--no-verdict", "--no-doctor", "--threads", "1", "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out.strip().splitlines()[-1])


def run_line(capsys, *arguments):
    found = line(capsys, "iris", "--steps", "4", *arguments)
    assert found["status"] == "done"
    assert all(math.isfinite(metric["value"]) for metric in found["metrics"].values() if metric["value"] is not None)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_by_name(place, capsys, name):
    run_line(capsys, "--system", "mlp", "--hidden", "8", "--optimizer", name)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "identity"])
def test_each_activation_by_name(place, capsys, name):
    run_line(capsys, "--system", "mlp", "--hidden", "6", "4", "--activation", name)


@pytest.mark.parametrize("name", task.LOSSES["class"])
def test_each_loss_by_name(place, capsys, name):
    run_line(capsys, "--loss", name)


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_schedule_by_name(place, capsys, name):
    run_line(capsys, "--schedule", name)


@pytest.mark.parametrize("name", ["none", *AVERAGES])
def test_each_average_by_name(place, capsys, name):
    run_line(capsys, "--averaging", name)


@pytest.mark.parametrize("name", ["none", "batch", "layer"])
def test_each_norm_by_name(place, capsys, name):
    run_line(capsys, "--system", "mlp", "--norm", name)


@pytest.mark.parametrize("precision", ["float32", "float64", "bf16"])
def test_each_precision_by_name(place, capsys, precision):
    run_line(capsys, "--precision", precision)
