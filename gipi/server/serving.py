"""A server's life: it opens its models, warms them up, answers, and ends as it should.

    models -> engines (settled) -> state -> application -> uvicorn, with our connections and our way to stop

Asked to stop (SIGTERM) it says so at once at /healthz, takes nothing new, finishes what was begun, cuts what is idle or
half sent, ends streams after `STREAMS_END` seconds, and exits with 0.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import socket
import ssl
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from PIL import Image

from gipi.errors import UsageError, reason_of
from gipi.messages import _, language, use
from gipi.server.app import App
from gipi.server.batches import Batches
from gipi.server.counts import Counts
from gipi.server.engine import Engine
from gipi.server.guard import Guard
from gipi.server.limits import Limits
from gipi.server.protocol import bounded, watch
from gipi.server.reading import Reader
from gipi.server.routes import small_routes
from gipi.server.row_types import WRITING
from gipi.server.state import Served, State
from gipi.server.telling import Teller
from gipi.signals import SIGNALS

LINGER = 1.0  # seconds after SIGTERM in which connections are still taken: to be told that health is 503
STREAMS_END = 20.0  # seconds after which streams are ended
LONGEST_END = 24.0  # and all else: who stops a server waits 25 or 30 before it is killed
LOOKS = 0.02
SWITCH = 0.0001  # seconds after which a thread gives way: with Python's 5 ms a batch waits to be begun and handed over
M_MMAP_THRESHOLD, LARGE = -3, 1 << 20  # of malloc.h: blocks of so many bytes are got from the system one by one


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: A name or an address of this machine.
        port: 0: any that is free.
        certificate: A file with the certificate (PEM), for TLS.
        key: A file with its private key.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: str | None = None
    key: str | None = None


def listening(address: Address) -> socket.socket:
    """A socket that listens there.

    Raises:
        UsageError: The port is taken, or the address is not this machine's; says which.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address.host, address.port))
        found.listen(2048)
        found.setblocking(False)
    except (OSError, OverflowError) as error:
        found.close()
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        text = _(
            "cannot listen at {host}, port {port}: {reason}; another one: --port",
            host=address.host,
            port=address.port,
            reason=reason,
        )
        raise UsageError(text) from error
    return found


def check_tls(address: Address) -> None:
    """The files for TLS fit together.

    Raises:
        UsageError: One is missing, or they do not.
    """
    if address.certificate is None and address.key is None:
        return
    if address.certificate is None or address.key is None:
        raise UsageError(_("--tls-certificate and --tls-key go together"))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(address.certificate, address.key)
    except (OSError, ssl.SSLError) as error:
        text = _(
            "{certificate} and {key} are no certificate and its key: {reason}",
            certificate=address.certificate,
            key=address.key,
            reason=error,
        )
        raise UsageError(text) from error


def state_of(engines: list[Engine], guard: Guard, limits: Limits, counts: Counts) -> State:
    """A server's state for engines that are settled."""
    served = {}
    for place, engine in enumerate(engines):
        count = counts.of(place)
        teller = Teller(engine, limits, count) if engine.model.task in WRITING else None
        served[engine.name] = Served(engine, Reader(engine, limits), Batches(engine, limits, count), count, teller)
    return State(served, guard, limits, counts)


class Server(uvicorn.Server):
    """uvicorn's server with our way to end.

    Args:
        config: Of uvicorn.
        state: What is served.
        begun: Called when it answers.
    """

    def __init__(self, config: uvicorn.Config, state: State, begun: Callable[[], None]):
        super().__init__(config)
        self.state = state
        self.begun = begun
        self.stopped = 0.0  # when somebody asked to stop
        self.asked: list[int] = []  # signals that came before they could be heard
        self.signals: list[int] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end it as below; nothing is raised again when it has ended."""
        loop = asyncio.get_running_loop()
        ending: set[asyncio.Task] = set()

        def end(number: int) -> None:
            is_person = number == signal.SIGINT
            if self.state.status != "stopping":
                self.state.status = "stopping"
                ending.add(loop.create_task(self._end(0.0 if is_person else LINGER)))
            elif is_person:  # asked twice: a person who will not wait
                self.force_exit = self.should_exit = True

        handled = self.signals
        for number in handled:
            loop.add_signal_handler(number, end, number)
        for number in self.asked:
            end(number)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)
                signal.signal(number, self._keep)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until it is asked to stop; to be asked before there is a loop, or when all is over, tears nothing."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: held for number, held in before.items() if held not in (signal.SIG_IGN, None)}  # as by nohup
        self.signals = [*before]
        for number in before:
            signal.signal(number, self._keep)
        try:
            super().run(sockets)
        finally:
            for number, held in before.items():
                signal.signal(number, held)

    def _keep(self, number: int, frame: Any) -> None:
        self.asked.append(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.watching = asyncio.get_running_loop().create_task(watch(self.server_state.connections))
        # What lives now lives until the end: the collector need not walk through it again and again, which is what
        # makes a few of many requests slow.
        gc.collect()
        gc.freeze()
        if self.state.status == "starting":  # else it was asked to stop already
            self.state.status = "ok"
            self.begun()

    async def _end(self, linger: float) -> None:
        """Finish what was begun."""
        loop = asyncio.get_running_loop()
        self.stopped = loop.time()
        await self._until(linger, lambda: False)
        for connection in list(self.server_state.connections):
            connection.cut_half_sent()  # type: ignore[attr-defined]  # ours
        await self._until(STREAMS_END, lambda: not self.state.active)
        for task in list(self.state.streams):
            task.cancel()
        await self._until(LONGEST_END, lambda: not self.state.active)
        self.should_exit = True

    async def _until(self, seconds: float, is_done: Callable[[], bool]) -> None:
        """Wait until so many seconds after the wish to stop, or until it is done."""
        loop = asyncio.get_running_loop()
        while not is_done() and loop.time() - self.stopped < seconds and not self.force_exit:
            await asyncio.sleep(LOOKS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What is open now is idle, half sent, or beyond all patience."""
        self.watching.cancel()
        for server in self.servers:
            server.close()
        for one in sockets or []:
            one.close()
        for connection in list(self.server_state.connections):
            connection.cut()  # type: ignore[attr-defined]  # ours
        await self._until(LONGEST_END, lambda: not self.server_state.connections)  # answers are on their way still
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        for served in self.state.served.values():
            served.close()
        for thread in (self.state.beside, self.state.writing):
            thread.shutdown(wait=False, cancel_futures=True)


def serve_until_stopped(
    state: State, address: Address, listener: socket.socket, begun: Callable[[], None], app: Any = None
) -> None:
    """Answer until somebody asks to stop.

    Args:
        state: What is served.
        address: For TLS.
        listener: Where it listens.
        begun: Called when it answers.
        app: Answers the requests; None: `App`, with the page and all that belongs to it.
    """
    _give_memory_back()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # once: doing so for each picture takes longer than reading it
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    use(language())  # once, for who says no other: each sentence would look at the environment
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)  # what clients send is not to be in our log
    config = uvicorn.Config(
        app or App(state, small_routes(state)),
        http=bounded(state.limits),
        ws="none",
        lifespan="off",
        loop="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=int(state.limits.idle_seconds),
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    try:
        Server(config, state, begun).run([listener])
    finally:  # `gipi.serve` may have been called by a program that goes on
        sys.setswitchinterval(usual)
        gc.unfreeze()


def _give_memory_back() -> None:
    """What a large picture took goes back to the system at once, where there is glibc.

    By itself it keeps for good, in each thread, what blocks below 32 MB have taken at most.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
