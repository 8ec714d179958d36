"""What is tried before a run changes nothing of it, costs little, and never breaks it."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gipi
from gipi.doctor.alignment import aligned, aligned_tokens
from gipi.doctor.probes import connected, first, held_still, kind_of, memorised, output_of, shuffled, tried
from gipi.doctor.wanted import recognised, reduction, wants

random = np.random.default_rng(0)
X = random.normal(size=(300, 5)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
PICTURES = random.integers(0, 255, (120, 8, 8, 1), dtype=np.uint8)


class Counted(nn.Module):
    """A loss that changes with each call: whoever calls it in between would change the training."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, output, y):
        self.calls += 1
        return F.cross_entropy(output, y) * (1 + 0.001 * self.calls)


def noisy(sizes):
    return nn.Sequential(
        nn.Linear(sizes.input[0], 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, sizes.output)
    )


def weights(folder, data, **options):
    options = {"steps": 40, "quiet": True, "verdict": False, "threads": 1, **options}
    run = gipi.fit(data, run=folder, **options)
    members = [{name: one.clone() for name, one in net.state_dict().items()} for net in run.model.members]
    return members, run


CASES = {
    "mlp": ((X, Y), {"system": "mlp", "dropout": 0.3}),
    "folds at once": ((X, Y), {"system": "mlp", "folds": 3}),
    "own": ((X, Y), {"model": noisy}),
    "own loss": ((X, Y), {"model": noisy, "loss": Counted(), "steps": 2}),
    "pictures": ((PICTURES, np.arange(120) % 3), {"system": "convnet", "augment": ("flip",), "steps": 12}),
    "numbers": ((X, X[:, 0]), {"system": "tabm", "steps": 20}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_weights_are_the_same_to_the_bit(tmp_path, name):
    data, options = CASES[name]
    on, run = weights(tmp_path / "on", data, **options)
    if "loss" in options:
        options = {**options, "loss": Counted()}
    off, _run = weights(tmp_path / "off", data, doctor=False, **options)
    assert len(on) == len(off)
    assert all(torch.equal(one[key], other[key]) for one, other in zip(on, off, strict=True) for key in one)
    assert run.record["probes"]["first"]["loss"] > 0 and "probes" not in _run.record
    json.dumps(run.record["probes"], allow_nan=False)


def test_a_run_that_goes_on_has_them_already(tmp_path):
    class Ends:
        """A loss that fails once, after many calls."""

        left = 900

        def __call__(self, output, y):
            Ends.left -= 1
            if Ends.left == 0:
                raise ZeroDivisionError
            return F.cross_entropy(output, y)

    with pytest.raises(ZeroDivisionError):
        weights(tmp_path / "cut", (X, Y), model=noisy, loss=Ends(), steps=900)
    before = gipi.Run(tmp_path / "cut").record["probes"]
    run = gipi.resume(tmp_path / "cut", (X, Y), model=noisy, loss=F.cross_entropy)
    assert run.record["probes"]["memorised"] == before["memorised"] and "shuffled" in run.record["probes"]


def test_what_fails_is_kept_and_breaks_nothing(tmp_path):
    class Once(nn.Module):
        """A network that takes batches of one size only, beside the two rows that it is tried with."""

        def __init__(self, sizes):
            super().__init__()
            self.line = nn.Linear(sizes.input[0], sizes.output)

        def forward(self, x):
            if not self.training and len(x) == 8:
                raise ValueError("eight")
            return self.line(x)

    _weights, run = weights(tmp_path / "run", (X, Y), model=Once)
    assert "eight" in str(run.record["probes"]) and run.status == "done"
    assert tried("x", lambda: 1 / 0) == {"x": {"failed": "ZeroDivisionError: division by zero"}}
    assert tried("x", lambda: None) == {}


def test_games_and_pictures_without_answers_are_not_asked_for_them(tmp_path):
    _weights, run = weights(tmp_path / "run", PICTURES, system="gan", task="generate", steps=3)
    assert run.record["probes"] == {}


def test_a_network_is_left_as_it_was():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3)).train()
    batch = torch.from_numpy(X[:64]), torch.from_numpy(Y[:64])
    before, state = {name: one.clone() for name, one in net.state_dict().items()}, torch.get_rng_state()
    found = {
        "first": first(net, F.cross_entropy, [batch], "class"),
        "output": output_of(net, batch),
        "connected": connected(net, lambda batch: F.cross_entropy(net(batch[0]), batch[1]), batch),
        "shuffled": shuffled(net, F.cross_entropy, batch),
        "memorised": memorised(net, F.cross_entropy, batch, "class"),
    }
    json.dumps(found, allow_nan=False)
    assert net.training and net[3].training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert found["memorised"]["last"] < found["memorised"]["expected"] / 2
    assert found["memorised"]["mixed"] < 1e-4


def test_the_floor_is_what_contradictions_leave():
    """Equal rows cannot be told apart, so only one of them is learned by heart."""
    net = nn.Linear(5, 3)
    x = torch.from_numpy(X[:1]).repeat(64, 1)
    assert memorised(net, F.cross_entropy, (x, torch.arange(64) % 3), "class") is None
    assert memorised(net, F.cross_entropy, (torch.from_numpy(X[:64]), torch.zeros(64, dtype=torch.long)), "class")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number(value):
    x = torch.full((32, 4), value)
    net, y = nn.Linear(4, 3), torch.arange(32) % 3
    for probe in (
        lambda: first(net, F.cross_entropy, [(x, y)], "class"),
        lambda: memorised(net, F.cross_entropy, (x, y), "class"),
        lambda: shuffled(net, F.cross_entropy, (x, y)),
        lambda: output_of(net, (x, y)),
        lambda: reduction(F.cross_entropy, net(x), (y,)),
        lambda: wants(F.cross_entropy, net(x), (y,), "class"),
        lambda: aligned(np.full((100, 3), value), np.arange(100) % 2),
        lambda: aligned(X[:100], np.full(100, value)),
    ):
        tried("any", probe)


def test_targets_of_each_kind():
    scores = torch.zeros(8, 3)
    assert kind_of(scores, torch.zeros(8, dtype=torch.long)) == "class"
    assert kind_of(torch.zeros(8, 4, 9), torch.zeros(8, 4, dtype=torch.long)) == "class"
    assert kind_of(scores, torch.eye(3)[torch.arange(8) % 3]) == "labels"
    assert kind_of(scores, torch.randn(8, 3)) == "number"
    assert kind_of(scores, torch.randn(8, 2)) == "" and kind_of((scores,), torch.zeros(8)) == ""


def test_chance_is_the_logarithm_of_the_classes():
    net = nn.Sequential(nn.Linear(5, 7), nn.LogSoftmax(1))
    batch = torch.from_numpy(X[:70]), torch.arange(70) % 7
    for head, loss in ((net, F.nll_loss), (net[0], F.cross_entropy)):
        assert first(head, loss, [batch], "class")["expected"] == pytest.approx(np.log(7), abs=1e-5)


def test_losses_that_were_only_seen():
    torch.manual_seed(0)
    output, y, z = torch.randn(16, 4), torch.arange(16) % 4, torch.randn(16)
    seen = {
        "cross_entropy": F.cross_entropy(output, y),
        "cross_entropy sum": F.cross_entropy(output, y, reduction="sum"),
        "cross_entropy of softmax": F.cross_entropy(output.softmax(1), y),
        "nll of scores": F.nll_loss(output, y),
    }
    assert [recognised(loss.item(), output, y) for loss in seen.values()] == [*seen]
    one = output[:, :1]
    assert recognised(((one - z) ** 2).mean().item(), one, z) == "mse of pairs"
    assert recognised(((one[:, 0] - z) ** 2).mean().item(), one, z) == "mse"
    assert recognised(123.4, output, y) == ""


def test_texts_and_rows_that_go_together():
    tokens = random.integers(0, 50, (8, 20))
    assert aligned_tokens(tokens[:, :-1], tokens[:, 1:])["best"] == 1
    assert aligned_tokens(tokens, tokens)["places"]["0"] == 1
    assert aligned_tokens(tokens, np.full_like(tokens, -1)) is None
    own = aligned(X, X[:, 0])
    assert own["own"] > 0.9 and abs(own["shifted"]) < 6 * own["error"]
    assert aligned(X[:20], X[:20, 0]) is None and aligned(X, np.zeros(300)) is None


def test_layers_that_are_shared_or_not_there():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    found = connected(net, lambda batch: net(batch[0]).square().mean(), (torch.randn(8, 4),))
    assert not found["cut"] and not found["unused"] and not found["left"]
    assert held_still(nn.Flatten())["count"] == 0
