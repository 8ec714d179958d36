"""Whatever comes, what is counted returns to nothing, and every answer is one: hostile bodies to every model."""

import asyncio
import base64
import json
import math
import os
import socket
import struct
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from asked import GOLDEN, Asked, Process, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gipi
from gipi.release.bundle import held
from gipi.server.engine import Engine
from gipi.server.limits import Limits

TABLE = GOLDEN / "mlp-classify-table-class.gipi"
MADE = GOLDEN / "gan-generate-picture.gipi"
BUNDLES = sorted(GOLDEN.glob("*.gipi"))
ROW = {"length": 3.0, "weight": -1000.0, "colour": "red", "is new": True, "day": "2020-02-01", "kind": "a"}
JSON = {"content-type": "application/json"}
EVENTS = {"accept": "text/event-stream"}
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"


def engine(path: Path) -> Engine:
    opened = held(path)
    runtime = "onnx" if "program.onnx" in opened.parts else "torch"
    return Engine(path.stem, gipi.load(path, runtime=runtime), opened.examples["rows"])


def body(rows: int = 1, **more) -> bytes:
    return json.dumps({"rows": [ROW | more] * rows}).encode()


# --- nothing is left over ----------------------------------------------------------------------------------------


def test_after_all_kinds_of_failure_nothing_is_left_over():
    """In this process: every refusal there is, answers too large for the type that is asked, clients that leave."""
    server = Asked(engine(TABLE), limits=Limits(body=100_000, bodies=400_000, queue=3000))
    whole = body()
    asked = [
        (whole, {}),
        (b"{", {}),
        (b"x" * 200_000, {}),
        (body(400), {"accept": "text/csv"}),
        (whole, {"accept": "image/png"}),
        (whole, {"accept": "text/html"}),
        (whole, {"content-type": "image/png"}),
        (whole, {"content-encoding": "gzip"}),
        (whole, {"content-length": "-1"}),
        (whole, {"host": "evil.example"}),
        (whole, {"origin": "http://evil.example"}),
        (body(50, day="2020/02/01"), {}),
        (body(50, day="none at all"), {}),
        (body(40), EVENTS),
        (body(40, length=1e300), {}),
        (b"a,b\n1\n", {"content-type": "text/csv"}),
    ]
    server.together(*(("POST", path, {"content": one, "headers": {**JSON, **headers}}) for one, headers in asked * 2
                      for path in ("/predict", "/explain")))  # fmt: skip
    assert_idle(server)
    for stage in range(4):
        for headers in ({}, EVENTS):
            asyncio.run(leaves(server, stage, headers))
    assert_idle(server)
    assert server("POST", "/predict", content=whole, headers=JSON).status_code == 200


def assert_idle(server: Asked) -> None:
    state = server.state
    assert state.active == state.bodies == state.reading == 0
    assert not state.streams and not state.guard.streams
    assert all(one.batches.waiting == 0 for one in state.served.values())


async def leaves(server: Asked, stage: int, headers: dict[str, str]) -> None:
    """A client that leaves before its body, in it, after it, or while it is answered; sending may fail then too."""
    whole = body(30)
    parts = [whole[:100], whole[100:]][:stage] if stage < 2 else [whole[:100], whole[100:]]
    came = [{"type": "http.request", "body": one, "more_body": place < 1} for place, one in enumerate(parts)]
    sent = 0

    async def receive() -> dict:
        await asyncio.sleep(0.01 * (stage == 3))
        return came.pop(0) if came else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        nonlocal sent
        sent += 1
        if stage == 3 and sent > 1:
            raise OSError("it has left")

    given = {"host": "localhost", **JSON, **headers}
    scope = {
        "type": "http", "method": "POST", "path": "/predict", "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    try:
        await server.app(scope, receive, send)
    except OSError:
        assert stage == 3


def test_an_answer_counts_until_it_is_taken():
    """It is sent in pieces, each when the one before has gone, and whoever takes none of it holds what is bounded."""
    server = Asked(engine(TABLE), limits=Limits(queue=10_000))
    whole, seen, found = body(4000), [], b""

    async def receive() -> dict:
        return {"type": "http.request", "body": whole, "more_body": False}

    async def send(message: dict) -> None:
        nonlocal found
        found += message.get("body", b"")
        seen.append(server.state.bodies)

    scope = {
        "type": "http", "method": "POST", "path": "/predict", "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }  # fmt: skip
    asyncio.run(server.app(scope, receive, send))
    assert len(json.loads(found)["predictions"]) == 4000
    assert len(seen) > 2 and min(seen) > len(found)
    assert_idle(server)


# --- clients that break off, through sockets ---------------------------------------------------------------------


def reset(one: socket.socket) -> None:
    """End it without a word."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def open_files(server: Process) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


EVIL = b"GET /EVIL HTTP/1.1\r\nHost: localhost\r\n\r\n"
WHOLE = body()
LENGTH = b"Content-Length: %d\r\n" % len(WHOLE)
PREDICT = b"POST /predict HTTP/1.1\r\n" + HEAD
ODD = [
    (PREDICT + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EVIL, [400]),
    (PREDICT + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n0\r\n\r\n" + EVIL, [400]),
    (PREDICT + LENGTH + b"Content-Length: 3\r\n\r\n" + WHOLE, [400]),
    (PREDICT + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + WHOLE + EVIL, [400]),
    (PREDICT + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + EVIL, [400]),
    (PREDICT + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + EVIL, [400]),
    (PREDICT + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + WHOLE, [400]),
    (PREDICT + b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(WHOLE), WHOLE), [200]),
    (PREDICT + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", [400]),
    (PREDICT + b"Content-Length: 20000000\r\n\r\n" + EVIL * 3, [413]),
    (PREDICT + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (3 * len(EVIL)) + EVIL * 3, [415]),
    (b"POST /none HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % (3 * len(EVIL)) + EVIL * 3, [404]),
    (b"POST /predict HTTP/1.1\r\nHost: e\r\nContent-Length: %d\r\n\r\n" % (3 * len(EVIL)) + EVIL * 3, [403]),
    (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", [400]),
    (b"CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + EVIL, [400]),
    (b"GET /predict HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + EVIL, [405]),
    (b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", [200]),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000, [200] * 1000),
]  # fmt: skip


@pytest.fixture(scope="module")
def server():
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    with serving(str(TABLE), f"made={MADE}") as one:
        yield one


@pytest.mark.parametrize("place", range(len(ODD)))
def test_what_is_in_a_body_is_never_a_request(server, place):
    """Neither by two lengths, nor by odd encodings, nor because the request was refused before its body was read."""
    text, expected = ODD[place]
    with server.connect() as one:
        one.sendall(text)
        one.settimeout(0.5 if len(expected) == 1 else 5)
        found = b""
        try:
            while found.count(b"HTTP/1.1 ") < len(expected) or len(expected) == 1:
                part = one.recv(65536)
                if not part:
                    break
                found += part
        except (TimeoutError, ConnectionError):
            pass
    assert [int(part[:3]) for part in found.split(b"HTTP/1.1 ")[1:]] == expected


def test_what_broke_off_leaves_no_file_open(server):
    before = open_files(server)
    events = (
        b'POST /models/made/predict HTTP/1.1\r\n%sAccept: text/event-stream\r\nContent-Length: 14\r\n\r\n{"count": 256}'
    )
    for text in (
        b"",
        b"GET",
        PREDICT + LENGTH + b"\r\n" + WHOLE[:9],
        PREDICT + LENGTH + b"\r\n" + WHOLE,
        events % HEAD,
    ):
        for seconds in (0.0, 0.01, 0.05):
            held_open = [server.connect() for _one in range(10)]
            for one in held_open:
                one.sendall(text)
            time.sleep(seconds)
            for one in held_open:
                reset(one)
    end = time.monotonic() + 5
    while open_files(server) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert open_files(server) <= before
    said = httpx.post(f"{server.address}/models/made/predict", json={"count": 1}, headers=EVENTS)
    assert said.text.count("\ndata: ") + said.text.startswith("data: ") == 2  # as many streams as before may be opened
    assert 'gipi_queue_rows{model="made"} 0' in httpx.get(f"{server.address}/metrics").text


# --- any JSON at all ---------------------------------------------------------------------------------------------

NUMBERS = st.floats() | st.integers() | st.sampled_from([1e300, -1e300, 2**63, 2**70, 5e-324, 1e9, -0.0])
ODD_WORDS = ["", "NA", "null", "true", "1,000", "2020-02-30", "9999-12-31 23:59:59", "=1+1", "\x00", "../a.png"]
WORDS = st.text(max_size=30) | st.sampled_from(ODD_WORDS)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda one: st.lists(one, max_size=4) | st.dictionaries(WORDS, one, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def servers():
    return {path.stem: Asked(engine(path)) for path in BUNDLES}


@pytest.mark.parametrize("name", [path.stem for path in BUNDLES])
def test_any_json_is_answered_or_refused(servers, name):
    """Never 500; one answer for each row; no answer has a number that JSON has not."""
    server = servers[name]
    one = server.state.default
    model = one.engine.model
    if model.task == "generate":
        bodies = st.fixed_dictionaries({"count": VALUES | st.integers(0, 300)}, optional={"seed": VALUES})
    else:
        if model.schema.is_picture:
            files = st.binary(max_size=30).map(lambda some: base64.b64encode(some).decode())
            lists = st.lists(st.lists(NUMBERS | VALUES, min_size=1, max_size=3), min_size=1, max_size=3)
            row = st.fixed_dictionaries({"picture": VALUES | files | lists})
        elif model.task == "stream":
            row = st.lists(NUMBERS | VALUES, max_size=4)
        else:
            known = one.engine.examples[0]
            row = st.fixed_dictionaries({key: st.just(value) | VALUES for key, value in known.items()})
        bodies = st.fixed_dictionaries({"rows": st.lists(row | VALUES, max_size=3) | st.lists(row, max_size=5)})

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        derandomize=True,
        database=None,
    )
    @given(bodies | VALUES)
    def check(said):
        text = json.dumps(said).encode("utf-8", "surrogatepass")
        for accept in ("application/json", "text/csv", "text/event-stream"):
            answer = server("POST", "/predict", content=text, headers={**JSON, "accept": accept})
            assert answer.status_code in (200, 400, 406, 413, 422), answer.text
            if accept == "application/json":
                found = json.loads(answer.content, parse_constant=lambda word: pytest.fail(word))
                if answer.status_code == 200:
                    expected = said["count"] if model.task == "generate" else len(said["rows"])
                    assert len(found["predictions"]) == expected
                    assert all(map(is_finite, found["predictions"]))

    check()
    assert_idle(server)


def is_finite(value) -> bool:
    if isinstance(value, dict | list):
        return all(map(is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float | np.floating) or math.isfinite(value)
