"""The steps of an answer: a body comes in, its rows are made ready, answered, and sent."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from gipi.errors import DataError
from gipi.messages import _, language, use
from gipi.server.engine import USUAL, Said, is_failure, said_of
from gipi.server.reading import Reader
from gipi.server.refusal import SAFE, Headers, RefusedError
from gipi.server.state import Served, State
from gipi.server.telling import FAILED, Teller

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SMALL = 1 << 16  # bytes up to which a body is read where requests are; beyond, in a thread
PIECE = 1 << 18  # bytes of an answer that are sent at once
MOMENT = 0.002  # seconds, likewise
TOGETHER = 512  # rows of a table that are made ready at once
MOST_LETTERS = 100_000  # of them
FEW = 4  # and up to which each is by itself
ANSWERED = 3  # a picture and those that are made of it take so many times its bytes
JSON = b"application/json"


@dataclass
class Made:
    """A row on its way: made ready, or what is wrong with it."""

    ready: Any = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


async def answers_to(served: Served, made: list[Made]) -> list[Said]:
    """The answers to rows that were made ready, in order."""
    rows = [row.ready for row in made if row.error is None]
    if len(rows) < len(made):
        served.count.failed(len(made) - len(rows))
    if served.teller is None:
        answers = iter(await served.batches.answers(rows))
    else:
        with served.teller.place():
            answers = iter([await served.teller.answer(row) for row in rows])
    found = []
    for row in made:
        answer = {"error": row.error} if row.error is not None else next(answers)
        found.append(answer | {"warnings": row.warnings} if row.warnings else answer)
    return found


async def told(teller: Teller, made: list[Made]) -> AsyncGenerator[tuple[str, Said], None]:
    """The events of texts that are written: each piece as `piece`, and each answer when it is whole."""
    for place, row in enumerate(made):
        answer: Said = {"error": row.error}
        if row.error is None:
            said = []
            async with aclosing(teller.pieces(row.ready)) as pieces:
                try:
                    async for piece in pieces:
                        said.append(piece)
                        yield "piece", {"row": place, "text": piece}
                    answer = {"text": "".join(said)}
                except FAILED as error:
                    answer = {"error": said_of(error)}
            teller.count.batch(1, is_failure(answer))
        yield "", answer | ({"warnings": row.warnings} if row.warnings else {})


async def made_ready(state: State, served: Served, body: bytes, read: Callable[[], list], is_alone: bool) -> list[Made]:
    """A body's rows, made ready.

    What is small is begun where requests are read, and what of it takes longer than a moment goes on in a thread: how
    long a row takes is not to be seen in its bytes (a few may claim a large picture, a date may need a long look).

    Args:
        body: It.
        read: Gives its rows.
        is_alone: The body is the one row, so what is wrong with it is the request's.

    Raises:
        RefusedError: 400, 413, 415, 422 or 503.
    """
    if len(body) > SMALL:
        return await _beside(state, served, read, is_alone)
    rows = read()
    found: list[Made] = []
    end = time.perf_counter() + MOMENT
    for row in rows:
        try:
            found.append(_made(served, row, len(found), is_alone, True))
        except RefusedError:  # a picture that is not small, or one that is none: it is said below
            break
        if time.perf_counter() > end:
            break
    if len(found) < len(rows):
        found += await _beside(state, served, lambda: rows[len(found) :], is_alone, len(found))
    return found


async def _beside(state: State, served: Served, read: Callable[[], list], is_alone: bool, start: int = 0) -> list[Made]:
    """Rows read and made ready in the thread, one request after the other: so only one is unpacked at a time."""
    limits = state.limits
    if state.reading >= limits.reading:
        raise busy()

    def work() -> list[Made]:
        use(spoken)
        end = time.monotonic() + limits.read_seconds
        found, size, rows = [], 0, read()
        for piece in _pieces(served.reader, rows):
            if time.monotonic() > end:
                text = _(
                    "the rows take longer than {seconds} seconds to be read: send them in parts",
                    seconds=f"{limits.read_seconds:g}",
                )
                raise RefusedError(413, text)
            made = _made_together(served, piece, start + len(found), is_alone)
            found += made
            size += unpacked(made)
            if size > limits.bodies and len(found) > 1:
                raise RefusedError(413, _("the rows are too large together: send them in parts"))
        return found

    spoken = language()
    state.reading += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(state.beside, work)
    finally:
        state.reading -= 1


def _pieces(reader: Reader, rows: list) -> Iterator[list]:
    """Rows that are made ready at once: of a table, of texts that are not too long together; pictures one by one."""
    most = TOGETHER if reader.is_table else 1
    piece, letters = [], 0
    for row in rows:
        own = reader.letters(row)
        if piece and (len(piece) >= most or letters + own > MOST_LETTERS):
            yield piece
            piece, letters = [], 0
        piece.append(row)
        letters += own
    if piece:
        yield piece


def _made_together(served: Served, rows: list, start: int, is_alone: bool) -> list[Made]:
    """Rows of a table made ready at once, which takes little more than one that is out of the ordinary; where one of
    them cannot be, each half for itself."""
    if len(rows) <= FEW:
        return [_made(served, row, start + place, is_alone, False) for place, row in enumerate(rows)]
    try:
        return [Made(*one) for one in served.ready_all(rows, start)]
    except USUAL:
        half = len(rows) // 2
        first = _made_together(served, rows[:half], start, is_alone)
        return first + _made_together(served, rows[half:], start + half, is_alone)


def _made(served: Served, row: Any, start: int, is_alone: bool, is_quick: bool) -> Made:
    """One row made ready, which so many stand before; with `is_quick` no large picture is."""
    try:
        return Made(*served.ready(served.reader.opened(row, is_quick), start))
    except USUAL as error:
        if is_alone and isinstance(error, DataError):  # the body is the row: there are no neighbours
            raise RefusedError(422, said_of(error)) from None
        return Made(error=said_of(error))


def unpacked(made: list[Made]) -> int:
    """Bytes that rows take which were made ready, with their answers."""
    return ANSWERED * sum(row.ready.nbytes for row in made if row.error is None)


async def unless_gone(answers: Coroutine[Any, Any, list[Said]], receive: Receive, seconds: float) -> list[Said]:
    """Answers that are long in coming: nothing more is computed for a client that has left.

    Raises:
        RefusedError: 503: it takes too long; 400: nobody is there to be answered.
    """
    answering, left = asyncio.ensure_future(answers), asyncio.ensure_future(gone(receive))
    try:
        done, _waiting = await asyncio.wait({answering, left}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answering in done:
            return await answering
        if done:
            raise RefusedError(400, _("the client has left"))
        raise RefusedError(503, _("the answer takes too long"), headers=[(b"retry-after", b"1")])
    finally:
        answering.cancel()
        left.cancel()


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(state: State, headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """A request's body, counted into the server's `bodies`.

    Raises:
        RefusedError: 411, 413, 400 or 503.
    """
    limits = state.limits
    said = headers.get(b"content-length")
    if said is not None and (not said.isdigit() or int(said[:20]) > limits.body):
        raise _large(limits.body)
    if state.bodies > limits.bodies:
        raise busy()
    message = await receive()
    body = message.get("body", b"")
    if not message.get("more_body", False):
        if message["type"] == "http.disconnect":
            raise RefusedError(400, _("the request was not sent to its end"))
        if len(body) > limits.body:
            raise _large(limits.body)
        state.bodies += len(body)
        return body
    parts, size = [body], len(body)
    state.bodies += size
    try:
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400, _("the request was not sent to its end"))
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            state.bodies += len(parts[-1])
            if size > limits.body:
                raise _large(limits.body)
            if state.bodies > limits.bodies:
                raise busy()
    except BaseException:
        state.bodies -= size
        raise
    return b"".join(parts)


async def respond(send: Send, status: int, body: bytes, kind: bytes, headers: Headers | None = None) -> None:
    """Send all of an answer."""
    own = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *SAFE, *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": own})
    for start in range(0, len(body) - PIECE, PIECE):  # as fast as it is taken
        await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True})
    await send({"type": "http.response.body", "body": body[max(0, len(body) - 1) // PIECE * PIECE :]})


async def refuse(send: Send, refused: RefusedError) -> None:
    """Say why there is no answer. The connection ends where a body may not have been read."""
    said: dict[str, Any] = {"error": refused.text}
    if refused.details is not None:
        said["details"] = refused.details
    headers = [*refused.headers, (b"connection", b"close")] if refused.status in (413,) else refused.headers
    await respond(send, refused.status, to_json(said), JSON, headers)


def _large(most: int) -> RefusedError:
    return RefusedError(413, _("the body is too large: {most} bytes at most", most=most))


def busy(seconds: float = 0.0) -> RefusedError:
    """No more is taken now; it is worth coming back after so many seconds."""
    wait = str(max(1, math.ceil(seconds))).encode()
    return RefusedError(503, _("the server is busy: ask again later"), headers=[(b"retry-after", wait)])
