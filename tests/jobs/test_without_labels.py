"""compress, denoise, embed from a folder of plain pictures to answers: what is kept, said, refused and written."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import gipi
from gipi.cli.main import main
from gipi.data.encode import encode
from gipi.data.learning import learn
from gipi.data.plain_folder import plain_folder
from gipi.data.sources import open_data
from gipi.errors import DataError, RunError, UsageError
from gipi.jobs import taught

DIGITS = load_digits()
PICTURES = (DIGITS.images * 15.9).astype(np.uint8)
QUICK = {"quiet": True, "threads": 1, "doctor": False}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Sixty pictures without classes, one of them deeper, one file that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for place, picture in enumerate(PICTURES[:60]):
        where = "photos/more" if place == 7 else "photos"
        Image.fromarray(picture).save(tmp_path / where / f"p{place:02}.png")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def test_a_plain_folder_is_read_whole_and_one_with_classes_is_left_alone(folder):
    data = plain_folder(folder)
    assert data is not None and len(data) == 60 and data.target == () and data.pictures.shape == (60, 8, 8, 1)
    assert plain_folder("digits") is None and plain_folder(PICTURES) is None
    for name in ("one", "other"):
        (folder / "classes" / name).mkdir(parents=True)
        Image.fromarray(PICTURES[0]).save(folder / "classes" / name / "a.png")
    assert plain_folder(folder / "classes") is None
    with pytest.raises(DataError, match="folder for each class"):
        gipi.fit(folder / "classes" / "one", **QUICK)


def test_compress_from_folder_to_files(folder, tmp_path, capsys):
    run = gipi.fit(folder, task="compress", code=5, width=4, steps=15, run=tmp_path / "run", **QUICK)
    assert set(run.metrics) == {"mse", "psnr", "ssim"} and run.metrics["mse"].low < run.metrics["mse"]
    assert {row.name for row in run.verdict.models} == {"autoencoder", "pca", "mean_picture"}
    assert all("psnr" in record["valid"] for record in run.history)
    (answer,) = run.predict(PICTURES[3])
    assert answer["picture"].shape == (8, 8, 1) and len(answer["code"]) == 5
    assert run.evaluate(folder)["psnr"] == pytest.approx(_psnr(run.predict(folder), PICTURES[:60], folder), abs=1e-6)
    again = gipi.load(run.save(tmp_path / "kept.gipi")).predict(PICTURES[3])[0]
    assert np.array_equal(again["picture"], answer["picture"]) and again["code"] == answer["code"]
    assert main(["predict", "run", "photos/p03.png"]) == 0
    assert "p03-run.png" in capsys.readouterr().out
    assert np.array_equal(np.asarray(Image.open("p03-run.png")), answer["picture"][:, :, 0])
    assert json.loads((tmp_path / "p03-run.json").read_text())["code"] == pytest.approx(answer["code"])
    with pytest.raises(UsageError, match="--variational"):
        run.predict(4)
    page = run.report.read_text()
    assert "rebuilt from their codes" in page and " dB" in page


def _psnr(answers, truth, folder):
    """In the order of the folder's names: the one that lies deeper comes first."""
    order = [7, *(place for place in range(60) if place != 7)]
    made = [answer["picture"][:, :, 0] / 255.0 for answer in answers]
    gaps = [picture - truth[place] / 255.0 for picture, place in zip(made, order, strict=True)]
    return np.mean([-10 * np.log10((gap**2).mean()) for gap in gaps])


def test_variational_makes_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = gipi.fit(
        PICTURES[:80], task="compress", variational=True, width=4, steps=5, run="run", verdict=False, **QUICK
    )
    made = run.predict(3)
    assert len(made) == 3 and made[0]["picture"].shape == (8, 8, 1)
    assert np.array_equal(gipi.load("run").predict(3)[2]["picture"], made[2]["picture"])
    assert main(["predict", "run", "3", "--quiet"]) == 0 and (tmp_path / "run-3.png").exists()


def test_denoise_is_scored_on_the_same_noise_however_it_was_trained(tmp_path):
    options = {"task": "denoise", "noise": 0.2, "width": 4, **QUICK}
    runs = [
        gipi.fit(PICTURES[:200], steps=4, batch_size=size, run=tmp_path / f"run{size}", **options) for size in (16, 50)
    ]
    figures = [{row.name: float(row.figure) for row in run.verdict.models if not row.is_ours} for run in runs]
    assert figures[0] == figures[1] and set(figures[0]) == {"untouched", "median", "gaussian"}
    assert runs[0].metrics != runs[1].metrics
    assert "standard deviation 0.2" in " ".join(runs[0].notes)
    (answer,) = runs[0].predict(PICTURES[0])
    assert list(answer) == ["picture"]
    assert np.isfinite(runs[0].evaluate(PICTURES[:50])["ssim"])
    with pytest.raises(UsageError, match="noise"):
        gipi.fit(PICTURES[:50], task="denoise", noise=-1.0, **QUICK)


def test_embed_with_labels_and_without(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gipi.jobs.taught.FEW", 5)
    monkeypatch.setattr("gipi.jobs.taught.STEPS", 5)
    options = {"task": "embed", "steps": 3, "batch_size": 64, "verdict_seconds": 0.1, **QUICK}
    run = gipi.fit((PICTURES[:300], DIGITS.target[:300]), run="run", **options)
    assert set(run.metrics) == {"linear_probe", "neighbors", "alignment", "uniformity"}
    names = {row.name: row for row in run.verdict.models}
    assert set(names) == {"simclr", "random_network", "pixels", "tenth"}
    assert float(names["simclr"].figure) == run.metrics["linear_probe"]
    assert int(names["tenth"].settings.split()[0]) in range(19, 30)  # a tenth of 192, and one of each class at least
    assert run.verdict.sentence
    assert main(["predict", "run", str(_file(tmp_path))]) == 0
    vector = [float(number) for number in capsys.readouterr().out.split()]
    assert len(vector) == 256 and vector == pytest.approx(run.predict(PICTURES[3])[0]["vector"], rel=1e-4, abs=1e-5)
    plain = gipi.fit(PICTURES[:60], run="plain", variant="byol", **options)
    assert set(plain.metrics) == {"alignment", "uniformity"} and plain.verdict is None
    assert set(plain.evaluate(PICTURES[:20])) == {"uniformity"}


def test_the_network_that_labels_teach_stays_in_its_time(monkeypatch):
    """By rule: fewer steps, and said; nothing where too few would fit, or where the machine is much slower."""
    data = open_data("digits").rows(np.arange(300))
    schema = learn(data, {}, rows=np.arange(100))
    (x,), y = encode(schema, data), torch.from_numpy(DIGITS.target[:300])
    given = "convnet", schema, (x[:100], y[:100]), x[100:], 10
    for name, value in (("FEW", 12), ("STEPS", 12), ("LEAST", 3)):
        monkeypatch.setattr(taught, name, value)

    def ask(seconds):
        return taught.taught(*given, seconds, 0, torch.device("cpu"))

    whole, how, cut = ask(240.0)
    assert (how, cut) == ("100 labels, 12 steps", "") and whole.shape == (200, 10)
    few, how, cut = ask(0.04)
    assert how == "100 labels, 3 steps" and cut.startswith("taught 3 of 12 steps to stay in time; --verdict-seconds")
    assert few.shape == (200, 10) and not np.array_equal(whole, few) and np.array_equal(few, ask(0.08)[0])
    monkeypatch.setattr(taught, "RATE", 1e6)
    none, _how, cut = ask(4.0)
    assert none is None and cut.startswith("left out: 3 steps would take about") and "--verdict-seconds" in cut
    monkeypatch.setattr(taught, "RATE", 1e15)
    monkeypatch.setattr(taught, "PATIENCE", 0.001)
    monkeypatch.setattr(taught, "STEP", 1e-6)
    none, _how, cut = ask(0.0004)
    assert none is None and "were used up" in cut


def test_a_verdict_without_the_network_that_labels_teach(tmp_path, monkeypatch):
    monkeypatch.setattr("gipi.jobs.taught.RATE", 1e3)
    options = {"task": "embed", "steps": 2, "batch_size": 64, "verdict_seconds": 0.1, **QUICK}
    run = gipi.fit((PICTURES[:200], DIGITS.target[:200]), run=tmp_path / "run", **options)
    tenth = next(row for row in run.verdict.models if row.name == "tenth")
    assert tenth.figure is None and tenth.settings.startswith("left out")
    assert run.verdict.rival in ("random_network", "pixels") and run.verdict.sentence
    assert "taught by a tenth of the labels: left out" in run.verdict.note


def _file(folder):
    Image.fromarray(PICTURES[3]).save(folder / "three.png")
    return folder / "three.png"


@pytest.mark.parametrize(("backbone", "variant"), [("convnet", "byol"), ("resnet", "simclr")])
def test_a_classifier_begins_with_what_was_learned_without_labels(backbone, variant, folder):
    """By the system's name alone; then all but the last layer comes from it, and stays if it is to."""
    before = gipi.fit(
        folder, system="simclr", backbone=backbone, variant=variant, steps=1, batch_size=8, run="before", **QUICK
    )
    assert before.record["task"] == "embed"
    labelled = PICTURES[:60], DIGITS.target[:60]
    options = {"steps": 1, "batch_size": 8, "verdict": False, **QUICK}
    run = gipi.fit(labelled, system=backbone, weights="before", freeze=True, run="after", **options)
    said = next(fact for fact in run.record["facts"] if "weights of" in fact)
    learned, own = before.model.members[0].model.state_dict(), run.model.members[0].state_dict()
    assert f"{len(learned)} of {len(learned) + 2} fit" in said
    assert learned.keys() < own.keys() and all(torch.equal(own[name], one) for name, one in learned.items())
    (known,), (taken,) = before.model.schema.inputs, run.model.schema.inputs
    assert (taken.center, taken.scale) == (known.center, known.scale)
    if backbone == "resnet":  # the network that the weights are of is taken, unless another is asked for
        assert gipi.fit(labelled, weights="before", freeze=True, **options).record["system"] == "resnet"
        with pytest.raises(RunError, match="those of the system resnet"):
            gipi.fit(labelled, system="convnet", weights="before", **options)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (pl.DataFrame({"a": [1.0, 2.0] * 20}), {"task": "compress"}, "for pictures"),
        (PICTURES[:50], {"task": "compress", "folds": 3}, "--folds"),
        (PICTURES[:50], {"task": "compress", "noise": 0.2}, "--noise"),
        (PICTURES[:50], {"task": "embed", "augment": ("none",)}, "views that do not differ"),
        (PICTURES[:50], {"task": "embed", "backbone": "gan"}, "backbone"),
        (PICTURES[:50], {"task": "cluster"}, "does not take a picture"),
    ],
)
def test_what_does_not_fit_is_refused(source, options, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        gipi.fit(source, run=tmp_path / "run", **options, **QUICK)
