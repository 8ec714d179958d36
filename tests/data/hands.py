"""Ten digits in four hands, as a person draws them on a canvas: plain strokes, for Pillow here and a mouse on the page.

They were written down once, as such digits are drawn, before anything read them, and are not to be changed until a
network likes them: what reads drawings is to be made better instead.

HANDS[hand][digit] is a list of strokes, each a list of points (x, y) as parts of the canvas's side, from its upper left
corner. PENS[hand] is the width of the pen, as part of the side too.
"""

import math

from PIL import Image, ImageDraw

Point = tuple[float, float]
Stroke = list[Point]
FINE = 4  # pixels are drawn so many times as small, a side, and then made one: soft edges, as a browser draws them


def _arc(x: float, y: float, wide: float, high: float, start: float, turn: float) -> Stroke:
    """Part of an ellipse around (x, y), from `start` degrees (0: right, 90: down) and so many on."""
    angles = [math.radians(start + turn * step / 32) for step in range(33)]
    return [(x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles]


def _curve(points: Stroke) -> Stroke:
    """A smooth line through all points (Catmull and Rom, 1974)."""
    around = [points[0], *points, points[-1]]
    found = [points[0]]
    for a, b, c, d in zip(around, around[1:], around[2:], around[3:], strict=False):
        for step in range(1, 9):
            t = step / 8
            found.append(tuple(_between(a[axis], b[axis], c[axis], d[axis], t) for axis in (0, 1)))  # type: ignore
    return found


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    return b + t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * b - 3 * c + d - a))) / 2


def _placed(strokes: list[Stroke], left: float, top: float, wide: float, high: float, slant: float) -> list[Stroke]:
    """Strokes of a box of 1 x 1 on the canvas; what is above the foot leans to the right."""
    return [[(left + wide * x + slant * high * (1 - y), top + high * y) for x, y in stroke] for stroke in strokes]


_ROUND = {
    "0": [_arc(0.5, 0.5, 0.5, 0.5, -90, -360)],
    "1": [[(0.5, 0.0), (0.5, 1.0)]],
    "2": [
        [
            *_curve(
                [(0.05, 0.25), (0.2, 0.06), (0.5, 0), (0.85, 0.1), (0.95, 0.3), (0.8, 0.52), (0.4, 0.8), (0.03, 1)]
            ),
            (1.0, 1.0),
        ]
    ],
    "3": [
        _curve([(0.05, 0.12), (0.35, 0), (0.75, 0.05), (0.88, 0.24), (0.7, 0.42), (0.4, 0.48)])
        + _curve([(0.4, 0.48), (0.8, 0.55), (0.97, 0.74), (0.8, 0.94), (0.4, 1.0), (0.0, 0.88)])
    ],
    "4": [[(0.2, 0.0), (0.1, 0.55), (1.0, 0.55)], [(0.75, 0.05), (0.7, 1.0)]],
    "5": [
        [
            (0.15, 0.0),
            (0.1, 0.45),
            *_curve([(0.1, 0.45), (0.5, 0.36), (0.9, 0.5), (0.97, 0.72), (0.75, 0.95), (0.4, 1.0), (0.03, 0.9)]),
        ],
        [(0.15, 0.0), (0.9, 0.0)],
    ],
    "6": [
        _curve([(0.8, 0.0), (0.4, 0.15), (0.12, 0.45), (0.03, 0.72), (0.2, 0.95), (0.5, 1.0)])
        + _curve([(0.5, 1.0), (0.85, 0.92), (0.97, 0.72), (0.8, 0.55), (0.5, 0.5), (0.2, 0.58), (0.05, 0.75)])
    ],
    "7": [[(0.0, 0.0), (1.0, 0.0), (0.4, 1.0)]],
    "8": [
        _curve([(0.85, 0.12), (0.5, 0.0), (0.15, 0.12), (0.2, 0.34), (0.5, 0.47), (0.85, 0.62), (0.95, 0.82)])
        + _curve([(0.95, 0.82), (0.5, 1.0), (0.05, 0.82), (0.15, 0.62), (0.5, 0.47), (0.8, 0.34), (0.85, 0.12)])
    ],
    "9": [_arc(0.45, 0.28, 0.43, 0.28, 0, -360), [(0.9, 0.1), (0.88, 0.5), (0.8, 1.0)]],
}

_SLANTED = {
    "0": [_arc(0.5, 0.5, 0.45, 0.5, -60, -385)],
    "1": [[(0.1, 0.25), (0.6, 0.0), (0.6, 1.0)]],
    "2": [
        _curve([(0.1, 0.2), (0.45, 0.0), (0.9, 0.15), (0.8, 0.45), (0.3, 0.88), (0.12, 0.97), (0.08, 0.86)])
        + _curve([(0.08, 0.86), (0.3, 0.84), (0.6, 0.97), (1.0, 0.93)])
    ],
    "3": [
        [
            (0.1, 0.0),
            (0.9, 0.0),
            (0.4, 0.38),
            *_curve([(0.4, 0.38), (0.85, 0.5), (0.95, 0.75), (0.6, 0.98), (0.0, 0.92)]),
        ]
    ],
    "4": [[(0.7, 0.0), (0.0, 0.68), (1.0, 0.68)], [(0.7, 0.0), (0.7, 1.0)]],
    "5": [
        [
            (0.95, 0.0),
            (0.25, 0.02),
            (0.15, 0.42),
            *_curve([(0.15, 0.42), (0.55, 0.38), (0.9, 0.55), (0.85, 0.85), (0.45, 1.0), (0.0, 0.93)]),
        ]
    ],
    "6": [
        _curve([(0.6, 0.0), (0.25, 0.35), (0.05, 0.75), (0.35, 1.0), (0.8, 0.88), (0.85, 0.65), (0.55, 0.55)])
        + _curve([(0.55, 0.55), (0.2, 0.65), (0.06, 0.8)])
    ],
    "7": [[(0.0, 0.05), (0.95, 0.0), (0.35, 1.0)], [(0.2, 0.5), (0.85, 0.5)]],
    "8": [
        _curve([(0.5, 0.48), (0.15, 0.3), (0.2, 0.08), (0.55, 0.0), (0.85, 0.15), (0.75, 0.38), (0.5, 0.48)])
        + _curve([(0.5, 0.48), (0.15, 0.65), (0.05, 0.85), (0.4, 1.0), (0.85, 0.9), (0.85, 0.66), (0.5, 0.48)])
    ],
    "9": [
        _curve([(0.9, 0.15), (0.5, 0.0), (0.1, 0.2), (0.3, 0.45), (0.7, 0.42), (0.92, 0.12)])
        + _curve([(0.92, 0.12), (0.9, 0.5), (0.75, 0.85), (0.4, 1.0), (0.05, 0.9)])
    ],
}

_BOLD = {
    "0": [_arc(0.5, 0.5, 0.5, 0.5, -100, 365)],
    "1": [[(0.3, 0.22), (0.55, 0.0), (0.55, 1.0)], [(0.2, 1.0), (0.9, 1.0)]],
    "2": [[*_curve([(0.0, 0.28), (0.2, 0.04), (0.7, 0.0), (0.95, 0.25), (0.65, 0.6), (0.0, 1.0)]), (1.0, 0.98)]],
    "3": [
        _curve([(0.0, 0.1), (0.45, 0.0), (0.9, 0.2), (0.75, 0.42), (0.35, 0.5)])
        + _curve([(0.35, 0.5), (0.85, 0.55), (1.0, 0.78), (0.6, 1.0), (0.0, 0.92)])
    ],
    "4": [[(0.1, 0.0), (0.1, 0.5), (1.0, 0.5)], [(0.8, 0.0), (0.8, 1.0)]],
    "5": [
        [
            (0.1, 0.0),
            (0.1, 0.42),
            *_curve([(0.1, 0.42), (0.6, 0.38), (1.0, 0.62), (0.75, 0.95), (0.35, 1.0), (0.0, 0.9)]),
        ],
        [(0.1, 0.0), (0.95, 0.02)],
    ],
    "6": [[(0.65, 0.0), (0.12, 0.58)], _arc(0.5, 0.7, 0.46, 0.3, 200, -360)],
    "7": [[(0.0, 0.12), (0.02, 0.0), (1.0, 0.0), *_curve([(1.0, 0.0), (0.65, 0.4), (0.5, 0.75), (0.45, 1.0)])]],
    "8": [_arc(0.5, 0.24, 0.38, 0.24, 90, 360), _arc(0.5, 0.74, 0.48, 0.26, -90, 360)],
    "9": [_arc(0.45, 0.3, 0.42, 0.3, 0, -360), [(0.87, 0.05), (0.87, 1.0)]],
}

_HASTY = {
    "0": [
        [
            (0.55, 0.0),
            (0.2, 0.12),
            (0.0, 0.5),
            (0.15, 0.88),
            (0.5, 1.0),
            (0.85, 0.85),
            (1.0, 0.5),
            (0.8, 0.1),
            (0.5, 0.05),
        ]
    ],
    "1": [[(0.6, 0.0), (0.4, 1.0)]],
    "2": [[(0.0, 0.2), (0.3, 0.0), (0.85, 0.05), (0.9, 0.35), (0.1, 1.0), (1.0, 0.95)]],
    "3": [[(0.1, 0.05), (0.8, 0.02), (0.45, 0.42), (0.95, 0.65), (0.7, 0.97), (0.05, 0.95)]],
    "4": [[(0.35, 0.0), (0.0, 0.6), (0.95, 0.55)], [(0.75, 0.3), (0.65, 1.0)]],
    "5": [[(0.9, 0.0), (0.2, 0.05), (0.1, 0.45), (0.75, 0.45), (0.9, 0.7), (0.6, 0.98), (0.0, 0.92)]],
    "6": [
        [(0.7, 0.0), (0.2, 0.4), (0.05, 0.75), (0.3, 1.0), (0.8, 0.95), (0.9, 0.7), (0.55, 0.55), (0.12, 0.72)],
    ],
    "7": [[(0.0, 0.05), (0.95, 0.0), (0.5, 0.55), (0.3, 1.0)]],
    "8": [
        [
            (0.8, 0.15),
            (0.35, 0.0),
            (0.1, 0.2),
            (0.8, 0.7),
            (0.75, 0.95),
            (0.25, 1.0),
            (0.05, 0.75),
            (0.85, 0.25),
            (0.75, 0.1),
        ]
    ],
    "9": [[(0.85, 0.15), (0.4, 0.0), (0.05, 0.2), (0.2, 0.45), (0.65, 0.45), (0.85, 0.15), (0.75, 0.6), (0.6, 1.0)]],
}

HANDS: dict[str, dict[str, list[Stroke]]] = {
    "round": {digit: _placed(strokes, 0.32, 0.2, 0.36, 0.6, 0.0) for digit, strokes in _ROUND.items()},
    "slanted": {digit: _placed(strokes, 0.1, 0.12, 0.2, 0.38, 0.25) for digit, strokes in _SLANTED.items()},
    "bold": {digit: _placed(strokes, 0.2, 0.12, 0.58, 0.76, 0.0) for digit, strokes in _BOLD.items()},
    "hasty": {digit: _placed(strokes, 0.55, 0.5, 0.26, 0.42, 0.08) for digit, strokes in _HASTY.items()},
}
PENS = {"round": 0.05, "slanted": 0.03, "bold": 0.1, "hasty": 0.02}


def drawn(strokes: list[Stroke], pen: float, side: int = 280, ink: int = 255, paper: int = 0) -> Image.Image:
    """Strokes on a grey canvas of `side` x `side` pixels, round at their ends and corners."""
    fine = side * FINE
    image = Image.new("L", (fine, fine), paper)
    draw = ImageDraw.Draw(image)
    radius = pen * fine / 2
    for stroke in strokes:
        points = [(x * fine, y * fine) for x, y in stroke]
        draw.line(points, fill=ink, width=max(1, round(2 * radius)))
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return image.reduce(FINE)
