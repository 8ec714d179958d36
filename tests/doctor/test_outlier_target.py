"""Targets far out are found where the loss is about them; long tails and normal noise are left alone."""

import numpy as np
import pytest

import gipi
from gipi.doctor import View
from gipi.doctor.checks.outlier_target import check

RANDOM = np.random.default_rng(0)


def view(y: np.ndarray, **options) -> View:
    return View(None, y[:, None], {"train": np.arange(len(y))}, "number", target=("y",), options=options)


@pytest.mark.parametrize(
    "y",
    [
        RANDOM.normal(size=500),
        RANDOM.uniform(size=500),
        np.exp(0.8 * RANDOM.normal(size=500)),
        RANDOM.poisson(1.0, 500),
        RANDOM.exponential(size=500),
        np.zeros(100),
        np.full(100, np.nan),
        np.arange(10.0),
    ],
)
def test_honest_targets(y):
    assert check(view(y)) is None


@pytest.mark.parametrize("times", [100, 1000])
def test_wrong_units(times):
    y = RANDOM.normal(10, 2, 500)
    y[[3, 50, 99]] *= times
    found = check(view(y))
    assert found and found.severity == "problem" and found.evidence["rows"] == 3
    assert found.remedies[0].changes == {"loss": "huber"} and found.plot
    robust = check(view(y, loss="huber"))
    assert robust and robust.severity == "note" and not robust.remedies[0].changes


def test_a_very_long_tail_is_a_warning():
    found = check(view(RANDOM.pareto(1.1, 2000)))
    assert found and found.severity in ("warning", "problem")


def test_a_run_says_it(tmp_path):
    x = RANDOM.normal(size=(200, 3))
    y = x[:, 0] + 0.1 * RANDOM.normal(size=200)
    options = {"system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit((x, y), run=tmp_path / "fine", **options)
    assert "outlier-target" not in [one.name for one in run.doctor()]
    y[5] = 4000.0
    run = gipi.fit((x, y), run=tmp_path / "out", **options)
    (found,) = [one for one in run.doctor() if one.name == "outlier-target"]
    assert found.severity == "problem" and found.remedies[0].changes == {"loss": "huber"}
