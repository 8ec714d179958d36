"""A loss that has not moved for half of the training is said; one that still falls, or is near zero, is not."""

import numpy as np
from trained import curve, found_in, view

from gipi.doctor.checks.plateau import check


def test_what_cannot_be_learned_better(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3)).astype(np.float32)
    y = (draw.random(600) < 0.5 + 0.35 * np.sign(x[:, 0])).astype(int)
    found = found_in(tmp_path, (x, y), system="mlp", hidden=(8,), epochs=40, patience=0, optimizer="sgd", lr=0.05)
    assert found["plateau"].severity == "note"
    assert {"schedule": "cosine"} in [remedy.changes for remedy in found["plateau"].remedies]


def test_what_it_takes():
    found = check(view(curve=curve(0.7, 0.4, 0.4, 0.4)))
    assert found and found.remedies[2].changes == {"epochs": 5}
    assert check(view(curve=curve(0.7, 0.6, 0.5, 0.4, 0.3))) is None
    assert check(view(curve=curve(0.7, 0.01, 0.01, 0.01))) is None  # near zero
    assert check(view(curve=curve(0.7, 0.7, 0.7, 0.7))) is None  # has learned nothing: underfitting
    assert check(view(curve=curve(0.7, 0.4, 0.4, 0.4), task="act")) is None
    assert check(view()) is None and check(view(curve={"learner": np.empty((0, 3))})) is None
