"""Few rows are told by the class, the column and the score; enough rows are left alone."""

import numpy as np

import gipi


def found(tmp_path, rows: int, columns: int = 4, classes: int = 2):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, columns))
    y = np.array([f"class {n % classes}" for n in range(rows)])
    options = {"system": "linear", "steps": 2, "verdict": False, "quiet": True}
    run = gipi.fit((x, y), run=tmp_path / "run", **options)
    return next((one for one in run.doctor() if one.name == "too-little-data"), None)


def test_enough_rows(tmp_path):
    assert found(tmp_path, 600) is None


def test_few_rows_of_a_class(tmp_path):
    one = found(tmp_path, 90, classes=10)
    assert one and one.severity == "warning" and "6 of a class" in one.cause


def test_few_rows_for_many_columns(tmp_path):
    one = found(tmp_path, 200, columns=60)
    assert one and one.severity == "warning" and "for each of 60 columns" in one.cause
    assert one.evidence["gain_of_doubling"] is not None


def test_few_test_rows_are_a_note(tmp_path):
    one = found(tmp_path, 150)
    assert one and one.severity == "note" and "30 test rows" in one.cause
