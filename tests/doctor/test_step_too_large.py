"""Steps that overshoot are named, before what they cause."""

import pytest
from trained import blobs, curve, found_in, look, view

from gipi.doctor.checks.step_too_large import check


@pytest.mark.parametrize("options", [{"lr": 100.0}, {"lr": 3.0}, {"lr": 20.0, "optimizer": "sgd"}])
def test_large_steps_come_first(options, tmp_path):
    found = found_in(tmp_path, blobs(), system="mlp", **options)
    assert next(iter(found)) == "step-too-large"
    assert {"lr": pytest.approx(options["lr"] / 10)} in [one.changes for one in found["step-too-large"].remedies]


@pytest.mark.parametrize("options", [{}, {"lr": 1e-2}, {"optimizer": "sgd"}, {"activation": "tanh", "norm": "batch"}])
def test_sound_steps(options, tmp_path):
    assert "step-too-large" not in found_in(tmp_path, blobs(), system="mlp", **options)


def test_what_it_takes():
    jumped = curve(0.7, 5.0, 5.0, 0.9)
    large = [look(3, 0.5), look(50, 0.02)]
    assert check(view(curve=jumped, visits=large)).severity == "problem"  # type: ignore[union-attr]
    assert check(view(curve=curve(0.7, 5.0, 5.0, 0.1, 0.1), visits=large)).severity == "warning"  # type: ignore[union-attr]
    assert check(view(curve=jumped, visits=[look(3), look(50)])) is None  # something else threw it
    assert check(view(curve=curve(0.7, 0.1), visits=large)) is None  # and here large steps did no harm
    odd = curve(0.7, 0.1, 0.1)
    odd["learner"][30, 1] = 50.0
    assert check(view(curve=odd, visits=large)) is None  # one odd batch
    thrown = {"first": {"loss": 1e6, "expected": 0.69}}
    assert check(view(error="the loss is nan")) and check(view(error="the loss is nan", probes=thrown)) is None
    assert check(view(curve={"a": jumped["learner"], "b": jumped["learner"]}, visits=large)) is None  # a GAN's
