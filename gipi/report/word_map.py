"""A map of words: each at its place of the plane, as far as there is room; the first of them come first."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from gipi.report.lettering import fitted
from gipi.report.sheet import INK, LETTERS, PAPER

WIDE, HIGH, MARGIN, GAP = 960, 640, 24, 3  # pixels
DOT = 2
ROOM = 160  # pixels of a word at most


def word_map(words: Sequence[str], places: np.ndarray) -> Image.Image:
    """Words at places `(B, 2)`; one that would lie over another is left out.

    Example:
        >>> word_map(["up", "down"], np.array([[0.0, 1.0], [0.0, -1.0]])).size
        (960, 640)
    """
    paper = Image.new("RGB", (WIDE, HIGH), PAPER)
    draw = ImageDraw.Draw(paper)
    low, high = places.min(0), places.max(0)
    part = (places - low) / np.where(high > low, high - low, 1)  # 0..1
    room = np.array([WIDE - 2 * MARGIN - ROOM / 2, HIGH - 2 * MARGIN - LETTERS])
    spots = MARGIN + np.stack([part[:, 0], 1 - part[:, 1]], 1) * room
    taken: list[tuple[float, float, float, float]] = []
    for word, (x, y) in zip(words, spots.tolist(), strict=True):
        said, font = fitted(word, LETTERS, ROOM)
        box = (x - DOT - GAP, y - GAP, x + DOT + GAP + font.getlength(said) + GAP, y + LETTERS + GAP)
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            continue
        taken.append(box)
        middle = y + LETTERS / 2
        draw.ellipse((x - DOT, middle - DOT, x + DOT, middle + DOT), fill=INK)
        draw.text((x + DOT + GAP, y), said, INK, font)
    return paper
