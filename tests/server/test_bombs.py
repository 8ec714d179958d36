"""Small requests that want gigabytes or seconds: refused, with little memory, and others are served meanwhile."""

import base64
import io
import json
import threading
import time
from pathlib import Path

import httpx
import pytest
from asked import GOLDEN, Asked, Process, serving
from PIL import Image

import gipi
from gipi.release.bundle import held
from gipi.server.engine import Engine
from gipi.server.guard import MOST_HOSTS, Guard
from gipi.server.limits import Limits
from gipi.server.refusal import RefusedError
from gipi.server.writing import wanted

TABLE = GOLDEN / "mlp-classify-table-class.gipi"
PICTURES = GOLDEN / "convnet-classify-picture-class.gipi"
MASKS = GOLDEN / "unet-segment-picture.gipi"
JSON, CSV = "application/json", "text/csv"
MOST = 16_700_000  # bytes, close to what may come
MEMORY = 512.0  # MB
LAG = 1.0  # seconds that others may wait; on an idle machine it is 0.1
ROW = {"length": 3.0, "weight": -1000.0, "colour": "red", "is new": True, "day": "2020-02-01", "kind": "a"}


def engine(path: Path) -> Engine:
    return Engine(path.stem, gipi.load(path, runtime="onnx"), held(path).examples["rows"])


def file(kind: str, mode: str, side: int, **more) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (side, side)).save(out, kind, **more)
    return out.getvalue()


def within(before: bytes, again: bytes, after: bytes, most: int = MOST) -> bytes:
    return before + again * ((most - len(before) - len(after)) // len(again)) + after


def many(picture: bytes, rows: int) -> bytes:
    return json.dumps({"rows": [{"picture": base64.b64encode(picture).decode()}] * rows}).encode()


@pytest.fixture(scope="module")
def server():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no /proc here")
    with serving(str(TABLE), f"pictures={PICTURES}", f"masks={MASKS}", "--queue", "1000000") as one:
        yield one


class Watched:
    """What a server takes while it is asked: `peak` in MB, and `lag`, how long others wait, in seconds."""

    def __init__(self, server: Process):
        self.server, self.lag, self.is_over = server, 0.0, False

    def __enter__(self) -> "Watched":
        Path(f"/proc/{self.server.process.pid}/clear_refs").write_text("5")
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def ask(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self.is_over:
                start = time.perf_counter()
                client.get(f"{self.server.address}/healthz")
                self.lag = max(self.lag, time.perf_counter() - start)
                time.sleep(0.005)

    def __exit__(self, *error) -> None:
        self.is_over = True
        self.thread.join()
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        self.peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def post(server: Process, path: str, kind: str, body: bytes, **headers) -> httpx.Response:
    return httpx.post(f"{server.address}{path}", content=body, headers={"content-type": kind, **headers}, timeout=120)


LONG = b'{"rows":[{"picture":[["%s",' % (b"a" * 2000)
BOMBS = {
    "lists": ("pictures", JSON, lambda: within(b'{"rows": [{"picture": [', b"[0],", b"[0]]}]}"), 422),
    "objects": ("pictures", JSON, lambda: within(b'{"rows": [{"picture": [', b'{"":0},', b"0]}]}"), 422),
    "numbers": ("pictures", JSON, lambda: within(b'{"rows": [{"picture": [', b"0,", b"0]}]}"), 422),
    "rows": ("table", JSON, lambda: within(b'{"rows": [', b'{"":0},', b"{}]}"), 422),
    "keys": ("table", JSON, lambda: b'{"rows": [{%s}]}' % b",".join(b'"%d":0' % n for n in range(1_400_000)), 422),
    "deep": ("table", JSON, lambda: b"[" * MOST, 422),
    "digits": ("table", JSON, lambda: within(b'{"rows": [{"length": ', b"1", b"}]}"), 400),
    "lines": ("table", CSV, lambda: within(b"", b"a\n", b""), 422),
    "newlines": ("table", CSV, lambda: b"\n" * MOST, 422),
    "commas": ("table", CSV, lambda: b"," * MOST, 422),
    "quotes": ("table", CSV, lambda: b'"' * MOST, 400),
    "one cell": ("table", CSV, lambda: b"a" * MOST, 400),
    "columns": ("table", CSV, lambda: b",".join(b"c%d" % n for n in range(9000)) + b"\n", 200),
    "columns, many": ("table", CSV, lambda: b",".join(b"%d" % n for n in range(1_000_000)) + b"\n", 200),
    "one long word": ("pictures", JSON, lambda: within(LONG, b'"",', b'""]]}]}', 60_000), 200),
    "png": ("pictures", "image/png", lambda: file("PNG", "RGBA", 2800), 200),
    "png of 16 bits": ("pictures", "image/png", lambda: file("PNG", "I;16", 3990), 200),
    "png, too large for its opacity": ("pictures", "image/png", lambda: file("PNG", "RGBA", 3990), 413),
    "jpeg": ("pictures", "image/jpeg", lambda: file("JPEG", "CMYK", 3990, progressive=True), 200),
    "webp": ("pictures", "image/webp", lambda: file("WEBP", "RGBA", 2800, lossless=True), 200),
    "webp, too large": ("pictures", "image/webp", lambda: file("WEBP", "RGB", 3990), 413),
    "gif": ("pictures", "image/gif", lambda: file("GIF", "P", 2800, transparency=0), 200),
    "masks": ("masks", "image/jpeg", lambda: file("JPEG", "RGB", 1500), 200),
    "masks, too large": ("masks", "image/jpeg", lambda: file("JPEG", "RGB", 1600), 413),
    "many masks": ("masks", JSON, lambda: many(file("PNG", "L", 1500), 1000), 413),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(server, name):
    model, kind, make, status = BOMBS[name]
    path = "/predict" if model == "table" else f"/models/{model}/predict"
    body = make()
    with Watched(server) as watched:
        said = post(server, path, kind, body)
    assert status is None or said.status_code == status, said.text[:200]
    assert said.status_code < 500 or said.status_code == 503
    assert watched.peak < MEMORY and watched.lag < LAG, (watched.peak, watched.lag)


def test_many_large_pictures_at_once(server):
    """One after the other is unpacked; what memory they took is given back."""
    for name in ("png of 16 bits", "webp", "jpeg", "masks"):
        model, kind, make, _status = BOMBS[name]
        body, found = make(), []
        threads = [
            threading.Thread(
                target=lambda: found.append(post(server, f"/models/{model}/predict", kind, body).status_code)  # noqa: B023
            )
            for _one in range(8)
        ]
        with Watched(server) as watched:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert {*found} <= {200, 413, 503} and watched.peak < MEMORY and watched.lag < LAG, (name, found, watched.peak)
    assert server.memory() < 300


def test_many_large_pictures_in_one_request_take_no_longer_than_may_be():
    server = Asked(engine(PICTURES), limits=Limits(read_seconds=0.2))
    picture = base64.b64encode(file("PNG", "L", 3990)).decode()
    start = time.monotonic()
    said = server("POST", "/predict", json={"rows": [{"picture": picture}] * 200})
    assert said.status_code == 413 and time.monotonic() - start < 5
    assert server.state.active == server.state.bodies == server.state.reading == 0


def test_rows_out_of_the_ordinary_hold_up_nobody(server):
    """A date in another form takes the long way, a thousand times as long: beside those that do not."""
    body = json.dumps({"rows": [ROW | {"day": "2020/02/01"}] * 300}).encode()
    with Watched(server) as watched:
        assert post(server, "/predict", JSON, body).status_code == 200
    assert watched.lag < LAG / 2, watched.lag


def test_others_that_are_large_wait_and_then_are_told_to_come_back():
    server = Asked(engine(TABLE), limits=Limits(reading=2))
    many = json.dumps({"rows": [ROW] * 2000}).encode()
    asked = ("POST", "/predict", {"content": many, "headers": {"content-type": JSON}})
    statuses = sorted(said.status_code for said in server.together(*[asked] * 6))
    assert statuses == [200, 200, 503, 503, 503, 503] and server.state.reading == 0


def test_names_that_are_known_take_no_memory():
    """Every answer remembers the name in Host, so that it need not be looked at again: some short ones."""
    guard = Guard()
    for number in range(3 * MOST_HOSTS):
        guard.check("GET", "/", {b"host": b"127.0.0.1:%d" % number}, "")
        with pytest.raises(RefusedError):
            guard.check("GET", "/", {b"host": b"%d.example" % number}, "")
        with pytest.raises(RefusedError):
            guard.check("GET", "/", {b"host": b"[fe80::1%%%s]" % (b"%d" % number * 3000)}, "")
    assert len(guard.names) <= MOST_HOSTS and all(map(guard.names.get, guard.names))


def test_a_long_list_of_types_takes_no_time():
    start = time.perf_counter()
    for _time in range(100):
        with pytest.raises(RefusedError):
            wanted("a/b;q=0.1," * 3000)
    assert time.perf_counter() - start < 1
