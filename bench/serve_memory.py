"""Whether a server's memory grows: 110,000 requests to `gipi serve`, good and bad, and what it holds before and after.

    python bench/serve_memory.py [--quick] [--requests 110000] [--first 10000]

The first requests fill what a server keeps for good (buffers, pools, code that is imported late); the figure is how
much more it holds after all the others. Two models are served, a table and pictures. One request in three is bad:
broken JSON, numbers that are none, fields that are not there, bodies and counts beyond the limits, damaged and huge
pictures, other methods, paths and types.
"""

import argparse
import asyncio
import json
import struct
import time
import zlib
from collections import Counter
from itertools import chain, cycle, islice

from asking import Client, post
from serve_models import NUMBERS, Work, works
from served import Served
from turns import Bench, Figure, arguments, say, summary, write

TOGETHER = 16  # requests at the same time
MOST = 5.0  # MB
ALLOWED = {200, 400, 404, 405, 411, 413, 415, 422}


def good(work_of: dict[str, Work]) -> list[bytes]:
    """Rows and pictures, one or several, in all forms that are taken."""
    table, picture = work_of["table"], work_of["picture"]
    rows = [json.loads(body)["rows"][0] for body in table.bodies]
    lines = "\n".join(",".join(str(row[name]) for name in NUMBERS) for row in rows[:20])
    many = json.dumps({"rows": rows}).encode()
    made = [post("/models/table/predict", body) for body in table.bodies]
    made += [post("/models/picture/predict", body, "image/png") for body in picture.bodies]
    made += [post("/models/table/predict", many)] * 4
    made += [post("/models/table/predict", f"{','.join(NUMBERS)}\n{lines}\n".encode(), "text/csv")] * 4
    return made + [_get(path) for path in ("/schema", "/card", "/healthz", "/metrics", "/models", "/")]


def bad(work_of: dict[str, Work]) -> list[bytes]:
    """What must be refused, or answered with an error in a row's place."""
    row = json.loads(work_of["table"].bodies[0])["rows"][0]
    png = work_of["picture"].bodies[0]
    table, picture = "/models/table/predict", "/models/picture/predict"

    def rows(*given: object) -> bytes:
        return post(table, json.dumps({"rows": given}).encode())

    return [
        rows(row | {"n0": "word"}),
        rows({name: row[name] for name in NUMBERS[1:]}),
        rows(*[{"n0": None, "n1": []}] * 50),
        rows(row | {"n0": 1e300}, row),
        rows([1, 2, 3]),
        rows(*[{}] * 10_001),
        post(table, b'{"rows": [' + b"[" * 5000),
        post(table, b'{"rows": [{"n0": NaN, "n1": Infinity, "n2": 1e400}]}'),
        post(table, b'{"rows": [{"n0": "\\ud800"}]}'),
        post(table, b"\xff\xfe\x00"),
        post(table, b""),
        post(table, b"n0,n1\n1,2\n", "text/csv"),
        post(table, b"{}", "application/octet-stream"),
        post(table, b"", length=1 << 40),
        post(table, b'{"rows":', length=200_000_000),
        post(picture, png[: len(png) // 2], "image/png"),
        post(picture, png[:100] + b"\0" * 50 + png[150:], "image/png"),
        post(picture, b"GIF89a" + b"\xff" * 500, "image/gif"),
        post(picture, b"\xff\xd8\xff\xe0" + bytes(2000), "image/jpeg"),
        post(picture, _bomb(), "image/png"),
        post(picture, b'{"rows": [{"picture": "data:image/png;base64,AAAA"}]}'),
        post(picture, b'{"rows": [{"picture": "%%%"}, {"picture": null}]}'),
        post("/models/none/predict", b"{}"),
        _get("/no-such-path"),
        _get("/predict"),
    ]


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _bomb() -> bytes:
    """A PNG file of a few bytes that claims 60,000 by 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


async def send(port: int, requests: list[bytes]) -> Counter:
    """Send them all, a few at a time; how often each status came."""
    client, rest, seen = Client(port, TOGETHER), iter(requests), Counter()

    async def one_after_another() -> None:
        for request in rest:
            seen[(await client.ask(request))[0]] += 1

    await asyncio.gather(*(one_after_another() for _ in range(TOGETHER)))
    client.close()
    return seen


def measured(options: argparse.Namespace) -> dict[str, float]:
    with works() as work_of:
        fine, broken = good(work_of), bad(work_of)
        models = [str(work_of[name].path) for name in ("table", "picture")]
        with Served(["-m", "gipi", "serve", *models, "--port", "{port}"]) as served:
            turns = zip(cycle(fine), cycle(fine[::-1]), cycle(broken))  # they have no end
            mixed = list(islice(chain.from_iterable(turns), options.requests))
            began = time.perf_counter()
            seen = asyncio.run(send(served.port, mixed[: options.first]))
            before = served.memory()
            seen += asyncio.run(send(served.port, mixed[options.first :]))
            after, spent = served.memory(), time.perf_counter() - began
    print("statuses:", ", ".join(f"{status} {count} times" for status, count in sorted(seen.items())))
    if unknown := set(seen) - ALLOWED:
        raise SystemExit(f"answers that should not be: {unknown} (0: the connection broke)")
    return {"time": 1e6 * spent / options.requests, "before": before, "memory": after, "growth": after - before}


def main() -> None:
    options = arguments(__doc__, 1, 1, {"requests": (110_000, 3_000), "first": (10_000, 1_000)})
    bench = Bench("serve_memory", {}, [Figure("gipi", most=MOST, name="growth")], "µs")
    section = summary(bench, options, {"gipi": [measured(options) for _turn in range(options.turns)]})
    say(section)
    print(f"written to {write('serve_memory', section)}")


if __name__ == "__main__":
    main()
