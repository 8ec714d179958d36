"""Models that write: token by token, several texts at a time, each as fast as the machine has time for it.

A token is a short piece of work in one thread. Who writes comes to the end of its line after each piece, so ten texts
grow side by side, and whoever leaves is written for no longer. There may only be so many at once: who comes later is
told to come back.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gipi import tasks
from gipi.messages import _, language, use
from gipi.server.batches import FullError
from gipi.server.counts import Count
from gipi.server.engine import USUAL, Engine, Said, said_of
from gipi.server.limits import Limits

PIECE = 0.03  # seconds of work after which others have their turn, and what is written is sent
FAILED = (*USUAL, ArithmeticError, MemoryError, RuntimeError)


@dataclass(frozen=True)
class Prompt:
    """A text to go on from, as tokens.

    Attributes:
        ids: Of the prompt, or of a talk up to the answer.
        way: How it goes on: `gipi.tasks.write.Way`.
    """

    ids: list[int]
    way: Any

    @property
    def nbytes(self) -> int:
        return 64 * (len(self.ids) + self.way.tokens)  # of lists of numbers, and of what is written


def prompt_of(model: Any, row: dict[str, Any], seed: int = 0) -> tuple[Prompt, list[str]]:
    """A row made ready, and what is to be said of it; `seed` where it says none.

    Raises:
        UsageError: A number of it is out of its range.
    """
    from gipi.models.decoding import check

    field = model.schema.inputs[0]
    before = row.get("before") or []
    asked = {name: value for name, value in row.items() if name != "before"}
    text, way = tasks.load("write").way_of(model.schema, {**asked, field.name: asked[field.name] or ""}, seed)
    check(way.temperature, way.top_k, way.top_p)
    task = tasks.load(model.task)
    talk = ([tuple(turn) for turn in before],) if model.task == "chat" else ()
    ids, left = task.prompt_of(model, text, *talk)
    if not left:
        return Prompt(ids, way), []
    said = _("the first {count} tokens are left out: the model remembers {most}", count=left, most=len(ids))
    return Prompt(ids, way), [said]


class Teller:
    """What writes for all who ask one model.

    Args:
        engine: A model that writes.
        limits: How many may be written for.
        count: Where it is counted.
    """

    def __init__(self, engine: Engine, limits: Limits, count: Count):
        self.model = engine.model
        self.limits = limits
        self.count = count
        self.running = 0
        self.thread = ThreadPoolExecutor(1, f"gipi-{engine.name[:20]}")

    @property
    def is_full(self) -> bool:
        return self.running >= self.limits.writers

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places that there are.

        Raises:
            FullError: All are taken.
        """
        if self.is_full:
            raise FullError(1.0)
        self.running += 1
        self.count.waiting(self.running)
        try:
            yield
        finally:
            self.running -= 1
            self.count.waiting(self.running)

    async def pieces(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """What is written, piece by piece. Who stops to ask, or is cancelled, ends it."""
        loop, spoken = asyncio.get_running_loop(), language()
        task = tasks.load(self.model.task)
        say = task.answered if self.model.task == "chat" else task.written
        text = say(self.model, prompt.ids, prompt.way)

        def work() -> tuple[str, bool]:
            use(spoken)
            end, said = time.perf_counter() + PIECE, []
            for piece in text:
                said.append(piece)
                if time.perf_counter() >= end:
                    return "".join(said), False
            return "".join(said), True

        is_whole = False
        try:
            while not is_whole:
                piece, is_whole = await loop.run_in_executor(self.thread, work)
                yield piece
        finally:
            if not is_whole:
                with suppress(RuntimeError):  # the server ends, and all threads with it
                    self.thread.submit(text.close)  # behind the piece that may still be on its way

    async def answer(self, prompt: Prompt) -> Said:
        """All that is written."""
        try:
            said = [piece async for piece in self.pieces(prompt)]
        except FAILED as error:
            self.count.batch(1, 1)
            return {"error": said_of(error)}
        self.count.batch(1, 0)
        return {"text": "".join(said)}

    def close(self) -> None:
        self.thread.shutdown(wait=False, cancel_futures=True)
