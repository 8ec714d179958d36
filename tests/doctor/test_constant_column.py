"""Columns without anything in them are noted; rare values that are there often enough are left alone."""

import numpy as np
import polars as pl

import gipi


def found(tmp_path, **columns):
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    frame = pl.DataFrame({"a": x, **columns, "y": np.where(x > 0, "yes", "no")})
    options = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit(frame, run=tmp_path / "run", **options)
    return next((one for one in run.doctor() if one.name == "constant-column"), None)


def test_constant_nearly_constant_and_nearly_empty(tmp_path):
    rare, gaps = np.zeros(300), [None] * 295 + [1.5, 2.5, 3.5, 4.5, 5.5]
    rare[:4] = 1
    one = found(tmp_path, same=np.full(300, 3.0), rare=rare, gaps=gaps)
    assert one and one.severity == "note"
    assert one.evidence == {"constant": ["same"], "nearly": ["rare"], "empty": ["gaps"]}


def test_rare_but_not_too_rare(tmp_path):
    assert found(tmp_path, flag=(np.arange(300) % 10 == 0) * 1.0, gaps=[None, 1.0, 2.0] * 100) is None
