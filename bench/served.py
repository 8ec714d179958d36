"""A server as a benchmark holds it: started, asked, stopped for a while, its memory read, and ended.

Where several servers take turns, those that wait are held still (SIGSTOP), so that none works in another's turn: some
look at their queues thousands of times a second even when nobody asks. Linux alone.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import ROOT

START = 60.0  # seconds that a server may take until it is healthy
END = 30.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # of the person who measures: not for servers
PAGE = os.sysconf("SC_PAGE_SIZE")


class Served:
    """A server's process and all that it starts.

    Args:
        command: What follows `python`; `{port}` is where it listens.
        health: The path that answers 200 when it is ready.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        started: Seconds from its start until it was healthy.
    """

    def __init__(self, command: list[str], health: str = "/healthz"):
        self.port = free_port()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        environment = {name: value for name, value in os.environ.items() if name not in THREADS}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *(part.replace("{port}", str(self.port)) for part in command)],
            env={**environment, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL,
            stdout=self.errors,
            stderr=self.errors,
            start_new_session=True,  # one group with all that it starts
        )
        try:
            while not self._is_healthy(health):
                if self.process.poll() is not None or time.perf_counter() - began > START:
                    sys.exit(f"{' '.join(command)} does not answer:\n{self.said()}")
                time.sleep(0.002)
        except BaseException:
            self.end()
            raise
        self.started = time.perf_counter() - began

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_error: Any) -> None:
        self.end()

    def _is_healthy(self, path: str) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", path, timeout=1)[0] == 200
        return False

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", timeout: float = 30
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def hold(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def memory(self) -> float:
        """MB that the server and all its processes hold, what they share counted once for each."""
        return sum(memory_of(process) for process in self._processes()) / 1e6

    def has_loaded(self, library: str) -> bool:
        """Whether a file of this name is mapped into the server's memory: `libtorch` where torch was imported."""
        return any(library in Path(f"/proc/{one}/maps").read_text() for one in self._processes())

    def _processes(self) -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(ProcessLookupError):
                    if os.getpgid(int(folder.name)) == self.process.pid:
                        found.append(int(folder.name))
        return found

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-4000:]

    def end(self) -> None:
        self.go_on()
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(END)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()
        self._signal(signal.SIGKILL)  # what it has left behind
        self.errors.close()


def memory_of(process: int) -> int:
    """Bytes in memory of one process; 0 where it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    return 0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
