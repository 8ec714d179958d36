"""A model that is too small, held back or stopped early is told from data in which there is nothing to learn."""

import numpy as np
from trained import blobs, curve, found_in, view

from gipi.doctor.checks.underfitting import check
from gipi.doctor.straight_lines import straight_score


def test_held_back(tmp_path):
    found = found_in(tmp_path / "narrow", "digits", system="mlp", hidden=(1,), epochs=5)
    assert found["underfitting"].severity == "warning"
    assert {"hidden": [128]} in [remedy.changes for remedy in found["underfitting"].remedies]
    found = found_in(tmp_path / "dropout", blobs(), system="mlp", dropout=0.97)
    assert found["underfitting"].remedies[0].changes == {"dropout": 0.1}
    found = found_in(tmp_path / "decay", blobs(), system="mlp", weight_decay=100.0)
    assert found["underfitting"].remedies[0].changes == {"weight_decay": 0.01}


def test_straight_lines_cannot_bend(tmp_path):
    x = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    found = found_in(tmp_path, (x, (x[:, 0] * x[:, 1] > 0).astype(int)), system="linear")["underfitting"]
    assert found.severity == "note"  # no more is known than that nothing was learned
    assert {"system": "mlp"} in [remedy.changes for remedy in found.remedies]


def test_sound_runs(tmp_path):
    assert "underfitting" not in found_in(tmp_path / "mlp", blobs(), system="mlp")
    assert "underfitting" not in found_in(tmp_path / "linear", blobs(), system="linear")
    x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    assert "underfitting" not in found_in(tmp_path / "regress", (x, 100 + 7 * x[:, 0]), system="mlp")


def test_straight_lines():
    x, y = blobs()
    parts = {"train": np.arange(400), "valid": np.arange(400, 600)}
    score = straight_score(view(x=x, y=y, parts=parts, labels=range(4)))
    assert score and 0.7 < score[0] < 1 and score[2] == 200 and score[1] < 0.4
    line = straight_score(view(x=x, y=(x @ np.arange(10.0))[:, None], parts=parts, target_kind="number"))
    assert line and line[0] > 0.99
    x[0], x[1], x[2] = np.nan, np.inf, -np.inf
    for odd in (x, np.zeros((600, 1), bool), np.zeros((600, 3, 40, 40), np.uint8), np.zeros((600, 0))):
        straight_score(view(x=odd, y=y, parts=parts))
    assert straight_score(view()) is None and straight_score(view(x=x, y=np.zeros(600, int), parts=parts)) is None


def test_what_it_takes():
    assert check(view(curve=curve(0.7, 0.69)))
    assert check(view(curve=curve(0.7, 0.3, 0.3))) is None
    assert check(view(curve=curve(0.7, 0.69), error="went wrong")) is None
    assert check(view(curve=curve(-3.0, -4.0), target_kind="", y=None)) is None  # a likelihood has no chance level
