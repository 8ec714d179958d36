"""The ground that plots are drawn on: axes with nice ticks, text, and the colours of light and dark.

Pictures are written by hand as SVG: no drawing library, no script, nothing fetched; a viewer's own light or dark
setting chooses the colours through CSS variables. Nothing here carries an id, so many plots share one page.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from gipi.report.text import clean, number, shorten, width

WIDTH = 420.0  # in a narrow page (360 px) letters then shrink to 9 px, in a wide one they grow to 15 px
TONES = 8  # colours of series, then they repeat
MOST_DOTS = 2000  # a scatter of more is a blob, and heavy to open
MOST_CORNERS = 500  # about one for each pixel of a curve

Point = tuple[float, float]
Line = list[Point]

_LIGHT = """--ink:#1b2330;--soft:#667085;--line:#e4e7ec;--faint:#f4f6f9;--card:#ffffff;--page:#f6f7f9;--on:#ffffff;
--good:#157f5b;--warn:#b45309;--bad:#c4321c;--accent:#2f6bde;--goodbg:#e8f6f0;--warnbg:#fdf3e1;
--t0:#2f6bde;--t1:#e07b16;--t2:#12946a;--t3:#c93a80;--t4:#7650d8;--t5:#0d8fb0;--t6:#a06a1f;--t7:#6b7688"""
_DARK = """--ink:#e6eaf0;--soft:#97a1b1;--line:#2c3442;--faint:#202734;--card:#181e29;--page:#10141c;--on:#0f141c;
--good:#4cc79a;--warn:#f0b155;--bad:#ff8a75;--accent:#7aa5ff;--goodbg:#14302a;--warnbg:#33280f;
--t0:#7aa5ff;--t1:#ffab57;--t2:#4cc79a;--t3:#f285b6;--t4:#b39bff;--t5:#5ccbe6;--t6:#d6a866;--t7:#9aa5b6"""
_FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans KR","Apple SD Gothic Neo","Malgun Gothic",sans-serif'

# a notebook says by an attribute or class of its body which theme it wears, whatever the system's setting is
STYLE = f"""
.gipi,.gipi-plot{{{_LIGHT};color-scheme:light}}
@media (prefers-color-scheme:dark){{.gipi,.gipi-plot{{{_DARK};color-scheme:dark}}}}
[data-jp-theme-light="true"] :is(.gipi,.gipi-plot),.vscode-light :is(.gipi,.gipi-plot){{{_LIGHT};color-scheme:light}}
[data-jp-theme-light="false"] :is(.gipi,.gipi-plot),.vscode-dark :is(.gipi,.gipi-plot){{{_DARK};color-scheme:dark}}
.gipi-plot{{display:block;width:100%;max-width:600px;height:auto;font-family:{_FONT};font-size:11px}}
.gipi-plot text{{fill:var(--soft)}} .gipi-plot .ink{{fill:var(--ink)}} .gipi-plot .on{{fill:var(--on)}}
.gipi-plot .grid{{stroke:var(--line);stroke-width:1}} .gipi-plot .base{{stroke:var(--soft);stroke-width:1;opacity:.6}}
.gipi-plot .dash{{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 4;fill:none}}
.gipi-plot .stop{{stroke:var(--bad);stroke-width:1.2;stroke-dasharray:2 3}} .gipi-plot .badtext{{fill:var(--bad)}}
.gipi-plot .curve{{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}}
.gipi-plot .dots{{fill:none;stroke-width:5;stroke-linecap:round;stroke-opacity:.45}}
.gipi-plot .whisker{{stroke-width:2.5;stroke-linecap:round;stroke-opacity:.55}}
.gipi-plot .pane{{fill:var(--faint)}} .gipi-plot .right{{fill:var(--t0)}} .gipi-plot .wrong{{fill:var(--t1)}}
{"".join(f".gipi-plot .s{i}{{stroke:var(--t{i})}}.gipi-plot .f{i}{{fill:var(--t{i})}}" for i in range(TONES))}
"""


def safe(text: object) -> str:
    """Foreign text as it may stand in a picture or a page."""
    return escape(clean(text))


def standalone(svg: str) -> str:
    """A plot as a file of its own, with its colours inside."""
    return svg.replace(">", f"><style>{STYLE}</style>", 1)


def frame(height: float, label: str, parts: Iterable[str], wide: float = WIDTH) -> str:
    """The parts as one picture; `label` is what a screen reader says."""
    return (
        f'<svg class="gipi-plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {height:g}" role="img" '
        f'aria-label="{safe(label)}">{"".join(parts)}</svg>'
    )


def words(x: float, y: float, text: str, anchor: str = "start", kind: str = "", extra: str = "") -> str:
    """Text at a place; whatever it says is escaped."""
    style = f' class="{kind}"' if kind else ""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{at}{style}{extra}>{safe(text)}</text>'


def segment(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def rectangle(x: float, y: float, wide: float, high: float, kind: str, extra: str = "", title: str = "") -> str:
    head = f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(wide, 0):.1f}" height="{max(high, 0):.1f}"{extra}'
    return f"{head}><title>{safe(title)}</title></rect>" if title else f"{head}/>"


def dots(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Many points in few letters: a point is a line of no length with a round end.

    Points of one path do not add up where they overlap, so they are dealt out to several paths: crowds look denser.
    """
    hands = min(8, max(1, len(points) // 20))
    return "".join(
        f'<path class="dots {kind}" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in points[hand::hands])}"/>'
        for hand in range(hands)
        if points
    )


def nothing_to_show(text: str) -> str:
    """A pane that says why there is no plot."""
    return frame(90, text, [rectangle(0, 0, WIDTH, 90, "pane", ' rx="8"'), words(WIDTH / 2, 49, text, "middle")])


def usable(value: float | None) -> bool:
    """Whether a number can be drawn: finite, and not so huge that differences overflow."""
    return value is not None and math.isfinite(value) and abs(value) < 1e300


def letters(text: str) -> float:
    """About how wide a text is at 11 px."""
    return 6.0 * width(text)


def thinned(line: Line, most: int = MOST_CORNERS) -> Line:
    """At most so many points that look like all of them: the lowest and the highest of each stretch."""
    if len(line) <= most:
        return line
    size = len(line) / (most // 2)
    kept: Line = []
    for part in range(most // 2):
        piece = line[int(part * size) : int((part + 1) * size)]
        low, high = min(piece, key=lambda p: p[1]), max(piece, key=lambda p: p[1])
        kept += sorted({low, high})
    return kept


def sample(points: list[Point], most: int = MOST_DOTS) -> list[Point]:
    """At most so many points, drawn at random but always the same ones."""
    return points if len(points) <= most else random.Random(0).sample(points, most)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten) in low .. high, about `count` of them.

    Example:
        >>> ticks(0, 1), ticks(3, 97)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [20.0, 40.0, 60.0, 80.0])
    """
    raw = (high - low) / max(count, 1)
    if raw <= 0 or not math.isfinite(raw) or raw < abs(low) * 1e-13:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    if power == 0.0:
        return [low]
    step = power * min((1.0, 2.0, 2.5, 5.0, 10.0), key=lambda nice: abs(math.log(nice * power / raw)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(k * step, min(digits, 300)) + 0.0 for k in range(first, last + 1)] or [low]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, thinned to six; where they are fewer than two, 1, 2 and 5 times them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [k for k in range(first, last + 1) if low * 0.999 <= 10.0**k <= high * 1.001]
    if len(powers) >= 2:
        return [10.0**k for k in powers[:: -(-len(powers) // 6)]]
    fine = [
        m * 10.0**k for k in range(first, last + 1) for m in (1, 2, 5) if low * 0.999 <= m * 10.0**k <= high * 1.001
    ]
    return fine or [low, high]


SMALLEST = 1e-250  # a range below which dividing by it overflows


def spread(values: Iterable[float], margin: float = 0.05) -> tuple[float, float]:
    """The range of an axis: a little wider than the values, and never empty."""
    held = list(values)
    if not held:
        return 0.0, 1.0
    low, high = min(held), max(held)
    if high - low <= max(abs(high) * 1e-12, SMALLEST):
        room = max(abs(high) * 0.1, SMALLEST * 10) if abs(high) > SMALLEST else 1.0
        return low - room, high + room
    room = (high / 2 - low / 2) * 2 * margin
    return low - room, high + room


@dataclass(frozen=True)
class Axes:
    """Where numbers lie on the picture: a pane, and the ranges that fill it."""

    left: float
    top: float
    right: float
    bottom: float
    xs: tuple[float, float]
    ys: tuple[float, float]
    log_y: bool = False

    def x(self, value: float) -> float:
        low, high = self.xs
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.ys
        share = (
            (value - low) / (high - low)
            if not self.log_y
            else (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        )
        return self.bottom - share * (self.bottom - self.top)

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        return self.x(point[0]), self.y(point[1])

    def draw(self, x_label: str, y_label: str, whole_x: bool = False, x_grid: bool = False) -> list[str]:
        """Grid lines, tick labels, and what the axes mean."""
        parts = []
        for value in log_ticks(*self.ys) if self.log_y else ticks(*self.ys, 4):
            y = self.y(value)
            parts.append(segment(self.left, y, self.right, y, "grid"))
            parts.append(words(self.left - 6, y + 3.8, number(value), "end"))
        marks = [value for value in ticks(*self.xs, 5) if not whole_x or value == int(value)]
        for value in marks:
            x = self.x(value)
            if x_grid:
                parts.append(segment(x, self.top, x, self.bottom, "grid"))
            parts.append(words(x, self.bottom + 15, number(int(value) if whole_x else value), "middle"))
        parts.append(segment(self.left, self.bottom, self.right, self.bottom, "base"))
        if x_label:
            parts.append(words((self.left + self.right) / 2, self.bottom + 30, x_label, "middle"))
        if y_label:
            parts.append(words(4, self.top - 11, shorten(y_label, 40)))
        return parts


def axes(
    height: float,
    xs: tuple[float, float],
    ys: tuple[float, float],
    top: float,
    log_y: bool = False,
    labelled: bool = True,
) -> Axes:
    """A pane as wide as the picture, leaving room for the tick labels at its left."""
    marks = log_ticks(*ys) if log_y else ticks(*ys, 4)
    left = 12 + max(letters(number(value)) for value in marks)
    return Axes(max(left, 26.0), top, WIDTH - 12, height - (36 if labelled else 22), xs, ys, log_y)
