"""What each column of a table is (number, category, date ...), found by looking at its values, and the casts to it.

`infer` reads a whole training table and says aloud what it took each column for and what it leaves out; `conform`
brings any rows, also a single one at prediction, to those kinds. Neither changes a value in silence: a word in a column
of numbers is an error that names its row.

kinds: number boolean category date, and what is left out: identifier text constant
"""

import re

import numpy as np
import polars as pl

from gipi.data.casts import Where, row_number, to_boolean, to_category, to_date, to_float, to_number
from gipi.data.remarks import USED, Findings, remarks
from gipi.data.values import (
    AMBIGUOUS_DATE,
    DIGITS,
    LEADING_ZERO,
    MISSING_AMONG_NUMBERS,
    THOUSANDS,
    as_dates,
    as_numbers,
    boolean_pair,
    date_form,
    stripped,
    without_missing,
)
from gipi.errors import DataError
from gipi.messages import _

ENOUGH = 20  # rows; with fewer, unique values prove nothing
MANY = 200  # categories; more are worth a remark
LONG_WORDS, LONG_LETTERS = 5, 40  # of a cell on average, from which on it is free text
MOSTLY = 0.9  # share of numbers (or dates) that makes the rest suspect
SAMPLE = 200
SMALL = 1_000_000  # rows


def infer(
    frame: pl.DataFrame,
    target: tuple[str, ...] = (),
    picture: bool = False,
    where: Where = row_number,
    mapped: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """The kind of each column, and sentences that say what was found.

    A target is never an identifier, a constant, or a code: its kind is number, boolean, category, date or text.

    Args:
        frame: Of text (as `tables.read_table` gives it) or of any types.
        target: The columns to be predicted.
        picture: The rows belong to pictures, so only the targets are looked at.
        where: Says where a row is, for errors; see `tables.place`.
        mapped: It is a table on disk (large_tables.py): an Enum is nothing but words, which are looked at one column
            at a time.

    Raises:
        DataError: A column of numbers or dates has a few cells that are neither; names the first.

    Example:
        >>> kinds, notes = infer(pl.DataFrame({"age": ["31", "?", "40"], "sex": ["F", "M", "F"]}))
        >>> kinds, notes[0]
        ({'age': 'number', 'sex': 'category'}, 'numbers: age; categories: sex (2)')
    """
    findings = Findings()
    names = [name for name in frame.columns if not picture or name in target]
    plain = plain_numbers(frame.select(names))
    unclear = [name for name in names if name not in plain and frame[name].dtype == pl.String]
    frame = frame.with_columns(stripped(frame[name]) for name in unclear)
    kinds = {}
    for name in names:
        if name in plain:
            kinds[name] = _kind_of_numbers(frame[name], name in target)
        else:
            column, place = frame[name], where
            if mapped and column.dtype == pl.Enum:
                column, place = words_in_small(column, where)
            kinds[name] = _kind(column, name in target, findings, place)
    _leave_row_numbers(frame, kinds, target, findings)
    return kinds, remarks(frame, kinds, target, findings)


def conform(
    frame: pl.DataFrame, kinds: dict[str, str], target: tuple[str, ...] = (), where: Where = row_number
) -> pl.DataFrame:
    """The frame with its columns cast to their kinds; columns that are left out, or not in the frame, are not touched.

    number: Float64. boolean: Boolean. date: Datetime("us"). category: String, but Int64 for a numeric column of whole
    numbers, and for a target whose text cells are all whole numbers, so that a label is 7 and not "7".

    Raises:
        DataError: A value is not of its kind, or infinite; names the column and the row.
    """
    casts = {"number": to_number, "boolean": to_boolean, "date": to_date}
    there = set(frame.columns)
    used = {name: kind for name, kind in kinds.items() if name in there and kind in USED}
    # All plain columns of numbers in one go: with a thousand columns, a cast for each would take seconds.
    schema = frame.schema
    cast = frame.select(
        pl.col(name).cast(pl.Float64, strict=False)
        for name, kind in used.items()
        if kind == "number" and schema[name] == pl.String
    )
    is_finite = cast.select(pl.all().is_finite().all()).row(0) if cast.width else ()
    read = zip(cast.columns, is_finite, strict=True)
    plain = {name for name, finite in read if finite and cast[name].null_count() == frame[name].null_count()}
    frame = frame.with_columns(cast[name] for name in plain)
    columns = []
    for name, kind in used.items():
        if kind == "category":
            columns.append(to_category(frame[name], name in target))
        elif name not in plain:
            columns.append(casts[kind](frame[name], where))
    return frame.with_columns(columns)


def words_in_small(column: pl.Series, where: Where) -> tuple[pl.Series, Where]:
    """The words of an Enum as text, and where its rows are; of very many rows a column of a million with their shares.

    What is decided about words depends on which there are and on their shares, not on their order.
    """
    if len(column) <= SMALL:
        return column.cast(pl.String), where
    assert isinstance(column.dtype, pl.Enum)
    words = column.dtype.categories
    counts = np.zeros(len(words) + 1, np.int64)
    for start in range(0, len(column), SMALL):
        codes = column[start : start + SMALL].to_physical().cast(pl.Int64).fill_null(len(words)).to_numpy()
        counts += np.bincount(codes, minlength=len(counts))
    times = np.where(counts, np.maximum(1, counts * SMALL // len(column)), 0)
    text = pl.concat([words, pl.Series([None], dtype=pl.String)]).gather(np.repeat(np.arange(len(times)), times))
    return text.alias(column.name), lambda row: where(int((column == text[row]).arg_max() or 0))


# --- what a column is --------------------------------------------------------------------------------------------


def plain_numbers(frame: pl.DataFrame) -> list[str]:
    """The columns of text that are nothing but finite numbers and gaps; all columns in one go."""
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    if not names or not frame.height:
        return []
    # Without stripping, which would cost more than all the rest: a cell with spaces around it is read one by one later.
    counts = frame.select(pl.col(names).count()).row(0)
    fitting = frame.select(pl.col(names).cast(pl.Float64, strict=False).is_finite().sum()).row(0)
    names = [name for name, count, fit in zip(names, counts, fitting, strict=True) if count == fit and count]
    if not names:
        return []
    has_zeros = frame.select(pl.col(names).str.contains(LEADING_ZERO).any()).row(0)
    return [name for name, zeros in zip(names, has_zeros, strict=True) if not zeros]


def _kind(column: pl.Series, is_target: bool, findings: Findings, where: Where) -> str:
    dtype = column.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        findings.add("nested", column.name)
        return "text"
    if dtype == pl.Null:
        return "category" if is_target else "constant"
    if dtype.is_numeric() or dtype in (pl.Duration, pl.Time):
        return _kind_of_numbers(column, is_target)
    if dtype == pl.Boolean or dtype in (pl.Date, pl.Datetime):
        kind = "boolean" if dtype == pl.Boolean else "date"
        return kind if is_target or not _is_constant(column) else "constant"
    if dtype in (pl.Categorical, pl.Enum):  # whoever made it so has said what it is
        return "category" if is_target or not _is_constant(column) else "constant"
    return _kind_of_text(column, is_target, findings, where)


def _kind_of_text(text: pl.Series, is_target: bool, findings: Findings, where: Where) -> str:
    numbers, bad = as_numbers(text)
    present, wrong = numbers.count(), int(bad.sum())
    if not present and not wrong:
        return "category" if is_target else "constant"
    if not wrong:
        if not _has_codes(text):
            if text.str.contains(THOUSANDS).any():
                findings.add("thousands", text.name)
            return _kind_of_numbers(text, is_target)
        findings.add("zeros", text.name)
    elif is_suspect(present, wrong):
        distinct = text.filter(bad).n_unique()
        if wrong < 0.01 * (present + wrong) or distinct <= ENOUGH:
            raise odd_value(text, bad, where, _("a number"), present)
        findings.add("mixed", text.name)
    return _kind_of_words(without_missing(text), is_target, findings, where)


def is_suspect(present: int, wrong: int) -> bool:
    return present + wrong >= ENOUGH and present >= MOSTLY * (present + wrong)


def odd_value(text: pl.Series, bad: pl.Series, where: Where, expected: str, present: int) -> DataError:
    row, wrong = int(bad.arg_true()[0]), int(bad.sum())
    said = _(
        "column '{name}', {place}: '{value}' is not {expected}, as {present} of {all} values are; correct it, or leave "
        "the cell empty if the value is missing",
        name=text.name,
        place=where(row),
        value=text[row],
        expected=expected,
        present=present,
        all=present + wrong,
    )
    return DataError(said if wrong == 1 else said + "; " + _("other such values: {count}", count=wrong - 1))


def _has_codes(text: pl.Series) -> bool:
    """Digits with leading zeros, such as postcodes: 04524 is not the number 4524."""
    if not text.str.contains(LEADING_ZERO).any():
        return False
    present = text.drop_nulls()
    return bool((present.str.contains(DIGITS) | present.is_in(MISSING_AMONG_NUMBERS)).all())


def _kind_of_numbers(column: pl.Series, is_target: bool) -> str:
    if is_target:
        return "number"
    if _is_constant(column):
        return "constant"
    return "identifier" if _names_rows(column) else "number"


def _is_constant(column: pl.Series) -> bool:
    """One value in all rows, or none. One value with gaps is no constant: where the gaps are may say something."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if column.null_count() == len(column):
        return True
    return not column.null_count() and len(column) > 1 and column[0] == column[-1] and column.n_unique() == 1


NAMES_ROWS = {
    "id",
    "ids",
    "idx",
    "index",
    "no",
    "nr",
    "num",
    "number",
    "key",
    "instant",
    "uuid",
    "guid",
    "serial",
    "seq",
}


def _sounds_like_row_number(name: str) -> bool:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[가-힣]+", name)
    if not words:
        return name.strip() == "#"
    korean = re.search(r"번호$|순번|연번|일련|아이디$|식별자", name)
    return words[-1].lower() in NAMES_ROWS or words[0].lower() == "id" or korean is not None


def _names_rows(column: pl.Series) -> bool:
    """Whole numbers, each once, in a column whose name says so; in a small table they must also count the rows."""
    if column.null_count() or not _sounds_like_row_number(column.name) or len(column) < 5:
        return False
    # Whole in writing: 7.0 is a measurement.
    is_whole = column.str.contains(r"^-?[\d,]+$").all() if column.dtype == pl.String else column.dtype.is_integer()
    if not is_whole:
        return False
    return _counts_rows(to_float(column)) or (len(column) >= ENOUGH and column.n_unique() == len(column))


def _counts_rows(numbers: pl.Series) -> bool:
    return bool((numbers.diff().drop_nulls() == 1).all()) and not numbers.null_count()


def _leave_row_numbers(frame: pl.DataFrame, kinds: dict[str, str], target: tuple[str, ...], findings: Findings) -> None:
    """A column that counts 0, 1, 2 ...: left out if it is the first and has no name of its own, else remarked on."""
    if frame.height < ENOUGH:
        return
    for name, kind in kinds.items():
        is_unnamed = name in ("", "column_1") or name.startswith("Unnamed: 0")
        if kind != "number" or name in target or not (is_unnamed or name == frame.columns[0]):
            continue
        if to_float(frame[name][:1])[0] not in (0.0, 1.0) or not _counts_rows(to_float(frame[name])):
            continue
        others = [other for other in kinds if other != name and other not in target and kinds[other] in USED]
        if is_unnamed and others:
            kinds[name] = "identifier"
        elif others:
            findings.add("counting", name)


def _kind_of_words(text: pl.Series, is_target: bool, findings: Findings, where: Where) -> str:
    words = text.drop_nulls()
    if not len(words):
        return "category" if is_target else "constant"
    distinct = words.unique()
    if len(distinct) <= 6 and boolean_pair(distinct):  # Yes, yes, YES, No ...
        # A target keeps its words: who has "yes" and "no" wants "yes" predicted, and not True.
        return "category" if is_target and "yes" in distinct.str.to_lowercase() else "boolean"
    if _are_dates(text, distinct, findings, where):
        return "date" if is_target or not _is_constant(text) else "constant"
    if not is_target and _is_constant(text):
        return "constant"
    return _kind_of_many_words(words, distinct, is_target, findings)


def _kind_of_many_words(words: pl.Series, distinct: pl.Series, is_target: bool, findings: Findings) -> str:
    share = len(distinct) / len(words)
    sample = distinct.sort()[:: max(1, len(distinct) // 2000)]
    spaces, letters = _mean(sample.str.count_matches(r"\s+")), _mean(sample.str.len_chars())
    is_key = spaces == 0 and sample.str.len_bytes().sum() == sample.str.len_chars().sum()  # a hash is long, yet no text
    if share > 0.5 and not is_key and (spaces + 1 > LONG_WORDS or letters > LONG_LETTERS):
        return "text"
    is_unique = len(words) >= ENOUGH and (share >= 0.95 or (share > 0.5 and len(distinct) > 100))
    ends = sample.str.contains(r"[.!?~。？！]$").mean() or 0.0
    if is_unique and spaces >= 1 and (share < 0.99 or ends > 0.15):  # type: ignore
        return "text"  # short sentences: they end as such, or repeat now and then, as names of things do not
    if is_unique and not is_target:
        _remark_on_signs(sample, words.name, findings)
        return "identifier"
    if len(distinct) > MANY:
        findings.add("many", f"{words.name} ({len(distinct)})")
    _remark_on_signs(sample, words.name, findings)
    return "category"


def _mean(numbers: pl.Series) -> float:
    return float(numbers.mean() or 0.0)  # type: ignore


def _remark_on_signs(sample: pl.Series, name: str, findings: Findings) -> None:
    """Words that look like numbers or dates, but cannot be read so."""
    for topic, look in (("dates", AMBIGUOUS_DATE), ("signs", r"^[$€£₩¥]\s?-?[\d,.]+$|^-?[\d,.]+\s?[%€₩원]$")):
        if (sample.str.contains(look).mean() or 0.0) >= MOSTLY:  # type: ignore
            findings.add(topic, name)


def _are_dates(text: pl.Series, distinct: pl.Series, findings: Findings, where: Where) -> bool:
    sample = distinct[:SAMPLE]
    if sum(date_form(value) is not None for value in sample) < MOSTLY * len(sample):
        return False
    dates, bad = as_dates(text)
    present, wrong = dates.count(), int(bad.sum())
    if wrong and is_suspect(present, wrong):
        raise odd_value(text, bad, where, _("a date"), present)
    return not wrong
