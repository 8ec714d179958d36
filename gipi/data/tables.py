"""A table file to a frame: CSV and its relatives, Parquet, Excel, JSON. Text stays text; columns.py says what it is.

The first bytes decide what a file is, not its name alone. What a person should know about the reading (an encoding
that had to be recognised, names that were missing) is a note; what cannot be read is an error that names file and line.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from gipi.data.delimited import Cells, read_cells
from gipi.data.header import check_names, check_repeats, has_header
from gipi.data.remarks import abbreviated
from gipi.data.values import THOUSANDS, as_numbers
from gipi.errors import DataError, nearest
from gipi.messages import _

EXCEL = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
TABLES = (".csv", ".tsv", ".txt", ".data", ".dat", ".parquet", ".jsonl", ".ndjson", ".json", *EXCEL)
WITH_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$"
SAMPLE = 1000  # rows that are looked at before all are
DEEPEST, MOST_INSIDE = 4, 20  # records in records, and values in each, that become columns


@dataclass
class Table:
    """A frame, where each of its rows stands in the file (None: rows are not lines), and what was noticed."""

    frame: pl.DataFrame
    lines: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)


def read_table(path: str | Path, *, separator: str | None = None) -> tuple[pl.DataFrame, list[str]]:
    """Reads any table file; the cells of text files are text, typed by `columns.infer` and `columns.conform`.

    Args:
        path: CSV, TSV or other delimited text (also .gz), Parquet, Excel, JSON lines, or a JSON list of records.
        separator: Of a delimited text; None: found out.

    Raises:
        DataError: Says which file, line and column, and what to do.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "grades.csv"
        >>> _written = path.write_text("study;score\\n9;90\\n8;80\\n")
        >>> frame, notes = read_table(path)
        >>> frame.columns, frame.height
        (['study', 'score'], 2)
    """
    table = open_table(Path(path), separator)
    return table.frame, table.notes


def place(path: str | Path, separator: str | None = None) -> Callable[[int], str]:
    """Says where row `n` (from 0) of the frame stands in its file, "line 18 of grades.csv", for error messages.

    The file is read again only when somebody asks. Pass it as `where` to `columns.infer` and `columns.conform`.
    """

    def said(row: int) -> str:
        from gipi.data.large_tables import is_large_table, where_in_large

        if is_large_table(Path(path)):
            return where_in_large(Path(path), separator)(row)
        file = Path(path).name
        lines = open_table(Path(path), separator).lines
        if lines is None:
            return _("row {row} of {file}", row=row + 1, file=file)
        return _("line {line} of {file}", line=int(lines[row]), file=file)

    return said


def open_table(path: Path, separator: str | None = None) -> Table:
    """See `read_table`; also says where each row stands."""
    data = _bytes(path)
    file, suffix = path.name, path.suffix.lower()
    if suffix == ".gz" or data.startswith(b"\x1f\x8b"):
        data, suffix = _unzip(data, file), Path(path.stem).suffix.lower()
    if not data.strip():
        raise DataError(_("{file} is empty; a table needs a line of column names and lines of values", file=file))
    if data.startswith(b"PAR1") or suffix == ".parquet":
        table = _parquet(data, file)
    elif suffix in EXCEL:
        table = _excel(data, file)
    elif data.startswith(b"PK\x03\x04"):
        raise DataError(_("{file} is a zip archive or an Excel book: unpack it, or name it .xlsx", file=file))
    elif suffix in (".json", ".jsonl", ".ndjson"):
        table = _json(data, file)
    else:
        cells = read_cells(data, file, separator)
        table = _decimal_commas(named(cells, file), cells.separator)
    if not table.frame.height:
        raise DataError(_("{file} has column names but no rows below them; add rows", file=file))
    return _flat(table, file)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(_("{path} is a folder; name a table file in it", path=path))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        there = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, there)
        if not path.parent.is_dir():
            hint = " " + _("There is no folder {folder} either.", folder=path.parent)
        raise DataError(_("there is no file {path}.", path=path) + hint) from None
    except OSError as problem:
        raise DataError(_("{path} cannot be read: {problem}", path=path, problem=problem.strerror)) from None


def _unzip(data: bytes, file: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise DataError(_("{file} is cut off or is not gzip; get it again, or unpack it", file=file)) from None


# --- names of columns --------------------------------------------------------------------------------------------


def named(cells: Cells, file: str) -> Table:
    """Takes the first row for the names of the columns, unless it looks like data."""
    notes = list(cells.notes)
    is_empty = cells.frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if is_empty.any():
        cells = Cells(cells.frame.filter(~is_empty), cells.lines[(~is_empty).to_numpy()])
        notes.append(_("rows without any value, left out: {count}", count=int(is_empty.sum())))
        if not cells.frame.height:
            raise DataError(_("{file} has no values, only separators", file=file))
    if not has_header(cells.frame):
        names = [f"column_{number + 1}" for number in range(cells.frame.width)]
        said = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
        notes.append(_("the first row looks like data, not like names: columns are called {names}", names=said))
        return Table(cells.frame.rename(dict(zip(cells.frame.columns, names, strict=True))), cells.lines, notes)
    row = [" ".join((cell or "").split()) for cell in cells.frame.row(0)]
    row[0] = re.sub(r"^#\s*(?=\S)", "", row[0]) if len(row) > 1 else row[0]
    names = [name or f"column_{number + 1}" for number, name in enumerate(row)]
    check_names(names, file, int(cells.lines[0]))
    if unnamed := [name for name, said in zip(names, row, strict=True) if not said]:
        notes.append(_("columns without a name are called {names}", names=", ".join(unnamed)))
    frame = cells.frame[1:].rename(dict(zip(cells.frame.columns, names, strict=True)))
    check_repeats(frame, cells.lines[1:], file)
    return Table(frame, cells.lines[1:], notes)


def _decimal_commas(table: Table, separator: str) -> Table:
    """Numbers of a file that writes 1,5 for one and a half, as much of the world does, with points."""
    if not (found := comma_columns(table.frame, separator)):
        return table
    note = _("commas in numbers are read as decimal points (1,5 is 1.5): {names}", names=abbreviated(found))
    return Table(with_points(table.frame, found), table.lines, [*table.notes, note])


def with_points(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """These columns with points where they have decimal commas, and without the points between thousands."""
    return frame.with_columns(pl.col(names).str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))


def comma_columns(frame: pl.DataFrame, separator: str) -> list[str]:
    """The columns whose numbers have decimal commas.

    It is decided for the whole file: no column shows a decimal point, and some column shows that a comma cannot stand
    for thousands, or the cells are separated by semicolons, which such spreadsheets do.
    """
    has_comma = frame.select(pl.all().str.contains(",", literal=True).any()).row(0)
    found, is_shown = [], separator == ";"
    for name in (name for name, has in zip(frame.columns, has_comma, strict=True) if has):
        cells = frame[name].drop_nulls()
        if not cells[:SAMPLE].str.contains(r"^[+-]?[\d.,]+$").any():
            continue
        bad = cells.filter(as_numbers(cells)[1] | cells.str.contains(THOUSANDS))
        if len(bad) and bad.str.contains(WITH_COMMA).all():
            found.append(name)
            is_shown |= bad.str.contains(r"^[+-]?(0|\d{4,}|\d+(\.\d{3})+),\d+$|,(\d{1,2}|\d{4,})$").any()
    if not found or not is_shown:
        return []
    for name in [name for name in frame.columns if name not in found]:
        cells = frame[name].drop_nulls()
        is_grouped = cells.str.contains(r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$")
        if (cells.str.contains(r"^[+-]?\d*\.\d+$") & ~is_grouped).any():
            return []  # decimal points
        if is_grouped.any() and (is_grouped | cells.str.contains(r"^[+-]?\d+$")).all():
            found.append(name)
    return found


# --- files that have types ---------------------------------------------------------------------------------------


def _parquet(data: bytes, file: str) -> Table:
    try:
        return Table(pl.read_parquet(io.BytesIO(data)))
    except Exception as problem:  # of many kinds; all mean that the file is not whole
        raise DataError(
            _("{file} is not a whole Parquet file: {problem}", file=file, problem=_short(problem))
        ) from None


def _excel(data: bytes, file: str) -> Table:
    """The first sheet that has cells. Numbers are read as numbers: as text, they are rounded to nine decimals."""
    try:
        import fastexcel
    except Exception:
        raise DataError(_("{file}: Excel files need one more package: pip install 'gipi[excel]'", file=file)) from None
    try:
        book = fastexcel.read_excel(data)
        for sheet in book.sheet_names:
            as_text = book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string").to_polars()
            if as_text.height:
                break
        else:
            raise DataError(_("{file} is empty; a table needs a line of column names and lines of values", file=file))
        cells = as_text.rename({name: str(number) for number, name in enumerate(as_text.columns)})
        cells = cells.select(pl.all().str.strip_chars()).with_columns(
            pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep()
        )
        cells = cells.select(column for column in cells if column.count())
        table = named(Cells(cells, np.arange(1, cells.height + 1)), file)
        assert table.lines is not None
        numeric = [n for n, c in zip(table.frame.columns, cells.columns, strict=True) if _is_numeric(table.frame[n])]
        places = [int(cells.columns[table.frame.columns.index(name)]) for name in numeric]
        if numeric:
            first = int(table.lines[0]) - 1
            types: dict = dict.fromkeys(range(as_text.width), "string") | dict.fromkeys(places, "float")
            typed = book.load_sheet(sheet, header_row=None, skip_rows=first, dtypes=types).to_polars()
            kept = typed[(table.lines - 1 - first).tolist()]
            table.frame = table.frame.with_columns(
                _whole(kept.to_series(number).alias(name)) for name, number in zip(numeric, places, strict=True)
            )
    except DataError:
        raise
    except Exception as problem:
        raise DataError(_("{file} cannot be read as Excel: {problem}", file=file, problem=_short(problem))) from None
    if len(book.sheet_names) > 1:
        others = abbreviated([name for name in book.sheet_names if name != sheet])
        table.notes.append(_("sheet '{sheet}' is read; the others are not: {others}", sheet=sheet, others=others))
    return table


def _is_numeric(text: pl.Series) -> bool:
    """Plain numbers: not numbers written as text with commas or leading zeros, which the cells of a sheet may be."""
    present = text.drop_nulls()
    return len(present) > 0 and bool(present.str.contains(r"^-?(0|[1-9]\d*)(\.\d+)?$").all())


def _whole(numbers: pl.Series) -> pl.Series:
    """Excel has no integers; numbers without decimals are them."""
    is_whole = (numbers.drop_nulls() % 1 == 0).all() and (numbers.abs().max() or 0) < 2**53  # type: ignore
    return numbers.cast(pl.Int64) if is_whole else numbers


def _json(data: bytes, file: str) -> Table:
    """JSON lines, or one list of records."""
    text = data.decode("utf-8-sig", errors="replace")
    if "\ufffd" in text:
        line = text[: text.index("\ufffd")].count("\n") + 1
        raise DataError(_("{file}, line {line}: JSON must be UTF-8; save it again so", file=file, line=line))
    if not text.lstrip().startswith("["):
        return _json_lines(text, file)
    try:
        records = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise DataError(_("{file} is broken JSON: {problem}", file=file, problem=problem)) from None
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(_not_a_record(file, _("record {number}", number=number + 1), record))
    return Table(records_frame([opened(record) for record in records]))


def _json_lines(text: str, file: str) -> Table:
    records, lines = json_records(text, file, 1)
    return Table(records_frame(records), np.array(lines))


def json_records(text: str, file: str, first: int) -> tuple[list[dict], list[int]]:
    """The records of JSON lines, and the line that each stands on; `first` is the number of the first line."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), first) if line.strip()]
    records = []
    for number, line in lines:
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as problem:
            raise DataError(
                _(
                    "{file}, line {line}: broken JSON ({problem}); each line must be one record in braces, or the "
                    "whole file one list of records",
                    file=file,
                    line=number,
                    problem=problem,
                )
            ) from None
        if not isinstance(record, dict):
            raise DataError(_not_a_record(file, _("line {line}", line=number), record))
        records.append(opened(record))
    return records, [number for number, _line in lines]


def opened(record: dict, depth: int = DEEPEST) -> dict:
    """A record whose small records inside have become values of its own, by names with a point.

    Example:
        >>> opened({"text": "good", "labels": {"label": 4.9, "binary": 1}})
        {'text': 'good', 'labels.label': 4.9, 'labels.binary': 1}
    """
    found = {}
    for name, value in record.items():
        if depth and isinstance(value, dict) and 0 < len(value) <= MOST_INSIDE:
            inside = {f"{name}.{own}": one for own, one in opened(value, depth - 1).items()}
            found |= {own: one for own, one in inside.items() if own not in record}
        else:
            found[name] = value
    return found


def _not_a_record(file: str, where: str, came: object) -> str:
    example = '{"age": 31, "city": "Seoul"}'
    return _(
        "{file}, {where}: {came} came where a record was expected, such as {example}",
        file=file,
        where=where,
        came=json.dumps(came, ensure_ascii=False)[:60],
        example=example,
    )


def records_frame(records: list[dict]) -> pl.DataFrame:
    """Records as columns; where kinds are mixed, values become text, and `columns.infer` judges them."""
    columns = {}
    for name in dict.fromkeys(name for record in records for name in record):
        values = [record.get(name) for record in records]
        kinds = {type(value) for value in values} - {type(None)}
        if kinds <= {int, float} and kinds:
            fits = kinds == {int} and all(value is None or abs(value) < 2**63 for value in values)
            numbers = values if fits else [None if value is None else float(value) for value in values]
            columns[name] = pl.Series(name, numbers, dtype=pl.Int64 if fits else pl.Float64)
        elif kinds <= {bool} and kinds:
            columns[name] = pl.Series(name, values, dtype=pl.Boolean)
        elif kinds == {list} and all(_is_label(one) for value in values for one in value or ()):
            columns[name] = pl.Series(name, [_texts(value) for value in values], dtype=pl.List(pl.String))
        elif kinds & {list, dict}:
            columns[name] = pl.Series(name, [[None]] * len(values))  # `_flat` says so and leaves it out
        else:
            texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
            columns[name] = pl.Series(name, texts, dtype=pl.String)
    return pl.DataFrame(columns)


def _is_label(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _texts(labels: list | None) -> list[str] | None:
    return None if labels is None else [str(label).strip() for label in labels]


def _flat(table: Table, file: str) -> Table:
    """Without the columns whose cells hold lists or records; but lists of words may be labels (several.py)."""
    schema, labels = table.frame.schema, pl.List(pl.String)
    nested = [name for name, dtype in schema.items() if dtype.is_nested() or dtype == pl.Binary]
    if len(nested) == len(schema):
        raise DataError(_("{file}: all cells hold lists, records or bytes; write one value in each", file=file))
    nested = [name for name in nested if schema[name] != labels]
    if not nested:
        return table
    note = _("left out, because their cells are lists, records or bytes: {names}", names=abbreviated(nested))
    return Table(table.frame.drop(nested), table.lines, [*table.notes, note])


def _short(problem: Exception) -> str:
    return str(problem).strip().split("\n")[0][:200]
