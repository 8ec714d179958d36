"""What is settled before the first step: how the arithmetic is done, how long a run takes; and it is replayed."""

import time

import pytest
import torch
from torch import nn

import gipi
from gipi.errors import UsageError
from gipi.jobs import settle
from gipi.report.display import Silent
from gipi.run import Run
from gipi.training.prepare import Arithmetic

PICTURES = torch.rand(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))
KINDS = (PICTURES.mean((1, 2, 3)) > 0.5).long()
OPTIONS = {"verdict": False, "quiet": True, "steps": 12, "batch_size": 16}


class Listening(Silent):
    is_watched = True

    def __init__(self):
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def display(monkeypatch):
    listening = Listening()
    monkeypatch.setattr("gipi.jobs.carry.choose", lambda *_arguments, **_options: listening)
    return listening


class Small(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.first = nn.Conv2d(sizes.input[0], 8, 3)
        self.last = nn.Linear(8, sizes.output)

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)))


@pytest.fixture
def tried(monkeypatch):
    """Every way is tried, and takes as long as this says."""
    times: dict[tuple, float] = {}
    monkeypatch.setattr(settle, "LARGE", 0)
    monkeypatch.setattr(settle, "LONG", 0)
    monkeypatch.setattr(settle, "has_bf16", lambda device: True)
    real = settle._Trial.seconds

    def seconds(trial, way, share=settle.TRIAL):
        real(trial, way, share)
        return times.get((way.precision, way.channels_last), 1.0)

    monkeypatch.setattr(settle._Trial, "seconds", seconds)
    return times


@pytest.mark.parametrize("steps", [12, 200])
def test_small_and_short_runs_are_not_tried(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(settle, "_Trial", None)
    run = gipi.fit("iris", **{**OPTIONS, "steps": steps}, run=tmp_path / "run")
    assert run.record["arithmetic"] == {"precision": "float32", "channels_last": False, "threads": 1, "compiled": False}


@pytest.mark.parametrize(
    ("fastest", "expected"),
    [
        ({}, ("float32", False)),
        ({("float32", True): 0.95}, ("float32", False)),  # a few percent are not worth it
        ({("float32", True): 0.5}, ("float32", True)),
        ({("bf16", False): 0.5}, ("bf16", False)),
        ({("float32", True): 0.8, ("bf16", True): 0.5}, ("bf16", True)),
    ],
)
def test_the_fastest_way_is_taken_said_and_replayed(fastest, expected, tried, display, tmp_path, monkeypatch):
    tried |= fastest
    options = {**OPTIONS, "quiet": False}
    run = gipi.fit((PICTURES, KINDS), model=Small, **options, run=tmp_path / "run")
    found = run.record["arithmetic"]
    assert (found["precision"], found["channels_last"]) == expected
    assert any("times as fast" in note for note in display.notes) == (expected != ("float32", False))
    tried.clear()  # the stopwatch says something else when the run goes on
    run.path.joinpath("run.json").write_text(run.path.joinpath("run.json").read_text())
    for path in run.path.glob("checkpoints/member-*"):
        path.unlink()
    before = [line["learner"] for line in run.steps]
    resumed = gipi.resume(run.path, (PICTURES, KINDS), model=Small)
    assert resumed.record["arithmetic"] == found
    assert [line["learner"] for line in resumed.steps] == before


def test_bf16_is_taken_only_if_it_goes_the_same_way(tried, tmp_path):
    class Fine(Small):
        """Its answer hangs on a difference that bf16 does not see."""

        def forward(self, x):
            h = self.first(x).mean((2, 3))
            with torch.autocast("cpu", enabled=False):
                fine = h if h.dtype == torch.float32 else (h - h.round(decimals=1)) * 100
            return self.last(fine.float() * 10)

    tried |= {("bf16", False): 0.5, ("bf16", True): 0.5}
    run = gipi.fit((PICTURES, KINDS), model=Fine, **OPTIONS, run=tmp_path / "run")
    assert run.record["arithmetic"]["precision"] == "float32"


def test_what_was_asked_for_is_not_tried(tried, tmp_path):
    tried |= {("bf16", False): 0.1}
    run = gipi.fit((PICTURES, KINDS), model=Small, **OPTIONS, precision="float32", threads=2, run=tmp_path / "run")
    assert run.record["arithmetic"] == {"precision": "float32", "channels_last": False, "threads": 2, "compiled": False}


def test_channels_last_changes_nothing_but_rounding(tmp_path, monkeypatch):
    usual = gipi.fit("digits", **OPTIONS, system="convnet", run=tmp_path / "usual")
    way = Arithmetic("float32", True, 1)
    monkeypatch.setattr("gipi.jobs.settle.choose_arithmetic", lambda job, first, notes: way)
    other = gipi.fit("digits", **OPTIONS, system="convnet", run=tmp_path / "other")
    losses = [[line["learner"] for line in run.steps] for run in (usual, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and losses[0] != losses[1]


def test_the_estimate_is_said_and_near(display, tmp_path):
    run = gipi.fit("iris", system="mlp", epochs=200, patience=0, verdict=False, run=tmp_path / "run")
    (said,) = [note for note in display.notes if "training takes" in note]
    assert "GB of memory" in said
    assert run.status == "done"


class Slow(nn.Linear):
    """A step takes ten milliseconds."""

    def __init__(self, sizes):
        super().__init__(*sizes.input, sizes.output)

    def forward(self, x):
        if self.training:
            time.sleep(0.01)
        return super().forward(x)


def test_minutes_are_kept(display, tmp_path):
    began = time.perf_counter()
    run = gipi.fit("iris", model=Slow, epochs=500, patience=0, minutes=0.02, verdict=False, run=tmp_path / "run")
    assert time.perf_counter() - began < 30
    taken = run.record["seconds"]["training"]
    assert 0.3 < taken < 4, taken
    assert any("0.02 minutes are enough for" in note for note in display.notes)
    assert run.record["steps"] < 1500 and run.record["limit"] == pytest.approx(1.2)
    resumed = gipi.resume(run.path, model=Slow)
    assert resumed.record["steps"] == run.record["steps"] and resumed.steps == run.steps


def test_the_time_is_up_even_if_the_estimate_was_wrong(display, tmp_path, monkeypatch):
    monkeypatch.setattr(settle, "estimate", lambda job: settle.Cost(0.001, 0, 1))
    monkeypatch.setattr("gipi.training.train.DRAIN", 5)
    run = gipi.fit("iris", model=Slow, epochs=500, patience=0, minutes=0.005, verdict=False, run=tmp_path / "run")
    assert run.record["stopped"] == ["time"] and len(run.steps) < 300
    assert run.history[-1]["step"] == len(run.steps)
    assert Run(run.path).metrics["accuracy"] > 0


def test_minutes_must_be_more_than_none(tmp_path):
    with pytest.raises(UsageError, match="--minutes must be a number above 0"):
        gipi.fit("iris", minutes=0, run=tmp_path / "run")


# --- compiling


@pytest.fixture
def compiler(monkeypatch):
    """A compiler that takes no time (it stops before it writes machine code), and a run that is long enough for it."""
    real = torch.compile
    monkeypatch.setattr(settle, "LONG", 0)
    monkeypatch.setattr(settle, "COMPILING", 0.0)
    monkeypatch.setattr(torch, "compile", lambda part, **_options: real(part, backend="aot_eager"))


@pytest.fixture
def times(monkeypatch):
    """Seconds of a step, usual and compiled."""
    found = {False: 1.0, True: 1.0}
    real = settle._Trial.seconds

    def seconds(trial, way, share=settle.TRIAL):
        real(trial, way, share)
        return found[way.compiled]

    monkeypatch.setattr(settle._Trial, "seconds", seconds)
    monkeypatch.setattr(settle, "SLOWEST", 1e-9)
    return found


@pytest.mark.parametrize(("factor", "expected"), [(0.97, False), (0.5, True)])
def test_a_network_is_compiled_where_that_pays_and_again_on_resume(
    factor, expected, compiler, times, display, tmp_path
):
    times[True] = factor
    options = {**OPTIONS, "quiet": False}
    run = gipi.fit((PICTURES, KINDS), model=Small, **options, run=tmp_path / "run")
    usual = gipi.fit((PICTURES, KINDS), model=Small, **options, compile="off", run=tmp_path / "usual")
    assert run.record["arithmetic"]["compiled"] == expected and not usual.record["arithmetic"]["compiled"]
    assert any("compiled: 2.00 times as fast" in note for note in display.notes) == expected
    losses = [[line["learner"] for line in one.steps] for one in (run, usual)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    times[True] = 9.0
    for path in run.path.glob("checkpoints/member-*"):
        path.unlink()
    resumed = gipi.resume(run.path, (PICTURES, KINDS), model=Small)
    assert resumed.record["arithmetic"] == run.record["arithmetic"]
    assert [line["learner"] for line in resumed.steps] == losses[0]


def test_short_runs_are_not_compiled(monkeypatch, times, tmp_path):
    monkeypatch.setattr(settle, "LONG", 0)
    monkeypatch.setattr(torch, "compile", None)
    times[False] = settle.COMPILING * settle.SHARE / OPTIONS["steps"] * 0.99
    run = gipi.fit((PICTURES, KINDS), model=Small, **OPTIONS, run=tmp_path / "run")
    assert not run.record["arithmetic"]["compiled"]


def test_where_it_cannot_be_compiled_it_is_said(compiler, monkeypatch, display, tmp_path):
    def broken(part, **options):
        def compiled(*inputs):
            raise RuntimeError("no working compiler was found\nand more")

        return compiled

    monkeypatch.setattr(torch, "compile", broken)
    options = {**OPTIONS, "quiet": False}
    run = gipi.fit((PICTURES, KINDS), model=Small, **options, run=tmp_path / "run")
    assert not run.record["arithmetic"]["compiled"]
    assert "not compiled: no working compiler was found" in display.notes
    with pytest.raises(UsageError, match="cannot be compiled here: no working compiler was found; leave --compile out"):
        gipi.fit((PICTURES, KINDS), model=Small, **options, compile="on", run=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_members_of_a_compiled_network_train_one_by_one(compiler, tmp_path):
    options = {**OPTIONS, "ensemble": 2, "system": "mlp"}
    run = gipi.fit("iris", **options, compile="on", run=tmp_path / "run")
    usual = gipi.fit("iris", **options, run=tmp_path / "usual")
    assert run.record["arithmetic"]["compiled"] and len(run.record["stopped"]) == 2
    assert [line["learner"] for line in run.steps] == pytest.approx([line["learner"] for line in usual.steps], rel=1e-4)


@pytest.mark.slow  # a compiler is started
def test_a_real_compiler_gives_the_same_losses(tmp_path):
    runs = [gipi.fit("digits", **OPTIONS, system="convnet", compile=how, run=tmp_path / how) for how in ("on", "off")]
    losses = [[line["learner"] for line in run.steps] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
