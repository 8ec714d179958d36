"""Files of rows, piece by piece from any place in them: for work that goes through a file once and may be stopped.

CSV and its relatives and JSON lines are cut at line ends and found again by their offset in bytes, Parquet by the
number of the row, pictures by the number of the file. Nothing here holds more than one piece, and a piece depends on
where it begins and on nothing else. Cells are left as they came: text of a text file, types where the file has them.

R rows of a piece
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl

from gipi.data.images import SUFFIXES
from gipi.data.large_tables import Block, TextBlocks, is_packed, is_parquet, opened, text_pieces
from gipi.data.picture_files import natural
from gipi.data.tables import EXCEL, json_records, records_frame, with_points
from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _

MOST_BYTES = 1 << 23  # of a table that are read at once; as cells and numbers they take ten times that
FIRST = 1 << 22  # bytes of a text that decide on its names, its separator, and how long its rows are
LOOKED_AT = 1000  # rows of a Parquet file that say how long its rows are
SAMPLES, SAMPLE = 64, 1 << 16  # places and bytes that a file is known by, beside its size and time
BLANKS = (b" ", b"\t", b"\v", b"\f")
FILE = "file"  # the column of the names of pictures


class Place(NamedTuple):
    """Where a piece begins: bytes of a text, rows of a Parquet file, files of pictures; and the line there."""

    offset: int = 0
    line: int = 1


@dataclass
class Piece:
    """Some rows.

    Attributes:
        frame: Their cells, as they came.
        where: Says where row `n` of these is in the whole file.
        end: Where the next piece begins.
        share: Of the whole file that is behind it, 0 to 1.
        empty: Rows without any value that were left out.
        commas: Columns of text whose numbers have decimal commas.
    """

    frame: pl.DataFrame
    where: Callable[[int], str]
    end: Place
    share: float
    empty: int = 0
    commas: tuple[str, ...] = ()

    def with_points(self) -> pl.DataFrame:
        """The cells with points where there are decimal commas."""
        return with_points(self.frame, list(self.commas)) if self.commas else self.frame


class RowFile(Protocol):
    """What all of them can do.

    Attributes:
        name: What a person calls it.
        names: Its columns; of JSON lines those of the first rows.
        is_text: All cells are text, whatever they say.
        is_pictures: The rows are files of pictures, in the column `file`.
    """

    name: str
    names: list[str]
    is_text: bool
    is_pictures: bool

    def known_by(self) -> str:
        """Names the contents: other contents have another."""
        ...

    def pieces(self, start: Place, rows: int) -> Iterator[Piece]:
        """Pieces of about so many rows, but not too many bytes, from a place on."""
        ...


def open_rows(sources: list[str | Path], is_pictures: bool) -> RowFile:
    """A table that can be read in pieces, or pictures.

    Args:
        sources: One table file; or files or a folder of pictures.
        is_pictures: Pictures are wanted.

    Raises:
        UsageError: It is no such file, or a kind that cannot be read in pieces; says which can.
        DataError: It is empty.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "grades.csv"
        >>> _written = path.write_text("study,score\\n9,90\\n8,80\\n7,70\\n")
        >>> [piece.frame.height for piece in open_rows([path], False).pieces(Place(), 2)]
        [2, 1]
    """
    paths = [Path(source).expanduser() for source in sources]
    for path in paths:
        _check_is_there(path)
    if is_pictures:
        return PictureRows(paths)
    if len(paths) > 1 or paths[0].is_dir():
        raise UsageError(_("expected one table file, CSV, Parquet or JSON lines; {count} came", count=_said(paths)))
    (path,) = paths
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if suffix in SUFFIXES:
        raise UsageError(_("{path} is a picture; the model wants rows of a table", path=path))
    if suffix in (*EXCEL, ".json"):
        text = _("{path} cannot be read in pieces; save it as CSV, Parquet or JSON lines (.jsonl)", path=path)
        raise UsageError(text)
    if is_parquet(path) or suffix == ".parquet":
        return ParquetRows(path)
    return LineRows(path) if suffix in (".jsonl", ".ndjson") else TextRows(path)


def _check_is_there(path: Path) -> None:
    if str(path) == "-" or (path.exists() and not path.is_file() and not path.is_dir()):
        text = _("{path} is no file: what flows by cannot be gone on with; write it to a file first", path=path)
        raise UsageError(text)
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(_("There is no file or folder {path}.", path=path) + nearest(path.name, beside))


def _said(paths: list[Path]) -> str:
    return _("a folder") if len(paths) == 1 else str(len(paths))


def _contents(path: Path) -> str:
    """Size, time of the last change, and what stands at many places."""
    known = path.stat()
    digest = hashlib.sha256(f"{known.st_size} {known.st_mtime_ns} {path.suffix}".encode())
    with path.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(number * max(0, known.st_size - SAMPLE) // (SAMPLES - 1))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()


class _Lines:
    """What texts have in common: they are cut at line ends."""

    is_pictures = False

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name

    def known_by(self) -> str:
        return _contents(self.path)

    def _first(self) -> bytes:
        """The beginning, cut where a line ends.

        Raises:
            DataError: There is nothing in it, or it is not text that is read here.
        """
        with opened(self.path) as file, _reading(self.name):
            data = next((data for _offset, _line, data in text_pieces(file, self.name, FIRST)), b"")
        if not data.strip():
            text = _("{file} is empty; a table needs a line of column names and lines of values", file=self.name)
            raise DataError(text)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2000]:
            raise DataError(_("{file} is not UTF-8; save it again in UTF-8, so that it can be cut", file=self.name))
        return data

    def _cut(self, start: Place, size: int, quoted: bool) -> Iterator[tuple[Place, bytes, Place, float]]:
        """From where, the bytes, to where, and the share of the file that is behind them."""
        total = max(1, self.path.stat().st_size)
        with opened(self.path) as file, _reading(self.name):
            file.seek(start.offset)
            for offset, line, data in text_pieces(file, self.name, size, *start, quoted):
                end = Place(offset + len(data), line + data.count(b"\n"))
                done = file.fileobj.tell() if is_packed(self.path) else end.offset  # type: ignore[attr-defined]
                yield Place(offset, line), data, end, min(1.0, done / total)


class _reading:  # noqa: N801  # used as a statement
    """What is wrong with a packed file as a sentence."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import zlib

        if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
            text = _("{file} is cut off or is not gzip; get it again, or unpack it", file=self.name)
            raise DataError(text) from None


# --- delimited text ----------------------------------------------------------------------------------------------


class TextRows(_Lines):
    """CSV and its relatives, also packed by gzip; the first bytes decide on names, separator and decimal commas."""

    is_text = True

    def __init__(self, path: Path):
        super().__init__(path)
        first = self._first()
        self.text = TextBlocks(path, None)
        self.text.begin(first, 0, 1)
        self.commas = tuple(self.text.commas)
        self.text.commas = []  # cells stay as they came
        self.names = self.text.names
        begun = first[self.text.start[0] :]
        self.row_bytes = max(1.0, len(begun) / max(1, begun.count(b"\n")))

    def pieces(self, start: Place, rows: int) -> Iterator[Piece]:
        size = int(min(MOST_BYTES, max(1, rows * self.row_bytes)))
        for place, data, end, share in self._cut(max(start, Place(*self.text.start)), size, True):
            if data.strip():
                block, empty = self._read(data, place)
                yield Piece(block.frame, block.where, end, share, empty, self.commas)

    def _read(self, data: bytes, place: Place) -> tuple[Block, int]:
        frame = self._plain(data)
        if frame is None:
            self.text.empty = 0
            return self.text.block(data, *place), self.text.empty
        is_empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        kept = (~is_empty).arg_true()
        if is_empty.any():
            frame = frame.filter(~is_empty)

        def where(row: int) -> str:
            return _("line {line} of {file}", line=place.line + int(kept[row]), file=self.name)

        return Block(frame, where, [], 0), int(is_empty.sum())

    def _plain(self, data: bytes) -> pl.DataFrame | None:
        """Cells of lines with nothing unusual in them, read many times as fast; None if anything needs a closer look.

        As many separators as there should be, and no line with more: so no line has fewer.
        """
        sign, names = self.text.separator or "", self.names
        rows = data.count(b"\n") + (not data.endswith(b"\n"))
        if (
            sign in (" ", "\x1f")
            or any(mark in data for mark in (b'"', b"\r", b"\n\n", b"\0", self.text.first))
            or data.startswith(b"\n")
            or data.count(sign.encode()) != rows * (len(names) - 1)
        ):
            return None
        kinds = dict.fromkeys(names, pl.String)
        try:
            frame = pl.read_csv(data, has_header=False, schema=kinds, separator=sign, quote_char=None)
        except (pl.exceptions.PolarsError, UnicodeDecodeError):
            return None
        if frame.height != rows:
            return None
        if data.isascii() and not any(blank in data for blank in BLANKS):
            return frame  # nothing to strip, and polars has made gaps of empty cells
        frame = frame.select(pl.all().str.strip_chars())
        return frame.with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())


# --- JSON lines --------------------------------------------------------------------------------------------------


class LineRows(_Lines):
    """JSON lines, one record in each; also packed by gzip."""

    is_text = False

    def __init__(self, path: Path):
        super().__init__(path)
        first = self._first().removeprefix(b"\xef\xbb\xbf")
        if first.lstrip().startswith(b"["):
            text = _("{path} is one list; write one record in each line, so that it can be cut", path=path)
            raise DataError(text)
        self.row_bytes = max(1.0, len(first) / max(1, first.count(b"\n")))
        cut = first[: first.find(b"\n") + 1 or len(first)]
        while first.count(b"\n", 0, len(cut)) < LOOKED_AT and len(cut) < len(first):
            cut = first[: first.find(b"\n", len(cut)) + 1 or len(first)]
        records = json_records(cut.decode("utf-8", "replace"), self.name, 1)[0]
        self.names = list(dict.fromkeys(name for record in records for name in record))

    def pieces(self, start: Place, rows: int) -> Iterator[Piece]:
        size = int(min(MOST_BYTES, max(1, rows * self.row_bytes)))
        for place, data, end, share in self._cut(start, size, False):
            if data.strip():
                frame, where = self._read(data, place)
                yield Piece(frame, where, end, share)

    def _read(self, data: bytes, place: Place) -> tuple[pl.DataFrame, Callable[[int], str]]:
        try:
            text = (data.removeprefix(b"\xef\xbb\xbf") if not place.offset else data).decode()
        except UnicodeDecodeError as problem:
            line = place.line + data[: problem.start].count(b"\n")
            text = _("{file}, line {line}: JSON must be UTF-8; save it again so", file=self.name, line=line)
            raise DataError(text) from None
        records, lines = json_records(text, self.name, place.line)
        frame = records_frame(records)
        empty = [column.name for column in frame if column.null_count() == frame.height]  # of a type that others say
        frame = frame.with_columns(pl.lit(None, pl.Null).alias(name) for name in empty)
        missing = [name for name in self.names if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None, pl.Null).alias(name) for name in missing)

        def where(row: int) -> str:
            return _("line {line} of {file}", line=lines[row], file=self.name)

        return frame, where


# --- Parquet -----------------------------------------------------------------------------------------------------


class ParquetRows:
    """A Parquet file, some rows at a time; of its row groups only those that are needed are read."""

    is_text = is_pictures = False

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        try:
            self.scan = pl.scan_parquet(path, glob=False)
            self.rows = self.scan.select(pl.len()).collect().item()
            looked_at = self.scan.slice(0, LOOKED_AT).collect()
        except Exception as problem:  # of many kinds; all mean that the file is not whole
            raise self._broken(problem) from None
        if not self.rows:
            raise DataError(_("{file} has column names but no rows below them; add rows", file=self.name))
        self.names = looked_at.columns
        self.row_bytes = max(1.0, looked_at.estimated_size() / looked_at.height)

    def known_by(self) -> str:
        return _contents(self.path)

    def pieces(self, start: Place, rows: int) -> Iterator[Piece]:
        count = max(1, min(rows, int(4 * MOST_BYTES / self.row_bytes)))  # numbers need no parsing: more at once
        for first in range(start.offset, self.rows, count):
            try:
                frame = self.scan.slice(first, count).collect()
            except pl.exceptions.PolarsError as problem:
                raise self._broken(problem) from None
            end = first + frame.height
            yield Piece(frame, self._where(first), Place(end, end + 1), end / self.rows)

    def _where(self, first: int) -> Callable[[int], str]:
        return lambda row: _("row {row} of {file}", row=first + row + 1, file=self.name)

    def _broken(self, problem: Exception) -> DataError:
        said = str(problem).strip().split("\n")[0][:200]
        return DataError(_("{file} is not a whole Parquet file: {problem}", file=self.name, problem=said))


# --- pictures ----------------------------------------------------------------------------------------------------


class PictureRows:
    """Files of pictures: each is a row, with its name in the column `file`."""

    is_text, is_pictures = False, True

    def __init__(self, paths: list[Path]):
        self.files: list[str] = []
        self.names = [FILE]
        for path in paths:
            if path.is_dir():
                found = [str(file) for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
                self.files += sorted(found, key=natural)
                if not found:
                    raise DataError(_("no picture is in the folder {path}", path=path))
            elif path.suffix.lower() in SUFFIXES:
                self.files.append(str(path))
            else:
                raise UsageError(_("{path} is no picture; the model wants pictures, or a folder of them", path=path))
        self.name = str(paths[0])

    def known_by(self) -> str:
        digest = hashlib.sha256()
        for name in self.files:
            known = Path(name).stat()
            digest.update(json.dumps([name, known.st_size, known.st_mtime_ns]).encode())
        return digest.hexdigest()

    def pieces(self, start: Place, rows: int) -> Iterator[Piece]:
        for first in range(start.offset, len(self.files), rows):
            names = self.files[first : first + rows]
            end = first + len(names)
            share = end / len(self.files)
            yield Piece(pl.DataFrame({FILE: names}), lambda row, names=names: names[row], Place(end, end + 1), share)
