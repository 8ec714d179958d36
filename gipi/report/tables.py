"""Tables in a terminal (`gipi runs`, `compare`, `systems`, `data`): by rich there, as aligned plain text elsewhere."""

import sys
from collections.abc import Sequence
from typing import Any, TextIO

from gipi.report.text import cell, clean, is_number, pad, shorten, width

Rows = Sequence[Sequence[Any]]
WIDEST = 100  # columns of a plain cell; a pipe has no width of its own


def print_table(title: str, columns: Sequence[str], rows: Rows, stream: TextIO | None = None) -> None:
    """Print a table to a stream (standard output), as suits it: numbers to the right, foreign text cleaned."""
    stream = stream or sys.stdout
    if stream is None:  # a program without a console
        return
    if stream.isatty():
        from rich.console import Console

        Console(file=stream).print(rich_table(title, columns, rows))
    else:
        stream.write("\n".join(plain_lines(title, columns, rows)) + "\n")


def to_the_right(columns: Sequence[str], rows: Rows) -> list[bool]:
    """Which columns hold numbers."""
    held = [[row[i] for row in rows if i < len(row) and row[i] is not None] for i in range(len(columns))]
    return [bool(values) and all(map(is_number, values)) for values in held]


def plain_lines(title: str, columns: Sequence[str], rows: Rows) -> list[str]:
    """A table as lines of text whose columns are aligned, also where Korean letters take two places.

    Example:
        >>> plain_lines("", ["name", "rows"], [["digits", 1797], ["iris", 150]])
        ['name     rows', 'digits  1,797', 'iris      150']
    """
    right = to_the_right(columns, rows)
    said = [[shorten(name, WIDEST) for name in columns], *([shorten(cell(v), WIDEST) for v in row] for row in rows)]
    widths = [max(width(line[i]) for line in said if i < len(line)) for i in range(len(columns))]
    lines = [
        "  ".join(pad(text, widths[i], right[i]) for i, text in enumerate(line[: len(columns)])).rstrip()
        for line in said
    ]
    return [clean(title), *lines] if title else lines


def rich_table(title: str, columns: Sequence[str], rows: Rows) -> Any:
    """A table as rich draws it; no cell is read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title_style="bold", header_style="dim")
    if title:
        table.title = Text(clean(title))
    for name, right in zip(columns, to_the_right(columns, rows), strict=True):
        table.add_column(Text(clean(name)), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    return table
