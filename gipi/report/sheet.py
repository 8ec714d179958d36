"""Pictures side by side on white paper, with words below them: explanations, filters, feature maps. Drawn by Pillow.

Small pictures are enlarged by whole numbers, so that each of their elements stays a square; large ones are shrunk.

H W height and width, C channels
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gipi.report.heat import FOR_AND_AGAINST, HOW_MUCH, coloured, for_and_against, how_much, overlay, three_channels
from gipi.report.lettering import fitted
from gipi.report.text import number

Array = np.ndarray

PAPER, INK, SOFT, LINE = (255, 255, 255), (27, 35, 48), (102, 112, 133), (208, 213, 221)  # as in report/canvas.py
MARGIN = 16
SIDE = 224  # of a tile of an explanation
SMALL_SIDE = 72  # of a tile of a grid of many
LETTERS = 15  # pixels
SMALL_LETTERS = 12
MOST_TILES = 64  # in a grid
MOST_INPUTS = 16  # of a filter with many channels that go in


@dataclass(frozen=True)
class Tile:
    """A picture `(H, W, 3)` uint8, the words below it, and what is said where no font has the letters of the first."""

    picture: Array
    first: str = ""
    second: str = ""
    instead: str = "?"


def enlarged(picture: Array, side: int) -> Image.Image:
    """A picture that fits into a square of this side, and fills it as far as whole numbers allow."""
    height, width = picture.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(three_channels(picture)))
    if max(height, width) > side:
        shrink = side / max(height, width)
        return image.resize((max(1, round(width * shrink)), max(1, round(height * shrink))), Image.Resampling.BICUBIC)
    times = side // max(height, width)
    return image.resize((width * times, height * times), Image.Resampling.NEAREST)


def tiled(tiles: Sequence[Tile], columns: int, side: int, title: str = "", gap: int = MARGIN) -> Image.Image:
    """Tiles in rows, each with its words; a title above them."""
    pictures = [enlarged(tile.picture, side) for tile in tiles]
    wide, high = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
    lines = max((2 if tile.second else 1 if tile.first else 0) for tile in tiles)
    below = lines * (LETTERS + 6) + (4 if lines else 0)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    head = LETTERS + 12 if title else 0
    width = 2 * MARGIN + columns * wide + (columns - 1) * gap
    paper = Image.new(
        "RGB", (max(width, 280 if title else 0), 2 * MARGIN + head + rows * (high + below) + (rows - 1) * gap), PAPER
    )
    draw = ImageDraw.Draw(paper)
    if title:
        _write(draw, MARGIN, MARGIN - 4, title, LETTERS, paper.width - 2 * MARGIN, INK)
    for place, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * (wide + gap), MARGIN + head + row * (high + below + gap)
        paper.paste(picture, (left, top))
        draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=LINE)
        _write(draw, left, top + high + 6, tile.first, LETTERS, wide, INK, tile.instead)
        _write(draw, left, top + high + 6 + LETTERS + 5, tile.second, SMALL_LETTERS, wide, SOFT)
    return paper


def _write(draw: Any, x: float, y: float, text: str, size: int, room: float, ink: Any, instead: str = "?") -> None:
    if text:
        said, font = fitted(text, size, room, instead)
        draw.text((x, y), said, fill=ink, font=font)


def with_scale(image: Image.Image, low: float, high: float, ramp: Sequence[tuple[int, int, int]]) -> Image.Image:
    """The picture with its scale of colours below it."""
    wide, high_of_ramp = min(240, image.width - 2 * MARGIN), 10
    paper = Image.new("RGB", (image.width, image.height + high_of_ramp + 2 * MARGIN), PAPER)
    paper.paste(image, (0, 0))
    draw = ImageDraw.Draw(paper)
    line = coloured(np.linspace(0, 1, wide), ramp)[None].repeat(high_of_ramp, 0)
    paper.paste(Image.fromarray(line), (MARGIN, image.height))
    draw.rectangle((MARGIN - 1, image.height - 1, MARGIN + wide, image.height + high_of_ramp), outline=LINE)
    said, font = fitted(number(low, 3), SMALL_LETTERS, wide / 2)
    draw.text((MARGIN, image.height + high_of_ramp + 4), said, fill=SOFT, font=font)
    said, font = fitted(number(high, 3), SMALL_LETTERS, wide / 2)
    end = MARGIN + wide - font.getlength(said)
    draw.text((end, image.height + high_of_ramp + 4), said, fill=SOFT, font=font)
    return paper


def below_each_other(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures as one."""
    paper = Image.new("RGB", (max(image.width for image in images), sum(image.height for image in images)), PAPER)
    top = 0
    for image in images:
        paper.paste(image, (0, top))
        top += image.height
    return paper


def png_of(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


# --- what is shown -----------------------------------------------------------------------------------------------


def explanation_sheet(
    picture: Array,
    cam: Array | None,
    gradients: Array,
    said: str,
    instead: str,
    layer: str = "",
    summed: str = "",
    side: int = SIDE,
) -> Image.Image:
    """A picture, where a network looked in it, and what each of its elements added to the answer.

    Args:
        picture: `(H, W, C)` uint8.
        cam: Grad-CAM, `(H, W)` from 0; None: there is none.
        gradients: Integrated gradients, `(H, W, C)`.
        said: The answer.
        instead: What is written where no font has its letters.
        layer: The name of the layer that Grad-CAM is of.
        summed: A line on what the gradients add up to.
        side: Of a tile, in pixels.
    """
    tiles = [Tile(picture, said, instead=instead)]
    if cam is not None:
        tiles.append(Tile(overlay(picture, cam), "Grad-CAM", layer))
    tiles.append(Tile(for_and_against(gradients.sum(-1)), "Integrated gradients", summed))
    return tiled(tiles, len(tiles), side)


def filter_sheet(filters: Array, title: str) -> Image.Image:
    """The filters of a convolution `(O, I, h, w)` on one scale: of three channels in colour, else each for itself.

    Of filters with many channels that go in each is a row.
    """
    inputs = filters.shape[1]
    most = float(np.abs(filters).max()) or 1.0
    if inputs == 3:
        shares = 0.5 + filters[:MOST_TILES].transpose(0, 2, 3, 1) / (2 * most)
        tiles = [Tile((share.clip(0, 1) * 255).round().astype(np.uint8)) for share in shares]
        return tiled(tiles, _columns(len(tiles)), SMALL_SIDE, title, gap=6)
    shown = filters[:MOST_TILES] if inputs == 1 else filters[:MOST_INPUTS, :MOST_INPUTS]
    columns = _columns(len(shown)) if inputs == 1 else shown.shape[1]
    tiles = [Tile(for_and_against(one, most)) for one in shown.reshape(-1, *shown.shape[2:])]
    image = tiled(tiles, columns, SMALL_SIDE if inputs == 1 else SMALL_SIDE // 2, title, gap=6 if inputs == 1 else 3)
    return with_scale(image, -most, most, FOR_AND_AGAINST)


def map_sheet(picture: Array, maps: Array, title: str) -> Image.Image:
    """What a layer makes of a picture: the picture, then its maps `(n, h, w)`, all on one scale."""
    maps = maps[: MOST_TILES - 1]
    is_signed = bool((maps < 0).any())
    most = float(np.abs(maps).max(initial=0.0)) or 1.0
    tiles = [Tile(picture), *(Tile(for_and_against(one, most) if is_signed else how_much(one, most)) for one in maps)]
    image = tiled(tiles, _columns(len(tiles)), SMALL_SIDE, title, gap=6)
    return with_scale(image, -most if is_signed else 0.0, most, FOR_AND_AGAINST if is_signed else HOW_MUCH)


def _columns(count: int) -> int:
    """A little wider than high."""
    return max(4, math.ceil(math.sqrt(count * 1.2)))
