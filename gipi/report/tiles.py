"""Pictures in rows and columns as one picture, with a word under each column of the first row.

N pictures in a row, H W height and width, C channels (1 or 3)
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 72  # pixels of a tile at least: small pictures are enlarged by a whole number
GAP = 4
LETTERS = 11  # pixels high
PAPER, INK = (255, 255, 255), (70, 70, 70)


def tiles(rows: Sequence[np.ndarray], labels: Sequence[str], side: int = SIDE) -> Image.Image:
    """One picture of many.

    Args:
        rows: Each `(N, H, W, C)` uint8; the first has its labels below.
        labels: N words; what is too long for a tile, or has letters that the font lacks, is cut or left out.
        side: Of a tile, at least.
    """
    _N, height, width, _C = rows[0].shape
    times = max(1, -(-side // max(height, width)))
    tall, wide = height * times + GAP, width * times + GAP
    below = LETTERS + 2 * GAP
    sheet = Image.new("RGB", (len(labels) * wide + GAP, len(rows) * tall + below + GAP), PAPER)
    for number, row in enumerate(rows):
        top = GAP + number * tall + (below if number else 0)
        for column, picture in enumerate(np.broadcast_to(row, (*row.shape[:3], 3))):
            large = Image.fromarray(np.ascontiguousarray(picture)).resize(
                (wide - GAP, tall - GAP), Image.Resampling.NEAREST
            )
            sheet.paste(large, (GAP + column * wide, top))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for column, label in enumerate(labels):
        word = "".join(letter for letter in label if letter.isascii() and letter.isprintable())
        while word and draw.textlength(word, font) > wide - GAP:
            word = word[:-1]
        draw.text((GAP + column * wide, tall + GAP), word, INK, font)
    return sheet
