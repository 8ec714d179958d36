"""Data that is already in memory: frames of pandas or polars, dicts, lists of rows, arrays, tensors, PyTorch data sets.

A gap (None, NaN, NaT) is a missing value of a table. Infinity is refused, and so are NaN in pictures, complex numbers
and lengths that do not agree; errors name the column and the row. Nothing here imports pandas or torch.

N rows, d columns
"""

import dataclasses
import datetime
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.header import check_name
from gipi.data.images import plain_array
from gipi.data.picture_sets import Size, pictures_of_arrays, read_pictures
from gipi.errors import DataError
from gipi.messages import _

MOST_ITEMS = 2_000_000  # of a PyTorch data set that is read item by item into memory
MOST_BYTES = 8 << 30


def is_pandas(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "pandas"


def is_torch_dataset(value: Any) -> bool:
    """Whether this is a map-style `torch.utils.data.Dataset`: it has a length and items by number."""
    bases = type(value).__mro__
    is_one = any(base.__module__.startswith("torch.utils.data") and base.__name__ == "Dataset" for base in bases)
    return is_one and hasattr(value, "__len__") and hasattr(value, "__getitem__")


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "detach") or hasattr(value, "__array__")


def frame_of(values: Any) -> pl.DataFrame:
    """A table from a frame, a dict of columns, a list of dicts (a dict for each row), or an array `(N, d)`."""
    if isinstance(values, pl.LazyFrame):
        values = values.collect()
    if isinstance(values, pl.DataFrame):
        for name in values.columns:
            check_name(name, _("the data"))
        return _checked([_no_nan(column) for column in values.get_columns()])
    if isinstance(values, pl.Series):
        return _checked([_no_nan(values.alias(values.name or "x1"))])
    if is_pandas(values):
        return _frame_of_pandas(values)
    if isinstance(values, Mapping):
        return _checked([column(str(name), cells) for name, cells in values.items()])
    if isinstance(values, Sequence) and values and all(isinstance(row, Mapping) for row in values):
        names = dict.fromkeys(str(name) for row in values for name in row)  # in the order in which they appear
        rows = [{str(name): cell for name, cell in row.items()} for row in values]
        return _checked([column(name, [row.get(name) for row in rows]) for name in names])
    return _checked(list(columns_of(values, "x", always_numbered=True).values()))


def data_of(X: Any, y: Any, name: str = "data") -> Dataset:
    """A data set of X and its targets y; X of three or four dimensions are pictures."""
    array = None if _is_frame(X) else plain_array(X)
    if array is not None and array.ndim in (3, 4):
        return pictures_of_arrays(array, y, name)
    frame = frame_of(X if array is None else array)
    if y is None:
        return Dataset(name, frame)
    targets = list(columns_of(y, "y", rows=frame.height).values())
    for target in targets:
        if target.name in frame.columns:
            raise DataError(_("The table X has a column '{name}' already; rename it, or the target.", name=target.name))
    return Dataset(name, frame.hstack(targets), target=tuple(target.name for target in targets))


def columns_of(values: Any, stem: str, rows: int | None = None, always_numbered: bool = False) -> dict[str, pl.Series]:
    """Columns `stem`, or `stem1`, `stem2` ..., of an array `(N,)` or `(N, d)`; a frame's columns keep their names.

    Args:
        rows: How many there must be.
        always_numbered: A single column is `stem1` too.
    """
    if _is_frame(values) or isinstance(values, pl.Series):
        found = _series_of(values, stem)
    else:
        array = plain_array(values)
        if array.dtype.names:
            found = [column(name, array[name]) for name in array.dtype.names]
        elif array.ndim in (1, 2):
            array = array[:, None] if array.ndim == 1 else array
            single = array.shape[1] == 1 and not always_numbered
            names = [stem] if single else [f"{stem}{i + 1}" for i in range(array.shape[1])]
            found = [column(name, array[:, i]) for i, name in enumerate(names)]
        else:
            raise DataError(
                _(
                    "{name} is an array of shape {shape}; expected a row for each example: (N,) or (N, columns). "
                    "Reshape your data.",
                    name=stem,
                    shape=array.shape,
                )
            )
    length = len(found[0]) if found else 0
    if rows is not None and length != rows:
        raise DataError(
            _(
                "X has {rows} rows but {name} has {length}; expected the same number.",
                rows=rows,
                name=stem,
                length=length,
            )
        )
    return {series.name: series for series in found}


def column(name: str, values: Any) -> pl.Series:
    """A column of numbers, booleans, dates or texts; gaps are null, and values of several kinds become text.

    Raises:
        DataError: A value is infinite or complex, or not a single value; names the column and the row.
    """
    check_name(name, _("the data"))
    if isinstance(values, pl.Series):
        return _no_nan(values.alias(name))
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise DataError(_("Column '{name}' is a single value; expected a list of values.", name=name))
    if is_pandas(values):
        return _column_of_pandas(name, values)
    array = plain_array(values) if is_array(values) else None
    if array is not None and array.ndim != 1:
        raise DataError(
            _("Column '{name}' has shape {shape}; expected one value for each row.", name=name, shape=array.shape)
        )
    if array is not None and array.dtype.kind == "c":
        raise DataError(_("Complex data not supported: column '{name}' has complex numbers.", name=name))
    if array is not None and array.dtype.kind in "iufb":
        if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
            array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
        return _no_nan(pl.Series(name, np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))))
    if array is not None and array.dtype.kind == "M":
        return pl.Series(name, array.astype("datetime64[us]"))
    return _column_of_objects(name, list(values) if array is None else array.tolist())


def pictures_or_table_of_torch(source: Any, size: Size = None) -> Dataset:
    """A map-style PyTorch data set of pairs (x, y), read into memory item by item.

    Raises:
        DataError: An item is no pair, the items have different shapes, or there are too many for memory.
    """
    name = type(source).__name__
    if name == "TensorDataset" and len(source.tensors) in (1, 2):
        return data_of(source.tensors[0], source.tensors[1] if len(source.tensors) == 2 else None)
    count = len(source)
    if not 0 < count <= MOST_ITEMS:
        raise DataError(
            _(
                "The PyTorch data set has {count} items; expected 1 .. {most} to be held in memory.",
                count=count,
                most=MOST_ITEMS,
            )
        )
    inputs, labels, size_of_all = [], [], 0
    for i in range(count):
        item = source[i]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(
                _(
                    "Item {i} of the PyTorch data set is a {kind}; expected a pair (x, y).",
                    i=i,
                    kind=type(item).__name__,
                )
            )
        x = item[0] if hasattr(item[0], "getbands") else plain_array(item[0])
        size_of_all += x.nbytes if isinstance(x, np.ndarray) else x.width * x.height * 3
        if size_of_all > MOST_BYTES:
            raise DataError(
                _("The PyTorch data set does not fit into memory; {i} of {count} items did.", i=i, count=count)
            )
        inputs.append(x)
        labels.append(item[1].item() if getattr(item[1], "ndim", None) == 0 else item[1])
    if not isinstance(inputs[0], np.ndarray):  # Pillow images, as torchvision gives without a transform
        notes: list[str] = []
        pictures, kept = read_pictures(inputs, [_("item {i}", i=i) for i in range(count)], size, notes)
        data = pictures_of_arrays(pictures, [labels[i] for i in kept], name)
        return dataclasses.replace(data, notes=notes + data.notes)
    odd = next((i for i, x in enumerate(inputs) if x.shape != inputs[0].shape), None)
    if odd is not None:
        raise DataError(
            _(
                "Item {i} of the PyTorch data set has shape {found}, item 0 has {expected}; expected one shape.",
                i=odd,
                found=inputs[odd].shape,
                expected=inputs[0].shape,
            )
        )
    return data_of(np.stack(inputs), labels, name)


# --- columns and frames ------------------------------------------------------------------------------------------


def _is_frame(values: Any) -> bool:
    if isinstance(values, pl.DataFrame | pl.LazyFrame | Mapping) or is_pandas(values):
        return True
    return isinstance(values, Sequence) and bool(values) and isinstance(values[0], Mapping)


def _series_of(values: Any, stem: str) -> list[pl.Series]:
    """The columns of a frame or a series of pandas or polars; one without a name is `stem`."""
    if isinstance(values, pl.Series):
        return [_no_nan(values.alias(values.name or stem))]
    if is_pandas(values) and not hasattr(values, "columns"):
        return [_column_of_pandas(stem if values.name is None else str(values.name), values)]
    return frame_of(values).get_columns()


def _checked(columns: list[pl.Series]) -> pl.DataFrame:
    """A frame of columns of one length, with at least a row."""
    if not columns:
        raise DataError(_("The table has no columns."))
    names = [series.name for series in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(_("The column '{name}' appears more than once; rename one.", name=twice[0]))
    first = columns[0]
    for series in columns:
        if len(series) != len(first):
            raise DataError(
                _(
                    "Column '{name}' has {length} rows but '{first}' has {expected}; expected the same number.",
                    name=series.name,
                    length=len(series),
                    first=first.name,
                    expected=len(first),
                )
            )
    if len(first) == 0:
        raise DataError(_("The table has 0 samples: there is no row; expected at least one."))
    return pl.DataFrame(columns)


def _no_nan(series: pl.Series) -> pl.Series:
    """NaN is a gap; infinity is an error."""
    if not series.dtype.is_float():
        return series
    infinite = series.is_infinite().fill_null(False)
    if infinite.any():
        raise DataError(
            _(
                "Column '{name}' has an infinite value in row {row} (counted from 0); inf cannot be learned from. "
                "Replace or remove such values.",
                name=series.name,
                row=int(infinite.arg_true()[0]),
            )
        )
    return series.fill_nan(None)


def _column_of_objects(name: str, values: list) -> pl.Series:
    """A column of Python objects: of one kind if they are of one, else of text. Lists of words are labels."""
    if values and all(value is None or _are_words(value) for value in values) and any(map(_are_words, values)):
        return pl.Series(name, [None if value is None else [*value] for value in values], dtype=pl.List(pl.String))
    cells = [_plain_cell(name, row, cell) for row, cell in enumerate(values)]
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float}:
        if float in kinds or any(abs(cell) >= 2**63 for cell in cells if cell is not None):
            return _no_nan(pl.Series(name, [None if c is None else float(c) for c in cells], dtype=pl.Float64))
        return pl.Series(name, cells, dtype=pl.Int64 if kinds else pl.String)
    if len(kinds) == 1:
        return pl.Series(name, cells)
    return pl.Series(name, [None if cell is None else str(cell) for cell in cells], dtype=pl.String)


def _are_words(value: Any) -> bool:
    return isinstance(value, list | tuple | set) and all(isinstance(word, str) for word in value)


def _plain_cell(name: str, row: int, cell: Any) -> Any:
    """A Python value of a NumPy or tensor scalar; None for any gap."""
    if isinstance(cell, np.generic) or (getattr(cell, "ndim", None) == 0 and hasattr(cell, "item")):
        cell = cell.item()
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, float) and cell != cell:
        return None
    if isinstance(cell, complex):
        raise DataError(_("Complex data not supported: column '{name}' has complex numbers.", name=name))
    if isinstance(cell, datetime.timedelta):
        return cell.total_seconds()
    if isinstance(cell, decimal.Decimal):
        return float(cell)
    if hasattr(cell, "to_pydatetime"):  # a date of pandas
        return cell.to_pydatetime()  # type: ignore
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, list | tuple | set | dict | np.ndarray):
        raise DataError(
            _(
                "Column '{name}' has a {kind} in row {row} (counted from 0); expected a number, a text or a date. "
                "The argument must be a string or a number.",
                name=name,
                kind=type(cell).__name__,
                row=row,
            )
        )
    return cell


def _frame_of_pandas(values: Any) -> pl.DataFrame:
    if not hasattr(values, "columns"):
        return _checked(_series_of(values, "x1"))
    names = ["_".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in values.columns]
    return _checked([_column_of_pandas(name, values.iloc[:, i]) for i, name in enumerate(names)])


def _column_of_pandas(name: str, series: Any) -> pl.Series:
    """By way of NumPy where it knows the kind, else value by value: pandas' own bridge needs a further package."""
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype) and kind in "iufbcM":
        return column(name, series.to_numpy())
    if kind == "M":  # dates of a time zone: as UTC
        return column(name, series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    is_gap = series.isna().to_numpy()
    return _column_of_objects(name, [None if gap else cell for cell, gap in zip(series.tolist(), is_gap, strict=True)])
