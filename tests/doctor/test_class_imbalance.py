"""Rare classes are found, the rarer the worse; classes that are uneven by chance or by little are left alone."""

import numpy as np
import pytest

import gipi
from gipi.doctor import View
from gipi.doctor.checks.class_imbalance import check


def view(counts: tuple[int, ...], **options) -> View:
    y = np.repeat(np.arange(len(counts)), counts)
    return View(np.zeros((len(y), 1)), y, {"train": np.arange(len(y))}, "class", tuple("abcdefgh"), options=options)


@pytest.mark.parametrize("counts", [(50, 50), (70, 30), (5, 15), (30, 40, 50), (0, 40)])
def test_even_enough(counts):
    assert check(view(counts)) is None


def test_the_rarer_the_worse():
    note, warning = check(view((850, 150))), check(view((950, 50)))
    assert note and note.severity == "note" and warning and warning.severity == "warning"
    assert warning.remedies[0].changes == {"class_weight": "balanced"} and warning.evidence["rarest"] == "b"
    assert "right in 95% of the rows" in warning.cause and warning.plot and warning.plot.limit == 500
    counted = check(view((950, 50), class_weight="balanced"))
    assert counted and counted.severity == "note" and not counted.remedies[0].changes


def test_a_run_says_it(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    y = np.where(x[:, 0] > np.quantile(x[:, 0], 0.95), "rare", "often")
    options = {"system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit((x, y), run=tmp_path / "rare", **options)
    (found,) = [one for one in run.doctor() if one.name == "class-imbalance"]
    assert found.severity == "warning" and found.evidence["rarest"] == "rare"
    run = gipi.fit((x, np.where(x[:, 0] > 0, "a", "b")), run=tmp_path / "even", **options)
    assert "class-imbalance" not in [one.name for one in run.doctor()]
