"""Rows that were labelled twice, differently, are found; coarse rows that met by chance are a note."""

import numpy as np
import polars as pl

import gipi
from gipi.doctor import View
from gipi.doctor.checks.contradictory_labels import check

RANDOM = np.random.default_rng(0)


def view(x: np.ndarray, y: np.ndarray, kind: str = "class") -> View:
    half = len(x) // 2
    parts = {"train": np.arange(half), "test": np.arange(half, len(x))}
    return View(x, y, parts, kind, tuple(range(int(y.max()) + 1)) if kind == "class" else ())


def twice(share: float, rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two classes, a share of which stands there twice, with the other label."""
    x = RANDOM.normal(size=(rows, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    again = RANDOM.permutation(rows)[: int(share * rows)]
    return np.concatenate([x, x[again]]), np.concatenate([y, 1 - y[again]])


def test_rows_that_were_labelled_twice():
    assert check(view(*twice(0.0))) is None
    found = check(view(*twice(0.02)))
    assert found and found.severity == "warning" and found.evidence["rows"] == 12
    found = check(view(*twice(0.3)))
    assert found and found.severity == "problem" and abs(found.evidence["floor"] - 90 / 390) < 1e-6


def test_coarse_rows_meet_by_chance():
    x = RANDOM.integers(0, 3, (600, 4)).astype(np.float32)
    y = (x.sum(1) + RANDOM.normal(size=600) > 4).astype(np.int64)
    found = check(view(x, y))
    assert found and found.severity == "note" and found.evidence["by_chance"]


def test_numbers_far_apart():
    x, _y = twice(0.3)
    y = x[:, :1] + 0.1 * RANDOM.normal(size=(len(x), 1))
    assert check(view(x, y, "number")) is None  # equal rows, nearly equal answers
    y[300:] += 3
    found = check(view(x, y, "number"))
    assert found and found.severity == "problem" and found.evidence["rows"] == 180


def test_pictures():
    x = RANDOM.integers(0, 256, (200, 3, 8, 8), np.uint8)
    y = np.arange(200) % 2
    assert check(view(x, y)) is None
    x[101:151] = x[:50]
    found = check(view(x, y))
    assert found and found.severity == "problem" and found.evidence["rows"] == 100
    x[:] = 0  # nothing is to be seen in any: see broken-inputs
    assert check(view(x, y)) is None


def test_what_cannot_be_compared_is_left_alone():
    x = np.full((40, 2), np.nan, np.float32)
    assert check(view(x, np.zeros(40, np.int64))) is None
    assert check(View(x, np.array(["a"] * 40), {}, "class")) is None
    assert check(View()) is None


def test_a_run_says_it(tmp_path):
    x, y = twice(0.3)
    frame = pl.DataFrame({**{f"c{n}": x[:, n] for n in range(4)}, "y": y})
    options = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True}
    (found,) = [
        one for one in gipi.fit(frame, run=tmp_path / "run", **options).doctor() if one.name == "contradictory-labels"
    ]
    assert found.severity == "problem" and found.evidence["worse_than_chance"]
