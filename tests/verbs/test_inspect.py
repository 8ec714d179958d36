"""`gipi inspect`: what it says is what is in the file, a damaged file is one sentence, and no torch is imported."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gipi
from gipi.cli.inspected import page
from gipi.cli.main import main
from gipi.errors import RunError, UsageError
from gipi.release import program
from gipi.release.keep import write_bundle
from gipi.report.text import width
from gipi.verbs import inspect as verb
from tests.release.released import cases, released

METRICS = {"accuracy": {"value": 0.91, "low": 0.85, "high": 0.95, "higher_is_better": True}}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A table's model, with a card, without a program."""
    model = released("mlp classify table class", 2)
    model.card = {"run": "ants-mlp-1", "data": "ants", "metrics": METRICS, "metrics_of": "test part"}
    model.card |= {"made": "2026-11-21T12:00:00+00:00", "versions": {"torch": torch.__version__}}
    return write_bundle(model, tmp_path_factory.mktemp("kept") / "ants.gipi")


def test_it_says_what_is_in_the_file(table):
    found = gipi.inspect(table)
    model = released("mlp classify table class", 2)
    assert (found["task"], found["system"], found["networks"]) == ("classify", "mlp", 2)
    weights = [tensor for member in model.members for tensor in member.state_dict().values()]
    said = {"numbers": sum(tensor.numel() for tensor in weights), "tensors": len(weights), "type": "float32"}
    assert found["weights"] == said
    assert [one["name"] for one in found["inputs"]] == ["length", "weight", "colour", "is new", "day", "kind"]
    assert found["inputs"][0] == {"name": "length", "kind": "number", "mean": 3.0, "spread": 2.0}
    assert found["inputs"][2]["values"] == ["blue", "red"]
    assert found["inputs"][4]["mean"] == "2020-09-13"
    assert found["inputs"][4]["may_be_missing"]
    assert found["outputs"] == [{"name": "what", "kind": "class", "classes": ["ant", "bee", "cat"]}]
    assert found["metrics"] == METRICS
    assert found["versions"] == {"torch": torch.__version__}
    assert found["bytes"] == table.stat().st_size
    assert found["checksum"].encode() == table.read_bytes()[-64:]
    assert sum(found["parts"].values()) < found["bytes"]
    assert "gipi save" in found["program"]["none"]
    assert json.loads(json.dumps(found)) == found


def test_what_is_told_of_the_program_is_what_onnxruntime_finds(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from gipi.release.export import write_onnx
    from gipi.release.keep import write_release

    model = released("linear regress table number")
    found = gipi.inspect(write_release(model, tmp_path / "a.gipi"))["program"]
    session = onnxruntime.InferenceSession(write_onnx(model, None, tmp_path / "a.onnx").files[0])
    assert found["opset"] == program.OPSET
    for side, ports in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        assert [one["name"] for one in found[side]] == [port.name for port in ports]
        assert [one["shape"][1:] for one in found[side]] == [port.shape[1:] for port in ports]
    assert found["operators"]["Gemm"] >= 1


@pytest.mark.parametrize("columns", [60, 100])
@pytest.mark.parametrize(
    "case", [case for case in cases() if case.split()[0] in ("mlp", "unet", "gan", "simclr", "dqn")]
)
def test_page_fits_the_terminal_and_names_all_columns(case, columns, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    model = released(case)
    found = gipi.inspect(write_bundle(model, tmp_path / "a.gipi"))
    lines = page(found | {"file": "a.gipi"}).splitlines()
    assert max(map(width, lines)) <= columns
    text = "\n".join(lines)
    for one in (*found["inputs"], *found["outputs"]):
        assert one["name"] in text
    assert found["checksum"][:32] in text


def test_the_range_of_the_training_rows_is_shown(tmp_path):
    model = released("mlp classify table class")
    ends = {"length": (-1.5, 7.25), "day": (86400.0 * 365, 1.6e9), "weight": (-1e300, 1e300)}
    inputs = tuple(replace(field, range=ends.get(field.name, ())) for field in model.schema.inputs)
    model.schema = replace(model.schema, inputs=inputs)
    found = gipi.inspect(write_bundle(model, tmp_path / "a.gipi"))
    shown = {one["name"]: one.get("range") for one in found["inputs"]}
    assert shown["length"] == [-1.5, 7.25] and shown["day"] == ["1971-01-01", "2020-09-13"] and shown["colour"] is None
    text = page(found)
    assert "-1.5 to 7.25" in text and "1971-01-01 to 2020-09-13" in text
    assert page(found | {"inputs": [{"name": "day", "kind": "date", "range": [None, "1971-01-01"]}]})


def test_page_survives_a_card_that_somebody_made_up(table):
    found = gipi.inspect(table)
    odd = found | {"metrics": {"a\x1b[31m": 3, "b": {"value": "x"}}, "versions": [1], "made": 7, "data": "\x1b[2J"}
    text = page(odd)
    assert "\x1b" not in text
    assert page(found | {"metrics": "good", "metrics_of": {}})


def test_a_long_table_is_shortened_on_the_page_and_whole_in_json(table):
    found = gipi.inspect(table)
    many = [{"name": f"c{place}", "kind": "category", "values": [*map(str, range(50))]} for place in range(90)]
    text = page(found | {"inputs": many})
    assert "c19" in text
    assert "c20" not in text
    assert "70" in text


def test_a_run_is_its_kept_model(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "ants-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    with pytest.raises(RunError, match="has no model yet"):
        gipi.inspect("ants-1")
    (folder / "model.gipi").write_bytes(table.read_bytes())
    for name in ("last", "ants-1", folder, folder / "model.gipi"):
        assert gipi.inspect(name)["checksum"] == gipi.inspect(table)["checksum"]
    with pytest.raises(RunError, match="no run 'ant-1'"):
        gipi.inspect("ant-1")
    (tmp_path / "a.txt").write_text("no")
    with pytest.raises(UsageError, match=r"no \.gipi file"):
        gipi.inspect("a.txt")


def test_a_damaged_file_is_one_sentence(table, tmp_path, capsys):
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "bad.gipi"
    path.write_bytes(content)
    assert main(["inspect", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"gipi: {path} is not a gipi bundle or is damaged: ")
    assert main(["inspect", str(tmp_path / "none.gipi")]) == 1


@pytest.mark.parametrize("name", ["ants.gipi", "last"])
def test_no_torch_is_imported(name, table, tmp_path):
    folder = tmp_path / "runs" / "ants-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    for path in (folder / "model.gipi", tmp_path / "ants.gipi"):
        path.write_bytes(table.read_bytes())
    code = f"from gipi.cli.main import main; assert main(['inspect', {name!r}, '--json']) == 0"
    code += "; import sys; print([name for name in ('torch', 'polars', 'onnxruntime', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    *_page, said, imported = done.stdout.splitlines()
    assert imported == "[]"
    assert json.loads(said)["system"] == "mlp"


def test_it_takes_less_than_three_times_as_long_as_its_libraries_alone(table):
    """Process time, the least of several: what a person waits for on an idle machine; seconds differ by the machine."""
    resource = pytest.importorskip("resource")

    def least(*line: str) -> float:
        times = []
        for _round in range(4):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, *line]
            subprocess.run(command, check=True, capture_output=True, timeout=60, env={**os.environ, "LANG": "C.UTF-8"})
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(times)

    assert least("-m", "gipi", "inspect", str(table)) < 3 * least("-c", "import numpy, tyro")


def test_names_that_it_may_not_import_are_the_same(tmp_path):
    assert verb.OF_PROGRAM == program.OWN
    from gipi.training.folder import RUNS

    assert verb.RUNS == RUNS


def test_which_rows_the_figures_are_of_is_said_in_the_language_in_force():
    from gipi.cli.inspected import _part
    from gipi.messages import use

    use("ko")
    try:
        assert _part("test part, 30 rows") == "테스트 데이터, 30행"
        assert _part("ants of a stranger") == "ants of a stranger"
    finally:
        use(None)
