"""What a person sees while a run goes on. Whoever trains tells a display what happens, and does not care which it is.

Terminal (report/terminal.py) draws a bar and a table that change in place; Notebook (report/notebook.py) draws curves;
Plain writes a few lines, for a pipe or a log; Silent says nothing. A display only looks: it draws no random number,
reads a loss only when it draws it, and takes a small share of the time, by the clock.
"""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from gipi.messages import _
from gipi.report import tables
from gipi.report.records import measures
from gipi.report.text import clean, duration, metric, number, sentences, spoken

Row = tuple[str, Any, int | None]  # layer, output shape, parameters


class Display(ABC):
    """What can be told. `with choose() as display: ...` gives the screen back, whatever happens inside.

    Attributes:
        is_watched: Somebody reads it.
    """

    is_watched = True

    @abstractmethod
    def note(self, text: str) -> None:
        """A remark, at any time."""

    @abstractmethod
    def data(self, title: str, lines: Sequence[str]) -> None:
        """What the data is."""

    @abstractmethod
    def model(self, title: str, rows: Sequence[Row], total: int) -> None:
        """What the model is: its layers, and how many parameters it has."""

    @abstractmethod
    def plan(self, lines: Sequence[str | tuple[str, str]]) -> None:
        """The loss and the algorithm; a pair is a name and what is said of it."""

    @abstractmethod
    def begin(self, total_steps: int | None, label: str = "") -> None:
        """A training begins: the only one, or ("fold 2 of 5") one of several."""

    @abstractmethod
    def step(self, step: int, losses: Mapping[str, Any]) -> None:
        """Step number `step`, from 0, is done. Called at each step, so it must cost next to nothing."""

    @abstractmethod
    def epoch(self, record: Mapping[str, Any]) -> None:
        """The numbers of an epoch; report/records.py says what a record is."""

    @abstractmethod
    def end(self, reason: str = "") -> None:
        """This training is over: "done", "early", "zero-loss", or a sentence."""

    @abstractmethod
    def verdict(self, verdict: Any) -> None:
        """The verdict: a string, several, or an object with `.sentences` or `.sentence`."""

    @abstractmethod
    def table(self, title: str, columns: Sequence[str], rows: tables.Rows) -> None:
        """Any table."""

    @abstractmethod
    def work(self, what: str, done: int, total: int | None) -> None:
        """How far something is that takes long before training begins: a large file is read, pictures are decoded."""

    @abstractmethod
    def close(self) -> None:
        """Give the screen back; may be called twice."""

    def __enter__(self):
        return self

    def __exit__(self, *trouble: object) -> None:
        self.close()


def choose(json: bool = False, quiet: bool = False) -> Display:
    """The display for where we are: notebook, terminal, or neither.

    With `json`, standard output belongs to the result, and the display goes to standard error.
    """
    if quiet:
        return Silent()
    if in_notebook():
        from gipi.report.notebook import Notebook

        return Notebook()
    stream = sys.stderr if json else sys.stdout
    if stream is not None and stream.isatty():
        from gipi.report.terminal import Terminal

        return Terminal(stream)
    return Plain(stream) if stream is not None else Silent()


def in_notebook() -> bool:
    """Whether an IPython kernel (Jupyter, VS Code, Colab) runs this; IPython in a terminal is a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython and hasattr(ipython, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


class Silent(Display):
    """Says nothing."""

    is_watched = False

    def note(self, text: str) -> None: ...

    def data(self, title: str, lines: Sequence[str]) -> None: ...

    def model(self, title: str, rows: Sequence[Row], total: int) -> None: ...

    def plan(self, lines: Sequence[str | tuple[str, str]]) -> None: ...

    def begin(self, total_steps: int | None, label: str = "") -> None: ...

    def step(self, step: int, losses: Mapping[str, Any]) -> None: ...

    def epoch(self, record: Mapping[str, Any]) -> None: ...

    def end(self, reason: str = "") -> None: ...

    def verdict(self, verdict: Any) -> None: ...

    def table(self, title: str, columns: Sequence[str], rows: tables.Rows) -> None: ...

    def work(self, what: str, done: int, total: int | None) -> None: ...

    def close(self) -> None: ...


class Plain(Display):
    """A few lines of plain text: of the epochs the first, then one every few seconds, and the last.

    Args:
        stream: Where to.
        pause: Seconds between two epochs that are written.
    """

    def __init__(self, stream: TextIO, pause: float = 10.0):
        self.stream = Tolerant(stream)
        self.pause = pause
        self.label = ""
        self.written = -1e9
        self.worked = 0.0
        self.began = 0.0
        self.waiting: Mapping[str, Any] | None = None
        self.steps = 0

    def note(self, text: str) -> None:
        self._say(text)

    def data(self, title: str, lines: Sequence[str]) -> None:
        self._say(_("data: {title}", title=title), *(f"  {line}" for line in lines))

    def model(self, title: str, rows: Sequence[Row], total: int) -> None:
        self._say(_("model: {title}, {count} parameters", title=title, count=number(total)))
        held = tables.plain_lines("", *model_table(rows)) if rows else []
        self._say(*(f"  {line}" for line in held))

    def plan(self, lines: Sequence[str | tuple[str, str]]) -> None:
        self._say(*(line if isinstance(line, str) else ": ".join(line) for line in lines))

    def begin(self, total_steps: int | None, label: str = "") -> None:
        self.label, self.waiting, self.steps = label, None, 0
        self.began = time.perf_counter()

    def step(self, step: int, losses: Mapping[str, Any]) -> None:
        self.steps = step + 1

    def epoch(self, record: Mapping[str, Any]) -> None:
        now = time.perf_counter()
        self.waiting = record
        if now - self.written >= self.pause:
            self.written, self.waiting = now, None
            self._say(epoch_line(record, self.label))

    def end(self, reason: str = "") -> None:
        if self.waiting is not None:
            self._say(epoch_line(self.waiting, self.label))
        self.waiting = None
        self._say(ending(self.label, self.steps, time.perf_counter() - self.began, reason))

    def verdict(self, verdict: Any) -> None:
        for place, line in enumerate(sentences(verdict)):
            self._say(_("verdict: {said}", said=line) if place == 0 else f"  {line}")

    def table(self, title: str, columns: Sequence[str], rows: tables.Rows) -> None:
        self._say(*tables.plain_lines(title, columns, rows))

    def work(self, what: str, done: int, total: int | None) -> None:
        now = time.perf_counter()
        self.worked = self.worked or now  # what is done within the first pause is not worth a line
        if total and done < total and now - self.worked >= self.pause:
            self.worked = now
            self._say(_("{what}: {share} %", what=what, share=100 * done // total))

    def close(self) -> None:
        self.stream.flush()

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.stream.write(clean(line) + "\n")
        self.stream.flush()


class Tolerant:
    """A stream that outlives its reader: a closed pipe stops the words, not the training."""

    def __init__(self, stream: TextIO):
        self.stream = stream
        self.is_open = True

    def write(self, text: str) -> int:
        if self.is_open:
            try:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError:
                    code = self.encoding or "ascii"
                    self.stream.write(text.encode(code, "replace").decode(code))
            except (OSError, ValueError):  # broken pipe, full disk, closed file
                self.is_open = False
        return len(text)

    def flush(self) -> None:
        if self.is_open:
            try:
                self.stream.flush()
            except (OSError, ValueError):
                self.is_open = False

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "ascii"


class Pace:
    """When to draw again: not more often than `interval`, and never for more than `share` of the time.

    `due` is asked at each step, so it looks at the clock at each eighth step only, unless steps are slow.
    """

    def __init__(self, interval: float, share: float = 0.02):
        self.interval = interval
        self.share = share
        self.skip = 1
        self.looked = self.next = time.perf_counter()

    def due(self) -> bool:
        self.skip -= 1
        if self.skip > 0:
            return False
        now = time.perf_counter()
        self.skip = 8 if now - self.looked < 0.02 else 1
        self.looked = now
        return now >= self.next

    def drew(self, began: float) -> None:
        """A drawing that began then is finished."""
        now = time.perf_counter()
        self.next = now + max(self.interval, (now - began) / self.share)


class Progress:
    """Where a training stands: steps, their rate over the last seconds, and the losses drawn so far."""

    def __init__(self, total: int | None, label: str):
        self.total = total
        self.label = label
        self.done = 0
        self.first: int | None = None
        self.losses: Mapping[str, Any] = {}
        self.drawn: list[tuple[float, float]] = []
        self.records: list[Mapping[str, Any]] = []
        self.rate = 0.0
        self.began = self.seen_at = time.perf_counter()
        self.seen = 0

    def look(self) -> None:
        """Read the losses and the clock; the one place where a number is fetched from its device."""
        now = time.perf_counter()
        if self.losses:
            values = [value_of(loss) for loss in self.losses.values()]
            self.drawn = [*self.drawn[-199:], (self.done, sum(values) / len(values))]
        if self.first is None or now <= self.seen_at:
            return
        since = max(self.seen, self.first)
        rate = (self.done - since) / (now - self.seen_at)
        old = 0.5 ** ((now - self.seen_at) / 3.0)  # what was seen three seconds ago counts half
        self.rate = rate if not self.rate else old * self.rate + (1 - old) * rate
        self.seen, self.seen_at = self.done, now

    def left(self) -> float | None:
        """Seconds until the last step, if nothing ends it earlier."""
        if not self.total or self.rate <= 0:
            return None
        return max(0, self.total - self.done) / self.rate


def value_of(loss: Any) -> float:
    """A loss as a number; several members' losses as their mean."""
    return float(loss.mean()) if getattr(loss, "ndim", 0) else float(loss)


def model_table(rows: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the table of layers."""
    shaped = [
        [layer, " × ".join(map(str, shape)) if isinstance(shape, (tuple, list)) else str(shape), count or None]
        for layer, shape, count in rows
    ]
    return [_("layer"), _("output"), _("parameters")], shaped


def epoch_line(record: Mapping[str, Any], label: str = "") -> str:
    """An epoch on one line: `epoch 3  loss train 0.12 valid 0.2  accuracy valid 97.1 %  4.2 s`."""
    parts = [label] if label else []
    parts.append(_("epoch {number}", number=record.get("epoch", record.get("step", "–"))))
    words = {"train": _("train"), "valid": _("valid")}
    for measure, found in measures(record).items():
        said = {words.get(part) or spoken(part): metric(measure, value) for part, value in found.items()}
        values = " ".join(f"{part} {value}".strip() for part, value in said.items())
        parts.append(f"{spoken(measure)} {values}")
    if (seconds := record.get("seconds")) is not None:
        parts.append(duration(seconds))
    return "  ".join(parts)


def ending(label: str, steps: int, seconds: float, reason: str) -> str:
    """How a training ended, in one line."""
    said = _("{steps} steps in {time}", steps=number(steps), time=duration(seconds))
    known = {
        "early": _("stopped early: validation does not improve any more"),
        "zero-loss": _("stopped: the loss is zero, nothing is left to learn"),
        "time": _("stopped: the time is up"),
        "done": "",
    }
    if label and reason == "early":  # one of several, on one line
        known["early"] = _("stopped early")
    why = known.get(reason, reason)
    return "".join((f"{label}: " if label else "", said, f" · {why}" if why else ""))
