"""The columns of a large table, each a file of plain numbers that grows block by block and is mapped when it is whole.

What a column holds is found while it is written: whole numbers, numbers (a gap is NaN), dates, yes or no, or words (a
number for each word, 0 for a gap). Where a later block shows that it is something wider, the file is widened; only
numbers or dates that turn out to be words must be read again from the table.

R rows of the table
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from gipi.data.casts import to_date, to_float
from gipi.data.columns import ENOUGH, is_suspect, odd_value, plain_numbers
from gipi.data.mapped import mapped
from gipi.data.values import LEADING_ZERO, MISSING, THOUSANDS, as_dates, as_numbers, date_form
from gipi.messages import _

MOST_WORDS = 100_000  # different ones in a column; with more it names rows, or is free text
WHOLE = r"^-?\d{1,18}$"
NO_DATE = np.iinfo(np.int64).min
PIECE = 1 << 20  # rows that are widened at once

# what a column can be; "" nothing but gaps so far; "many": too many different words, nothing is kept
DTYPES = {"whole": np.int64, "number": np.float64, "date": np.int64, "flag": np.uint8, "words": np.uint32}


class ColumnFile:
    """One column while its table is read.

    Args:
        path: The file that grows.
        name: Of the column.
        as_words: It is known to be words: an earlier reading has shown it.
    """

    def __init__(self, path: Path, name: str, as_words: bool = False):
        self.path = path
        self.name = name
        self.kind = "words" if as_words else ""
        self.rows = 0
        self.words: dict[str, int] = {}
        self.has_gaps = False
        self.has_thousands = False
        self.must_repeat = False  # it was something else at first, and is words: what was written is of no use
        path.write_bytes(b"")

    def add(self, column: pl.Series, where: Callable[[int], str]) -> None:
        """The next rows, as text or of a type of their own; `where` says where a row of these is.

        Raises:
            DataError: A few cells of a column of numbers are no numbers; names the first.
        """
        gaps = column.null_count()
        self.has_gaps = self.has_gaps or gaps > 0
        if gaps == len(column) or self.kind == "many":
            self._write_gaps(len(column))
            return
        if column.dtype == pl.Float64 and self.kind == "number" and not gaps:
            self._append(column.to_numpy())
            return
        kind, values = self._read(column, where)
        kind = self._joined(kind)
        if kind == "words" and values.dtype != pl.String:
            values = column.cast(pl.String)
        if kind == "whole" and gaps:
            kind = self._joined("number")
        if kind == "number":
            self._append(values.cast(pl.Float64).fill_null(float("nan")).to_numpy())
        elif kind == "date":
            self._append(values.cast(pl.Int64).fill_null(NO_DATE).to_numpy())
        elif kind == "flag":
            self._append((values.cast(pl.UInt8) + 1).fill_null(0).to_numpy())
        elif kind == "whole":
            self._append(values.to_numpy())
        else:
            self._append(self._codes(values))

    def _read(self, column: pl.Series, where: Callable[[int], str]) -> tuple[str, pl.Series]:
        """What these cells are, and they as that."""
        dtype = column.dtype
        if dtype == pl.Boolean:
            return "flag", column
        if dtype in (pl.Date, pl.Datetime):
            return "date", to_date(column, where)
        if dtype.is_integer() and dtype != pl.UInt64:
            return "whole", column.cast(pl.Int64)
        if dtype.is_numeric() or dtype in (pl.Duration, pl.Time):
            return "number", to_float(column)
        text = column.cast(pl.String)
        if self.kind == "words":
            return "words", text
        if plain_numbers(text.to_frame()):
            if text.str.contains(WHOLE).all():
                return "whole", text.cast(pl.Int64)
            return "number", text.cast(pl.Float64)
        return self._read_text(text, where)

    def _read_text(self, text: pl.Series, where: Callable[[int], str]) -> tuple[str, pl.Series]:
        numbers, bad = as_numbers(text)
        wrong, present = int(bad.sum()), numbers.count()
        if not wrong and present and not text.str.contains(LEADING_ZERO).any() and not numbers.is_infinite().any():
            self.has_thousands |= bool(text.str.contains(THOUSANDS).any())
            self.has_gaps = self.has_gaps or numbers.null_count() > 0
            return "number", numbers
        if wrong and self.kind in ("whole", "number") and is_suspect(self.rows + present, wrong):
            distinct = text.filter(bad).n_unique()
            if distinct <= ENOUGH or wrong < 0.01 * (self.rows + present + wrong):
                raise odd_value(text, bad, where, _("a number"), self.rows + present)
        first = next((value for value in text if value is not None), "")
        if self.kind in ("", "date") and date_form(first):
            dates, bad = as_dates(text)
            if not bad.any():
                self.has_gaps = self.has_gaps or dates.null_count() > 0
                return "date", dates
        return "words", text

    def _joined(self, kind: str) -> str:
        """The kind of the column now that cells of this kind have come; what was written before follows."""
        before = self.kind
        if before in ("", kind):
            if not before:
                self._begin(kind)
            return self.kind
        if {before, kind} == {"whole", "number"}:
            if before == "whole":
                self._widen()
            self.kind = "number"
            return "number"
        if before != "words":
            self.kind, self.must_repeat = "words", True
        return "words"

    def _begin(self, kind: str) -> None:
        """The first cells that are no gaps: the gaps before them get the form of this kind."""
        before, self.rows, self.kind = self.rows, 0, "number" if kind == "whole" and self.rows else kind
        self._write_gaps(before)

    def _widen(self) -> None:
        """Whole numbers become numbers."""
        if not self.rows:
            return
        whole, other = mapped(self.path, np.int64), self.path.with_suffix(".wide")
        with other.open("wb") as file:
            for start in range(0, len(whole), PIECE):
                file.write(whole[start : start + PIECE].astype(np.float64).data)
        del whole
        other.replace(self.path)

    def _codes(self, words: pl.Series) -> np.ndarray:
        """Numbers for words, new ones for new words; words that say "missing" are gaps."""
        different = words.drop_nulls().unique(maintain_order=True)
        if not set(different).isdisjoint(MISSING):
            words = words.set(words.is_in(MISSING), None)
            different = different.filter(~different.is_in(MISSING))
        new = [word for word in different if word not in self.words]
        self.has_gaps = self.has_gaps or words.null_count() > 0
        if len(self.words) + len(new) > MOST_WORDS:
            self.kind, self.words = "many", {}
            self.path.write_bytes(b"")
            return np.empty(0, np.uint32)
        self.words |= {word: len(self.words) + place for place, word in enumerate(new, 1)}
        codes = pl.Series([self.words[word] for word in different], dtype=pl.UInt32)
        found = words.replace_strict(different, codes, default=None, return_dtype=pl.UInt32) if len(codes) else None
        if found is None:
            return np.zeros(len(words), np.uint32)
        return found.fill_null(0).to_numpy()

    def _write_gaps(self, count: int) -> None:
        if self.kind == "whole" and count:
            self._joined("number")
        empty = {"number": np.nan, "date": NO_DATE}.get(self.kind, 0)
        if self.kind in DTYPES and not self.must_repeat:
            for start in range(0, count, PIECE):
                self._append(np.full(min(PIECE, count - start), empty, DTYPES[self.kind]))
        else:
            self.rows += count

    def _append(self, values: np.ndarray) -> None:
        if not self.must_repeat and self.kind != "many":
            with self.path.open("ab") as file:
                file.write(np.ascontiguousarray(values).view(np.uint8).data)
        self.rows += len(values)

    def json(self) -> dict:
        """What `read_column` must know beside the file."""
        words = list(self.words) if self.kind == "words" else []
        return {"name": self.name, "kind": self.kind, "words": words, "has_gaps": self.has_gaps}


def read_column(path: Path, said: dict, rows: int) -> pl.Series:
    """A column of a table that was written: numbers on disk, a gap being NaN; words as an Enum in their own order."""
    name, kind = said["name"], said["kind"]
    if kind == "":
        return pl.Series(name, [None], dtype=pl.Null).extend_constant(None, rows - 1)
    held = mapped(path, DTYPES[kind])
    assert len(held) == rows
    if kind == "words":
        return pl.concat(list(_words(held, said["words"]))).alias(name)
    if kind == "flag":
        pieces = (pl.Series(held[start : start + PIECE]) for start in range(0, rows, PIECE))
        return pl.concat([piece.replace(0, None).cast(pl.Int8) == 2 for piece in pieces]).alias(name)
    column = pl.Series(name, held)
    if kind != "date":
        return column
    column = column.set(column == NO_DATE, None) if said["has_gaps"] else column
    return column.cast(pl.Datetime("us"))


def _words(codes: np.ndarray, words: list[str]) -> Iterator[pl.Series]:
    """Words in alphabetical order, so that they sort as text does; one or a few bytes for each row."""
    kind = pl.Enum(sorted(words))
    known = pl.Series([None, *words], dtype=pl.String).cast(kind)
    for start in range(0, max(1, len(codes)), PIECE):
        yield known.gather(codes[start : start + PIECE])
