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
