"""Steps that lead nowhere are told from a network that has learned, and from one that cannot."""

import pytest
from trained import blobs, curve, found_in, look, view

from gipi.doctor.checks.step_too_small import check


@pytest.mark.parametrize("options", [{"lr": 1e-7}, {"lr": 1e-5}, {"lr": 1e-4, "optimizer": "sgd"}])
def test_small_steps_come_first(options, tmp_path):
    found = found_in(tmp_path, blobs(), system="mlp", **options)
    assert next(iter(found)) == "step-too-small"
    assert {"lr": pytest.approx(options["lr"] * 10)} in [one.changes for one in found["step-too-small"].remedies]
    assert found["step-too-small"].evidence["path"] < 0.1


@pytest.mark.parametrize("options", [{}, {"lr": 1e-2}, {"optimizer": "sgd"}])
def test_sound_steps(options, tmp_path):
    assert "step-too-small" not in found_in(tmp_path, blobs(), system="mlp", **options)


def test_what_it_takes():
    small = [look(3, 1e-6), look(50, 1e-6)]
    falls = curve(0.8, 0.75, 0.7, 0.65, 0.6)
    assert check(view(curve=falls, visits=small)).severity == "problem"  # type: ignore[union-attr]
    assert check(view(curve=falls, visits=[look(3, 1e-4), look(50, 1e-4)])).severity == "warning"  # type: ignore[union-attr]
    assert check(view(curve=falls, visits=[look(3), look(50)])) is None
    assert check(view(curve=curve(0.8, 0.1, 0.1, 0.1), visits=small)) is None  # it has learned
    tuned = {**view().options, "weights": "a/run"}
    assert check(view(curve=falls, visits=small, options=tuned)).severity == "note"  # type: ignore[union-attr]
    assert check(view(curve=falls, visits=[look(3, 0.0)])) is None  # nothing moves at all: another check's
    assert check(view(visits=small)) is None and check(view(curve=falls)) is None
