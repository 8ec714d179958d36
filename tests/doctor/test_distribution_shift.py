"""Parts that a classifier can tell apart are found; parts drawn at random, by time or by group are not blamed."""

import numpy as np
import polars as pl
import pytest

import gipi
from gipi.doctor import View
from gipi.doctor.checks.distribution_shift import check

RANDOM = np.random.default_rng(0)
PARTS = {"train": np.arange(300), "valid": np.arange(300, 400), "test": np.arange(400, 600)}


def table(shift: float, rows: int = 600) -> View:
    x = RANDOM.normal(size=(rows, 5)).astype(np.float32)
    x[400:, 2] += shift
    return View(x, None, PARTS)


@pytest.mark.parametrize("seed", range(4))
def test_parts_drawn_at_random(seed):
    random = np.random.default_rng(seed)
    order = random.permutation(600)
    parts = {"train": order[:300], "valid": order[300:400], "test": order[400:]}
    assert check(View(random.normal(size=(600, 5)).astype(np.float32), None, parts)) is None


def test_a_column_that_is_moved():
    some, much = check(table(1.2)), check(table(4.0))
    assert some and some.severity == "warning" and some.evidence["features"][0] == "input 3"
    assert much and much.severity == "problem" and much.evidence["part"] == "test" and much.plot


def test_darker_pictures_and_other_texts():
    x = RANDOM.integers(0, 256, (600, 1, 10, 10), np.uint8)
    assert check(View(x, None, PARTS)) is None
    x[400:] //= 2
    found = check(View(x, None, PARTS))
    assert found and found.severity == "problem"
    tokens = RANDOM.integers(0, 50, (600, 12)).astype(np.int32)
    used = {"text": "text"}
    assert check(View(tokens, None, PARTS, used=used)) is None
    tokens[400:] += 30
    found = check(View(tokens, None, PARTS, used=used))
    assert found and found.severity == "problem"


def test_a_run_says_it(tmp_path):
    def rows(count: int, shift: float) -> pl.DataFrame:
        x = RANDOM.normal(size=(count, 3))
        y = np.where(x[:, 0] + 0.3 * RANDOM.normal(size=count) > 0, "a", "b")
        return pl.DataFrame({"p": x[:, 0], "q": x[:, 1] + shift, "r": x[:, 2], "y": y})

    options = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True}
    names = []
    for number, shift in enumerate((0.0, 3.0)):
        rows(120, shift).write_csv(tmp_path / f"test{number}.csv")
        run = gipi.fit(rows(300, 0.0), test=str(tmp_path / f"test{number}.csv"), run=tmp_path / f"{number}", **options)
        names.append([one.name for one in run.doctor() if one.severity == "problem"])
    assert names == [[], ["distribution-shift"]]


def test_parts_by_time_are_at_most_a_note(tmp_path):
    x = RANDOM.normal(size=(400, 3)) + np.arange(400)[:, None] / 100
    frame = pl.DataFrame({"hour": np.arange(400.0), "p": x[:, 0], "q": x[:, 1], "y": x[:, 2]})
    options = {"target": "y", "time": "hour", "system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit(frame, run=tmp_path / "run", **options)
    assert [one.severity for one in run.doctor() if one.name == "distribution-shift"] == ["note"]
