"""Segment and upscale on parts of their own, by folds, from weights, and by several processes."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

import gipi
from gipi.data.canvas import on_one_canvas
from gipi.data.enlarged import open_enlarged
from gipi.data.masks import open_masks
from gipi.data.stream import Stream
from gipi.errors import DataError, UsageError
from gipi.jobs.dense_parts import parts_of
from gipi.jobs.job import Outcome
from gipi.jobs.judge import say_folds
from gipi.jobs.options import Fit
from gipi.jobs.shared import check_ranks
from gipi.report.page import Table
from gipi.tasks import segment as task
from gipi.tasks.intervals import Metric
from gipi.training.distributed import Ranks

SIDE = 24
SMALL = {"width": 4, "depth": 2, "crop": 16, "threads": 1, "quiet": True, "doctor": False}
UPSCALE = {"task": "upscale", "width": 4, "blocks": 1, "crop": 12, "threads": 1, "quiet": True, "doctor": False}


def squares(count, seed=0, side=SIDE):
    """Noise with a bright square (1) somewhere on it."""
    draw = np.random.default_rng(seed)
    x = draw.normal(100, 15, (count, side, side))
    y = np.zeros((count, side, side), np.uint8)
    for n in range(count):
        top, left, wide = draw.integers(0, side - 10), draw.integers(0, side - 10), draw.integers(6, 10)
        y[n, top : top + wide, left : left + wide] = 1
    x[y == 1] += 80
    return x.clip(0, 255).astype(np.uint8), y


def shapes(data):
    """Of pictures and answers."""
    return np.shape(data.pictures), np.shape(data.answers)


def written(folder, x, y, mode="L"):
    """Pictures and masks as files; gives the folder."""
    for n, (picture, mask) in enumerate(zip(x, y, strict=True)):
        for name, part in (("images", Image.fromarray(picture).convert(mode)), ("masks", Image.fromarray(mask))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            part.save(folder / name / f"{n:02}.png")
    return folder


# --- files of their own


def test_sets_of_other_sizes_share_a_canvas():
    small, _classes = open_masks(squares(2, side=20))
    large, _classes = open_masks(squares(3, side=26))
    one, other = on_one_canvas([small, large], padding=255)
    assert shapes(one) == ((2, 26, 26, 1),) * 2 and shapes(other) == ((3, 26, 26, 1),) * 2
    pictures, before = np.asarray(one.pictures), np.asarray(small.pictures)
    assert (pictures[:, :20, :20] == before).all() and (np.asarray(one.answers)[:, 20:] == 255).all()
    assert (pictures[0, 20:, :20] == before[0, 19]).all()  # what is beside it repeats its edge
    assert one.frame["height"].to_list() == [20, 20]
    colours = np.repeat(squares(3, side=32)[0][..., None], 3, 3) // np.array([1, 2, 3], np.uint8)
    grey, coloured = open_enlarged(squares(2, side=40)[0], 2), open_enlarged(colours, 2)
    one, other = on_one_canvas([grey, coloured])
    assert shapes(other) == ((3, 20, 20, 1), (3, 40, 40, 1))


def test_test_and_validation_pictures_of_their_own(tmp_path):
    """The figures are exactly those of the test folder: larger pictures, in colour."""
    test = written(tmp_path / "test", *squares(7, seed=5, side=31), mode="RGB")
    valid = written(tmp_path / "valid", *squares(3, seed=6))
    options = {"task": "segment", "steps": 30, "lr": 0.02, "verdict_seconds": 0.2, "run": tmp_path / "r", **SMALL}
    run = gipi.fit(squares(12), test=str(test), valid=str(valid), **options)
    assert run.record["rows"] == {"train": 12, "valid": 3, "test": 7}
    found = gipi.evaluate(run, test)
    assert float(found["mean_iou"]) == run.metrics["mean_iou"] > 0.6
    assert {row.name for row in run.verdict.models} == {"unet", "majority", "place", "trees"}
    alone = gipi.evaluate(run, written(tmp_path / "one", *squares(1, seed=8)))["mean_iou"]
    assert alone > 0.3 and alone.low is None  # one picture says nothing of its spread


def test_a_part_of_the_data_gives_way(tmp_path):
    for part, count in (("train", 6), ("valid", 2), ("test", 3)):
        written(tmp_path / "set" / part, *squares(count, seed=count))
    other = written(tmp_path / "other", *squares(4, seed=9))
    options = {"task": "segment", "steps": 1, "verdict": False, **SMALL}
    run = gipi.fit(tmp_path / "set", test=str(other), run=tmp_path / "a", **options)
    assert run.record["rows"] == {"train": 6, "valid": 2, "test": 4}
    assert "own part 'test' (3 rows) gives way" in " ".join(run.record["facts"])
    assert float(gipi.evaluate(run, other)["dice"]) == run.metrics["dice"]
    run = gipi.fit(tmp_path / "set", folds=2, run=tmp_path / "b", **options)
    assert run.record["rows"] == {"train": 8, "test": 3}  # what was for validation is in a fold


def test_upscale_with_pictures_of_its_own(tmp_path):
    large = squares(5, seed=3, side=44)[0]
    for n, picture in enumerate(large):
        (tmp_path / "test").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "test" / f"{n}.png")
    run = gipi.fit(
        squares(6, side=40)[0], test=str(tmp_path / "test"), steps=3, verdict=False, run=tmp_path / "r", **UPSCALE
    )
    assert run.record["rows"] == {"train": 5, "valid": 1, "test": 5}
    assert float(gipi.evaluate(run, tmp_path / "test")["psnr"]) == run.metrics["psnr"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"valid": "X", "folds": 2}, UsageError, "--valid does not go with --folds"),
        ({"test": "nowhere"}, DataError, "no such"),
        ({"test": "X/odd"}, DataError, "which is no class"),
        ({"folds": 40}, DataError, "40 folds of 5 rows"),
        ({"shard": True}, UsageError, "--shard is for several processes"),
    ],
    ids=str,
)
def test_wrong_use_is_said(tmp_path, options, error, said):
    written(tmp_path, *squares(2))
    x, y = squares(2)
    written(tmp_path / "odd", x, y * 3)
    given = {name: v.replace("X", str(tmp_path)) if isinstance(v, str) else v for name, v in options.items()}
    with pytest.raises(error, match=said):
        gipi.fit(squares(6), task="segment", steps=2, run=tmp_path / "r", **SMALL, **given)
    assert not (tmp_path / "r").exists()


# --- folds


def test_folds_are_judged_on_what_they_did_not_see(tmp_path):
    x, y = squares(14)
    run = gipi.fit((x, y), task="segment", folds=3, ensemble=2, steps=6, verdict=False, run=tmp_path / "r", **SMALL)
    assert len(run.model.members) == 6 and run.record["rows"] == {"test": 3, "train": 11}
    parts, folds = parts_of(open_masks((x, y))[0], Fit(folds=3))
    assert np.array_equal(np.sort(np.concatenate([valid for _train, valid in folds])), parts["train"])
    each, confusions = run.record["folds"], []
    for number, (train, valid) in enumerate(folds):
        assert not set(train) & set(valid) and not set(parts["test"]) & {*train, *valid}
        field = run.model.schema.inputs[0]
        given = (torch.from_numpy(x[valid])[:, None].float() - field.center) / field.scale
        with torch.no_grad():
            one, other = (member(given).softmax(1) for member in run.model.members[2 * number : 2 * number + 2])
        said = (one + other).argmax(1).numpy()
        own = np.stack([task.confusion(one, true, 2) for one, true in zip(said, y[valid], strict=True)])
        assert each[number]["mean_iou"] == pytest.approx(task.mean_iou(own.sum(0)[None])[0], abs=2e-3)
        confusions.append(own)
    together = task.mean_iou(np.concatenate(confusions).sum(0)[None])[0]
    assert run.record["out_of_fold"]["mean_iou"]["value"] == pytest.approx(together, abs=2e-3)
    assert "3 folds: mean iou" in " ".join(run.record["notes"])
    assert "Out-of-fold" in run.report.read_text(encoding="utf-8")


def test_a_class_that_one_fold_lacks_is_said(tmp_path):
    x, y = squares(8)
    y[3, :2, :2] = 2
    seed = 0
    for seed in range(20):  # the one picture that shows it is not in the test part
        _parts, folds = parts_of(open_masks((x, y))[0], Fit(folds=2, seed=seed))
        if any(3 in valid for _train, valid in folds):
            break
    run = gipi.fit((x, y), task="segment", folds=2, seed=seed, steps=1, verdict=False, run=tmp_path / "r", **SMALL)
    assert "learns from no picture that shows: 2" in " ".join(run.record["facts"])


def test_a_figure_that_one_fold_has_not_is_left_out_of_the_mean():
    outcome = Outcome(cast(Any, None), {}, "")
    rows = [{"mean_iou": 0.5, "iou_2": 0.25}, {"mean_iou": 0.7, "iou_2": math.nan}, {"mean_iou": 0.9, "iou_2": 0.75}]
    say_folds(outcome, rows, {"mean_iou": Metric(0.7), "iou_2": Metric(0.6)}, "mean_iou")
    assert [row["iou_2"] for row in outcome.extra["folds"]] == [0.25, None, 0.75]
    (table,) = outcome.results
    assert isinstance(table, Table) and table.rows[1][-2] == 0.5  # the mean of the two that have it
    assert "0.7 ± 0.2 " in outcome.notes[0]


def test_a_run_that_was_cut_in_its_second_fold_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    options = {"task": "segment", "folds": 2, "steps": 8, "verdict": False, **SMALL}
    data = squares(8)
    one = gipi.fit(data, run=tmp_path / "one", **options)
    give, given = Stream.__next__, []

    def signalling(self):
        given.append(1)
        if len(given) == 13:
            signal.raise_signal(signal.SIGINT)
        return give(self)

    monkeypatch.setattr(Stream, "__next__", signalling)
    with pytest.raises(KeyboardInterrupt):
        gipi.fit(data, run=tmp_path / "cut", **options)
    monkeypatch.setattr(Stream, "__next__", give)
    done = gipi.resume(tmp_path / "cut", data, quiet=True)
    assert done.metrics == one.metrics and done.record["folds"] == one.record["folds"]
    for left, right in zip(done.model.members, one.model.members, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left.parameters(), right.parameters(), strict=True))


# --- weights


def test_it_begins_with_the_weights_of_another_run(tmp_path):
    options = {"task": "segment", "steps": 3, "verdict": False, **SMALL}
    before = gipi.fit(squares(8), run=tmp_path / "before", **options)
    x, y = squares(8, seed=4)
    run = gipi.fit((x + 30, y), weights=before, freeze=True, run=tmp_path / "after", **options)
    assert "weights of" in " ".join(run.record["facts"]) and run.record["weights"]
    assert run.model.schema.inputs[0].center == before.model.schema.inputs[0].center
    pairs = zip(before.model.members[0].parameters(), run.model.members[0].parameters(), strict=True)
    alike = [torch.equal(one, other) for one, other in pairs]
    assert alike.count(False) in (1, 2) and not alike[-1]  # the last layer


# --- several processes


def test_shards_are_refused_with_their_reason():
    setting = SimpleNamespace(ranks=Ranks(0, 2), options=Fit(shard=True), is_sharded=True)
    job = SimpleNamespace(setting=setting, record={"task": "segment"}, can_be_shared=True, can_be_sharded=False)
    with pytest.raises(UsageError, match="not the weights"):
        check_ranks(cast(Any, job), False)
    job.can_be_shared = False
    with pytest.raises(UsageError, match="in one process"):
        check_ranks(cast(Any, job), False)


SCRIPT = """
import sys
from test_dense_parts import shared
shared(sys.argv[1])
"""


def shared(folder):
    """A run of each task in float64, with pieces in three batches; gives their records."""
    same = {"precision": "float64", "steps": 7, "batch_size": 5, "verdict": False, "patience": 0}
    x, y = squares(11)
    y[:4, 6:] = 255  # ranks have unlike numbers of pixels that count
    y[5] = 2
    segment = {**same, **SMALL, "task": "segment", "norm": "layer", "augment": ("flip",), "averaging": "swa"}
    return [
        gipi.fit((x, y), run=f"{folder}/segment", **segment),
        gipi.fit(squares(10, side=40)[0], run=f"{folder}/upscale", **same, **UPSCALE),
        gipi.fit((x, y), run=f"{folder}/norm", **{**segment, "norm": "batch", "folds": 2, "steps": 2}),
    ]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_processes_have_the_curve_of_one(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RANK", "WORLD_"))}
    path = os.pathsep.join([str(Path(gipi.__file__).parent.parent), str(Path(__file__).parent)])
    words = [
        "--standalone",
        "--nproc-per-node",
        "2",
        "--no-python",
        sys.executable,
        "-c",
        SCRIPT,
        str(tmp_path / "two"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words],
        env={**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    for one in shared(tmp_path / "one"):
        two = gipi.Run(tmp_path / "two" / one.path.name)
        assert two.status == "done" and len(two.steps) == len(one.steps)
        if one.path.name == "norm":  # batch norm looks at each process's pieces
            assert len(two.record["folds"]) == 2
            continue
        losses = [[line["learner"] for line in run.steps] for run in (one, two)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-6)
        pairs = zip(one.model.members[0].parameters(), two.model.members[0].parameters(), strict=True)
        assert max(float((a - b).detach().abs().max()) for a, b in pairs) < 1e-6
        assert {n: float(v) for n, v in two.metrics.items()} == pytest.approx(
            {n: float(v) for n, v in one.metrics.items()}, abs=1e-4, nan_ok=True
        )
