"""A model behind the server: it makes rows ready, answers them together, and knows how many at once suit it.

Whether its answers are computed where requests are read, or beside it in a thread, is found by measuring before anybody
asks: a small network answers in less time than it takes to wake a thread.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gipi.data.schema import MISSING
from gipi.data.tokenizers import tokenizer_of
from gipi.errors import DataError, RunError, UsageError
from gipi.messages import _
from gipi.release.described import ANY_SIZE
from gipi.server.row_types import WHOLE, WRITING

Array = np.ndarray
Said = dict[str, Any]

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # rows at once that are measured
LONGEST = 0.004  # seconds that a batch may take: who comes in meanwhile waits, and is read in the same time
AT_ONCE = 0.002  # seconds up to which a batch is computed where requests are read
MOST_NUMBERS = 1 << 22  # that go in at once
TRIES = 3
GAP, MOST_GAPS = "[MASK]", 64  # of a text to be filled in
USUAL = (DataError, UsageError, RunError, ValueError)  # what is wrong with a row; the first three have our sentences


@dataclass(frozen=True)
class Given:
    """A row that the task reads as it came.

    Attributes:
        row: It.
        size: Its letters.
    """

    row: Said
    size: int

    @property
    def nbytes(self) -> int:
        return 64 * self.size  # a text takes a few numbers for each letter, on its way


@dataclass
class Engine:
    """A model that answers requests.

    Attributes:
        name: How requests call it.
        model: `Model` or `Program`.
        examples: The inputs that the bundle was kept with: rows that it can surely answer.
        batch: Rows at once.
        is_quick: A batch takes no longer than `AT_ONCE`.
        seconds: What a full batch takes.
        alone: What a row takes that is answered alone.
        size: Numbers, or tokens, in a row that was measured.
    """

    name: str
    model: Any
    examples: Any
    batch: int = 1
    is_quick: bool = True
    seconds: float = 0.0
    alone: float = 0.0
    size: int = 0
    categories: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        fields = [one for one in self.model.schema.inputs if one.kind == "category"]
        self.categories = [(place - len(fields), one.name) for place, one in enumerate(fields)]

    def ready(self, row: Any, start: int = 0) -> tuple[Any, list[str]]:
        """A row made ready, and what is to be said of it; `start` rows stand before it.

        Raises:
            DataError: A value cannot be read.
        """
        if self.model.task in WHOLE:
            return self._given(row), []
        ready = self.model.ready(row, start)
        return ready, self._warnings(row, ready)

    def ready_all(self, rows: list[Any], start: int = 0) -> list[tuple[Any, list[str]]]:
        """As `ready`, rows of a table together.

        Raises:
            DataError: A value of one of them cannot be read.
        """
        if self.model.task in WHOLE:
            return [(self._given(row), []) for row in rows]
        found = self.model.ready_all(rows, start)
        return [(ready, self._warnings(row, ready)) for row, ready in zip(rows, found, strict=True)]

    def _given(self, row: Said) -> Given:
        """A row as it came; a missing text says nothing.

        Raises:
            DataError: It has too many gaps, each of which is looked at by itself.
        """
        full = {name: "" if value is None else value for name, value in row.items()}
        texts = [value for value in full.values() if isinstance(value, str)]
        if self.model.task == "fill" and (came := sum(text.count(GAP) for text in texts)) > MOST_GAPS:
            raise DataError(_("the text has {came} gaps; the most is {most}", came=came, most=MOST_GAPS))
        return Given(full, sum(map(len, texts)))

    def _warnings(self, row: Any, ready: Array) -> list[str]:
        """What is to be said of a row: words that no training row had, a text that was not read to its end."""
        if self.model.schema.is_text:
            return self._cut(row, ready)
        if not self.categories or ready.ndim != 1 or ready[self.categories[0][0] :].all():
            return []
        unknown = [name for place, name in self.categories if not ready[place] and row.get(name) not in (None, MISSING)]
        return [
            _(
                "column '{name}': the value was not among the training rows: {value}",
                name=name,
                value=str(row[name])[:60],
            )
            for name in unknown
        ]

    def _cut(self, row: Any, ready: Array) -> list[str]:
        """Whether a text was too long."""
        inputs = self.model.schema.inputs
        most = inputs[0].shape[0]
        if ready.size < most:
            return []
        tokenizer = tokenizer_of(inputs[0].tokenizer)
        count = 1 + sum(len(tokenizer.encode(row[field.name] or "")) + 1 for field in inputs)
        if count <= most:
            return []
        return [_("the text has {count} tokens; the model reads {most} of them", count=count, most=most)]

    def shape_of(self, ready: Any) -> tuple[int, ...]:
        """Rows of one shape are answered together: of texts those that are about as long, as the shorter are padded."""
        return (1 << max(0, ready.size - 1).bit_length(),) if self.model.schema.is_text else ready.shape

    def room_for(self, shape: tuple[int, ...]) -> int:
        """How many rows of a shape are answered at once: of longer texts than were measured fewer."""
        longer = max(1, shape[0] // max(1, self.size)) if self.model.schema.is_text else 1
        return max(1, self.batch // longer)

    def run(self, ready: list[Any]) -> list[Said]:
        """The answers to rows that were made ready; a row that cannot be answered has an error in its place.

        One row may spoil the answer to all (a picture that makes the program fail), so they are then asked one by one.
        """
        try:
            if self.model.task in WHOLE:
                answers = self.model.predict([one.row for one in ready])
            else:
                answers = self.model.answered(ready)
        except (*USUAL, ArithmeticError, MemoryError, RuntimeError) as error:
            if len(ready) == 1:
                return [{"error": said_of(error)}]
            return [self.run([row])[0] for row in ready]
        return [answer if is_finite(answer) else {"error": _not_finite()} for answer in answers]

    def settle(self, batch: int | None = None) -> None:
        """Answer some examples, so that the first person waits no longer than others, and measure how many suit it."""
        if self.model.task in WRITING:  # it answers token by token, see telling.py
            self.is_quick = False
            if self.examples is not None:
                self.model.predict(self.examples[:1])
            return
        examples = self._made_ready()
        if not examples:
            return
        sizes = [batch] if batch else [n for n in SIZES if n * examples[0].size <= MOST_NUMBERS]
        if self.model.task in ANY_SIZE:
            sizes = [1]
        for size in sizes or [1]:
            rows = [examples[place % len(examples)] for place in range(size)]
            seconds = min(self._timed(rows) for _try in range(TRIES))
            if size > 1 and not batch and seconds > LONGEST:
                break
            self.batch, self.seconds, self.size = size, seconds, examples[0].size
            self.alone = self.alone or seconds
        slowest = max(self.seconds, self._longest(examples[0]))
        self.is_quick = slowest <= AT_ONCE

    def _longest(self, example: Any) -> float:
        """Seconds that the longest text takes that the model reads."""
        if not self.model.schema.is_text or self.model.task in WHOLE:
            return 0.0
        row = np.resize(example, self.model.schema.inputs[0].shape)
        return min(self._timed([row]) for _try in range(TRIES))

    def _made_ready(self) -> list[Any]:
        """Examples of one shape, so that they go in together; of texts the longest."""
        given: list[Any] = [] if self.examples is None else self.examples
        if self.model.task == "generate":
            given = [np.append(noise, np.float32(0)) for noise in given]
        if self.model.task == "fill":
            given = [{name: f"{text} {GAP}" for name, text in row.items()} for row in given]
        rows = [self.ready(row)[0] for row in given]
        if self.model.schema.is_text:
            return sorted(rows, key=lambda row: row.size)[-1:]
        return [row for row in rows if row.shape == rows[0].shape]

    def _timed(self, rows: list[Any]) -> float:
        start = time.perf_counter()
        self.run(rows)
        return time.perf_counter() - start


def is_finite(value: Any) -> bool:
    """Whether all numbers of an answer are numbers."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is dict:
        return all(map(is_finite, value.values()))
    if kind is list:
        return all(map(is_finite, value))
    return True


def is_failure(answer: Said) -> bool:
    """Whether this stands for a row that has no answer; a target may have the name `error` too."""
    return type(answer.get("error")) is str


def _not_finite() -> str:
    return _("the answer is no finite number: the values of this row are too far from those that the model has learned")


def said_of(error: BaseException) -> str:
    """An error as a sentence for a stranger: ours as it is, others by a general one: they may quote what is inside."""
    if isinstance(error, DataError | UsageError):
        return " ".join(str(error).split())[:500]
    return _("this row could not be computed")
