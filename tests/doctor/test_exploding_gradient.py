"""Gradients that explode are found where weights begin too large, and not where steps are."""

import torch
from torch import nn
from trained import blobs, curve, deep, found_in, look, view

from gipi.doctor.checks.exploding_gradient import check


def test_weights_that_begin_too_large(tmp_path):
    found = found_in(tmp_path, blobs(), model=deep(8, 64, nn.ReLU, times=6.0))
    assert next(iter(found)) in ("exploding-gradient", "initial-loss")
    assert found["exploding-gradient"].evidence["steepness"] > 1e4


def test_sound_networks(tmp_path):
    assert "exploding-gradient" not in found_in(tmp_path / "a", blobs(), model=deep(5, 64, nn.ReLU))
    assert "exploding-gradient" not in found_in(tmp_path / "b", blobs(), system="mlp", batch_size=2, epochs=3)


def test_what_it_takes():
    learned = curve(0.7, 0.1, 0.1, 0.1)
    steep = [look(3, gradients=(1e4,)), look(9, gradients=(1e4,))]
    assert check(view(curve=learned, visits=steep)).severity == "warning"  # type: ignore[union-attr]
    assert check(view(curve=curve(7.0, 6.0), visits=steep)).severity == "problem"  # type: ignore[union-attr]
    assert check(view(curve=learned, visits=[look(3, 0.5, (1e4,)), *steep])) is None  # the step size did it
    grown = [look(3, gradients=(10.0, 1.0, 0.1, 0.001))]
    assert check(view(curve=learned, visits=grown)).evidence["first_to_last"] == 1e4  # type: ignore[union-attr]
    assert check(view(curve=learned, visits=[look(3), look(9)])) is None
    assert check(view(visits=[look(3, gradients=(float("nan"),))])) is None
    thrown = {"first": {"loss": 1e6, "expected": 0.69}}
    assert check(view(error="the gradient is not finite", probes=thrown)).severity == "problem"  # type: ignore[union-attr]


class Deep(nn.Module):
    """Square layers, each `gain` times as large as one that keeps what it is given."""

    def __init__(self, gain: float, layers: int = 12):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(10, 10) for _layer in range(layers))
        self.leave = nn.Linear(10, 4)
        for layer in self.layers:
            nn.init.orthogonal_(layer.weight, gain * 2**0.5)  # type: ignore[arg-type]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return self.leave(x)


def test_layers_that_each_make_it_larger(tmp_path):
    torch.manual_seed(0)
    found = found_in(tmp_path / "large", blobs(), model=Deep(1.7), optimizer="sgd", lr=1e-3)
    assert next(iter(found)) == "exploding-gradient" and "initial-loss" in found
    assert found["exploding-gradient"].evidence["grown"] > 32 and found["exploding-gradient"].plot
    assert "exploding-gradient" not in found_in(tmp_path / "sound", blobs(), model=Deep(1.0))


def test_a_large_last_layer_is_no_gradient_that_explodes(tmp_path):
    net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4))
    net[2].weight.data *= 300  # type: ignore[operator]
    found = found_in(tmp_path, blobs(), model=net, lr=1e-3, epochs=3)
    assert "initial-loss" in found and "exploding-gradient" not in found


def test_what_growth_by_layer_takes():
    def known(*sizes, **others):
        return view(probes={"connected": {"back": [[str(n), size] for n, size in enumerate(sizes)]}}, **others)

    assert check(known(40.0, 20.0, 5.0, 1.0)).remedies[0].changes == {}  # type: ignore[union-attr]
    assert check(known(40.0, 20.0, 5.0, 1.0, curve=curve(0.7, 0.69))).severity == "problem"  # type: ignore[union-attr]
    assert check(known(20.0, 10.0, 5.0, 1.0)) is None
    assert check(known(40.0, 0.1, 60.0, 1.0)) is None  # not layer by layer
    assert check(known(40.0, 1.0, 0.1)) is None  # three layers
    assert check(known(40.0, 20.0, 5.0, 0.0)) is None
    assert check(known(40.0, 20.0, 5.0, 1.0, visits=[look(3, norms={"1": {"rows": 32}})])) is None
