"""`gipi export`: what is written answers alike, says what a stranger needs, and names nothing of this machine."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import gipi
from gipi.cli.main import main
from gipi.data.schema import Schema, Sizes
from gipi.errors import RunError, UsageError
from gipi.release import export, usage
from gipi.release.alike import difference
from gipi.release.examples import shortened, unit
from gipi.release.export import program_with, write_onnx, write_torch
from gipi.release.keep import write_release
from gipi.release.model import Model
from gipi.release.program import ports, results
from gipi.release.runtime import Program
from gipi.release.whole import Whole
from tests.release.released import CLASSES, TABLE, TARGETS, cases, released, rows

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SOME = {  # networks, by case
    "mlp classify table class": 2,
    "convnet classify picture class": 1,
    "linear regress table quantiles": 1,
    "unet segment picture -": 1,
    "gan generate picture -": 2,
    "dqn act environment -": 1,
    "bow classify text class": 1,
    "lstm classify text class": 2,
}
QUICK = {
    "mlp classify table class",
    "convnet classify picture class",
    "lstm classify text class",
}  # the others are marked slow


def some(known):
    return [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in known]


def used(text: str, folder: Path, monkeypatch) -> dict:
    """What the lines that are printed beside a file find, where the file lies."""
    monkeypatch.chdir(folder)
    found: dict = {}
    exec(text, found)
    return found


def whole_of(model: Model, module) -> Program:
    """What a model says by one module that has all of it inside."""
    names = [port.name for port in ports(model)]

    def run(inputs):
        with torch.no_grad():
            made = module(*(torch.from_numpy(np.array(inputs[name])) for name in names))
        return {name: tensor.numpy() for name, tensor in made.items()}

    return program_with(model, run)


def gap(found, model, given) -> str | None:
    return difference(shortened(found), shortened(model.predict(given)), unit(model.schema))


# --- in PyTorch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases())
def test_a_whole_model_runs_in_pytorch_and_says_what_the_model_says(case):
    model = released(case)
    given = model_rows(model)
    assert gap(whole_of(model, Whole(model).eval()).predict(given), model, given) is None


def model_rows(model):
    if model.task == "generate":
        return np.random.default_rng(1).normal(size=(3, model.config["latent"])).astype(np.float32)
    return rows(model)


@pytest.mark.parametrize(
    "case", some(["mlp classify table class", "unet segment picture -", "bow classify text class"])
)
def test_a_pt2_file_answers_alike_and_its_lines_run(case, tmp_path, monkeypatch):
    model = released(case)
    made = write_torch(model, tmp_path / "a.pt2")
    found = used(made.usage, tmp_path, monkeypatch)
    assert all(len(found[name]) == 1 for name in results(model))
    given = model_rows(model)
    assert gap(whole_of(model, found["program"]).predict(given), model, given) is None
    assert "unpickles" in made.remark
    assert_nothing_of_this_machine(tmp_path / "a.pt2")
    with zipfile.ZipFile(made.files[0]) as parts:
        (name,) = [one for one in parts.namelist() if one.endswith("gipi.json")]
        assert json.loads(parts.read(name))["task"] == model.task


def assert_nothing_of_this_machine(path: Path) -> None:
    content = path.read_bytes()
    for place in (gipi.__file__, torch.__file__, __file__):
        assert str(Path(place).parent).encode() not in content


def test_gipi_reads_no_pt2(tmp_path, capsys):
    (tmp_path / "a.pt2").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"\.pt2 file is never read"):
        gipi.load(tmp_path / "a.pt2")
    assert main(["predict", str(tmp_path / "a.pt2"), "{}"]) == 2
    assert "never read" in capsys.readouterr().err


def test_opening_a_pt2_file_can_run_code(tmp_path):
    """Why gipi reads none: a file that somebody changed makes PyTorch open a file for writing."""
    code = """
import io, sys, zipfile, torch
torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), "a.pt2")
class Code:
    def __reduce__(self):
        return open, ("marker", "w")
harm = io.BytesIO()
torch.save(Code(), harm)
with zipfile.ZipFile("a.pt2") as whole, zipfile.ZipFile("b.pt2", "w") as other:
    for part in whole.namelist():
        other.writestr(part, harm.getvalue() if "sample_inputs" in part else whole.read(part))
try:
    torch.export.load("b.pt2")
except Exception:
    pass
"""
    assert not (tmp_path / "marker").exists()
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=120)
    assert (tmp_path / "marker").exists(), "this PyTorch opens it without running code: say so in docs/verbs/export.md"


# --- ONNX ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", some(SOME))
def test_an_onnx_file_answers_alike_and_its_lines_run(case, tmp_path, monkeypatch):
    model = released(case, SOME[case])
    made = write_onnx(model, None, tmp_path / "a.onnx")
    found = used(made.usage, tmp_path, monkeypatch)
    names = [one.name for one in found["session"].get_outputs()]
    assert names == results(model)
    run = lambda inputs: dict(zip(names, found["session"].run(names, inputs), strict=True))  # noqa: E731
    given = model_rows(model)
    assert gap(program_with(model, run).predict(given), model, given) is None
    assert_nothing_of_this_machine(tmp_path / "a.onnx")
    said = {one.key: one.value for one in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert said["task"] == model.task
    assert [*json.loads(said["inputs"])] == [port.name for port in found["session"].get_inputs()]
    assert [*json.loads(said["outputs"])] == names
    for port in found["session"].get_inputs():
        told = json.loads(said["inputs"])[port.name]
        assert port.type == {"float64": "tensor(double)", "float32": "tensor(float)"}.get(told["type"], port.type)
        assert port.shape == told["axes"]
    if model.schema.targets and model.schema.targets[0].kind == "class" and model.task == "classify":
        assert json.loads(said["classes"]) == [*CLASSES]


def test_codes_and_columns_are_told(tmp_path):
    told = usage.inputs(released("mlp classify table class"))
    assert [one["name"] for one in told["numbers"]["columns"]] == ["length", "weight", "is new", "day"]
    assert told["codes"]["columns"][0] == {"name": "colour", "codes": {"(no value)": 1, "blue": 2, "red": 3}}


def test_a_text_is_told_with_its_tokenizer():
    model = released("bow classify text class")
    told = usage.inputs(model)["tokens"]
    assert (told["axes"], told["columns"], told["most"]) == (["rows", "tokens"], ["said"], 24)
    assert usage.notes(model, ["answer"])["tokenizer"] == model.schema.inputs[0].tokenizer


@pytest.mark.slow
def test_weights_that_are_too_large_lie_beside_it(tmp_path, monkeypatch):
    model = released("convnet classify picture class")
    made = write_onnx(model, None, tmp_path / "a.onnx", most=1000)
    assert [path.name for path in made.files] == ["a.onnx", "a.onnx.data"]
    assert made.files[0].stat().st_size < made.files[1].stat().st_size
    assert used(made.usage, tmp_path, monkeypatch)["answer"].shape == (1, len(CLASSES))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]


def test_a_model_answers_as_before_when_it_was_exported_first(tmp_path):
    """What a graph in the making holds are no numbers: nothing of it may stay in a cache."""
    from gipi.data import encode

    encode._each.cache_clear()
    model = released("edsr upscale picture -")
    write_onnx(model, None, tmp_path / "a.onnx")
    assert model.predict(model_rows(model)[:1])[0]["picture"].dtype == np.uint8


def test_a_program_that_answers_differently_is_not_written(tmp_path, monkeypatch):
    made = export.exported

    def changed(model):
        proto = made(model)
        for tensor in proto.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2:
                tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) * 1.1).tobytes()
        return proto

    monkeypatch.setattr(export, "exported", changed)
    with pytest.raises(UsageError, match="its program answers differently"):
        write_onnx(released("mlp classify table class"), None, tmp_path / "a.onnx")
    assert not [*tmp_path.iterdir()]


class Halting(torch.nn.Module):
    """A network that looks at its numbers to decide what to do: no graph can say it."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 3)

    def forward(self, x):
        while x.sum() > 1:
            x = x / 2
        return self.linear(x)


def own_model(net: torch.nn.Module) -> Model:
    return Model("classify", "own", Schema(TABLE[:1], TARGETS["class"]), Sizes((1,), 3, is_class=True), {}, [net])


@pytest.mark.parametrize("write", [lambda m, p: write_onnx(m, None, p), write_torch], ids=["onnx", "torch"])
def test_a_network_that_cannot_be_traced_is_one_sentence(write, tmp_path):
    with pytest.raises(UsageError, match="the network cannot be exported: ") as said:
        write(own_model(Halting()), tmp_path / "a")
    assert "\n" not in str(said.value)
    assert not [*tmp_path.iterdir()]


def test_batches_that_nobody_knows_anything_of_are_one_sentence(tmp_path):
    net = torch.nn.Linear(2, 2)
    model = Model("stream", "own", Schema((), ()), Sizes((), 0), {}, [net])
    for to in ("onnx", "torch"):
        with pytest.raises(UsageError, match="nothing is known of the batches"):
            gipi.export(model, tmp_path / "a", to=to)


@pytest.mark.slow
def test_a_module_without_its_source_is_exported_from_its_bundle(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = own_model(torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)))
    kept = write_release(model, tmp_path / "mine.gipi")
    made = gipi.export(kept, tmp_path / "mine")
    found = used(made.usage, tmp_path, monkeypatch)
    answer = model.predict({"length": float(found["inputs"]["numbers"][0, 0])})[0]["probabilities"]
    assert np.allclose(found["answer"][0], [*answer.values()], atol=1e-5)
    with pytest.raises(UsageError, match="the model's networks"):
        gipi.export(kept, tmp_path / "mine", to="torch")
    assert safetensors.torch.load_file(gipi.export(kept, tmp_path / "w", to="safetensors").files[0])


# --- a bundle without gipi -------------------------------------------------------------------------------------------


def test_an_unzipped_bundle_runs_in_any_onnx_runtime(tmp_path):
    """What docs/bundle.md promises: the program finds weights.safetensors beside itself."""
    model = released("mlp classify table class")
    kept = write_release(model, tmp_path / "ants.gipi")
    with zipfile.ZipFile(kept) as parts:
        parts.extractall(tmp_path / "ants")
    session = onnxruntime.InferenceSession(tmp_path / "ants" / "program.onnx")
    given = model_rows(model)
    names = [one.name for one in session.get_outputs()]
    found = session.run(names, program_with(model, lambda inputs: inputs).inputs(given))
    likely = [[*one["probabilities"].values()] for one in model.predict(given)]
    assert np.allclose(found[0], likely, atol=1e-5)


# --- weights ---------------------------------------------------------------------------------------------------------


def test_weights_have_the_names_that_the_network_has(tmp_path):
    model = released("resnet classify picture class")
    made = gipi.export(model, tmp_path / "w", to="safetensors")
    assert [path.name for path in made.files] == ["w.safetensors"]
    held = safetensors.torch.load_file(made.files[0])
    expected = model.members[0].state_dict()
    assert held.keys() == expected.keys()
    assert {"layer1.0.conv1.weight", "bn1.running_mean", "fc.weight"} <= held.keys()
    assert all(torch.equal(held[name], expected[name]) for name in held)


def test_several_networks_are_a_file_each(tmp_path, monkeypatch):
    model = released("mlp classify table class", 2)
    made = gipi.export(model, tmp_path / "w.safetensors", to="safetensors")
    assert [path.name for path in made.files] == ["w-1.safetensors", "w-2.safetensors"]
    for path, member in zip(made.files, model.members, strict=True):
        held = safetensors.torch.load_file(path)
        assert all(torch.equal(held[name], tensor) for name, tensor in member.state_dict().items())
    assert used(made.usage, tmp_path, monkeypatch)["weights"].keys() == member.state_dict().keys()


def test_exported_weights_are_a_beginning_for_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = ["fit", "iris", "--system", "mlp", "--hidden", "8", "--no-verdict", "--no-doctor", "--quiet"]
    assert main([*line, "--epochs", "1", "--run", "runs/a"]) == 0
    assert main(["export", "a", "--to", "safetensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["files"] == ["a.safetensors"]
    assert main([*line, "--epochs", "1", "--lr", "1e-12", "--weights", "a.safetensors", "--run", "runs/b"]) == 0
    before, after = (gipi.Run(name).model.members[0].state_dict() for name in ("a", "b"))
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)


# --- the line --------------------------------------------------------------------------------------------------------


def test_the_line_writes_beside_where_one_stands_and_says_how_to_use_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    released("linear regress table number").save(tmp_path / "prices.gipi")
    assert main(["export", "prices.gipi"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("written to prices.onnx\n")
    assert 'onnxruntime.InferenceSession("prices.onnx")' in said
    assert main(["export", "prices.gipi", "deep/other", "--to", "torch", "--json"]) == 0
    assert (tmp_path / "deep" / "other.pt2").is_file()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["files"] == [os.path.join("deep", "other.pt2")]
    assert "unpickles" in found["remark"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "onx"], "Did you mean 'onnx'?"),
        (["--to", "torch", "--precision", "int8"], "--precision goes with --to onnx"),
        (["--precision", "int4"], "int4 came"),
        (["--data", "iris"], "--data goes with --precision"),
        (["--precision", "int8", "--loss-of-quality", "-1"], "from 0 on"),
        (["--precision", "int8"], "a bundle has no data"),
    ],
)
def test_wrong_lines_say_what_is_right(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    from gipi.release.keep import write_bundle

    write_bundle(released("linear regress table number"), tmp_path / "a.gipi")
    assert main(["export", "a.gipi", *words]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.gipi"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(RunError, match="cannot write"):
        gipi.export(released("linear regress table number"), tmp_path / "file" / "a", to="safetensors")
