"""The three routes of SageMaker's contract on the engine of our own server: /ping, /invocations, /execution-parameters.

Nobody but SageMaker can reach the container, under whatever name, and it has checked who asks; so neither keys nor Host
nor Origin are looked at. All limits on what comes in hold as they do elsewhere.
"""

import asyncio
import os
import time
from functools import partial

from pydantic_core import to_json

from gipi.messages import _
from gipi.sagemaker.answers import KINDS, TYPES, passed_on, written
from gipi.sagemaker.bodies import rows_of
from gipi.server.answering import Receive, Scope, Send, answers_to, busy, made_ready, read_body, refuse, respond
from gipi.server.batches import FullError
from gipi.server.guard import single
from gipi.server.limits import Limits
from gipi.server.reading import PLAIN
from gipi.server.refusal import Headers, RefusedError
from gipi.server.state import Served, State
from gipi.server.writing import JSON, wanted

MOST_TRANSFORMS = 8  # requests of a batch transform at once; together they may not be more than 100 MB
LINES, PICTURE = 1, 12  # MB of such a request: short lines take a hundred times their size while they are answered
MOST_ROWS = (LINES << 20) // 4  # that there can be in it
LIMITS = Limits(
    body=25 << 20,  # the most that an endpoint passes on
    bodies=256 << 20,
    rows=MOST_ROWS,
    queue=MOST_TRANSFORMS * MOST_ROWS,
)
MANY = 1000  # answers from which on they are written in a thread, so that /ping is answered meanwhile
ROUTES = {"/ping": "GET", "/invocations": "POST", "/execution-parameters": "GET"}
RETRY: Headers = [(b"retry-after", b"1")]


class Contract:
    """The ASGI application.

    Args:
        state: What is served: one model.
    """

    def __init__(self, state: State):
        self.state = state
        self.other = state.counts.of(-1)  # the last row

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        served, path = self.state.default, scope["path"]
        count = served.count if path == "/invocations" else self.other
        status = 500
        try:
            status = await self._answer(served, path, scope, receive, send)
        except RefusedError as refused:
            status = refused.status
            refused.headers = [*refused.headers, *passed_on(dict(scope["headers"]))]
            await refuse(send, refused)
        finally:
            count.request(status, time.perf_counter() - start)

    async def _answer(self, served: Served, path: str, scope: Scope, receive: Receive, send: Send) -> int:
        method = ROUTES.get(path)
        if method is None:
            known = ", ".join(f"{one} {route}" for route, one in ROUTES.items())
            raise RefusedError(404, _("there is nothing at this address; there are {known}", known=known))
        if scope["method"] != method:
            raise RefusedError(405, _("{method} was expected", method=method), headers=[(b"allow", method.encode())])
        is_ready = self.state.status == "ok"
        if path == "/ping":
            await respond(send, 200 if is_ready else 503, b"", b"text/plain")
            return 200 if is_ready else 503
        if path == "/execution-parameters":
            await respond(send, 200, to_json(execution_parameters(served)), JSON.encode())
            return 200
        if not is_ready:
            raise RefusedError(503, _("the server is {status}", status=self.state.status), headers=RETRY)
        return await self._invoke(served, single(scope["headers"]), receive, send)

    async def _invoke(self, served: Served, headers: dict[bytes, bytes], receive: Receive, send: Send) -> int:
        """The answers to the rows of a body; gives the status."""
        state, size = self.state, 0
        accept = headers.get(b"accept", b"").decode("latin-1")
        chosen = wanted(accept, KINDS)
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        state.active += 1
        try:
            if served.is_full:
                raise busy(served.batches.wait_for(0))
            body = await read_body(state, headers, receive)
            size = len(body)
            read = partial(rows_of, served.reader, kind, body)
            made = await made_ready(state, served, body, read, is_alone=kind.startswith("image/") or kind in PLAIN)
            answers = await answers_to(served, made)
            if len(answers) <= MANY:
                content = written(chosen, accept, answers)
            else:
                loop = asyncio.get_running_loop()
                content = await loop.run_in_executor(state.writing, written, chosen, accept, answers)
            await respond(send, 200, content, TYPES[chosen], passed_on(headers))
            return 200
        except FullError as full:
            raise busy(full.seconds) from None
        finally:
            state.active -= 1
            state.bodies -= size


def execution_parameters(served: Served) -> dict[str, int | str]:
    """How a batch transform should ask: pictures, and texts to go on from, one by one; other rows as many as fit.

    Example:
        {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 1}
    """
    is_alone = served.reader.is_picture or served.teller is not None
    return {
        "MaxConcurrentTransforms": min(MOST_TRANSFORMS, os.cpu_count() or 1),
        "BatchStrategy": "SINGLE_RECORD" if is_alone else "MULTI_RECORD",
        "MaxPayloadInMB": PICTURE if served.reader.is_picture else LINES,
    }
