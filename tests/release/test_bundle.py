"""The bundle: what is kept comes back, what is not as it should be is refused with a sentence, and quickly."""

import json
import math
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from released import all_cases, released, rows

import gipi
from gipi import systems
from gipi.errors import RunError
from gipi.release import bundle, networks, stored
from gipi.release.alike import difference
from gipi.release.examples import COUNT, example_rows, packed, unpacked
from gipi.release.keep import write_bundle


def parts_of(path):
    return {name: content.tobytes() for name, content in stored.read(path, bundle.LARGEST).items()}


def rewritten(path, change, part="bundle.json"):
    """The file with another part, whole again as an attacker would make it."""
    parts = parts_of(path)
    held = json.loads(parts[part])
    parts[part] = json.dumps(change(held) or held).encode()
    path.write_bytes(b"".join(bytes(piece) for piece in stored.packed([(n, [c]) for n, c in parts.items()])))
    return path


@pytest.fixture
def kept(tmp_path):
    return write_bundle(released("mlp classify table class"), tmp_path / "kept")


def test_what_is_kept_comes_back(kept):
    model, again = released("mlp classify table class"), gipi.load(kept)
    assert again.schema == model.schema and again.config == json.loads(json.dumps(model.config))
    assert again.predict(rows(model)) == model.predict(rows(model))
    for one, other in zip(model.members, again.members, strict=True):
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name])


def test_the_same_model_is_the_same_bytes(tmp_path):
    model = released("tabm regress table number")
    one, other = model.save(tmp_path / "one.gipi"), model.save(tmp_path / "other.gipi")
    assert one.read_bytes() == other.read_bytes()


def test_examples_are_made_up_and_have_what_rows_have():
    model = released("mlp classify table class")
    made = example_rows(model)
    assert len(made) == COUNT >= 5 and made == example_rows(model)
    values = [value for row in made for value in row.values()]
    assert None in values and "?" in values  # a gap, and a word that nobody knows
    pictures = example_rows(released("convnet classify picture class"))
    assert len({picture.shape for picture in pictures}) > 1  # some must be resized


def test_arrays_in_json():
    held = {"a": [np.arange(6, dtype=np.uint8).reshape(2, 3), {"b": np.ones((0, 4), np.float32)}], "c": 1.5}
    again = unpacked(json.loads(json.dumps(packed(held))))
    assert np.array_equal(again["a"][0], held["a"][0]) and again["a"][1]["b"].shape == (0, 4) and again["c"] == 1.5


def test_a_model_that_lost_its_numbers_is_kept_as_it_is(tmp_path):
    model = released("linear regress table number", seed=3)
    with torch.no_grad():
        next(model.members[0].parameters()).fill_(math.nan)
    kept = gipi.load(write_bundle(model, tmp_path / "nan"))
    assert math.isnan(kept.predict(rows(model))[0]["price"]["value"])


# --- refused -----------------------------------------------------------------------------------------------------


def refused(path, match, **options):
    assert networks.rebuilt  # imported: that is not what is timed
    begin = time.perf_counter()
    with pytest.raises(RunError, match=match):
        gipi.load(path, **options)
    assert time.perf_counter() - begin < 1


def test_a_newer_format_names_both(kept):
    def newer(held):
        held["format"], held["gipi"] = 3, "9.9.0"

    refused(rewritten(kept, newer), r"format 3, written by gipi 9\.9\.0; this gipi reads format 2")


def test_no_bundle(tmp_path):
    (tmp_path / "a.gipi").write_text("something else")
    refused(tmp_path / "a.gipi", "not a gipi bundle")
    refused(tmp_path / "none.gipi", "cannot read")
    (tmp_path / "folder.gipi").mkdir()
    refused(tmp_path / "folder.gipi", r"cannot read|not a file|not a gipi bundle")


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_one_bit(kept, place):
    content = bytearray(kept.read_bytes())
    content[int(len(content) * place)] ^= 4
    kept.write_bytes(content)
    refused(kept, "not a gipi bundle or is damaged")


def test_other_answers_than_those_that_were_stored(kept):
    def other(held):
        held["answers"][2]["probabilities"]["bee"] += 0.01

    refused(rewritten(kept, other, "examples.json"), "does not give the answers it was stored with: bee")


def test_other_weights(tmp_path, kept):
    parts = parts_of(kept)
    parts["weights.safetensors"] = parts_of(write_bundle(released("linear classify table class"), tmp_path / "b"))[
        "weights.safetensors"
    ]
    kept.write_bytes(b"".join(bytes(piece) for piece in stored.packed([(n, [c]) for n, c in parts.items()])))
    refused(kept, "the weights are not those of its network")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda held: held.update(system="os"), "is a person's own"),
        (lambda held: held.update(system="gipi.verbs.fit"), "is a person's own"),
        (lambda held: held.update(system="../systems/mlp"), "is a person's own"),
        (lambda held: held.update(task="os"), "no task|damaged"),
        (lambda held: held.update(dtype="object"), "dtype"),
        (lambda held: held.update(members=2), "members"),
        (lambda held: held.update(more=1), "more"),
        (lambda held: held.pop("card") and None, "card"),
        (lambda held: held["config"].update(hidden="os.system"), "damaged"),
        (lambda held: held["config"].update(unknown=1), "damaged"),
        (lambda held: held["schema"]["inputs"][0].update(kind="pickle"), "length"),
        (lambda held: held["schema"]["inputs"][0].update(scale="1"), "length"),
        (lambda held: held["schema"]["inputs"][0].update(scale=0), "length"),
        (lambda held: held["schema"]["inputs"].pop() and None, "sizes are not those"),
        (lambda held: held["schema"]["targets"][0].update(values=[["a"]]), "what"),
        (lambda held: held["sizes"].update(output=10**12), "too much memory"),
        (lambda held: held["sizes"].update(output=4), "weights are not those"),
        (lambda held: held.update(system="timm:http://x/y"), "timm|damaged"),
    ],
)
def test_what_bundle_json_may_not_say(kept, change, match):
    try:
        refused(rewritten(kept, change), match)
    except gipi.errors.UsageError as error:  # a task or a library that is not there
        assert "task" in str(error) or "timm" in str(error)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("hf:vit", {"model_type": "vit", "auto_map": {"AutoModel": "somebody/code--model.Net"}}),
        ("hf:vit", {"model_type": "vit", "attn_implementation": "somebody/kernel"}),
        ("hf:dpt", {"model_type": "dpt", "backbone_config": {"backbone": "somebody/weights"}}),
        ("hf:dpt", {"model_type": "dpt", "backbone": "resnet50", "use_pretrained_backbone": True}),
        ("hf:vit", None),
        ("hf:vit", ["vit"]),
        ("timm:resnet18", {"name": "resnet18", "pretrained": True}),
    ],
)
def test_a_network_of_another_library_fetches_nothing(kept, name, architecture):
    def change(held):
        held.update(system=name)
        held["extra"]["architecture"] = architecture

    refused(rewritten(kept, change), "from elsewhere|architecture")


def test_examples_that_name_files_are_refused(tmp_path, kept):
    planted = tmp_path / "rows.csv"
    planted.write_text("length,weight,colour,is new,day,kind\n" + "1,2,red,true,2020-01-01,a\n" * 5)
    for given in (str(planted), [str(planted)] * 5, {"length": str(planted)}):
        refused(rewritten(kept, lambda held, given=given: {**held, "rows": given}, "examples.json"), "examples are not")


NUMBERS = (10**9, 10**18, 0, -1)


def largest_memory():
    """Of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("name", systems.names())
def test_a_configuration_that_would_never_end(name, tmp_path):
    """Each whole number of each system, as large as can be: refused at once, and before memory is taken for it."""
    case = next(case for case in all_cases() if case.split()[0] == name)
    asked = 6 if "generate" in case else rows(released(case))
    path = write_bundle(released(case), tmp_path / "kept")
    config = json.loads(parts_of(path)["bundle.json"])["config"]
    whole = [option for option, value in config.items() if type(value) is int]
    lists = [option for option, value in config.items() if isinstance(value, list) and value]
    changes = [(option, number) for option in whole for number in NUMBERS]
    changes += [(option, [number]) for option in lists for number in NUMBERS]
    changes += [(option, [2] * 900) for option in lists]
    original = path.read_bytes()
    expected = gipi.load(path).predict(asked)
    before = largest_memory()
    for option, value in changes:
        path.write_bytes(original)
        rewritten(path, lambda held, option=option, value=value: held["config"].update({option: value}))
        begin = time.perf_counter()
        try:
            kept = gipi.load(path)
        except RunError:
            assert time.perf_counter() - begin < 2, (option, value)
        else:  # what training alone looks at: a batch, a memory, a crop
            assert difference(kept.predict(asked), expected) is None, (option, value)
    assert largest_memory() - before < 100e6


def test_opening_a_file_does_not_import_the_compiler(kept):
    """Drawing weights on the "meta" device would, and take longer than all else; nobody needs them drawn."""
    code = "import sys, gipi; gipi.load(sys.argv[1]); print('torch._dynamo' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(kept)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
