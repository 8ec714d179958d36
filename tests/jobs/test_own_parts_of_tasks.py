"""A loss, a network or an optimizer of a person's own is used by a task, or refused: never silently left out."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import gipi
from gipi import systems, tasks
from gipi.errors import UsageError

sys.path.insert(0, str(Path(__file__).parent.parent / "doctor"))
from test_every_system import OF_SYSTEM, SMALL, data_of

KINDS = ("table", "picture", "text", "environment")  # the first that a task takes
TASKS = [(task, next(kind for kind in KINDS if kind in tasks.load(task).default)) for task in tasks.TASKS]


def fitted(task, kind, folder, **own):
    name = tasks.load(task).default[kind]
    config = systems.load(name).Config.__dataclass_fields__
    options = {option: value for option, value in {**SMALL, **OF_SYSTEM.get(name, {})}.items() if option in config}
    data, more = data_of(name, task, kind, folder)
    options = {**options, **more, "steps": 3, "quiet": True, "verdict": False, "threads": 1, "doctor": False, **own}
    if "model" in own:
        options = {option: value for option, value in options.items() if option not in config}
    return gipi.fit(data, task=task, run=folder / "run", **options)


def is_used_or_refused(called, task, kind, folder, **own):
    try:
        fitted(task, kind, folder, **own)
    except UsageError as error:
        assert str(error)
        return False
    assert called, f"{task} leaves {', '.join(own)} out"
    return True


@pytest.mark.parametrize(("task", "kind"), TASKS)
def test_a_loss(task, kind, tmp_path):
    called = []

    def own(output, *target):
        called.append(1)
        y = target[0]
        if y.is_floating_point():
            return mse_loss(output, y)
        if output.ndim > 2 and output.shape[:2] == y.shape:
            output, y = output.flatten(0, 1), y.flatten()
        return cross_entropy(output, y, ignore_index=-1 if (y == -1).any() else -100)

    used = is_used_or_refused(called, task, kind, tmp_path, loss=own)
    assert used == (task in ("classify", "regress", "write", "chat", "translate", "segment", "upscale"))


@pytest.mark.parametrize(("task", "kind"), TASKS)
def test_an_optimizer(task, kind, tmp_path):
    called = []

    def own(params):
        called.append(1)
        return torch.optim.SGD(params, 1e-3)

    is_used_or_refused(called, task, kind, tmp_path, optimizer=own)


@pytest.mark.parametrize(("task", "kind"), TASKS)
def test_a_network(task, kind, tmp_path):
    called = []

    class Own(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.line = nn.Linear(inputs, outputs)

        def forward(self, x):
            called.append(1)
            return self.line(x.flatten(1))

    def made(sizes):
        return Own(int(torch.tensor(sizes.input).prod()), sizes.output)

    is_used_or_refused(called, task, kind, tmp_path, model=made)


def test_a_loss_of_written_text_is_what_is_learned(tmp_path):
    """A loss that wants the first token everywhere makes a model that says so."""

    def first_token(output, y):
        return cross_entropy(output.flatten(0, 1), torch.zeros_like(y).flatten())

    (tmp_path / "tiny.txt").write_text("abcdefgh" * 200)
    options = {"system": "gpt", "size": "tiny", "width": 16, "context": 16, "steps": 40, "lr": 0.01, "quiet": True}
    options |= {"tokenizer": "characters", "verdict": False, "threads": 1, "doctor": False}
    run = gipi.fit(tmp_path / "tiny.txt", run=tmp_path / "own", loss=first_token, **options)
    assert run.record["own"] == ["loss"]
    assert run.history[-1]["valid"]["loss"] < 1.0  # it is judged by that while it trains; it began at log 8
    assert run.metrics["bits_per_byte"] > 3.5  # it foresees worse than who guesses among eight letters
    with pytest.raises(UsageError, match="one number"):
        gipi.fit(tmp_path / "tiny.txt", run=tmp_path / "odd", loss=lambda output, y: output.mean(0), **options)
