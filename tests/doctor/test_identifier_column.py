"""Columns that name the rows are found, whether they count or are assigned; measurements are left alone."""

import numpy as np
import polars as pl
import pytest

import gipi
from gipi.doctor.columns import Column, names_owners, names_rows

RANDOM = np.random.default_rng(0)


def findings(tmp_path, columns: dict) -> dict:
    frame = pl.DataFrame(columns)
    options = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit(frame, run=tmp_path / "run", **options)
    return {one.name: one for one in run.doctor()}


def table(rows: int = 200) -> dict:
    x = RANDOM.normal(size=(rows, 2))
    return {"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] + RANDOM.normal(size=rows) > 0, "yes", "no")}


def test_what_names_rows():
    def kind(values) -> str:
        return names_rows(Column("c", "number", np.asarray(values, float)))

    assert kind(np.arange(100)) == "counts" and kind(np.arange(100) * 1.0 + 5000) == "counts"
    assert kind(RANDOM.permutation(100)) == "assigned"
    assert kind(RANDOM.choice(10_000, 1000, replace=False)) == "assigned"
    assert kind(RANDOM.integers(0, 10_000, 1000)) == ""  # some values twice
    assert kind(RANDOM.choice(10**9, 300, replace=False)) == ""  # all different, as by chance
    assert kind(RANDOM.normal(size=200)) == "" and kind(np.arange(10)) == "" and kind([np.nan] * 30) == ""


def test_names_of_owners():
    assert all(map(names_owners, ("patient", "customer_id", "userId", "환자번호", "Subject")))
    assert not any(map(names_owners, ("width", "idle", "grid", "나이", "paid")))


def test_a_row_number_is_a_warning_and_rows_sorted_by_answer_a_problem(tmp_path):
    columns = table()
    found = findings(tmp_path / "1", {"record": np.arange(200) + 17, **columns})["identifier-column"]
    assert found.severity == "warning" and found.evidence["columns"] == ["record"]
    order = np.argsort(columns["y"])
    columns = {name: values[order] for name, values in columns.items()}
    found = findings(tmp_path / "2", {"record": np.arange(200) + 17, **columns})
    assert found["identifier-column"].severity == "problem" and "target-leak" not in found


def test_a_column_that_gipi_left_out_is_a_note(tmp_path):
    names = [f"K{n:05d}" for n in RANDOM.permutation(90_000)[:200]]
    found = findings(tmp_path, {"key": names, **table()})["identifier-column"]
    assert found.severity == "note" and found.evidence["left_out"] == ["key"]


@pytest.mark.parametrize("column", [RANDOM.normal(50, 9, 200), RANDOM.integers(0, 80, 200)])
def test_measurements_are_left_alone(tmp_path, column):
    assert "identifier-column" not in findings(tmp_path, {"size": column, **table()})
