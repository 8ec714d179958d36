"""A small HTTP client for load: it costs a few microseconds a request, so that the server is measured and not itself.

Connections are kept and used again, one request on each at a time. It reads answers that say how long they are, which
all of the server's are but streams.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

MOST = 4000  # connections

Told = Callable[[int, float], None]  # the status (0: the connection broke) and the seconds since it was sent


def post(path: str, body: bytes, kind: str = "application/json", length: int | None = None) -> bytes:
    """A request as bytes; `length` is what it claims, where that is not the truth."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: "
    return head.encode() + b"%d\r\n\r\n" % (len(body) if length is None else length) + body


class Client:
    """Sends requests to one server.

    Args:
        port: Of the server on 127.0.0.1.
        most: Connections.

    Attributes:
        open: Connections that there are.
        refused: Requests that were not sent, since all connections were busy.
    """

    def __init__(self, port: int, most: int = MOST):
        self.port = port
        self.most = most
        self.idle: list[_Connection] = []
        self.open = 0
        self.refused = 0
        self.tasks: set[asyncio.Task] = set()

    def send(self, request: bytes, told: Told) -> None:
        """Send it now; `told` is called once, later."""
        if self.idle:
            self.idle.pop().send(request, told)
        elif self.open >= self.most:
            self.refused += 1
        else:
            self.open += 1
            task = asyncio.ensure_future(self._connected(request, told))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _connected(self, request: bytes, told: Told) -> None:
        try:
            _transport, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), "127.0.0.1", self.port
            )
        except OSError:
            self.open -= 1
            told(0, 0.0)
            return
        connection.send(request, told)

    async def ask(self, request: bytes) -> tuple[int, float]:
        """Status and seconds of one request."""
        answer: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()

        def told(status: int, seconds: float) -> None:
            if not answer.done():  # whoever asked may have gone
                answer.set_result((status, seconds))

        self.send(request, told)
        return await answer

    def close(self) -> None:
        for connection in self.idle:
            connection.transport.close()
        self.idle.clear()


class _Connection(asyncio.Protocol):
    def __init__(self, client: Client):
        self.client = client
        self.told: Told | None = None
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes, told: Told) -> None:
        self.told, self.sent, self.buffer = told, time.perf_counter(), b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end].lower()
        start = head.find(b"\r\ncontent-length:") + 17
        if len(buffer) < end + 4 + int(head[start : head.find(b"\r\n", start) if b"\r\n" in head[start:] else end]):
            return
        if b"\r\nconnection: close" in head:
            self.transport.close()
        else:
            self.client.idle.append(self)
        self._tell(int(head[9:12]))

    def _tell(self, status: int) -> None:
        told, self.told = self.told, None
        if told:
            told(status, time.perf_counter() - self.sent)

    def connection_lost(self, _error: Exception | None) -> None:
        self.client.open -= 1
        if self in self.client.idle:
            self.client.idle.remove(self)
        self._tell(0)
