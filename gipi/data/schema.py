"""What goes into a model and what comes out, as data: the contract that fit, predict, the bundle and the server share.

A schema is learned from the training rows alone and is JSON both ways. `encode` is pure: schema and rows in, tensors out.

B rows, N numeric features, K category columns, C H W a picture
"""

import datetime
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gipi.data.dataset import Dataset
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
            return tuple(Field(**{**r, "shape": tuple(r["shape"]), "values": tuple(r["values"])}) for r in rows)

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
    """

    input: tuple[int, ...]
    output: int
    categories: tuple[int, ...] = ()


def sizes(schema: Schema, output: int) -> Sizes:
    """The sizes of a network for this schema."""
    if schema.is_picture:
        return Sizes(schema.inputs[0].shape, output)
    numeric = sum(len(_numeric_names(field)) for field in schema.inputs)
    return Sizes((numeric,), output, tuple(len(f.values) for f in schema.inputs if f.kind == "category"))


def feature_names(schema: Schema) -> list[str]:
    """The name of each column of a table's encoded `x`."""
    numeric = [name for field in schema.inputs for name in _numeric_names(field)]
    return numeric + [field.name for field in schema.inputs if field.kind == "category"]


def encode(schema: Schema, data: Dataset, with_targets: bool = True) -> tuple[Tensor, ...]:
    """Rows as tensors: `(x,)` or `(x, y)`.

    x is `(B, N + K)` float32 for tables (see Sizes) and `(B, C, H, W)` uint8 or float32 for pictures, which `normalize`
    makes ready for a network batch by batch. y is `(B,)` int64 for a class, `(B, labels)` float32 for several labels,
    `(B, targets)` float32, centered and scaled, for numbers.

    Raises:
        DataError: A column is missing, or a value cannot be what the schema says; names the column and the row.
    """
    x = _encode_pictures(schema.inputs[0], data) if schema.is_picture else _encode_table(schema, data)
    return (x, _encode_targets(schema, data)) if with_targets and schema.targets else (x,)


def normalize(schema: Schema, x: Tensor) -> Tensor:
    """A batch of pictures as a network sees it, `(B, C, H, W)` float, centered and scaled; tables are so already."""
    if not schema.is_picture:
        return x
    picture = schema.inputs[0]
    kind = x.dtype if x.is_floating_point() else torch.float32
    return (x.to(kind) - picture.center) / picture.scale
