"""How far a long piece of work on rows is: a line that changes in place on a terminal, a few plain lines elsewhere."""

import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gipi.messages import _
from gipi.report.display import Pace, Tolerant
from gipi.report.text import clean, clock, number, width

PAUSE = 10.0  # seconds between two plain lines
NARROWEST, WIDEST = 6, 40  # columns of the bar


class RowsBar:
    """Told after each piece how many rows are done, and what share of the file.

    Args:
        stream: Where to; None says nothing.
        console: rich's own, for tests.
    """

    def __init__(self, stream: TextIO | None, console: Console | None = None):
        self.console = console or (Console(file=Tolerant(stream), highlight=False) if stream else None)  # type: ignore
        is_drawn = self.console is not None and self.console.is_terminal
        self.live = Live(console=self.console, auto_refresh=False, transient=True) if is_drawn else None
        self.pace = Pace(0.1)
        self.said = time.perf_counter()
        self.first: tuple[int, float, float] | None = None  # rows, share and time when it was told for the first time

    def __enter__(self) -> "RowsBar":
        return self

    def __exit__(self, *trouble: object) -> None:
        self.close()

    def at(self, rows: int, share: float) -> None:
        """So many rows are done, and this share of all."""
        now = time.perf_counter()
        if self.first is None:
            self.first = (rows, share, now)
            if self.live is not None:
                self.live.start()
        if self.live is not None:
            if self.pace.due():
                self.live.update(self._drawn(rows, share, now), refresh=True)
                self.pace.drew(now)
        elif now - self.said >= PAUSE:
            self.said = now
            self.note("  ".join(self._words(rows, share, now)))

    def note(self, text: str) -> None:
        """A sentence, above what is drawn."""
        if self.console is not None:
            self.console.print(Text(clean(text)), soft_wrap=self.live is None)

    def close(self) -> None:
        """Give the screen back."""
        if self.live is not None:
            self.live.stop()

    def _words(self, rows: int, share: float, now: float) -> list[str]:
        """How far, and once there is something to tell it by, how fast and how long still."""
        assert self.first is not None
        said = [f"{100 * share:3.0f} %", _("{count} rows", count=number(rows))]
        rows_before, share_before, began = self.first
        if share > share_before and (spent := now - began) > 0.5:
            said.append(_("{rate} rows/s", rate=number(round((rows - rows_before) / spent))))
            said.append(_("{time} left", time=clock(spent * (1 - share) / (share - share_before))))
        return said

    def _drawn(self, rows: int, share: float, now: float) -> Text:
        assert self.console is not None
        said, columns = self._words(rows, share, now), self.console.width - 1
        while len(said) > 1 and width("  ".join(said)) > columns:
            said.pop(1)
        tail = "  ".join(said)
        room = min(WIDEST, columns - width(tail) - 2)
        line = Text(no_wrap=True, overflow="crop")
        if room >= NARROWEST:
            sign, rest = ("━", "━") if "utf" in (self.console.encoding or "").lower() else ("#", "-")
            full = round(share * room)
            line.append(sign * full, "cyan").append(rest * (room - full), "bright_black").append("  ")
        return line.append(tail)
