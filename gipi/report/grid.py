"""A grid of how much rows have to do with columns: words of a translation and those that were looked at for each."""

from collections.abc import Sequence
from typing import Any

from gipi.messages import _
from gipi.report.canvas import WIDTH, frame, letters, nothing_to_show, rectangle, usable, words
from gipi.report.text import clean, shorten

MOST = 60  # rows and columns that can still be told apart
LARGEST = 30.0  # side of a cell


def grid(values: Sequence[Sequence[float]], rows: Sequence[Any], columns: Sequence[Any]) -> str:
    """Each value, 0 to 1, as the depth of a cell; names of rows at the left, of columns above.

    Example:
        >>> "Hund" in grid([[0.9, 0.1]], ["dog"], ["Hund", "."])
        True
    """
    rows, columns = [clean(row) for row in rows[:MOST]], [clean(column) for column in columns[:MOST]]
    if not rows or not columns:
        return nothing_to_show(_("There is nothing to compare."))
    said = [shorten(name, 18) for name in rows], [shorten(name, 18) for name in columns]
    left = max(map(letters, said[0])) + 12
    top = 0.75 * max(map(letters, said[1])) + 18
    cell = min((WIDTH - left - 30) / len(columns), LARGEST)
    parts = [rectangle(left, top, cell * len(columns), cell * len(rows), "pane")]
    for place, name in enumerate(said[1]):
        x = left + (place + 0.5) * cell
        parts.append(words(x, top - 6, name, extra=f' transform="rotate(-45 {x:.1f} {top - 6:.1f})"'))
    for row, name in enumerate(said[0]):
        y = top + row * cell
        parts.append(words(left - 6, y + cell / 2 + 3.8, name, "end"))
        for column, value in enumerate(values[row][: len(columns)]):
            if not usable(value) or value < 0.005:
                continue
            title = f"{rows[row]} – {columns[column]}: {value:.2f}"
            shade = f' fill-opacity="{min(float(value), 1.0):.2f}" rx="2"'
            x = left + column * cell
            parts.append(rectangle(x + 0.5, y + 0.5, cell - 1, cell - 1, "right", shade, title))
    return frame(top + cell * len(rows) + 6, _("How much each row looks at each column"), parts)
