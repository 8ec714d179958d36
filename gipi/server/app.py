"""The application: which request goes where.

POST /predict and /explain are plain ASGI, since a framework's own handling of a body costs ten times what a small model
does; all else is a few routes of FastAPI (routes.py), which also documents it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from functools import partial
from typing import Any

from gipi.messages import _, use
from gipi.server.answering import (
    Made,
    Receive,
    Scope,
    Send,
    answers_to,
    busy,
    gone,
    made_ready,
    read_body,
    refuse,
    respond,
    told,
    unless_gone,
    unpacked,
)
from gipi.server.batches import FullError
from gipi.server.decided import explained, explains
from gipi.server.decided_words import explained_words
from gipi.server.engine import Said
from gipi.server.guard import single
from gipi.server.refusal import SAFE, RefusedError
from gipi.server.state import Served, State
from gipi.server.writing import CSV, EVENTS, JSON, KINDS, PNG, as_csv, as_json, as_png, event, pixels_of, wanted

MANY = 256  # answers up to which they are written where requests are read; beyond, in a thread
FEW_PIXELS = 1 << 16  # likewise
STREAMED = 4  # rows of a stream that are asked for at once
WRITERS = {JSON: as_json, CSV: as_csv, PNG: as_png}
LONG = 0.5  # seconds: whoever waits longer for an answer is watched: is he there still?
TYPES = {kind: kind.encode() + (b"; charset=utf-8" if kind == CSV else b"") for kind in WRITERS}


class App:
    """The ASGI application.

    Args:
        state: What is served.
        others: The application for all routes but those of the models.
    """

    def __init__(self, state: State, others: Any):
        self.state = state
        self.others = others
        self.other = state.counts.of(-1)  # the last row
        self.routes: dict[str, tuple[Served, str]] = {}
        for name, served in state.served.items():
            for verb in ("predict", "explain"):
                self.routes[f"/models/{name}/{verb}"] = (served, verb)
        for verb in ("predict", "explain"):
            self.routes[f"/{verb}"] = (state.default, verb)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        served, verb = self.routes.get(scope["path"], (None, ""))
        count = self.other if served is None else served.count
        status = 500
        try:
            headers = single(scope["headers"])
            speak(headers)
            client = scope["client"][0] if scope["client"] else ""
            self.state.guard.check(scope["method"], scope["path"], headers, client)
            if served is None:
                method = "GET" if scope["method"] == "HEAD" else scope["method"]  # of HEAD the body is not sent
                status = await _watched(self.others, scope | {"method": method}, receive, send)
            elif scope["method"] != "POST":
                raise RefusedError(405, _("POST was expected"), headers=[(b"allow", b"POST")])
            else:
                status = await self._answer(served, verb, scope, headers, client, receive, send)
        except RefusedError as refused:
            status = refused.status
            await refuse(send, refused)
        finally:
            count.request(status, time.perf_counter() - start)

    async def _answer(
        self, served: Served, verb: str, scope: Scope, headers: dict, client: str, receive: Receive, send: Send
    ) -> int:
        """Answer a request to a model; gives the status."""
        state = self.state
        if state.status != "ok":
            raise RefusedError(503, _("the server is {status}", status=state.status), headers=[(b"retry-after", b"1")])
        if served.is_full:
            raise busy(served.batches.wait_for(0))
        accept = wanted(headers.get(b"accept", b"").decode("latin-1"), (JSON,) if verb == "explain" else KINDS)
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
            raise RefusedError(415, _("the body must not be compressed"))
        state.active += 1
        size = 0
        try:
            body = await read_body(state, headers, receive)
            size = len(body)
            is_drawing = b"drawing=1" in scope["query_string"].split(b"&")
            read = partial(served.reader.read, kind, body, is_drawing)
            made = await made_ready(state, served, body, read, is_alone=kind not in (JSON, CSV))
            del body, read
            more = unpacked(made)
            state.bodies += more
            size += more
            if state.bodies > state.limits.bodies and state.bodies > size:  # alone it may be larger
                raise busy()
            if verb == "explain":
                return await self._explain(served, made, send)
            if accept == EVENTS:
                with nullcontext() if served.teller is None else served.teller.place():
                    return await self._stream(served, made, client, receive, send)
            answering = answers_to(served, made)
            if served.teller is not None or served.batches.wait_for(len(made)) > LONG:
                answering = unless_gone(answering, receive, state.limits.answer_seconds)
            answers = await answering
            content = await self._written(accept, answers)
            del made, answers
            size += len(content)
            state.bodies += len(content)
            await respond(send, 200, content, TYPES[accept])
            return 200
        except FullError as full:
            raise busy(full.seconds) from None
        finally:
            state.active -= 1
            state.bodies -= size

    async def _written(self, accept: str, answers: list[Said]) -> bytes:
        """Answers as bytes; many, or large pictures, in a thread."""
        write = WRITERS[accept]
        if len(answers) <= MANY and sum(map(pixels_of, answers)) <= FEW_PIXELS:
            return write(answers)
        return await asyncio.get_running_loop().run_in_executor(self.state.writing, write, answers)

    async def _answers(self, served: Served, made: list[Made]) -> AsyncGenerator[tuple[str, Said], None]:
        """The events of a stream: their names, which answers have none, and what they say."""
        for start in range(0, len(made), STREAMED):
            for answer in await answers_to(served, made[start : start + STREAMED]):
                yield "", answer

    async def _event(self, answer: Said, name: str) -> bytes:
        if pixels_of(answer) <= FEW_PIXELS:
            return event(answer, name)
        return await asyncio.get_running_loop().run_in_executor(self.state.writing, event, answer, name)

    async def _explain(self, served: Served, made: list[Made], send: Send) -> int:
        """What decided, for pictures that are classified, and for texts."""
        if not explains(served.engine.model):
            raise RefusedError(404, _("this model does not say what decided; see GET /schema"))
        if len(made) != 1:
            raise RefusedError(422, _("one row was expected, {came} came", came=len(made)))
        (row,) = made
        found: Said = {"error": row.error}
        if row.error is None:
            explain = explained_words if served.reader.texts else explained
            found = await explain(served.engine.model, served.batches.answers, row.ready)
        await respond(send, 200, as_json([found], "explanations"), TYPES[JSON])
        return 200

    async def _stream(self, served: Served, made: list[Made], client: str, receive: Receive, send: Send) -> int:
        """The answers as events, each as soon as it is there; whoever leaves is answered no more."""
        state = self.state
        state.guard.begin_stream(client)
        task = asyncio.current_task()
        assert task is not None
        state.streams.add(task)
        left = asyncio.ensure_future(gone(receive))
        try:
            headers = [(b"content-type", EVENTS.encode()), *SAFE]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async with asyncio.timeout(state.limits.stream_seconds):
                answers = self._answers(served, made) if served.teller is None else told(served.teller, made)
                async with aclosing(answers):
                    async for name, answer in answers:
                        if left.done():
                            break
                        body = await self._event(answer, name)
                        await send({"type": "http.response.body", "body": body, "more_body": True})
            end = event({}, "end")
        except FullError:
            end = event({"error": _("the server is busy: ask again later")}, "error")
        except (TimeoutError, asyncio.CancelledError):
            end = event({"error": _("the stream was ended: it took too long, or the server stops")}, "error")
        finally:
            left.cancel()
            state.streams.discard(task)
            state.guard.end_stream(client)
        await send({"type": "http.response.body", "body": end})
        return 200


def speak(headers: dict[bytes, bytes]) -> None:
    """Answer in Korean whoever asks for it."""
    accepted = headers.get(b"accept-language")
    if accepted is not None:
        use("ko" if accepted[:2].lower() == b"ko" else "en")


async def _watched(app: Any, scope: Scope, receive: Receive, send: Send) -> int:
    """Another application's answer; gives its status."""
    found = 500

    async def watched(message: dict[str, Any]) -> None:
        nonlocal found
        if message["type"] == "http.response.start":
            found = message["status"]
        await send(message)

    await app(scope, receive, watched)
    return found
