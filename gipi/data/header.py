"""Does the first row of a table name its columns, or is it data already? And has each column a name of its own?"""

import re
from itertools import pairwise

import numpy as np
import polars as pl

from gipi.data.values import as_dates, as_numbers
from gipi.errors import DataError
from gipi.messages import _

SAMPLE = 1000  # rows below the first that decide whether it names the columns


def check_name(name: str, source: str) -> None:
    """To polars `*` and `^...$` stand for several columns, so none can be called that."""
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        raise DataError(
            _("{source}: a column is called '{name}', which stands for many; rename it", source=source, name=name)
        )


def check_names(names: list[str], file: str, line: int = 1) -> None:
    """Each column has its own name.

    Raises:
        DataError: Names the first that comes twice, and where.
    """
    for number, name in enumerate(names):
        check_name(name, file)
        if name in names[:number]:
            raise DataError(
                _(
                    "{file}, line {line}: columns {first} and {second} are both called '{name}'; rename one of them",
                    file=file,
                    line=line,
                    first=names.index(name) + 1,
                    second=number + 1,
                    name=name,
                )
            )


def has_header(cells: pl.DataFrame) -> bool:
    """Whether the first row names the columns: a name is not a number where numbers stand below it."""
    first, below = cells.row(0), cells[1 : SAMPLE + 1]
    same = [pl.col(name).eq_missing(pl.lit(cell)) for name, cell in zip(cells.columns, first, strict=True)]
    if cells.width > 1:  # names come again where files were put one after another
        below = below.filter(~pl.all_horizontal(same))
    said = pl.Series([cell for cell in first if cell is not None], dtype=pl.String)
    is_number = {cell for cell, number in zip(said, as_numbers(said)[0], strict=True) if number is not None}
    is_date = {cell for cell, date in zip(said, as_dates(said)[0], strict=True) if date is not None}
    if cells.height == 1:
        return not is_number and not is_date
    looks_like_data, repeats, words = 0, 0, 0
    for cell, name in zip(first, below.columns, strict=True):
        column = below[name]
        if cell is None:
            continue
        numbers, bad = as_numbers(column)
        is_numeric = numbers.count() > 9 * bad.sum() and numbers.count() > 0
        if is_numeric:
            marker = as_numbers(pl.Series([cell]))[1][0] is False
            if cell not in is_number and not marker:
                return True
            looks_like_data += 1
        elif cell in is_date and not as_dates(column.drop_nulls()[:20])[1].any():
            looks_like_data += 1
        else:
            words += 1
            repeats += int((column == cell).any())
    if looks_like_data:
        return _counts(first)
    return (
        repeats < words or not below.height
    )  # a first row of words that all come again below is one more row of categories


def _counts(first: tuple) -> bool:
    """Names that are numbers: 0, 1, 2 ... as pandas writes them, or years in order, beside at least one word."""
    cells = [cell for cell in first if cell is not None]
    numbers = [int(cell) for cell in cells if re.match(r"^\d{1,4}$", cell)]
    if len(numbers) == len(cells) >= 3 and numbers == list(range(len(cells))):
        return True
    steps = {after - before for before, after in pairwise(numbers)}
    is_years = len(numbers) > 1 and 1800 <= numbers[0] < numbers[-1] <= 2100 and len(steps) == 1 and min(steps) > 0
    return is_years and len(numbers) == len(cells) - 1


def check_repeats(frame: pl.DataFrame, lines: np.ndarray, file: str) -> None:
    """No row says the names of the columns again.

    Raises:
        DataError: Names the line of the first.
    """
    first, *others = frame.columns
    if not others or not (frame[first] == first).any():
        return
    again = frame.select(pl.all_horizontal(pl.col(name) == name for name in frame.columns)).to_series()
    if again.any():
        line = int(lines[int(again.arg_true()[0])])
        raise DataError(_("{file}, line {line}: the names of the columns come again; delete it", file=file, line=line))
