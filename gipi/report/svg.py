"""The plots of a run, each a pure function from numbers to an SVG string.

They take what comes (NaN, infinity, one point, nothing at all) and say so instead of failing: a run that diverged is
the one whose curve a person most wants to see. report/canvas.py has the axes and the colours; a page that shows plots
includes its STYLE once.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gipi.messages import _
from gipi.report.canvas import (
    TONES,
    WIDTH,
    Axes,
    Line,
    axes,
    dots,
    frame,
    letters,
    nothing_to_show,
    rectangle,
    sample,
    segment,
    spread,
    thinned,
    ticks,
    usable,
    words,
)
from gipi.report.text import clean, interval, metric, number, shorten, spoken

MOST_CLASSES = 40  # rows of a confusion matrix that can still be told apart


def curves(
    series: Mapping[str, Line | list[Line]],
    log_y: bool | None = False,
    mark: tuple[float, str] | None = None,
    x_label: str = "",
    y_label: str = "",
    tones: Sequence[int] = (),
) -> str:
    """Lines over epochs or steps.

    Args:
        series: Name -> points, or several lines under one name (the members of an ensemble, drawn thinner).
        log_y: Logarithmic heights; None: where all are positive and they span more than three powers of ten.
        mark: A place on the x axis to point out, and its name: the best epoch.
        tones: The colour of each series, so that validation is of one colour in all plots; else as they come.
    """
    bundles = {clean(name): _lines(lines) for name, lines in series.items()}
    every = [point for lines in bundles.values() for line in lines for point in line]
    shown = [(x, y) for x, y in every if usable(x) and usable(y)]
    if not shown:
        said = _("No finite value was recorded.") if every else _("Nothing was recorded.")
        return nothing_to_show(said)
    heights = [y for _x, y in shown]
    positive = min(heights) > 1e-300
    if log_y is None:
        log_y = positive and max(heights) / min(heights) > 1000
    log_y = bool(log_y and positive)
    xs = [x for x, _y in shown]
    across = spread(xs, 0)
    if log_y:
        up = (min(heights) / 1.15, max(heights) * 1.15)
    else:
        up = spread(heights)
        up = (0.0 if 0 <= min(heights) < up[1] * 0.3 else up[0], up[1])
    names = list(bundles)
    rows = _legend_rows(names)
    ground = axes(240 + 16 * rows, across, up, 28 + 16 * rows, log_y, bool(x_label))
    parts = ground.draw(x_label, "", whole_x=all(float(x).is_integer() for x in xs))
    colours = [*tones, *range(len(tones), len(names))]
    parts += _legend(names, rows, y_label, colours)
    lost = [x for x, y in every if usable(x) and not usable(y) and y is not None]
    if lost:
        x = ground.x(min(max(min(lost), across[0]), across[1]))
        parts.append(segment(x, ground.top, x, ground.bottom, "stop"))
        parts.append(_flag(ground, x, _("not finite"), "badtext"))
    if mark and usable(mark[0]) and across[0] <= mark[0] <= across[1]:
        x = ground.x(mark[0])
        parts.append(segment(x, ground.top, x, ground.bottom, "dash"))
        parts.append(_flag(ground, x, shorten(mark[1], 24), "ink"))
    for tone, (name, lines) in zip(colours, bundles.items(), strict=False):
        for line in lines:
            parts.append(_path(ground, line, tone % TONES, len(lines) > 1, name))
            at = [p for p in line if mark and p[0] == mark[0] and usable(p[1])]
            if at and len(lines) == 1:
                x, y = ground.at(at[0])
                parts.append(f'<circle class="f{tone % TONES}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    return frame(240 + 16 * rows, _("Curves: {names}", names=", ".join(names)), parts)


def _lines(lines: Line | list[Line]) -> list[Line]:
    several = bool(lines) and isinstance(lines[0], list)
    return [list(line) for line in lines] if several else [list(lines)]  # type: ignore[arg-type, list-item]


def _path(ground: Axes, line: Line, tone: int, thin: bool, name: str) -> str:
    """One line; it breaks where a value is missing, and a value alone is a dot."""
    pieces: list[Line] = [[]]
    for x, y in line:
        if usable(x) and usable(y) and not (ground.log_y and y <= 0):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    drawn = []
    for piece in filter(None, pieces):
        corners = [ground.at(point) for point in thinned(piece)]
        if len(corners) == 1:
            drawn.append(f'<circle class="f{tone}" cx="{corners[0][0]:.1f}" cy="{corners[0][1]:.1f}" r="3"/>')
            continue
        style = ' stroke-opacity=".6" stroke-width="1.2"' if thin else ""
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)
        drawn.append(f'<path class="{"thin" if thin else "curve"} s{tone}" fill="none" d="M{way}"{style}/>')
    return "".join(drawn)


def _legend_rows(names: Sequence[str]) -> int:
    return 1 + int(sum(letters(shorten(name, 22)) + 30 for name in names) // (WIDTH - 20)) if names else 0


def _legend(names: Sequence[str], rows: int, title: str = "", tones: Iterable[int] = range(TONES)) -> list[str]:
    parts, x, y = [], 8.0, 14.0
    if title:
        parts.append(words(x, y, shorten(title, 30), kind="ink"))
        x += letters(shorten(title, 30)) + 16
    for tone, name in zip(tones, names, strict=False):
        said = shorten(name, 22)
        if x + letters(said) + 20 > WIDTH and x > 8:
            x, y = 8.0, y + 16
        parts.append(f'<rect class="f{tone % TONES}" x="{x:.1f}" y="{y - 7:.1f}" width="12" height="4" rx="2"/>')
        parts.append(words(x + 17, y, said))
        x += letters(said) + 32
    return parts


def _flag(ground: Axes, x: float, text: str, kind: str) -> str:
    """A name beside an upright line, on the side where there is room."""
    right = x + letters(text) + 8 < ground.right
    return words(x + 5 if right else x - 5, ground.top - 6, text, "start" if right else "end", kind)


def confusion(matrix: Sequence[Sequence[float]], labels: Sequence[Any]) -> str:
    """How often each true class (row) was said to be each class (column); colour: the share of the row.

    Of many classes only those with the most mistakes are shown.
    """
    counts = [[float(value) for value in row] for row in matrix]
    names = [clean(label) for label in labels]
    if not counts:
        return nothing_to_show(_("There is nothing to compare."))
    totals = [sum(row) for row in counts]
    chosen = list(range(len(counts)))
    note = ""
    if len(chosen) > MOST_CLASSES:
        missed = [totals[i] - counts[i][i] + sum(row[i] for row in counts) - counts[i][i] for i in chosen]
        chosen = sorted(sorted(chosen, key=lambda i: -missed[i])[:MOST_CLASSES])
        note = _("the {shown} of {all} classes with the most mistakes", shown=len(chosen), all=len(counts))
    limit = 14 if len(chosen) <= 16 else 18
    said = {i: shorten(names[i], limit) for i in chosen}
    shrunk = 1.0 if len(chosen) <= 25 else 0.62  # the letters of many classes are small
    widest = shrunk * max(letters(text) for text in said.values())
    left = widest + 26
    cell = min((WIDTH - left - 6) / len(chosen), 56.0)
    tilted = widest > cell - 2
    small = "" if shrunk == 1 else f' font-size="{11 * shrunk:.1f}"'
    foot = (widest * 0.72 + 16 if tilted else 18) + 20
    top = 20.0 if note else 6.0
    side = cell * len(chosen)
    height = top + side + foot
    parts = [words(left, 13, note)] if note else []
    parts.append(rectangle(left, top, side, side, "pane"))
    for row, i in enumerate(chosen):
        y = top + row * cell
        parts.append(words(left - 6, y + cell / 2 + 3.8, said[i], "end", extra=small))
        x = left + row * cell + cell / 2
        turn = f' transform="rotate(-45 {x:.1f} {top + side + 12:.1f})"' if tilted else ""
        parts.append(words(x, top + side + 13, said[i], "end" if tilted else "middle", extra=turn + small))
        for column, j in enumerate(chosen):
            if counts[i][j]:
                parts.append(
                    _confusion_cell(
                        counts[i][j], totals[i], i == j, left + column * cell, y, cell, (names[i], names[j])
                    )
                )
    middle = top + side / 2
    parts.append(words(10, middle, _("true class"), "middle", "ink", f' transform="rotate(-90 10 {middle:.1f})"'))
    parts.append(words(left + side / 2, height - 6, _("said by the model"), "middle", "ink"))
    return frame(height, _("Confusion matrix"), parts)


def _confusion_cell(
    count: float, total: float, right: bool, x: float, y: float, cell: float, names: tuple[str, str]
) -> str:
    share = count / total if total else 0.0
    strength = 0.12 + 0.88 * share**0.6  # few mistakes among many rows must still be seen
    title = _(
        "{true} said to be {said}: {count} ({share})",
        true=names[0],
        said=names[1],
        count=number(count),
        share=f"{100 * share:.1f} %",
    )
    kind = "right" if right else "wrong"
    text = number(int(count) if count.is_integer() else count)
    box = rectangle(x + 0.5, y + 0.5, cell - 1, cell - 1, kind, f' fill-opacity="{strength:.2f}" rx="2"', title)
    if cell < 13 or letters(text) > cell + 2:
        return box
    return box + words(
        x + cell / 2, y + cell / 2 + 3.8, text, "middle", "on" if strength > 0.55 else "ink", ' pointer-events="none"'
    )


def scatter(true: Iterable[float], predicted: Iterable[float], label: str = "") -> str:
    """What was predicted against what is true; a perfect model lies on the diagonal."""
    pairs = [(float(a), float(b)) for a, b in zip(true, predicted, strict=True)]
    points = [pair for pair in pairs if usable(pair[0]) and usable(pair[1])]
    if not points:
        return nothing_to_show(_("There is nothing to compare."))
    both = spread(value for point in points for value in point)
    ground = axes(380, both, both, 22)
    parts = ground.draw(_("true") + (f" {shorten(label, 24)}" if label else ""), _("predicted"), x_grid=True)
    parts.append(segment(ground.left, ground.bottom, ground.right, ground.top, "dash"))
    parts.append(dots([ground.at(point) for point in sample(points)], "s0"))
    return frame(380, _("Predicted against true"), parts)


def calibration(probabilities: Iterable[float], correct: Iterable[Any], bins: int = 15) -> str:
    """Of the answers given with 70 % certainty, are 70 % right? A dot for each fifteenth.

    Fifteen as in Guo et al. 2017, so that the gap shown is the metric `calibration_error`.
    """
    pairs = [(float(p), bool(c)) for p, c in zip(probabilities, correct, strict=True) if usable(float(p))]
    if not pairs:
        return nothing_to_show(_("There is nothing to compare."))
    held: list[list[tuple[float, bool]]] = [[] for _bin in range(bins)]
    for p, c in pairs:
        held[min(bins - 1, max(0, int(p * bins)))].append((p, c))
    ground = axes(290, (0.0, 1.0), (0.0, 1.0), 22)
    parts = ground.draw(_("certainty of the answer"), _("share that is right"), x_grid=True)
    parts.append(segment(ground.left, ground.bottom, ground.right, ground.top, "dash"))
    gap = 0.0
    corners = []
    for number_, bin in enumerate(held):
        if not bin:
            continue
        sure = sum(p for p, _c in bin) / len(bin)
        right = sum(c for _p, c in bin) / len(bin)
        gap += abs(sure - right) * len(bin) / len(pairs)
        low, high = wilson(right * len(bin), len(bin))
        x, y = ground.at((sure, right))
        wide = (ground.right - ground.left) / bins
        high_bar = 40 * len(bin) / max(map(len, held))
        place = ground.left + number_ * wide + 1
        parts.append(
            rectangle(place, ground.bottom - high_bar, wide - 2, high_bar, "f7", ' fill-opacity=".22"', f"{len(bin):,}")
        )
        parts.append(segment(x, ground.y(low), x, ground.y(high), "whisker s0"))
        corners.append((x, y))
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    if len(corners) > 1:
        parts.append(f'<path class="curve s0" d="M{way}"/>')
    parts += [f'<circle class="f0" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in corners]
    parts.append(words(ground.left + 8, ground.top + 12, _("calibration error {error}", error=number(gap)), kind="ink"))
    return frame(290, _("Calibration"), parts)


def wilson(hits: float, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, spare = hits / of, z * z / of
    middle = (share + spare / 2) / (1 + spare)
    half = z / (1 + spare) * math.sqrt(share * (1 - share) / of + spare / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def bars_with_intervals(
    rows: Sequence[tuple[str, float | None, float | None, float | None]], highlight: Iterable[str] = (), label: str = ""
) -> str:
    """Values side by side, each with its interval; `highlight` names those to be seen first.

    The axis shows the stretch where they differ, so values are dots, not bars: a bar must begin at nought.
    """
    first = {highlight} if isinstance(highlight, str) else set(highlight)
    ends = [end for _name, *row in rows for end in row if end is not None and usable(end)]
    if not ends:
        return nothing_to_show(_("There is nothing to compare."))
    named = [(shorten(name, 24), name in first, *values) for name, *values in rows]
    left = max(letters(name) for name, *_rest in named) + 16
    said = [metric(label, value) for _n, _f, value, *_rest in named]
    right = WIDTH - max(letters(text) for text in said) - 16
    step = 30.0
    bottom = 12 + step * len(rows)
    ground = Axes(left, 8, right, bottom, spread(_near(named), 0.08), (0, 1))
    parts = []
    for value in ticks(*ground.xs, 4):
        x = ground.x(value)
        parts += [segment(x, ground.top, x, bottom, "grid"), words(x, bottom + 15, _tick(label, value), "middle")]
    for row, (name, seen, value, low, high) in enumerate(named):
        y = 8 + step * (row + 0.5)
        tone = 0 if seen else 7
        off = ground.xs[0] > value or value > ground.xs[1] if value is not None and usable(value) else False
        parts.append(words(left - 10, y + 3.8, name, "end", "ink" if seen else ""))
        if off and value is not None:
            parts.append(_arrow(ground, y, value < ground.xs[0], tone))
        elif low is not None and high is not None and usable(low) and usable(high):
            ends = (min(max(end, ground.xs[0]), ground.xs[1]) for end in (low, high))
            first, last = map(ground.x, ends)
            mark = segment(first, y, last, y, f"whisker s{tone}")
            parts.append(f"<g>{mark}<title>{interval(label, low, high)}</title></g>")
        if value is not None and usable(value) and not off:
            parts.append(f'<circle class="f{tone}" cx="{ground.x(value):.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(words(WIDTH - 6, y + 3.8, said[row], "end", "ink" if seen else ""))
    if label:
        parts.append(words((left + right) / 2, bottom + 31, shorten(spoken(label), 40), "middle"))
    return frame(bottom + (38 if label else 24), _("Values with their intervals"), parts)


def _near(rows: Sequence[tuple]) -> list[float]:
    """The ends that the axis must show: a row so far off that it would squeeze the others to a point is left out."""
    held = [[end for end in ends if end is not None and usable(end)] for _name, _seen, *ends in rows]
    held = sorted((ends for ends in held if ends), key=lambda ends: ends[0])

    def reach(some: list[list[float]]) -> float:
        return max(map(max, some)) - min(map(min, some))

    while len(held) > 2:
        fewer = min(held[1:], held[:-1], key=reach)
        if reach(fewer) > reach(held) / 3:
            break
        held = fewer
    return [end for ends in held for end in ends]


def _arrow(ground: Axes, y: float, left: bool, tone: int) -> str:
    """This value lies beyond the axis, on that side."""
    x, way = (ground.left, 1) if left else (ground.right, -1)
    return f'<path class="f{tone}" d="M{x:.1f} {y:.1f}l{way * 9} -5v10z"/>'


def _tick(label: str, value: float) -> str:
    return metric(label, value).replace(".0 %", " %")


def histogram(values: Iterable[float], label: str = "", bins: int | None = None) -> str:
    """How often values fall where."""
    held = sorted(float(value) for value in values if usable(float(value)))
    if not held:
        return nothing_to_show(_("No finite value was recorded."))
    low, high = held[0], held[-1]
    if high - low <= abs(high) * 1e-12:
        low, high = spread(held)
    count = bins or min(40, max(5, math.ceil(2 * len(held) ** (1 / 3))))  # the Rice rule
    heights = [0] * count
    for value in held:
        heights[min(count - 1, int((value - low) / (high - low) * count))] += 1
    ground = axes(220, (low, high), (0.0, max(heights) * 1.08), 22, labelled=bool(label))
    parts = ground.draw(shorten(label, 50), _("rows"))
    wide = (ground.right - ground.left) / count
    for place, rows in enumerate(heights):
        x, y = ground.left + place * wide, ground.y(rows)
        if rows:
            parts.append(
                rectangle(x + 0.6, y, wide - 1.2, ground.bottom - y, "f0", ' fill-opacity=".75" rx="1.5"', f"{rows:,}")
            )
    return frame(220, _("Histogram"), parts)


def scatter2d(points: Iterable[Sequence[float]], groups: Iterable[Any], x_label: str = "", y_label: str = "") -> str:
    """Points of the plane, coloured by group."""
    pairs = [(float(p[0]), float(p[1]), clean(group)) for p, group in zip(points, groups, strict=True)]
    held = [pair for pair in pairs if usable(pair[0]) and usable(pair[1])]
    if not held:
        return nothing_to_show(_("There is nothing to compare."))
    names = sorted({name for *_point, name in held}, key=lambda name: (len(name), name))
    rows = _legend_rows(names[:TONES])
    chosen = sample(held)  # type: ignore[arg-type]
    top = 22 + 16 * rows
    ground = axes(330 + 16 * rows, spread(p[0] for p in held), spread(p[1] for p in held), top, labelled=bool(x_label))
    parts = [*ground.draw(x_label, y_label, x_grid=True), *_legend(names[:TONES], rows)]
    for tone, name in enumerate(names):
        parts.append(dots([ground.at(p[:2]) for p in chosen if p[2] == name], f"s{tone % TONES}"))  # type: ignore[misc]
    return frame(330 + 16 * rows, _("Groups in the plane"), parts)
