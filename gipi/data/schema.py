"""What goes into a model and what comes out, as data: the contract of fit, predict, the bundle and the server.

A schema is learned from the training rows alone and is JSON both ways. `encode` is pure: rows in, tensors out.

B rows, N numeric features, K category columns, C H W a picture
"""

import math
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gipi.data.dataset import Dataset
from gipi.data.mapped import as_tensor, gathered
from gipi.errors import DataError
from gipi.messages import _

Value = str | int | float | bool

# input kinds: number boolean category date picture
# target kinds: class (one of values), labels (several of values), number (a point), normal (mean and spread),
#               quantiles (of `values`)


@dataclass(frozen=True)
class Field:
    """One column or picture, how it becomes numbers, and (for a target) how it is predicted.

    Attributes:
        name: The column.
        kind: number, boolean, category, date, picture; for targets class, labels, number, normal, quantiles.
        shape: `(C, H, W)` of a picture.
        values: The categories or classes, in the order of their codes; the levels of quantiles.
        center: Subtracted, then divided by `scale`: the training rows' mean and standard deviation.
        scale: See `center`.
        fill: What a missing number is taken for, before centering.
        has_missing: Training rows had gaps, so a flag feature says which values are filled.
        white: The value of white in a picture; picture files (0..255) are brought to it.
        positive: For a class of yes or no that was made of several: the one label that is yes.
        edges: Of bins along a number or date, centered and scaled; none unless a system wants them.
        centers: Of a picture, one for each channel, in place of `center`: as weights that were loaded learned it.
        scales: In place of `scale`, as `centers`.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    values: tuple[Value, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    fill: float = 0.0
    has_missing: bool = False
    white: float = 255.0
    positive: str | None = None
    edges: tuple[float, ...] = ()
    centers: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()


@dataclass(frozen=True)
class Schema:
    """Inputs and targets, in order."""

    inputs: tuple[Field, ...]
    targets: tuple[Field, ...] = ()

    def to_json(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_json(data: dict) -> "Schema":
        def fields(rows: list[dict]) -> tuple[Field, ...]:
            lists = ({name: tuple(value) for name, value in row.items() if isinstance(value, list)} for row in rows)
            return tuple(Field(**{**row, **own}) for row, own in zip(rows, lists, strict=True))

        return Schema(fields(data["inputs"]), fields(data["targets"]))

    @property
    def is_picture(self) -> bool:
        return any(field.kind == "picture" for field in self.inputs)


@dataclass(frozen=True)
class Sizes:
    """All that a network may know of the data.

    Attributes:
        input: `(N,)` numeric features, or `(C, H, W)`.
        output: How many numbers the task wants for each row.
        categories: How many values each category column has, not counting the bucket for unseen ones. A table's `x` is
            `(B, N + K)`: the numeric features, then a code for each category column, 0 for unseen, 1 .. values.
        is_class: The outputs are the scores of classes, of which one is right: only their differences count.
        is_labels: The outputs are the scores of labels, each of which is right or not.
        edges: For each numeric feature the edges of its bins, where `learn` was asked for bins; none for flags.
    """

    input: tuple[int, ...]
    output: int
    categories: tuple[int, ...] = ()
    is_class: bool = False
    is_labels: bool = False
    edges: tuple[tuple[float, ...], ...] = ()


def sizes(schema: Schema, output: int) -> Sizes:
    """The sizes of a network for this schema."""
    kind = schema.targets[0].kind if schema.targets else ""
    is_class, is_labels = kind == "class", kind == "labels"
    if schema.is_picture:
        return Sizes(schema.inputs[0].shape, output, (), is_class, is_labels)
    edges = [
        field.edges if place == 0 else () for field in schema.inputs for place in range(len(_numeric_names(field)))
    ]
    categories = tuple(len(f.values) for f in schema.inputs if f.kind == "category")
    return Sizes((len(edges),), output, categories, is_class, is_labels, tuple(edges) if any(edges) else ())


def feature_names(schema: Schema) -> list[str]:
    """The name of each column of a table's encoded `x`."""
    numeric = [name for field in schema.inputs for name in _numeric_names(field)]
    return numeric + [field.name for field in schema.inputs if field.kind == "category"]


def encode(
    schema: Schema, data: Dataset, with_targets: bool = True, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Rows as tensors: `(x,)` or `(x, y)`.

    x is `(B, N + K)` float32 for tables (see Sizes) and `(B, C, H, W)` uint8 or float32 for pictures, which `normalize`
    makes ready for a network batch by batch. y is `(B,)` int64 for a class, `(B, labels)` float32 for several labels,
    `(B, targets)` float32, centered and scaled, for numbers. `dtype` takes the place of float32.

    Raises:
        DataError: A column is missing, or a value cannot be what the schema says; names the column and the row.
    """
    x = _encode_pictures(schema.inputs[0], data) if schema.is_picture else _encode_table(schema.inputs, data, dtype)
    return (x, _encode_targets(schema, data, dtype)) if with_targets and schema.targets else (x,)


def normalize(schema: Schema, x: Tensor) -> Tensor:
    """A batch of pictures as a network sees it, `(B, C, H, W)` float, centered and scaled; tables are so already."""
    if not schema.is_picture:
        return x
    picture = schema.inputs[0]
    kind = x.dtype if x.is_floating_point() else torch.float32
    if picture.centers:
        return (x.to(kind) - _each(picture.centers, kind, x.device)) / _each(picture.scales, kind, x.device)
    return (x.to(kind) - picture.center) / picture.scale


def denormalize(schema: Schema, x: Tensor) -> Tensor:
    """Pictures `(B, C, H, W)` as a network makes them, with white as the schema has it: `normalize` undone."""
    picture = schema.inputs[0]
    if picture.centers:
        return x * _each(picture.scales, x.dtype, x.device) + _each(picture.centers, x.dtype, x.device)
    return x * picture.scale + picture.center


@cache
def _each(values: tuple[float, ...], kind: torch.dtype, device: torch.device) -> Tensor:
    """A number for each channel, `(C, 1, 1)`; kept, so that no step waits for a copy to a GPU."""
    return torch.tensor(values, dtype=kind, device=device).view(-1, 1, 1)


# --- rows to tensors ---------------------------------------------------------------------------------------------

LARGE = 1e100
MISSING = ""  # the category that stands for "no value", where training rows had gaps
YEAR = 365.2425 * 86400.0  # seconds
WEEK = 7 * 86400.0
DAY = 86400.0
CYCLES = (("year", YEAR), ("week", WEEK), ("day", DAY))


def as_numbers(column: pl.Series, kind: str) -> pl.Series:
    """A number, boolean or date column as Float64 (dates: seconds since 1970)."""
    if kind == "date":
        return column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    return column.cast(pl.Float64)


def _numeric_names(field: Field) -> list[str]:
    """The numeric features that one field becomes."""
    if field.kind == "category":
        return []
    names = [field.name]
    if field.kind == "date":
        names += [f"{field.name} {part} of {cycle}" for cycle, _s in CYCLES for part in ("sine", "cosine")]
    return [*names, f"{field.name} is missing"] if field.has_missing else names


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


def _encode_table(fields: tuple[Field, ...], data: Dataset, dtype: torch.dtype) -> Tensor:
    numeric: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    for field in fields:
        column = _column(data, field)
        if field.kind == "category":
            codes.append(_codes(column.cast(pl.String).fill_null(MISSING), field.values, start=1))
            continue
        numbers = as_numbers(column, field.kind)
        filled = numbers.fill_null(field.fill).to_numpy()
        numeric.append(_scaled(filled, field))
        if field.kind == "date":
            for _cycle, seconds in CYCLES:
                angle = filled * (2 * math.pi / seconds)
                numeric += [np.sin(angle), np.cos(angle)]
        if field.has_missing:
            numeric.append(numbers.is_null().to_numpy())
    columns = numeric + codes
    x = torch.empty((data.frame.height, len(columns)), dtype=dtype)
    with np.errstate(over="ignore"):
        for number, values in enumerate(columns):
            x.numpy()[:, number] = values
    _check_finite(x, data, [field for field in fields if field.kind == "number"])
    return x


def _scaled(numbers: np.ndarray, field: Field) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found by `_check_finite`, and named
        return (numbers - field.center) / field.scale


def _check_finite(encoded: Tensor, data: Dataset, fields: list[Field]) -> None:
    """Numbers so far apart that a 32-bit number cannot hold them are refused, with the row and the column."""
    if torch.isfinite(encoded).all():
        return
    row = int(torch.nonzero(~torch.isfinite(encoded))[0, 0])
    shown = {field.name: data.frame[field.name][row] for field in fields}
    name = max(shown, key=lambda name: abs(shown[name] or 0.0))
    text = _(
        "column '{name}', row {row}: {value} is too large beside the other values; correct it",
        name=name,
        row=data.start + row + 1,
        value=shown[name],
    )
    raise DataError(text)


def _codes(column: pl.Series, values: tuple[Value, ...], start: int) -> np.ndarray:
    """The place of each value among `values`, counted from `start`; `start - 1` for one that is not among them."""
    if not values:
        return np.full(len(column), start - 1)
    known = pl.Series(list(values), dtype=column.dtype)
    codes = pl.Series(range(start, start + len(values)), dtype=pl.Int64)
    return column.replace_strict(known, codes, default=start - 1, return_dtype=pl.Int64).to_numpy(writable=True)


def _encode_pictures(field: Field, data: Dataset) -> Tensor:
    pictures = data.pictures
    if pictures is None:
        raise DataError(_("pictures of {shape} were expected, a table came", shape=field.shape))
    if pictures.shape[1:] != (field.shape[1], field.shape[2], field.shape[0]):
        came = (pictures.shape[3], pictures.shape[1], pictures.shape[2])
        raise DataError(
            _("pictures of {shape} (channels, height, width) were expected, {came} came", shape=field.shape, came=came)
        )
    return as_tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))  # pictures on disk lie so: not copied


def _encode_targets(schema: Schema, data: Dataset, dtype: torch.dtype) -> Tensor:
    first = schema.targets[0]
    if first.kind == "class":
        return torch.from_numpy(_encode_classes(first, data))
    if first.kind == "labels":
        columns = [_column(data, Field(str(name), "boolean")) for name in first.values]
        fields = [Field(str(name), "boolean") for name in first.values]
    else:
        columns, fields = [_column(data, field) for field in schema.targets], list(schema.targets)
    for column in columns:
        _check_there(column, data.start)
    numbers = [_scaled(c.cast(pl.Float64).to_numpy(), f) for c, f in zip(columns, fields, strict=True)]
    with np.errstate(over="ignore"):
        y = torch.from_numpy(np.stack(numbers, 1)).to(dtype)
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
