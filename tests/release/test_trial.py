"""The first run in a child, sessions that stop in time, and the corpus of hostile files."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gipi
from gipi.release import graph
from gipi.release.graph import INT, Attribute, Node
from gipi.release.refused import Refused
from gipi.release.trial import try_program

pytest.importorskip("onnxruntime", reason="the export extra is not installed")

from hostile import LARGEST, corpus, good_parts, held, joined, numbers, open_bundle, program  # beside this file
from mutated_bundles import mutate

from gipi.release import stored, tensor_file
from gipi.release.session import Session

ROOT = Path(gipi.__file__).parents[1]
X = {"x": np.arange(8, dtype=np.float32).reshape(2, 4) - 3}
AXIS = (Attribute("axis", INT, 0),)
ANY = (("y", 1, (None, None)),)


def doubled(times: int) -> bytes:
    nodes = [Node("Concat", ("x" if k == 0 else f"v{k}",) * 2, (f"v{k + 1}",), AXIS) for k in range(times)]
    return graph.write(program([*nodes, Node("ReduceSum", (f"v{times}",), ("y",))], outputs=ANY))


def products(times: int) -> bytes:
    nodes = [Node("MatMul", ("x" if k == 0 else f"v{k}", "x"), (f"v{k + 1}",)) for k in range(times)]
    return graph.write(program(nodes, inputs=(("x", 1, ("B", "B")),), outputs=((f"v{times}", 1, ("B", "B")),)))


def relu(**more) -> bytes:
    return graph.write(program([Node("Relu", ("x",), ("y",))], **{"outputs": (("y", 1, ("B", 4)),)} | more))


# --- the trial ---------------------------------------------------------------------------------------------------


def test_gives_what_the_program_gives():
    found = try_program(relu(), {}, X)
    assert list(found) == ["y"]
    assert (found["y"] == np.maximum(X["x"], 0)).all()


@pytest.mark.parametrize("kind", ["F16", "F32", "F64", "I64", "I32", "U8", "BOOL"])
def test_every_kind_of_number_goes_through(kind):
    number = graph.DTYPES[kind]
    content = graph.write(
        program([Node("Identity", ("x",), ("y",))], inputs=(("x", number, (None,)),), outputs=(("y", number, (None,)),))
    )
    x = np.array([0, 1, 1, 0], tensor_file.KINDS[kind])
    found = try_program(content, {}, {"x": x})["y"]
    assert found.dtype == x.dtype and (found == x).all()


def test_bfloat16_weights_are_taken_as_their_bits():
    weights = {"w": np.array([0x3F80, 0x4000], np.uint16)}  # 1 and 2
    tensors = [graph.Tensor("w", graph.DTYPES["BF16"], (2,), None, (64, 4))]
    nodes = [Node("Cast", ("w",), ("f",), (Attribute("to", INT, 1),)), Node("Mul", ("x", "f"), ("y",))]
    content = graph.write(program(nodes, tensors, inputs=(("x", 1, (2,)),), outputs=(("y", 1, (2,)),)))
    asked = {"x": np.array([3, 3], np.float32)}
    assert list(try_program(content, weights, asked)["y"]) == [3, 6]
    assert list(Session(content, weights).run(asked, 5)["y"]) == [3, 6]


def test_what_takes_too_much_memory_is_stopped():
    with pytest.raises(Refused, match="took more than 100 MB of memory"):
        try_program(doubled(40), {}, X, memory=100 << 20)


@pytest.mark.skipif(os.name == "nt", reason="there is no such limit on Windows")
def test_what_takes_too_long_is_stopped():
    begin = time.monotonic()
    with pytest.raises(Refused, match="took longer than 1 s"):
        try_program(products(10_000), {}, {"x": np.full((400, 400), 1e-3, np.float32)}, seconds=1)
    assert time.monotonic() - begin < 8


@pytest.mark.slow
def test_one_operation_that_takes_too_long_is_stopped():
    begin = time.monotonic()
    with pytest.raises(Refused, match="took longer than 1 s"):
        try_program(products(1), {}, {"x": np.full((8000, 8000), 1e-3, np.float32)}, seconds=1)
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (relu(outputs=(("y", 1, ("B", 5)),)), "does not give the outputs"),
        (relu(outputs=(("y", 1, ("B", 4, 1)),)), "does not give the outputs"),
        (relu(outputs=(("y", 7, ("B", 4)),)), "cannot be used"),
        (relu(inputs=(("other", 1, ("B", 4)),)), "cannot be used"),
        (b"no program", "cannot be used"),
        (b"", "cannot be used"),
    ],
)
def test_wrong_programs_are_refused(content, reason):
    with pytest.raises(Refused, match=reason):
        try_program(content, {}, X)


CRASHES = {
    "dies": "os.kill(os.getpid(), 11)",
    "says nothing": "os._exit(0)",
    "says half a word": "os.write(1, b'go')",
    "says half an answer": "os.write(1, b'good' + (100).to_bytes(8, 'little') + b'abc')",
    "says what is no word": "os.write(1, b'evil' + bytes(8))",
}


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("deed", CRASHES.values(), ids=CRASHES)
def test_a_child_that_crashes_is_refused(monkeypatch, deed):
    monkeypatch.setattr("gipi.release.trial.START", "import os; path = {path!r}; " + deed)
    with pytest.raises(Refused, match="crashed"):
        try_program(relu(), {}, X)


@pytest.mark.parametrize("content", [b"", bytes(100), b"\xff" * 100], ids=["nothing", "zeros", "ones"])
def test_a_child_that_lies_is_refused(monkeypatch, content):
    deed = f"import os; path = {{path!r}}; os.write(1, b'good' + ({len(content)}).to_bytes(8, 'little') + {content!r})"
    monkeypatch.setattr("gipi.release.trial.START", deed)
    with pytest.raises(Refused, match=r"weights\.safetensors cannot be read"):
        try_program(relu(), {}, X)


def test_a_child_that_says_too_much_is_refused(monkeypatch):
    deed = "import os; path = {path!r}; os.write(1, b'good' + (1 << 60).to_bytes(8, 'little'))"
    monkeypatch.setattr("gipi.release.trial.START", deed)
    with pytest.raises(Refused, match="more than 100 MB"):
        try_program(relu(), {}, X, memory=100 << 20)


def test_needs_no_torch():
    """In a process where torch cannot be imported."""
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np\n"
        "from gipi.release.trial import try_program\n"
        f"print(try_program({relu()!r}, {{}}, {{'x': np.ones((1, 4), np.float32)}})['y'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout == "4.0\n", done.stderr


# --- sessions ----------------------------------------------------------------------------------------------------


def test_a_session_stops_between_two_operations():
    session = Session(products(400), {})
    x = {"x": np.full((600, 600), 1e-3, np.float32)}
    begin = time.monotonic()
    with pytest.raises(Refused, match=r"took longer than 0\.2 s"):
        session.run(x, 0.2)
    assert time.monotonic() - begin < 1.5
    small = {"x": np.zeros((2, 2), np.float32)}
    assert (session.run(small, 30)["v400"] == 0).all()  # and it answers on


def test_weights_are_not_copied_and_stay_alive():
    weights = {"w": np.ones(4, np.float32)}
    tensors = [graph.Tensor("w", 1, (4,), None, (64, 16))]
    content = graph.write(program([Node("Mul", ("x", "w"), ("y",))], tensors, outputs=(("y", 1, ("B", 4)),)))
    session = Session(content, weights)
    del weights
    assert (session.run(X, 5)["y"] == X["x"]).all()


def test_wrong_inputs_are_refused():
    session = Session(relu(), {})
    for wrong in ({}, {"z": X["x"]}, {"x": X["x"].astype(np.float64)}, {"x": X["x"][:, :3]}):
        with pytest.raises(Refused):
            session.run(wrong, 5)


# --- the corpus --------------------------------------------------------------------------------------------------


def test_the_good_bundle_is_taken(tmp_path):
    path = tmp_path / "good.gipi"
    path.write_bytes(joined(good_parts()))
    assert open_bundle(path)["y"].shape == (5, 3)


def _seconds_to_refuse(name, path):
    begin = time.process_time()
    with pytest.raises(Refused):
        open_bundle(path, seconds=0.5)
        pytest.fail(f"{name} was taken")
    return time.process_time() - begin


def test_every_hostile_file_is_refused(tmp_path):
    path, names, slow = tmp_path / "hostile.gipi", [], []
    for name, content in corpus(good_parts()):
        path.write_bytes(content)
        if _seconds_to_refuse(name, path) > 1 < _seconds_to_refuse(name, path):  # once it may be Python's collector
            slow.append(name)
        names.append(name)
    assert len(names) == len(set(names)) >= 400
    assert not slow


def test_changed_bundles_are_refused_or_answer_as_before(tmp_path):
    rows = mutate(tmp_path, 300, seed=1)
    assert {said.split(":")[0] for _what, said, _seconds, _memory in rows} == {"refused", "the same answers"}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("kind", ["good", "reads"])
def test_nothing_but_the_bundle_is_opened(tmp_path, kind):
    """Natively too: onnxruntime would open external data itself. Files of the names that it asks for lie there."""
    files = {
        "good": [("good", joined(good_parts()))],
        "reads": [one for one in corpus(good_parts()) if "reads " in one[0]],
    }
    for number, (_name, content) in enumerate(files[kind]):
        (tmp_path / f"{number}.gipi").write_bytes(content)
    for name in ("weights.safetensors", "planted.bin", "program.onnx", "bundle.json"):
        (tmp_path / name).write_bytes(bytes(4096))
    count = len(files[kind])
    code = (
        f"import sys, os; sys.path[:0] = {[str(ROOT), str(Path(__file__).parent)]!r}\n"
        "from hostile import open_bundle, good_parts, joined, Refused\n"
        "from pathlib import Path; Path('warm').write_bytes(joined(good_parts())); open_bundle(Path('warm'), False)\n"
        "Path('warm').write_bytes(b'')\n"
        "try: open_bundle(Path('warm'))\n"
        "except Refused: os.path.exists('/begin')\n"  # the words' catalog has been looked for
        f"for number in range({count}):\n"
        "    try: print(sorted(open_bundle(Path(f'{number}.gipi'), False)))\n"
        "    except Refused as error: print(error)\n"
        "os.path.exists('/end')\n"
    )
    log = tmp_path / "log"
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=%file,%network", "-o", str(log), sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == count and all((line == "['y']") == (kind == "good") for line in said)
    lines = log.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if '"/begin"' in line)
    end = next(number for number, line in enumerate(lines) if '"/end"' in line)
    touched = [line.split('"')[1] for line in lines[begin + 1 : end] if '"' in line and '""' not in line]
    assert touched == [f"{number}.gipi" for number in range(count)]


def test_a_session_finds_its_weights_without_a_file(tmp_path, monkeypatch):
    """A planted weights.safetensors in the working directory is not what answers."""
    monkeypatch.chdir(tmp_path)
    parts = good_parts()
    (tmp_path / "weights.safetensors").write_bytes(b"\x7f" * len(parts["weights.safetensors"]))
    (tmp_path / "good.gipi").write_bytes(joined(parts))
    found = open_bundle(tmp_path / "good.gipi", in_child=False)
    assert np.isfinite(found["y"]).all()
    said = stored.read(tmp_path / "good.gipi", LARGEST)
    with pytest.raises((Refused, KeyError)):
        Session(bytes(said["program.onnx"]), {})  # without them it has none


def test_constants_in_programs_are_bounded_and_used():
    tensors = held({"c": np.full(4, 2, np.float32)})
    content = graph.write(program([Node("Mul", ("x", "c"), ("y",))], tensors, outputs=(("y", 1, ("B", 4)),)))
    assert (try_program(content, {}, X)["y"] == 2 * X["x"]).all()
    assert numbers("n", 1).shape == (1,)
