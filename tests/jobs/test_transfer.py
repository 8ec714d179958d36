"""Learning from weights that were loaded: what stays, what moves and how far, and that a cut run comes to the same."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import gipi
from gipi.algorithms.optimizers import FirstOrder, make
from gipi.cli.main import main
from gipi.errors import RunError, UsageError
from gipi.jobs.options import Fit
from gipi.release.published import published
from gipi.training.folder import read_record

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
from kept import Cut, Watching, cut, outcome

RANDOM = np.random.default_rng(0)
Y = np.repeat(np.arange(3), 40)
PICTURES = (RANDOM.integers(0, 60, (120, 12, 12, 3)) + 60 * Y[:, None, None, None]).astype(np.uint8)
SMALL = {"system": "convnet", "width": 4, "batch_size": 16, "steps": 12}
QUICK = {"quiet": True, "verdict": False, "doctor": False, "threads": 1}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(data=(PICTURES, Y), **options):
    return gipi.fit(data, **{**QUICK, **SMALL, **options})


@pytest.fixture
def before():
    """A run on four other classes."""
    return fit((PICTURES, np.arange(120) % 4), run="before")


def state(run) -> dict:
    return run.model.members[0].state_dict()


def changed(one: dict, other: dict) -> set[str]:
    return {name for name in one if one[name].shape != other[name].shape or not torch.equal(one[name], other[name])}


HEAD = {"7.weight", "7.bias"}  # of this network's ten tensors and statistics


def head(run) -> set[str]:
    """The last layer's names."""
    names = [name for name, _param in run.model.members[0].named_parameters()]
    return {*names[-2:]}


# --- names of the option -----------------------------------------------------------------------------------------


def test_all_its_names_are_one_option(before):
    runs = [fit(**{name: before}) for name in ("weights", "from", "warm_start")]
    assert len({outcome(run.path)["weights"] for run in runs}) == 1
    assert outcome(fit().path)["weights"] != outcome(runs[0].path)["weights"]
    with pytest.raises(UsageError, match="weights, warm_start are names of one option"):
        fit(weights=before, warm_start=before)
    with pytest.raises(UsageError, match="from, warm_start are names of one option"):
        fit(**{"from": before, "warm_start": before})


def test_a_run_of_before_has_it_under_its_old_name():
    assert Fit.from_json({"warm_start": "digits-1", "seed": 3}) == Fit(weights="digits-1", seed=3)


def test_what_is_named_from_here_is_found_from_elsewhere(before, tmp_path, monkeypatch):
    expected = str((tmp_path / "before" / "model.gipi").absolute())
    before.save("kept.gipi")
    Path("runs").mkdir()
    before.path.rename("runs/before")
    gone = [fit(weights=source) for source in ("last", "before", "runs/before", Path("runs/before/model.gipi"))]
    expected = str((tmp_path / "runs" / "before" / "model.gipi").absolute())
    assert gone[0].record["options"]["weights"] == expected
    assert all(run.record["options"]["weights"] == expected for run in gone[1:])
    assert fit(weights="kept.gipi").record["options"]["weights"] == str((tmp_path / "kept.gipi").absolute())


# --- the trunk ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("averaging", ["none", "ema", "swa"])
def test_what_is_frozen_stays_to_the_bit(before, averaging):
    run = fit(weights=before, freeze=True, averaging=averaging)
    assert changed(state(before), state(run)) == head(run)
    assert any("left at their beginning: " in fact and "(4x" in fact for fact in run.record["facts"])


def test_where_all_fits_the_last_layer_learns():
    one = fit(run="one")
    two = fit(weights=one, freeze=True, seed=1)
    assert changed(state(one), state(two)) == head(two)
    assert any(fact.endswith("fit") for fact in two.record["facts"])


def test_the_whole_network_is_tuned_otherwise(before):
    assert len(changed(state(before), state(fit(weights=before)))) > 10


def test_the_trunk_moves_by_its_factor(before):
    """Plain descent: after one step, what moved is in proportion."""
    plain = {"optimizer": "sgd", "lr": 0.01, "weight_decay": 0.0, "steps": 1, "schedule": "constant"}
    plain |= {"averaging": "none", "augment": "none", "dropout": 0.0, "patience": 0}
    whole = fit(weights=before, **plain)
    tenth = fit(weights=before, trunk_lr=0.1, **plain)
    same = fit(weights=before, trunk_lr=1.0, **plain)
    assert outcome(whole.path)["weights"] == outcome(same.path)["weights"]
    begin, far, near = state(before), state(whole), state(tenth)
    for name, _param in whole.model.members[0].named_parameters():
        if name in head(whole):
            assert torch.equal(far[name], near[name])
        else:
            assert torch.allclose(near[name] - begin[name], 0.1 * (far[name] - begin[name]), atol=1e-7), name


@pytest.mark.parametrize("name", ["sgd", "momentum", "nag", "rmsprop", "adam", "adamw", "muon", "lars", "adagrad"])
def test_a_factor_is_a_step_size_of_its_own(name):
    """Each parameter goes where it would go alone with its step size times its factor."""
    torch.manual_seed(0)
    begin, slopes = torch.randn(3, 4, 5), torch.randn(3, 6, 4, 5)
    together = [one.clone() for one in begin]
    optimizer = make(name, together, 0.01, weight_decay=0.1)
    assert isinstance(optimizer, FirstOrder)
    optimizer = optimizer.with_factors([1.0, 0.1, 0.1])
    apart = [[one.clone()] for one in begin]
    sizes = [0.01, 0.001, 0.001]
    alone = [make(name, one, size, weight_decay=0.1) for one, size in zip(apart, sizes, strict=True)]
    for step in range(6):
        optimizer.step(lambda step=step: (torch.zeros(()), list(slopes[:, step].unbind())), step)
        for number, one in enumerate(alone):
            one.step(lambda number=number, step=step: (torch.zeros(()), [slopes[number, step]]), step)
    for one, (other,) in zip(together, apart, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-7)
    kept = optimizer.tensors()
    assert kept.keys() == make(name, together, 0.01, weight_decay=0.1).tensors().keys()


@pytest.mark.parametrize("options", [{"freeze": True}, {"trunk_lr": 0.1}], ids=["frozen", "slow"])
def test_members_at_once_are_members_one_after_the_other(options, monkeypatch):
    begun = gipi.fit("iris", system="mlp", hidden=(8,), steps=20, **QUICK)
    many = {"system": "mlp", "hidden": (8,), "steps": 40, "folds": 3, "optimizer": "sgd", "lr": 0.05, "dropout": 0.0}
    found = []
    for worth in (0, 10**9):
        monkeypatch.setattr("gipi.jobs.begin.WORTH", worth)
        run = gipi.fit("iris", **many, weights=begun, **options, **QUICK)
        found.append([member.state_dict() for member in run.model.members])
    for one, other in zip(*found, strict=True):
        assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)
        if "freeze" in options:
            assert len(changed(state(begun), one)) == 2


RICH = {"dropout": 0.3, "averaging": "ema", "schedule": "one-cycle", "augment": ("shift",)}


@pytest.mark.parametrize("options", [{"freeze": True}, {"trunk_lr": 0.2}, {}], ids=["frozen", "slow", "whole"])
def test_a_run_that_was_cut_comes_to_the_same_bits(options, before, tmp_path, monkeypatch):
    monkeypatch.setattr("gipi.training.log.SHORTEST_PAUSE", -1.0)
    monkeypatch.setattr("gipi.training.log.SHARE", 1e9)

    def watched(display, verb, *arguments, **given):
        monkeypatch.setattr("gipi.jobs.carry.choose", lambda *_arguments, **_options: display)
        return verb(*arguments, **given)

    given = {**SMALL, **RICH, "weights": before, "threads": 1, "verdict": False, **options}
    watched(Watching(), gipi.fit, (PICTURES, Y), **given, run="whole")
    with pytest.raises(Cut):
        watched(Watching({7: cut}), gipi.fit, (PICTURES, Y), **given, run="parts")
    with pytest.raises(Cut):
        watched(Watching({2: cut}), gipi.resume, "parts", (PICTURES, Y))
    monkeypatch.chdir(tmp_path.parent)
    watched(Watching(), gipi.resume, tmp_path / "parts", (PICTURES, Y))
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "parts")


def test_other_weights_under_the_same_name_are_noticed(before):
    monkey = Watching({3: cut})
    before.save("w.gipi")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gipi.jobs.carry.choose", lambda *_arguments, **_options: monkey)
        with pytest.raises(Cut):
            gipi.fit((PICTURES, Y), **SMALL, weights="w.gipi", run="cut", threads=1)
    fit(run="other").save("w.gipi")
    with pytest.raises(RunError, match=r"what it began with .* is not what it was"):
        gipi.resume("cut", (PICTURES, Y), quiet=True)


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Picture files of 20 x 30 in two classes."""
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = RANDOM.integers(0, 50, (30, 20, 3)) + level
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "pictures" / name / f"{number}.png")
    return tmp_path / "pictures"


def test_pictures_come_as_the_weights_know_them(before, folder):
    run = fit(folder, weights=before)
    (known,), (own,) = before.model.schema.inputs, run.model.schema.inputs
    assert own == known
    (chosen,) = fit(folder, weights=before, picture_size=16, scale="none").model.schema.inputs
    assert chosen.shape == (3, 16, 16) and chosen.center == 0.0 and chosen.scale == 255.0
    assert fit(folder).model.schema.inputs[0].shape == (3, 30, 20)


def test_the_network_is_the_one_of_the_weights(before, folder):
    """Its system and options are taken from the bundle, unless somebody says otherwise."""
    few = {name: value for name, value in SMALL.items() if name not in ("system", "width")}
    run = gipi.fit(folder, weights=before, lr=0.01, **few, **QUICK)
    assert run.record["system"] == "convnet" and run.record["config"]["width"] == 4
    assert run.record["config"]["lr"] == 0.01
    other = gipi.fit(folder, weights=before, widest=8, **few, **QUICK)
    assert other.record["config"]["widest"] == 8
    with pytest.raises(RunError, match=r"nothing in .* fits"):
        gipi.fit(folder, weights=before, system="mlp", **few, **QUICK)


def test_published_weights_by_their_file(before, folder, monkeypatch):
    """A file without a story fits by names alone; the published one brings its pictures' size and normalisation."""
    weights = {name: one for name, one in state(before).items() if not name.startswith(tuple(head(before)))}
    save_file(weights, "w.safetensors")
    run = fit(folder, weights="w.safetensors", picture_size=12, freeze=True)
    assert not changed(weights, state(run))
    torch.save(weights, "w.pth")
    monkeypatch.setitem(published, "convnet_tiny", ("", "", 12, (0.4, 0.5, 0.6), (0.2, 0.2, 0.1)))
    monkeypatch.setattr("gipi.release.weight_files.network_of", lambda name: ("convnet", {"width": 4}))
    monkeypatch.setattr("gipi.release.weight_files._fetched", lambda *_arguments: Path("w.pth"))
    few = {name: value for name, value in SMALL.items() if name not in ("system", "width")}
    run = gipi.fit(folder, weights="convnet_tiny", freeze=True, **few, **QUICK)
    assert not changed(weights, state(run))
    (field,) = run.model.schema.inputs
    assert field.shape == (3, 12, 12)
    assert field.centers == pytest.approx((102, 127.5, 153)) and field.scales == pytest.approx((51, 51, 25.5))
    pictures = sorted(folder.glob("*/*.png"))
    answers = run.predict(pictures)
    assert gipi.load(run.save("kept.gipi")).predict(pictures) == answers


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"freeze": True}, "--freeze is for weights that are loaded; say which: --weights"),
        ({"trunk_lr": 0.1}, "--trunk-lr is for weights"),
        ({"trunk_lr": 0.1, "freeze": True, "weights": "before"}, "exclude each other"),
        ({"trunk_lr": 0.0, "weights": "before"}, "--trunk-lr must be a number above 0; 0.0 came"),
        ({"trunk_lr": 0.1, "weights": "before", "optimizer": "lbfgs"}, "without lbfgs|not for LBFGS"),
        (
            {"trunk_lr": 0.1, "weights": "before", "optimizer": lambda params: torch.optim.SGD(params, 0.1)},
            "not for Adapter|this is Adapter",
        ),
        ({"weights": "pretrained"}, "for a network that --model names"),
        ({"model": "resnet18"}, "exclude each other"),
        ({"model": "resnet18", "system": None, "width": None}, "timm:NAME or hf:NAME"),
    ],
)
def test_what_makes_no_sense_is_refused(before, options, says):
    with pytest.raises(UsageError, match=says):
        fit(**{**options, "run": "refused"})
    assert not Path("refused").exists()


def test_systems_and_tasks_that_have_no_use_for_it():
    begun = gipi.fit("iris", system="perceptron", steps=5, **QUICK)
    with pytest.raises(UsageError, match="--freeze has no use for the system perceptron"):
        gipi.fit("iris", system="perceptron", steps=5, weights=begun, freeze=True, **QUICK)
    with pytest.raises(UsageError, match="--weights has no use for the task cluster"):
        gipi.fit("iris", no_target=True, weights=begun, **QUICK)


def test_a_module_of_ones_own():
    def made(sizes):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, sizes.output)
        )

    torch.manual_seed(3)
    trained = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()
    torch.save(trained, "w.pth")
    run = gipi.fit((PICTURES, Y), model=made, weights="w.pth", freeze=True, steps=10, **QUICK)
    kept = gipi.load(run.path, model=made).members[0].state_dict()
    assert not changed(trained, {name: kept[name] for name in trained})


# --- the command line --------------------------------------------------------------------------------------------


def test_on_the_command_line(folder, before, capsys):
    line = ["fit", str(folder), "--weights", "before", "--freeze", "--steps", "4", "--no-verdict", "--json", "--quiet"]
    assert main(line) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    record = read_record(Path(said["run"]))
    assert record["options"]["freeze"] is True and record["options"]["weights"].endswith("model.gipi")
    assert (
        main(["fit", str(folder), "--from=before", "--trunk-lr", "0.1", "--steps", "2", "--quiet", "--no-verdict"]) == 0
    )
    assert main(["fit", str(folder), "--freeze", "--quiet"]) == 2
    assert "--weights" in capsys.readouterr().err
