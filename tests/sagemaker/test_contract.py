"""SageMaker's contract for serving, against the real process, with bundles that an older gipi has kept.

The model's folder holds what SageMaker unpacks there; nothing is written to it.
"""

import contextlib
import http.client
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from job import started
from PIL import Image

import gipi
from gipi.cli.main import main as typed
from gipi.release.bundle import held
from gipi.sagemaker.answers import written
from gipi.sagemaker.bodies import rows_of
from gipi.sagemaker.contract import LIMITS
from gipi.sagemaker.line import main
from gipi.sagemaker.serve import port_from
from gipi.server.engine import Engine
from gipi.server.reading import Reader
from gipi.server.refusal import RefusedError

GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0"
TABLE, PICTURE = "mlp-classify-table-class", "convnet-classify-picture-class"
CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"


class Container:
    """A container that serves: its port, and what it answers."""

    def __init__(self, process: subprocess.Popen, port: int, model: str):
        self.process, self.port = process, port
        self.model = gipi.load(GOLDEN / f"{model}.gipi", runtime="onnx")
        self.names = [field.name for field in self.model.schema.inputs]

    def ask(self, method: str, path: str, body: bytes | str = b"", **headers: str):
        """Status, headers and body; underscores in names of headers are hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        found = response.status, response.headers, response.read()
        connection.close()
        return found

    def invoke(self, body, kind: str, status: int = 200, accept: str = "*/*", **headers: str):
        """What POST /invocations answers: JSON as values, all else as bytes."""
        sent = body if isinstance(body, bytes | str) else json.dumps(body)
        found, more, content = self.ask("POST", "/invocations", sent, Content_Type=kind, Accept=accept, **headers)
        assert found == status, content
        return json.loads(content) if more["content-type"] == "application/json" else content


@contextmanager
def container(folder: Path, model: str, **more):
    """The process that SageMaker would start, once it answers."""
    kept = folder / "model"
    kept.mkdir(parents=True)
    shutil.copyfile(GOLDEN / f"{model}.gipi", kept / "model.gipi")
    (kept / "model.gipi").chmod(0o444)
    kept.chmod(0o555)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = started("serve", "--root", str(folder), "--port", str(port), **more)
    found = Container(process, port, model)
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            if found.ask("GET", "/ping")[0] == 200:
                break
        except OSError:
            time.sleep(0.02)
    try:
        assert process.poll() is None, process.stdout.read()
        yield found
        assert [path.name for path in kept.iterdir()] == ["model.gipi"], "the folder of the model is only read"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        kept.chmod(0o755)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    with container(tmp_path_factory.mktemp("table"), TABLE) as found:
        yield found


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    with container(tmp_path_factory.mktemp("picture"), PICTURE) as found:
        yield found


@pytest.fixture(scope="module")
def rows(table):
    """Rows that the model can answer, by the names of their columns."""
    return [dict(row) for row in held(GOLDEN / f"{TABLE}.gipi").examples["rows"][:4]]


@pytest.fixture(scope="module")
def digits(picture):
    """Pictures that the model can answer, `(N, H, W, C)` uint8."""
    channels, height, width = picture.model.schema.inputs[0].shape
    return np.random.default_rng(0).integers(0, 256, (3, height, width, channels), np.uint8)


def same(answers, expected):
    """The labels are the same and the probabilities nearly so."""
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    wanted = [answer["probability"] for answer in expected]
    assert [answer["probability"] for answer in answers] == pytest.approx(wanted, abs=1e-4)


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# --- /ping, /execution-parameters, other addresses -------------------------------------------------------------------


def test_ping_is_answered_at_once_and_empty(table):
    took = []
    for _attempt in range(20):
        start = time.perf_counter()
        status, _headers, body = table.ask("GET", "/ping")
        took.append(time.perf_counter() - start)
        assert (status, body) == (200, b"")
    assert sorted(took)[10] < 0.05


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what a process has loaded is looked up in /proc")
def test_a_program_is_served_without_pytorch(table):
    loaded = Path(f"/proc/{table.process.pid}/maps").read_text(encoding="utf-8")
    assert "onnxruntime" in loaded
    assert "libtorch" not in loaded


def test_ping_is_answered_while_a_large_batch_is(table, rows):
    """SageMaker takes a container out of service that does not answer within 2 seconds."""
    lines = "\n".join(json.dumps(rows[place % len(rows)]) for place in range(20_000))
    with ThreadPoolExecutor(2) as beside:
        batches = [beside.submit(table.invoke, lines, "application/jsonlines", 200, "text/csv") for _one in range(2)]
        slowest, pings = 0.0, 0
        while not all(batch.done() for batch in batches):
            start = time.perf_counter()
            assert table.ask("GET", "/ping")[0] == 200
            slowest, pings = max(slowest, time.perf_counter() - start), pings + 1
    assert all(batch.result().count(b"\n") == 20_000 for batch in batches)
    assert pings >= 5
    assert slowest < 2


def test_execution_parameters_say_how_to_ask(table, picture):
    status, headers, body = table.ask("GET", "/execution-parameters")
    said = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert said["BatchStrategy"] == "MULTI_RECORD"
    assert said["MaxConcurrentTransforms"] >= 1
    assert said["MaxConcurrentTransforms"] * said["MaxPayloadInMB"] <= 100, "more than that SageMaker refuses"
    assert json.loads(picture.ask("GET", "/execution-parameters")[2])["BatchStrategy"] == "SINGLE_RECORD"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/ping", 405), ("GET", "/invocations", 405), ("GET", "/", 404), ("GET", "/schema", 404)],
)
def test_other_addresses_and_methods_are_refused(table, method, path, status):
    found, headers, body = table.ask(method, path)
    assert found == status
    assert json.loads(body)["error"]
    assert ("allow" in headers) == (status == 405)


# --- /invocations: what comes in -------------------------------------------------------------------------------------


def test_json_in_all_its_forms_gives_the_same_answers(table, rows):
    expected = table.model.predict(rows)
    lists = [[row[name] for name in table.names] for row in rows]
    for body in (
        {"rows": rows},
        {"instances": rows},
        rows,
        {"instances": lists},
        lists,
        {"instances": [{"features": values} for values in lists]},
    ):
        same(table.invoke(body, "application/json")["predictions"], expected)
    lines = "\n".join(json.dumps(row) for row in rows)
    same(table.invoke(lines, "application/jsonlines")["predictions"], expected)


def test_csv_with_names_and_without_gives_the_same_answers(table, rows):
    expected = table.model.predict(rows)
    cells = [["" if row[name] is None else str(row[name]) for name in table.names] for row in rows]
    without = "\n".join(",".join(line) for line in cells)
    with_names = f"{','.join(table.names)}\n{without}\n"
    turned = "\n".join(",".join(line[::-1]) for line in [table.names, *cells])
    for body in (without, with_names, turned):
        same(table.invoke(body, "text/csv; charset=utf-8")["predictions"], expected)


def test_a_table_of_numbers_may_come_as_npy(tmp_path):
    """Of a model whose columns are numbers: any order in memory, any width of the numbers."""
    with container(tmp_path, "dqn-act-environment") as found:
        numbers = np.random.default_rng(0).normal(size=(5, len(found.names))).astype(np.float32)
        expected = found.model.predict([dict(zip(found.names, row, strict=True)) for row in numbers.tolist()])
        for array in (numbers, np.asfortranarray(numbers), numbers.astype(">f8")):
            answers = found.invoke(npy(array), "application/x-npy")["predictions"]
            assert [answer["action"] for answer in answers] == [answer["action"] for answer in expected]
        assert len(found.invoke(npy(numbers[0]), "application/x-npy")["predictions"]) == 1
        assert "(N, 4)" in found.invoke(npy(numbers[:, :3]), "application/x-npy", 422)["error"]


def test_pictures_come_as_files_arrays_and_json(picture, digits):
    import base64

    expected = picture.model.predict(list(digits))
    files = []
    for one in digits:
        file = io.BytesIO()
        Image.fromarray(one[:, :, 0] if one.shape[2] == 1 else one).save(file, "PNG")
        files.append(file.getvalue())
    same(picture.invoke(files[0], "image/png")["predictions"], expected[:1])
    same(picture.invoke(npy(digits), "application/x-npy")["predictions"], expected)
    texts = [base64.b64encode(file).decode() for file in files]
    for instances in (texts, [{"b64": text} for text in texts], [{"picture": text} for text in texts], digits.tolist()):
        same(picture.invoke({"instances": instances}, "application/json")["predictions"], expected)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("[NaN]", "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ("7", "application/json", 422),
        ('{"instances": 7}', "application/json", 422),
        ('{"instances": [7]}', "application/json", 422),
        ('{"instances": [[1]]}', "application/json", 422),
        ('{"instances": [{}]}', "application/json", 422),
        ("1\n", "text/csv", 422),
        (b"\xff\xfe", "text/csv", 400),
        ("a", "text/plain", 415),
        ("a", "", 415),
        ("a", "image/png", 415),
        ("a", "application/x-npy", 400),
    ],
)
def test_what_is_no_row_is_refused_in_a_sentence(table, body, kind, status):
    assert table.invoke(body, kind, status)["error"]


def head(shape: str, dtype: str = "<f8") -> bytes:
    """An .npy file that describes more than it holds."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "body",
    [
        head("(1000000000000, 4)"),
        head("(2, 4)") + bytes(63),
        head("()") + bytes(8),
        head("(-1, 4)"),
        head("(1, 4)", "|O") + bytes(32),
        head("(1, 4)", "<c16") + bytes(64),
        head("(1, 4" + ", 4" * 2000),
        head("(1, 4") + bytes(32),
        head("(" + "1 " * 1500),
        head("(4, )(", "|u1") + bytes(4),
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"\x93NUMPY\x01",
        b"PK\x03\x04" + bytes(100),
        b"\x80\x04K\x01.",
    ],
    ids=[
        "claims",
        "short",
        "no axis",
        "negative",
        "objects",
        "complex",
        "long",
        "open",
        "slow",
        "more",
        "version",
        "cut",
        "zip",
        "pickle",
    ],
)
def test_npy_is_read_as_numbers_or_not_at_all(picture, body):
    assert "no .npy file" in picture.invoke(body, "application/x-npy", 400)["error"]


@pytest.mark.parametrize("model", [TABLE, PICTURE])
def test_a_body_that_is_changed_at_random_is_read_or_refused(model):
    """Nothing but a refusal comes out of reading a body, and soon, whatever is in it."""
    kept = held(GOLDEN / f"{model}.gipi")
    reader = Reader(Engine("model", gipi.load(kept.path, runtime="onnx"), None), LIMITS)
    columns = len(reader.schema.inputs)
    bodies = {
        "application/json": b'{"instances": [[1, "red", null], {"features": [1]}, {"b64": "aGk="}, {"length": 1e3}]}',
        "application/jsonlines": b'{"length": 1}\n[1, 2]\n"aGk="\n',
        "text/csv": b'length,weight\n1,"2\n3",4\n',
        "application/x-npy": npy(np.zeros((2, 8, 8, 3), np.uint8) if reader.is_picture else np.ones((2, columns))),
    }
    draw = random.Random(0)
    mean = [b"[", b"{", b'"', b",", b"(", b"\\ud800", b"\xed\xa0\x80", b"\0", b"9" * 400, b"NaN", b"-", b"\n"]
    start = time.perf_counter()
    for kind, body in bodies.items():
        for _attempt in range(500):
            changed = bytearray(body)
            for _change in range(draw.randrange(1, 5)):
                place = draw.randrange(len(changed) + 1)
                changed[place : place + draw.randrange(3)] = draw.choice([*mean, changed[place : place + 20]])
            with contextlib.suppress(RefusedError):
                rows_of(reader, kind, bytes(changed))
    assert time.perf_counter() - start < 10


def test_too_much_is_refused_before_it_is_read(table):
    connection = http.client.HTTPConnection("127.0.0.1", table.port, timeout=30)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Type", "text/csv")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


# --- /invocations: what goes out -------------------------------------------------------------------------------------


def test_accept_is_honoured(table, rows):
    expected = table.model.predict(rows)
    for accept in ("", "*/*", "application/*", "application/json", "image/gif, application/json;q=0.5"):
        same(table.invoke(rows, "application/json", accept=accept)["predictions"], expected)
    lines = table.invoke(rows, "application/json", accept="application/jsonlines").splitlines()
    same([json.loads(line) for line in lines], expected)
    cells = [
        line.split(",") for line in table.invoke(rows, "application/json", accept="text/csv").decode().splitlines()
    ]
    assert [line[0] for line in cells] == [answer["label"] for answer in expected], "a line for each row, none of names"
    named = table.invoke(rows, "application/json", accept="text/csv; header=present").decode().splitlines()
    assert named[0].split(",")[:2] == ["label", "probability"]
    assert len(named) == 1 + len(rows)
    for accept in ("image/gif", "application/x-npy", "text/html"):
        assert "text/csv" in table.invoke(rows, "application/json", 406, accept=accept)["error"]


def test_lines_stay_in_their_places_where_a_row_has_no_answer(tmp_path, digits):
    """A batch transform puts answers beside the lines that they belong to."""
    with container(tmp_path, "convnet-regress-picture-normal") as found:
        channels, height, width = found.model.schema.inputs[0].shape
        good = np.zeros((height, width, channels), np.uint8).tolist()
        answers = found.invoke({"instances": [good, "no picture", good]}, "application/json")["predictions"]
        assert [*answers[1]] == ["error"]
        lines = found.invoke({"instances": [good, "no picture", good]}, "application/json", accept="text/csv").split(
            b"\r\n"
        )
        assert lines[0] == lines[2] and float(lines[0].split(b",")[0]) == pytest.approx(answers[0]["value"])
        assert not lines[1].replace(b",", b"")


def test_each_line_has_the_same_cells():
    """Without names, only their places say what they are."""
    answers = [
        {"labels": [], "probabilities": {"sea": 0.1, "sun": 0.2}},
        {"error": "no"},
        {"labels": ["sea", "sun"], "probabilities": {"sea": 0.8, "sun": 0.9}, "warnings": ["a value is unknown"]},
    ]
    assert written("text/csv", "text/csv", answers) == b",0.1,0.2\r\n,,\r\nsea; sun,0.8,0.9\r\n"
    assert written("text/csv", "text/csv", [{"error": "no"}, {"error": "no"}]).count(b"\r\n") == 2
    targets = [{"error": {"value": 1.5}, "warnings": {"value": 2.5}}]
    assert written("text/csv", "text/csv", targets) == b"1.5,2.5\r\n", "targets may have any name"


def test_custom_attributes_come_back_and_are_harmless(table, rows):
    body = json.dumps(rows)
    sent = {"Content-Type": "application/json"}
    for given, back in (("trace=1; a b", "trace=1; a b"), ("x" * 3000, "x" * 1024), ("caf\xe9\tbar", "cafbar")):
        _status, headers, _body = table.ask("POST", "/invocations", body, **sent, **{CUSTOM: given})
        assert headers[CUSTOM] == back
    assert table.ask("POST", "/invocations", body, **sent)[1][CUSTOM] is None
    status, headers, _body = table.ask("POST", "/invocations", "{", **sent, **{CUSTOM: "trace=2"})
    assert (status, headers[CUSTOM]) == (400, "trace=2")


def test_neither_host_nor_origin_nor_keys_are_looked_at(table, rows):
    strange = {"Host": "model.aws.local", "Origin": "https://elsewhere", "Sec_Fetch_Site": "cross-site"}
    same(table.invoke(rows, "application/json", **strange)["predictions"], table.model.predict(rows))


# --- the process -----------------------------------------------------------------------------------------------------


def test_sigterm_finishes_and_exits_with_0(tmp_path):
    with container(tmp_path, TABLE) as found:
        start = time.monotonic()
        found.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert found.ask("GET", "/ping")[0] == 503, "SageMaker is told to send no more"
        assert found.process.wait(30) == 0
        assert time.monotonic() - start < 25, "SIGKILL comes after 30 seconds"


def test_sigterm_ends_it_while_the_model_is_opened(tmp_path, monkeypatch):
    def opening(*_given):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr("gipi.sagemaker.serve._served", opening)
    monkeypatch.setattr("gipi.sagemaker.serve.model_in", lambda folder: folder)
    assert main(["serve", "--root", str(tmp_path)]) == 128 + signal.SIGTERM


def test_several_processes_answer_at_the_port_that_sagemaker_names(tmp_path):
    (tmp_path / "model").mkdir()
    shutil.copyfile(GOLDEN / f"{TABLE}.gipi", tmp_path / "model" / "other-name.gipi")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
    process = started("serve", "--root", str(tmp_path), env=os.environ | said)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"gipi answers at port {port}\n"
        assert Container(process, port, TABLE).ask("GET", "/ping")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_person_can_try_it_with_a_file(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "gipi", "serve", str(GOLDEN / f"{TABLE}.gipi"), "--sagemaker", "--port", str(port)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"gipi answers at port {port}\n"
        assert Container(process, port, TABLE).ask("GET", "/ping")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("more", [["--keys", "keys.txt"], ["--host", "::1"], ["--workers", "2"]])
def test_what_the_contract_has_no_place_for_is_refused(more, capsys):
    assert typed(["serve", str(GOLDEN / f"{TABLE}.gipi"), "--sagemaker", *more]) == 2
    assert f"{more[0]} does not go with --sagemaker" in capsys.readouterr().err


def test_a_damaged_model_is_not_served(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    kept = tmp_path / "model" / "model.gipi"
    assert main(["serve", "--root", str(tmp_path), "--port", "0"]) == 1
    assert "one .gipi file was expected" in capsys.readouterr().err
    content = bytearray((GOLDEN / f"{TABLE}.gipi").read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    assert main(["serve", "--root", str(tmp_path), "--port", "0"]) == 1
    assert "is not a gipi bundle or is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("line", [[], ["sreve"], ["serve", "--port"], ["serve", "--port", "x"], ["train", "now"]])
def test_a_wrong_line_is_said(line, capsys):
    assert main(line) == 2
    assert "expected: python -m gipi.sagemaker" in capsys.readouterr().err


def test_the_port_is_what_sagemaker_says():
    assert port_from({}) == 8080
    assert port_from({"SAGEMAKER_BIND_TO_PORT": "9001"}) == 9001
    with pytest.raises(ValueError, match="SAGEMAKER_BIND_TO_PORT"):
        port_from({"SAGEMAKER_BIND_TO_PORT": "http"})
