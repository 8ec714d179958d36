"""Segment and upscale from end to end: they learn, resume, are kept, and answer pictures of any size."""

import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image

import gipi
from gipi.cli.main import main
from gipi.data.enlarged import enlarged, shrunk
from gipi.errors import DataError, UsageError
from gipi.systems import unet

SIDE = 32


def circles(count=24, seed=0):
    """Noise with a bright disc (1) and a dark square (2) somewhere on it."""
    draw = np.random.default_rng(seed)
    x = draw.normal(120, 20, (count, SIDE, SIDE))
    y = np.zeros((count, SIDE, SIDE), np.uint8)
    down, right = np.mgrid[:SIDE, :SIDE]
    for n in range(count):
        for kind, light in ((1, 60), (2, -60)):
            r = draw.integers(4, 8)
            top, left = draw.integers(r, SIDE - r, 2)
            distance = (
                np.hypot(down - top, right - left) if kind == 1 else np.maximum(abs(down - top), abs(right - left))
            )
            x[n][distance <= r] = 120 + light + draw.normal(0, 20, (distance <= r).sum())
            y[n][distance <= r] = kind
    return x.clip(0, 255).astype(np.uint8), y


SMALL = {"width": 6, "depth": 2, "crop": 24, "threads": 1, "quiet": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return gipi.fit(
        circles(30), task="segment", steps=90, lr=0.02, verdict_seconds=0.5, run=str(folder / "segment"), **SMALL
    )


def patterns(count=20, seed=0):
    """Rectangles whose edges lie between pairs of pixels: sharp ones, which smooth enlarging blurs, can be learned."""
    draw = np.random.default_rng(seed)
    made = np.full((count, 64, 64), 128, np.uint8)
    for n in range(count):
        for _shape in range(8):
            top, left, height, width = 2 * draw.integers(2, 14, 4)
            made[n, top : top + height, left : left + width] = draw.integers(30, 226)
    return made


UPSCALE = {"width": 8, "blocks": 1, "crop": 16, "threads": 1, "quiet": True}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return gipi.fit(patterns(), task="upscale", steps=150, lr=0.003, run=str(folder / "upscale"), **UPSCALE)


# --- segment -----------------------------------------------------------------------------------------------------


def test_it_finds_shapes(run):
    assert run.metrics["mean_iou"] > 0.8
    assert run.metrics["mean_iou"].low < run.metrics["mean_iou"] <= run.metrics["mean_iou"].high
    assert {"dice", "pixel_accuracy", "iou_0", "iou_1", "iou_2"} < set(run.metrics)
    assert run.record["rows"] == {"test": 6, "valid": 5, "train": 19}
    names = [model.name for model in run.verdict.models]
    assert names == ["unet", "majority", "place", "trees"]
    assert run.verdict.rival == "trees" and run.verdict.metric == "mean_iou"


def test_report_shows_masks_side_by_side(run):
    page = run.report.read_text(encoding="utf-8")
    assert page.count("<img") == 6 * 4
    assert "wrong is black" in page and "Class by class" in page


def test_kept_model_says_the_same(run, tmp_path):
    pictures, _masks = circles(3, seed=5)
    one = run.predict(pictures)
    again = gipi.load(run.save(tmp_path / "kept.gipi")).predict(pictures)
    for answer, other in zip(one, again, strict=True):
        assert (answer["mask"] == other["mask"]).all() and answer["share"] == other["share"]
    assert (tmp_path / "kept.gipi").stat().st_size < 2_000_000


def test_pictures_of_any_size(run):
    pictures, masks = circles(4, seed=6)
    wide = np.concatenate([*pictures], 1)[:-3, :-5]  # 29 x 123, in which nothing divides by a halving
    (answer,) = run.predict(wide)
    assert answer["mask"].shape == wide.shape and answer["overlay"].shape == (*wide.shape, 3)
    assert (answer["mask"] == np.concatenate([*masks], 1)[:-3, :-5]).mean() > 0.9
    assert sum(answer["share"].values()) == pytest.approx(1)
    large = np.kron(pictures[0], np.ones((20, 20), np.uint8))  # 640 x 640: made as small as in training, and back
    assert run.predict(large)[0]["mask"].shape == (640, 640)
    with pytest.raises(DataError, match="picture"):
        run.predict({"a": 1})


def test_evaluate_on_other_pictures(run):
    found = gipi.evaluate(run, circles(8, seed=7))
    assert found["mean_iou"] > 0.75 and found["mean_iou"].low is not None
    with pytest.raises(DataError, match="no class"):
        gipi.evaluate(run, (circles(3)[0], circles(3)[1] + 7))


def test_same_seed_same_bits_and_interrupted_goes_on(tmp_path, monkeypatch):
    options = {
        "task": "segment",
        "steps": 24,
        "verdict": False,
        "averaging": "ema",
        "augment": ("flip", "affine"),
        **SMALL,
    }
    data = circles(12)
    one = gipi.fit(data, run=str(tmp_path / "one"), **options)
    forward, calls = unet.Net.forward, []

    def signalling(self, x):
        calls.append(1)
        if len(calls) == 14:
            signal.raise_signal(signal.SIGINT)
        return forward(self, x)

    monkeypatch.setattr(unet.Net, "forward", signalling)
    with pytest.raises(KeyboardInterrupt):
        gipi.fit(data, run=str(tmp_path / "cut"), **options)
    monkeypatch.setattr(unet.Net, "forward", forward)
    assert gipi.Run(tmp_path / "cut").status == "interrupted"
    done = gipi.resume(tmp_path / "cut", data, quiet=True)
    assert done.status == "done" and done.metrics == one.metrics
    for left, right in zip(done.model.members[0].parameters(), one.model.members[0].parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "dice"},
        {"loss": "both", "class_weight": "balanced"},
        {"class_weight": "balanced", "augment": ("turn", "alternate", "colour", "rotate")},
        {"ensemble": 2, "averaging": "swa"},
        {"ignore": ("2",), "augment": ("none",)},
    ],
    ids=str,
)
def test_options_of_a_run(tmp_path, options):
    run = gipi.fit(circles(8), task="segment", steps=4, verdict=False, run=str(tmp_path / "r"), **SMALL, **options)
    assert np.isfinite(run.metrics["mean_iou"])
    assert ("iou_2" in run.metrics) == ("ignore" not in options)


def test_parts_of_a_batch_are_weighted_by_the_pixels_that_count(tmp_path):
    x, y = circles(10)
    y[:5, 8:] = 255
    same = {"task": "segment", "steps": 3, "norm": "layer", "verdict": False, "precision": "float64", **SMALL}
    runs = [gipi.fit((x, y), run=str(tmp_path / str(parts)), parts=parts, **same) for parts in (1, 3)]
    one, other = ([line["learner"] for line in run.steps] for run in runs)
    assert other[0] == pytest.approx(one[0], rel=1e-7)  # shares of a batch are float32
    assert other == pytest.approx(one, rel=1e-6)


def test_a_network_of_ones_own(tmp_path):
    def make(sizes):
        return torch.nn.Conv2d(sizes.input[0], sizes.output, 5, padding=2)

    run = gipi.fit(circles(8), task="segment", model=make, steps=5, verdict=False, quiet=True, run=str(tmp_path / "r"))
    assert run.predict(circles(1)[0][0])[0]["mask"].shape == (SIDE, SIDE)
    with pytest.raises(UsageError, match="segment needs"):
        gipi.fit(circles(8), task="segment", model=torch.nn.Flatten(), steps=5, quiet=True, run=str(tmp_path / "s"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "focal"}, "cross_entropy, dice, both"),
        ({"augment": ("flop",)}, "flop"),
        ({"group": "file"}, "--group"),
        ({"mixup": 0.2}, "--mixup"),
        ({"system": "convnet"}, "does not segment"),
        ({"factor": 2}, "--factor does not apply"),
        ({"ignore": ("9",)}, "--ignore"),
    ],
    ids=str,
)
def test_wrong_use_is_said(tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        gipi.fit(circles(6), **{"task": "segment", "steps": 2, "quiet": True, "run": str(tmp_path / "r"), **options})
    assert not (tmp_path / "r").exists()
    with pytest.raises(UsageError, match="--ignore"):
        gipi.fit("iris", ignore=("setosa",), quiet=True)


# --- upscale -----------------------------------------------------------------------------------------------------


def test_it_is_better_than_bicubic(large):
    bicubic = next(model for model in large.verdict.models if model.name == "bicubic")
    assert large.metrics["psnr"] > bicubic.figure + 1
    assert large.verdict.winner == "edsr" and large.verdict.worth_it
    page = large.report.read_text(encoding="utf-8")
    assert page.count("<img") == 6 * 4 and "side by side" in page


def test_a_kept_model_enlarges_any_picture(large, tmp_path):
    new = patterns(3, seed=4)
    kept = gipi.load(large.save(tmp_path / "kept.gipi"))
    small = shrunk(new[0][:, :, None], 2)[:-3]
    (answer,) = kept.predict(small)
    assert answer["picture"].shape == (58, 64, 1) and answer["factor"] == 2
    assert (answer["picture"] == large.predict(small)[0]["picture"]).all()
    error, before = (
        np.abs(one.astype(float) - new[0][:58, :, None])[4:-4].mean() for one in (answer["picture"], enlarged(small, 2))
    )
    assert error < 0.8 * before
    assert gipi.evaluate(kept, new)["psnr"] > 15


def test_losses_and_ways_of_upscale(tmp_path):
    same = {"task": "upscale", "steps": 3, "verdict": False, **UPSCALE}
    run = gipi.fit(patterns(6), loss="mse", factor=3, run=str(tmp_path / "r"), **same)
    assert run.predict(patterns(1)[0])[0]["picture"].shape == (192, 192, 1)
    for options, said in (({"loss": "dice"}, "mae"), ({"augment": ("affine",)}, "flip"), ({"factor": 9}, "2 to 8")):
        with pytest.raises(UsageError, match=said):
            gipi.fit(patterns(6), run=str(tmp_path / "s"), **{**same, **options})


# --- on the command line -----------------------------------------------------------------------------------------


def test_from_a_folder_to_pictures(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = circles(10)
    for n in range(10):
        for folder, part in (("images", x[n]), ("masks", y[n])):
            (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(part).save(tmp_path / "set" / folder / f"{n}.png")
    (tmp_path / "set" / "classes.txt").write_text("ground\ndisc\nsquare\n")
    words = ["fit", "set", "--task", "segment", "--steps", "3", "--width", "4", "--depth", "2", "--no-verdict"]
    assert main([*words, "--threads", "1", "--run", "r", "--json"]) == 0
    assert "iou_disc" in json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    assert main(["predict", "r", "set/images/3.png", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert answer["file"] == "set/images/3.png" and set(answer["share"]) == {"ground", "disc", "square"}
    assert Image.open(answer["mask"]).size == Image.open(answer["overlay"]).size == (SIDE, SIDE)
    assert main(["evaluate", "r", "set"]) == 0
    assert "iou disc" in capsys.readouterr().out
    words = ["fit", "set/images", "--task", "upscale", "--factor", "2", "--steps", "3", "--width", "4", "--run", "u"]
    assert main([*words, "--threads", "1"]) == 0
    assert main(["predict", "u", "set/images/3.png", "set/images/4.png"]) == 0
    assert "3-x2.png" in capsys.readouterr().out
    assert Image.open("4-x2.png").size == (2 * SIDE, 2 * SIDE)
    assert not [*tmp_path.glob(".*")]


def test_what_is_wrong_with_a_folder_is_said(tmp_path, capsys):
    (tmp_path / "set" / "images").mkdir(parents=True)
    assert main(["fit", str(tmp_path / "set"), "--task", "segment"]) == 1
    assert "no pictures" in capsys.readouterr().err
    assert main(["fit", str(tmp_path / "nowhere"), "--task", "upscale"]) == 1
    assert "no such" in capsys.readouterr().err


# --- figures on real data (a few minutes each) -------------------------------------------------------------------


@pytest.mark.slow
def test_enlarging_photographs(shared_data, tmp_path):
    run = gipi.fit(
        str(shared_data / "bsd68_sr"),
        task="upscale",
        steps=1200,
        batch_size=8,
        lr=0.002,
        threads=1,
        quiet=True,
        run=str(tmp_path / "r"),
    )
    assert run.verdict.rival == "bicubic" and run.verdict.difference.low >= 0.7
    assert run.verdict.winner == "edsr"


@pytest.mark.slow
def test_membranes(shared_data, tmp_path):
    run = gipi.fit(
        str(shared_data / "isbi_membrane"),
        task="segment",
        steps=350,
        width=8,
        batch_size=4,
        augment=("turn",),
        threads=1,
        quiet=True,
        run=str(tmp_path / "r"),
    )
    assert run.verdict.winner == "unet" and run.verdict.difference > 0.02
    trees = next(model for model in run.verdict.models if model.name == "trees")
    assert run.metrics["dice"] > trees.metrics["dice"]
