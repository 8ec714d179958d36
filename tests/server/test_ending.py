"""Asked to end at any moment, once or twice: it ends in time, with one exit code, and says no more than it must."""

import os
import signal
import subprocess
import sys
import time

import pytest
from asked import GOLDEN, serving

MODEL = str(GOLDEN / "mlp-classify-table-class.gipi")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [("SIGINT", "SIGTERM", 0.04), ("SIGTERM", "SIGTERM", 1.04), ("SIGTERM", "SIGINT", 0.1)],
)
def test_asked_twice(first, second, seconds):
    """Also in the moment between the end of all answers and the end of the loop."""
    with serving(MODEL) as server:
        held = [server.connect() for _one in range(200)]
        start = time.monotonic()
        server.process.send_signal(getattr(signal, first))
        time.sleep(seconds)
        server.process.send_signal(getattr(signal, second))
        assert server.process.wait(8) in (0, -signal.SIGTERM)  # the second came when all was over
        assert time.monotonic() - start < 4
        for one in held:
            one.close()


@needs_fork
@pytest.mark.parametrize("seconds", [0.3, 0.6, 0.8])
def test_asked_while_it_begins(seconds):
    """Processes that have not begun yet end too, and none is left behind to be killed later."""
    words = [sys.executable, "-m", "gipi", "serve", MODEL, "--port", "0", "--workers", "2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them hear it
    said = process.communicate(timeout=8)[1].decode()
    assert process.returncode in (0, 130)
    assert said in ("", "gipi: interrupted\n")


@needs_fork
def test_why_workers_cannot_begin_is_said_once(tmp_path):
    (tmp_path / "broken.gipi").write_bytes(b"no bundle")
    words = [sys.executable, "-m", "gipi", "serve", str(tmp_path / "broken.gipi"), "--port", "0", "--workers", "3"]
    done = subprocess.run(words, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count(b"gipi: ") == 1 and b"broken.gipi" in done.stderr


def test_a_body_that_comes_after_its_refusal_holds_nothing_up():
    """The connection is idle then: it is cut when the server ends, as others are."""
    with serving(MODEL) as server, server.connect() as one:
        one.sendall(b"POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        assert b" 404 " in one.recv(65536)
        one.sendall(b"hello")
        time.sleep(0.1)
        start = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "text",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_an_idle_connection_is_cut_whatever_comes_that_is_no_request(text):
    """Empty lines between requests are allowed; they do not stop the clock."""
    script = (
        "import sys\nfrom gipi.server.limits import Limits\nfrom gipi.verbs.serve import serve\n"
        "port = int(sys.argv[sys.argv.index('--port') + 1])\n"
        "serve(sys.argv[1], port=port, limits=Limits(idle_seconds=1.0))\n"
    )
    with serving(MODEL, script=script) as server, server.connect() as one:
        one.sendall(text)
        assert one.recv(65536).startswith(b"HTTP/1.1 ")
        one.sendall(b"\r\n")
        one.settimeout(5)
        while one.recv(65536):  # the rest of the answer, then the end; else it would time out
            pass
