"""Rows from one place or several, opened, typed, put behind each other: the data, and parts from files of their own.

A piece knows where each of its rows came from, so that every error can name the line of the file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.header import check_name
from gipi.data.large_frames import concat_large, joined_pictures, rows_of, sample
from gipi.data.plain_folder import plain_folder
from gipi.data.schema import Field
from gipi.errors import DataError, UsageError
from gipi.jobs.options import Fit
from gipi.jobs.target import OF_PICTURES
from gipi.messages import _
from gipi.release.rows import like_these, where_in

Where = Callable[[int], str]
Progress = Callable[[str, int, int | None], None]


@dataclass
class Piece:
    """Rows that came from one place, and how to say where each of them is."""

    data: Dataset
    where: Where


def open_piece(
    source: Any, options: Fit, target: tuple[str, ...] = (), size: Any = None, progress: Progress | None = None
) -> Piece:
    from gipi.data.sources import open_data

    data = plain_folder(source, size or options.picture_size, progress) if options.task in OF_PICTURES else None
    data = data or open_data(
        source,
        target=target or options.target or None,
        picture_size=size or options.picture_size,
        separator=options.separator,
        progress=progress,
    )
    if not len(data):
        raise DataError(_("{name} has no rows", name=data.name))
    for name in data.frame.columns:
        check_name(name, data.name)
    return Piece(data, where_in(data, options.separator))


def files_of(options: Fit) -> dict[str, str]:
    """The parts that have files of their own."""
    named = {"valid": options.valid, "test": options.test}
    if options.folds and options.valid:
        raise UsageError(_("--valid does not go with --folds: each fold is validated on rows of its own"))
    return {part: path for part, path in named.items() if path is not None}


def open_part(part: str, path: str, data: Dataset, options: Fit, progress: Progress | None = None) -> Piece:
    """The rows of `--valid FILE` or `--test FILE`, with the data's target."""
    size = None if data.pictures is None else data.pictures.shape[1:3]
    piece = open_piece(path, options, data.target, size, progress)
    piece.data = replace(piece.data, text=data.text)
    came = piece.where

    def where(row: int) -> str:
        return _("{place} of the part '{part}'", place=came(row), part=part)

    is_file = piece.data.origin is not None and piece.data.kind == "table"
    return Piece(piece.data, came if is_file else where)


def fitting(piece: Piece, part: str, data: Dataset) -> Piece:
    """Rows of a part in the shape of the data: its kind, its columns, its pictures' size."""
    more = piece.data
    if more.kind != data.kind:
        what = {"table": _("a table"), "picture": _("pictures"), "text": _("texts")}
        raise DataError(
            _("the part '{part}' holds {came}, the data {kind}", part=part, came=what[more.kind], kind=what[data.kind])
        )
    missing = [name for name in data.frame.columns if name not in more.frame.columns]
    if missing:
        raise DataError(_("the part '{part}' lacks columns of the data: {names}", part=part, names=", ".join(missing)))
    pictures = more.pictures
    if data.pictures is not None and pictures is not None:
        _rows, height, width, channels = data.pictures.shape
        known = Field("picture", "picture", (channels, height, width), white=data.white)
        pictures = like_these(pictures, known, more.white)
    frame = more.frame.select(data.frame.columns) if data.frame.width else more.frame
    more = replace(more, frame=frame, pictures=pictures, white=data.white, parts={})
    return Piece(more, piece.where)


def typed(
    piece: Piece, kinds: dict[str, str], target: tuple[str, ...], notes: list[str], exact: tuple[str, ...] = ()
) -> Piece:
    """Its columns cast to their kinds, and only the rows that have their target; `exact`: see `conform_large`."""
    from gipi.data.columns import conform
    from gipi.data.large_frames import conform_large

    data = replace(piece.data, target=target)
    if data.mapped and data.kind == "table":
        data = replace(data, frame=conform_large(data.frame, kinds, exact, piece.where))
    else:
        data = replace(data, frame=conform(data.frame, kinds, target, piece.where))
    if not target:
        return Piece(data, piece.where)
    has_all = data.frame.select(pl.all_horizontal(pl.col(list(target)).is_not_null())).to_series().to_numpy()
    if has_all.all():
        return Piece(data, piece.where)
    if not has_all.any():
        raise DataError(
            _("the target '{name}' is missing in every row of {data}", name=", ".join(target), data=data.name)
        )
    notes.append(_("{count} rows without a target are left out", count=int((~has_all).sum())))
    return _kept(Piece(data, piece.where), has_all)


def some_of(piece: Piece, width: int, options: Fit, notes: list[str]) -> Piece:
    """A sample, in memory, of data that is larger than memory: for what must see all rows together."""
    rows = sample(np.arange(len(piece.data)), width, options.seed)
    data = piece.data.rows(rows)
    data.frame = data.frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    text = _(
        "larger than memory: clusters are looked for in {count} of {rows} rows", count=len(rows), rows=len(piece.data)
    )
    notes.append(text)
    return Piece(data, lambda row: piece.where(int(rows[row])))


def _kept(piece: Piece, mask: np.ndarray) -> Piece:
    """Only these rows; parts and places follow them."""
    data, kept, place = piece.data, np.flatnonzero(mask), np.cumsum(mask) - 1
    parts = {name: place[rows[mask[rows]]] for name, rows in data.parts.items()}
    if data.mapped:
        data = replace(rows_of(data, kept), parts=parts)
    else:
        data = replace(data.rows(kept), parts=parts, start=data.start)
    return Piece(data, lambda row: piece.where(int(kept[row])))


def joined(own: Piece, others: dict[str, Piece], notes: list[str]) -> Piece:
    """The data with the rows of parts behind its own. A part that the data had itself gives way to the one given."""
    for part in others:
        rows = own.data.parts.get(part)
        if rows is not None:
            count = len(rows)
            notes.append(
                _("the data's own part '{part}' ({count} rows) gives way to the one given", part=part, count=count)
            )
            left_in = np.ones(len(own.data), bool)
            left_in[rows] = False
            own = _kept(own, left_in)
            own.data.parts.pop(part)
    if not others:
        return own
    pieces = [own, *others.values()]
    starts = np.cumsum([0, *(len(piece.data) for piece in pieces)])
    parts = dict(own.data.parts)
    for start, part, piece in zip(starts[1:-1], others, pieces[1:], strict=True):
        parts[part] = np.arange(start, start + len(piece.data))
        notes += [note for note in piece.data.notes if note not in notes]
    frames = [piece.data.frame for piece in pieces]
    pictures = [piece.data.pictures for piece in pieces if piece.data.pictures is not None]
    answers = [piece.data.answers for piece in pieces if piece.data.answers is not None]
    has_names = all(len(piece.data.names) == len(piece.data) for piece in pieces)
    names = [name for piece in pieces for name in piece.data.names] if has_names else ()
    if any(piece.data.mapped for piece in pieces):
        data = replace(
            own.data, frame=concat_large(frames), pictures=joined_pictures(pictures), parts=parts, mapped=True
        )
        data.names = names
    else:
        differing = [name for name in frames[0].columns if len({frame.schema[name] for frame in frames}) > 1]
        frames = [frame.with_columns(pl.col(differing).cast(pl.String)) for frame in frames] if differing else frames
        frame, together = pl.concat(frames), np.concatenate(pictures) if pictures else None
        data = replace(own.data, frame=frame, pictures=together, parts=parts, names=names)
        data.answers = np.concatenate(answers) if answers else None

    def where(row: int) -> str:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        return pieces[number].where(int(row - starts[number]))

    return Piece(data, where)
