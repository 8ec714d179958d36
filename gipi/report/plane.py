"""A map of many rows: each at its place of the plane, as its picture where there is room, else as a dot.

Where pictures would lie over each other, the ones that come first stay and the others are dots: the plane is a board of
places as large as a picture, and each place is given once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gipi.report.canvas import ticks
from gipi.report.heat import HOW_MUCH, coloured
from gipi.report.lettering import fitted
from gipi.report.sheet import INK, LETTERS, LINE, MARGIN, PAPER, SMALL_LETTERS, SOFT, enlarged
from gipi.report.text import number

Array = np.ndarray
Colour = tuple[int, int, int]

TONES: tuple[Colour, ...] = (  # the first eight are report/canvas.py's
    *((47, 107, 222), (224, 123, 22), (18, 148, 106), (201, 58, 128), (118, 80, 216), (13, 143, 176), (160, 106, 31)),
    *((107, 118, 136), (196, 50, 28), (132, 160, 26), (30, 52, 120), (236, 156, 190), (90, 60, 40), (0, 0, 0)),
)
PANE = 720  # pixels, each way
THUMBNAIL = 34
FRAME = 2
DOT = 3
MOST_NAMES = 24  # in the legend


def plane(
    places: Array,
    shares: Array,
    pictures: Array | None,
    groups: Array,
    names: Sequence[Any] = (),
    title: str = "",
) -> Image.Image:
    """Rows on the plane of their two principal components.

    Args:
        places: `(B, 2)`.
        shares: Of the variance that the two axes have, 0..1.
        pictures: `(B, H, W, C)` uint8; None: dots only.
        groups: `(B,)` numbers of the names, or, without names, the numbers that the colours stand for.
        names: Of the groups: classes.
        title: Written above.
    """
    colours = _colours(groups, len(names))
    legend = 190
    left, top = 54, MARGIN + LETTERS + 14
    paper = Image.new("RGB", (left + PANE + legend, top + PANE + 48), PAPER)
    draw = ImageDraw.Draw(paper)
    _line(draw, left, MARGIN - 4, title, LETTERS, PANE, INK)
    spots = _axes(draw, places, shares, left, top)
    shown, half = _chosen(spots, pictures), THUMBNAIL // 2
    for place, (x, y) in enumerate(spots):
        if place not in shown:
            draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=colours[place], outline=PAPER)
    for place in shown:
        assert pictures is not None
        picture = enlarged(pictures[place], THUMBNAIL - 2 * FRAME)
        x, y = round(spots[place][0]) - half, round(spots[place][1]) - half
        wide, high = picture.width + 2 * FRAME, picture.height + 2 * FRAME
        x, y = x + (THUMBNAIL - wide) // 2, y + (THUMBNAIL - high) // 2
        draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=colours[place])
        paper.paste(picture, (x + FRAME, y + FRAME))
    if len(names):
        _names(draw, names, groups, left + PANE + MARGIN, top)
    else:
        _scale(paper, draw, groups, left + PANE + MARGIN, top)
    return paper


def _colours(groups: Array, names: int) -> list[Colour]:
    if names:
        return [TONES[int(group) % len(TONES)] for group in groups]
    low, high = float(np.min(groups)), float(np.max(groups))
    return [(int(r), int(g), int(b)) for r, g, b in coloured((groups - low) / ((high - low) or 1.0), HOW_MUCH)]


def _axes(draw: Any, places: Array, shares: Array, left: int, top: int) -> list[tuple[float, float]]:
    """The pane with its grid and what the axes are; gives where each row lies, in pixels."""
    low, high = places.min(0), places.max(0)
    wide = np.where(high > low, high - low, 1.0)
    room = THUMBNAIL / PANE  # so that a picture at the edge lies inside
    low, wide = low - room * wide, wide * (1 + 2 * room)
    draw.rectangle((left, top, left + PANE, top + PANE), outline=LINE)
    for value in ticks(float(low[0]), float(low[0] + wide[0])):
        x = left + PANE * (value - low[0]) / wide[0]
        draw.line((x, top, x, top + PANE), fill=(236, 239, 243))
        _line(draw, x, top + PANE + 5, number(value), SMALL_LETTERS, 90, SOFT, anchor="ma")
    for value in ticks(float(low[1]), float(low[1] + wide[1])):
        y = top + PANE * (1 - (value - low[1]) / wide[1])
        draw.line((left, y, left + PANE, y), fill=(236, 239, 243))
        _line(draw, left - 6, y, number(value), SMALL_LETTERS, left, SOFT, anchor="rm")
    _line(draw, left + PANE, top + PANE + 24, f"PC 1 - {100 * shares[0]:.0f} %", LETTERS, PANE, INK, anchor="ra")
    _line(draw, left + 6, top + 6, f"PC 2 - {100 * shares[1]:.0f} %", LETTERS, PANE, INK)
    at = (places - low) / wide
    return [(float(left + PANE * x), float(top + PANE * (1 - y))) for x, y in at]


def _chosen(spots: list[tuple[float, float]], pictures: Array | None) -> list[int]:
    """The rows whose pictures are shown: none lies over another."""
    board: dict[tuple[int, int], tuple[float, float]] = {}
    chosen: list[int] = []
    if pictures is None:
        return chosen
    for place, (x, y) in enumerate(spots):
        column, row = int(x // THUMBNAIL), int(y // THUMBNAIL)
        near = [board.get((column + dx, row + dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        if not any(one and max(abs(one[0] - x), abs(one[1] - y)) < THUMBNAIL for one in near):
            board[column, row] = (x, y)
            chosen.append(place)
    return chosen


def _names(draw: Any, names: Sequence[Any], groups: Array, left: int, top: int) -> None:
    """Which colour is which class; those that no row has are left out."""
    there = sorted({int(group) for group in groups})
    for line, group in enumerate(there[:MOST_NAMES]):
        y = top + 24 * line
        draw.rectangle((left, y, left + 13, y + 13), fill=TONES[group % len(TONES)])
        _line(draw, left + 21, y - 2, names[group], LETTERS, 150, INK, f"#{group + 1}")
    if len(there) > MOST_NAMES:
        _line(draw, left, top + 24 * MOST_NAMES, f"+ {len(there) - MOST_NAMES}", LETTERS, 150, SOFT)


def _scale(paper: Image.Image, draw: Any, values: Array, left: int, top: int) -> None:
    """Which colour is which number."""
    line = coloured(np.linspace(1, 0, 200), HOW_MUCH)[:, None].repeat(14, 1)
    paper.paste(Image.fromarray(line), (left, top))
    _line(draw, left + 20, top - 3, number(float(np.max(values))), SMALL_LETTERS, 120, SOFT)
    _line(draw, left + 20, top + 188, number(float(np.min(values))), SMALL_LETTERS, 120, SOFT)


def _line(
    draw: Any,
    x: float,
    y: float,
    text: Any,
    size: int,
    room: float,
    ink: Colour,
    instead: str = "?",
    anchor: str = "la",
) -> None:
    if text != "":
        said, font = fitted(text, size, room, instead)
        draw.text((x, y), said, fill=ink, font=font, anchor=anchor)
