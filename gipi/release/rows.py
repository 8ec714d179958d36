"""Rows that somebody hands in, in whatever shape, as a data set that a schema can encode.

One row or many: dicts, a frame, arrays, a table file, pictures as files, bytes or arrays. Each row gets one answer, so
no row is left out in silence; a value that cannot be read is an error that names its row and column.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.schema import Field, Schema, target_columns
from gipi.data.texts import clean
from gipi.errors import DataError
from gipi.messages import _

FILES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
Where = Callable[[int], str]

CHUNK = 2048  # rows that pass through a network at once, at most
NUMBERS = 50_000  # that they hold together: what a network makes of more pictures does not fit into a core's cache
FEWEST = 32  # rows all the same: large layers are read once for each such piece


def as_rows(schema: Schema, rows: Any, name: str = "rows", start: int = 0) -> Dataset:
    """What was handed in as a Dataset whose columns have the schema's types.

    Args:
        schema: What goes in.
        rows: One row or many.
        name: Of the data set.
        start: How many rows stand before these, for errors.

    Raises:
        DataError: A column is missing, a value cannot be read, a picture is damaged; names which.
    """
    if isinstance(rows, Dataset):
        data = rows
        if schema.is_picture and data.pictures is not None:
            data = replace(data, pictures=like_these(data.pictures, schema.inputs[0], data.white))
    elif schema.is_text:
        data = replace(_texts(schema, rows, name), start=start)
    elif schema.is_picture:
        data = Dataset(name, pl.DataFrame(), _pictures(schema.inputs[0], rows), white=schema.inputs[0].white)
    else:
        data = _table(schema, rows, name)
        data = replace(data, start=start) if start else data
    return data if data.pictures is not None and not data.frame.width else conformed(schema, data)


def conformed(schema: Schema, data: Dataset) -> Dataset:
    """The data set with each of the schema's columns in its type; other columns are left as they are."""
    from gipi.data.columns import conform

    inputs = [field for field in schema.inputs if field.kind != "picture"]
    missing = [field.name for field in inputs if field.name not in data.frame.columns]
    if missing:
        came = ", ".join(data.frame.columns[:12]) or "-"
        raise DataError(
            _("columns are missing: {missing}; the columns that came: {came}", missing=", ".join(missing), came=came)
        )
    fields = [field for field in (*inputs, *target_columns(schema)) if field.name in data.frame.columns]
    kinds = {field.name: column_kind(field, data.frame[field.name].dtype) for field in fields}
    frame = conform(data.frame, kinds, where=where_in(data))
    for field in fields:
        if field.positive is not None and kinds[field.name] == "category":
            label = pl.col(field.name).cast(pl.String) == field.positive
            frame = frame.with_columns(label.alias(field.name))
    return replace(data, frame=frame)


def where_in(data: Dataset, separator: str | None = None) -> Where:
    """How to say where a row is: by its line in the file, if it came from one."""
    from gipi.data.columns import row_number
    from gipi.data.tables import place

    if data.origin and Path(data.origin).is_file() and not data.parts and data.kind != "picture":
        return place(data.origin, separator)
    return (lambda row: row_number(row + data.start)) if data.start else row_number


def column_kind(field: Field, came: Any = None) -> str:
    """The type of the column that a field reads; `came` is the type it has now."""
    if field.kind != "class":
        return "number" if field.kind in ("normal", "quantiles") else field.kind
    if field.positive is not None and (came != pl.Boolean or field.positive in ("true", "false")):
        return "category"  # one label against all others
    if isinstance(field.values[0], bool):
        return "boolean"
    return "category" if isinstance(field.values[0], str) else "number"


def like_these(pictures: np.ndarray, field: Field, white: float) -> np.ndarray:
    """Pictures `(rows, H, W, C)`, of a white of their own, with the size, channels and white that a model knows."""
    from gipi.data.images import read_picture

    channels, height, width = shape = _shape(field)
    if white != field.white:
        scaled = pictures.astype(np.float32) * np.float32(field.white / white)
        pictures = (scaled + 0.5).astype(np.uint8) if field.white == 255 else scaled
    if pictures.shape[1:] == (height, width, channels) or not len(pictures):
        return pictures
    return np.stack([read_picture(picture, shape, field.white) for picture in pictures])


def rows_at_once(x: Any) -> int:
    """How many rows of `(B, ...)` pass through a network at once."""
    return min(CHUNK, max(FEWEST, NUMBERS // max(1, math.prod(x.shape[1:]))))


# --- texts -------------------------------------------------------------------------------------------------------


def _texts(schema: Schema, rows: Any, name: str) -> Dataset:
    """One text or many, or pairs; a text that names a file that is there is that file."""
    names = tuple(field.name for field in schema.inputs)
    if isinstance(rows, str) and not _is_file(rows):
        rows = [rows]
    if isinstance(rows, np.ndarray | pl.Series):
        rows = rows.tolist() if isinstance(rows, np.ndarray) else rows.to_list()
    if isinstance(rows, tuple) and len(rows) == len(names) > 1 and all(isinstance(one, str) for one in rows):
        rows = [rows]
    if isinstance(rows, Mapping) and not any(isinstance(value, list | tuple | pl.Series) for value in rows.values()):
        rows = [rows]
    if isinstance(rows, list | tuple):
        rows = [_named(row, names, number) for number, row in enumerate(rows, 1)]
    return replace(_table(schema, rows, name), text=names)


def _named(row: Any, names: tuple[str, ...], number: int) -> dict[str, Any]:
    """A row by its columns, its texts clean: half of a character that two numbers stand for can be kept nowhere."""
    texts = row if isinstance(row, list | tuple) else (row,)
    if isinstance(row, Mapping):
        row = dict(row)
    elif len(texts) == len(names) and all(isinstance(text, str) for text in texts):
        row = dict(zip(names, texts, strict=True))
    else:
        expected = ", ".join(names)
        text = _("row {row} is {came}; texts were expected: {names}", row=number, came=repr(row)[:60], names=expected)
        raise DataError(text)
    return {key: clean(value) if isinstance(value, str) else value for key, value in row.items()}


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a letter that no name has
        return False


# --- tables ------------------------------------------------------------------------------------------------------


def _table(schema: Schema, rows: Any, name: str) -> Dataset:
    """Table rows as they came."""
    from gipi.data.sources import open_data

    if isinstance(rows, (str, Path)):
        data = open_data(rows)
        if data.kind == "picture":
            raise DataError(
                _(
                    "{source} holds pictures; rows with these columns were expected: {names}",
                    source=rows,
                    names=_names(schema),
                )
            )
        return replace(data, target=())
    if isinstance(rows, pl.LazyFrame):
        rows = rows.collect()
    if type(rows).__module__.startswith("pandas") and hasattr(rows, "columns"):
        rows = open_data(rows).frame if len(rows) else pl.DataFrame({str(column): [] for column in rows.columns})
    if isinstance(rows, pl.DataFrame):
        return Dataset(name, rows)
    if isinstance(rows, Mapping):
        return Dataset(name, _made({str(column): _listed(value) for column, value in rows.items()}, schema))
    if isinstance(rows, Iterable) and not hasattr(rows, "shape") and not isinstance(rows, (bytes, bytearray)):
        rows = list(rows)
        if not rows:
            return Dataset(name, pl.DataFrame({field.name: [] for field in schema.inputs}))
        if any(isinstance(row, Mapping) for row in rows):
            return Dataset(name, _of_records(rows, schema))
    return Dataset(name, _of_array(schema, rows))


def _names(schema: Schema) -> str:
    return ", ".join(field.name for field in schema.inputs[:12])


def _of_records(rows: Sequence[Any], schema: Schema) -> pl.DataFrame:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(
                _("row {row} is {came}; expected columns and values, as in the others", row=number, came=repr(row)[:60])
            )
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return _made({str(key): [row.get(key) for row in rows] for key in keys}, schema)


def _of_array(schema: Schema, rows: Any) -> pl.DataFrame:
    """Rows whose columns are in the schema's order; of a single column, a list of numbers is a row for each."""
    from gipi.data.images import plain_array

    names = [field.name for field in schema.inputs]
    if isinstance(rows, list) and not any(_is_row(row) for row in rows):
        rows = [[cell] for cell in rows] if len(names) == 1 else [rows]
    array = _of_cells(rows) if isinstance(rows, list) else plain_array(rows)
    if array.ndim == 1:
        array = array[:, None] if len(names) == 1 else array[None]
    if array.ndim != 2 or array.shape[1] != len(names):
        expected = f"(rows, {len(names)})"
        raise DataError(
            _(
                "rows of shape {shape} came, {expected} was expected: {names}",
                shape=array.shape,
                expected=expected,
                names=_names(schema),
            )
        )
    return _made({name: array[:, place].tolist() for place, name in enumerate(names)}, schema)


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _of_cells(rows: list) -> np.ndarray:
    """A table of anything: NumPy would make texts of the numbers in a row that has a text."""
    lengths = sorted({len(row) if _is_row(row) else 1 for row in rows})
    if len(lengths) > 1:
        raise DataError(_("the rows have different lengths: {lengths}", lengths=lengths))
    cells = np.empty((len(rows), lengths[0]), object)
    for number, row in enumerate(rows):
        for place, cell in enumerate(_listed(row)):
            cells[number, place] = _plain(cell)
    return cells


def _listed(value: Any) -> list:
    if hasattr(value, "tolist") and getattr(value, "ndim", 1):
        return value.tolist()
    return list(value) if isinstance(value, (list, tuple, pl.Series)) else [value]


def _plain(value: Any) -> Any:
    """A Python value of a NumPy or tensor scalar; nothing for what pandas calls a gap."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value  # type: ignore[union-attr]  # pandas


def _made(columns: dict[str, list], schema: Schema) -> pl.DataFrame:
    """A frame of Python values; a column of different types becomes text, which `conform` reads.

    Columns that the schema does not know keep their names only, whatever is in them.
    """
    known = {field.name for field in (*schema.inputs, *target_columns(schema))}
    lengths = sorted({len(values) for values in columns.values()})
    if len(lengths) > 1:
        raise DataError(_("the columns have different lengths: {lengths}", lengths=lengths))
    series = []
    for name, values in columns.items():
        if name not in known:
            series.append(pl.Series(name, [None] * len(values)))
            continue
        values = [_plain(value) for value in values]
        kinds = {type(value) for value in values if value is not None}
        odd = next((value for value in values if isinstance(value, (list, tuple, dict, set, np.ndarray))), None)
        if odd is not None:
            row = next(row for row, value in enumerate(values) if value is odd)
            raise DataError(
                _(
                    "column '{name}', row {row}: {came} came, one value was expected",
                    name=name,
                    row=row + 1,
                    came=repr(odd)[:60],
                )
            )
        if kinds <= {int, float}:
            whole = float not in kinds and all(value is None or abs(value) < 2**63 for value in values)
            kind = pl.Int64 if whole and kinds else pl.Float64 if kinds else pl.String
            series.append(pl.Series(name, values if kind != pl.Float64 else _floats(values), dtype=kind))
        elif len(kinds) > 1:
            series.append(pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String))
        else:
            series.append(pl.Series(name, values, strict=False))
    return pl.DataFrame(series)


def _floats(values: list) -> list:
    return [None if value is None else float(value) for value in values]


# --- pictures ----------------------------------------------------------------------------------------------------


def _pictures(field: Field, rows: Any) -> np.ndarray:
    """Pictures as `(rows, H, W, C)`."""
    from gipi.data.images import plain_array, read_picture

    shape = _shape(field)
    if isinstance(rows, (str, Path)) and Path(rows).is_dir():
        found = sorted(path for path in Path(rows).rglob("*") if path.suffix.lower() in FILES)
        if not found:
            raise DataError(_("no picture is in the folder {path}", path=rows))
        rows = found
    if hasattr(rows, "detach"):
        rows = plain_array(rows)
    if isinstance(rows, np.ndarray):
        rows = list(rows) if _are_several(rows, field) else [rows]
    elif isinstance(rows, Mapping) or not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        rows = [rows]
    elif rows and isinstance(rows[0], (list, int, float)):  # nested lists, as JSON has them
        return _pictures(field, _numbers(rows))
    if not len(rows):
        return np.empty((0, *shape[1:], shape[0]), np.float32)
    names = [
        None if isinstance(row, (str, Path)) else _("picture {number}", number=n + 1) for n, row in enumerate(rows)
    ]
    return np.stack([read_picture(row, shape, field.white, name) for row, name in zip(rows, names, strict=True)])


def _numbers(rows: Any) -> np.ndarray:
    from gipi.data.images import plain_array

    array = plain_array(rows)
    if array.dtype.kind not in "uif":
        raise DataError(_("a picture is made of numbers; {came} came", came=repr(rows)[:60]))
    return array


def _shape(field: Field) -> tuple[int, int, int]:
    """`(C, H, W)`."""
    channels, height, width = field.shape
    return channels, height, width


def _are_several(array: np.ndarray, field: Field) -> bool:
    """Whether an array is several pictures and not one: by its axes, then by the shape that the model knows.

    `(H, W, C)` or `(C, H, W)` with 1 or 3 channels is one picture, unless the rest is exactly a grey one that is known.
    """
    channels, height, width = _shape(field)
    if array.ndim != 3:
        return array.ndim > 3
    if channels == 1 and array.shape[1:] == (height, width):
        return True
    return array.shape[-1] not in (1, 3, 4) and array.shape[0] not in (1, 3)
