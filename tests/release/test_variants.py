"""Programs in int8 and bf16: they are what they say, and are written only where they are faster and good enough."""

import json

import numpy as np
import pytest

import gipi
from gipi.cli.main import main
from gipi.errors import RunError, UsageError
from gipi.release import variants
from gipi.release.export import onnx_model, program_with, running
from gipi.release.variants import bf16, int8, loss_of, runnable, seconds
from gipi.tasks.intervals import Metric
from gipi.verbs import measured
from tests.release.released import released, rows

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small network on a table, learned well enough that 8 bits hardly change what it says."""
    folder = tmp_path_factory.mktemp("runs") / "iris"
    options = {"system": "mlp", "hidden": (16,), "epochs": 20, "verdict": False, "doctor": False, "quiet": True}
    return gipi.fit("iris", run=str(folder), **options)


def types_in(proto) -> set[str]:
    return {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in proto.graph.initializer}


@pytest.mark.parametrize(
    ("case", "methods"),
    [
        ("mlp classify table class", ["dynamic", "static"]),
        pytest.param("convnet classify picture class", ["static"], marks=pytest.mark.slow),
        pytest.param("lstm classify text class", ["dynamic", "static"], marks=pytest.mark.slow),
    ],
)
def test_int8_has_its_weights_in_8_bits_and_says_nearly_the_same(case, methods):
    model = released(case)
    usual = onnx_model(model)
    before = program_with(model, running(usual.SerializeToString()))
    given = before.inputs(rows(model) * 8)
    made = int8(usual, given)
    assert [one.method for one in made] == methods
    for one in made:
        assert "INT8" in types_in(one.proto)
        onnx.checker.check_model(one.proto)
        after = program_with(model, runnable(one, "int8"))
        found, expected = (program.outputs(given)["answer"] for program in (after, before))
        assert 0 < np.abs(found - expected).max() < 0.1


def test_what_has_no_weights_to_multiply_has_no_int8():
    proto = onnx.ModelProto()
    proto.graph.node.add(op_type="Add")
    with pytest.raises(UsageError, match="nothing to have in int8"):
        int8(proto, {"numbers": np.zeros((1, 4))})


def test_bf16_is_made_and_where_there_are_no_kernels_that_is_said(run, tmp_path):
    model = released("mlp classify table class")
    made = bf16(model)
    assert "BFLOAT16" in types_in(made.proto)
    assert {str(tensor.dtype) for tensor in model.members[0].parameters()} == {"torch.float32"}, (
        "the model is as it was"
    )
    try:
        runnable(made, "bf16")
    except RunError as error:
        assert "cannot run this program in bf16 on this machine" in str(error)
        with pytest.raises(RunError, match="cannot run this program in bf16"):
            gipi.export(run, tmp_path / "a.onnx", precision="bf16")
        assert not [*tmp_path.iterdir()]


def as_fast(monkeypatch, ratio: float) -> None:
    """Times are the machine's own affair; what is decided by them is not."""
    monkeypatch.setattr(variants, "seconds", lambda programs, inputs: [[1e-6] * 3, [ratio * 1e-6] * 3])


def test_it_is_written_where_it_is_faster_and_good_enough(run, tmp_path, monkeypatch):
    as_fast(monkeypatch, 0.5)
    made = gipi.export(run, tmp_path / "a", precision="int8", loss_of_quality=0.2)
    found = made.measured
    assert (found["precision"], found["metric"], found["time"], found["rows"]) == ("int8", "accuracy", 0.5, 30)
    assert found["before"]["value"] == pytest.approx(float(run.metrics["accuracy"]))
    assert found["loss"] == pytest.approx(found["before"]["value"] - found["after"]["value"])
    assert found["after"]["low"] <= found["after"]["value"] <= found["after"]["high"]
    proto = onnx.load(made.files[0])
    assert types_in(proto) & {"INT8", "UINT8"}
    assert {one.key: one.value for one in proto.metadata_props}["precision"] == "int8"
    assert found["bytes"]["after"] == made.files[0].stat().st_size


def test_it_is_not_written_where_it_is_slower(run, tmp_path, monkeypatch, capsys):
    as_fast(monkeypatch, 1.5)
    line = ["export", str(run.path), str(tmp_path / "a.onnx"), "--precision", "int8", "--loss-of-quality", "1"]
    assert main([*line, "--json"]) == 1
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert said.startswith("int8 is not written, because it is not faster here: 1.50 of the time")
    assert not [*tmp_path.iterdir()]


def test_it_is_not_written_where_it_is_worse_than_it_may_be(run, tmp_path, monkeypatch):
    as_fast(monkeypatch, 0.5)
    monkeypatch.setattr(variants, "loss_of", lambda before, after: 0.04)
    with pytest.raises(RunError, match=r"because accuracy is worse by 0.04, and 0.01 is allowed: 0.50 of the time"):
        gipi.export(run, tmp_path / "a.onnx", precision="int8")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_it_may_be_measured_on_other_data(run, tmp_path, monkeypatch):
    as_fast(monkeypatch, 0.5)
    found = gipi.export(run, tmp_path / "a", precision="int8", loss_of_quality=1.0, data="iris").measured
    assert found["rows"] == 150 - 150 // 4, "a quarter of them is what 8 bits are scaled by"


def test_tasks_that_it_is_not_for_say_so(tmp_path):
    with pytest.raises(UsageError, match="this one's task is act"):
        measured.variant(None, released("dqn act environment -"), tmp_path / "a.onnx", "int8", 0.01)


def test_losses_are_in_the_metrics_own_terms():
    assert loss_of(Metric(0.9), Metric(0.95)) == pytest.approx(-0.05)
    assert loss_of(Metric(10.0, higher_is_better=False), Metric(11.0, higher_is_better=False)) == pytest.approx(0.1)
    assert loss_of(Metric(0.0, higher_is_better=False), Metric(0.0, higher_is_better=False)) == 0
    assert loss_of(Metric(0.0, higher_is_better=False), Metric(1.0, higher_is_better=False)) == float("inf")


def test_times_are_of_the_rows_and_in_turns():
    order = []

    def program(name):
        def run(inputs):
            order.append((name, len(inputs["x"])))

        return run

    found = seconds([program("a"), program("b")], {"x": np.zeros((5000, 2))})
    assert [len(times) for times in found] == [variants.ROUNDS] * 2
    measured_in_turns = order[-2 * variants.ROUNDS :]
    assert [name for name, _rows in measured_in_turns] == ["b", "a", "a", "b"] * (variants.ROUNDS // 2)
    assert {count for _name, count in measured_in_turns} == {variants.MOST_TIMED}
