"""The parts of a long table joined to one file, a part at a time: Parquet, CSV or JSON lines.

Cells of a text file are text. In Parquet and JSON lines a column of them becomes numbers if each of its cells, in all
parts, is a plain number or empty; in CSV they stay as they were written. Where parts of JSON lines differ in the type
of a column the wider one is taken, and at last text.
"""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl

from gipi.data.columns import plain_numbers
from gipi.errors import cannot_write

NOTHING, WHOLE, NUMBER, TEXT = "-", "w", "n", "t"  # what all cells of a column of text are
LONGEST, FLOAT = 18, 16  # digits that an Int64 and a Float64 hold in any case
TOO_LONG = r"\d{17,}"
ROW_GROUP = 1 << 17


def letters(frame: pl.DataFrame) -> str:
    """What the cells of each column of text are, a letter for each.

    Example:
        >>> letters(pl.DataFrame({"a": ["1", None], "b": ["1.5", "2"], "c": ["007", "x"]}))
        'wnt'
    """
    plain = plain_numbers(frame)
    lengths = frame.select(pl.col(name).str.len_bytes().max() for name in plain).row(0) if plain else ()
    wholes = frame.select(pl.col(name).cast(pl.Int64, strict=False).count() for name in plain).row(0) if plain else ()
    found = {name: _of_numbers(frame[name], *said) for name, *said in zip(plain, lengths, wholes, strict=True)}
    return "".join(found.get(column.name) or (TEXT if column.count() else NOTHING) for column in frame)


def _of_numbers(column: pl.Series, longest: int, wholes: int) -> str:
    """What plain numbers are of which so many are whole, and the longest of which has so many letters."""
    if longest <= LONGEST and wholes == column.count():
        return WHOLE
    return TEXT if longest > FLOAT and column.str.contains(TOO_LONG).any() else NUMBER


def text_kinds(names: list[str], kinds: list[str]) -> dict[str, pl.DataType]:
    """The types of columns of text, from the letters of all parts; those that stay text are not among them."""
    found: dict[str, pl.DataType] = {}
    for place, name in enumerate(names):
        seen = {kind[place] for kind in kinds} - {NOTHING}
        if seen and TEXT not in seen:
            found[name] = pl.Float64() if NUMBER in seen else pl.Int64()
    return found


def common_schema(files: list[Path]) -> dict[str, pl.DataType]:
    """All columns of all parts, each with a type that holds what every part has in it."""
    found: dict[str, pl.DataType] = {}
    for file in files:
        for name, kind in pl.read_parquet_schema(file).items():
            found[name] = _wider(found.get(name, pl.Null()), kind)
    return {name: pl.String() if kind == pl.Null else kind for name, kind in found.items()}


def _wider(one: pl.DataType, other: pl.DataType) -> pl.DataType:
    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    is_number = one.is_numeric() and other.is_numeric()
    return pl.Float64() if is_number else pl.String()


def join(files: list[Path], whole: Path, schema: dict[str, pl.DataType]) -> None:
    """Write the parts one behind the other, with these columns, into a file that is whole on the disk.

    Raises:
        RunError: The disk is full or cannot be written.
    """
    try:
        if whole.suffix == ".parquet":
            _parquet(files, whole, schema)
        else:
            with whole.open("wb") as file:
                for place, frame in enumerate(_frames(files, schema)):
                    held = BytesIO()
                    if whole.suffix == ".csv":
                        frame.write_csv(held, include_header=place == 0)
                    else:
                        frame.write_ndjson(held)
                    file.write(held.getbuffer())
        with whole.open("rb+") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(whole, error) from error
    except pl.exceptions.ComputeError as error:  # what the system refused inside polars
        raise cannot_write(whole, OSError(str(error))) from error


def _frames(files: list[Path], schema: dict[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    for file in files:
        frame = pl.read_parquet(file)
        yield frame.select(_cast(name, frame.schema.get(name), kind) for name, kind in schema.items())


def _cast(name: str, came: pl.DataType | None, kind: pl.DataType) -> pl.Expr:
    """The column in its type; nothing where the part has no such column."""
    if came is None:
        return pl.lit(None, kind).alias(name)
    if isinstance(came, pl.List) and kind == pl.String:
        return pl.col(name).cast(pl.List(pl.String)).list.join(", ")
    return pl.col(name).cast(kind)


def _parquet(files: list[Path], whole: Path, schema: dict[str, pl.DataType]) -> None:
    """By polars' streaming engine, which holds a few parts at a time."""
    same = len({tuple(pl.read_parquet_schema(file).items()) for file in files}) == 1
    scans = [pl.scan_parquet(files, glob=False)] if same else [pl.scan_parquet(file, glob=False) for file in files]
    cast = []
    for scan in scans:
        came = scan.collect_schema()
        cast.append(scan.select(_cast(name, came.get(name), kind) for name, kind in schema.items()))
    pl.concat(cast).sink_parquet(whole, row_group_size=ROW_GROUP, maintain_order=True)
