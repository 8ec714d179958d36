"""A run that is cut and goes on comes to the same bits: every kind of run, cut at several steps.

The process ends by an exception out of the loop; real kills are in test_kill.py.
"""

import io
import os
import random
import signal
import sys
import types
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from kept import Cut, Watching, cut, outcome
from torch import nn

import gipi
from gipi.cli.main import main
from gipi.errors import DamageWarning, RunError, UsageError
from gipi.report.display import Plain
from gipi.report.notebook import Notebook
from gipi.report.terminal import Terminal
from gipi.run import Run
from gipi.signals import Stopped
from gipi.training.chance import json_state
from gipi.training.folder import Folder, read_record
from gipi.training.log_file import read_log
from gipi.training.sealed import seal

CUTS = 3  # in each run

IRIS = [f"{part} {side} (cm)" for part in ("sepal", "petal") for side in ("length", "width")]
X = torch.randn(90, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] * X[:, 1] > 0).long()


class Own(nn.Module):
    """A module with a frozen part, whose statistics must not move."""

    def __init__(self, sizes):
        super().__init__()
        self.frozen = nn.BatchNorm1d(*sizes.input).eval()
        self.rest = nn.Sequential(
            nn.Linear(*sizes.input, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, sizes.output)
        )

    def forward(self, x):
        return self.rest(self.frozen(x))


class Restless(nn.Module):
    """A module that draws from everything that a program can draw from."""

    def __init__(self, sizes):
        super().__init__()
        self.line = nn.Linear(*sizes.input, sizes.output)

    def forward(self, x):
        if self.training:
            x = x + 0.1 * torch.randn(1) + 0.1 * float(np.random.randn()) + 0.1 * random.gauss(0, 1)
        return self.line(x)


class Endless:
    """A stream of a person's own, endless, and with a state."""

    def __init__(self):
        self.place = 0

    def __next__(self):
        self.place += 1
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(self.place))
        return x, x.sum(1, keepdim=True)

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def loss_of_own(output, y, weight=None):
    return nn.functional.cross_entropy(output, y, label_smoothing=0.1)


def adam(params):
    return torch.optim.Adam(params, lr=0.01, amsgrad=True)


RICH = {"system": "mlp", "dropout": 0.2, "averaging": "ema", "schedule": "one-cycle", "epochs": 5}
CONVNET = {"system": "convnet", "dropout": 0.2, "augment": ("shift", "affine"), "averaging": "swa"}
RUNS = {
    "mlp": ("iris", {**RICH, "mixup": 0.3, "clip": 1.0}),
    "convnet": ("digits", {**CONVNET, "schedule": "cosine", "steps": 24, "batch_size": 16}),
    "lbfgs": ("diabetes", {"system": "linear", "optimizer": "lbfgs", "batch_size": 0, "steps": 12}),
    "perceptron": ("iris", {"system": "perceptron", "steps": 60}),
    "autoencoder": ("iris", {"no_target": True, "epochs": 4}),
    "gan": ("digits", {"system": "gan", "task": "generate", "steps": 12, "batch_size": 32}),
    "compress": ("digits", {"task": "compress", "variational": True, "width": 4, "steps": 12, "batch_size": 32}),
    "denoise": ("digits", {"task": "denoise", "width": 4, "epochs": 2, "batch_size": 128}),
    "simclr": ("digits", {"task": "embed", "steps": 8, "batch_size": 32, "verdict_seconds": 0.1}),
    "byol": ("digits", {"task": "embed", "variant": "byol", "steps": 8, "batch_size": 32, "verdict_seconds": 0.1}),
    "words": (
        [f"one two three {n % 7} four five {n % 3} six" for n in range(60)],
        {"system": "word2vec", "task": "relate", "dimension": 6, "min_count": 1, "epochs": 4, "batch_size": 60},
    ),
    "dqn": (
        "gym:CartPole-v1",
        {"steps": 60, "memory": 300, "first_moves": 50, "moves": 60, "batches": 16, "copy_every": 7, "hidden": (16,)},
    ),
    "folds": ("iris", {**RICH, "folds": 2, "ensemble": 2, "epochs": 3, "norm": "batch"}),  # one after the other
    "folds at once": ("iris", {**RICH, "folds": 2, "ensemble": 2, "epochs": 12}),
    "early": ("iris", {**RICH, "averaging": "none", "lr": 0.3, "epochs": 40, "patience": 2}),
    "float64": ("diabetes", {"system": "mlp", "precision": "float64", "distribution": "normal", "epochs": 3}),
    "bf16": ("iris", {"system": "mlp", "precision": "bf16", "epochs": 4}),
    "auto": ("iris", {"system": "mlp", "lr": "auto", "epochs": 4}),
    "own optimizer": ("iris", {"system": "mlp", "optimizer": adam, "schedule": "cosine", "epochs": 4}),
    "own draws": ("iris", {"model": Restless, "folds": 2, "epochs": 3}),
    "own everything": ((X, Y), {"model": Own, "loss": loss_of_own, "optimizer": adam, "epochs": 4}),
} | {
    name: ("iris", {"system": "mlp", "optimizer": name, "weight_decay": 0.01, "hidden": (8,), "epochs": 2})
    for name in ("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "muon", "lars")
}


@pytest.fixture
def often(monkeypatch):
    """A checkpoint at each step, and little else."""
    monkeypatch.setattr("gipi.training.log.SHORTEST_PAUSE", -1.0)
    monkeypatch.setattr("gipi.training.log.SHARE", 1e9)
    for name, value in {"LOOKS": 4, "CHOSEN_BY": 2, "REPORTED": 5}.items():
        monkeypatch.setattr(f"gipi.jobs.act.{name}", value)
    monkeypatch.setattr("gipi.jobs.generate.LOOKS", 0.01)
    monkeypatch.setattr("gipi.jobs.generate.COMPARED", 20)


@pytest.fixture
def watched(monkeypatch):
    """Carry out with this display."""

    def watch(display, verb, *arguments, **options):
        monkeypatch.setattr("gipi.jobs.carry.choose", lambda *_arguments, **_options: display)
        return verb(*arguments, **options)

    return watch


@pytest.fixture
def notebook(monkeypatch):
    """As if a notebook ran this."""
    ipython, inner = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    inner.HTML = str  # type: ignore[attr-defined]
    cell = types.SimpleNamespace(update=lambda content: None)
    inner.display = lambda content, display_id=None: cell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)


def cut_and_resumed(watched, data, options, cuts, folder: Path) -> list[str]:
    """A run that ends after each of so many steps, and goes on; gives what was said when it went on."""
    own = {name: value for name, value in options.items() if callable(value)}
    verb = partial(gipi.fit, data, **options, threads=1, verdict=False, run=folder)
    notes = []
    for steps in cuts:
        display = Watching({steps: cut})
        with pytest.raises(Cut):
            watched(display, verb)
        notes += display.notes
        assert Run(folder).status == "interrupted"
        verb = partial(gipi.resume, folder, None if isinstance(data, str) else data, **own)
    display = Watching()
    watched(display, verb)
    return notes + display.notes


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_was_cut_comes_to_the_same_bits(name, often, watched, tmp_path):
    data, options = RUNS[name]
    if name == "dqn":
        pytest.importorskip("gymnasium")
    whole = Watching()
    watched(whole, gipi.fit, data, **options, threads=1, verdict=False, run=tmp_path / "whole")
    draw = random.Random(name)
    ends = sorted(draw.randint(1, whole.seen - 1) for _cut in range(CUTS))
    cuts = [end - begin for begin, end in zip([0, *ends], ends, strict=False) if end > begin]
    # a step that was seen is not yet saved, so each resumed run sees the last one again
    cuts = [cuts[0], *(steps + 1 for steps in cuts[1:])]
    cut_and_resumed(watched, data, options, cuts, tmp_path / "cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_stream_of_ones_own_goes_on(often, watched, tmp_path):
    def net():
        return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))

    options = {"loss": "mse", "steps": 40, "threads": 1}
    torch.manual_seed(0)
    model = net()
    watched(Watching(), gipi.fit, Endless(), model=model, **options, run=tmp_path / "whole")
    with pytest.raises(Cut):
        watched(Watching({13: cut}), gipi.fit, Endless(), model=model, **options, run=tmp_path / "cut")
    for steps in (9, 11):
        with pytest.raises(Cut):
            watched(Watching({steps: cut}), gipi.resume, tmp_path / "cut", Endless(), model=model)
    watched(Watching(), gipi.resume, tmp_path / "cut", Endless(), model=model)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_run_cut_before_its_first_checkpoint_begins_again(watched, tmp_path):
    data, options = RUNS["mlp"]
    watched(Watching(), gipi.fit, data, **options, threads=1, verdict=False, run=tmp_path / "whole")
    cut_and_resumed(watched, data, options, [9, 4, 2], tmp_path / "cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_seeing_more_changes_nothing(often, watched, tmp_path, monkeypatch):
    """Verdict, doctor, profile and any display, on or off: the same weights."""
    data, options = "iris", {**RICH, "epochs": 3}
    plain = gipi.fit(data, **options, verdict=False, doctor=False, quiet=True, run=tmp_path / "plain")
    monkeypatch.undo()  # no display of ours, no frequent saves
    rich = gipi.fit(data, **options, verdict=True, doctor=True, profile=True, run=tmp_path / "rich")
    assert outcome(plain.path)["weights"] == outcome(rich.path)["weights"]
    assert outcome(plain.path)["log"] == outcome(rich.path)["log"]


@pytest.mark.parametrize("kind", ["terminal", "notebook", "plain"])
def test_displays_change_nothing(kind, watched, tmp_path, notebook):
    displays = {
        "terminal": lambda: Terminal(io.StringIO()),
        "notebook": Notebook,
        "plain": lambda: Plain(io.StringIO()),
    }
    options = {**RICH, "verdict": False}
    silent = watched(Watching(), gipi.fit, "iris", **options, run=tmp_path / "silent")
    shown = watched(displays[kind](), gipi.fit, "iris", **options, run=tmp_path / "shown")
    assert outcome(silent.path)["weights"] == outcome(shown.path)["weights"]


def test_what_belongs_to_the_person_is_left_alone(tmp_path):
    """The state of torch's random numbers, the number of threads, and the handlers of signals."""

    def state():
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return torch.get_rng_state().tolist(), json_state(), torch.get_num_threads(), handlers, torch.is_grad_enabled()

    torch.manual_seed(123)
    before = state()
    gipi.fit("iris", **{**RICH, "epochs": 1}, threads=2, quiet=True, run=tmp_path / "run")
    assert state() == before


def test_a_finished_run_does_not_train_on(often, watched, tmp_path):
    data, options = RUNS["early"]
    run = watched(Watching(), gipi.fit, data, **options, threads=1, verdict=False, run=tmp_path / "run")
    assert run.record["stopped"] == ["early"]
    before = outcome(run.path)
    display = Watching()
    assert watched(display, gipi.resume, run).status == "done"
    assert display.seen == 0 and outcome(run.path) == before


@pytest.mark.parametrize("problem", [Cut, KeyboardInterrupt, RuntimeError, MemoryError])
def test_a_run_cut_after_training_only_finishes(problem, often, watched, tmp_path, monkeypatch):
    """Whatever happens while scores and baselines are made: nothing is trained again, and the metrics are the same."""
    data, options = RUNS["early"]
    options = {**options, "threads": 1, "verdict": True}
    watched(Watching(), gipi.fit, data, **options, run=tmp_path / "whole")

    def end(*_arguments, **_options):
        raise problem

    with monkeypatch.context() as broken:
        broken.setattr("gipi.jobs.judge.add_verdict", end)
        display = Watching()
        with pytest.raises(problem):
            watched(display, gipi.fit, data, **options, run=tmp_path / "cut")
    assert Run(tmp_path / "cut").status == ("failed" if issubclass(problem, Exception) else "interrupted")
    if problem is KeyboardInterrupt:
        assert any("gipi resume" in note for note in display.notes)
    display = Watching()
    run = watched(display, gipi.resume, tmp_path / "cut")
    assert display.seen == 0 and run.status == "done" and run.verdict
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("name", ["folds", "folds at once"])
def test_the_log_has_each_step_once(name, often, watched, tmp_path):
    data, options = RUNS[name]
    cut_and_resumed(watched, data, options, [7, 5, 9], tmp_path / "cut")
    steps = [(line["member"], line["step"]) for line in read_log(tmp_path / "cut") if "epoch" not in line]
    assert len(steps) == len(set(steps)) == sum(1 for _step in steps)
    assert steps == sorted(steps) if name == "folds" else sorted(steps, key=lambda one: one[1]) != sorted(steps)


def test_what_was_ones_own_must_be_given_again(often, watched, tmp_path):
    data, options = RUNS["own everything"]
    with pytest.raises(Cut):
        watched(Watching({5: cut}), gipi.fit, data, **options, threads=1, verdict=False, run=tmp_path / "run")
    with pytest.raises(UsageError, match="give them again: loss, model, optimizer"):
        gipi.resume(tmp_path / "run", data)
    with pytest.raises(UsageError, match="was in memory"):
        gipi.resume(tmp_path / "run", model=Own, loss=loss_of_own, optimizer=adam)
    with pytest.raises(RunError, match="not what it was"):
        gipi.resume(tmp_path / "run", (X + 1, Y), model=Own, loss=loss_of_own, optimizer=adam)
    with pytest.raises(RunError, match=r"step-000-0000000004.ckpt does not fit what the run is made of now"):
        other = lambda sizes: nn.Sequential(nn.Linear(*sizes.input, 9), nn.ReLU(), nn.Linear(9, sizes.output))  # noqa: E731
        gipi.resume(tmp_path / "run", data, model=other, loss=loss_of_own, optimizer=adam)
    gipi.resume(tmp_path / "run", data, model=Own, loss=loss_of_own, optimizer=adam, quiet=True)
    assert Run(tmp_path / "run").status == "done"


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("options", [{}, {"folds": 3}, {"folds": 2, "ensemble": 2}, {"averaging": "swa"}])
@pytest.mark.parametrize("steps", [1, 7])
def test_ctrl_c_in_a_notebook_gives_the_run_so_far(options, steps, watched, tmp_path, notebook):
    options = {**RICH, "verdict": False, **options}
    whole = watched(Watching(), gipi.fit, "iris", **options, run=tmp_path / "whole")
    display = Watching({steps: press})
    run = watched(display, gipi.fit, "iris", **options, run=tmp_path / "cut")
    assert run.status == "interrupted" and display.seen == steps
    assert any(f"gipi resume {run.path}" in note for note in display.notes)
    assert 0 <= run.metrics["accuracy"] <= 1
    assert len(run.predict([dict.fromkeys(IRIS, 1.0)])) == 1 and run.report.exists()
    run = watched(Watching(), gipi.resume, run)
    assert run.status == "done"
    assert outcome(run.path) == outcome(whole.path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_step_of_a_fold_is_heard(number, watched, tmp_path):
    options = {**RICH, "verdict": False, "folds": 2, "epochs": 2}
    whole = Watching()
    watched(whole, gipi.fit, "iris", **options, run=tmp_path / "whole")
    display = Watching({whole.seen // 2: partial(press, number)})
    with pytest.raises(KeyboardInterrupt) as end:
        watched(display, gipi.fit, "iris", **options, run=tmp_path / "cut")
    assert end.value.signal_number == number
    assert display.seen == whole.seen // 2
    watched(Watching(), gipi.resume, tmp_path / "cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def disturbed_in_writing(watched, number: int, folder: Path, monkeypatch) -> tuple[int, Watching]:
    """A run asked to end at its ninth step, and again while that is written; gives the signal it ended with."""
    from gipi.training import checkpoint

    write = checkpoint.write_atomically

    def again(path, *pieces):
        if "step-000-0000000009" in path.name:
            press(number)
        return write(path, *pieces)

    display = Watching({9: partial(press, number)})
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_atomically", again)
        with pytest.raises(Stopped) as stop:
            watched(display, gipi.fit, "iris", **RICH, verdict=False, run=folder)
    assert display.seen == 9 and sum("gipi resume" in note for note in display.notes) == 1
    assert Run(folder).status == "interrupted" and not list(folder.rglob("*.part"))
    return stop.value.signal_number, display


@pytest.mark.parametrize(
    ("number", "one_wish", "is_torn"),
    [
        (signal.SIGTERM, -1, False),
        (signal.SIGHUP, -1, False),
        (signal.SIGINT, -1, True),  # a person will not wait
        (signal.SIGINT, 1000, False),  # a program that sends it to a process and to its group
    ],
)
def test_the_same_wish_once_more_tears_nothing_but_for_a_person(
    number, one_wish, is_torn, often, watched, tmp_path, monkeypatch
):
    """What is being written is written, and the exit code is the signal's; the second Ctrl-C ends at once."""
    monkeypatch.setattr("gipi.signals.ONE_WISH", one_wish)
    watched(Watching(), gipi.fit, "iris", **RICH, verdict=False, run=tmp_path / "whole")
    found, _display = disturbed_in_writing(watched, number, tmp_path / "cut", monkeypatch)
    assert found == number
    newest = max(path.stem for path in (tmp_path / "cut").glob("checkpoints/step-*.ckpt"))
    assert newest == f"step-000-{8 if is_torn else 9:010d}"
    watched(Watching(), gipi.resume, tmp_path / "cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["carry.make_job", "carry._new_folder", "carry.write_down", "carry.remarks_on"])
def test_a_signal_before_the_first_step_is_heard(number, stage, watched, tmp_path, monkeypatch):
    """Nothing is left behind, or what can be gone on with; and it is said which."""
    module, name = stage.split(".")
    real = getattr(sys.modules[f"gipi.jobs.{module}"], name)

    def asked(*arguments, **options):
        press(number)
        return real(*arguments, **options)

    display, folder = Watching(), tmp_path / "run"
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patched:
        patched.setattr(f"gipi.jobs.{stage}", asked)
        with pytest.raises(Stopped) as stop:
            watched(display, gipi.fit, "iris", **RICH, verdict=False, run=folder)
    assert stop.value.signal_number == number and display.seen == 0
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    if stage == "carry.remarks_on":
        assert sum(f"gipi resume {folder}" in note for note in display.notes) == 1
        display = Watching()
        watched(display, gipi.resume, folder)
        assert any("begins at its first step" in note for note in display.notes)
    else:
        assert sum("nothing is kept" in note for note in display.notes) == 1
        assert not folder.exists()
        watched(Watching(), gipi.fit, "iris", **RICH, verdict=False, run=folder)
    assert Run(folder).status == "done"


def test_a_wish_that_went_astray_is_not_forgotten(watched, tmp_path, monkeypatch):
    """Code that swallows every exception, as finalizers do, was running: training ends after its first step."""
    real = sys.modules["gipi.jobs.carry"].remarks_on

    def swallowed(*arguments):
        with suppress(BaseException):
            press(signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr("gipi.jobs.carry.remarks_on", swallowed)
    display = Watching()
    with pytest.raises(Stopped):
        watched(display, gipi.fit, "iris", **RICH, verdict=False, run=tmp_path / "run")
    assert display.seen == 1


def test_a_run_that_ended_before_its_first_word_is_no_run(tmp_path):
    Folder.create(tmp_path / "run", "run").close()
    with pytest.raises(RunError, match=f"nothing to go on with in {tmp_path / 'run'}.*gipi fit DATA --run"):
        gipi.resume(tmp_path / "run")


def test_what_has_changed_since_it_began_is_said(often, watched, tmp_path):
    with pytest.raises(Cut):
        watched(Watching({5: cut}), gipi.fit, "iris", **RICH, verdict=False, run=tmp_path / "run")
    record = read_record(tmp_path / "run")
    record["versions"]["torch"] = "1.0"
    record["hardware"]["device"] = "cuda:77"
    (tmp_path / "run" / "run.json").write_bytes(seal(record))
    display = Watching({1: cut})
    with pytest.raises(Cut):
        watched(display, gipi.resume, tmp_path / "run")
    (said,) = [note for note in display.notes if "not to the same bits" in note]
    assert f"torch 1.0 -> {torch.__version__}" in said and "device cuda:77 -> " in said


def test_a_run_goes_on_on_the_device_that_is_asked_for(often, watched, tmp_path):
    """The same device: the same bits, and nothing is said; one that is not here is refused, and nothing is lost."""
    watched(Watching(), gipi.fit, "iris", **RICH, device="cpu", verdict=False, run=tmp_path / "whole")
    with pytest.raises(Cut):
        watched(Watching({5: cut}), gipi.fit, "iris", **RICH, device="cpu", verdict=False, run=tmp_path / "cut")
    for device in ("cuda:77", "toaster"):
        with pytest.raises(UsageError, match=device):
            watched(Watching(), gipi.resume, tmp_path / "cut", device=device)
    display = Watching()
    watched(display, gipi.resume, tmp_path / "cut", device="cpu")
    assert not any("not to the same bits" in note for note in display.notes)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_another_device_is_said(often, watched, tmp_path, capsys):
    """On the command line too, where the option is read."""
    with pytest.raises(Cut):
        watched(Watching({5: cut}), gipi.fit, "iris", **RICH, verdict=False, run=tmp_path / "run")
    record = read_record(tmp_path / "run")
    record["hardware"]["device"] = "cuda"
    (tmp_path / "run" / "run.json").write_bytes(seal(record))
    display = Watching()
    watched(display, main, ["resume", str(tmp_path / "run"), "--device", "cpu", "--quiet"])
    (said,) = [note for note in display.notes if "not to the same bits" in note]
    assert "device cuda -> cpu" in said and Run(tmp_path / "run").status == "done"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("one", "other"), [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_from_one_device_to_another(one, other, often, watched, tmp_path):
    whole = watched(Watching(), gipi.fit, "iris", **RICH, device=one, verdict=False, run=tmp_path / "whole")
    with pytest.raises(Cut):
        watched(Watching({5: cut}), gipi.fit, "iris", **RICH, device=one, verdict=False, run=tmp_path / "cut")
    display = Watching()
    run = watched(display, gipi.resume, tmp_path / "cut", device=other)
    assert len(run.steps) == len(whole.steps)
    if one == other:
        assert outcome(run.path) == outcome(whole.path)
    else:
        assert any("not to the same bits" in note for note in display.notes)


def test_a_damaged_file_is_one_sentence_on_the_command_line(often, watched, tmp_path, capsys):
    """In Python it is a warning, with file and line; here it is said once, in the person's language."""
    with pytest.raises(Cut):
        watched(Watching({5: cut}), gipi.fit, "iris", **RICH, verdict=False, run=tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(DamageWarning, match="its copy is used"):
        assert Run(tmp_path / "run").status == "interrupted"
    capsys.readouterr()
    assert watched(Watching(), main, ["resume", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    copy = tmp_path / "run" / "checkpoints" / "run.json"
    assert said == f"gipi: {path} is damaged; its copy is used, {copy}\n"
