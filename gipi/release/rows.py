"""Rows that somebody hands in, in whatever shape, as a data set that a schema can encode.

One row or many: dicts, a frame, arrays, a table file, pictures as files, bytes or arrays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.schema import Field, Schema
from gipi.errors import DataError
from gipi.messages import _

FILES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def as_rows(schema: Schema, rows: Any, name: str = "rows") -> Dataset:
    """What was handed in as a Dataset whose columns have the schema's types.

    Raises:
        DataError: A column is missing, a value cannot be read, a picture is damaged; names which.
    """
    if isinstance(rows, Dataset):
        data = rows
    elif schema.is_picture:
        data = Dataset(name, pl.DataFrame(), _pictures(schema.inputs[0], rows), white=schema.inputs[0].white)
    else:
        data = Dataset(name, _frame(schema, rows))
    return data if data.pictures is not None and not data.frame.width else conformed(schema, data)


def conformed(schema: Schema, data: Dataset) -> Dataset:
    """The data set with each of the schema's columns in its type; other columns are left as they are."""
    from gipi.data.columns import conform

    fields = [field for field in (*schema.inputs, *_target_columns(schema)) if field.kind != "picture"]
    missing = [
        field.name for field in schema.inputs if field.kind != "picture" and field.name not in data.frame.columns
    ]
    if missing:
        came = ", ".join(data.frame.columns[:12]) or "-"
        raise DataError(
            _("columns are missing: {missing}; the columns that came: {came}", missing=", ".join(missing), came=came)
        )
    kinds = {field.name: column_kind(field) for field in fields if field.name in data.frame.columns}
    frame = conform(data.frame, kinds, tuple(field.name for field in schema.targets))
    return Dataset(data.name, frame, data.pictures, data.target, data.notes, data.parts, data.origin, data.white)


def column_kind(field: Field) -> str:
    """The type of the column that a field reads."""
    if field.kind == "class":
        return "boolean" if isinstance(field.values[0], bool) else "category"
    return "number" if field.kind in ("normal", "quantiles") else field.kind


def _target_columns(schema: Schema) -> list[Field]:
    if schema.targets and schema.targets[0].kind == "labels":
        return [Field(str(name), "number") for name in schema.targets[0].values]
    return list(schema.targets)


def _frame(schema: Schema, rows: Any) -> pl.DataFrame:
    """Table rows as a frame."""
    names = [field.name for field in schema.inputs]
    if isinstance(rows, pl.DataFrame):
        return rows
    if isinstance(rows, (str, Path)):
        from gipi.data.sources import open_data

        return open_data(rows).frame
    if isinstance(rows, Mapping):
        columns = {str(name): _listed(value) for name, value in rows.items()}
        return _made(columns)
    if type(rows).__module__.startswith("pandas"):
        from gipi.data.sources import open_data

        return open_data(rows).frame
    if isinstance(rows, Sequence) and rows and isinstance(rows[0], Mapping):
        keys = list(dict.fromkeys(key for row in rows for key in row))
        return _made({str(key): [row.get(key) for row in rows] for key in keys})
    array = np.asarray(rows.detach().cpu() if hasattr(rows, "detach") else rows)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != len(names):
        expected = f"(rows, {len(names)})"
        raise DataError(
            _(
                "rows of shape {shape} came, {expected} was expected: {names}",
                shape=array.shape,
                expected=expected,
                names=", ".join(names[:12]),
            )
        )
    return _made({name: array[:, place].tolist() for place, name in enumerate(names)})


def _listed(value: Any) -> list:
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()
    return list(value) if isinstance(value, (list, tuple, pl.Series)) else [value]


def _made(columns: dict[str, list]) -> pl.DataFrame:
    """A frame of Python values; a column of different types becomes text, which `conform` reads."""
    series = []
    for name, values in columns.items():
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1 and not kinds <= {int, float}:
            values = [None if value is None else str(value) for value in values]
        series.append(pl.Series(name, values, strict=False))
    lengths = {len(one) for one in series}
    if len(lengths) > 1:
        raise DataError(_("the columns have different lengths: {lengths}", lengths=sorted(lengths)))
    return pl.DataFrame(series)


def _pictures(field: Field, rows: Any) -> np.ndarray:
    """Pictures as `(rows, H, W, C)`."""
    from gipi.data.images import read_picture

    channels, height, width = field.shape
    if hasattr(rows, "detach"):
        rows = rows.detach().cpu().numpy()
    if (
        isinstance(rows, np.ndarray)
        and rows.ndim >= 2
        and not (rows.ndim == 3 and rows.shape[-1] in (1, 3) and rows.shape[:2] == (height, width))
    ):
        rows = rows[None] if rows.ndim == 2 else rows
        rows = rows[..., None] if rows.ndim == 3 else rows
        if (
            rows.ndim == 4
            and rows.shape[1:] == (channels, height, width)
            and rows.shape[1:] != (height, width, channels)
        ):
            rows = rows.transpose(0, 2, 3, 1)
        if rows.shape[1:] == (height, width, channels):
            return rows.astype(np.uint8 if field.white == 255.0 and rows.dtype == np.uint8 else np.float32)
    if isinstance(rows, (str, Path)) and Path(rows).is_dir():
        found = sorted(path for path in Path(rows).rglob("*") if path.suffix.lower() in FILES)
        if not found:
            raise DataError(_("no picture is in the folder {path}", path=rows))
        rows = found
    if (
        isinstance(rows, (str, bytes, Path))
        or not isinstance(rows, (Sequence, np.ndarray))
        or (isinstance(rows, np.ndarray) and rows.ndim == 3)
    ):
        rows = [rows]
    return np.stack([read_picture(row, field.shape, field.white) for row in rows])
