"""Training that went wrong is said, and whether it came to its end."""

import numpy as np
from trained import blobs, curve, found_in, view

from gipi.doctor.checks.divergence import check


def test_a_run_that_was_given_up(tmp_path):
    found = found_in(tmp_path, blobs(), system="mlp", lr=100.0)
    assert found["divergence"].severity == "problem"
    assert found["divergence"].remedies[-1].changes == {"lr": 10.0, "clip": 1.0}


def test_a_run_that_went_on_is_no_problem():
    history = [{"epoch": 5, "step": 100, "train": {"learner": 0.1}}]
    fault = {"fault": "loss", "step": 7, "player": "learner", "from": 0}
    found = check(view(error="went wrong", faults=[fault], history=history, curve=curve(1.0, 0.1)))
    assert found and found.severity == "warning" and found.evidence["faults"] == [fault]
    assert check(view(error="went wrong", history=history)).severity == "problem"  # type: ignore[union-attr]
    assert check(view(curve=curve(1.0, 0.1))) is None


def test_a_sound_run(tmp_path):
    assert "divergence" not in found_in(tmp_path / "mlp", blobs(), system="mlp")
    assert "divergence" not in found_in(
        tmp_path / "flat", (np.eye(60, 2, dtype=np.float32), np.arange(60) % 2), system="mlp"
    )
