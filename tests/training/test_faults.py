"""What goes wrong in a step: numbers that are none, losses beyond all bounds, memory that runs out."""

import json
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gipi
from gipi.algorithms.optimizers import OPTIMIZERS, NotFinite, make
from gipi.errors import TrainingError, UsageError
from gipi.report.display import Silent
from gipi.run import Run
from gipi.training import checkpoint
from gipi.training.log_file import read_log
from gipi.training.player import Player, clipped, learner
from gipi.training.prepare import Arithmetic, prepared

X = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
Y = (X @ torch.tensor([1.0, -2.0, 0.5, 0.0]) > 0).long()


class Listening(Silent):
    def __init__(self):
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def display(monkeypatch):
    listening = Listening()
    monkeypatch.setattr("gipi.jobs.carry.choose", lambda *_arguments, **_options: listening)
    return listening


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_no_update_is_made_from_what_is_not_finite(name):
    params = [torch.ones(3, 2), torch.ones(2)]
    optimizer = make(name, params, weight_decay=0.1)
    for _step in range(2):
        optimizer.step(lambda: (torch.tensor(1.0), [torch.ones(3, 2), torch.ones(2)]), 0)
    before = [tensor.clone() for tensor in (*params, *optimizer.tensors().values())]
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(NotFinite) as found:
            optimizer.step(lambda bad=bad: (torch.tensor(1.0), [torch.ones(3, 2), torch.tensor([1.0, bad])]), 2)
        assert found.value.args[0] is optimizer
        assert all(map(torch.equal, before, [*params, *optimizer.tensors().values()]))
    optimizer.step(lambda: (torch.tensor(1.0), [torch.ones(3, 2), torch.ones(2)]), 2)
    assert not torch.equal(before[0], params[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_on_a_gpu_the_kernels_look_themselves(name):
    params = [torch.ones(3, 2, device="cuda"), torch.ones(2, device="cuda")]
    optimizer = make(name, params)
    optimizer.step(lambda: (torch.tensor(1.0), [torch.ones_like(p) for p in params]), 0)
    before = [p.clone() for p in params]
    optimizer.step(lambda: (torch.tensor(1.0), [torch.full_like(p, math.nan) for p in params]), 1)
    assert optimizer.bad.item() == 1 and all(p.isfinite().all() for p in params)
    if name in ("sgd", "momentum", "nag", "adam", "adamw"):
        assert all(map(torch.equal, before, params))


def test_an_optimizer_of_ones_own_does_not_move_either():
    param = torch.ones(2, requires_grad=True)
    optimizer = make(lambda params: torch.optim.Adam(params, lr=0.1), [param])
    with pytest.raises(NotFinite):
        optimizer.step(lambda: (torch.tensor(1.0), [torch.tensor([1.0, math.nan])]), 0)
    assert param.tolist() == [1, 1]


class Poisoned(nn.Module):
    """A network whose output is no number at some of its steps."""

    bad_steps: tuple[int, ...] = ()

    def __init__(self, sizes):
        super().__init__()
        self.line = nn.Linear(*sizes.input, sizes.output)
        self.seen = 0

    def forward(self, x):
        out = self.line(x)
        if self.training:
            self.seen += 1
            if self.seen - 1 in self.bad_steps:
                out = out * math.nan
        return out


def poisoned(*steps):
    return type("Poisoned", (Poisoned,), {"bad_steps": steps})


OPTIONS = {"batch_size": 16, "epochs": 4, "patience": 0, "verdict": False, "threads": 1}


def test_training_goes_back_and_on_with_smaller_steps(display, tmp_path):
    run = gipi.fit((X, Y), model=poisoned(14), **OPTIONS, run=tmp_path / "run")
    assert run.status == "done" and run.metrics["accuracy"] > 0.5
    (fault,) = run.record["faults"]
    every = run.history[0]["step"]
    assert fault["step"] == 14 and fault["fault"] == "gradient"
    assert fault["from"] == 14 // every * every and fault["player"] == "learner"
    said = [note for note in display.notes if "diverged at step 14" in note]
    assert len(said) == 1 and f"Back to step {fault['from']}" in said[0] and "batch" in said[0]
    steps = [line["step"] for line in run.steps]
    assert steps == list(range(4 * every))  # what was taken back is not in the log twice
    sizes = [record["step_size"] for record in run.history]
    assert sizes[-1] == pytest.approx(sizes[0] / 4)
    assert any(finding.name == "divergence" for finding in run.doctor())


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_what_kernels_have_found_is_heard_of(optimizer, display, tmp_path, monkeypatch):
    """As on a GPU, where nobody reads a flag within a step: a gradient without an end beside a loss that has one."""
    from gipi.algorithms.optimizers import FirstOrder

    real = FirstOrder.__init__

    def made(self, *arguments, **options):
        real(self, *arguments, **options)
        self.is_host = False

    monkeypatch.setattr(FirstOrder, "__init__", made)
    calls = 0

    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.inf

    def steep(output, y):
        nonlocal calls
        calls += 1
        return F.cross_entropy(Steep.apply(output) if calls == 17 else output, y)

    options = {**OPTIONS, "doctor": False}  # its looks ask for the loss as well, which counts
    run = gipi.fit((X, Y), loss=steep, system="mlp", optimizer=optimizer, **options, run=tmp_path / "run")
    (fault,) = run.record["faults"]
    assert fault["fault"] == "gradient" and run.status == "done"
    losses = [line["learner"] for line in run.steps]
    assert len(set(losses[-8:])) == 8, "it moves again"


def test_what_does_not_get_better_ends_with_the_last_good_weights(display, tmp_path):
    with pytest.raises(
        TrainingError, match=r"diverged at step \d+ \(epoch 2, batch \d+\): the gradient of the learner"
    ):
        gipi.fit((X, Y), model=poisoned(*range(14, 200)), **OPTIONS, run=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.status == "diverged"
    newest, _remarks = checkpoint.newest(run.path / "checkpoints", "step-")
    assert newest is not None and len(newest.state["progress"][0]["faults"]) == 3
    assert all(t.isfinite().all() for name, t in newest.tensors.items() if name.startswith("net."))
    assert len([line for line in read_log(run.path) if "fault" in line]) == 3


@pytest.mark.parametrize("loss", ["mse"])
def test_a_loss_beyond_all_bounds_is_a_fault(loss, display, tmp_path):
    y = X @ torch.tensor([1.0, -2.0, 0.5, 0.0])
    options = {**OPTIONS, "system": "linear", "optimizer": "sgd", "loss": loss, "task": "regress", "epochs": 6}
    run = gipi.fit((X, y), **options, lr=3.0, run=tmp_path / "run")
    assert run.record["faults"] and run.metrics["r2"] > 0.9
    assert {fault["fault"] for fault in run.record["faults"]} <= {"loss", "gradient"}
    with pytest.raises(TrainingError, match="diverged"):
        gipi.fit((X, y), **options, lr=1e6, run=tmp_path / "hopeless")


def test_resumed_after_a_fault_it_goes_on_with_the_small_steps(display, tmp_path, monkeypatch):
    monkeypatch.setattr("gipi.training.log.SHORTEST_PAUSE", -1.0)
    monkeypatch.setattr("gipi.training.log.SHARE", 1e9)
    y = X @ torch.tensor([1.0, -2.0, 0.5, 0.0])
    options = {**OPTIONS, "system": "linear", "optimizer": "sgd", "task": "regress", "epochs": 6, "lr": 3.0}
    whole = gipi.fit((X, y), **options, run=tmp_path / "whole")
    assert whole.record["faults"]

    class Cut(KeyboardInterrupt):
        pass

    def cut(step, losses):
        if step == 40:
            raise Cut

    display.step = cut
    with pytest.raises(Cut):
        gipi.fit((X, y), **options, run=tmp_path / "cut")
    del display.step
    resumed = gipi.resume(tmp_path / "cut", (X, y))
    assert resumed.record["faults"] == whole.record["faults"]
    assert [line["learner"] for line in resumed.steps] == [line["learner"] for line in whole.steps]


# --- batches in parts, and memory that runs out


def player_of(net, loss=F.cross_entropy, **options) -> Player:
    (player,) = learner(net, loss, lambda params: make("sgd", params, lr=0.1)).values()
    for name, value in options.items():
        setattr(player, name, value)
    return player


@pytest.mark.parametrize("parts", [2, 3, 7, 16, 40])
@pytest.mark.parametrize("has_weights", [False, True])
def test_a_batch_in_parts_has_the_same_gradient(parts, has_weights):
    from gipi import losses

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    batch = [X[:32].double(), Y[:32]]
    player = player_of(net, losses.cross_entropy)
    if has_weights:
        batch.append(torch.rand(32, dtype=torch.float64).round(decimals=1))
        player.count = lambda batch: batch[2].sum(-1)
    whole = player.evaluate(batch)
    player.parts = parts
    cut = player.evaluate(batch)
    assert torch.allclose(whole[0], cut[0], rtol=0, atol=1e-12)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(whole[1], cut[1], strict=True))


class Small:
    """An objective for which the memory suffices up to so many rows."""

    def __init__(self, objective, rows, error):
        self.objective, self.rows, self.error, self.calls = objective, rows, error, 0

    def __call__(self, batch):
        self.calls += 1
        if len(batch[0]) > self.rows:
            raise self.error
        return self.objective(batch)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: not enough memory: you tried"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_when_memory_runs_out_batches_are_cut(error):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    batch = (X[:32].double(), Y[:32])
    player = player_of(net)
    whole = player.evaluate(batch)
    player.objective = Small(player.objective, 10, error)
    cut = player.evaluate(batch)
    assert player.parts == 4
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(whole[1], cut[1], strict=True))
    player.evaluate(batch)
    assert player.objective.calls == 1 + 1 + 4 + 4  # whole, halves, quarters; and quarters at once from then on


def test_what_cannot_be_cut_says_so():
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    player = player_of(net)
    player.objective = Small(player.objective, 10, MemoryError())
    with pytest.raises(TrainingError, match=r"coupled.*--batch-size"):
        player.evaluate((X[:32], Y[:32]))
    single = player_of(nn.Linear(4, 2))
    single.objective = Small(single.objective, 0, MemoryError())
    with pytest.raises(TrainingError, match="does not hold a single row"):
        single.evaluate((X[:4], Y[:4]))
    with pytest.raises(UsageError, match=r"--parts 2 .*coupled"):
        prepared({"learner": player}, net, Arithmetic(), None, 2, True)


def test_other_errors_are_not_taken_for_it():
    player = player_of(nn.Linear(4, 2))
    player.objective = Small(player.objective, 0, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        player.evaluate((X[:4], Y[:4]))


def test_a_run_out_of_memory_goes_on_and_says_so(display, tmp_path):
    class Wide(nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.line = nn.Linear(*sizes.input, sizes.output)

        def forward(self, x):
            if self.training and len(x) > 9:
                raise MemoryError
            return self.line(x)

    usual = gipi.fit((X, Y), model=lambda sizes: nn.Linear(*sizes.input, sizes.output), **OPTIONS, run=tmp_path / "one")
    run = gipi.fit((X, Y), model=Wide, **OPTIONS, run=tmp_path / "two")
    assert any("each batch is worked through in 2 parts" in note for note in display.notes)
    losses = [[line["learner"] for line in one.steps] for one in (usual, run)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_option_parts_changes_nothing_but_rounding(tmp_path):
    options = {"system": "mlp", "dropout": 0.0, "epochs": 3, "quiet": True, "verdict": False, "precision": "float64"}
    whole = gipi.fit("iris", **options, run=tmp_path / "whole")
    cut = gipi.fit("iris", **options, parts=3, run=tmp_path / "cut")
    assert [s["learner"] for s in whole.steps] == pytest.approx([s["learner"] for s in cut.steps], rel=1e-9)
    assert json.loads((cut.path / "run.json").read_text())["options"]["parts"] == 3


def test_clipping_of_stacked_members_is_each_by_its_own_norm():
    torch.manual_seed(0)
    stacked = [torch.randn(3, 4, 2) * torch.tensor([0.01, 1, 100]).view(3, 1, 1), torch.randn(3, 2)]
    for member in range(3):
        own = clipped([tensor[member] for tensor in stacked], 1.0)
        together = [tensor[member] for tensor in clipped(stacked, 1.0, is_stacked=True)]
        assert all(torch.allclose(a, b, rtol=1e-6) for a, b in zip(own, together, strict=True))


FAULTY = {"system": "linear", "optimizer": "sgd", "task": "regress", "epochs": 6}


def dropping(sizes):
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(*sizes.input, sizes.output))


@pytest.mark.parametrize(
    ("lr", "cuts", "others"),
    [
        (1.2, [13], {}),
        (1.2, [16, 3], {}),
        (1.2, [21], {}),
        (1.2, [9, 5, 40], {}),
        (1.5, [5], {}),  # before the first look
        (1.0, [10], {"folds": 2}),
        (1.1, [16], {"model": dropping}),  # which draws
    ],
)
def test_resumed_in_the_epoch_of_a_fault_it_goes_back_as_far(lr, cuts, others, display, tmp_path, monkeypatch):
    """Killed between a look at validation and a fault: the last good state is still that of the look."""
    from kept import Cut, outcome

    monkeypatch.setattr("gipi.training.log.SHORTEST_PAUSE", -1.0)
    monkeypatch.setattr("gipi.training.log.SHARE", 1e9)
    data = X, X @ torch.tensor([1.0, -2.0, 0.5, 0.0])
    options = {**OPTIONS, **FAULTY, "lr": lr, **others}
    if "model" in options:
        del options["system"]
    whole = gipi.fit(data, **options, run=tmp_path / "whole")
    assert whole.record["faults"]
    verb = partial(gipi.fit, data, **options, run=tmp_path / "cut")
    for steps in cuts:
        seen = iter(range(1, steps + 1))

        def step(step, losses, seen=seen, last=steps):
            if next(seen) == last:
                raise Cut

        display.step = step
        with pytest.raises(Cut):
            verb()
        verb = partial(gipi.resume, tmp_path / "cut", data, **{k: v for k, v in others.items() if k == "model"})
    del display.step
    verb()
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
