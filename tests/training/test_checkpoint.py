"""Checkpoints under a disk that fails and a file that is damaged: what was saved before is there, and is found."""

import errno
import hashlib
import os
import random
from pathlib import Path

import pytest
import torch
from disks import Disk
from kept import Cut, Watching, cut, outcome
from mutations import made, mutated, silent_loads
from safetensors.torch import load, save
from torch import nn

import gipi
from gipi.algorithms.optimizers import make
from gipi.data.stream import Stream
from gipi.errors import RunError
from gipi.run import Run
from gipi.training import checkpoint
from gipi.training.folder import Folder
from gipi.training.group import alone
from gipi.training.log import Log
from gipi.training.member import Member, Plan, Progress
from gipi.training.player import learner
from gipi.training.train import train

MUTATIONS = 300
FIT = {"system": "mlp", "hidden": (8,), "dropout": 0.2, "averaging": "ema", "threads": 1, "verdict": False}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(6, 4, generator=generator)
    return {
        "float": shared,
        "view": shared[1:3],
        "transposed": shared.T,
        "bytes": torch.arange(7, dtype=torch.uint8),
        "half": torch.randn(3, generator=generator).to(torch.bfloat16),
        "double": torch.randn(3, generator=generator, dtype=torch.float64),
        "scalar": torch.tensor(5),
        "nothing": torch.empty(0, 3),
    }


def test_what_is_written_is_read(tmp_path):
    state = {"step": 3, "losses": [0.1, 1 / 3, 1e-300, float("inf")], "한국어": ["줄", None, True]}
    checkpoint.write(tmp_path / "one.ckpt", tensors(), state)
    read, found = checkpoint.read(tmp_path / "one.ckpt")
    assert found == state
    assert read.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor), name
    assert [path.name for path in tmp_path.iterdir()] == ["one.ckpt"]


def test_damage_is_always_noticed(tmp_path):
    """And the checkpoint before is used, and it is said."""
    good, bad = tmp_path / "step-1.ckpt", tmp_path / "step-2.ckpt"
    checkpoint.write(good, tensors(), {"step": 1})
    checkpoint.write(bad, tensors(), {"step": 2})
    content = bad.read_bytes()
    draw = random.Random(0)
    tried = 0
    while tried < MUTATIONS:
        damaged = mutated(content, draw)
        if damaged == content:  # zeros were written over zeros
            continue
        tried += 1
        bad.write_bytes(damaged)
        found, remarks = checkpoint.newest(tmp_path, "step-")
        assert found is not None and found.path == good and found.state == {"step": 1}
        assert len(remarks) == 1 and str(bad) in remarks[0] and "damaged" in remarks[0]
    for end in range(0, len(content), max(1, len(content) // 100)):
        bad.write_bytes(content[:end])
        with pytest.raises(RunError, match="damaged"):
            checkpoint.read(bad)


def test_no_file_of_a_run_is_damaged_in_silence(tmp_path):
    """What the script of 10,000 mutations does, a little of it."""
    tried, silent = silent_loads(made(tmp_path / "run"), MUTATIONS, 1)
    assert not silent and len(tried) == 7


def test_tensors_are_as_safetensors_writes_them(tmp_path):
    checkpoint.write(tmp_path / "one.ckpt", tensors(), {"step": 1})
    read = load((tmp_path / "one.ckpt").read_bytes().partition(b"\n")[2])
    assert read.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor), name


def test_a_file_that_safetensors_wrote_is_read(tmp_path):
    """So were checkpoints written before."""
    body = save({name: tensor.clone().contiguous() for name, tensor in tensors().items()}, {"state": '{"step": 1}'})
    head = checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"
    (tmp_path / "one.ckpt").write_bytes(head + body)
    read, state = checkpoint.read(tmp_path / "one.ckpt")
    assert state == {"step": 1}
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors().items())


# --- a disk that fails


def member(seed: int = 0) -> Member:
    torch.manual_seed(seed)
    x = torch.randn(64, 3)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
    players = learner(net, nn.functional.mse_loss, lambda params: make("adam", params, lr=0.01))
    stream = Stream((x, x.sum(1, keepdim=True)), 16, seed)

    def validate() -> dict[str, float]:
        return {"loss": nn.functional.mse_loss(net(x), x.sum(1, keepdim=True)).item()}

    return Member(0, net, players, stream, Plan(6, 2), validate)


def weights(one: Member) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in one.net.state_dict().values())


def trained(folder: Folder | None, seed: int = 0) -> Member:
    one, log = member(seed), Log(folder)
    group = alone(one)
    log.restore(group)
    train(group, Watching(), log)
    return one


@pytest.fixture
def often(monkeypatch):
    """A checkpoint at each step."""
    monkeypatch.setattr("gipi.training.log.SHORTEST_PAUSE", -1.0)
    monkeypatch.setattr("gipi.training.log.SHARE", 1e9)


@pytest.mark.parametrize(("reason", "for_ever"), [(errno.EIO, False), (errno.ENOSPC, True)])
def test_whichever_write_fails_the_checkpoint_before_is_whole(for_ever, reason, often, tmp_path, monkeypatch):
    """The n-th write, fsync or rename refused, for every n: an error that names the file, and nothing lost."""
    with monkeypatch.context() as patched:
        folder = Folder.create(tmp_path / "whole", "whole")
        disk = Disk(patched)
        expected = weights(trained(folder))
        folder.close()
    assert disk.count > 50
    for number in range(1, disk.count + 1):
        path = tmp_path / str(number)
        folder = Folder.create(path, "cut")
        folder.write_record(status="running")
        saved: list[int] = []
        with monkeypatch.context() as patched:
            Disk(patched, number, for_ever, reason)
            real = Folder.save

            def save(self, name, tensors, state, real=real, saved=saved):
                real(self, name, tensors, state)
                if name.startswith("step"):
                    saved.append(state["step"])

            patched.setattr(Folder, "save", save)
            with pytest.raises(RunError, match=str(path)) as failed:
                trained(folder)
            assert os.strerror(reason) in str(failed.value)
            folder.close()
        found, remarks = checkpoint.newest(path / "checkpoints", "step-")
        assert not remarks
        steps = found.state["step"] if found else 0
        # if only the flush of the folder failed, what was being written is there as well
        assert steps - max(saved, default=0) in (0, 1), number
        with_rest = Folder.open(path)
        assert not list(path.rglob("*.part"))
        assert weights(trained(with_rest)) == expected, number
        with_rest.close()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85, 0.97])
def test_a_fit_on_a_disk_that_fills_up_goes_on_when_there_is_room(share, often, tmp_path, monkeypatch):
    options = {**FIT, "epochs": 4, "quiet": True}
    with monkeypatch.context() as patched:
        disk = Disk(patched)
        gipi.fit("iris", **options, run=tmp_path / "whole")
    with monkeypatch.context() as patched:
        Disk(patched, int(disk.count * share), for_ever=True)
        with pytest.raises(RunError, match="No space left on device"):
            gipi.fit("iris", **options, run=tmp_path / "cut")
    assert Run(tmp_path / "cut").status == "interrupted"  # for it cannot even be written that it failed
    gipi.resume(tmp_path / "cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


# --- what is kept, and what is damaged


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").iterdir()}


def test_the_last_two_and_the_best_are_kept_and_nothing_grows(often, tmp_path, monkeypatch):
    folder = Folder.create(tmp_path / "run", "run")
    sizes = []
    real = Log.save

    def save(self, group):
        real(self, group)
        (member,) = group.members
        sizes.append(len(names(folder.path)))
        steps = sorted(name for name in names(folder.path) if name.startswith("step"))
        step = member.progress.step
        assert [int(name[9:19]) for name in steps] == [*range(max(1, step - 1), step + 1)]
        best = [name for name in names(folder.path) if name.startswith("best")]
        assert best == ([f"best-000-{member.progress.best_step:010d}.ckpt"] if member.best else [])

    monkeypatch.setattr(Log, "save", save)
    one = trained(folder)
    assert len(sizes) == 6 and max(sizes) == 3
    best = f"best-000-{one.progress.best_step:010d}.ckpt"
    assert names(folder.path) == {"step-000-0000000005.ckpt", "step-000-0000000006.ckpt", best, "member-000.ckpt"}
    held, state = checkpoint.read(folder.checkpoints / best)
    assert state == {"step": one.progress.best_step}
    assert all(torch.equal(held[name], tensor) for name, tensor in one.net.state_dict().items())
    assert {path.name for path in folder.path.iterdir()} == {"run.lock", "checkpoints", "metrics.jsonl"}


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def stopped_at(watched, steps: int, folder: Path, **options) -> None:
    with pytest.raises(Cut):
        watched(Watching({steps: cut}), gipi.fit, "iris", **{**FIT, **options}, run=folder)


@pytest.fixture
def watched(monkeypatch):
    """Carry out with this display."""

    def watch(display, verb, *arguments, **options):
        monkeypatch.setattr("gipi.jobs.carry.choose", lambda *_arguments, **_options: display)
        return verb(*arguments, **options)

    return watch


@pytest.mark.parametrize("which", ["newest", "all", "best", "everything"])
def test_a_damaged_checkpoint_is_passed_over_and_said(which, often, watched, tmp_path):
    watched(Watching(), gipi.fit, "iris", **FIT, epochs=4, run=tmp_path / "whole")
    stopped_at(watched, 8, tmp_path / "cut", epochs=4)
    steps = sorted((tmp_path / "cut" / "checkpoints").glob("step-*"))
    best = [*(tmp_path / "cut" / "checkpoints").glob("best-*")]
    assert len(steps) == 2 and len(best) == 1
    damaged = {"newest": steps[1:], "all": steps, "best": best, "everything": steps + best}[which]
    for path in damaged:
        damage(path)
    display = Watching()
    watched(display, gipi.resume, tmp_path / "cut")
    said = [note for note in display.notes if "is damaged" in note]
    assert [path for path in steps if any(str(path) in note for note in said)] == [p for p in damaged if p in steps]
    assert display.seen == 12 - {"newest": 6, "all": 0, "best": 7, "everything": 0}[which]
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    for path in (tmp_path / "cut" / "checkpoints").glob("*.ckpt"):
        checkpoint.read(path)  # nothing damaged is left behind


FOLDS = {"folds": 3, "epochs": 3, "norm": "batch"}  # which keeps them from being trained at once


@pytest.mark.parametrize("which", [{0}, {1}, {0, 1}])
@pytest.mark.parametrize("again", [False, True])
def test_a_damaged_member_is_trained_again_and_the_others_are_kept(which, again, often, watched, tmp_path):
    """Also when the run is cut once more while it is."""
    watched(Watching(), gipi.fit, "iris", **FIT, **FOLDS, run=tmp_path / "whole")
    per_fold = Run(tmp_path / "whole").record["rows"]
    stopped_at(watched, 25, tmp_path / "cut", **FOLDS)
    each = 9
    assert per_fold and names(tmp_path / "cut") >= {"member-000.ckpt", "member-001.ckpt"}
    for number in which:
        damage(tmp_path / "cut" / "checkpoints" / f"member-{number:03d}.ckpt")
    if again:
        with pytest.raises(Cut):
            watched(Watching({4: cut}), gipi.resume, tmp_path / "cut")
    display = Watching()
    watched(display, gipi.resume, tmp_path / "cut")
    said = [note for note in display.notes if "trained again" in note]
    assert len(said) == len(which)
    assert display.seen == each * len(which) + 27 - 24
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_damaged_last_member_goes_on_from_its_checkpoint(often, watched, tmp_path, monkeypatch):
    watched(Watching(), gipi.fit, "iris", **FIT, epochs=4, run=tmp_path / "whole")
    with monkeypatch.context() as broken:

        def end(*_arguments):
            raise Cut

        broken.setattr("gipi.jobs.carry._finish", end)
        with pytest.raises(Cut):
            watched(Watching(), gipi.fit, "iris", **FIT, epochs=4, run=tmp_path / "cut")
    damage(tmp_path / "cut" / "checkpoints" / "member-000.ckpt")
    display = Watching()
    watched(display, gipi.resume, tmp_path / "cut")
    assert display.seen == 0 and any("trained again" in note for note in display.notes)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_log_that_lost_its_end_is_said(often, watched, tmp_path):
    stopped_at(watched, 8, tmp_path / "cut", epochs=4)
    (tmp_path / "cut" / "metrics.jsonl").write_bytes(b"")
    display = Watching()
    watched(display, gipi.resume, tmp_path / "cut")
    assert any("numbers are lost" in note for note in display.notes)


def test_progress_is_json():
    import json

    progress = Progress(step=3, sums={"learner": 0.1 + 0.2}, records=[{"train": {"learner": 1 / 3}}], finished="early")
    assert Progress(**json.loads(json.dumps(vars(progress)))) == progress
