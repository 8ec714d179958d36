"""Batches that contradict each other are said where the loss stands still, and nowhere else."""

import numpy as np
from trained import blobs, curve, found_in, look, view

from gipi.doctor.checks.noisy_gradient import check


def test_single_rows_of_noise(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 8)).astype(np.float32)
    found = found_in(tmp_path, (x, (x[:, 0] + 5 * draw.normal(size=400))), system="mlp", batch_size=1, epochs=2)
    assert found["noisy-gradient"].remedies[0].changes == {"batch_size": 8}


def test_sound_runs(tmp_path):
    assert "noisy-gradient" not in found_in(tmp_path / "a", blobs(), system="mlp")
    assert "noisy-gradient" not in found_in(tmp_path / "b", blobs(), system="mlp", lr=1e-3, epochs=3)


def test_what_it_takes():
    apart = [look(step, agreement=0.02) for step in (3, 20, 60)]
    agreed = [look(step, agreement=0.6) for step in (3, 20, 60)]
    still, falls = curve(0.7, 0.7, 0.7), curve(0.7, 0.4, 0.1)
    parts = {"train": np.arange(1000) % 80}
    options = {**view().options, "batch_size": 8}
    assert check(view(curve=still, visits=apart, options=options)).severity == "warning"  # type: ignore[union-attr]
    assert check(view(curve=still, visits=apart, parts=parts)).severity == "note"  # type: ignore[union-attr]
    assert check(view(curve=still, visits=apart)) is None  # half of all rows
    assert check(view(curve=still, visits=agreed)) is None
    assert check(view(curve=falls, visits=apart)) is None
    assert check(view(curve=still, visits=apart[:1])) is None
    few = {**view().options, "batch_size": 2}
    assert check(view(curve=curve(0.7, 0.2, 0.2, 0.2), options=few)).severity == "note"  # type: ignore[union-attr]
