"""Members that train at once are what each would have been by itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gipi
from gipi.algorithms.averaging import Average
from gipi.algorithms.optimizers import make
from gipi.data.stream import Stream
from gipi.report.display import Silent
from gipi.run import Run
from gipi.training.group import Group, alone, can_join, together
from gipi.training.log import Log
from gipi.training.log_file import read_log
from gipi.training.member import Member, Plan
from gipi.training.player import Player, learner
from gipi.training.tape import Tapes
from gipi.training.train import train

X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = (X[:, 0] * X[:, 1] > 0).long()
ELEMENTWISE = ("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "adamw")


def member(number: int, optimizer="adam", plan=Plan(30, 6), net=None, **options) -> Member:  # noqa: B008
    torch.manual_seed(number)
    net = net or nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    net = net.double()

    def made(params):
        return make(optimizer, params, lr=lambda step: 0.02 / (1 + step / 10), weight_decay=0.1)

    players = learner(net, F.cross_entropy, made)
    players["learner"].tapes = Tapes(players["learner"].differentiate)
    for name, value in options.items():
        setattr(players["learner"], name, value)
    rows = torch.randperm(90, generator=torch.Generator().manual_seed(number))[:60]
    rest = torch.tensor([row for row in range(90) if row not in set(rows.tolist())])

    def validate():
        return {"loss": F.cross_entropy(net(X[rest]), Y[rest]).item()}

    return Member(number, net, players, Stream((X[rows], Y[rows]), 10, number), plan, validate)


def grown(group: Group) -> list[Member]:
    train(group, Silent(), Log(None, len(group.members)))
    return group.members


def same(one: Member, other: Member) -> bool:
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
def test_at_once_or_one_after_the_other(optimizer):
    """Same weights, same best step, whatever the optimizer; also with clipping, averages and early stopping."""
    for options in ({}, {"clip": 0.3}, {"parts": 3}):
        each = [grown(alone(member(number, optimizer, **options)))[0] for number in range(3)]
        group = together([member(number, optimizer, **options) for number in range(3)])
        assert list(group.players) == ["learner"] and group.players["learner"].is_stacked
        for one, other in zip(each, grown(group), strict=True):
            assert same(one, other), options
            assert one.progress.best_step == other.progress.best_step
            assert one.progress.best == pytest.approx(other.progress.best, rel=1e-9)


def test_averages_and_patience_are_each_members_own():
    def averaged(number):
        one = member(number, plan=Plan(300, 6, patience=2), optimizer="rmsprop")
        one.average = Average(one.net, "ema", decay=0.8)
        return one

    each = [grown(alone(averaged(number)))[0] for number in range(4)]
    at_once = grown(together([averaged(number) for number in range(4)]))
    assert len({one.progress.step for one in each}) > 1, "they stop at different times"
    for one, other in zip(each, at_once, strict=True):
        assert (one.progress.step, one.progress.finished) == (other.progress.step, other.progress.finished)
        assert same(one, other)


def test_a_network_sees_its_own_slice():
    group = together([member(number) for number in range(2)])
    player = group.players["learner"]
    assert isinstance(player, Player)
    player.play(next(group.stream), 0)
    for number, one in enumerate(group.members):
        for stacked, own in zip(player.params, one.net.parameters(), strict=True):
            assert torch.equal(stacked[number], own) and own.data_ptr() == stacked[number].data_ptr()


def test_who_can_join():
    assert can_join(member(0))
    assert not can_join(member(0, "muon")) and not can_join(member(0, "lars")) and not can_join(member(0, "lbfgs"))
    assert not can_join(member(0, tapes=None))
    assert not can_join(replace(member(0), after=print))
    norm = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    assert not can_join(member(0, net=norm))


OPTIONS = {"system": "mlp", "hidden": (16,), "epochs": 20, "quiet": True, "verdict": False, "threads": 1}


def test_a_fit_with_folds_and_members_at_once(tmp_path, monkeypatch):
    """Without dropout they are what they are one after the other; lines of the log are complete."""
    options = {**OPTIONS, "dropout": 0.0, "folds": 5, "ensemble": 3, "precision": "float64"}
    each = gipi.fit("iris", **options, run=tmp_path / "each")
    monkeypatch.setattr("gipi.jobs.begin.WORTH", 0)
    at_once = gipi.fit("iris", **options, run=tmp_path / "at-once")
    for name, value in each.metrics.items():
        assert at_once.metrics[name] == pytest.approx(value, rel=1e-6)
    logs = []
    for run in (each, at_once):
        lines = [line for line in read_log(run.path) if "epoch" not in line]
        logs.append({(line["member"], line["step"]): line["learner"] for line in lines})
        assert len(logs[-1]) == len(lines)
    assert logs[0].keys() == logs[1].keys()
    assert list(logs[0].values()) == pytest.approx([logs[1][key] for key in logs[0]], rel=1e-6)
    assert read_log(each.path)[:2] != read_log(at_once.path)[:2]  # the latter's lines are step by step
    assert len(at_once.predict([dict.fromkeys(at_once.model.schema.inputs and IRIS, 1.0)])) == 1


IRIS = [f"{part} {side} (cm)" for part in ("sepal", "petal") for side in ("length", "width")]


def test_dropout_is_drawn_for_each_member(tmp_path, monkeypatch):
    monkeypatch.setattr("gipi.jobs.begin.WORTH", 0)
    runs = [gipi.fit("iris", **OPTIONS, dropout=0.5, ensemble=3, run=tmp_path / str(n)) for n in range(2)]
    assert weights(runs[0].path) == weights(runs[1].path)  # the same seed
    losses = [[line["learner"] for line in runs[0].steps if line["member"] == number] for number in range(3)]
    assert len({tuple(one) for one in losses}) == 3


def weights(path: Path) -> list[bytes]:
    from gipi.training import checkpoint

    files = sorted(path.glob("checkpoints/member-*.ckpt"))
    assert len(files) == Run(path).record["members"]
    held = [checkpoint.read(file)[0] for file in files]
    return [b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors)) for tensors in held]


def test_a_fault_of_one_takes_all_back(tmp_path, monkeypatch):
    monkeypatch.setattr("gipi.jobs.begin.WORTH", 0)
    y = X @ torch.ones(5, dtype=torch.float64)
    options = {name: value for name, value in OPTIONS.items() if name != "hidden"}
    options |= {"system": "linear", "optimizer": "sgd", "task": "regress", "batch_size": 10, "ensemble": 2}
    run = gipi.fit((X, y), **options, lr=2.0, run=tmp_path / "run")
    assert {fault["member"] for fault in run.record["faults"]} == {0, 1} and run.metrics["r2"] > 0.9
    steps = [(line["member"], line["step"]) for line in run.steps]
    assert len(steps) == len(set(steps))
