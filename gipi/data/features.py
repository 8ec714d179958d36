"""Rows as numbers, in NumPy: what a schema makes of the columns of a table, of pictures, of targets.

Pure: the same rows give the same numbers, wherever they come from. data/encode.py hands them on as tensors.

B rows, N numeric features, F numeric columns, K category columns, C H W a picture
"""

import math

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.schema import CYCLES, MISSING, Field, Schema, Value
from gipi.errors import DataError
from gipi.messages import _

PIECE = 1 << 20  # rows that are gathered at once


def as_numbers(column: pl.Series, kind: str) -> pl.Series:
    """A number, boolean or date column as Float64 (dates: seconds since 1970)."""
    if kind == "date":
        return column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    return column.cast(pl.Float64)


def rows_of(data: Dataset, name: str, rows: np.ndarray | None) -> pl.Series:
    """These rows of a column, or all; on disk a gap is no number, here it is a gap."""
    column = data.frame[name]
    if rows is not None:
        column = gathered(column, rows) if data.mapped else column.gather(rows)
    has_nan = data.mapped and column.dtype.is_float() and column.is_nan().any()
    return column.fill_nan(None) if has_nan else column


def _column(data: Dataset, field: Field) -> pl.Series:
    if field.name not in data.frame.columns:
        came = ", ".join(data.frame.columns[:12])
        raise DataError(_("column '{name}' is missing; the columns are: {came}", name=field.name, came=came))
    return rows_of(data, field.name, None)


def gathered(column: pl.Series, rows: np.ndarray) -> pl.Series:
    """Rows of a column of a large table, in memory; piece by piece, so that nothing else of that size is."""
    pieces = range(0, max(1, len(rows)), PIECE)
    if column.dtype not in (pl.Float64, pl.Int64) or column.null_count() or column.n_chunks() > 1:
        return pl.concat([column.gather(rows[start : start + PIECE]) for start in pieces])
    values = column.to_numpy()
    found = np.empty(len(rows), values.dtype)
    for start in pieces:
        np.take(values, rows[start : start + PIECE], out=found[start : start + PIECE])
    return pl.Series(column.name, found)


def table_rows(fields: tuple[Field, ...], data: Dataset, dtype: np.dtype) -> np.ndarray:
    """A table's rows as a network sees them, `(B, N + K)` of this type: see `schema.Sizes`.

    Raises:
        DataError: A column is missing, or a number is too large beside the others; names the column and the row.
    """
    numeric: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    for field in fields:
        if field.kind == "category":
            codes.append(_category_codes(field, data))
            continue
        numbers = as_numbers(_column(data, field), field.kind)
        filled = numbers.fill_null(field.fill).to_numpy()
        numeric.append(_scaled(filled, field))
        if field.kind == "date":
            for _cycle, seconds in CYCLES:
                angle = filled * (2 * math.pi / seconds)
                numeric += [np.sin(angle), np.cos(angle)]
        if field.has_missing:
            numeric.append(numbers.is_null().to_numpy())
    columns = numeric + codes
    x = np.empty((data.frame.height, len(columns)), dtype)
    with np.errstate(over="ignore"):
        for number, values in enumerate(columns):
            x[:, number] = values
    _check_finite(x, data, [field for field in fields if field.kind != "category"])
    return x


def raw_rows(fields: tuple[Field, ...], data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A table's rows as they came, for a program that fills and scales them itself.

    Returns:
        Numbers `(B, F)` float64, NaN where there is none, dates as seconds since 1970; and codes `(B, K)` int64, 0
        for a category that training rows did not have.

    Raises:
        DataError: As `table_rows`.
    """
    numeric = [field for field in fields if field.kind != "category"]
    numbers = np.empty((data.frame.height, len(numeric)))
    scaled = np.empty(numbers.shape, np.float32)
    with np.errstate(over="ignore"):
        for place, field in enumerate(numeric):
            column = as_numbers(_column(data, field), field.kind)
            numbers[:, place] = column.fill_null(math.nan).to_numpy()
            scaled[:, place] = _scaled(column.fill_null(field.fill).to_numpy(), field)
    _check_finite(scaled, data, numeric)
    codes = [_category_codes(field, data) for field in fields if field.kind == "category"]
    return numbers, np.stack(codes, 1) if codes else np.empty((data.frame.height, 0), np.int64)


def _category_codes(field: Field, data: Dataset) -> np.ndarray:
    return _codes(_column(data, field).cast(pl.String).fill_null(MISSING), field.values, start=1)


def _scaled(numbers: np.ndarray, field: Field) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found by `_check_finite`, and named
        return (numbers - field.center) / field.scale


def _check_finite(encoded: np.ndarray, data: Dataset, fields: list[Field]) -> None:
    """Numbers so far apart that a 32-bit number cannot hold them are refused, with the row and the column."""
    if np.isfinite(encoded).all():
        return
    row = int(np.argwhere(~np.isfinite(encoded))[0, 0])
    shown = {field.name: data.frame[field.name][row] for field in fields}
    sizes = {field.name: _distance(data.frame[field.name][row : row + 1], field) for field in fields}
    name = max(sizes, key=lambda name: sizes[name])
    text = _(
        "column '{name}', row {row}: {value} is too large beside the other values; correct it",
        name=name,
        row=data.start + row + 1,
        value=shown[name],
    )
    raise DataError(text)


def _distance(column: pl.Series, field: Field) -> float:
    """How far the one value of a column is from the others; a gap is what it is filled with."""
    number = as_numbers(column, "date" if field.kind == "date" else "number").fill_null(field.fill)
    distance = abs(float(_scaled(number.to_numpy(), field)[0]))
    return math.inf if math.isnan(distance) else distance


def _codes(column: pl.Series, values: tuple[Value, ...], start: int) -> np.ndarray:
    """The place of each value among `values`, counted from `start`; `start - 1` for one that is not among them."""
    if not values:
        return np.full(len(column), start - 1)
    known = pl.Series(list(values), dtype=column.dtype)
    codes = pl.Series(range(start, start + len(values)), dtype=pl.Int64)
    return column.replace_strict(known, codes, default=start - 1, return_dtype=pl.Int64).to_numpy(writable=True)


def picture_rows(field: Field, data: Dataset) -> np.ndarray:
    """Pictures `(B, C, H, W)`, uint8 or float32; those on disk stay there.

    Raises:
        DataError: They have another shape than the schema's.
    """
    pictures = data.pictures
    if pictures is None:
        raise DataError(_("pictures of {shape} were expected, a table came", shape=field.shape))
    if pictures.shape[1:] != (field.shape[1], field.shape[2], field.shape[0]):
        came = (pictures.shape[3], pictures.shape[1], pictures.shape[2])
        raise DataError(
            _("pictures of {shape} (channels, height, width) were expected, {came} came", shape=field.shape, came=came)
        )
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))  # pictures on disk lie so: not copied


def target_rows(schema: Schema, data: Dataset, dtype: np.dtype) -> np.ndarray:
    """The targets: `(B,)` int64 for a class, `(B, labels)` or `(B, targets)` of this type.

    Raises:
        DataError: A value is missing, or is a label that no training row has; names the row.
    """
    first = schema.targets[0]
    if first.kind == "class":
        return _encode_classes(first, data)
    if first.kind == "labels":
        columns = [_column(data, Field(str(name), "boolean")) for name in first.values]
        fields = [Field(str(name), "boolean") for name in first.values]
    else:
        columns, fields = [_column(data, field) for field in schema.targets], list(schema.targets)
    for column in columns:
        _check_there(column, data.start)
    numbers = [_scaled(c.cast(pl.Float64).to_numpy(), f) for c, f in zip(columns, fields, strict=True)]
    with np.errstate(over="ignore"):
        y = np.stack(numbers, 1).astype(dtype)
    _check_finite(y, data, fields)
    return y


def _encode_classes(field: Field, data: Dataset) -> np.ndarray:
    column = _column(data, field)
    _check_there(column, data.start)
    if column.dtype.is_numeric() and not isinstance(field.values[0], bool):  # 3 and 3.0 are the same class
        column, values = column.cast(pl.Float64), tuple(float(value) for value in field.values)
    else:
        values = field.values
    codes = _codes(column, values, start=0)
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        known = ", ".join(str(v) for v in field.values[:10])
        text = _(
            "row {row} has the label '{label}' in column '{name}', which no training row has; known: {known}",
            row=data.start + row + 1,
            label=data.frame[field.name][row],
            name=field.name,
            known=known,
        )
        raise DataError(text)
    return codes


def _check_there(column: pl.Series, start: int) -> None:
    if column.null_count():
        row = start + int(column.is_null().arg_true()[0]) + 1
        raise DataError(
            _(
                "row {row} has no value in the target column '{name}'; fill it in, or remove the row",
                row=row,
                name=column.name,
            )
        )
