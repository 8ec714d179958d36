"""What is refused: each with its status and a sentence, never with a 500."""

import gzip
import io
import json
import struct
import zlib

import numpy as np
import pytest
from asked import GOLDEN, Asked
from PIL import Image

import gipi
from gipi.release.bundle import held
from gipi.server.engine import Engine
from gipi.server.guard import Guard, read_keys
from gipi.server.limits import Limits

TABLE = GOLDEN / "mlp-classify-table-class.gipi"
PICTURES = GOLDEN / "convnet-classify-picture-class.gipi"


@pytest.fixture(scope="module")
def engines():
    return {
        path: Engine(path.stem, gipi.load(path, runtime="onnx"), held(path).examples["rows"])
        for path in (TABLE, PICTURES)
    }


@pytest.fixture
def table(engines):
    return Asked(engines[TABLE])


@pytest.fixture
def pictures(engines):
    return Asked(engines[PICTURES])


def row_of(server):
    return dict(server.state.default.engine.examples[0])


def post(server, body, kind="application/json", **headers):
    return server("POST", "/predict", content=body, headers={"content-type": kind, **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"rows"',
        b"{}",
        b'{"rows": 7}',
        b'{"rows": {}}',
        b'{"rows": [7]}',
        b'{"rows": [[]]}',
        b'{"rows": [null]}',
        b'{"rows": [{"length": NaN}]}',
        b'{"rows": [{"length": Infinity}]}',
        b'{"rows": [{"length": 1e400}]}',
        b'{"rows": [{"length": -1e400}]}',
        b'{"rows": [{"colour": "\\ud800"}]}',
        b'{"rows": [{"colour": "\xed\xa0\x80"}]}',
        b'\xff\xfe{\x00"\x00',
        b"[" * 100_000,
        b'{"rows": [' + b'{"a":' * 100_000,
        b'{"rows": [{"length": ' + b"1" * 100_000 + b"}]}",
        b'{"rows": [{"length": "3"}]}',
        b'{"rows": [{}]}',
        b'{"rows": [{"colour": "' + b"a" * 20_000 + b'"}]}',
    ],
    ids=lambda body: repr(body[:36]),
)
def test_what_is_no_rows_is_refused(table, body):
    said = post(table, body)
    assert said.status_code in (400, 422), said.text
    assert set(said.json()) <= {"error", "details"} and len(said.text) < 5000


@pytest.mark.parametrize("value", ["NaN", "1e400", '"\\ud800"', "[" * 5000, '{"a":' * 5000])
def test_a_value_that_is_none_is_refused_in_a_whole_row(table, value):
    """Also where all else is right."""
    body = json.dumps({"rows": [row_of(table)]}).replace("}]}", f', "length": {value}}}]}}')
    assert post(table, body.encode()).status_code in (400, 422)


def test_the_first_twenty_rows_and_fields_are_named(table):
    row = row_of(table)
    rows = [dict(row) if n % 2 else row | {"length": "long", "colour": None, "weight": []} for n in range(60)]
    del rows[59]["colour"]
    said = post(table, json.dumps({"rows": rows}).encode())
    assert said.status_code == 422
    details = said.json()["details"]
    assert len(details) == 20
    assert [(one["row"], one["field"]) for one in details[:4]] == [
        (0, "length"),
        (0, "weight"),
        (2, "length"),
        (2, "weight"),
    ]
    one = post(table, json.dumps({"rows": rows[59:]}).encode()).json()
    assert one["details"] == [{"row": 0, "field": "colour", "error": "it is missing"}]


def test_many_wrong_rows_cost_little(engines):
    """Rows of nothing at all, as many as may come: the reasons are not all collected first."""
    import time
    import tracemalloc

    server = Asked(engines[TABLE])
    body = b'{"rows": [' + b"{}," * 9_999 + b"{}]}"
    tracemalloc.start()
    start = time.perf_counter()
    assert post(server, body).status_code == 422
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/csv", b"", 400),
        ("text/csv", b"\xff\xfe\x00", 400),
        ("text/csv", b'length\n"3', 400),
        ("text/csv", b"length,length\n1,2\n", 422),
        ("text/csv", b"length\n1\n", 422),
        ("text/csv", b"length,colour\n1\n", 422),
        ("text/csv", b"a\x00b\n1\n", 422),
        ("text/csv", b"a\n" + b"1" * 200_000, 400),
        ("text/plain", b"hello", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("image/png", b"hello", 415),
        ("", b"{}", 415),
        ("\xe9", b"{}", 415),
    ],
)
def test_other_bodies_are_refused(table, kind, body, status):
    assert post(table, body, kind.encode("latin-1")).status_code == status


def test_more_rows_than_may_come(engines):
    server = Asked(engines[TABLE], limits=Limits(rows=10))
    rows = [row_of(server)] * 11
    assert post(server, json.dumps({"rows": rows[:10]}).encode()).status_code == 200
    assert post(server, json.dumps({"rows": rows}).encode()).status_code == 422
    lines = b"length\n" + b"1\n" * 11
    assert post(server, lines, "text/csv").status_code == 422


def test_a_body_too_large_is_refused_before_it_is_read(engines):
    server = Asked(engines[TABLE], limits=Limits(body=1000))
    assert post(server, b"x" * 1001).status_code == 413

    def pieces():
        for _piece in range(100):
            yield b"x" * 100

    async def stream():
        for piece in pieces():
            yield piece

    said = server("POST", "/predict", content=stream(), headers={"content-type": "application/json"})
    assert said.status_code == 413 and server.state.bodies == 0
    for length in (b"-1", b"1e3", b"99999999999999999999999999"):
        assert post(server, b"{}", **{"content-length": length}).status_code == 413


def test_what_is_compressed_is_not_unpacked(table):
    said = post(table, gzip.compress(b"0" * (64 << 20)), **{"content-encoding": "gzip"})
    assert said.status_code == 415


# --- pictures ----------------------------------------------------------------------------------------------------


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is so large."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def large(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(file, kind)
    return file.getvalue()


def test_pictures_that_claim_too_much(pictures):
    assert post(pictures, png_that_claims(5000, 5000), "image/png").status_code == 413
    assert post(pictures, png_that_claims(30_000, 30_000), "image/png").status_code in (413, 422)
    for kind in ("PNG", "JPEG", "WEBP", "GIF"):
        content = large(kind)
        assert len(content) < 2 << 20
        assert post(pictures, content, f"image/{kind.lower()}").status_code == 413


def test_what_is_no_picture(pictures):
    file = io.BytesIO()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(file, "PNG")
    whole = file.getvalue()
    for body in (b"", b"hello", whole[:40], whole[:-20], b"\0" * 100, b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        said = post(pictures, body, "image/png")
        assert said.status_code == 422 and said.json()["error"], said.text
    tiff = io.BytesIO()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tiff, "TIFF")
    assert post(pictures, tiff.getvalue(), "image/png").status_code == 422  # fewer decoders for a stranger to try
    assert post(pictures, b"a,b\n1,2\n", "text/csv").status_code == 415


def test_no_name_of_a_file_is_ever_opened(pictures, tmp_path):
    """A row that is a path, or an address, is text in base64, and no picture."""
    path = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(path)
    for text in (str(path), path.as_uri(), "http://127.0.0.1:1/a.png"):
        said = post(pictures, json.dumps({"rows": [{"picture": text}]}).encode())
        assert said.status_code == 200 and "error" in said.json()["predictions"][0]


# --- who may ask -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7:8000", 200),
        ("models.example", 200),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:8000@evil.example", 403),
        ("", 403),
        ("[::1", 403),
        ("localhost:99999999", 403),
        ("\xe9", 403),
    ],
)
def test_host_must_be_ours(engines, host, status):
    server = Asked(engines[TABLE], guard=Guard(hosts=("models.example",)))
    for method, path in (("GET", "/schema"), ("GET", "/healthz"), ("GET", "/")):
        assert server(method, path, headers={"host": host.encode("latin-1")}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_another_sites_page_may_not_ask(table, headers, status):
    """Text, CSV and forms need no permission from us to be sent: so what browsers say of their origin is looked at."""
    body = json.dumps({"rows": [row_of(table)]}).encode()
    assert post(table, body, **headers).status_code == status


def test_keys(engines, tmp_path):
    right, other = "k" * 20, "another-key-of-ours"
    (tmp_path / "keys").write_text(f"# ours\n{right}\n\n{other}\n")
    server = Asked(engines[TABLE], guard=Guard(keys=read_keys(tmp_path / "keys")))
    for key in (right, other):
        assert server("GET", "/schema", headers={"x-api-key": key}).status_code == 200
        assert server("GET", "/schema", headers={"authorization": f"Bearer {key}"}).status_code == 200
    for headers in (
        {},
        {"x-api-key": "wrong"},
        {"x-api-key": ""},
        {"authorization": right},
        {"authorization": "Basic x"},
    ):
        said = server("GET", "/schema", headers=headers)
        assert said.status_code == 401 and said.headers["www-authenticate"] == "Bearer"
    assert server("GET", f"/schema?key={right}").status_code == 401  # never in an address, which logs keep
    for path in ("/metrics", "/card", "/models", "/docs", "/openapi.json"):
        assert server("GET", path).status_code == 401
    assert server("POST", "/predict", content=b"{}").status_code == 401
    for path in ("/", "/healthz"):
        assert server("GET", path).status_code == 200
    for text in ("", "# nothing\n", "short\n", "with a space in the middle of it\n", "é" * 20):
        (tmp_path / "keys").write_text(text)
        with pytest.raises(gipi.errors.UsageError):
            read_keys(tmp_path / "keys")
    with pytest.raises(gipi.errors.UsageError):
        read_keys(tmp_path / "none")


def test_headers_that_are_there_twice(table):
    body = json.dumps({"rows": [row_of(table)]}).encode()
    headers = [("host", "localhost"), ("host", "evil.example"), ("content-type", "application/json")]
    assert table("POST", "/predict", content=body, headers=headers).status_code == 400


def test_a_client_that_asks_too_often(engines):
    limits = Limits(rate=1.0, burst=3)
    server = Asked(engines[TABLE], guard=Guard(limits=limits), limits=limits)
    said = [server("GET", "/schema") for _try in range(5)]
    assert [one.status_code for one in said] == [200, 200, 200, 429, 429]
    assert 1 <= int(said[-1].headers["retry-after"]) <= 2
    for path in ("/healthz", "/", "/page/main.js"):  # a page is some 30 files, and says nothing of the model
        assert server("GET", path).status_code == 200


def test_a_file_that_a_browser_has_is_not_sent_again(table):
    first = table("GET", "/page/main.js")
    again = table("GET", "/page/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert table("GET", "/page/main.js", headers={"if-none-match": '"other"'}).content == first.content


def test_health_is_asked_without_a_body_too(table):
    assert table("HEAD", "/healthz").status_code == 200
    assert table("HEAD", "/predict").status_code == 405


def test_what_is_asked_to_be_made(engines):
    path = GOLDEN / "gan-generate-picture.gipi"
    server = Asked(Engine("maker", gipi.load(path, runtime="onnx"), held(path).examples["rows"]))
    for wrong in ({"count": 257}, {"count": 0}, {"count": True}, {"count": 1.5}, {"count": 1, "seed": -1}):
        said = server("POST", "/predict", json=wrong)
        assert said.status_code == 422 and said.json()["error"].startswith(f"{[*wrong][-1]}: ")
    assert len(server("POST", "/predict", json={"count": 2.0}).json()["predictions"]) == 2


def test_bounds_are_bounds():
    from gipi.errors import UsageError
    from gipi.server.guard import check_hosts
    from gipi.server.limits import check_limits

    check_limits(Limits())
    wrong = (Limits(batch=-5), Limits(rate=0), Limits(rate=-1), Limits(body=-1), Limits(queue=0), Limits(max_wait=-1))
    for limits in (*wrong, Limits(max_wait=60), Limits(rate=float("nan"))):
        with pytest.raises(UsageError):
            check_limits(limits)
    check_hosts(("models.example", "a-b.c"))
    for name in ("http://a.example", "a.example:8443", "", "a b"):
        with pytest.raises(UsageError):
            check_hosts((name,))


def test_methods_and_addresses(table):
    assert table("GET", "/predict").status_code == 405
    assert table("GET", "/predict").headers["allow"] == "POST"
    assert table("POST", "/schema", content=b"").status_code == 405
    for path in (
        "/nothing",
        "/models/nobody/predict",
        "/models/nobody/schema",
        "/page/../routes.py",
        "/page/%2e%2e%2froutes.py",
    ):
        said = table("GET", path)
        assert said.status_code == 404 and said.json()["error"]
    for path in ("/page/routes.py", "/docs/../../x", "/docs/x.js", "/schema/"):
        assert table("GET", path).status_code == 404


def test_accept(table):
    body = json.dumps({"rows": [row_of(table)]}).encode()
    for accept, kind in (
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, text/csv;q=0.5", "text/csv; charset=utf-8"),
        ("application/json;q=0.1, text/csv", "text/csv; charset=utf-8"),
    ):
        assert post(table, body, accept=accept).headers["content-type"] == kind
    for accept in ("text/html", "application/json;q=0", "image/png", "x"):
        assert post(table, body, accept=accept).status_code == 406


def test_every_answer_is_harmless(table):
    """No answer is taken for a page, kept by a cache, or framed."""
    for method, path in (("GET", "/schema"), ("GET", "/nothing"), ("POST", "/predict"), ("GET", "/"), ("GET", "/docs")):
        said = table(method, path)
        assert said.headers["x-content-type-options"] == "nosniff"
        policy = said.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script-src 'self' " not in policy + " " or "unsafe" not in policy.split("script-src")[1].split(";")[0]


def test_sentences_in_korean(table):
    said = post(table, b"{", **{"accept-language": "ko-KR,ko;q=0.9"})
    assert any("가" <= letter <= "힣" for letter in said.json()["error"])


def test_a_table_of_answers_has_no_formula():
    from gipi.server.writing import as_csv

    text = as_csv([{"label": "=cmd|' /C calc'!A0", "probabilities": {"@x": 0.5}, "warnings": ["+1"]}]).decode()
    assert all(not cell.startswith(("=", "+", "@", "-")) for line in text.split("\r\n") for cell in line.split(","))
