"""The answers of a kept model as columns of a table, made from its numbers; `Model.predict` says them row by row.

All that a batch of rows wants of a model stands here: its schema, its task, its `checksum` and `numbers`.

B rows, K classes or labels, T targets, Q numbers that describe one target
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from gipi.data.columns import conform
from gipi.data.dataset import Dataset
from gipi.data.schema import Schema
from gipi.errors import DataError, UsageError
from gipi.messages import _
from gipi.release.rows import as_rows, column_kind
from gipi.tasks.said import interval, points

TASKS = ("classify", "regress", "cluster", "embed", "act")
MANY = 100  # classes; with more, only the best have columns
BEST = 5
NUMBERS = 1 << 23  # that go in and come out at once
MOST_ROWS = 1 << 17
SAFE = 2**53  # beyond, a float is not sure of its last digit

Columns = Iterator[tuple[str, pl.Series]]


def check_task(model: Any) -> None:
    """Whether the model's answers fit into columns.

    Raises:
        UsageError: They are pictures; says which tasks have columns.
    """
    if model.task not in TASKS:
        known = ", ".join(TASKS)
        text = _("the answers of {task} are no columns of a table; --out is for {known}", task=model.task, known=known)
        raise UsageError(text)


def rows_for(model: Any) -> int:
    """How many rows may be answered at once, so that what goes in and comes out stays small."""
    schema = model.schema
    taken = math.prod(schema.inputs[0].shape) if schema.is_picture else 8 * len(schema.inputs)
    taken += sum(max(3, len(field.values)) for field in schema.targets)
    return max(1, min(MOST_ROWS, NUMBERS // max(1, taken)))


def answer_columns(model: Any, frame: pl.DataFrame, where: Callable[[int], str], start: int = 0) -> pl.DataFrame:
    """The answers to rows of a table, `(B, columns)`; a row's answer depends on no other row.

    Args:
        model: A kept model.
        frame: The rows; columns that the model does not know are not looked at.
        where: Says where row `n` of these is, for errors.
        start: How many rows stand before these, for errors.

    Raises:
        DataError: A column is missing, or a value cannot be read; names the row.

    Example:
        >>> answer_columns(model, pl.DataFrame({"study": [7, 8]}), row_number)  # doctest: +SKIP
    """
    fields = model.schema.inputs
    if missing := [field.name for field in fields if field.name not in frame.columns]:
        came = ", ".join(frame.columns[:12]) or "-"
        text = _("columns are missing: {missing}; the columns that came: {came}", missing=", ".join(missing), came=came)
        raise DataError(text)
    frame = frame.select(field.name for field in fields)
    kinds = {field.name: column_kind(field, frame[field.name].dtype) for field in fields}
    words = [name for name, kind in kinds.items() if kind == "category" and frame[name].dtype.is_float()]
    frame = conform(frame.with_columns(_as_words(name) for name in words), kinds, where=where)
    return _framed(model, Dataset("rows", frame, start=start))


def picture_columns(model: Any, files: list[str]) -> pl.DataFrame:
    """The answers to files of pictures, `(B, columns)`.

    Raises:
        DataError: A picture is damaged; names it.
    """
    return _framed(model, as_rows(model.schema, files))


def _as_words(name: str) -> pl.Expr:
    """Numbers as words one by one: 3.0 is "3" whatever stands in the other rows."""
    number = pl.col(name).fill_nan(None)
    is_whole = (number % 1 == 0) & (number.abs() < SAFE)
    return pl.when(is_whole).then(number.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(number.cast(pl.String))


# --- one task after the other ------------------------------------------------------------------------------------


def _framed(model: Any, data: Dataset) -> pl.DataFrame:
    found = model.numbers(data)
    return pl.DataFrame([column.alias(name) for name, column in _columns(model.task, model.schema, found)])


def _columns(task: str, schema: Schema, found: dict[str, np.ndarray]) -> Columns:
    """The names and columns of the answers, which have the names of a program's outputs."""
    if task == "cluster":
        yield "cluster", pl.Series(found["cluster"])
        return
    if task == "embed":
        yield from ((f"vector_{place}", pl.Series(c)) for place, c in enumerate(_columnwise(found["vector"])))
        return
    numbers, disagreement = found["answer"], found.get("disagreement")
    if task == "regress":
        yield from _numbers(numbers, disagreement, schema)
        return
    values = schema.targets[0].values
    if task == "act":
        yield "action", _words(values, numbers.argmax(1))
        yield from _each("worth", values, numbers)
    elif schema.targets[0].kind == "labels":
        yield from ((f"predicted_{v}", pl.Series(c >= 0.5)) for v, c in zip(values, numbers.T, strict=True))
        yield from _each("probability", values, numbers)
    else:
        yield from _classes(schema.targets[0].name, values, numbers)
    if disagreement is not None:
        yield "disagreement", pl.Series(disagreement)


def _classes(name: str, values: tuple, probabilities: np.ndarray) -> Columns:
    """The class, its probability, and that of each class `(B, K)`; of very many classes only the best few."""
    if len(values) <= MANY:
        best = probabilities.argmax(1)
        yield f"predicted_{name}", _words(values, best)
        yield "probability", pl.Series(probabilities[np.arange(len(best)), best])
        yield from _each("probability", values, probabilities)
        return
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :BEST]  # (B, 5)
    for place in range(BEST):
        end = f"_{place + 1}" if place else ""
        yield f"predicted_{name}{end}", _words(values, order[:, place])
        yield f"probability{end}", pl.Series(np.take_along_axis(probabilities, order[:, place : place + 1], 1)[:, 0])


def _numbers(answers: np.ndarray, disagreement: np.ndarray | None, schema: Schema) -> Columns:
    """The number `(B,)` of each target, the ends of its interval, and how far members differ."""
    kind = answers.dtype
    middle, ends = points(answers, schema), interval(answers, schema)
    for place, field in enumerate(schema.targets):
        name = f"predicted_{field.name}"
        yield name, pl.Series(middle[:, place].astype(kind))
        if ends is not None:
            for end, numbers in zip(("low", "high"), ends, strict=True):
                yield f"{name}_{end}", pl.Series(numbers[:, place].astype(kind))
        if disagreement is not None:
            end = f"_{field.name}" if len(schema.targets) > 1 else ""
            yield f"disagreement{end}", pl.Series(disagreement[:, place].copy())


def _each(what: str, values: tuple, numbers: np.ndarray) -> Columns:
    """A column of `(B, K)` for each value."""
    yield from ((f"{what}_{v}", pl.Series(c)) for v, c in zip(values, _columnwise(numbers), strict=True))


def _columnwise(numbers: np.ndarray) -> np.ndarray:
    """`(B, K)` to `(K, B)`, each column in one stretch of memory."""
    return np.ascontiguousarray(numbers.T)


def _words(values: tuple, places: np.ndarray) -> pl.Series:
    """The value at each place, `(B,)`."""
    return pl.Series(list(values)).gather(places)
