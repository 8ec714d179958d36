"""Numbers that reach the network at their own size are found where that is large."""

import numpy as np
import pytest

import gipi
from gipi.doctor import View
from gipi.doctor.checks.unscaled_input import check

RANDOM = np.random.default_rng(0)


def view(x: np.ndarray, **changes) -> View:
    parts = {"train": np.arange(len(x))}
    return View(**{"x": x, "y": np.arange(len(x)) % 2, "parts": parts, "target_kind": "class", **changes})


def test_numbers_about_one_are_fine():
    x = RANDOM.normal(size=(100, 4)).astype(np.float32)
    assert check(view(x)) is None
    x[:, 1] *= 0.01  # small numbers do no harm at the start
    assert check(view(x)) is None
    x[:, 2] *= 1000
    assert check(view(x, options={"scale": "standard"})) is None  # as they came out of the scaling: the training rows
    assert check(view((x * 0 + 255).astype(np.uint8))) is None


@pytest.mark.parametrize(("times", "severity"), [(30, "warning"), (1e4, "problem")])
def test_columns_of_different_size(times, severity):
    x = RANDOM.normal(size=(100, 4)).astype(np.float32)
    x[:, 2] *= times
    found = check(view(x, options={"scale": "none"}))
    assert found and found.severity == severity and found.remedies[0].changes == {"scale": "standard"} and found.plot
    own = check(view(x))  # a loop of a person's own
    assert own and own.severity == severity and not own.remedies[0].changes


def test_pictures_from_0_to_255_and_codes():
    x = RANDOM.uniform(0, 255, (50, 3, 8, 8)).astype(np.float32)
    found = check(view(x))
    assert found and found.severity == "problem"
    assert check(view(x / 255)) is None
    codes = np.concatenate([RANDOM.normal(size=(50, 1)), RANDOM.integers(1, 500, (50, 1))], 1).astype(np.float32)
    assert check(view(codes, used={"a": "number", "b": "category"}, options={"scale": "none"})) is None


def test_a_run_says_it(tmp_path):
    x = RANDOM.normal(size=(200, 3)) * (1, 5000, 1)
    y = np.where(x[:, 0] > 0, "a", "b")
    options = {"system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit((x, y), run=tmp_path / "none", scale="none", **options)
    assert "unscaled-input" in [one.name for one in run.doctor()]
    run = gipi.fit((x, y), run=tmp_path / "standard", **options)
    assert "unscaled-input" not in [one.name for one in run.doctor()]
    run = gipi.fit((x, x[:, 0] * 1e5), run=tmp_path / "target", scale="none", **options)
    assert "unscaled-input" in [one.name for one in run.doctor()]
