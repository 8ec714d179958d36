"""What one cell of a table says: missing, a number, true or false, a moment. Whole columns at once.

Each reader takes a column of text and gives the column of values with a mask of the cells that it could not read, so
the rooms that use it (columns infers and casts) agree on what counts as what, at training and at prediction.
"""

import re

import polars as pl

# A cell that says "no value" in any column, and those that say so only where numbers or dates are expected: among words
# "None" or "-" may well be a category.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NULL", "null", "Null", "?")
MISSING_AMONG_NUMBERS = (*MISSING, "na", "None", "none", "NONE", ".", "-", "--")

THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
LEADING_ZERO = r"^0\d+$"
DIGITS = r"^\d+$"
WHOLE = r"^(0|-?[1-9]\d{0,17})$"  # as many digits as surely fit 64 bits; no other way of writing the same number

TRUE_FALSE = ({"true": True, "false": False}, {"yes": True, "no": False}, {"1": True, "0": False})


def _date_forms() -> list[tuple[re.Pattern, str]]:
    """What dates look like, and how polars reads them. Day and month are told apart by the form, never by guessing."""
    days = [(rf"\d{{4}}{re.escape(mark)}\d{{1,2}}{re.escape(mark)}\d{{1,2}}", f"%Y{mark}%m{mark}%d") for mark in "-/."]
    days += [(r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"), (r"\d{4}년 ?\d{1,2}월 ?\d{1,2}일", "%Y년%m월%d일")]
    days += [(r"[A-Z][a-z]{2} \d{1,2} \d{4}", "%b %d %Y"), (r"\d{1,2} [A-Z][a-z]{2} \d{4}", "%d %b %Y")]
    days += [(r"[A-Z][a-z]{2} \d{1,2}, \d{4}", "%b %d, %Y"), (r"[A-Z][a-z]{3,} \d{1,2}, \d{4}", "%B %d, %Y")]
    times = [("", "")]
    for gap in (" ", "T"):
        times += [(gap + r"\d{1,2}:\d{2}", gap + "%H:%M"), (gap + r"\d{1,2}:\d{2}:\d{2}(\.\d+)?", gap + "%H:%M:%S%.f")]
        times += [(gap + r"\d{1,2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})", gap + "%H:%M:%S%.f%#z")]
    forms = [(day + time, form + clock) for day, form in days for time, clock in times]
    forms += [(r"\d{4}-\d{2}", "%Y-%m"), (r"\d{4}/\d{2}", "%Y/%m")]
    return [(re.compile(f"^{look}$"), form) for look, form in forms]


DATE_FORMS = _date_forms()
AMBIGUOUS_DATE = r"^\d{1,2}[/-]\d{1,2}[/-]\d{2,4}( .*)?$"  # 1/2/2000: the first of February, or the second of January?


def stripped(column: pl.Series) -> pl.Series:
    """Text without the spaces around it; an empty cell is missing."""
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None) if (text == "").any() else text


def without_missing(text: pl.Series, among_numbers: bool = False) -> pl.Series:
    """The markers of missing values, taken for what they say."""
    marker = text.is_in(MISSING_AMONG_NUMBERS if among_numbers else MISSING)
    return text.set(marker, None) if marker.any() else text


def as_numbers(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Stripped text as Float64, null where missing, and the mask of the cells that are not numbers."""
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() > text.null_count():
        unread = text.set(numbers.is_not_null(), None)
        is_grouped = unread.str.contains(THOUSANDS).fill_null(False)
        if is_grouped.any():
            grouped = text.str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
            numbers = grouped.zip_with(is_grouped, numbers)
            unread = unread.set(is_grouped, None)
        bad = without_missing(unread, among_numbers=True).is_not_null()
    else:
        bad = pl.repeat(False, len(text), eager=True)
    return numbers.fill_nan(None), bad


def as_booleans(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Stripped text as Boolean, null where missing, and the mask of the cells that say neither yes nor no."""
    text = without_missing(text)
    words = {word: value for pair in TRUE_FALSE for word, value in pair.items()}
    values = text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    return values, values.is_null() & text.is_not_null()


def boolean_pair(words: pl.Series) -> dict[str, bool] | None:
    """The pair of words (true and false, yes and no) that these distinct words are, if they are one; 0 and 1 is not."""
    said = set(words.str.to_lowercase().to_list())
    return next((pair for pair in TRUE_FALSE[:2] if said == set(pair)), None)


def date_form(value: str) -> str | None:
    """How this date is written, as polars reads it; None if it is not a date."""
    return next((form for look, form in DATE_FORMS if look.match(value)), None)


def as_dates(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Stripped text as Datetime, null where missing, and the mask of the cells that are no dates.

    Forms may be mixed; the first unread cell decides which one is tried next. A time zone is turned into UTC.
    """
    text = without_missing(text, among_numbers=True)
    dates = pl.Series(text.name, [None] * 0, dtype=pl.Datetime("us")).extend_constant(None, len(text))
    bad = pl.repeat(False, len(text), eager=True)
    for _attempt in range(50):  # enough for every form and some bad cells; with more of those it is no column of dates
        unread = (text.is_not_null() & dates.is_null() & ~bad).arg_true()
        if not len(unread):
            return dates, bad
        first = text[int(unread[0])]
        form = date_form(first)
        if form is not None:
            found = _parse(text, form)
            if found[int(unread[0])] is not None:
                dates = dates.zip_with(dates.is_not_null(), found)
                continue
        bad = bad | (text == first).fill_null(False)
    return dates, text.is_not_null() & dates.is_null()


def _parse(text: pl.Series, form: str) -> pl.Series:
    # Only cells that look like this form: polars would also read "16-07-01" as the year 16.
    look = next(look for look, written in DATE_FORMS if written == form)
    cells = text.set(~text.str.contains(look.pattern).fill_null(False), None)
    if "년" in form:
        cells = cells.str.replace_all(r"([년월]) ", "$1")
    dates = cells.str.to_datetime(form, time_unit="us", strict=False)
    return dates.dt.replace_time_zone(None)
