"""Networks of other libraries: by a stand-in for timm that works without it, by transformers where it is installed."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import gipi
from gipi.cli.main import main
from gipi.errors import RunError, UsageError
from gipi.release import hub

RANDOM = np.random.default_rng(0)
Y = np.repeat(["dark", "light"], 40)
PICTURES = (RANDOM.integers(0, 60, (80, 16, 16, 3)) + 120 * (Y == "light")[:, None, None, None]).astype(np.uint8)
QUICK = {"quiet": True, "verdict": False, "doctor": False, "threads": 1, "batch_size": 16, "steps": 8}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# --- a stand-in for timm -----------------------------------------------------------------------------------------


def stand_in(calls: list) -> types.ModuleType:
    """A module with what gipi uses of timm, as timm 1.0 has it."""
    module = types.ModuleType("timm")

    def create_model(name, pretrained=False, num_classes=1000, in_chans=3, **more):
        if name not in ("tiny", "fixed"):
            raise RuntimeError(f"Unknown model ({name})")
        calls.append((name, pretrained, num_classes, in_chans, more))
        net = nn.Sequential()
        net.add_module("conv", nn.Conv2d(in_chans, 4, 3))
        net.add_module("norm", nn.BatchNorm2d(4))
        net.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        net.add_module("fc", nn.Linear(4, num_classes))
        if pretrained:
            with torch.no_grad():
                net.get_submodule("conv").weight.fill_(0.25)  # type: ignore[union-attr, operator]
        return net

    module.create_model = create_model  # type: ignore[attr-defined]
    settled = {"input_size": (3, 20, 20), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
    module.get_pretrained_cfg = lambda name: types.SimpleNamespace(  # type: ignore[attr-defined]
        **settled, fixed_input_size=name == "fixed"
    )
    return module


@pytest.fixture
def calls(monkeypatch):
    made: list = []
    monkeypatch.setitem(sys.modules, "timm", stand_in(made))
    return made


def fit(**options):
    return gipi.fit((PICTURES, Y), **{**QUICK, **options})


def test_a_network_of_timm_learns_is_kept_and_answers(calls):
    run = fit(model="timm:tiny", lr=0.02, steps=60)
    assert run.record["system"] == "timm:tiny" and run.path.name == "data-timm-tiny-1"
    assert run.metrics["accuracy"] > 0.9 and run.record["own"] == []
    assert {call[1:4] for call in calls} == {(False, 2, 3)}
    answers = run.predict(PICTURES[:3])
    kept = gipi.load(run.save("kept.gipi"))
    assert kept.predict(PICTURES[:3]) == answers and kept.extra["architecture"] == {"name": "tiny"}
    assert run.evaluate((PICTURES, Y))["accuracy"] > 0.9
    assert gipi.fit((PICTURES, Y), weights=run, model="timm:tiny", freeze=True, **QUICK).status == "done"


def test_its_own_weights_bring_their_pictures(calls):
    run = fit(model="timm:tiny", weights="pretrained", freeze=True)
    weights = run.model.members[0].state_dict()
    assert torch.equal(weights["conv.weight"], torch.full((4, 3, 3, 3), 0.25))
    assert run.model.schema.inputs[0].centers == pytest.approx((127.5, 102, 76.5))
    assert any("weights of timm:tiny pretrained: 7 of 9 fit" in fact for fact in run.record["facts"])


def test_a_network_for_one_size_is_told_it(calls):
    fit(model="timm:fixed")
    assert calls[-1][-1] == {"img_size": (16, 16)}


def test_on_the_command_line_and_cut(calls, tmp_path, capsys):
    from PIL import Image

    for name, picture in enumerate(PICTURES):
        folder = tmp_path / "p" / Y[name]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{name}.png")
    line = ["fit", "p", "--model", "timm:tiny", "--lr", "0.02", "--steps", "6", "--no-verdict", "--json", "--quiet"]
    assert main([*line, "--run", "here"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["system"] == "timm:tiny"
    assert main(["predict", "here", "p/dark/0.png", "--json"]) == 0
    assert main(["resume", "here", "--quiet"]) == 0
    capsys.readouterr()
    assert main([*line, "--hidden", "8"]) == 2
    assert "--hidden does not apply to timm:tiny" in capsys.readouterr().err


def test_what_timm_does_not_know_is_said(calls):
    with pytest.raises(UsageError, match=r"timm:tyni cannot be made: Unknown model \(tyni\)"):
        fit(model="timm:tyni")
    with pytest.raises(UsageError, match="a name of timm's own list"):
        fit(model="timm:hf-hub:someone/something")
    with pytest.raises(UsageError, match="does not take a table"):
        gipi.fit("iris", model="timm:tiny", quiet=True)
    with pytest.raises(UsageError, match="exclude each other"):
        fit(model="timm:tiny", system="convnet")


@pytest.mark.parametrize("model", ["timm:", "timm", "torch:resnet18", "hf"])
def test_other_names_are_refused(model):
    with pytest.raises(UsageError, match="timm:NAME or hf:NAME"):
        fit(model=model)


class Broken:
    """An importer under which a library is there but does not load, or is not there."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, *_rest):
        if name in ("timm", "transformers"):
            raise self.error(name)


@pytest.mark.parametrize(("model", "package", "extra"), [("timm:a", "timm", "vision"), ("hf:a", "transformers", "hub")])
def test_a_library_that_is_not_there_or_broken(model, package, extra, monkeypatch):
    monkeypatch.delitem(sys.modules, package, raising=False)

    def nowhere(name):
        return ModuleNotFoundError(f"No module named {name!r}", name=name)

    for error, says in (
        (nowhere, rf"this needs {package}: pip install 'gipi\[{extra}\]'"),
        (lambda name: RuntimeError("operator torchvision::nms does not exist"), "does not load: operator torchvision"),
    ):
        monkeypatch.setattr(sys, "meta_path", [Broken(error), *sys.meta_path])
        with pytest.raises(UsageError, match=says):
            fit(model=model)


def test_a_bundle_where_the_library_is_missing_says_so(calls, monkeypatch):
    path = fit(model="timm:tiny").save("kept.gipi")
    monkeypatch.delitem(sys.modules, "timm")
    error = ModuleNotFoundError("No module named 'timm'", name="timm")

    def missing(name):
        return error

    monkeypatch.setattr(sys, "meta_path", [Broken(missing), *sys.meta_path])
    with pytest.raises((UsageError, RunError), match="this needs timm: pip install"):
        gipi.load(path)


# --- transformers ------------------------------------------------------------------------------------------------


@pytest.fixture
def transformers():
    try:
        return hub.transformers_library()
    except UsageError as error:
        pytest.skip(f"transformers is not here: {error}")


def small(transformers, folder: Path) -> Path:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5
    )
    torch.manual_seed(0)
    transformers.AutoModelForImageClassification.from_config(config).save_pretrained(folder)
    said = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def test_a_network_of_transformers_from_its_folder(transformers, tmp_path):
    folder = small(transformers, tmp_path / "resnet")
    run = fit(model=f"hf:{folder}", steps=40, lr=0.01)
    assert run.metrics["accuracy"] > 0.9
    answers = run.predict(PICTURES[:3])
    path = run.save("kept.gipi")
    folder.rename(tmp_path / "elsewhere")  # the bundle needs it no more
    assert gipi.load(path).predict(PICTURES[:3]) == answers


def test_weights_of_transformers(transformers, tmp_path):
    folder = small(transformers, tmp_path / "resnet")
    expected = transformers.AutoModelForImageClassification.from_pretrained(folder).state_dict()
    for source in ("pretrained", str(folder / "model.safetensors")):
        run = fit(model=f"hf:{folder}", weights=source, freeze=True)
        found = run.model.members[0].state_dict()
        same = [name for name in expected if torch.equal(found[f"model.{name}"], expected[name])]
        assert {*expected} - {*same} == {"classifier.1.weight", "classifier.1.bias"}
        centers = run.model.schema.inputs[0].centers
        assert centers == (pytest.approx((127.5, 102, 76.5)) if source == "pretrained" else ())


KINDS = {
    "vit": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "patch_size": 4,
    },
    "convnext": {"hidden_sizes": [8, 8], "depths": [1, 1], "num_stages": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_transformers_knows(transformers, kind, tmp_path):
    transformers.CONFIG_MAPPING[kind](**KINDS[kind]).save_pretrained(tmp_path / "kind")
    run = fit(model=f"hf:{tmp_path / 'kind'}")
    assert gipi.load(run.save("kept.gipi")).predict(PICTURES[:2]) == run.predict(PICTURES[:2])
    assert hub.architecture_of(f"hf:{kind}")["model_type"] == kind


def test_a_name_that_the_hub_does_not_have(transformers):
    with pytest.raises(UsageError, match=r"hf:\./nothing/here cannot be made"):
        fit(model="hf:./nothing/here")


def test_a_checkpoint_of_a_hub_beside_a_module(transformers, tmp_path):
    save_file({"classifier.1.bias": torch.full((2,), 3.0)}, tmp_path / "w.safetensors")
    run = fit(model=f"hf:{small(transformers, tmp_path / 'r')}", weights="w.safetensors", freeze=True, steps=1)
    assert torch.equal(run.model.members[0].state_dict()["model.classifier.1.bias"], torch.full((2,), 3.0))
