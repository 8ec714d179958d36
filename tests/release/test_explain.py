"""Explanations of kept models: runs, bundles, folds, pictures and tables; drawn, from the command line, and refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import gipi
from gipi.cli.main import main
from gipi.data.encode import normalize
from gipi.errors import UsageError
from gipi.release.explain import shown
from gipi.release.inside import features, principal
from gipi.release.rows import as_rows
from gipi.report.sheet import explanation_sheet, png_of
from gipi.verbs.explain import drawn
from gipi.verbs.inside import plane

SIDE = 16
QUICK = {"quiet": True, "verdict": False, "doctor": False, "threads": 1}


def bars(count, seed=0):
    """Pictures of a bright bar in one half: upright or lying; where it lies is drawn by chance."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 40, (count, SIDE, SIDE)).astype(np.uint8)
    names = np.array(["upright", "lying"])[np.arange(count) % 2]
    for picture, name in zip(pictures, names, strict=True):
        start, along = random.integers(2, SIDE - 4), random.integers(0, SIDE - 8)
        picture[(slice(along, along + 8), slice(start, start + 2))[:: 1 if name == "upright" else -1]] = 220
    return pictures, names


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gipi.fit(
        bars(240), run=tmp_path_factory.mktemp("bars") / "run", epochs=8, folds=2, test_share=0.2, width=4, **QUICK
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    random = np.random.default_rng(0)
    a, b = random.normal(size=200), random.normal(size=200)
    kind = random.choice(["x", "y"], 200)
    frame = {"a": a, "noise": b, "kind": kind, "y": 3 * a + 2 * (kind == "x")}
    folder = tmp_path_factory.mktemp("table") / "run"
    return gipi.fit(frame, target="y", system="linear", run=folder, **QUICK)


def test_explanation_of_pictures(run):
    pictures, _names = bars(3, seed=1)
    found = run.explain(pictures)
    assert len(found) == 3 and [one.said["label"] for one in found] == [r["label"] for r in run.predict(pictures)]
    baseline = run.predict(np.zeros((SIDE, SIDE), np.uint8))[0]["probabilities"]
    for one, picture in zip(found, pictures, strict=True):
        assert one.of == one.said["label"]
        assert np.array_equal(one.picture[..., 0], picture)
        assert one.cam.shape == (SIDE, SIDE) and one.cam.min() >= 0
        assert one.gradients.shape == (SIDE, SIDE, 1)
        assert one.change == pytest.approx(one.said["probability"] - baseline[one.of], abs=1e-5)
        assert one.gradients.sum() == pytest.approx(one.change + one.gap, abs=1e-4)
        assert abs(one.gap) < 0.03


def test_cam_of_folds_is_the_mean_of_members(run):
    from gipi.release.saliency import grad_cam

    model, (pictures, _names) = run.model, bars(3, seed=2)
    (x,) = model.encode(as_rows(model.schema, pictures))
    found = run.explain(pictures, target="lying")
    column = [*map(str, model.schema.targets[0].values)].index("lying")
    maps = [grad_cam(net, normalize(model.schema, x), column, found[0].layer) for net in model.members]
    assert len(maps) == 2
    assert np.allclose([one.cam for one in found], torch.stack(maps).mean(0), atol=1e-6)


def test_what_is_pointed_at_matters(run):
    """Deletion: without the pixels that say most the answer is less sure than without as many others."""
    pictures, _names = bars(12, seed=3)
    model, random = run.model, np.random.default_rng(0)
    found = run.explain(pictures)
    many = SIDE * SIDE // 20

    def left(order):
        without = pictures.reshape(len(pictures), -1).copy()
        np.put_along_axis(without, order[:, :many], 0, 1)
        answers = model.predict(without.reshape(pictures.shape))
        return np.mean([a["probabilities"][one.of] for a, one in zip(answers, found, strict=True)])

    by_chance = left(np.stack([random.permutation(SIDE * SIDE) for _ in pictures]))
    assert left(np.argsort([-one.gradients.sum(-1).ravel() for one in found], 1)) < by_chance - 0.1
    assert left(np.argsort([-one.cam.ravel() for one in found], 1)) < by_chance


def test_bundle_explains_as_its_run_does(run, tmp_path):
    pictures, _names = bars(2, seed=4)
    kept = gipi.explain(run.save(tmp_path / "bars.gipi"), pictures)
    for one, other in zip(kept, run.explain(pictures), strict=True):
        assert np.array_equal(one.cam, other.cam) and np.array_equal(one.gradients, other.gradients)


def test_a_baseline_of_ones_own(run):
    picture = bars(1)[0]
    assert abs(run.explain(picture, baseline=picture[0])[0].change) < 1e-6
    with pytest.raises(UsageError, match="one picture was expected"):
        run.explain(picture, baseline=bars(2)[0])


def test_numbers_of_pictures(tmp_path):
    pictures, _names = bars(120)
    height = pictures.reshape(120, -1).mean(1) * 3 + 100
    run = gipi.fit((pictures, height), run=tmp_path / "run", steps=30, distribution="normal", **QUICK)
    one = run.explain(pictures[:1])[0]
    assert one.change == pytest.approx(
        one.said["value"] - run.predict(np.zeros((SIDE, SIDE), np.uint8))[0]["value"], rel=1e-3, abs=1e-3
    )
    assert drawn(one).image.width > 3 * SIDE and 'class="pair"' in run.report.read_text(encoding="utf-8")
    assert plane(run, pictures).image.size[0] > 700


def test_columns_of_a_table(table):
    row = {"a": 1.5, "noise": 2.0, "kind": "x"}
    one = table.explain(row)[0]
    said = table.predict(row)[0]["value"]
    for name in row:
        without = table.predict({**row, name: None})[0]["value"]
        assert one.columns[name] == pytest.approx(said - without, abs=1e-4)
    assert next(iter(one.json()["columns"])) == "a" and abs(one.columns["noise"]) < 0.1
    assert one.columns["a"] == pytest.approx(4.5, abs=0.7)
    with pytest.raises(UsageError, match="layer is for pictures"):
        table.explain(row, layer="0")
    with pytest.raises(UsageError, match="nothing to draw"):
        table.explain(row).save("x")
    assert table.explain([]).rows == []


def test_unknown_target_is_said(run, table):
    with pytest.raises(UsageError, match="no 'upside' to explain; there are: lying, upright"):
        run.explain(bars(1)[0], target="upside")
    with pytest.raises(UsageError, match="there are: y"):
        table.explain({"a": 1, "noise": 1, "kind": "y"}, target="x")


# --- inside ------------------------------------------------------------------------------------------------------


def test_principal_components_are_scikit_learns():
    from sklearn.decomposition import PCA

    random = np.random.default_rng(0)
    for shape in ((50, 8), (20, 60)):
        rows = (random.normal(size=shape) * np.geomspace(3, 0.1, shape[1])).astype(np.float32)
        places, shares = principal(rows)
        theirs = PCA(2, svd_solver="full").fit(rows.astype(np.float64))
        assert np.allclose(shares, theirs.explained_variance_ratio_[:2], atol=1e-9)
        assert np.allclose(np.abs(places), np.abs(theirs.transform(rows.astype(np.float64))), atol=1e-5)
    places, shares = principal(np.ones((4, 3), np.float32))
    assert not places.any() and not shares.any()
    assert principal(np.array([[0.0], [1.0], [5.0]], np.float32))[1] == pytest.approx([1.0, 0.0])


def test_features_are_what_the_last_layer_is_given(run):
    model, (pictures, _names) = run.model, bars(6)
    (x,) = model.encode(as_rows(model.schema, pictures))
    net = model.members[0]
    found = torch.from_numpy(features(model, x))
    assert torch.allclose(net[-1](found), net(normalize(model.schema, x)), atol=1e-6)


def test_layers_are_drawn(run, tmp_path):
    picture = bars(1)[0][0]
    filters = run.layer("0")
    assert filters.image.width > 100 and any("2 networks" in note for note in filters.notes)
    assert Image.open(run.layer("0", picture).save(tmp_path / "maps")).format == "PNG"
    with pytest.raises(UsageError, match="no convolution"):
        run.layer("1.2")
    with pytest.raises(UsageError, match=r"there is no layer 'first'; there are: 0, 0\.0"):
        run.layer("first", picture)
    with pytest.raises(UsageError, match="neither maps"):
        run.layer(str(len(run.model.members[0]) - 1), picture)


def test_map_needs_the_data_again(run):
    with pytest.raises(UsageError, match="was in memory"):
        run.map()
    assert run.map(bars(30, seed=5)).notes == []
    assert any("no answers" in note for note in run.map(bars(30, seed=5)[0]).notes)


def test_drawing_leaves_training_as_it_is(tmp_path, monkeypatch):
    import gipi.jobs.supervised as job

    with_looks = gipi.fit(bars(80), run=tmp_path / "with", steps=12, ensemble=2, **QUICK)
    state = torch.get_rng_state()
    monkeypatch.setattr(job, "add_looks", lambda *given: None)
    without = gipi.fit(bars(80), run=tmp_path / "without", steps=12, ensemble=2, **QUICK)
    assert torch.equal(state, torch.get_rng_state())
    for one, other in zip(with_looks.model.members, without.model.members, strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert 'class="whole"' in with_looks.report.read_text(encoding="utf-8")
    assert 'class="whole"' not in without.report.read_text(encoding="utf-8")


def test_explanation_that_fails_does_not_lose_the_run(tmp_path, monkeypatch):
    import gipi.jobs.seen as seen

    def fail(*given):
        raise RuntimeError("no hooks here")

    monkeypatch.setattr(seen, "features", fail)
    run = gipi.fit(bars(80), run=tmp_path / "run", steps=5, **QUICK)
    assert run.status == "done" and any("no hooks here" in note for note in run.notes)


# --- the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, picture in enumerate(bars(3, seed=6)[0]):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    return tmp_path


def test_predict_explains(run, here, capsys):
    assert main(["predict", str(run.path), "0.png", "1.png", "0.png", "--explain"]) == 0
    said = capsys.readouterr().out
    for name in ("run-0-explained.png", "run-1-explained.png", "run-0-2-explained.png"):
        assert f"written to {name}" in said and Image.open(here / name).width > 3 * SIDE
    assert main(["predict", str(run.path), "1.png", "--explain", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["predictions"]
    assert answer["explanation"]["file"] == "run-1-explained.png" and answer["explanation"]["of"] == answer["label"]


def test_predict_explains_a_row(table, here, capsys):
    row = '{"a": 1.5, "noise": 2, "kind": "x"}'
    assert main(["predict", str(table.path), row, "--explain"]) == 0
    assert "noise" in capsys.readouterr().out
    assert main(["predict", str(table.path), row, "--explain", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["predictions"]
    assert set(answer["explanation"]["columns"]) == {"a", "noise", "kind"} and not list(here.glob("run*"))


def test_show_draws(run, here, capsys):
    for line, name in (
        (["--layer", "0"], "run-0-filters.png"),
        (["0.png", "--layer", "0"], "run-0-0.png"),
    ):
        assert main(["show", str(run.path), *line]) == 0
        assert f"written to {name}" in capsys.readouterr().out and (here / name).exists()


def test_map_of_a_run_on_files(here, capsys):
    pictures, names = bars(80, seed=7)
    for number, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        (here / "data" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(here / "data" / name / f"{number}.png")
    gipi.fit("data", run="fitted", steps=5, **QUICK)
    assert main(["show", "fitted", "--map"]) == 0
    assert main(["show", "fitted", "data", "--map", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["file"] == "fitted-data-map.png"
    gipi.Run("fitted").save("kept")
    assert main(["show", "kept.gipi", "data", "--map"]) == 0
    assert main(["show", "kept.gipi", "--map"]) == 2
    (here / "data" / "lying" / "1.png").unlink()
    assert main(["show", "fitted", "--map"]) == 1
    assert "not what it was" in capsys.readouterr().err


def test_wrong_lines_are_refused(run, table, here, capsys):
    (here / "damaged.png").write_bytes((here / "0.png").read_bytes()[:60])
    at = str(run.path)
    for line, said, code in (
        (["predict", at, "no.png", "--explain"], "no such file", 1),
        (["predict", at, "damaged.png", "--explain"], "damaged", 1),
        (["show", at, "0.png"], "--layer NAME", 2),
        (["show", at, "--layer", "0", "--map"], "exclude each other", 2),
        (["show", at, "--layer", "zero"], "there is no layer 'zero'", 2),
        (["show", at, "no.png", "--layer", "0"], "no such file", 1),
        (["show", str(table.path), "0.png", "--layer", "0"], "there is no layer|takes a table", 2),
        (["predict", at, "0.png", "--explan"], "no option --explan", 2),
    ):
        assert main(line) == code, line
        err = capsys.readouterr().err
        assert any(part in err for part in said.split("|")) and "Traceback" not in err, (line, err)
    assert not list(here.glob("run-*"))


def test_only_answers_are_explained(here, capsys):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    for options in ({"no_target": True, "clusters": 2, "steps": 5}, {"task": "generate", "steps": 2}):
        data = rows if "clusters" in options else bars(60)[0]
        run = gipi.fit(data, run="other", **{**QUICK, **options})
        with pytest.raises(UsageError, match=f"task is {run.record['task']}"):
            run.explain(data[:1])
        with pytest.raises(UsageError, match=f"task is {run.record['task']}"):
            run.map(data)
        assert main(["predict", "other", "2", "--explain"]) == 2
        shutil.rmtree("other")


# --- pictures ----------------------------------------------------------------------------------------------------


def test_pictures_are_drawn_for_grey_colour_and_any_letters(run):
    one = run.explain(bars(1)[0])[0]
    for name in ("한국어", "café", "a" * 200, "\x1b[31m", ""):
        image = explanation_sheet(one.picture, one.cam, one.gradients, name, "#1", "층", "+1 / +1")
        assert image.getpixel((0, 0)) == (255, 255, 255) and png_of(image)[1:4] == b"PNG"
    colour = explanation_sheet(one.picture.repeat(3, -1), None, one.gradients.repeat(3, -1), "x", "#1")
    assert colour.width < image.width


def test_float_pictures_are_shown_by_their_white():
    x = torch.tensor([[[[0.0, 0.5], [1.0, 2.0]]]])
    assert shown(x, 1.0)[0, ..., 0].tolist() == [[0, 128], [255, 255]]
