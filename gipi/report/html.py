"""report.html: a run on one page that needs nothing else, opens anywhere, and runs nothing.

All text is escaped (a column may be called <script>), and the page's own policy forbids scripts, frames, forms and
anything from elsewhere; its one style sheet is named by its hash. Pictures lie inside as PNG.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

from gipi import messages
from gipi.errors import RunError
from gipi.messages import _
from gipi.report import svg
from gipi.report.canvas import STYLE, safe
from gipi.report.diagnosis import diagnosis_cards
from gipi.report.grid import grid
from gipi.report.inline import figure, png
from gipi.report.page import (
    Classification,
    Clusters,
    Grid,
    Mistake,
    Page,
    Pictures,
    Regression,
    Result,
    Table,
    Values,
    Whole,
    as_interval,
)
from gipi.report.records import best_epoch, charts, several
from gipi.report.style import SHEET
from gipi.report.text import cell, duration, interval, is_number, metric, shorten, spoken
from gipi.report.words import mistakes_html

MOST_PICTURES = 48
MOST_ROWS = 20
MOST_COLUMNS = 14


def write_report(path: Path | str, page: Page) -> Path:
    """Write the page; whoever opens the file meanwhile sees the old one or the new one, never half of it.

    Raises:
        RunError: The folder cannot be written to, or is full.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    content = document(page).encode("utf-8", "replace")
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as trouble:
        unfinished.unlink(missing_ok=True)
        raise RunError(
            _(
                "The report could not be written to {path}: {trouble}. Choose a folder that can be written to.",
                path=path,
                trouble=trouble.strerror or trouble,
            )
        ) from trouble
    return path


def document(page: Page) -> str:
    """The whole page as a file of its own."""
    return _speaking(page, _document)


def html(page: Page) -> str:
    """The short form, for a notebook's cell: verdict, metrics, curves, results."""
    return _speaking(page, _fragment)


def _speaking(page: Page, write: Any) -> str:
    def said() -> str:
        if page.language:
            messages.use(page.language)
        return write(page)

    return copy_context().run(said)  # the language of the page is not the language of the program


def _document(page: Page) -> str:
    sheet = STYLE + SHEET
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    parts = (_head, _learning, _found, _outcome, _comparison, _making, _choices, _foot)
    body = "".join(part(page) for part in parts)
    return (
        f'<!doctype html>\n<html lang="{messages.language()}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<title>{safe(page.title)}</title><style>{sheet}</style></head><body class="gipi page"><main>{body}</main>'
        "</body></html>\n"
    )


def _fragment(page: Page) -> str:
    body = "".join((_head(page), _learning(page), _outcome(page), _comparison(page)))
    return f'<div class="gipi inside"><style>{STYLE}{SHEET}</style>{body}</div>'


def card(title: str, body: str, wide: bool = False, note: str = "") -> str:
    if not body:
        return ""
    head = f"<h3>{safe(title)}</h3>" if title else ""
    said = f'<p class="note">{safe(note)}</p>' if note else ""
    return f'<section class="card{" wide" if wide else ""}">{head}{said}{body}</section>'


def _chapter(title: str, cards: Iterable[str]) -> str:
    held = "".join(cards)
    return f'<h2>{safe(title)}</h2><div class="cards">{held}</div>' if held else ""


def _list(lines: Iterable[str]) -> str:
    held = "".join(f"<li>{safe(line)}</li>" for line in lines)
    return f"<ul>{held}</ul>" if held else ""


def table_html(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], strong: Iterable[int] = (), limit: int = 60
) -> str:
    """A table that scrolls by itself when the page is narrow; numbers stand at the right."""
    if not rows:
        return ""
    right = [all(is_number(row[i]) or row[i] is None for row in rows if i < len(row)) for i in range(len(columns))]
    head = "".join(f"<th{_right(right[i])}>{safe(name)}</th>" for i, name in enumerate(columns))
    seen = set(strong)
    lines = []
    for place, row in enumerate(rows):
        cells = "".join(f"<td{_right(right[i])}>{_brief(value, limit)}</td>" for i, value in enumerate(row))
        lines.append(f"<tr{' class=strong' if place in seen else ''}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _right(yes: bool) -> str:
    return ' class="number"' if yes else ""


def _brief(value: Any, limit: int) -> str:
    said = cell(value)
    short = shorten(said, limit)
    return safe(short) if short == said else f'<span title="{safe(said[:2000])}">{safe(short)}</span>'


def _head(page: Page) -> str:
    facts = "".join(f"<li>{safe(fact)}</li>" for fact in page.subtitle)
    parts = [f'<header><h1>{safe(page.title)}</h1><ul class="facts">{facts}</ul></header>'] if page.title else []
    parts += [f'<p class="warning">{safe(line)}</p>' for line in page.warnings]
    if page.verdict:
        first, *rest = page.verdict
        tone = page.tone if page.tone in ("good", "warn", "bad") else "plain"
        more = "".join(f"<p>{safe(line)}</p>" for line in rest)
        said = f'<h2>{_("Verdict")}</h2><p class="headline">{safe(first)}</p>{more}'
        parts.append(f'<section class="verdict {tone}">{said}</section>')
    tiles = []
    for name, given in page.metrics.items():
        value, low, high = as_interval(given)
        span = interval(name, low, high)
        tiles.append(
            f'<div class="tile"><span class="name">{safe(spoken(name))}</span>'
            f'<span class="value">{safe(metric(name, value))}</span><span class="span">{safe(span)}</span></div>'
        )
    if tiles:
        spans = any(as_interval(given)[1] is not None for given in page.metrics.values())
        said = [page.metrics_of] if page.metrics_of else []
        said += [_("Below each number: its 95 % interval.")] if spans else []
        note = f'<p class="note">{safe(" · ".join(said))}</p>' if said else ""
        parts.append(f'<div class="tiles">{"".join(tiles)}</div>{note}')
    return "".join(parts)


def _learning(page: Page) -> str:
    best = best_epoch(page.history)  # None where members differ in it
    if page.best is not None and not several(page.history):
        best = page.best
    mark = None if best is None else (float(best), _("kept: epoch {epoch}", epoch=best))
    return _chapter(_("How it learned"), learning_cards(page.history, mark))


def _found(page: Page) -> str:
    return _chapter(_("What the doctor found"), diagnosis_cards(page.findings, card))


def learning_cards(history: Iterable[Mapping[str, Any]], mark: tuple[float, str] | None) -> list[str]:
    """Training and validation over the epochs, a card for each measure."""
    cards = []
    said = {"train": (_("train"), 0), "valid": (_("validation"), 1)}
    for name, series in charts(history).items():
        members = max(len(lines) for lines in series.values())
        parts = [said.get(part, (spoken(part), place)) for place, part in enumerate(series)]
        shown = {word: lines for (word, _tone), lines in zip(parts, series.values(), strict=True)}
        plot = svg.curves(shown, None, mark, _("epoch"), tones=[tone for _word, tone in parts])
        note = _("One thin line for each of {count} members.", count=members) if members > 1 else ""
        cards.append(card(spoken(name), plot, note=note))
    return cards


def _outcome(page: Page) -> str:
    cards = [card for result in page.results for card in _result(result)]
    return _chapter(_("What came out"), cards)


def _result(result: Result) -> list[str]:
    name = result.name
    if isinstance(result, Classification):
        cards = []
        if len(result.matrix):
            title = name or _("Right and wrong, class by class")
            note = _("Blue: right. Orange: wrong. The deeper, the larger its share of the true class.")
            wide = len(result.matrix) > 16
            cards.append(card(title, svg.confusion(result.matrix, result.labels), wide, note))
        if len(result.probabilities):
            note = _("On the diagonal, a certainty of 80 % is right in 80 % of cases. Grey: how many rows.")
            cards.append(
                card(
                    _("Can its certainty be trusted?"), svg.calibration(result.probabilities, result.correct), note=note
                )
            )
        return [*cards, _mistakes(_("The worst mistakes"), result.mistakes)]
    if isinstance(result, Regression):
        errors = [float(p) - float(t) for t, p in zip(result.true, result.predicted, strict=True)]
        against = svg.scatter(result.true, result.predicted, name)
        return [
            card(_of(name, _("Predicted against true")), against, note=_("A perfect model lies on the dashed line.")),
            card(
                _of(name, _("Errors")),
                svg.histogram(errors, _("predicted minus true")),
                note=_("Best: narrow, and around 0."),
            ),
            _mistakes(_of(name, _("The worst rows")), result.worst),
        ]
    if isinstance(result, Clusters):
        return [card(name or _("Groups"), svg.scatter2d(result.points, result.groups) + _list(result.notes))]
    if isinstance(result, Values):
        return [card(name or _("Values"), svg.histogram(result.values))]
    if isinstance(result, Whole):
        picture = f'<img class="whole" src="{png(result.picture, 1200)}" alt="{safe(result.name)}">'
        return [card(result.name, picture, wide=True, note=result.note)]
    if isinstance(result, Grid):
        return [card(name, grid(result.values, result.rows, result.columns), note=result.note)]
    if isinstance(result, Table):
        return [card(name, table_html(result.columns, result.rows), wide=len(result.columns) > 4)]
    return [card(name or _("Pictures it made"), _gallery(result), wide=True)]


def _of(name: str, title: str) -> str:
    return f"{title} · {name}" if name else title


def _gallery(result: Pictures) -> str:
    captions = [*result.captions, *[""] * len(result.pictures)]
    figures = [figure(p, safe(c)) for p, c in zip(result.pictures[:MOST_PICTURES], captions, strict=False)]
    return f'<div class="gallery">{"".join(figures)}</div>' if figures else ""


def _mistakes(title: str, mistakes: Sequence[Mistake]) -> str:
    """As pictures where there are any, else as rows of a table."""
    if not len(mistakes):
        return ""
    if mistakes[0].picture is not None:
        figures = []
        for mistake in mistakes[:MOST_PICTURES]:
            sure = (
                "" if mistake.probability is None else f' <span class="soft">{100 * mistake.probability:.0f} %</span>'
            )
            lines = f"<b>{_brief(mistake.said, 18)}</b>{sure}"
            lines += f'<br><span class="soft">{_("true:")} {_brief(mistake.true, 18)}</span>'
            figures.append(figure(mistake.picture, lines, _row_number(mistake), mistake.looked))
        note = _("In bold what the model said, and how sure it was.")
        has_looked = any(mistake.looked is not None for mistake in mistakes)
        if has_looked:
            note += " " + _("Beside a picture where it looked for that (Grad-CAM): the brighter, the more.")
        kind = "gallery pairs" if has_looked else "gallery"
        return card(title, f'<div class="{kind}">{"".join(figures)}</div>', wide=True, note=note)
    if any(mistake.words is not None for mistake in mistakes):
        note = _("Red words spoke for what the model said, blue ones against it (integrated gradients).")
        return card(title, mistakes_html([one for one in mistakes if one.words is not None]), wide=True, note=note)
    shown = mistakes[:MOST_ROWS]
    columns = list(dict.fromkeys(key for mistake in shown for key in (mistake.row or {})))[:MOST_COLUMNS]
    sure = any(mistake.probability is not None for mistake in shown)
    placed = any(mistake.number is not None for mistake in shown)
    head = [*([_("row")] if placed else []), _("said"), _("true"), *([_("certainty")] if sure else []), *columns]
    rows = [
        [
            *([m.number] if placed else []),
            m.said,
            m.true,
            *([None if m.probability is None else f"{100 * m.probability:.0f} %"] if sure else []),
            *((m.row or {}).get(column) for column in columns),
        ]
        for m in shown
    ]
    return card(title, table_html(head, rows, limit=28), wide=True)


def _row_number(mistake: Mistake) -> str:
    return "" if mistake.number is None else _("row {number}", number=mistake.number)


def _comparison(page: Page) -> str:
    if not page.baselines:
        return ""
    name = page.baseline_metric
    rows = [(way.name, way.value, way.low, way.high) for way in page.baselines]
    plot = svg.bars_with_intervals(rows, {way.name for way in page.baselines if way.ours}, name)
    head = [_("way"), _("time"), spoken(name) or _("value"), _("95 % interval")]
    lines = [
        [way.name, duration(way.seconds), metric(name, way.value), interval(name, way.low, way.high)]
        for way in page.baselines
    ]
    ours = [place for place, way in enumerate(page.baselines) if way.ours]
    note = _("All on the same rows; lines: 95 % intervals.")
    cards = [card(_("Side by side"), plot, note=note), card(_("What each cost"), table_html(head, lines, ours))]
    return _chapter(_("Against simpler ways"), cards)


def _making(page: Page) -> str:
    cards = [card(_("Data"), _list(page.data))]
    if page.model:
        total = sum(count or 0 for _layer, _shape, count in page.model)
        rows = [[layer, _shape_of(shape), count or None] for layer, shape, count in page.model]
        rows.append([_("total"), "", total])
        head = [_("layer"), _("output"), _("parameters")]
        cards.append(card(_("Model"), table_html(head, rows, [len(rows) - 1])))
    cards.append(card(_("Loss"), f"<p>{safe(page.loss)}</p>" if page.loss else ""))
    cards.append(card(_("Algorithm"), _list(page.algorithm)))
    return _chapter(_("How it was made"), cards)


def _shape_of(shape: Any) -> str:
    return " × ".join(map(cell, shape)) if isinstance(shape, (tuple, list)) else cell(shape)


def _choices(page: Page) -> str:
    parts = []
    if page.profile:
        whole = sum(seconds for _name, seconds in page.profile) or 1.0
        rows = [[name, duration(seconds), f"{100 * seconds / whole:.0f} %"] for name, seconds in page.profile]
        parts.append(_fold(_("Where the time went"), table_html([_("part"), _("time"), _("share")], rows)))
    if page.configuration:
        rows = [[name, value] for name, value in _flat(page.configuration)]
        parts.append(_fold(_("Configuration"), table_html([_("name"), _("value")], rows, limit=120)))
    return "".join(parts)


def _fold(title: str, body: str) -> str:
    return f'<details class="card"><summary>{safe(title)}</summary>{body}</details>'


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Nested values one below the other: `data.rows`."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        rows += (
            _flat(value, f"{before}{name}.") if isinstance(value, Mapping) and value else [(f"{before}{name}", value)]
        )
    return rows


def _foot(_page: Page) -> str:
    return f"<footer>{_('Made by gipi. This page holds everything it shows and fetches nothing.')}</footer>"
