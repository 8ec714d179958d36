"""Text with separators (CSV, TSV, TXT) to cells: which encoding, which separator, which quotes, how many cells a line.

Nothing is guessed silently: what is unusual is a note, and what cannot be read the same way by everyone is an error
that names the line. Clean files go through polars' reader at full speed, after a check that it sees what we see;
quotes that span lines or are broken go through Python's csv module, which is slower and exact.
"""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from gipi.errors import DataError, UsageError
from gipi.messages import _

NO_SEPARATOR = "\x1f"  # "unit separator", which no text has: each line is one cell
SEPARATORS = "\t;|,"  # when two divide all lines alike, the rarer sign is the separator: "1,5;2,5"
NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
SAMPLE = 200  # lines that decide about the separator
QUOTED = '"(?:[^"]|"")*"'


@dataclass
class Cells:
    """The cells of a table as text, the header still among them, and the line of the file that each row stands on."""

    frame: pl.DataFrame
    lines: np.ndarray
    separator: str = ","
    notes: list[str] = field(default_factory=list)


def read_cells(data: bytes, file: str, separator: str | None = None, before: int = 0) -> Cells:
    """The cells of a delimited text; empty ones are null, and so are the spaces around the others.

    Args:
        data: The file, or a piece of it that ends where a line ends.
        file: Its name, for errors.
        separator: Between cells; None: found out.
        before: Lines of the file that stand before these bytes.

    Raises:
        DataError: Not text, no text, or lines with different numbers of cells.
    """
    text, notes = decode(data, file, before)
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")  # Macintosh before 2001, and still what some spreadsheets save
    all_lines = text.split("\n")
    numbers = [number for number, line in enumerate(all_lines) if line and not line.isspace()]
    if not numbers:
        raise DataError(_("{file} is empty; a table needs a line of column names and lines of values", file=file))
    if text.lstrip()[:9].lower() == "<!doctype" or text.lstrip()[:5].lower() == "<html":
        raise DataError(_("{file} is a web page, perhaps a failed download; get the table itself", file=file))
    if said := re.match(r"sep=(.)$", all_lines[numbers[0]].strip()):  # how Excel is told the separator
        separator, numbers = separator or said[1], numbers[1:] or numbers
    sample = [all_lines[number] for number in numbers[:SAMPLE]]
    comments = 0
    while comments < len(sample) - 1 and sample[comments].startswith("#"):
        comments += 1
    if separator is None:
        separator = sniff(sample[comments:] or sample, file)
    else:
        separator = NAMES.get(separator, separator)
        if len(separator) != 1 or separator in '"\n\r':
            raise UsageError(_("the separator is one character, such as ; or tab; '{came}' came", came=separator))
    if comments:
        following = _count(sample[comments], separator)
        if following > 1 and _count(sample[comments - 1], separator) == following:  # "# word 1, word 2" names columns
            comments -= 1
        if comments:
            notes.append(_("comment lines before the table, skipped: {count}", count=comments))
    start = numbers[comments]
    lines, kept = pl.Series(all_lines, dtype=pl.String), np.asarray(numbers[comments:])
    is_whole = len(kept) + (not all_lines[-1]) == len(all_lines)  # nothing skipped: the text need not be joined again
    cells = _fast(lines[kept], text if is_whole else None, kept + before, separator, file) or _slow(
        all_lines[start:], start + before, separator, file
    )
    frame = cells.frame.select(pl.all().str.strip_chars())
    cells.frame = frame.with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())
    cells.separator, cells.notes = separator, notes + cells.notes
    if separator == " ":
        cells.notes.append(_("columns are separated by spaces"))
    return cells


# --- bytes to text -----------------------------------------------------------------------------------------------


def decode(data: bytes, file: str, before: int = 0) -> tuple[str, list[str]]:
    """Bytes as text, with a note when the encoding was not UTF-8 and had to be recognised."""
    for mark, encoding in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16")):
        if data.startswith(mark):
            return _decode_marked(data, encoding, file), []
    if data.startswith(b"\xfe\xff"):
        return _decode_marked(data, "utf-16", file), []
    if b"\0" in data:
        head = data[:2000]
        for encoding, high in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            if len(head) > 2 and high.count(0) > 0.4 * len(high) and head.count(0) == high.count(0):
                return _decode_marked(data, encoding, file), []
        line = data[: data.index(b"\0")].count(b"\n") + before + 1
        text = _("{file}, line {line}: a null byte; the file is damaged or is not text", file=file, line=line)
        raise DataError(text + ". " + _("Save it again as CSV in UTF-8"))
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    for encoding, said in (("utf-8", "UTF-8"), ("cp949", "CP949")):
        text = data.decode(encoding, errors="replace")
        foreign = sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
        broken = text.count("\ufffd")
        if encoding == "cp949" and not broken and is_korean(text):
            return text, [_("read as {encoding}, an encoding of Korean", encoding="CP949 (EUC-KR)")]
        if broken and foreign - broken > 10 * broken and (encoding == "utf-8" or is_korean(text)):
            line = text[: text.index("\ufffd")].count("\n") + before + 1
            raise DataError(
                _(
                    "{file}, line {line}: a character is broken, while the rest of the file is {encoding}; correct it, "
                    "or save the file again in UTF-8",
                    file=file,
                    line=line,
                    encoding=said,
                )
            )
    text = data.decode("cp1252", errors="replace")
    if "\ufffd" in text:
        text = data.decode("latin-1")
    strange = re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]", text)
    if strange:
        line = text[: strange.start()].count("\n") + before + 1
        known = "UTF-8, UTF-16, CP949, Latin-1"
        raise DataError(
            _("{file}, line {line}: not text in any known encoding ({known})", file=file, line=line, known=known)
            + ". "
            + _("Save it again as CSV in UTF-8")
        )
    return text, [_("read as Latin-1 (Western European), because it is neither UTF-8 nor Korean; check the letters")]


def _decode_marked(data: bytes, encoding: str, file: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        text = _("{file}, line {line}: not {encoding}, as its beginning says", file=file, line=line, encoding=encoding)
        raise DataError(text + ". " + _("Save it again as CSV in UTF-8")) from None


def is_korean(text: str) -> bool:
    """Mostly Hangul of KS X 1001, the everyday syllables: accented Latin letters read as CP949 give rare ones."""
    foreign = re.sub(r"[\x00-\x7f\ufffd]+", "", text)[:5000]
    everyday = sum(1 for letter in foreign if "가" <= letter <= "힣" and len(letter.encode("euc_kr", "ignore")) == 2)
    return everyday > 0.5 * len(foreign)


# --- text to cells -----------------------------------------------------------------------------------------------


def sniff(sample: list[str], file: str) -> str:
    """The sign that divides these lines into the same number of cells."""
    best, separator = (False, 0.0), ""
    for sign in SEPARATORS:
        widths = [len(row) for row in _rows(sample, sign) if row]
        # A title above the table makes the first line differ; a sentence with commas makes each line differ.
        has_title = widths[0] == 1 and len(widths) > 3
        common, times = Counter(widths[has_title:]).most_common(1)[0]
        share = times / (len(widths) - has_title)
        agrees = widths[0] == common
        if common > 1 and share >= (0.9 if widths[0] == 1 else 0.5) and (agrees, share) > best:
            best, separator = (agrees, share), sign
    if separator:
        return separator
    rows = [line.split() for line in sample]
    cells = [cell for row in rows[1:] or rows for cell in row]
    is_numeric = sum(1 for cell in cells if re.match(r"^[+-]?[\d.]+(e[+-]?\d+)?$", cell, re.IGNORECASE))
    if len(rows[0]) > 1 and {len(row) for row in rows} == {len(rows[0])} and is_numeric >= 0.5 * len(cells):
        return " "
    for suffix, sign in ((".tsv", "\t"), (".csv", ","), (".csv", ";")):
        if suffix in file.lower() and sign in sample[0]:
            return sign
    return NO_SEPARATOR


def _rows(sample: list[str], separator: str) -> list[list[str]]:
    try:
        rows = list(csv.reader([line + "\n" for line in sample], delimiter=separator, skipinitialspace=True))
    except csv.Error:
        return [line.split(separator) for line in sample]
    # The sample may end inside quotes, so its last row proves nothing when there are others.
    return rows[:-1] if len(sample) == SAMPLE and len(rows) > 1 else rows


def _count(line: str, separator: str) -> int:
    return len(_rows([line.strip()], separator)[0])


def _fast(lines: pl.Series, text: str | None, numbers: np.ndarray, separator: str, file: str) -> Cells | None:
    """Lines that each stand for one row, without quotes or with quotes around whole cells; None if they are not so."""
    sign = re.escape(separator)
    has_quotes = lines.str.contains('"', literal=True).any()
    if separator == " ":
        if has_quotes:
            return None
        lines, text = lines.str.strip_chars().str.replace_all(r"\s+", " "), None
    bare = lines
    if has_quotes:
        if lines.str.contains("\x01", literal=True).any():
            return None
        bare = lines.str.replace_all(QUOTED, "\x01")
        if bare.str.contains(f'"|[^{sign}]\x01|\x01[^{sign}]').any():
            return None
    widths = (bare.str.count_matches(separator, literal=True) + 1).to_numpy()
    check_widths(widths, numbers + 1, file, separator)
    width = int(widths[0])
    if separator == NO_SEPARATOR and not has_quotes:
        return Cells(lines.to_frame("0"), numbers + 1)
    frame = pl.read_csv(
        "\n".join(lines.to_list()).encode() if text is None else text.encode(),
        has_header=False,
        schema={str(number): pl.String for number in range(width)},
        separator=separator,
        quote_char='"' if has_quotes else None,
    )
    return Cells(frame, numbers + 1) if frame.height == len(numbers) else None


def _slow(lines: list[str], start: int, separator: str, file: str) -> Cells:
    """Quotes that span lines, that stand inside cells, or that are not quotes at all: the first reading that fits."""
    problem: DataError | None = None
    if separator == " ":
        lines = [line.strip().replace("\t", " ") for line in lines]
    readings: list[dict] = [{"strict": True}, {"quoting": csv.QUOTE_NONE}, {"escapechar": "\\", "strict": True}]
    for reading in readings:
        rows, numbers, before = [], [], 0
        reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=separator, skipinitialspace=True, **reading)
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip() or '"' in lines[before]):
                    rows.append(row)
                    numbers.append(start + before + 1)
                before = reader.line_num
            check_widths(np.array([len(row) for row in rows]), np.array(numbers), file, separator)
        except csv.Error as error:
            place = {"file": file, "line": start + before + 1}
            text = _("{file}, line {line}: this row cannot be divided into cells ({error})", error=error, **place)
            problem = problem or DataError(text + ". " + _('Inside quotes, write a quote twice: ""'))
            continue
        except DataError as error:
            problem = problem or error
            continue
        columns = {str(number): list(column) for number, column in enumerate(zip(*rows, strict=True))}
        notes = [_("quotes are taken as ordinary characters")] if "quoting" in reading else []
        return Cells(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), np.array(numbers), notes=notes)
    assert problem is not None
    raise problem


def check_widths(widths: np.ndarray, lines: np.ndarray, file: str, separator: str) -> None:
    """Every line has as many cells as the first.

    Raises:
        DataError: Names the first line that differs, what came and what was expected.
    """
    odd = np.flatnonzero(widths != widths[0])
    if not len(odd):
        return
    said = next((name for name, sign in NAMES.items() if sign == separator and len(name) > 2), separator)
    if len(widths) > 3 and len(odd) == len(widths) - 1 and len(np.unique(widths[1:])) == 1:
        raise DataError(
            _(
                "{file}, line {line}: {came} cells, while all lines below have {expected}; the first line must name "
                "the columns, so delete what stands above the names, or complete them",
                file=file,
                line=int(lines[0]),
                came=int(widths[0]),
                expected=int(widths[1]),
            )
        )
    text = _(
        "{file}, line {line}: {came} cells, but the first line has {expected}; correct the line, or put cells that "
        "contain the separator ({separator}) in double quotes",
        file=file,
        line=int(lines[odd[0]]),
        came=int(widths[odd[0]]),
        expected=int(widths[0]),
        separator=said,
    )
    raise DataError(text if len(odd) == 1 else text + "; " + _("other lines that differ: {more}", more=len(odd) - 1))
