"""The display of a terminal, by rich: facts first, then a bar and the last epochs' numbers that change in place.

No thread draws: the steps themselves do, at most ten times a second, so what is drawn never races with training.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gipi.messages import _
from gipi.report import tables
from gipi.report.display import Display, Pace, Progress, Row, Tolerant, ending, model_table
from gipi.report.records import measures
from gipi.report.text import clean, clock, metric, number, pad, sentences, shorten, spoken, steady, width

LAST = 6  # epochs in the table
SPARKS = "▁▂▃▄▅▆▇█"
WIDEST = 110  # columns; longer lines are hard to read


class Terminal(Display):
    """Draws on a terminal.

    Args:
        stream: The terminal.
        console: rich's own, for tests.
    """

    def __init__(self, stream: TextIO | None = None, console: Console | None = None):
        if console is None:
            assert stream is not None
            console = Console(file=Tolerant(stream), highlight=False)  # type: ignore[arg-type]
        self.console = console
        self.live: Live | None = None
        self.pace = Pace(0.1)
        self.progress = Progress(None, "")
        self.ended = ""
        self.working: Live | None = None  # what is drawn before training begins
        self.line = Progress(None, "")

    def note(self, text: str) -> None:
        if self.live is None:
            self._facts("", [Text(clean(text), "dim")])
        else:  # above what is drawn
            self.console.print(Text(clean(text), "dim"))

    def data(self, title: str, lines: Sequence[str]) -> None:
        self._facts(_("data"), [Text(clean(title), "bold"), *(Text(clean(line)) for line in lines)])

    def model(self, title: str, rows: Sequence[Row], total: int) -> None:
        head = Text.assemble((clean(title), "bold"), (f"  {_('{count} parameters', count=number(total))}", "dim"))
        lines = tables.plain_lines("", *model_table(rows)) if rows else []
        body = [
            Text(line, "dim" if place == 0 else "", no_wrap=True, overflow="ellipsis")
            for place, line in enumerate(lines)
        ]
        self._facts(_("model"), [head, *body])

    def plan(self, lines: Sequence[str | tuple[str, str]]) -> None:
        for line in lines:
            name, said = ("", line) if isinstance(line, str) else line
            self._facts(name, [Text(clean(said))])

    def begin(self, total_steps: int | None, label: str = "") -> None:
        self._stop()
        self.progress, self.ended = Progress(total_steps, clean(label)), ""
        self.live = Live(
            console=self.console,
            auto_refresh=False,
            get_renderable=self._render,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),  # a pipe gets what is printed to it
            redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
            vertical_overflow="crop",
        )
        self.live.start()
        self.pace = Pace(0.1)

    def step(self, step: int, losses: Mapping[str, Any]) -> None:
        progress = self.progress
        progress.done = step + 1
        progress.losses = losses
        if progress.first is None:
            progress.first = step
        if self.pace.due():
            self._draw()

    def epoch(self, record: Mapping[str, Any]) -> None:
        self.progress.records.append(record)
        if self.pace.due():
            self._draw()

    def end(self, reason: str = "") -> None:
        progress = self.progress
        steps = progress.done - (progress.first or 0)
        self.ended = ending(progress.label, steps, time.perf_counter() - progress.began, reason)
        self._stop()

    def verdict(self, verdict: Any) -> None:
        self._stop()
        lines = sentences(verdict)
        if not lines:
            return
        body = Text(clean(lines[0]), "bold")
        for line in lines[1:]:
            body.append("\n" + clean(line), "not bold")
        title = Text(_("verdict"), "bold cyan")
        self.console.print(Panel(body, title=title, title_align="left", border_style="cyan", width=self._width()))

    def table(self, title: str, columns: Sequence[str], rows: tables.Rows) -> None:
        self._stop()
        self.console.print(tables.rich_table(title, columns, rows))

    def work(self, what: str, done: int, total: int | None) -> None:
        if self.working is None or self.line.label != clean(what):
            self._stop()
            self.line = Progress(total, clean(what))
            self.working = Live(
                console=self.console, auto_refresh=False, get_renderable=self._work_line, transient=True
            )
            self.working.start()
        self.line.done = done
        if total and done >= total:
            self._stop()
        elif self.pace.due():
            began = time.perf_counter()
            self.working.refresh()
            self.pace.drew(began)

    def _work_line(self) -> Text:
        line, spent = self.line, time.perf_counter() - self.line.began
        share = min(1.0, line.done / line.total) if line.total else 0.0
        full = round(40 * share)
        left = _("{time} left", time=clock(spent / share - spent)) if share > 0.01 else ""
        signs = "#-" if self._is_plain() else "━━"
        bars = ((signs[0] * full, "cyan"), (signs[1] * (40 - full), "bright_black"))
        name = shorten(line.label, max(4, self._width() - 65))
        return Text.assemble((name + "  ", "bold"), *bars, f"  {100 * share:3.0f} %  {left}", no_wrap=True)

    def close(self) -> None:
        self._stop()

    def _stop(self) -> None:
        """Leave what is drawn where it is, and give the cursor back."""
        working, self.working = self.working, None
        if working is not None:
            working.stop()
        live, self.live = self.live, None
        if live is not None:
            self.progress.look()
            live.stop()

    def _draw(self) -> None:
        if self.live is not None:
            began = time.perf_counter()
            self.progress.look()
            self.live.refresh()
            self.pace.drew(began)

    def _width(self) -> int:
        return min(self.console.width, WIDEST)

    def _facts(self, name: str, lines: Sequence[Text]) -> None:
        """A name at the left, what is said of it at the right."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=min(11, max(4, self.console.width // 5)), style="bold cyan")
        grid.add_column(overflow="fold")
        grid.add_row(Text(clean(name)), Group(*lines))
        self.console.print(grid, width=self._width())

    def _render(self) -> Group:
        if self.ended:
            return self._finished()
        lines = epoch_table(self.progress.records, self._width())
        return Group(*lines, bar(self.progress, self._width(), self._is_plain()))

    def _finished(self) -> Group:
        records = self.progress.records
        if not self.progress.label:
            return Group(*epoch_table(records, self._width()), Text(self.ended, "green"))
        kept = [record for record in records if record.get("is_best")] or records  # one of several: a line is enough
        found = measures(kept[-1]) if kept else {}
        numbers = [f"{spoken(name)} {metric(name, p['valid'])}" for name, p in found.items() if "valid" in p]
        return Group(Text.assemble((self.ended, "green"), "  " + "  ".join(numbers[:3])))

    def _is_plain(self) -> bool:
        return "utf" not in (self.console.encoding or "").lower()


def bar(progress: Progress, columns: int, plain: bool = False) -> Text:
    """How far, how fast, how long still; then the loss, and its way down."""
    share = min(1.0, progress.done / progress.total) if progress.total else None
    said = []
    if share is not None:
        said.append(f"{100 * share:3.0f} %")
    else:
        said.append(_("step {number}", number=number(progress.done)))
    if progress.rate:
        said.append(_("{rate} steps/s", rate=number(progress.rate, 3)))
    if (left := progress.left()) is not None:
        said.append(_("{time} left", time=clock(left)))
    tail = "  ".join(said)
    head = shorten(progress.label, 18)
    room = columns - width(tail) - width(head) - 4
    line = Text(no_wrap=True, overflow="crop")
    if head:
        line.append(head + "  ", "bold")
    if share is not None and room >= 6:
        room = min(room, 50)
        full = round(share * room)
        line.append(("#" if plain else "━") * full, "cyan")
        line.append(("-" if plain else "━") * (room - full), "bright_black")
        line.append("  ")
    line.append(tail)
    if progress.drawn:
        loss = number(progress.drawn[-1][1])
        line.append("\n" + _("loss {value}", value=loss), "dim")
        if not plain:
            line.append("  " + sparkline([y for _x, y in progress.drawn], min(40, columns - 20)), "cyan")
    return line


def sparkline(values: Sequence[float], columns: int) -> str:
    """The way of a number over time in a row of letters; what is not finite is left out."""
    held = [value for value in values if value - value == 0][-columns:]
    if len(held) < 2:
        return ""
    low, high = min(held), max(held)
    if high == low:
        return SPARKS[0] * len(held)
    return "".join(SPARKS[min(7, int((value - low) / (high - low) * 8))] for value in held)


def epoch_table(records: Sequence[Mapping[str, Any]], columns: int) -> list[Text]:
    """The last epochs, training and validation side by side; the best one is kept in view and marked."""
    if not records:
        return []
    best = next((i for i in range(len(records) - 1, -1, -1) if records[i].get("is_best")), None)
    shown = list(range(max(0, len(records) - LAST), len(records)))
    if best is not None and best not in shown:
        shown = [best, *shown[1:]]
    found = [measures(records[i]) for i in shown]
    heads: list[tuple[str, str]] = []
    for measure in dict.fromkeys(name for parts in found for name in parts):
        heads += [(measure, part) for part in dict.fromkeys(p for parts in found for p in parts.get(measure, {}))]
    words = {"train": _("train"), "valid": _("valid")}
    cells = [[steady(m, parts[m][p]) if p in parts.get(m, {}) else "" for m, p in heads] for parts in found]
    named = [str(records[i].get("epoch", records[i].get("step", i + 1))) for i in shown]
    below = [words.get(part) or spoken(part) for _measure, part in heads]
    first = max(width(_("epoch")), *map(len, named)) + 2  # the mark of the best takes two
    widths = [max(width(below[k]), *(width(line[k]) for line in cells)) for k in range(len(heads))]
    spans = _spans(heads, widths)
    while spans and first + sum(2 + wide for _name, _cells, wide in spans) > columns:
        spans.pop()
    top, middle = " " * first, pad(_("epoch"), first)
    rows = [pad(("★ " if i == best else "  ") + name, first) for i, name in zip(shown, named, strict=True)]
    for name, places, wide in spans:
        top += "  " + pad(shorten(spoken(name), wide), wide)
        middle += "  " + pad("  ".join(pad(below[k], widths[k], True) for k in places), wide)
        for line, values in enumerate(cells):
            rows[line] += "  " + pad("  ".join(pad(values[k], widths[k], True) for k in places), wide)
    styles = ["bold" if i == best else "" for i in shown]
    lines = [Text(top.rstrip(), "dim"), Text(middle.rstrip(), "dim")]
    return [*lines, *(Text(row.rstrip(), style) for row, style in zip(rows, styles, strict=True))]


def _spans(heads: Sequence[tuple[str, str]], widths: list[int]) -> list[tuple[str, list[int], int]]:
    """A measure, the places of its parts, and how wide they are together."""
    spans = []
    for measure in dict.fromkeys(name for name, _part in heads):
        places = [k for k, (name, _part) in enumerate(heads) if name == measure]
        wide = sum(widths[k] for k in places) + 2 * (len(places) - 1)
        if (missing := min(width(spoken(measure)), 16) - wide) > 0:
            widths[places[0]] += missing
            wide += missing
        spans.append((measure, places, wide))
    return spans
