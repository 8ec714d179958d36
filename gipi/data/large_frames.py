"""What is done to a frame whose numbers lie on disk, one column or piece of rows at a time: casts, rows, encoding.

Each gives what its counterpart gives for a frame in memory (`columns.conform`, `frame[rows]`, `encode.encode`), only
the result lies on disk again.

R rows
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gipi.data.casts import Where, row_number
from gipi.data.columns import conform
from gipi.data.dataset import Dataset
from gipi.data.encode import encode
from gipi.data.features import gathered
from gipi.data.mapped import as_tensor, written
from gipi.data.schema import Schema

ELEMENTS = 1 << 22  # that are encoded at once
SAMPLE = 1 << 23  # elements that are looked at, where all rows would be too many: the baselines hold them eight times
FEWEST, MOST = 200, 100_000  # rows of a sample


def conform_large(
    frame: pl.DataFrame, kinds: dict[str, str], exact: tuple[str, ...] = (), where: Where = row_number
) -> pl.DataFrame:
    """The frame with its columns cast to their kinds.

    Args:
        frame: As large_tables.py gives it.
        kinds: See `columns.conform`.
        exact: Columns that are looked at as a whole (targets, weights): their gaps are nulls, as in other frames.
        where: Says where a row is.

    Raises:
        DataError: A value is not of its kind; names the column and the row.
    """
    columns = []
    for column in frame.get_columns():
        kind, dtype = kinds.get(column.name, ""), column.dtype
        is_so = (kind == "number" and dtype.is_numeric()) or (kind == "category" and dtype == pl.Enum)
        if kind not in ("number", "boolean", "category", "date"):
            columns.append(column)
        elif column.name in exact:
            columns.append(_conformed(column, kind, exact, where))
        elif is_so or (kind == "date" and dtype == pl.Datetime) or (kind == "boolean" and dtype == pl.Boolean):
            columns.append(column)
        else:
            columns.append(_conformed(column, kind, (), where))
    return pl.DataFrame(columns)


def _conformed(column: pl.Series, kind: str, target: tuple[str, ...], where: Where) -> pl.Series:
    if kind == "category" and column.dtype == pl.Enum:
        return column
    column = column.cast(pl.String) if column.dtype == pl.Enum else column
    column = column.fill_nan(None) if column.dtype.is_float() else column
    return conform(column.to_frame(), {column.name: kind}, target, where).to_series()


def rows_of(data: Dataset, rows: np.ndarray) -> Dataset:
    """Many rows of data on disk, column by column or piece by piece; what lay on disk goes there again."""
    if data.pictures is None:
        return replace(data, frame=_rows_of_frame(data.frame, rows), parts={})
    names = [data.names[row] for row in rows] if data.names else ()
    return replace(data, frame=data.frame[rows], pictures=_on_disk([data.pictures], [rows]), parts={}, names=names)


def joined_pictures(sets: list[np.ndarray]) -> np.ndarray | None:
    """`(R, H, W, C)`, one set behind the other, on disk."""
    return _on_disk(sets, [np.arange(len(pictures)) for pictures in sets]) if sets else None


def _on_disk(sets: list[np.ndarray], rows: list[np.ndarray]) -> np.ndarray:
    """These rows of each set, channels first on disk, as the decoder leaves them."""

    def pieces() -> Iterator[np.ndarray]:
        for pictures, chosen in zip(sets, rows, strict=True):
            size = max(1, ELEMENTS // max(1, pictures[0].size))
            for start in range(0, len(chosen), size):
                yield pictures[chosen[start : start + size]].transpose(0, 3, 1, 2)

    needed = sum(len(chosen) * pictures[0].nbytes for pictures, chosen in zip(sets, rows, strict=True))
    return written(pieces(), needed).transpose(0, 2, 3, 1)


def concat_large(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One behind the other; words that differ between them come together in one list."""
    columns = []
    for name in frames[0].columns:
        parts = [frame[name] for frame in frames]
        kinds = {part.dtype for part in parts}
        if len(kinds) > 1 and pl.Enum in [type(kind) for kind in kinds]:
            words = {str(word) for part in parts for word in part.drop_nulls().unique().to_list()}
            parts = [part.cast(pl.String).cast(pl.Enum(sorted(words))) for part in parts]
        elif len(kinds) > 1:
            parts = [part.cast(pl.Float64 if all(kind.is_numeric() for kind in kinds) else pl.String) for part in parts]
        columns.append(pl.concat(parts))
    return pl.DataFrame(columns)


def _rows_of_frame(frame: pl.DataFrame, rows: np.ndarray) -> pl.DataFrame:
    columns = []
    for column in frame.get_columns():
        chosen = gathered(column, rows)
        if column.dtype in (pl.Float64, pl.Int64) and not chosen.null_count():
            chosen = pl.Series(column.name, written([chosen.to_numpy()], 8 * len(rows)))
        columns.append(chosen)
    return pl.DataFrame(columns)


def encode_large(schema: Schema, data: Dataset, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """`encode.encode` of all rows, a piece at a time; the tensors lie on disk and must not be written to."""
    if schema.is_picture:
        (x,) = encode(Schema(schema.inputs), data)  # pictures lie there as they are
        return (x, *(torch.cat(parts) for parts in zip(*_pieces(schema, data, dtype), strict=True)))
    first = encode(schema, data.piece(0, 1), dtype=dtype)
    found = []
    for number, tensor in enumerate(first):
        needed = len(data) * tensor[0].numel() * tensor.element_size()
        pieces = (part.numpy() for part in _pieces_of(schema, data, dtype, number))
        found.append(as_tensor(written(pieces, needed)))
    return tuple(found)


def _pieces(schema: Schema, data: Dataset, dtype: torch.dtype) -> Iterator[tuple[Tensor, ...]]:
    """The targets, piece by piece; nothing if there are none."""
    if schema.targets:
        for piece in _cut(data, 1):
            yield encode(schema, piece, dtype=dtype)[1:]


def _pieces_of(schema: Schema, data: Dataset, dtype: torch.dtype, number: int) -> Iterator[Tensor]:
    """The inputs (0) or the targets (1)."""
    inputs = () if number else schema.inputs
    part = Schema(inputs, schema.targets if number else ())
    for piece in _cut(data, max(1, len(schema.inputs))):
        yield encode(part, piece, dtype=dtype)[number]


def _cut(data: Dataset, width: int) -> Iterator[Dataset]:
    rows = max(1, ELEMENTS // width)
    return (data.piece(start, start + rows) for start in range(0, len(data), rows))


def sample(rows: np.ndarray, width: int, seed: int) -> np.ndarray:
    """At most as many of these rows as can be looked at, where a row has `width` elements; in order."""
    most = min(MOST, max(FEWEST, SAMPLE // max(1, width)))
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, *b"sample"]).choice(rows, most, replace=False))
