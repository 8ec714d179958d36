"""Kinds of columns: what is inferred from values, what is left out, and what one bad value gets."""

import datetime
import math
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.data.columns import conform, infer
from gipi.data.tables import place, read_table
from gipi.errors import DataError


def kind(values, name="x", target=(), dtype=None):
    """The kind of one column beside another one, so that it is not the only input."""
    frame = pl.DataFrame({name: pl.Series(values, dtype=dtype), "other": [0.5] * (len(values) - 1) + [1.5]})
    return infer(frame, target)[0][name]


def notes(values, name="x"):
    return " | ".join(infer(pl.DataFrame({name: values}))[1])


WORDS = ["red", "green", "blue"] * 10
KEYS = [f"K{number * 7919 % 1000:03d}" for number in range(40)]
NAMES = [f"{first} {last}" for first in ("Ann", "Bob", "Cho", "Dan", "Eve") for last in ("Kim", "Lee", "Park", "Choi")]
SENTENCES = [f"this is the sentence with number {number} in it" for number in range(30)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.5", "-3e2"], "number"),
        (["1,395", "477", "1,170"], "number"),
        (["1", "-", "2", "?", "."], "number"),
        (["1", None, "NaN"], "number"),
        (["0", "1"] * 20, "number"),
        (["3", "1", "2"] * 10, "number"),
        (["04524", "12345", "00123"], "category"),
        (["00.5", "01.5", "02.5"], "number"),
        (WORDS, "category"),
        (["None", "None", "Brick", "-"], "category"),
        (["a", None, None], "category"),  # where the gaps are may say something
        (["yes", "no", "NO", "Yes"], "boolean"),
        (["true", "False", None], "boolean"),
        (["yes", "no", "maybe"], "category"),
        (["2016-07-01", "2016-07-02"], "date"),
        (["2016/7/1", "2016/12/2"], "date"),
        (["01.02.2003", "28.2.2003"], "date"),
        (["1949-01", "1949-02", "?"], "date"),
        (["2016-07-01 00:00:00", "2016-07-01T01:00"], "date"),
        (["2016-07-01T00:00:00Z", "2016-07-01T09:00:00+09:00"], "date"),
        (["Jan 1 2000", "Feb 1 2000"], "date"),
        (["2000년 1월 2일", "2000년 12월 3일"], "date"),
        (["1/2/2000", "3/4/2000"], "category"),
        (["k"] * 30, "constant"),
        (["5"] * 30, "constant"),
        ([None, "", "NA", "?"], "constant"),
        ([".", "NONE", "-"], "constant"),
        (KEYS, "identifier"),
        (NAMES, "identifier"),
        (KEYS[:10], "category"),
        ([*KEYS[:39], KEYS[0]], "identifier"),  # nearly unique
        (SENTENCES, "text"),
        (SENTENCES[:3] * 10, "category"),  # long, but few
        (["a" * 64 + str(number) for number in range(30)], "identifier"),
        (
            ["밥 먹었어?", "잘 지내?"] * 4 + [f"오늘 {n}번째 인사." for n in range(120)],
            "text",
        ),
    ],
)
def test_kinds_of_text(values, expected):
    assert kind(values, dtype=pl.String) == expected


def test_many_categories():
    half = [f"street {number}" for number in range(120)]
    assert kind(half + half[:80]) == "text"
    assert kind([value.replace(" ", "") for value in half + half[:80]]) == "identifier"
    many = [f"w{number}" for number in range(250)] * 3
    assert kind(many) == "category" and "x (250)" in notes(many)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("id", range(1, 31), "identifier"),
        ("PassengerId", range(892, 922), "identifier"),
        ("id", [number * 37 % 101 for number in range(40)], "identifier"),
        ("id", [1, 1, 2] * 10, "number"),  # the name alone is not enough
        ("id", range(1, 7), "identifier"),  # few rows, but they are counted
        ("id", [3, 9, 4, 7, 1, 8], "number"),
        ("paid", range(1, 31), "number"),
        ("study_no", range(100, 130), "identifier"),
        ("학생 번호", range(1, 31), "identifier"),
        ("year", range(1990, 2020), "number"),
        ("x", range(1, 31), "number"),
        ("column_1", range(30), "identifier"),
        ("id", [float(number) for number in range(1, 31)], "number"),  # floats are never identifiers
        ("weight", [number * 37 % 101 for number in range(40)], "number"),
    ],
)
def test_row_numbers(name, values, expected):
    assert kind(list(values), name) == expected
    assert kind([str(value) for value in values], name) == expected


def test_a_column_that_counts_is_remarked():
    frame = pl.DataFrame({"t": range(30), "y": [0.5, 1.5] * 15})
    kinds, said = infer(frame)
    assert kinds["t"] == "number" and any("counts the rows" in note for note in said)
    assert infer(frame, ("y",))[0] == {"t": "number", "y": "number"}
    assert infer(pl.DataFrame({"column_1": range(30)}))[0]["column_1"] == "number"  # nothing else to learn from


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (pl.Series([1, 2, 3]), "number"),
        (pl.Series([1.5, math.nan]), "number"),
        (pl.Series([math.nan, None], dtype=pl.Float64), "constant"),
        (pl.Series([None, None]), "constant"),
        (pl.Series([True, False]), "boolean"),
        (pl.Series([datetime.date(2020, 1, 1), None]), "date"),
        (pl.Series([datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1)]), "date"),
        (pl.Series([datetime.timedelta(1), datetime.timedelta(2)]), "number"),
        (pl.Series([datetime.time(1), datetime.time(2)]), "number"),
        (pl.Series(["1", "2"], dtype=pl.Categorical), "category"),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "category"),
        (pl.Series([1, 2]).cast(pl.Decimal(10, 2)), "number"),
        (pl.Series([[1], [2]]), "text"),
        (pl.Series([{"a": 1}, {"a": 2}]), "text"),
    ],
)
def test_kinds_of_types(series, expected):
    frame = series.to_frame("x")
    kinds, _said = infer(frame)
    assert kinds["x"] == expected
    conform(frame, kinds)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (list(range(1, 31)), "number"),
        (["1"] * 30, "number"),
        (["a"] * 30, "category"),
        (KEYS, "category"),
        (["yes", "no"], "category"),  # the words are what is predicted
        (["True", "False"], "boolean"),
        (["01", "02"], "category"),
        ([None, None], "category"),
        (SENTENCES, "text"),
    ],
)
def test_a_target_is_never_left_out(values, expected):
    assert kind(values, "id", ("id",)) == expected


def test_beside_pictures_only_the_target_counts():
    frame = pl.DataFrame({"label": ["cat", "dog"], "file": ["a.png", "b.png"]})
    assert infer(frame, ("label",), picture=True)[0] == {"label": "category"}


# --- a word among numbers ----------------------------------------------------------------------------------------


def test_a_word_among_numbers_is_an_error():
    values = [str(number / 7) for number in range(40)]
    values[16] = "about 5"
    with pytest.raises(DataError, match=r"column 'x', row 17: 'about 5' is not a number, as 39 of 40 values are"):
        kind(values)
    with pytest.raises(DataError, match="row 17"):
        kind(values, target=("x",))
    values[20] = "12o"
    with pytest.raises(DataError, match="other such values: 1"):
        kind(values)
    assert kind(values[15:22]) == "category"  # too few rows to tell


def test_the_error_names_the_line_of_the_file(tmp_path):
    path = tmp_path / "ages.csv"
    path.write_text('name,age\n"two\nlines",1\n' + "\n".join(f"n{n % 3},{n}" for n in range(30)) + "\nz,young\n")
    frame, _said = read_table(path)
    with pytest.raises(DataError, match=r"column 'age', line 34 of ages.csv: 'young'"):
        infer(frame, where=place(path))


def test_a_wrong_date_is_an_error():
    days = [f"2020-02-{day:02d}" for day in range(1, 31)]
    with pytest.raises(DataError, match=r"row 30: '2020-02-30' is not a date"):
        kind(days)


def test_codes_mixed_with_numbers_are_categories_and_said():
    values = [str(number) for number in range(400)] + [f"V{number}" for number in range(30)]
    assert "mixed" in notes(values)


# --- what is said ------------------------------------------------------------------------------------------------


def test_notes_are_short():
    columns = {f"n{number}": [0.5, 1.5] for number in range(53)}
    frame = pl.DataFrame({**columns, "sex": ["F", "M"], "ok": ["yes", "no"], "k": ["a", "a"], "y": [1, 2]})
    kinds, said = infer(frame, ("y",))
    assert said == [
        "numbers: n0, n1, n2, n3, n4, n5, n6, n7 and 45 more; categories: sex (2); yes or no: ok; "
        "left out: k (constant)"
    ]
    assert kinds["y"] == "number"


def test_findings_are_said():
    assert "1,395 is 1395" in notes(["1,395", "2"])
    assert "leading zeros" in notes(["007", "008"])
    assert "two ways" in notes(["1/2/2000", "3/4/2000"])
    assert "sign" in notes(["$1.50", "$2.50"])
    assert "missing values: x 50 %" in notes(["1", "?"])
    assert "lists" in notes([[1], [2]])


# --- casts -------------------------------------------------------------------------------------------------------


def test_conform_casts():
    frame = pl.DataFrame(
        {
            "number": [" 1,395 ", "NaN", None, "-", "1e3"],
            "boolean": ["Yes", "no", "TRUE", "", "0"],
            "category": [" a ", "", "NA", "None", "b"],
            "date": ["2016-07-01", "2016-07-01 10:30:00", None, "2016-07-01T09:00:00+09:00", "?"],
            "left": ["x"] * 5,
        }
    )
    made = conform(frame, {name: name for name in frame.columns[:4]})
    assert made["number"].to_list() == [1395.0, None, None, None, 1000.0]
    assert made["boolean"].to_list() == [True, False, True, None, False]
    assert made["category"].to_list() == ["a", None, None, "None", "b"]
    day = datetime.datetime(2016, 7, 1)
    assert made["date"].to_list() == [day, day.replace(hour=10, minute=30), None, day, None]
    assert made["date"].dtype == pl.Datetime("us") and made["left"].to_list() == ["x"] * 5


def test_conform_reads_rows_of_any_types():
    kinds = {"number": "number", "boolean": "boolean", "category": "category", "date": "date", "absent": "number"}
    for row in (
        {"number": "7", "boolean": "yes", "category": "a", "date": "2020-01-01"},
        {"number": 7, "boolean": 1, "category": "a", "date": datetime.date(2020, 1, 1)},
        {"number": 7.0, "boolean": True, "category": "a", "date": datetime.datetime(2020, 1, 1)},
    ):
        assert conform(pl.DataFrame([row]), kinds).row(0) == (7.0, True, "a", datetime.datetime(2020, 1, 1))
    nothing = conform(pl.DataFrame([dict.fromkeys(kinds)]), kinds)
    assert nothing.row(0) == (None,) * 5 and nothing["number"].dtype == pl.Float64
    assert conform(pl.DataFrame({"number": []}, schema={"number": pl.String}), {"number": "number"}).height == 0


def test_labels_that_are_whole_numbers_stay_so():
    kinds = {"y": "category"}
    assert conform(pl.DataFrame({"y": ["0", "1", None]}), kinds, ("y",))["y"].to_list() == [0, 1, None]
    assert conform(pl.DataFrame({"y": [0.0, 1.0, math.nan]}), kinds)["y"].to_list() == [0, 1, None]
    assert conform(pl.DataFrame({"y": np.array([3, 5], dtype="uint8")}), kinds)["y"].dtype == pl.Int64
    assert conform(pl.DataFrame({"y": ["01", "02"]}), kinds, ("y",))["y"].to_list() == ["01", "02"]
    assert conform(pl.DataFrame({"y": ["1", "2"]}), kinds)["y"].to_list() == ["1", "2"]
    assert conform(pl.DataFrame({"y": [0.5, 1.0]}), kinds)["y"].to_list() == ["0.5", "1.0"]


@pytest.mark.parametrize(
    ("values", "to", "said"),
    [
        (["1", "two"], "number", "column 'x', row 2: 'two' is not a number"),
        (["1", "1,5"], "number", "row 2: '1,5' is not a number"),
        (["1", "inf"], "number", "row 2: 'inf' is not a finite number"),
        (["1", "1e400"], "number", "row 2: '1e400' is not a finite number"),
        ([1.0, math.inf], "number", "row 2: 'inf' is not a finite number"),
        ([1.0, -math.inf], "number", "row 2"),
        ([[1], [2]], "number", "holds list"),
        ([datetime.date(2020, 1, 1)], "number", "holds date, not numbers"),
        (["yes", "ja"], "boolean", "row 2: 'ja' is not yes or no"),
        ([0, 2], "boolean", "row 2: '2'"),
        (["2020-01-01", "2020-13-01"], "date", "row 2: '2020-13-01' is not a date"),
        (["2020-01-01", "1/2/2020"], "date", "row 2"),
        ([20200101], "date", "not dates"),
        ([[1]], "category", "not words"),
    ],
)
def test_a_bad_value_is_named(values, to, said):
    with pytest.raises(DataError, match=said):
        conform(pl.DataFrame({"x": values}), {"x": to})


# --- real tables -------------------------------------------------------------------------------------------------


def real(shared_data, name):
    if not (shared_data / name).exists():
        pytest.skip(f"{name} is not here")
    frame, _said = read_table(shared_data / name)
    kinds, said = infer(frame)
    made = conform(frame, kinds)
    assert made.height == frame.height
    return kinds, " | ".join(said)


def test_titanic(shared_data):
    kinds, said = real(shared_data, "titanic/train.csv")
    assert {name for name, kind in kinds.items() if kind == "identifier"} == {"PassengerId", "Name", "Ticket", "Cabin"}
    assert kinds["Sex"] == kinds["Embarked"] == "category" and kinds["Fare"] == "number"
    assert "Age 20 %" in said


def test_adult(shared_data):
    kinds, _said = real(shared_data, "adult_train/adult-train.csv")
    assert sum(kind == "number" for kind in kinds.values()) == 6
    assert sum(kind == "category" for kind in kinds.values()) == 9


def test_students(shared_data):
    one, said = real(shared_data, "student_mat/student-mat.csv")
    other, _said = real(shared_data, "student_mat/student-mat.uci-semicolon.csv")
    assert one == other and one["internet"] == "boolean" and one["G3"] == "number"
    assert "Mjob (5)" in said


def test_korean_crime(shared_data):
    kinds, said = real(shared_data, "korean_csv_cp949/02. crime_in_Seoul.csv")
    assert kinds.pop("관서명") == "identifier" and set(kinds.values()) == {"number"}
    assert "절도 발생" in said.split("1,395 is 1395")[1]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("bike_sharing/hour.csv", "dteday"),
        ("seattle_weather/seattle-weather.csv", "date"),
        ("stocks/stocks.csv", "date"),
        ("ett_h1/ETTh1.csv", "date"),
        ("air_passengers/airline-passengers.csv", "Month"),
        ("sunspots_monthly/monthly-sunspots.csv", "Month"),
    ],
)
def test_dates(shared_data, name, column):
    assert real(shared_data, name)[0][column] == "date"


def test_texts(shared_data):
    kinds, _said = real(shared_data, "korean_chatbot/ChatbotData.csv")
    assert kinds == {"Q": "text", "A": "text", "label": "number"}
    kinds, _said = real(shared_data, "nsmc_sample/ratings_train.txt")
    assert kinds == {"id": "identifier", "document": "text", "label": "number"}


# --- properties --------------------------------------------------------------------------------------------------

value = st.one_of(
    st.text(max_size=6),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["", "NA", "?", "-", "yes", "no", "true", "2020-01-01", "1,395", "007", "inf", "1/2/2000"]),
    st.none(),
)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(value, value), min_size=1, max_size=25), target=st.sampled_from([(), ("a",)]))
def test_any_text_has_a_kind_and_fits_it(rows, target):
    """Whatever is inferred, the same table conforms to it, row by row too; else the error is ours."""
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    try:
        kinds, _said = infer(frame, target)
        made = conform(frame, kinds, target)
    except DataError as problem:
        assert "column '" in str(problem)
        return
    used = [name for name in kinds if kinds[name] in ("number", "boolean", "date")]
    alone = pl.concat([conform(frame[row], kinds).select(used) for row in range(frame.height)])
    assert alone.equals(made.select(used))


def test_a_wide_table_is_fast():
    """A thousand columns, which forecasting data has, in about a second; a loop of casts took ten."""
    frame = pl.DataFrame({f"V{number}": ["1.5", "2.5", None, "3"] * 50 for number in range(1000)})
    start = time.process_time()
    kinds, _said = infer(frame)
    conform(frame, kinds)
    assert time.process_time() - start < 5
