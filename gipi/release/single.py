"""One row, a dict, as a network's numbers in a few microseconds, to the bit as `as_rows` and `encode` would give them.

What each field does with one value is settled once, from the schema. Anything out of the ordinary (a column that is not
there, a list, a word that must be looked at twice, a number beyond all others) is left to the general path, which has
the errors and the sentences.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from math import cos, hypot, nan, pi, sin
from operator import itemgetter
from typing import Any

import numpy as np

from gipi.data.schema import CYCLES, MISSING, Field, Schema, feature_names
from gipi.data.values import MISSING as MARKERS
from gipi.data.values import MISSING_AMONG_NUMBERS, TRUE_FALSE
from gipi.release.rows import column_kind

Array = np.ndarray
Encoder = Callable[[dict], Array | None]
Reader = Callable[[Any], float | None]  # None: the value is missing

LARGEST = 1e9  # standard deviations; what is farther away may need the words of the general path
WHOLE = 2**63  # from here on a whole number is no Int64
SAFE = 2**53  # from here on a float is not sure of its last digit
PLAIN = (float, int, str, bool, type(None), dict)  # what may stand in columns that nobody asks for
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?").fullmatch
MOMENT = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?").fullmatch
GAPS = frozenset(MARKERS)
GAPS_AMONG_NUMBERS = frozenset(MISSING_AMONG_NUMBERS)
WORDS = {
    written: float(value)
    for pair in TRUE_FALSE
    for word, value in pair.items()
    for written in (word, word.title(), word.upper())
}
ANGLES = tuple(2 * pi / seconds for _name, seconds in CYCLES)
EPOCH = datetime(1970, 1, 1)


class UnusualError(Exception):
    """A value that the general path must look at."""


def encoder(schema: Schema, dtype: Any) -> Encoder | None:
    """`f(row) -> (N + K,)`, or None for a row that is out of the ordinary; None for a schema that is."""
    if not schema.inputs or not all(_is_known(field) for field in schema.inputs):
        return None
    one_by_one = _one_by_one(schema, np.dtype(dtype))
    if all(field.kind == "number" and not field.has_missing for field in schema.inputs):
        return _all_at_once(schema, np.dtype(dtype), one_by_one)
    return one_by_one


def raw_encoder(schema: Schema) -> Encoder | None:
    """As `encoder`, for a program, which fills and scales by itself: `f(row) -> (F + K,)` float64.

    F numbers as they came, NaN where there is none, dates as seconds since 1970; then the K categories' codes.
    """
    if not schema.inputs or not all(_is_known(field) for field in schema.inputs):
        return None
    values_of, is_harmless = _getter(schema), _look_at_others(schema)
    columns, numeric = len(schema.inputs), sum(field.kind != "category" for field in schema.inputs)
    plan: list[tuple[Reader, float, float, float, int]] = []
    for field in schema.inputs:
        is_category = field.kind == "category"
        place = sum((one[4] >= numeric) == is_category for one in plan) + numeric * is_category
        read, missing = _category(field) if is_category else (READERS[field.kind], nan)
        plan.append((read, missing, field.center, LARGEST * field.scale, place))

    def encode(row: dict) -> Array | None:
        numbers = [0.0] * columns
        try:
            values = values_of(row)
            if len(row) != columns and not is_harmless(row):
                return None
            for (read, missing, center, largest, place), value in zip(plan, values, strict=True):
                number = read(value)
                if number is None:
                    number = missing
                elif not abs(number - center) < largest:
                    return None
                numbers[place] = number
        except (KeyError, UnusualError):
            return None
        return np.array(numbers)

    return encode


def _is_known(field: Field) -> bool:
    if field.kind == "category":
        return all(type(value) is str for value in field.values)
    return field.kind in ("number", "boolean", "date")


def _all_at_once(schema: Schema, dtype: np.dtype, one_by_one: Encoder) -> Encoder:
    """A table of numbers only; a row that has anything else goes through `one_by_one`."""
    values_of, is_harmless = _getter(schema), _look_at_others(schema)
    columns = len(schema.inputs)
    center = np.array([field.center for field in schema.inputs])
    scale = np.array([field.scale for field in schema.inputs])
    largest = min(LARGEST * field.scale - abs(field.center) for field in schema.inputs)
    floats, integers = np.dtype(np.float64), np.dtype(np.int64)

    def encode(row: dict) -> Array | None:
        try:
            values = values_of(row)
            numbers = np.array(values)  # (N,), of the type that holds them all
        except (KeyError, ValueError, TypeError, OverflowError):
            return None
        if (numbers.dtype is not floats and numbers.dtype != integers) or numbers.ndim != 1:
            return one_by_one(row)
        if not hypot(*values) < largest:  # also where one is not a number
            return one_by_one(row)
        try:
            if len(row) != columns and not is_harmless(row):
                return None
        except UnusualError:
            return None
        return ((numbers - center) / scale).astype(dtype)

    return encode


def _one_by_one(schema: Schema, dtype: np.dtype) -> Encoder:
    """A table of any columns: each value is read as its field reads it."""
    values_of, is_harmless = _getter(schema), _look_at_others(schema)
    columns = len(schema.inputs)
    features = feature_names(schema)
    numeric = len(features) - sum(field.kind == "category" for field in schema.inputs)
    blank = [0.0] * len(features)
    plan: list[tuple[Reader, float, float, float, int, int, bool]] = []
    place, category = 0, numeric
    for field in schema.inputs:
        is_date = field.kind == "date"
        if field.kind == "category":
            read, missing = _category(field)
            plan.append((read, 0.0, 1.0, missing, category, -1, False))
            category += 1
            continue
        width = 1 + 2 * len(CYCLES) * is_date
        flag = place + width if field.has_missing else -1
        plan.append((READERS[field.kind], field.center, field.scale, field.fill, place, flag, is_date))
        place += width + field.has_missing

    def encode(row: dict) -> Array | None:
        try:
            values = values_of(row)
            if len(row) != columns and not is_harmless(row):
                return None
            numbers = blank.copy()
            for (read, center, scale, fill, place, flag, is_date), value in zip(plan, values, strict=True):
                number = read(value)
                if number is None:
                    number = fill
                    if flag >= 0:
                        numbers[flag] = 1.0
                numbers[place] = (number - center) / scale
                if is_date:
                    for angle in ANGLES:
                        numbers[place + 1] = sin(number * angle)
                        numbers[place + 2] = cos(number * angle)
                        place += 2
        except (KeyError, UnusualError):
            return None
        return np.array(numbers, dtype) if hypot(*numbers) < LARGEST else None

    return encode


def _getter(schema: Schema) -> Callable[[dict], tuple]:
    names = [field.name for field in schema.inputs]
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)


def _look_at_others(schema: Schema) -> Callable[[dict], bool]:
    """Whether the columns that are no inputs can be passed over: names of text, one plain value in each.

    Targets are read like inputs: the general path refuses a word where a number belongs.
    """
    inputs = {field.name for field in schema.inputs}
    targets: dict[str, Reader] = {}
    for field in schema.targets:
        if field.kind == "labels":
            targets |= {str(name): _finite for name in field.values}
        elif field.positive is None:
            kind = column_kind(field)
            targets[field.name] = {"number": _finite, "category": _word}.get(kind) or READERS[kind]
        else:
            targets[field.name] = _refuse

    def is_harmless(row: dict) -> bool:
        for name, value in row.items():
            if type(name) is not str or (name not in inputs and type(value) not in PLAIN):
                return False
            if name in targets and name not in inputs:
                targets[name](value)
        return True

    return is_harmless


# --- one value ---------------------------------------------------------------------------------------------------


def _item(value: Any) -> Any:
    """The Python value of a NumPy scalar."""
    item = value.item() if isinstance(value, np.generic) else None
    if type(item) not in (float, int, bool, str):
        raise UnusualError
    return item


def _number(value: Any) -> float | None:
    kind = type(value)
    if kind is float:
        return value if value == value else None
    if kind is int:
        if -WHOLE < value < WHOLE:
            return float(value)
        raise UnusualError
    if value is None:
        return None
    if kind is bool:
        return float(value)
    if kind is str:
        if NUMBER(value):
            return float(value)
        if value in GAPS_AMONG_NUMBERS:
            return None
        raise UnusualError
    return _number(_item(value))


def _finite(value: Any) -> float | None:
    number = _number(value)
    if number is not None and not abs(number) < 1e300:
        raise UnusualError
    return number


def _boolean(value: Any) -> float | None:
    kind = type(value)
    if kind is bool:
        return float(value)
    if value is None:
        return None
    if kind is str:
        if value in WORDS:
            return WORDS[value]
        if value in GAPS:
            return None
        raise UnusualError
    if kind is float or kind is int:
        if value == 0 or value == 1:
            return float(value)
        if value != value:
            return None
        raise UnusualError
    return _boolean(_item(value))


def _category(field: Field) -> tuple[Reader, float]:
    """How the column is read, and the code of a missing value."""
    every = {str(value): float(code) for code, value in enumerate(field.values, 1)}
    missing = every.get(MISSING, 0.0)
    known = {value: code for value, code in every.items() if value not in GAPS and value == value.strip()}

    def read(value: Any) -> float | None:
        if type(value) is str:
            code = known.get(value)
            if code is not None:
                return code
        word = _word(value)
        return None if word is None else known.get(word, 0.0)

    return read, missing


def _word(value: Any) -> str | None:  # type: ignore[return]  # it raises
    """A value as the category that it is; None where it is missing."""
    kind = type(value)
    if kind is str:
        if value in GAPS:
            return None
        if value.isascii() and value == value.strip():
            return value
        raise UnusualError
    if value is None:
        return None
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        if -WHOLE < value < WHOLE:
            return str(value)
        raise UnusualError
    if kind is float:
        if value != value:
            return None
        if -SAFE < value < SAFE and value % 1 == 0:
            return str(int(value))
        raise UnusualError
    return _word(_item(value))


def _date(value: Any) -> float | None:
    """Seconds since 1970."""
    kind = type(value)
    if kind is str:
        if MOMENT(value):
            try:
                return _seconds(datetime.fromisoformat(value))
            except ValueError:
                raise UnusualError from None
        if value in GAPS_AMONG_NUMBERS:
            return None
        raise UnusualError
    if kind is datetime and value.tzinfo is None:
        return _seconds(value)
    if kind is date:
        return _seconds(datetime(value.year, value.month, value.day))
    if value is None or (kind is float and value != value):
        return None
    raise UnusualError


def _seconds(moment: datetime) -> float:
    since = moment - EPOCH
    # Times, not divided by: so does polars, and the last bit counts where a sine is near 0.
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * (1 / 1e6)


def _refuse(value: Any) -> None:
    raise UnusualError


READERS: dict[str, Reader] = {"number": _number, "boolean": _boolean, "date": _date}
