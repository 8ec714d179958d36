"""A stream of a person's own: learned from, kept, and gone on with after an interruption to the same bits."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

import gipi
from gipi.errors import DataError, RunError, TrainingError, UsageError
from gipi.signals import Stopped

TRUE = torch.tensor([[1.0, 2.0, -3.0]])


class Lines:
    """Batches that are a function of their number, for ever or so many."""

    def __init__(self, end=None, interrupt_at=None):
        self.number, self.end, self.interrupt_at = 0, end, interrupt_at

    def __next__(self):
        if self.number == self.end:
            raise StopIteration
        if self.number == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(self.number))
        self.number += 1
        return x, x @ TRUE.T

    def state_dict(self):
        return {"number": self.number}

    def load_state_dict(self, state):
        self.number = state["number"]


class Forgetful:
    """One that cannot say where it is."""

    def __init__(self, **how):
        self.inner = Lines(**how)

    def __next__(self):
        return next(self.inner)


def squares(output, y):
    return ((output - y) ** 2).mean()


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.1), nn.Linear(8, 1))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(stream, **options):
    standard = {"model": net(), "loss": squares, "steps": 300, "lr": 0.01, "quiet": True, "threads": 1}
    return gipi.fit(stream, **{**standard, **options})


def weights(run, model=None):
    return gipi.load(run, model=model or net()).members[0].state_dict()


def test_a_stream_is_learned_from_batch_after_batch():
    run = fit(Lines(), model=nn.Linear(3, 1), lr=0.05)
    assert run.metrics["loss"] < 0.01 and run.record["metrics_of"] == "mean of the last 100 steps"
    assert run.metrics["loss"] == pytest.approx(sum(line["learner"] for line in run.steps[-100:]) / 100)
    assert len(run.steps) == 300 and len(run.history) == 3
    learned = weights(run, nn.Linear(3, 1))["weight"]
    assert torch.allclose(learned, TRUE, atol=0.05)
    (answer,) = run.predict([[1, 1, 1]])
    assert answer["output"] == pytest.approx([0.0], abs=0.1)


def test_the_first_batch_is_not_lost():
    """Looking at it before the first step does not use it up: a hand-written loop sees the same."""
    run = fit(
        Lines(), model=nn.Linear(3, 1, bias=False), optimizer=lambda p: torch.optim.SGD(p, 0.1), lr=None, steps=30
    )
    hand, stream = nn.Linear(3, 1, bias=False), Lines()
    losses = []
    for _step in range(30):
        x, y = next(stream)
        if not losses:
            hand.weight.data = first_weight(run, x, y)
        loss = squares(hand(x), y)
        hand.weight.grad = None
        loss.backward()
        with torch.no_grad():
            hand.weight -= 0.1 * hand.weight.grad
        losses.append(loss.item())
    assert torch.allclose(hand.weight, weights(run, nn.Linear(3, 1, bias=False))["weight"], atol=1e-6)
    assert [line["learner"] for line in run.steps] == pytest.approx(losses, abs=1e-5)


def first_weight(run, x, y):
    """The weight before training, of which a copy was taken: the run's module is built in `fit`."""
    return run.own["model"].weight.detach().clone()


def test_an_interrupted_stream_goes_on_to_the_same_bits():
    whole = fit(Lines(), run="whole", averaging=None)
    with pytest.raises(Stopped):
        fit(Lines(interrupt_at=120), run="cut")
    resumed = gipi.resume("cut", Lines(), model=net(), loss=squares)
    assert resumed.status == "done"
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name])
    assert [line["learner"] for line in resumed.steps] == [line["learner"] for line in whole.steps]
    assert resumed.metrics == whole.metrics


def test_a_stream_that_cannot_say_where_it_is_cannot_be_gone_on_with():
    assert fit(Forgetful(), steps=20).status == "done"
    with pytest.raises(Stopped):
        fit(Forgetful(interrupt_at=120), run="cut")
    with pytest.raises(RunError, match="load_state_dict"):
        gipi.resume("cut", Forgetful(), model=net(), loss=squares)
    with pytest.raises(UsageError, match="give them again: loss, model"):
        gipi.resume("cut", Forgetful())


def test_other_ways():
    assert fit(Lines(), loss="mse", steps=20).record["options"]["loss"] == "mse"
    assert fit(iter([(torch.ones(2, 3), torch.ones(2, 1))] * 30), steps=20).status == "done"
    assert fit(Lines(), steps=20, precision="float64", schedule="cosine", clip=1.0).status == "done"
    assert fit(Lines(), steps=150, lr="auto").record["config"]["lr"] > 0
    tokens = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 1))
    run = fit(iter([(torch.tensor([[0, 1], [2, 3]]), torch.ones(2, 1))] * 30), model=tokens, steps=20)
    assert len(run.predict([[1, 2]])) == 1
    begun = fit(Lines(), steps=20, warm_start=fit(Lines(), run="before"))
    assert begun.metrics["loss"] < fit(Lines(), steps=20).metrics["loss"]


REFUSED = {
    "model": ({"model": None}, UsageError, "needs model"),
    "loss": ({"loss": None}, UsageError, "needs loss"),
    "steps": ({"steps": None}, UsageError, "needs steps"),
    "epochs": ({"epochs": 3}, UsageError, "--epochs"),
    "folds": ({"folds": 3}, UsageError, "--folds"),
    "target": ({"target": "y"}, UsageError, "--target"),
    "width": ({"model": nn.Linear(4, 1)}, UsageError, "do not take the stream's batches"),
    "no scalar": ({"loss": lambda output, y: (output - y) ** 2}, UsageError, r"one number; it gives \(16, 1\)"),
    "diverges": ({"optimizer": "sgd", "lr": 1e9}, TrainingError, "diverged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_stream_needs(case):
    options, error, says = REFUSED[case]
    with pytest.raises(error, match=says):
        fit(Lines(), **options)
    assert case == "diverges" or not Path("runs").exists()


ODD = {
    "numbers": (lambda: iter([1, 2]), UsageError, "tuple of tensors"),
    "lists": (lambda: iter([([1.0], [2.0])]), UsageError, r"tuple \(list, list\)"),
    "nothing": (lambda: iter([]), TrainingError, "after 0 batches"),
    "too few": (lambda: Lines(end=10), TrainingError, "after 10 batches"),
    "no rows": (lambda: iter([(torch.tensor(1.0), torch.tensor(1.0))]), UsageError, "axis"),
    "tensor state": (lambda: Tensorial(), UsageError, "must be JSON"),
}


class Tensorial(Lines):
    def state_dict(self):
        return {"number": torch.tensor(self.number)}


@pytest.mark.parametrize("case", ODD)
def test_what_a_stream_must_give(case):
    made, error, says = ODD[case]
    with pytest.raises(error, match=says):
        fit(made())
    assert not Path("runs").exists()


def test_a_step_size_cannot_be_looked_for_in_a_stream_without_state():
    with pytest.raises(UsageError, match="lr='auto'"):
        fit(Forgetful(), lr="auto")


def test_inputs_that_the_network_cannot_take():
    run = fit(Lines(), steps=5)
    for odd in ([[1, 2]], "words", {"a": 1}):
        with pytest.raises(DataError):
            run.predict(odd)
    with pytest.raises(UsageError, match="no right answers"):
        run.evaluate(([[1.0, 2.0, 3.0]], [1.0]))
