"""Drawings: what was drawn on a canvas, brought to look as the pictures looked that a network learned from.

Scanned digits and letters lie in their pictures in one way: cropped to a size, centered, of strokes of one width.
Whoever draws on a canvas knows nothing of that. So it is measured on the training pictures, kept with the model, and
done to each drawing: found, cropped, scaled, its strokes made as thick as theirs, put where theirs lie. Proportions are
kept; but what spreads wider, or leans farther, than three of four training pictures is made as they are.

Pictures count as drawings if they are grey, at most 64 pixels a side, most of their edge is black (or white) paper, and
the ink on it is strokes: no wider than a third of what they draw, and full, not shaded. Clothes on black, as in
Fashion-MNIST, are shaded.

N pictures, H W C a picture, h w a canvas
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from gipi.errors import DataError
from gipi.messages import _

Array = np.ndarray
Ink = Literal["light", "dark"]
Fits = Literal["height", "width", "longer"]
Center = Literal["box", "mass"]

SAMPLE = 2000  # pictures that are looked at
LARGEST = 64  # pixels a side
IS_PAPER = 0.1  # so far from black (white), as part of white, is still paper
MOST_PAPER = 0.6  # of the pixels at the edge, at least; digits that touch it leave three quarters
USUAL = 0.75  # of the training pictures lean no farther and spread no wider; 0.95 reads one drawing in 80 less
MOST_UPRIGHT = 0.5  # a drawing is made so much more upright at most
IS_INK = 0.25  # of full ink: where the ink's box ends
WIDEST = 1 / 3  # a stroke beside the longer side of what it draws
FULL = 0.6  # of the strokes' width is there if greys count as less; digits and letters have 0.65 to 0.8, clothes 0.5
BLURRED = 0.9  # of the width of digits' strokes is what `_pen` says of them on few pixels
FAINT = 32  # levels of 255: what differs less from the paper is no ink
WORK = 256  # pixels of the longer side of the ink while its strokes are made thicker or thinner
EDGE = 1 / 3  # of full ink: a line thinner than a pixel that lies between two of them has half of it in each


@dataclass(frozen=True)
class Drawing:
    """How the ink lies in the training pictures. Lengths are parts of the picture's longer side.

    Attributes:
        ink: light on dark paper, or dark on light.
        level: How far full ink is from the paper, as part of white.
        pen: How wide the strokes are.
        fits: What of the ink has the same length in all pictures: its height, its width, or the longer of both.
        side: That length.
        most: How far it usually spreads at most, down and right: the standard deviation of its places.
        slants: How far it usually leans at least and at most: pixels to the left for each pixel down.
        center: What of the ink lies in the same place in all pictures: the middle of its box, or its center of mass.
        place: That place, down and right, as parts of the picture's height and width.
    """

    ink: Ink
    level: float
    pen: float
    fits: Fits
    side: float
    most: tuple[float, float]
    slants: tuple[float, float]
    center: Center
    place: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_json(held: dict[str, Any]) -> "Drawing":
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in held.items()}
        return Drawing(**values)


def learned(pictures: Array, white: float = 255.0, rows: Array | None = None) -> Drawing | None:
    """How the ink lies in these pictures; None if they are no drawings.

    Args:
        pictures: `(N, H, W, C)`, uint8 or float32, perhaps on disk: only a sample is read.
        white: The value of white in them.
        rows: Which of them; None: all.

    Example:
        >>> strokes = np.zeros((3, 12, 12, 1), np.uint8)
        >>> strokes[:, 2:10, 5:7] = 255
        >>> drawing = learned(strokes)
        >>> drawing.ink, drawing.fits, round(drawing.side, 2), drawing.place
        ('light', 'height', 0.67, (0.5, 0.5))
    """
    height, width, channels = pictures.shape[1:]
    rows = np.arange(len(pictures)) if rows is None else np.sort(rows)
    if max(height, width) > LARGEST or min(height, width) < 2 or not len(rows):
        return None
    some = pictures[rows[:: -(-len(rows) // SAMPLE)]].astype(np.float32) / np.float32(white)  # (N, H, W, C)
    if channels > 1 and (np.abs(some - some[..., :1]) > IS_PAPER / 2).any():
        return None  # colours
    light = some[..., 0].clip(0, 1)
    edge = np.concatenate([light[:, 0], light[:, -1], light[:, 1:-1, 0], light[:, 1:-1, -1]], axis=1)
    dark_paper, light_paper = float((edge <= IS_PAPER).mean()), float((edge >= 1 - IS_PAPER).mean())
    if max(dark_paper, light_paper) < MOST_PAPER:
        return None
    is_light = dark_paper >= light_paper
    ink = light if is_light else 1 - light  # (N, H, W)
    level = float(np.median(ink.max((1, 2))))
    if level <= IS_PAPER:
        return None
    ink = (ink[ink.max((1, 2)) > level / 2] / level).clip(0, 1)  # without those that are empty
    return _measured(ink, "light" if is_light else "dark", level)


def _measured(ink: Array, kind: Ink, level: float) -> Drawing | None:
    """The drawing of pictures of ink `(N, H, W)` in 0..1."""
    unit = max(ink.shape[1:])
    top, bottom, left, right = _box(ink >= IS_INK)
    tall, wide = bottom - top, right - left
    pen, of_shape = float(np.median(_pen(ink))), float(np.median(_pen((ink >= IS_INK).astype(np.float32))))
    if pen > WIDEST * float(np.median(np.maximum(tall, wide))) or pen < FULL * of_shape:
        return None
    lengths: dict[Fits, Array] = {"height": tall, "width": wide, "longer": np.maximum(tall, wide)}
    fits = min(lengths, key=lambda name: float(lengths[name].std() / lengths[name].mean()))
    places: dict[Center, Array] = {
        "box": np.stack([(top + bottom) / 2, (left + right) / 2], 1),
        "mass": _mass(ink),
    }  # (N, 2)
    center = min(places, key=lambda name: float(places[name].var(0).sum()))
    place = places[center].mean(0) / ink.shape[1:]
    most, leaning = np.quantile(_spread(ink), USUAL, axis=0) / unit, _slant(ink)
    return Drawing(
        ink=kind,
        level=level,
        pen=pen / BLURRED / unit,
        fits=fits,
        side=float(np.median(lengths[fits])) / unit,
        most=(float(most[0]), float(most[1])),
        slants=(float(np.quantile(leaning, 1 - USUAL)), float(np.quantile(leaning, USUAL))),
        center=center,
        place=(float(place[0]), float(place[1])),
    )


def prepared(picture: Array, drawing: Drawing, shape: tuple[int, int, int]) -> Array:
    """What was drawn on a canvas as a picture like those that were learned from.

    Args:
        picture: `(h, w, C)` uint8, of any size and with ink of any colour; most of its edge is paper.
        drawing: What was learned.
        shape: `(C, H, W)` of the pictures that the network takes.

    Returns:
        `(H, W, C)` uint8, 255 is white: as a picture file has it.

    Raises:
        DataError: Nothing is drawn on it.

    Example:
        >>> canvas = np.zeros((280, 280, 1), np.uint8)
        >>> canvas[30:110, 40:44] = 255  # a thin stroke in a corner
        >>> like = Drawing("light", 1.0, 0.1, "height", 0.8, (0.2, 0.2), (-0.1, 0.3), "box", (0.5, 0.5))
        >>> np.flatnonzero(prepared(canvas, like, (1, 10, 10))[:, 5, 0] > 100)
        array([1, 2, 3, 4, 5, 6, 7, 8])
    """
    channels, height, width = shape
    unit = max(height, width)
    ink = _like(_found(picture), drawing)
    line = float(_pen(ink[None].astype(np.float32))[0])
    tall, wide = ink.shape
    line = min(line, max(tall, wide) / 2)  # of a spot
    pen = drawing.pen * unit
    lengths = {"height": tall, "width": wide, "longer": max(tall, wide)}
    sides = [(lengths[drawing.fits], drawing.side * unit), (tall, height), (wide, width)]
    # the ends of a stroke stand out by half a pen on each side, so lengths are compared without one pen
    scale = min(max(side - pen, 1.0) / max(length - line, 1e-3) for length, side in sides)
    stroked = _stroked(ink, (pen / scale - line) / 2)
    middle = _mass(stroked[None])[0] if drawing.center == "mass" else np.array(stroked.shape) / 2
    down, right = middle - np.array(drawing.place) * (height, width) / scale
    area = _cut(stroked, down, right, height / scale, width / scale, (height, width))
    amount = np.round(255 * drawing.level * area.clip(0, 1)).astype(np.uint8)
    return np.repeat((amount if drawing.ink == "light" else 255 - amount)[:, :, None], channels, axis=2)


def kept_of(pictures: Array | None, white: float, rows: Array) -> dict[str, Any]:
    """What a model of these pictures keeps, as JSON: the drawing that `learned` found, under its name, or nothing."""
    drawing = None if pictures is None else learned(pictures, white, rows)
    return {} if drawing is None else {"drawing": drawing.to_json()}


# --- the ink ---------------------------------------------------------------------------------------------------------


def _found(picture: Array) -> Array:
    """The ink of a canvas in 0..1, cut to its box, `(h, w)`."""
    few = max(1, max(picture.shape[:2]) // (4 * WORK))
    if few > 1:
        image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
        picture = np.asarray(image.reduce(few)).reshape(-(-image.height // few), -(-image.width // few), -1)
    edge = np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])  # (pixels, C)
    paper = np.median(edge, axis=0).astype(np.int16)
    ink = np.abs(picture.astype(np.int16) - paper).max(2)
    full = int(ink.max())
    if full < FAINT:
        raise DataError(_("nothing is drawn on the canvas; draw something on it first"))
    return _cropped(ink.astype(np.float32) / full)


def _cropped(ink: Array) -> Array:
    top, bottom, left, right = (int(side[0]) for side in _box(ink[None] >= EDGE))
    return ink[top:bottom, left:right]


def _like(ink: Array, drawing: Drawing) -> Array:
    """Where there is ink, `(h', w')` bool, about WORK pixels high or wide; as upright and narrow as learned ink is."""
    factor = WORK / max(ink.shape)
    ink = _upright(_sized(ink, ink.shape[0] * factor, ink.shape[1] * factor), drawing.slants)
    (height, width), (down, right) = ink.shape, _spread(ink[None])[0]
    if drawing.fits == "height":
        ink = _sized(ink, height, width * min(1, drawing.most[1] / right * height / drawing.side))
    elif drawing.fits == "width":
        ink = _sized(ink, height * min(1, drawing.most[0] / down * width / drawing.side), width)
    return _cropped(ink / ink.max()) >= EDGE


def _sized(ink: Array, height: float, width: float) -> Array:
    size = (max(1, round(width)), max(1, round(height)))
    return ink if size == ink.shape[::-1] else np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR))


def _upright(ink: Array, slants: tuple[float, float]) -> Array:
    """Ink `(h, w)` that leans farther than the learned leans as far as they."""
    slant = float(_slant(ink[None])[0])
    more = min(max(slant, slants[0]), slants[1]) - slant
    more = min(max(more, -MOST_UPRIGHT), MOST_UPRIGHT)
    if not more:
        return ink
    height, width = ink.shape
    room = math.ceil(abs(more) * height)
    where_from = (1, more, -room if more > 0 else 0, 0, 1, 0)  # x + more y - room, y
    size = (width + room, height)
    leaning = Image.fromarray(ink).transform(size, Image.Transform.AFFINE, where_from, Image.Resampling.BILINEAR)
    return _cropped(np.asarray(leaning))


def _slant(ink: Array) -> Array:
    """How far each of `(N, H, W)` leans, by its moments: pixels to the left for each pixel down, `(N,)`."""
    below, aside = _aside(ink)
    both = (ink * below[:, :, None] * aside[:, None]).sum((1, 2))
    return -both / np.maximum((ink.sum(2) * below**2).sum(1), 1e-6)


def _spread(ink: Array) -> Array:
    """How far ink is from its center of mass, down and right, as a standard deviation: `(N, 2)`."""
    below, aside = _aside(ink)
    squares = np.stack([(ink.sum(2) * below**2).sum(1), (ink.sum(1) * aside**2).sum(1)], axis=1)
    return np.sqrt(squares / ink.sum((1, 2))[:, None])


def _aside(ink: Array) -> tuple[Array, Array]:
    """How far rows and columns are from the center of mass, `(N, H)` and `(N, W)`."""
    middle = _mass(ink)
    return tuple(np.arange(side) + 0.5 - middle[:, [axis]] for axis, side in enumerate(ink.shape[1:]))  # type: ignore


def _box(ink: Array) -> tuple[Array, Array, Array, Array]:
    """Top, bottom, left and right of where there is ink in each of `(N, H, W)` bool, `(N,)` each."""
    return *_ends(np.asarray(ink.any(2))), *_ends(np.asarray(ink.any(1)))


def _ends(there: Array) -> tuple[Array, Array]:
    """The first place in each row of `(N, P)` bool, and the one behind the last."""
    return there.argmax(1), there.shape[1] - there[:, ::-1].argmax(1)


def _mass(ink: Array) -> Array:
    """Centers of mass, down and right, of `(N, H, W)`: `(N, 2)`."""
    total = ink.sum((1, 2))
    down = (ink.sum(2) * (np.arange(ink.shape[1]) + 0.5)).sum(1) / total
    right = (ink.sum(1) * (np.arange(ink.shape[2]) + 0.5)).sum(1) / total
    return np.stack([down, right], axis=1)


def _pen(ink: Array) -> Array:
    """How wide the strokes are in each of `(N, H, W)`, in pixels: twice their area by the length of their outline.

    The outline is the sum of all slopes, the area that of squares, which makes up for the blur of lines that are
    hardly wider than a pixel: it is 0.87 to 1 of the width of strokes of 1 to 3 pixels, on pictures of 8 and of 28.
    """
    ink = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(ink, axis=1), np.diff(ink, axis=2)
    down, right = (down[:, :, :-1] + down[:, :, 1:]) / 2, (right[:, :-1] + right[:, 1:]) / 2
    outline = np.sqrt(down * down + right * right).sum((1, 2))
    return 2 * (ink * ink).sum((1, 2)) / np.maximum(outline, 1e-6)


def _stroked(ink: Array, more: float) -> Array:
    """Ink `(h, w)` bool with outlines moved out by so many pixels (in, if negative), in 0..1 and with room for them."""
    reach = math.ceil(abs(more)) + 1
    if more <= 0:
        return (_distance(np.pad(~ink, 1, constant_values=True), reach)[1:-1, 1:-1] + more).clip(0, 1)
    return (1 + more - _distance(np.pad(ink, reach), reach)).clip(0, 1)


def _distance(there: Array, reach: int) -> Array:
    """How far each pixel of `(h, w)` is from the nearest that is there, exactly, if it is not farther than `reach`.

    Along columns first, then the lowest of the parabolas that stand in each row.
    Source: Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012.
    """
    far = 2 * reach + max(there.shape)
    height, width = there.shape
    steps = np.arange(height)[:, None]
    above = steps - np.maximum.accumulate(np.where(there, steps, -far), axis=0)
    below = np.minimum.accumulate(np.where(there, steps, height + far)[::-1], axis=0)[::-1] - steps
    squares = np.minimum(above, below).astype(np.float32) ** 2
    nearest = squares.copy()
    for aside in range(1, min(reach, width - 1) + 1):
        np.minimum(nearest[:, aside:], squares[:, :-aside] + aside * aside, out=nearest[:, aside:])
        np.minimum(nearest[:, :-aside], squares[:, aside:] + aside * aside, out=nearest[:, :-aside])
    return np.sqrt(nearest)


def _cut(ink: Array, down: float, right: float, tall: float, wide: float, size: tuple[int, int]) -> Array:
    """A rectangle of the ink, which may reach beyond it, as a picture of this size: each pixel the mean of its area."""
    before = max(0, math.ceil(-down)), max(0, math.ceil(-right))
    behind = max(0, math.ceil(down + tall - ink.shape[0])), max(0, math.ceil(right + wide - ink.shape[1]))
    padded = np.pad(ink, ((before[0], behind[0]), (before[1], behind[1]))).astype(np.float32)
    corner = (right + before[1], down + before[0])
    area = (*corner, min(corner[0] + wide, padded.shape[1]), min(corner[1] + tall, padded.shape[0]))
    return np.asarray(Image.fromarray(padded).resize((size[1], size[0]), Image.Resampling.BOX, box=area))
