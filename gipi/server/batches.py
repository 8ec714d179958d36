"""Rows of many requests, answered together.

A network answers 32 rows in hardly more time than one. Requests that come in while a batch is computed make the next
one, so nobody waits for company when there is none: a row waits only while others are computed, and, where that is
asked for, `max_wait` beyond.
"""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gipi.release.described import ANY_SIZE
from gipi.server.counts import Count
from gipi.server.engine import AT_ONCE, Engine, Said, is_failure
from gipi.server.limits import Limits

Array = np.ndarray


class FullError(Exception):
    """So many rows wait that no more are taken.

    Args:
        seconds: After which it is worth coming back.
    """

    def __init__(self, seconds: float):
        super().__init__(seconds)
        self.seconds = seconds


class _Job:
    """The rows of one request on their way."""

    __slots__ = ("answers", "done", "left", "rows", "taken")

    def __init__(self, rows: list[Array], done: asyncio.Future):
        self.rows = rows
        self.done = done
        self.taken = 0  # rows that went into a batch
        self.left = len(rows)  # rows without an answer
        self.answers: list[Said | None] = [None] * len(rows)


class Batches:
    """One engine's queue.

    Args:
        engine: What answers; settled.
        limits: How many rows may wait, how long.
        count: Where it is counted.
    """

    def __init__(self, engine: Engine, limits: Limits, count: Count):
        self.engine = engine
        self.limits = limits
        self.count = count
        self.queue: deque[_Job] = deque()
        self.waiting = 0
        self.is_busy = False  # a batch is computed, or about to be
        self.pace = engine.seconds / engine.batch  # seconds a row
        is_quick = engine.is_quick and engine.model.task not in ANY_SIZE
        self.beside = None if is_quick else ThreadPoolExecutor(1, f"gipi-{engine.name[:20]}")

    @property
    def is_full(self) -> bool:
        """More wait than are answered in good time; two batches may always wait, however long they take."""
        most = self.limits.patience / self.pace if self.pace else self.limits.queue
        return self.waiting >= min(self.limits.queue, max(2 * self.engine.batch, most))

    def wait_for(self, rows: int) -> float:
        """Seconds until so many more are answered, as far as that can be known."""
        return (self.waiting + rows) * self.pace

    async def answers(self, rows: list[Array]) -> list[Said]:
        """The answers to rows that were made ready.

        Raises:
            FullError: Too many wait.
        """
        if self.is_full:
            raise FullError(self.wait_for(0))
        if not rows:
            return []
        loop = asyncio.get_running_loop()
        job = _Job(rows, loop.create_future())
        self.queue.append(job)
        self._wait(len(rows))
        if not self.is_busy:
            self.is_busy = True
            if self.limits.max_wait and self.waiting < self.engine.batch:
                loop.call_later(self.limits.max_wait, self._next, loop)
            else:
                loop.call_soon(self._next, loop)  # after all requests that came in with this one
        return await job.done

    def _wait(self, rows: int) -> None:
        self.waiting += rows
        self.count.waiting(self.waiting)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Compute a batch of what waits."""
        pieces = self._taken()
        if not pieces:
            self.is_busy = False
            return
        rows = [row for _job, _start, some in pieces for row in some]
        # one that is answered in less time than a thread takes to wake; a larger one was not measured
        is_alone = len(rows) == 1 and self.engine.alone <= AT_ONCE and rows[0].size <= self.engine.size
        if self.beside is None or is_alone:
            self._deliver(pieces, *self._computed(rows))
            loop.call_soon(self._next, loop)
        else:
            computed = loop.run_in_executor(self.beside, self._computed, rows)
            computed.add_done_callback(lambda done: self._come_back(loop, pieces, done))

    def _come_back(self, loop: asyncio.AbstractEventLoop, pieces: list, done: asyncio.Future) -> None:
        if not done.cancelled():
            self._deliver(pieces, *done.result())
        self._next(loop)

    def _taken(self) -> list[tuple[_Job, int, list[Array]]]:
        """The rows of the next batch: those that came first, of one shape, a long request a piece at a time."""
        pieces: list[tuple[_Job, int, list[Array]]] = []
        room, shape = self.engine.batch, None
        shape_of, room_for = self.engine.shape_of, self.engine.room_for
        later: list[_Job] = []
        while self.queue and room:
            job = self.queue.popleft()
            if job.done.done():  # whoever asked has gone
                self._wait(job.taken - len(job.rows))
                continue
            start = job.taken
            if shape is None:
                shape = shape_of(job.rows[start])
                room = room_for(shape)
            stop = start
            while stop < len(job.rows) and stop - start < room and shape_of(job.rows[stop]) == shape:
                stop += 1
            if stop > start:
                pieces.append((job, start, job.rows[start:stop]))
                job.taken = stop
                room -= stop - start
            if stop < len(job.rows):
                later.append(job)
                if stop > start:  # the rest of a long request waits behind others
                    continue
            if len(later) > self.engine.batch:
                break
        # what was passed over for its shape stays first; the rest of what was begun goes behind
        self.queue.extendleft(job for job in reversed(later) if not job.taken)
        self.queue.extend(job for job in later if job.taken)
        return pieces

    def _computed(self, rows: list[Array]) -> tuple[list[Said], float]:
        start = time.perf_counter()
        answers = self.engine.run(rows)
        return answers, time.perf_counter() - start

    def _deliver(self, pieces: list[tuple[_Job, int, list[Array]]], answers: list[Said], seconds: float) -> None:
        self.pace += 0.1 * (seconds / len(answers) - self.pace)
        self._wait(-len(answers))
        self.count.batch(len(answers), sum(map(is_failure, answers)))
        place = 0
        for job, start, some in pieces:
            job.answers[start : start + len(some)] = answers[place : place + len(some)]
            place += len(some)
            job.left -= len(some)
            if not job.left and not job.done.done():
                job.done.set_result(job.answers)

    def close(self) -> None:
        if self.beside is not None:
            self.beside.shutdown(wait=False, cancel_futures=True)
