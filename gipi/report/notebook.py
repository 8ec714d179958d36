"""The display of a notebook: facts, then a bar, curves and the last epochs' numbers in one cell that is drawn anew.

IPython is there, or nobody would have chosen this display; nothing else is needed, and no script runs in the page.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gipi.messages import _
from gipi.report import svg, tables
from gipi.report.canvas import STYLE, safe
from gipi.report.display import Display, Pace, Progress, Row, ending, epoch_line, model_table
from gipi.report.html import card, html, learning_cards, table_html, write_report
from gipi.report.page import Page
from gipi.report.records import best_epoch, measures
from gipi.report.style import SHEET
from gipi.report.text import clock, number, sentences, spoken, steady

LAST = 5  # epochs in the table


class Notebook(Display):
    """Draws in a notebook's cell, at most twice a second."""

    def __init__(self) -> None:
        self.progress = Progress(None, "")
        self.pace = Pace(0.5, 0.05)
        self.cell: Any = None  # what can be drawn anew while a training goes on
        self.ended = ""
        self.working: Any = None  # what is drawn anew before training begins

    def note(self, text: str) -> None:
        self._show(f'<p class="note">{safe(text)}</p>')

    def data(self, title: str, lines: Sequence[str]) -> None:
        self._facts(_("data"), title, "".join(f"<li>{safe(line)}</li>" for line in lines), "ul")

    def model(self, title: str, rows: Sequence[Row], total: int) -> None:
        said = f"{title} · {_('{count} parameters', count=number(total))}"
        self._facts(_("model"), said, table_html(*model_table(rows)), "div")

    def plan(self, lines: Sequence[str | tuple[str, str]]) -> None:
        pairs = [("", line) if isinstance(line, str) else line for line in lines]
        said = "".join(f"<p>{f'<b>{safe(name)}</b> ' if name else ''}{safe(text)}</p>" for name, text in pairs)
        self._show(f'<section class="card">{said}</section>')

    def work(self, what: str, done: int, total: int | None) -> None:
        if self.working is not None and total and done < total and not self.pace.due():
            return
        from IPython.display import HTML  # type: ignore[import-not-found]

        began = time.perf_counter()
        share = 100 * done // (total or done or 1)
        said = f'<p class="note">{safe(_("{what}: {share} %", what=what, share=share))}</p>'
        if self.working is None:
            self.working = self._show(said)
        else:
            self.working.update(HTML(_framed(said)))
        self.pace.drew(began)

    def begin(self, total_steps: int | None, label: str = "") -> None:
        self.progress, self.ended = Progress(total_steps, label), ""
        self.cell = self._show(self._body())
        self.pace = Pace(0.5, 0.05)

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
        self._draw()
        self.cell = None

    def verdict(self, verdict: Any) -> None:
        lines = sentences(verdict)
        if lines:
            more = "".join(f"<p>{safe(line)}</p>" for line in lines[1:])
            head = f'<h2>{_("Verdict")}</h2><p class="headline">{safe(lines[0])}</p>'
            self._show(f'<section class="verdict">{head}{more}</section>')

    def table(self, title: str, columns: Sequence[str], rows: tables.Rows) -> None:
        self._show(card(title, table_html(columns, rows)))

    def close(self) -> None:
        if self.cell is not None:
            self._draw()
            self.cell = None

    def _show(self, body: str) -> Any:
        from IPython.display import HTML, display  # type: ignore[import-not-found]

        return display(HTML(_framed(body)), display_id=True)

    def _draw(self) -> None:
        if self.cell is not None:
            from IPython.display import HTML  # type: ignore[import-not-found]

            began = time.perf_counter()
            self.progress.look()
            self.cell.update(HTML(_framed(self._body())))
            self.pace.drew(began)

    def _facts(self, name: str, title: str, body: str, tag: str) -> None:
        head = f"<summary>{safe(name)} <span class='soft'>{safe(title)}</span></summary>"
        self._show(f'<details class="card" open>{head}<{tag}>{body}</{tag}></details>')

    def _body(self) -> str:
        progress = self.progress
        best = best_epoch(progress.records)
        mark = None if best is None else (float(best), _("best so far: epoch {epoch}", epoch=best))
        if len(progress.records) < 2 and len(progress.drawn) > 1:
            loss = {_("train"): list(progress.drawn)}
            cards = [card(_("loss"), svg.curves(loss, None, x_label=_("step")))]
        else:
            cards = learning_cards(progress.records, mark)[:4]
        return f'{self._bar()}<div class="cards">{"".join(cards)}</div>{epochs_html(progress.records)}'

    def _bar(self) -> str:
        progress = self.progress
        if self.ended:
            return f'<p class="note">{safe(self.ended)}</p>'
        said = [progress.label] if progress.label else []
        if progress.total:
            said.append(f"{100 * progress.done / progress.total:.0f} %")
        if progress.rate:
            said.append(_("{rate} steps/s", rate=number(progress.rate, 3)))
        if (left := progress.left()) is not None:
            said.append(_("{time} left", time=clock(left)))
        share = min(1.0, progress.done / progress.total) if progress.total else 0.0
        line = f'<progress max="1" value="{share:.4f}"></progress>' if progress.total else ""
        return f'<p class="note">{line} {safe("  ·  ".join(said))}</p>'


class Curves:
    """The curves of a finished run: shows itself in a notebook; `save` makes a page of it for elsewhere.

    Args:
        history: The records of its epochs.
    """

    def __init__(self, history: Sequence[Mapping[str, Any]]):
        self.history = list(history)

    def _repr_html_(self) -> str:
        return html(Page("", history=self.history))

    def save(self, path: str | Path) -> Path:
        """Write the curves as a page that needs nothing else."""
        return write_report(path, Page(_("Curves"), history=self.history))

    def __repr__(self) -> str:
        last = epoch_line(self.history[-1]) if self.history else _("Nothing was recorded.")
        return f"Curves({last})"


def epochs_html(records: Sequence[Mapping[str, Any]]) -> str:
    """The last epochs, training and validation side by side."""
    if not records:
        return ""
    found = [(record, measures(record)) for record in records[-LAST:]]
    heads = list(dict.fromkeys((m, p) for _record, parts in found for m, named in parts.items() for p in named))
    words = {"train": _("train"), "valid": _("valid")}
    columns = [_("epoch"), *(f"{spoken(m)} {words.get(p) or spoken(p)}".strip() for m, p in heads)]
    rows = [
        [record.get("epoch"), *(steady(m, parts[m][p]) if p in parts.get(m, {}) else None for m, p in heads)]
        for record, parts in found
    ]
    return card("", table_html(columns, rows))


def _framed(body: str) -> str:
    return f'<div class="gipi inside"><style>{STYLE}{SHEET}</style>{body}</div>'
