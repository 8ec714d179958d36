"""It stands: slow and greedy clients, more load than it can carry, the wish to stop, workers that die."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from asked import GOLDEN, Asked, serving

import gipi
from gipi.release.bundle import held
from gipi.server.engine import Engine
from gipi.server.limits import Limits

MODEL = str(GOLDEN / "mlp-classify-table-class.gipi")
PICTURES = str(GOLDEN / "gan-generate-picture.gipi")
SLOWED = str(Path(__file__).parent / "slowed.py")
ROW = {"length": 3.0, "weight": -1000.0, "colour": "red", "is new": True, "day": "2020-02-01", "kind": "a"}
BODY = json.dumps({"rows": [ROW]}).encode()


def request(body: bytes = BODY, path: str = "/predict") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answered(one: socket.socket) -> int:
    """The status of the answer on a connection; 0: it was cut without any."""
    try:
        head = one.recv(65536)
    except ConnectionError:
        return 0
    return int(head.split()[1]) if head else 0


def slowed(seconds: float, *words: str):
    script = f"import runpy, sys; sys.argv[1:1] = ['{seconds}']; runpy.run_path({SLOWED!r}, run_name='__main__')"
    return serving(*words, script=script)


def ask(server, **given) -> httpx.Response:
    return httpx.post(f"{server.address}/predict", json={"rows": [ROW]}, timeout=60, **given)


@pytest.fixture(scope="module")
def server():
    with serving(MODEL, "pictures=" + PICTURES) as one:
        yield one


def test_two_models_by_name(server):
    names = [one["name"] for one in httpx.get(f"{server.address}/models").json()["models"]]
    assert names == ["mlp-classify-table-class", "pictures"]
    assert "label" in ask(server).json()["predictions"][0]
    made = httpx.post(f"{server.address}/models/pictures/predict", json={"count": 2})
    assert len(made.json()["predictions"]) == 2


def test_no_torch_is_imported_for_a_program(server):
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("no /proc here")
    assert "libtorch" not in maps.read_text() and "onnxruntime" in maps.read_text()


def test_headers_without_end_are_cut(server):
    """A header of 200 MB is not swallowed: the connection ends after some kilobytes."""
    before = server.memory()
    with server.connect() as one:
        sent = 0
        with pytest.raises(OSError):
            one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
            while sent < 200 << 20:
                one.sendall(b"a" * (1 << 20))
                sent += 1 << 20
        assert sent < 20 << 20
    with server.connect() as one:
        one.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 99) for n in range(999))
        )
        assert answered(one) == 431
    with server.connect() as one:
        one.sendall(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(one) in (400, 431)
    assert server.memory() < before + 20
    assert ask(server).status_code == 200


def test_what_is_no_http_is_refused(server):
    for text in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 10 + b"x y z\r\n",
    ):
        with server.connect() as one:
            one.sendall(text)
            assert answered(one) in (0, 400, 505)
    smuggled = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with server.connect() as one:
        one.sendall(smuggled)
        assert answered(one) in (0, 400, 415)
    assert ask(server).status_code == 200


def test_several_requests_on_one_connection(server):
    """One after the other without waiting, cut anywhere."""
    with server.connect() as one:
        text = request() * 5
        for place in range(0, len(text), 97):
            one.sendall(text[place : place + 97])
        found = b""
        while found.count(b'"predictions"') < 5:
            found += one.recv(65536)
        assert found.count(b"HTTP/1.1 200") == 5


def test_a_client_that_leaves_harms_nobody(server):
    for _time in range(20):
        with server.connect() as one:
            one.sendall(request()[:-5])
        with server.connect() as one:
            one.sendall(request())
    assert ask(server).status_code == 200


def test_slow_clients_are_cut_and_others_served(tmp_path):
    """1,100 connections that never finish their headers, and bodies that never come: all are cut by the clock."""
    script = (
        "import sys\nfrom gipi.server.limits import Limits\n"
        "from gipi.verbs.serve import serve\n"
        "port = int(sys.argv[sys.argv.index('--port') + 1])\n"
        "serve(sys.argv[1], port=port, limits=Limits(header_seconds=2.0, body_seconds=3.0))\n"
    )
    with serving(MODEL, script=script) as server:
        held = [server.connect() for _one in range(900)]
        try:
            for number, one in enumerate(held):
                if number % 3 == 0:
                    one.sendall(b"POST /predict HTTP/1.1\r\nHost: loc")
                elif number % 3 == 1:
                    one.sendall(request()[:-5])
            start = time.monotonic()
            assert ask(server).status_code == 200
            assert time.monotonic() - start < 1
            time.sleep(5.5)
            for number, one in enumerate(held):
                one.settimeout(5)
                assert answered(one) in ((408,) if number % 3 == 0 else (0, 408)), number
            assert ask(server).status_code == 200
        finally:
            for one in held:
                one.close()


def test_more_than_it_can_carry():
    """The queue is bounded: who comes when it is full is told at once, and when to come back."""
    with slowed(0.3, MODEL, "--batch", "4", "--queue", "8") as server:
        found: list[tuple[int, float, str]] = []  # status, when it was answered, when to come back

        def once():
            said = ask(server)
            found.append((said.status_code, time.monotonic() - start, said.headers.get("retry-after", "")))

        threads = [threading.Thread(target=once) for _one in range(40)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [status for status, _seconds, _retry in found]
        last = max(after for status, after, _retry in found if status == 503)  # a busy machine sends some late
        assert set(statuses) == {200, 503} and 8 <= statuses.count(200) <= 16 + 4 * last / 0.3
        assert all(int(retry) >= 1 for status, _seconds, retry in found if status == 503)
        assert ask(server).status_code == 200
        counted = httpx.get(f"{server.address}/metrics").text
        assert f'status="503"}} {statuses.count(503)}' in counted and "gipi_queue_rows" in counted


def test_nothing_is_computed_for_who_has_left():
    """Clients of a slow model that leave give up their places, and what was counted for them is given back."""
    engine = Engine("slow", gipi.load(MODEL, runtime="onnx"), held(MODEL).examples["rows"])
    server = Asked(engine, limits=Limits(batch=1, patience=100.0))
    rows, quick = [], engine.run

    def run(ready):
        rows.extend(ready)
        time.sleep(0.1)
        return quick(ready)

    engine.run = run  # type: ignore[method-assign]
    batches = server.state.default.batches
    batches.pace, batches.beside, engine.alone = 0.1, ThreadPoolExecutor(1), 1.0
    sent: list[dict] = []

    async def leave(seconds: float) -> None:
        messages = [{"type": "http.request", "body": BODY, "more_body": False}]

        async def receive() -> dict:
            if messages:
                return messages.pop()
            await asyncio.sleep(seconds)
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": headers}
        await server.app(scope | {"client": ("127.0.0.1", 1)}, receive, send)

    async def all_of_them() -> None:
        await asyncio.gather(*(leave(0.15) for _one in range(20)), leave(60.0))

    asyncio.run(all_of_them())
    assert len(rows) < 12  # of 21 that asked, five are not watched: they wait no half second
    assert [one["status"] for one in sent if one["type"] == "http.response.start"].count(200) >= 5
    assert (server.state.active, server.state.bodies, batches.waiting) == (0, 0, 0)


def test_the_wish_to_stop():
    """Health says so at once, what was begun is finished, what is half sent is cut, and the exit code is 0."""
    with slowed(1.5, MODEL, "--batch", "4") as server:
        found: list[int] = []
        asking = threading.Thread(target=lambda: found.append(ask(server).status_code))
        half = server.connect()
        half.sendall(request()[:-5])
        idle = server.connect()
        asking.start()
        time.sleep(0.3)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        health = httpx.get(f"{server.address}/healthz")
        assert health.status_code == 503 and health.json() == {"status": "stopping"}
        assert ask(server).status_code == 503
        asking.join()
        assert found == [200]
        assert server.process.wait(25) == 0
        assert time.monotonic() - start < 10
        assert answered(half) in (0, 503) and answered(idle) == 0
        half.close()
        idle.close()


def test_ctrl_c_ends_it_at_once():
    with serving(MODEL) as server:
        start = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 0
        assert time.monotonic() - start < 1.5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_workers_share_the_work_and_the_numbers():
    with serving(MODEL, "--workers", "2") as server:
        for _time in range(30):
            with httpx.Client() as client:
                assert client.post(f"{server.address}/predict", json={"rows": [ROW]}).status_code == 200
        text = httpx.get(f"{server.address}/metrics").text
        assert 'gipi_requests_total{model="mlp-classify-table-class",status="200"} 30' in text
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        if children.exists():
            first, _second = map(int, children.read_text().split())
            time.sleep(2.1)  # a worker that dies in its first seconds is not started again
            os.kill(first, signal.SIGKILL)
            end = time.monotonic() + 20
            while len(children.read_text().split()) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            assert len(children.read_text().split()) == 2
            for _time in range(10):
                assert ask(server).status_code == 200
            assert f'status="200"}} {40}' in httpx.get(f"{server.address}/metrics").text
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(25) == 0


def test_a_stream_ends_when_the_server_stops():
    with slowed(0.5, PICTURES, "--batch", "1") as server:
        lines: list[str] = []

        def listen():
            with httpx.stream(
                "POST",
                f"{server.address}/predict",
                json={"count": 6},
                headers={"accept": "text/event-stream"},
                timeout=60,
            ) as said:
                lines.extend(line for line in said.iter_lines() if line)

        thread = threading.Thread(target=listen)
        thread.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        thread.join()
        assert "event: end" in lines and len(lines) == 8  # it was short enough to be finished
        assert server.process.wait(25) == 0


def test_what_cannot_begin_is_said(tmp_path, capfd):
    from gipi.cli.main import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", MODEL, "--port", port]) == 2
    (tmp_path / "broken.gipi").write_bytes(b"no bundle")
    assert main(["serve", str(tmp_path / "broken.gipi"), "--port", "0"]) == 1
    assert main(["serve", MODEL, MODEL, "--port", "0"]) == 2
    assert main(["serve", MODEL, "--port", "0", "--workers", "0"]) == 2
    assert main(["serve", MODEL, "--port", "0", "--keys", str(tmp_path / "none")]) == 2
    assert main(["serve", MODEL, "--port", "0", "--tls-key", "k.pem"]) == 2
    assert main(["serve", MODEL, "--port", "99999"]) == 2
    said = capfd.readouterr().err
    assert said.count("gipi: ") == 7 and "Traceback" not in said


@pytest.mark.slow
def test_a_long_stream_is_ended():
    """20 seconds after the wish to stop, with an event that says so; the process is gone within 25."""
    with slowed(0.5, PICTURES, "--batch", "1") as server:
        lines: list[str] = []

        def listen():
            headers = {"accept": "text/event-stream"}
            address = f"{server.address}/predict"
            with httpx.stream("POST", address, json={"count": 200}, headers=headers, timeout=60) as said:
                lines.extend(line for line in said.iter_lines() if line)

        thread = threading.Thread(target=listen)
        thread.start()
        time.sleep(1)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        thread.join()
        assert 18 < time.monotonic() - start < 24 and "event: error" in lines and len(lines) > 20
        assert server.process.wait(5) == 0
