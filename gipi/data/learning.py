"""A schema learned from training rows, and from nobody else: categories, means and spreads, bins, classes."""

from dataclasses import replace

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.edges import edges_of
from gipi.data.features import as_numbers, rows_of
from gipi.data.schema import LARGE, MISSING, Field, Schema

ELEMENTS = 1 << 21  # of pictures that are added up at once


def learn(
    data: Dataset,
    kinds: dict[str, str],
    targets: tuple[Field, ...] = (),
    standardize: bool = True,
    rows: np.ndarray | None = None,
    bins: int = 0,
) -> Schema:
    """The schema of these rows: training rows, so that nothing of the other parts leaks into it.

    Args:
        data: Training rows, conformed to `kinds`.
        kinds: The kind of each input column of a table, in order (number, boolean, category, date).
        targets: The target fields, see `learn_target`.
        standardize: Center and scale numbers and pictures; False leaves their values as they are.
        rows: Which of the data's rows these are; they are gathered column by column. None: all.
        bins: At most so many along each number and date, for networks that see numbers through bins.
    """
    if data.pictures is not None:
        return Schema((_learn_picture(data, standardize, rows),), targets)
    fields = []
    for name, kind in kinds.items():
        column = rows_of(data, name, rows)
        if kind == "category":
            values = sorted(str(v) for v in column.drop_nulls().unique().to_list())
            fields.append(Field(name, kind, values=(MISSING, *values) if column.null_count() else tuple(values)))
            continue
        numbers = as_numbers(column, kind).drop_nulls()
        fill, scale = _center_and_scale(numbers)
        center, scale = (fill, scale) if standardize and kind != "boolean" else (0.0, 1.0)
        edges = edges_of((numbers.to_numpy() - center) / scale, bins) if bins and kind != "boolean" else ()
        own = Field(name, kind, center=center, scale=scale, fill=fill, has_missing=column.null_count() > 0, edges=edges)
        fields.append(replace(own, range=() if kind == "boolean" else _range_of(numbers)))
    return Schema(tuple(fields), targets)


def learn_target(
    data: Dataset,
    kind: str,
    standardize: bool = True,
    levels: tuple[float, ...] = (),
    positive: str | None = None,
    rows: np.ndarray | None = None,
) -> tuple[Field, ...]:
    """The target fields of these training rows (see `learn`): kind is class, labels, number, normal or quantiles."""
    if kind == "class":
        values = rows_of(data, data.target[0], rows).drop_nulls().unique().sort().to_list()
        return (Field(data.target[0], kind, values=tuple(values), positive=positive),)
    if kind == "labels":
        return (Field("labels", kind, values=data.target),)
    fields = []
    for name in data.target:
        center, scale = _center_and_scale(rows_of(data, name, rows).cast(pl.Float64)) if standardize else (0.0, 1.0)
        fields.append(Field(name, kind, values=levels, center=center, scale=scale))
    return tuple(fields)


def _learn_picture(data: Dataset, standardize: bool, chosen: np.ndarray | None) -> Field:
    pictures = data.pictures
    assert pictures is not None
    _rows, height, width, channels = pictures.shape
    center, scale = 0.0, data.white
    if standardize:
        rows = np.arange(len(pictures)) if chosen is None else chosen
        sample = rows[:: max(1, len(rows) // 5000)]
        count = len(sample) * pictures[0].size
        center = _sum(pictures, sample, 0, count) / count
        scale = float(np.sqrt(_sum(pictures, sample, 0, count, center) / count)) or 1.0
    return Field("picture", "picture", (channels, height, width), center=center, scale=scale, white=data.white)


def _sum(pictures: np.ndarray, rows: np.ndarray, start: int, count: int, center: float | None = None) -> float:
    """The sum of `count` elements of these pictures from `start` on, or of their squared distances from the center.

    Cut in halves as NumPy's pairwise summation cuts: the bits are those of `astype(float64).mean()` and `.std()`,
    without all elements in memory.
    """
    if count > ELEMENTS:
        half = count // 2 - (count // 2) % 8
        return _sum(pictures, rows, start, half, center) + _sum(pictures, rows, start + half, count - half, center)
    size = pictures[0].size
    first, last = start // size, -(-(start + count) // size)
    held = np.ascontiguousarray(pictures[rows[first:last]]).reshape(-1)[start - first * size :][:count]
    values = held.astype(np.float64)
    if center is not None:
        values = values - center
        values *= values
    return float(values.sum())


def _range_of(numbers: pl.Series) -> tuple[float, ...]:
    """The lowest and the highest; nothing of a column that holds only gaps."""
    if not len(numbers):
        return ()
    values = numbers.to_numpy()
    return float(values.min()), float(values.max())


def _center_and_scale(numbers: pl.Series) -> tuple[float, float]:
    """Mean and standard deviation; a column without spread is only centered."""
    if not len(numbers):
        return 0.0, 1.0
    values = numbers.to_numpy()
    largest = float(max(values.max(), -values.min()))
    unit = largest if largest > LARGE else 1.0  # the square of a larger number is infinite
    values = values if unit == 1.0 else values / unit
    center, scale = float(values.mean()) * unit, float(values.std()) * unit
    return center, scale if scale > 1e-12 * max(1.0, abs(center)) else 1.0
