"""Gradients that vanish layer by layer are found in deep sigmoid nets, and not in others."""

from torch import nn
from trained import blobs, curve, deep, found_in, look, view

from gipi.doctor.checks.vanishing_gradient import check


def test_deep_sigmoids(tmp_path):
    options = {"system": "mlp", "activation": "sigmoid", "hidden": (32,) * 8, "optimizer": "sgd", "dropout": 0.0}
    found = found_in(tmp_path, blobs(), **options)
    assert next(iter(found)) == "vanishing-gradient" and found["vanishing-gradient"].severity == "problem"
    changes = [remedy.changes for remedy in found["vanishing-gradient"].remedies]
    assert changes == [
        {"activation": "relu"},
        {"norm": "batch"},
        {"optimizer": "adamw", "lr": None},
        {"hidden": [32, 32]},
    ]


def test_a_deep_network_of_a_persons_own(tmp_path):
    found = found_in(tmp_path, blobs(), model=deep(10, 32, nn.Sigmoid))
    assert next(iter(found)) == "vanishing-gradient"
    assert found["vanishing-gradient"].evidence["first_to_last"] < 1e-3


def test_sound_networks(tmp_path):
    assert "vanishing-gradient" not in found_in(tmp_path / "a", blobs(), model=deep(5, 64, nn.ReLU))
    assert "vanishing-gradient" not in found_in(tmp_path / "b", blobs(), system="mlp", activation="sigmoid")


def test_what_it_takes():
    stuck, learned = curve(0.7, 0.7), curve(0.7, 0.1, 0.1, 0.1)
    falling = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    assert check(view(curve=stuck, visits=[look(3, gradients=falling)])).severity == "problem"  # type: ignore[union-attr]
    assert check(view(curve=learned, visits=[look(3, gradients=falling)])).severity == "warning"  # type: ignore[union-attr]
    for fine in ((0.1, 1e-5, 0.1, 1e-5, 0.1), (1e-5, 1e-1), (1e-2, 2e-2, 5e-2, 1e-1), (0.0, 0.0, 0.0, 0.0)):
        assert check(view(curve=stuck, visits=[look(3, gradients=fine)])) is None
    recovered = [look(3, gradients=falling), look(9, gradients=(0.1,) * 5), look(99, gradients=(0.1,) * 5)]
    assert check(view(curve=learned, visits=recovered)).severity == "note"  # type: ignore[union-attr]
    assert check(view(visits=[{"step": 3, "failed": "RuntimeError"}])) is None
