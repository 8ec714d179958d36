"""Rows of one patient in training and test are found where they help; groups that tell nothing are left alone."""

import numpy as np
import polars as pl
import pytest

import gipi


def patients(strength: float, name: str = "patient", words: bool = False, seed: int = 0) -> pl.DataFrame:
    """30 patients of 12 rows: the rows of one are alike, and so, by the strength, are their answers."""
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(30), 12)[random.permutation(360)]
    x = random.normal(size=(30, 4))[who] + 0.3 * random.normal(size=(360, 4))
    z = strength * random.normal(size=30)[who] + 0.5 * x[:, 0] + random.normal(size=360)
    column = [f"P{one:02d}" for one in who] if words else who
    return pl.DataFrame({name: column, **{f"c{n}": x[:, n] for n in range(4)}, "y": np.where(z > 0, "ill", "well")})


def found(tmp_path, frame: pl.DataFrame, **options):
    own = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True, **options}
    return {one.name: one for one in gipi.fit(frame, run=tmp_path / "run", **own).doctor()}


@pytest.mark.parametrize("words", [False, True])
def test_patients_on_both_sides(tmp_path, words):
    leak = found(tmp_path, patients(3.0, words=words))["group-leak"]
    assert leak.severity == "problem" and leak.remedies[0].changes == {"group": "patient"}
    assert leak.evidence["groups"] == 30 and leak.plot


def test_groups_that_tell_nothing_and_parts_by_group_are_fine(tmp_path):
    for seed in range(2):
        assert "group-leak" not in found(tmp_path / f"{seed}", patients(0.0, seed=seed))
    assert "group-leak" not in found(tmp_path / "group", patients(3.0), group="patient")


def test_a_column_of_another_name_is_no_more_than_a_warning(tmp_path):
    leak = found(tmp_path, patients(3.0, "tag", words=True)).get("group-leak")
    assert leak is None or leak.severity == "warning"
