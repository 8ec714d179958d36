"""One column brought to its kind, for `columns.conform`: from text, numbers, or whatever type it came in.

A value that is not of the kind is an error that names column and row; nothing becomes a gap in silence.
"""

from collections.abc import Callable

import polars as pl

from gipi.data.values import WHOLE, as_booleans, as_dates, as_numbers, stripped, without_missing
from gipi.errors import DataError
from gipi.messages import _

Where = Callable[[int], str]


def row_number(row: int) -> str:
    """Where row `row` (from 0) is, as a person counts."""
    return _("row {row}", row=row + 1)


def to_float(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return as_numbers(stripped(column))[0]
    if column.dtype == pl.Duration:
        return column.dt.total_microseconds() / 1e6
    if column.dtype == pl.Time:
        return column.cast(pl.Int64) / 1e9
    return column.cast(pl.Float64).fill_nan(None)


def _check(column: pl.Series, bad: pl.Series, where: Where, expected: str) -> None:
    if bad.any():
        row = int(bad.arg_true()[0])
        place = {"name": column.name, "place": where(row), "value": column[row]}
        raise DataError(_("column '{name}', {place}: '{value}' is not {expected}", expected=expected, **place))


def _not_of(column: pl.Series, expected: str) -> DataError:
    came = str(column.dtype).lower()
    return DataError(_("column '{name}' holds {came}, not {expected}", name=column.name, came=came, expected=expected))


def to_number(column: pl.Series, where: Where) -> pl.Series:
    dtype = column.dtype
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = stripped(column)
        numbers, bad = as_numbers(text)
        _check(text, bad, where, _("a number, such as 12, 0.5 or 1,395"))
    elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null, pl.Duration, pl.Time):
        numbers = to_float(column)
    else:
        raise _not_of(column, _("numbers"))
    _check(column, numbers.is_infinite().fill_null(False), where, _("a finite number; correct it, or leave it empty"))
    return numbers


def to_boolean(column: pl.Series, where: Where) -> pl.Series:
    dtype = column.dtype
    if dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Boolean)
    expected = _("yes or no, true or false, 1 or 0")
    if dtype.is_numeric():
        numbers = to_float(column)
        _check(column, ~(numbers.is_in([0.0, 1.0]).fill_null(True)), where, expected)
        return numbers == 1
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise _not_of(column, expected)
    text = stripped(column)
    values, bad = as_booleans(text)
    _check(text, bad, where, expected)
    return values


def to_date(column: pl.Series, where: Where) -> pl.Series:
    dtype = column.dtype
    if dtype in (pl.Date, pl.Datetime, pl.Null):
        dates = column.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
        return dates.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dates.dtype.time_zone else dates  # type: ignore
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise _not_of(column, _("dates"))
    text = stripped(column)
    dates, bad = as_dates(text)
    _check(text, bad, where, _("a date, such as 2016-07-01 or 2016-07-01 18:30"))
    return dates


def to_category(column: pl.Series, is_target: bool) -> pl.Series:
    dtype = column.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise _not_of(column, _("words"))
    if dtype.is_numeric():
        numbers = column.fill_nan(None) if dtype.is_float() else column
        is_whole = dtype.is_integer() or bool((numbers.drop_nulls() % 1 == 0).all())
        # 2**53: beyond, a float is not sure of its last digit.
        is_safe = dtype.is_integer() or not numbers.count() or bool((numbers.drop_nulls().abs() < 2**53).all())
        return numbers.cast(pl.Int64) if is_whole and is_safe else numbers.cast(pl.String)
    text = without_missing(stripped(column))
    if is_target and text.count() and text.str.contains(WHOLE).all():
        return text.cast(pl.Int64)
    return text
