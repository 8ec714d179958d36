"""The target in disguise is found: a column, a sum, a pixel, a word; strong and honest columns are left alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import gipi
from gipi.data.sources import open_data
from gipi.doctor import View
from gipi.doctor.checks.target_leak import check

RANDOM = np.random.default_rng(0)


def table(rows: int = 400, kind: str = "class", seed: int = 0) -> dict:
    """Columns of which some tell something of `y`, and none much."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 5))
    z = x[:, 0] - x[:, 1] + 0.5 * x[:, 2] + random.normal(size=rows)
    columns: dict = {f"c{n}": x[:, n] for n in range(5)}
    return {**columns, "y": np.where(z > 0, "yes", "no") if kind == "class" else z}


def view_of(columns: dict, kind: str = "class") -> View:
    frame = pl.DataFrame(columns)
    rows = frame.height
    inputs = [name for name in frame.columns if name != "y"]
    used = {name: "category" if frame[name].dtype == pl.String else "number" for name in inputs}
    y = frame["y"].rank("dense").cast(pl.Int64).to_numpy() - 1 if kind == "class" else frame["y"].to_numpy()[:, None]
    x = frame.select(pl.col(name).rank("dense").cast(pl.Float32) for name in inputs).to_numpy()
    parts = {"train": np.arange(0, rows, 2), "test": np.arange(1, rows, 2)}
    return View(x, y, parts, kind, ("no", "yes"), frame=frame, target=("y",), used=used)


def test_nothing_where_no_column_stands_out():
    assert check(view_of(table())) is None
    assert check(view_of(table(kind="number"), "number")) is None


@pytest.mark.parametrize("flipped", [0.0, 0.02])
def test_a_column_that_was_written_down_after_the_answer(flipped):
    columns = table()
    wrong = RANDOM.random(400) < flipped
    columns["paid"] = ((columns["y"] == "yes") ^ wrong).astype(float)
    found = check(replace(view_of(columns), options={"drop": ("before",)}))
    assert found and found.severity == "problem" and found.evidence["column"] == "paid"
    assert "'paid' alone tells" in found.cause and found.plot
    assert found.remedies[0].changes == {"drop": ["before", "paid"]}


@pytest.mark.parametrize("flipped", [0.05, 0.1])
def test_a_column_that_was_written_down_carelessly(flipped):
    random = np.random.default_rng(1)
    y = random.random(500) < 0.5
    columns = {f"c{n}": random.normal(size=500) for n in range(4)}
    written = y ^ (random.random(500) < flipped)
    found = check(view_of({**columns, "status": np.where(written, "closed", "open"), "y": np.where(y, "yes", "no")}))
    assert found and found.severity == "warning" and found.evidence["column"] == "status"
    told = {f"t{n}": y + random.normal(size=500) for n in range(4)}  # others that know something: it is a good column
    company = {**told, "status": np.where(y ^ (random.random(500) < 0.13), "closed", "open")}
    assert check(view_of({**company, "y": np.where(y, "yes", "no")})) is None


def test_words_gaps_and_numbers_leak_as_well():
    columns = table()
    yes = columns["y"] == "yes"
    for leak in (np.where(yes, "A7", "B1"), [None if one else 1.0 + n % 7 for n, one in enumerate(yes)]):
        found = check(view_of({**columns, "leak": leak}))
        assert found and found.evidence["column"] == "leak", leak[:3]
    columns = table(kind="number")
    columns["leak"] = 5 - 2 * columns["y"] + 0.1 * RANDOM.normal(size=400)
    found = check(view_of(columns, "number"))
    assert found and found.severity == "problem" and found.evidence["column"] == "leak"


def test_a_good_column_with_good_company_is_no_leak():
    columns = table()
    size = np.where(columns["y"] == "yes", 2.0, -2.0)
    columns["length"], columns["width"] = (size + 0.7 * RANDOM.normal(size=400) for _n in range(2))
    assert check(view_of(columns)) is None


def test_a_target_that_is_a_sum_or_a_product_of_columns():
    columns = table(kind="number")
    columns["y"] = columns["c0"] + columns["c3"]
    found = check(view_of(columns, "number"))
    assert found and found.severity == "problem" and found.evidence["columns"] == ["c0", "c3"]
    columns["c0"], columns["c1"] = np.exp(columns["c0"]), np.exp(columns["c1"])
    columns["y"] = columns["c0"] / columns["c1"]
    found = check(view_of(columns, "number"))
    assert found and found.evidence["columns"] == ["c0", "c1"] and "product or quotient" in found.cause
    columns["y"] = columns["c0"] / columns["c1"] * np.exp(0.3 * RANDOM.normal(size=400))
    assert check(view_of(columns, "number")) is None


def pictures(mark: bool, rows: int = 600) -> View:
    random = np.random.default_rng(1)
    y = np.arange(rows) % 3
    x = random.integers(0, 200, (rows, 1, 12, 12)).astype(np.uint8)
    x[:, 0, 4:8, 4:8] += (18 * y[:, None, None]).astype(np.uint8)  # what is to be learned, in much noise
    if mark:
        x[:, 0, 0, 11] = 60 * y
    return View(x, y, {"train": np.arange(400), "test": np.arange(400, rows)}, "class", ("a", "b", "c"))


def test_a_pixel_that_marks_the_class():
    assert check(pictures(mark=False)) is None
    found = check(pictures(mark=True))
    assert found and found.severity == "problem" and "row 1, column 12" in found.cause


def test_a_word_that_marks_the_class(tmp_path):
    words = np.array(["the", "a", "film", "plot", "was", "good", "bad", "very", "long", "dull", "story", "of", "and"])
    good = np.arange(400) % 2 == 0
    plain = [" ".join(RANDOM.choice(words, RANDOM.integers(4, 12))) for _n in range(400)]
    options = {"target": "label", "system": "bow", "steps": 2, "verdict": False, "quiet": True}
    found = []
    for marked in (False, True):
        texts = [f"{text} {'up' if one and marked else 'down' if marked else ''}" for text, one in zip(plain, good)]  # noqa: B905
        frame = pl.DataFrame({"text": texts, "label": np.where(good, "yes", "no")})
        run = gipi.fit(frame, text="text", run=tmp_path / str(marked), **options)
        found.append([one.severity for one in run.doctor() if one.name == "target-leak"])
    assert found == [[], ["problem"]]


def test_a_run_says_it(tmp_path):
    columns = table(200)
    columns["paid"] = (columns["y"] == "yes").astype(float)
    options = {"target": "y", "system": "linear", "steps": 5, "verdict": False, "quiet": True}
    run = gipi.fit(pl.DataFrame(columns), run=tmp_path / "leak", **options)
    assert run.doctor()[0].name == "target-leak"
    columns.pop("paid")
    run = gipi.fit(pl.DataFrame(columns), run=tmp_path / "fine", **options)
    assert "target-leak" not in [one.name for one in run.doctor()]


def test_real_tables(shared_data):
    """Petal width tells the kind of iris, G2 the last grade: both have company. Riders are the sum of two columns."""
    iris = open_data(shared_data / "iris" / "iris.csv").frame.cast({f"column_{n}": pl.Float64 for n in range(1, 5)})
    assert check(view_of(dict(iris.rename({"column_5": "y"}).to_dict()))) is None
    bikes = pl.read_csv(shared_data / "bike_sharing" / "day.csv").drop("dteday", "instant").rename({"cnt": "y"})
    found = check(view_of(dict(bikes.cast(pl.Float64).to_dict()), "number"))
    assert found and found.evidence["columns"] == ["casual", "registered"]
