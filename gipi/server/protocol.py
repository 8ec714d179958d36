"""One connection: uvicorn's HTTP protocol with clocks and bounds that it does not have.

Stock uvicorn holds a connection that never finishes its headers for ever, and takes headers of any length. Here a clock
runs for the headers, for the body, and for whoever does not take the answer; one look a second at all connections is
enough for that, so a request costs no timer.
"""

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gipi.server.limits import Limits

OPENED, HEAD, BODY, ANSWER, IDLE = range(5)  # where a connection stands
SLOW = b'{"error": "the request did not come in time"}'
LARGE = b'{"error": "the headers of the request are too large"}'
STOPS = b'{"error": "the server stops"}'
BUSY = b'{"error": "too many connections are open"}'


class Connection(HttpToolsProtocol):
    """A connection that is cut when its time is over.

    `limits` is set on a subclass by `bounded`: uvicorn makes a protocol for each connection by itself.
    """

    limits: Limits

    def connection_made(self, transport: Any) -> None:
        self.stands, self.since, self.head_bytes = OPENED, self.loop.time(), 0
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._end(503, BUSY)

    def data_received(self, data: bytes) -> None:
        if self.stands != BODY:
            self.head_bytes += len(data)
        super().data_received(data)
        if self.stands in (OPENED, HEAD) and self.head_bytes > self.limits.header:
            self._end(431, LARGE)

    def on_message_begin(self) -> None:
        self.stands, self.since = HEAD, self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if (
            self.head_bytes > self.limits.header
            and sum(len(n) + len(v) + 4 for n, v in self.headers) > self.limits.header
        ):
            self._end(431, LARGE)
            return
        self.stands, self.head_bytes = BODY, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:  # none: it was ended by its headers
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.cycle is None:
            return
        # its answer may be complete already, where the body was of no interest
        self.stands = IDLE if self.cycle.response_complete else ANSWER
        self.head_bytes, self.since = 0, self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.stands == ANSWER and self.cycle.response_complete:  # else it was that of a request before
            self.stands, self.since = IDLE, self.loop.time()
        super().on_response_complete()

    def look(self, now: float) -> None:
        """Cut it if its time is over."""
        allowed = {OPENED: self.limits.header_seconds, HEAD: self.limits.header_seconds, BODY: self.limits.body_seconds}
        if now - self.since > allowed.get(self.stands, math.inf):
            self._end(408, SLOW)
        elif self.stands == IDLE and now - self.since > self.limits.idle_seconds:
            self.transport.close()  # uvicorn's own clock stops at the first byte, of whatever it is
        elif self.flow.write_paused:  # it does not take its answer
            self.paused = getattr(self, "paused", now)
            if now - self.paused > self.limits.body_seconds:
                self.transport.abort()
        else:
            self.paused = now

    def cut_half_sent(self) -> None:
        """End it, if a request has begun to come in and has not come to its end."""
        if self.stands in (HEAD, BODY):
            self._end(503, STOPS)

    def cut(self) -> None:
        """End it, if nothing is being answered."""
        if self.stands == ANSWER or (self.stands == BODY and self.cycle and self.cycle.response_started):
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _end(self, status: int, body: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def bounded(limits: Limits) -> type[Connection]:
    """Connections with these limits."""
    return type("BoundedConnection", (Connection,), {"limits": limits})


async def watch(connections: set, seconds: float = 1.0) -> None:
    """Look at all connections, once a second."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(seconds)
        now = loop.time()
        for connection in list(connections):
            connection.look(now)
