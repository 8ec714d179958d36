"""Gradients that explode are found where weights begin too large, and not where steps are."""

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
