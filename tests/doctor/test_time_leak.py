"""Neighbours in time on both sides of a random cut are found; a date that tells nothing, or a cut by time, is fine."""

from datetime import date, timedelta

import numpy as np
import polars as pl

import gipi


def series(memory: float, rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """A day in each row; what `y` is today it mostly was yesterday, if the memory is near 1."""
    random = np.random.default_rng(seed)
    level, y = 0.0, np.zeros(rows)
    for day in range(rows):
        level = memory * level + np.sqrt(1 - memory**2) * random.normal()
        y[day] = level
    x = random.normal(size=(rows, 2))
    days = [date(2020, 1, 1) + timedelta(day) for day in range(rows)]
    return pl.DataFrame({"day": days, "a": x[:, 0], "b": x[:, 1], "y": y + 0.3 * x[:, 0]})


def found(tmp_path, frame: pl.DataFrame, name: str = "run", **options):
    own = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True, **options}
    run = gipi.fit(frame, run=tmp_path / name, **own)
    return {one.name: one for one in run.doctor()}


def test_neighbours_in_time(tmp_path):
    leak = found(tmp_path, series(0.97))["time-leak"]
    assert leak.severity == "problem" and leak.remedies[0].changes == {"time": "day"}
    assert leak.evidence["told_at_random"] > leak.evidence["told_by_time"] + 0.3 and leak.plot


def test_a_date_without_memory_and_parts_by_time_are_fine(tmp_path):
    for seed in range(3):
        assert "time-leak" not in found(tmp_path, series(0.0, seed=seed), f"{seed}")
    assert "time-leak" not in found(tmp_path, series(0.97), "by time", time="day")


def test_a_counted_time_and_a_duration(tmp_path):
    frame = series(0.97).with_columns(time=pl.int_range(400) * 10.0)
    assert found(tmp_path, frame.drop("day"), "counted")["time-leak"].evidence["column"] == "time"
    random = np.random.default_rng(0)
    lasted = random.exponential(size=400)  # a measurement that is called so
    frame = series(0.0).with_columns(time=pl.Series(lasted), y=pl.Series(lasted + 0.1 * random.normal(size=400)))
    assert "time-leak" not in found(tmp_path, frame.drop("day"), "duration")
