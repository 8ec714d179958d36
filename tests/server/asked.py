"""A server in this process, asked without a socket; and one in a process of its own, asked through one."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from gipi.server.app import App
from gipi.server.counts import Counts
from gipi.server.engine import Engine
from gipi.server.guard import Guard
from gipi.server.limits import Limits
from gipi.server.routes import small_routes
from gipi.server.serving import state_of

GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0"


class Asked:
    """A server without a socket.

    Args:
        engines: Its models.
        limits: What may be asked.
        guard: Who may ask.
    """

    def __init__(self, *engines: Engine, limits: Limits | None = None, guard: Guard | None = None):
        limits = limits or Limits()
        for engine in engines:
            engine.settle(limits.batch)
        counts = Counts([engine.name for engine in engines])
        self.state = state_of([*engines], guard or Guard(limits=limits), limits, counts)
        self.state.status = "ok"
        self.app = App(self.state, small_routes(self.state))

    def __call__(self, method: str, path: str, **given: Any) -> httpx.Response:
        return self.together((method, path, given))[0]

    def together(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """Several requests at once."""

        async def ask() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return list(await asyncio.gather(*(client.request(m, p, **given) for m, p, given in requests)))

        return asyncio.run(ask())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Process:
    """`gipi serve` in a process of its own.

    Attributes:
        port: Where it listens.
        process: It.
    """

    def __init__(self, process: subprocess.Popen, port: int):
        self.process = process
        self.port = port

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def memory(self) -> float:
        """Megabytes that it holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096 / 2**20


@contextmanager
def serving(*words: str, script: str | None = None, seconds: float = 60.0) -> Iterator[Process]:
    """A server that answers, started as a person starts it; `script`: Python that takes the same words instead."""
    port = free_port()
    start = [sys.executable, "-m", "gipi", "serve"] if script is None else [sys.executable, "-c", script]
    process = subprocess.Popen([*start, *words, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise AssertionError(process.communicate()[0].decode())
            time.sleep(0.02)
        yield Process(process, port)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
