"""A bundle of a stranger: what would be noticed too late, at the terminal, in memory, at the first row."""

import json
import time
from dataclasses import replace

import pytest
import torch
from released import cases, released
from test_bundle import parts_of, refused, rewritten

import gipi
from gipi.cli.main import main
from gipi.data.drawing import Drawing
from gipi.data.schema import Field, Schema
from gipi.errors import DataError, RunError
from gipi.release import bounded, graph, hub, stored
from gipi.release.keep import write_bundle
from gipi.release.model import Model
from gipi.release.refused import Refused
from gipi.release.weight_files import read_weights
from gipi.report.text import clean, harmless_json

ESCAPE = "\x1b]0;pwned\x07\x9b31m"


def has_control(text):
    return any((ord(letter) < 32 and letter != "\n") or 127 <= ord(letter) < 160 for letter in text)


@pytest.fixture
def kept(tmp_path):
    return write_bundle(released("mlp classify table class"), tmp_path / "kept")


def player(schema, tmp_path, task="classify"):
    """A model of a table with this schema, kept."""
    from gipi import systems
    from gipi.data.schema import sizes

    system = systems.load("linear")
    shape = sizes(schema, len(schema.targets[0].values) or 1)
    config = system.Config()
    said = {"optimizer": config.optimizer, "lr": config.lr, "l2": config.l2}
    return Model(task, "linear", schema, shape, said, [system.Net(shape, config)])


def test_words_of_a_file_do_not_reach_a_terminal_raw(kept, capfd):
    rewritten(kept, lambda held: held["schema"]["inputs"][0].update(name=ESCAPE))
    assert main(["predict", str(kept), "{}"]) == 1
    assert main(["predict", str(kept), "{}", "--json"]) == 1
    assert main(["inspect", str(kept)]) == 0 and main(["inspect", str(kept), "--json"]) == 0
    said = capfd.readouterr()
    assert "pwned" in said.out and "pwned" in said.err and not has_control(said.out + said.err)


def test_labels_of_a_file_do_not_reach_a_terminal_raw(tmp_path, capfd):
    schema = Schema((Field("a", "number"),), (Field("what", "class", values=(ESCAPE, ESCAPE + "2")),))
    path = write_bundle(player(schema, tmp_path), tmp_path / "kept")
    assert main(["predict", str(path), '{"a": 1}']) == 0 and main(["predict", str(path), '{"a": 1}', "--json"]) == 0
    said = capfd.readouterr()
    assert "pwned" in said.out and not has_control(said.out + said.err)


def test_text_that_runs_the_other_way_is_shown():
    assert clean("exe\u202egpj") == "exe\N{REPLACEMENT CHARACTER}gpj"
    found = harmless_json({"a": "\x9b\u202e한"}, ensure_ascii=False)
    assert found == '{"a": "\\u009b\\u202e한"}' and json.loads(found) == {"a": "\x9b\u202e한"}


def test_a_row_with_the_column_of_a_yes_or_no_that_was_made_of_several(tmp_path):
    """All inputs are numbers, and the row holds what is to be predicted: an error of ours got out here."""
    target = Field("what", "class", values=(False, True), positive="bee")
    model = player(Schema((Field("a", "number"), Field("b", "number")), (target,)), tmp_path)
    assert model.predict({"a": 1, "b": 2, "what": "bee"}) == model.predict({"a": 1, "b": 2})


def test_a_date_that_is_too_far_away_is_named(tmp_path):
    schema = Schema((Field("day", "date", scale=1e-300, center=1e9),), (Field("what", "class", values=("a", "b")),))
    with pytest.raises(DataError, match="column 'day', row 1: 2020"):
        player(schema, tmp_path).predict([{"day": "2020-01-01"}])


def test_one_name_for_two_columns_is_refused(kept):
    refused(rewritten(kept, lambda held: held["schema"]["targets"][0].update(name="length")), "as it should be: length")


def test_settings_that_are_no_numbers_can_be_inspected(tmp_path, capfd):
    path = write_bundle(released(next(case for case in cases() if "generate" in case)), tmp_path / "kept")
    rewritten(path, lambda held: held["config"].update(latent="many"))
    assert main(["inspect", str(path)]) == 0


@pytest.mark.parametrize("shape", [[3, 16384, 16384], [3, 4096, 1025], [2, 8, 8], [4, 8, 8]])
def test_pictures_that_no_memory_holds_are_refused(tmp_path, shape):
    path = write_bundle(released("resnet classify picture class"), tmp_path / "kept")

    def change(held):
        held["schema"]["inputs"][0]["shape"] = held["sizes"]["input"] = shape

    refused(rewritten(path, change), "as it should be: picture")


def test_examples_that_are_large_pictures_are_refused(tmp_path):
    path = write_bundle(released("resnet classify picture class"), tmp_path / "kept")

    def change(held):
        held["rows"][0] = {"array": "uint8", "shape": [1, 58, 3], "bytes": "A" * (58 * 3 * 4 // 3)}

    refused(rewritten(path, change, "examples.json"), "examples are not")


def test_few_weights_may_not_make_gigabytes():
    wide = torch.nn.Conv2d(1, 1 << 14, 1)
    begin = time.perf_counter()
    with torch.no_grad(), pytest.raises(Refused, match="too much memory"), bounded.Work():
        wide(torch.zeros(1, 1, 1024, 1024))  # 64 GB
    with torch.no_grad(), bounded.Work():
        assert wide(torch.zeros(1, 1, 2, 2)).shape[1] == 1 << 14
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    "architecture",
    [
        {"model_type": "vit", "_attn_implementation_internal": "somebody/kernel"},
        {"model_type": "vit", "_experts_implementation_internal": "somebody/kernel"},
        {"model_type": "timm_wrapper", "architecture": "hf-hub:somebody/weights"},
        {"model_type": "timm_wrapper", "model_args": {"checkpoint_path": "somewhere.pth"}},
        {"model_type": "vit", "parts": [{"auto_map": {"AutoModel": "somebody/code--model.Net"}}]},
        {"model_type": "vit", "num_labels": 10**9},
    ],
)
def test_other_names_for_what_is_fetched(architecture):
    with pytest.raises(Refused):
        hub.check_architecture("hf:vit", architecture)


def test_classes_without_number_are_refused_before_they_are_named(kept):
    def change(held):
        held.update(system="hf:vit")
        held["extra"]["architecture"] = {"model_type": "vit"}
        held["sizes"]["output"] = 10**9

    refused(rewritten(kept, change), "too much memory")


@pytest.mark.parametrize(
    "more", [{"name": "b", "kind": "picture", "shape": [3, 8, 8]}, {"name": "b", "kind": "number"}]
)
def test_a_picture_stands_alone(tmp_path, more):
    path = write_bundle(released("resnet classify picture class"), tmp_path / "kept")
    refused(rewritten(path, lambda held: held["schema"]["inputs"].append(more)), "as it should be: inputs")
    with pytest.raises(RunError):
        read_weights(str(path))


def test_a_white_that_is_next_to_nothing(tmp_path):
    path = write_bundle(released("resnet classify picture class"), tmp_path / "kept")
    refused(rewritten(path, lambda held: held["schema"]["inputs"][0].update(white=1e-300)), "as it should be: picture")


@pytest.mark.parametrize("ends", [[1], [2.0, 1.0], [0, "1"], [0, None], [0, 1, 2], "01", {}, [True, 2], [[], []]])
def test_a_range_is_two_numbers_in_order(tmp_path, ends):
    path = write_bundle(released("mlp classify table class"), tmp_path / "kept")
    refused(rewritten(path, lambda held: held["schema"]["inputs"][0].update(range=ends)), "as it should be: ")
    known = rewritten(path, lambda held: held["schema"]["inputs"][0].update(range=[-1, 2.5]))
    assert gipi.load(known).schema.inputs[0].range == (-1, 2.5)


@pytest.mark.parametrize(
    "change",
    [
        *({"ink": word} for word in ("red", None, ["light"])),
        *({"pen": pen} for pen in (0, -0.1, 2, None, "0.1", True)),
        *({"most": most} for most in ([1.0], [0, 1], [1, 2, 3], 1, [None, 1])),
        *({"slants": slants} for slants in ([0.5, -0.5], [-1e9, 0])),
        *({"fits": "all"}, {"center": 0}, {"place": [0.5, -0.1]}, {"more": 1}),
    ],
)
def test_a_drawing_is_one_that_we_know(tmp_path, change):
    path = write_bundle(released("resnet classify picture class"), tmp_path / "kept")
    drawing = Drawing("light", 1.0, 0.1, "longer", 0.7, (0.3, 0.3), (-0.4, 0.6), "mass", (0.5, 0.5))
    known = rewritten(path, lambda held: held["extra"].update(drawing=drawing.to_json()))
    assert Drawing.from_json(gipi.load(known).extra["drawing"]) == drawing
    refused(rewritten(known, lambda held: held["extra"]["drawing"].update(change)), "as it should be: drawing")
    for odd in (None, [], "light", {}):
        refused(rewritten(known, lambda held, odd=odd: held["extra"].update(drawing=odd)), "as it should be: drawing")


@pytest.mark.parametrize("names", [["a", "a", "b"], [1, 2, 3], [["a"], {}, None]])
def test_classes_of_a_mask_have_names_of_their_own(tmp_path, names):
    path = write_bundle(released(next(case for case in cases() if "segment" in case)), tmp_path / "kept")
    refused(rewritten(path, lambda held: held["extra"]["classes"].update(names=names)), "as it should be: classes")


def test_a_program_gives_no_other_outputs(tmp_path):
    """Their names stand in the lines of Python that `gipi export` prints."""
    path = released("mlp classify table class").save(tmp_path / "kept.gipi")
    parts = parts_of(path)
    read = graph.read(parts["program.onnx"])
    name = '__import__("os").system("id")#'
    more = graph.Node("Identity", (read.outputs[0].name,), (name,))
    told = replace(read, nodes=(*read.nodes, more), outputs=(*read.outputs, replace(read.outputs[0], name=name)))
    parts["program.onnx"] = graph.write(told)
    path.write_bytes(b"".join(bytes(piece) for piece in stored.packed([(n, [c]) for n, c in parts.items()])))
    refused(path, "no answer that a program of gipi gives", runtime="onnx")


def test_a_program_whose_memory_grows_faster_than_its_rows(tmp_path):
    """Five rows ask for 125 numbers, 2048 for 34 GB: tried with five alone, it would be believed."""
    path = released("mlp classify table class").save(tmp_path / "kept.gipi")
    parts = parts_of(path)
    read = graph.read(parts["program.onnx"])
    last = read.outputs[0].name
    nodes = [replace(node, outputs=tuple("old" if one == last else one for one in node.outputs)) for node in read.nodes]

    def number(name, value):
        return graph.Attribute(name, graph.INT, value)

    nodes += [
        graph.Node("Shape", (read.inputs[0].name,), ("rows",), (number("end", 1), number("start", 0))),
        graph.Node("Concat", ("rows", "rows", "rows"), ("cube",), (number("axis", 0),)),
        graph.Node("ConstantOfShape", ("cube",), ("zeros",)),
        graph.Node("ReduceSum", ("zeros",), ("zero",), (number("keepdims", 0),)),
        graph.Node("Add", ("old", "zero"), (last,)),
    ]
    parts["program.onnx"] = graph.write(replace(read, nodes=tuple(nodes)))
    path.write_bytes(b"".join(bytes(piece) for piece in stored.packed([(n, [c]) for n, c in parts.items()])))
    with pytest.raises(RunError, match="memory"):
        gipi.load(path, runtime="onnx")
