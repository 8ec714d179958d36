"""A table that is larger than memory: read block by block into column files, which the next run finds ready.

CSV and its relatives (also .gz) and Parquet. The result is a frame like any other, but its numbers lie on disk (gaps
are NaN there) and its words are numbers of one to four bytes: what grows in memory is some bytes for each row and
column of words, and not the table.
"""

import gzip
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from gipi.data.budget import is_large
from gipi.data.column_files import MOST_WORDS, ColumnFile, read_column
from gipi.data.delimited import Cells, check_widths, read_cells
from gipi.data.header import check_repeats
from gipi.data.kept import kept_set
from gipi.data.remarks import abbreviated
from gipi.data.tables import comma_columns, named, with_points
from gipi.errors import DataError
from gipi.messages import _

FORMAT = 1  # of what is kept; another one is made anew
BLOCK = 1 << 24  # bytes of text that are read at once; its lines and cells take ten times that
ROWS = 1 << 17  # of a Parquet file that are read at once
READING = 10  # times a text's bytes are in memory while it is read whole: its lines, cells and numbers
CELLS = 4  # times the cells of a table are in memory: as they come, as numbers, encoded, in the order of an epoch
PACKED = 5  # times a compressed text is larger when it is unpacked
WHOLE_ONLY = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".json", ".jsonl", ".ndjson")
UNUSUAL = (b" ", b"\x1f")  # separators
SAMPLES, SAMPLE = 64, 1 << 16  # places and bytes that a file is known by, beside its size and time

Progress = Callable[[str, int, int | None], None]


@dataclass
class Block:
    """Some rows of the table as they were read: text, or of types of their own, and the line that each stands on."""

    frame: pl.DataFrame
    where: Callable[[int], str]
    place: list[int]  # offset, bytes, the line it begins with: enough to read it again
    done: int  # bytes (rows) of the table so far


def is_large_table(path: Path) -> bool:
    """Whether reading this table whole would take too much memory; of the kinds that can be read in blocks."""
    if not path.is_file() or path.suffix.lower() in WHOLE_ONLY:
        return False
    size = path.stat().st_size
    if not is_parquet(path):
        return is_large(READING * size * (PACKED if is_packed(path) else 1))
    try:
        scan = pl.scan_parquet(path)
        cells = len(scan.collect_schema()) * scan.select(pl.len()).collect().item()
    except pl.exceptions.PolarsError:
        return False  # what is wrong with it is said by whoever reads it
    return is_large(max(size, 8 * cells) * CELLS)


def open_large_table(
    path: Path, separator: str | None = None, progress: Progress | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """The frame, its numbers on disk, and what a person should know.

    Raises:
        DataError: As for smaller tables; or the disk has no room.
    """
    rows, said = _kept(path, separator, progress)
    folder, table = said
    columns, many = [], []
    for number, column in enumerate(table["columns"]):
        if column["kind"] == "many":
            many.append(column["name"])
        else:
            columns.append(read_column(folder / f"{number:05d}.column", column, rows))
    notes = [*table["notes"], _("larger than memory: its columns were written to {folder}", folder=folder)]
    if many:
        text = _("left out, because they hold more than {count} different words: {names}", count=MOST_WORDS, names="{}")
        notes.append(text.replace("{}", abbreviated(many)))
    return pl.DataFrame(columns), notes


def where_in_large(path: Path, separator: str | None = None) -> Callable[[int], str]:
    """Says where row `n` (from 0) stands in the file; only its block is read again, when somebody asks."""

    def said(row: int) -> str:
        _rows, (_folder, table) = _kept(path, separator, None)
        for start, count, place in table["blocks"]:
            if start <= row < start + count:
                if not place:
                    break
                block = TextBlocks(path, separator).again(place, table["head"])
                return block.where(row - start)
        return _("row {row} of {file}", row=row + 1, file=path.name)

    return said


def _kept(path: Path, separator: str | None, progress: Progress | None) -> tuple[int, tuple[Path, dict]]:
    size = path.stat().st_size
    needed = 3 * size * (PACKED if is_packed(path) or is_parquet(path) else 1) // 2
    folder, table = kept_set(
        "tables", _key(path, separator), needed, lambda part: _convert(path, separator, part, progress)
    )
    return table["rows"], (folder, table)


def _key(path: Path, separator: str | None) -> str:
    """Names the contents: size, time of the last change, and what stands at many places."""
    known = path.stat()
    digest = hashlib.sha256(repr((FORMAT, known.st_size, known.st_mtime_ns, separator, path.name)).encode())
    with path.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(number * max(0, known.st_size - SAMPLE) // (SAMPLES - 1))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()[:32]


def _convert(path: Path, separator: str | None, folder: Path, progress: Progress | None) -> dict:
    """Write the column files; columns that turned out to be words are written once more."""
    source = _Parquet(path) if is_parquet(path) else TextBlocks(path, separator)
    total = path.stat().st_size
    columns: list[ColumnFile] = []
    blocks: list[list[Any]] = []
    rows = 0
    for block in source.blocks(columns):
        if not columns:
            names = block.frame.columns
            columns += [ColumnFile(folder / f"{number:05d}.column", name) for number, name in enumerate(names)]
        for column in columns:
            column.add(block.frame[column.name], block.where)
        blocks.append([rows, block.frame.height, block.place])
        rows += block.frame.height
        if progress:
            progress(path.name, min(block.done, total), total)
    if not rows:
        raise DataError(_("{file} has column names but no rows below them; add rows", file=path.name))
    repeated = [number for number, column in enumerate(columns) if column.must_repeat]
    for number in repeated:
        columns[number] = ColumnFile(columns[number].path, columns[number].name, as_words=True)
    if repeated:
        for block in source.blocks(columns):
            for number in repeated:
                columns[number].add(block.frame[columns[number].name], block.where)
            if progress:
                progress(path.name, min(block.done, total), total)
    notes = source.notes()
    if thousands := [column.name for column in columns if column.has_thousands and column.kind == "number"]:
        notes.append(_("commas in numbers separate thousands (1,395 is 1395)") + ": " + abbreviated(thousands))
    said = {"rows": rows, "columns": [column.json() for column in columns], "notes": notes}
    return {**said, "blocks": blocks, "head": source.head()}


# --- delimited text ----------------------------------------------------------------------------------------------


class TextBlocks:
    """A delimited text, block by block; the first block decides on names, separator and decimal commas."""

    def __init__(self, path: Path, separator: str | None):
        self.path = path
        self.separator = separator
        self.names: list[str] = []
        self.commas: list[str] = []
        self.first = b""  # the line that names the columns; it stands before each block, which must have as many cells
        self.start = (0, 1)  # offset and line of the first row below the names
        self.said: list[str] = []
        self.empty = 0

    def blocks(self, columns: list[ColumnFile]) -> Iterator[Block]:
        """All rows; `columns` say what is known of each so far, and then need not be found out again."""
        self.empty = 0
        with opened(self.path) as file:
            for offset, line, data in text_pieces(file, self.path.name):
                if not data.strip():
                    continue
                if not self.names:
                    self.begin(data, offset, line)
                if offset < self.start[0]:
                    data, (offset, line) = data[self.start[0] - offset :], self.start
                block = self._plain(data, offset, line, columns) or self.block(data, offset, line)
                if block.frame.height:
                    block.done = file.tell() if not is_packed(self.path) else file.fileobj.tell()  # type: ignore
                    yield block

    def head(self) -> dict:
        """What else is needed to read a block again."""
        names = {"names": self.names, "commas": self.commas, "separator": self.separator}
        return {**names, "first": self.first.decode("latin-1")}

    def notes(self) -> list[str]:
        lines = [_("rows without any value, left out: {count}", count=self.empty)] if self.empty else []
        return [*self.said, *lines]

    def again(self, place: list[int], head: dict) -> Block:
        """A block that was read before."""
        self.names, self.commas, self.separator = head["names"], head["commas"], head["separator"]
        self.first = head["first"].encode("latin-1")
        offset, size, line = place
        with opened(self.path) as file:
            file.seek(offset)
            return self.block(file.read(size), offset, line)

    def begin(self, data: bytes, offset: int, line: int) -> None:
        """The first block, which decides."""
        file = self.path.name
        if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2000]:
            raise DataError(_("{file} is larger than memory and not UTF-8; save it again as CSV in UTF-8", file=file))
        cells = read_cells(data, file, self.separator, line - 1)
        cells = self.without_empty(cells)
        table = named(cells, file)
        assert table.lines is not None
        lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        start = int(cells.lines[0]) - line
        end = int(cells.lines[1]) - line if len(cells.lines) > 1 else start + 1
        self.first = b"\n".join(lines[start:end]).rstrip(b"\r\n") + b"\n"
        self.separator = cells.separator
        self.names = table.frame.columns
        self.said = [*cells.notes, *(note for note in table.notes if note not in cells.notes)]
        self.commas = comma_columns(table.frame, cells.separator)
        if self.commas:
            said = abbreviated(self.commas)
            self.said.append(_("commas in numbers are read as decimal points (1,5 is 1.5): {names}", names=said))
        skipped = int(table.lines[0]) - line if len(table.lines) else len(lines)
        self.start = (offset + sum(len(one) + 1 for one in data.split(b"\n")[:skipped]), line + skipped)
        self.empty = 0

    def _plain(self, data: bytes, offset: int, line: int, columns: list[ColumnFile]) -> Block | None:
        """A block with nothing unusual in it, read several times as fast; None if anything needs a closer look."""
        sign = (self.separator or "").encode()
        odd = (b'"', b"\r", b" ", b"\n\n", *((b"\t",) if sign != b"\t" else ()))
        if not columns or self.commas or len(sign) != 1 or sign in UNUSUAL or any(mark in data for mark in odd):
            return None
        rows = data.count(b"\n") + (not data.endswith(b"\n"))
        if (
            _has_leading_zeros(data, sign)
            or data.count(sign) != rows * (len(self.names) - 1)
            or data.startswith(b"\n")
            or self.first in data
        ):
            return None
        known = {"whole": pl.Int64, "number": pl.Float64}
        schema = {column.name: known.get(column.kind, pl.String) for column in columns}
        try:
            frame = pl.read_csv(data, has_header=False, schema=schema, separator=self.separator or ",", quote_char=None)
        except (pl.exceptions.PolarsError, UnicodeDecodeError):
            return None
        floats = frame.select(pl.col(pl.Float64).is_finite().all())
        if frame.height != rows or not all(floats.row(0) if floats.width else ()):
            return None
        if frame.select(pl.all_horizontal(pl.all().is_null()).any()).item():
            return None

        def where(row: int) -> str:
            return _("line {line} of {file}", line=line + row, file=self.path.name)

        return Block(frame, where, [offset, len(data), line], 0)

    def block(self, data: bytes, offset: int, line: int) -> Block:
        """Rows that stand below the names; `line` is the number of the first."""
        file = self.path.name
        if not data.strip():
            return Block(pl.DataFrame(), lambda row: "", [], 0)
        taken = self.first.count(b"\n")
        cells = read_cells(self.first + data, file, self.separator, line - 1 - taken)
        self.said += [note for note in cells.notes if note not in self.said]
        if cells.frame.width != len(self.names):
            check_widths(np.array([len(self.names), cells.frame.width]), cells.lines[:2], file, self.separator or ",")
        cells = self.without_empty(Cells(cells.frame[1:], cells.lines[1:]))
        frame = cells.frame.rename(dict(zip(cells.frame.columns, self.names, strict=True)))
        check_repeats(frame, cells.lines, file)
        if self.commas:
            frame = with_points(frame, self.commas)

        def where(row: int) -> str:
            return _("line {line} of {file}", line=int(cells.lines[row]), file=file)

        return Block(frame, where, [offset, len(data), line], 0)

    def without_empty(self, cells: Cells) -> Cells:
        is_empty = cells.frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if not is_empty.any():
            return cells
        self.empty += int(is_empty.sum())
        kept = ~is_empty
        return Cells(cells.frame.filter(kept), cells.lines[kept.to_numpy()], cells.separator, cells.notes)


def _has_leading_zeros(data: bytes, sign: bytes) -> bool:
    """Whether a cell begins with 0 and another digit: perhaps a code, such as 04524, and no number."""
    signs = np.frombuffer(data, np.uint8)
    zeros = np.flatnonzero(signs[1:-1] == ord("0")) + 1
    zeros = zeros[(signs[zeros - 1] == ord("\n")) | (signs[zeros - 1] == sign[0])]
    after = signs[zeros + 1]
    return bool(((after >= ord("0")) & (after <= ord("9"))).any())


def text_pieces(
    file: IO[bytes], name: str, size: int = BLOCK, offset: int = 0, line: int = 1, quoted: bool = True
) -> Iterator[tuple[int, int, bytes]]:
    """Offset, number of the first line, and bytes of each block; cut where a line ends that is not inside quotes.

    Args:
        file: Stands at `offset`.
        name: Of the file, for errors.
        size: Bytes that are read at once.
        offset: Where it begins.
        line: The number of the line there.
        quoted: Whether line ends inside quotes end no row; JSON has none there.
    """
    rest = b""
    while True:
        data = file.read(size - len(rest) % size)  # so a cut depends on where its block begins, and on nothing else
        held = rest + data
        if not data:
            if held:
                yield offset, line, held
            return
        end = held.rfind(b"\n") + 1
        quotes = held.count(b'"', 0, end) if quoted else 0
        while end and quotes % 2:
            before = held.rfind(b"\n", 0, end - 1) + 1
            quotes -= held.count(b'"', before, end)
            end = before
        if not end:
            if len(held) > 8 * BLOCK:
                raise DataError(
                    _("{file}: no line ends in {count} MB; are quotes left open?", file=name, count=len(held) >> 20)
                )
            rest = held
            continue
        yield offset, line, held[:end]
        offset, line, rest = offset + end, line + held.count(b"\n", 0, end), held[end:]


def opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if is_packed(path) else path.open("rb")  # type: ignore[return-value]


def is_packed(path: Path) -> bool:
    return _begins(path, b"\x1f\x8b")


def is_parquet(path: Path) -> bool:
    return _begins(path, b"PAR1")


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


# --- Parquet -----------------------------------------------------------------------------------------------------


class _Parquet:
    """A Parquet file, some rows at a time."""

    def __init__(self, path: Path):
        self.path = path
        self.nested: list[str] = []

    def blocks(self, columns: list[ColumnFile]) -> Iterator[Block]:
        scan = pl.scan_parquet(self.path)
        schema = scan.collect_schema()
        self.nested = [name for name, dtype in schema.items() if dtype.is_nested() or dtype == pl.Binary]
        rows = scan.select(pl.len()).collect().item()
        size = self.path.stat().st_size
        for start in range(0, rows, ROWS):
            frame = scan.drop(self.nested).slice(start, ROWS).collect()
            place = self._where(start)
            yield Block(frame, place, [], size * min(rows, start + ROWS) // rows)

    def _where(self, start: int) -> Callable[[int], str]:
        return lambda row: _("row {row} of {file}", row=start + row + 1, file=self.path.name)

    def head(self) -> dict:
        return {}

    def notes(self) -> list[str]:
        said = abbreviated(self.nested)
        text = _("left out, because their cells are lists, records or bytes: {names}", names=said)
        return [text] if self.nested else []
