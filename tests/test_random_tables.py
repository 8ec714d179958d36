"""Random small tables: each gives a clear error or a model, and a row means the same however it is handed in."""

import json
import math
from datetime import datetime, timedelta

import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

import gipi
from gipi.data.encode import encode
from gipi.data.schema import Schema
from gipi.errors import DataError, TrainingError, UsageError
from gipi.jobs.options import Fit
from gipi.jobs.request import Request, make_job
from gipi.release.rows import as_rows

NAMES = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "x1",
            "index",
            "id",
            "y",
            "target",
            "나이",
            "with space",
            'say "it"',
            "a,b",
            "größe",
            "T°",
            "*",
            "^a.*$",
            "#",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=6),
)
WORDS = ["red", "Green", "파랑", "new york", "a,b", 'q"q', "NA", "1a", "x", "-", "yes", "no", "07"]
START = datetime(2020, 1, 1)


def column(rows: int):
    """Values of one kind, with gaps."""
    number = st.floats(-1e6, 1e6, allow_nan=False, width=32).map(float)
    kinds = (
        number,
        st.integers(-5, 5),
        st.integers(-(2**60), 2**60),
        st.sampled_from(WORDS[:3]),
        st.sampled_from(WORDS),
        st.booleans(),
        st.integers(0, 1),
        st.integers(0, 10**8).map(lambda seconds: START + timedelta(seconds=seconds)),
        st.just(3.5),
        st.text(max_size=8),
        st.floats(-1e30, 1e30),
        st.sampled_from([math.nan, 0.0, 1.0, -2.5]),
    )
    gaps = st.sampled_from([0, 0, 0, 0.2, 0.5, 1])

    @st.composite
    def drawn(draw):
        kind, share = draw(st.sampled_from(kinds)), draw(gaps)
        values = draw(st.lists(kind, min_size=rows, max_size=rows))
        if not share:
            return values
        missing = draw(st.lists(st.floats(0, 1), min_size=rows, max_size=rows))
        return [None if chance < share else value for value, chance in zip(values, missing, strict=True)]

    return drawn()


@st.composite
def tables(draw):
    """Columns of a table and which of them is the target."""
    rows = draw(st.integers(1, 45))
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    columns = {name: draw(column(rows)) for name in names}
    if draw(st.integers(0, 3)) == 0:
        columns[names[0]] = list(columns[names[-1]])  # a copy of the target among the inputs
    return columns, names[-1]


def job_of(columns, target, **options):
    """A job, or nothing where the table was refused in words."""
    try:
        return make_job(Request(columns, Fit(target=(target,), **options)), torch.device("cpu"))
    except (DataError, UsageError) as error:
        assert str(error).strip() and "Traceback" not in str(error)
        note(str(error))
        return None


def records(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


quiet = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@quiet
@given(tables())
def test_a_row_is_encoded_alike_however_it_comes(table):
    columns, target = table
    job = job_of(columns, target)
    if job is None:
        return
    schema = job.schema
    assert torch.isfinite(job.x).all()
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert again == schema
    rows = records(columns)
    (x,) = encode(schema, as_rows(schema, rows), with_targets=False)
    assert len(x) == len(rows)
    assert torch.equal(x, encode(again, as_rows(again, rows), with_targets=False)[0])
    for place in {0, len(rows) // 2, len(rows) - 1}:
        (alone,) = encode(schema, as_rows(schema, rows[place]), with_targets=False)
        assert torch.equal(alone[0], x[place])
    (of_columns,) = encode(schema, as_rows(schema, columns), with_targets=False)
    assert torch.equal(of_columns, x)
    (of_frame,) = encode(schema, as_rows(schema, pl.DataFrame(columns, strict=False)), with_targets=False)
    assert torch.equal(of_frame, x)
    (of_pandas,) = encode(schema, as_rows(schema, pd.DataFrame(columns)), with_targets=False)
    assert torch.equal(of_pandas, x)


@quiet
@given(tables())
def test_a_row_is_encoded_alike_from_a_file(tmp_path_factory, table):
    columns, target = table
    job = job_of(columns, target)
    if job is None:
        return
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame = pl.DataFrame(columns, strict=False)
    frame.write_csv(path)
    schema = job.schema
    (x,) = encode(schema, as_rows(schema, frame), with_targets=False)
    try:
        (of_file,) = encode(schema, as_rows(schema, path), with_targets=False)
    except DataError as error:  # a header of numbers, names with spaces around them ...: nobody can read that back
        note(str(error))
        assume(False)
    assume(len(of_file) == len(x))  # a row without any value is not a row of a file
    assert torch.equal(of_file, x)


@quiet
@given(tables())
def test_rows_of_a_file_that_was_learned_from_are_encoded_alike_as_values(tmp_path_factory, table):
    columns, target = table
    assume("^a.*$" not in columns)  # polars cannot make such a frame
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    pl.DataFrame(columns, strict=False).write_csv(path)
    job = job_of(path, target)
    if job is None or len(job.x) != len(columns[target]):
        return
    schema = job.schema
    assume({field.name for field in schema.inputs} <= set(columns))  # a header that reads as data has other names
    assert torch.equal(encode(schema, as_rows(schema, path), with_targets=False)[0], job.x)
    (x,) = encode(schema, as_rows(schema, records(columns)), with_targets=False)
    assert torch.equal(x, job.x)


@settings(quiet, max_examples=12)
@given(tables())
def test_a_fit_answers_each_row(tmp_path_factory, table):
    columns, target = table
    folder = tmp_path_factory.mktemp("fit") / "run"
    try:
        run = gipi.fit(
            columns, target=target, steps=2, verdict=False, quiet=True, threads=1, hidden=(4,), run=str(folder)
        )
    except (DataError, UsageError, TrainingError) as error:
        assert str(error).strip()
        assert isinstance(error, TrainingError) or not folder.exists()
        return
    rows = records(columns)
    answers = run.predict(rows)
    assert len(answers) == len(rows)
    assert run.predict(pl.DataFrame(columns, strict=False)) == answers
    for place in (0, len(rows) - 1):
        (alone,) = run.predict(rows[place])
        _same(alone, answers[place])
    for answer in answers:
        value = answer.get("value", answer.get("probability"))
        assert value is not None and math.isfinite(value)


@quiet
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20), st.booleans())
def test_numbers_of_any_size_are_scaled_or_refused(values, as_target):
    others = [float(place) for place in range(len(values))]
    columns = {"a": others, "y": values} if as_target else {"a": values, "y": others}
    job = job_of(columns, "y", task="regress")
    if job is not None:
        assert torch.isfinite(job.x).all() and torch.isfinite(job.y).all()


def _same(one, other):
    """Alike up to the rounding of one row beside many."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, float):
            assert value == pytest.approx(other[name], rel=1e-4, abs=1e-5)
