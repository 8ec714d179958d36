"""What training leaves behind while it goes on: each step's numbers, checkpoints by the clock; and going on from them.

Losses stay on their device until they are drained, so a step never waits for a number. A checkpoint holds everything
that decides what comes next, so a killed run goes on to the same bits.
"""

import json
import math
import time
from collections.abc import Callable
from functools import reduce
from operator import add

import torch
from torch import Tensor

from gipi.errors import RunError, TrainingError
from gipi.messages import _
from gipi.training import chance, checkpoint
from gipi.training.checkpoint import Checkpoint
from gipi.training.folder import Folder
from gipi.training.member import Member, Progress

SHARE = 0.02  # of the time may be spent on saving
SHORTEST_PAUSE = 1.0  # seconds between two saves


class Diverged(TrainingError):  # noqa: N818  # says what happened, like KeyboardInterrupt
    """The loss is not a number any more, or grew beyond all bounds."""

    def __init__(self, step: int, player: str, loss: float):
        what = _(
            "training diverged at step {step}: the loss of the {player} is {loss}.",
            step=step,
            player=player,
            loss=f"{loss:.4g}",
        )
        super().__init__(what + " " + _("The step size is too large: try a tenth of it (--lr), or --lr auto."))


class Log:
    """What a training run leaves behind: the numbers, and the checkpoints by the clock. Without a folder: nothing.

    Call `restore` before a member trains, in the order of their numbers.

    Attributes:
        end: Bytes of metrics.jsonl that belong to the members before the one that is in training.
        is_repeat: The member's kept weights were damaged while later members already trained: it trains once more, and
            all that it logs is there already.
    """

    def __init__(self, folder: Folder | None, members: int = 1):
        self.folder = folder
        self.members = members
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.kept: list[str] = []  # the last two checkpoints, the newest last
        self.best = ""  # the file with the best weights so far
        self.saved_at = time.perf_counter()
        self.stood = 0.0  # seconds that training stood still for the last save
        self.end = 0
        self.is_repeat = False

    # --- going on

    def restore(self, member: Member) -> list[str]:
        """Bring a member to where it stands: its end, its newest whole checkpoint, or its beginning; gives remarks.

        Everything is copied in place: optimizers and streams hold on to their tensors.

        Raises:
            RunError: What was kept does not fit what the member is made of now.
        """
        if not self.folder:
            return []
        remarks = []
        self.is_repeat = False
        end = self.folder.checkpoints / f"member-{member.number:03d}.ckpt"
        if end.exists():
            try:
                held = Checkpoint(end, *checkpoint.read(end))
            except RunError as error:
                remarks.append(_("{problem}; it is trained again", problem=error))
            else:
                self.end = held.state["log"]
                _fitting(_take_ended, member, held)
                return self.folder.check_log(held.state)
        if self._is_behind(member.number):
            self.is_repeat = True
            return remarks
        held, damaged = checkpoint.newest(self.folder.checkpoints, f"step-{member.number:03d}-")
        remarks += damaged
        if held is None:
            remarks += self.folder.cut_log(self.end)
            return remarks
        _fitting(_take, member, held)
        remarks += self.folder.cut_log(held.state["log"])
        remarks += self.folder.check_log(held.state)
        remarks += getattr(member.stream, "notes", [])
        self.kept, self.best = [held.path.stem], ""  # the best is written anew: nobody has looked whether it is whole
        return remarks

    def _is_behind(self, number: int) -> bool:
        """Whether members after this one have trained already."""
        assert self.folder
        places = [path.stem.split("-")[1:2] for path in self.folder.checkpoints.glob("*-*.ckpt")]
        return any(place.isdigit() and int(place) > number for (place,) in places)

    # --- numbers

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        self.pending.append((step, losses))

    def drain(self, member: Member) -> None:
        """Read the losses that wait on the device, add them up, write them down, and notice what is not finite."""
        if not self.pending:
            return
        progress = member.progress
        places = [(step, name) for step, losses in self.pending for name in losses]
        values = torch.stack([loss for _step, losses in self.pending for loss in losses.values()]).tolist()
        self.pending = []
        by_name: dict[str, list[float]] = {}
        for (_step, name), value in zip(places, values, strict=True):
            by_name.setdefault(name, []).append(value)
        for name, own in by_name.items():
            # one after the other, not as `sum` adds them up: where a run was cut must not change the last bit
            progress.sums[name] = reduce(add, own, progress.sums.get(name, 0.0))
            progress.counts[name] = progress.counts.get(name, 0) + len(own)
            progress.first.setdefault(name, own[0])
        begin = f'{{"member":{member.number},"step":' if self.members > 1 else '{"step":'
        keys = {name: f",{json.dumps(name)}:" for name in by_name}
        if all(map(math.isfinite, values)):
            self._append([f"{begin}{step}{keys[name]}{v!r}}}" for (step, name), v in zip(places, values, strict=True)])
            return
        self._append([f"{begin}{step}{keys[n]}{json.dumps(v)}}}" for (step, n), v in zip(places, values, strict=True)])
        for (step, name), value in zip(places, values, strict=True):
            if not math.isfinite(value):
                raise Diverged(step, name, value)

    def record(self, member: Member, record: dict) -> None:
        """Write down how an epoch went."""
        extra = {"member": member.number} if self.members > 1 else {}
        self._append([json.dumps({**extra, **record})])

    def _append(self, lines: list[str]) -> None:
        if self.folder and not self.is_repeat:
            self.folder.append(lines)

    # --- checkpoints

    def is_due(self) -> bool:
        """Whether so much time has passed that a save is worth its cost; never while one is being written."""
        passed = time.perf_counter() - self.saved_at
        if self.folder is None or passed <= SHORTEST_PAUSE or self.folder.writer.is_busy():
            return False
        return passed > (self.stood + self.folder.writer.cost) / SHARE

    def save(self, member: Member) -> None:
        """Write a checkpoint of the member as it stands between two steps.

        What is large is written while training goes on; an error in that is raised by the next save.
        """
        self.drain(member)
        if not self.folder or self.is_repeat:
            return
        began = time.perf_counter()
        name = f"step-{member.number:03d}-{member.progress.step:010d}"
        files = self._best(member)
        tensors = {**member.tensors(), **{f"random.{place}": tensor for place, tensor in chance.tensors().items()}}
        if member.best is not None:
            tensors |= {f"best.{place}": tensor for place, tensor in member.best.items()}
        state = {
            "member": member.number,
            "progress": vars(member.progress),
            "stream": member.stream.state_dict(),
            "random": chance.json_state(),
            **self.folder.log_state(),
        }
        self.kept = [*[kept for kept in self.kept if kept != name][-1:], name]
        self.folder.keep([*files, (name, tensors, state)], {*self.kept, self.best})
        self.saved_at = time.perf_counter()
        self.stood = self.saved_at - began

    def _best(self, member: Member) -> list[tuple[str, dict[str, Tensor], dict]]:
        """The best weights so far as a file of their own, for whoever wants them, unless it is kept already.

        A checkpoint holds them too: no run is lost because two files are needed and one of them is damaged.
        """
        best = f"best-{member.number:03d}-{member.progress.best_step:010d}"
        if member.best is None or best == self.best:
            return []
        self.best = best
        return [(best, member.best, {"step": member.progress.best_step})]

    def finish(self, member: Member) -> None:
        """Keep the weights of a finished member; of its checkpoints the last two and the best stay."""
        self.drain(member)
        if not self.folder:
            return
        if self.is_repeat:
            end: dict = {"log": self.folder.end_in_log(member.number)}
        else:
            end = self.folder.log_state()
        state = {"member": member.number, "progress": vars(member.progress), **end}
        files: list = [(f"member-{member.number:03d}", member.net.state_dict(), state)]
        self.end = end["log"]
        if self.is_repeat:
            self.folder.keep(files, {path.stem for path in self.folder.checkpoints.glob("*.ckpt")})
        else:
            self.folder.keep([*files, *self._best(member)], {*self.kept, self.best})
            self.kept = []
        self.folder.writer.wait()


def _fitting(take: Callable[[Member, Checkpoint], None], member: Member, held: Checkpoint) -> None:
    """Take over what was kept; a network or an optimizer that has changed since is a mistake of whoever changed it."""
    try:
        take(member, held)
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        text = _(
            "{path} does not fit what the run is made of now: {reason}. Were the model, the optimizer or gipi changed"
            " since? Put them back, or begin a new run",
            path=held.path,
            reason=str(error).partition("\n")[0],
        )
        raise RunError(text) from error


def _take_ended(member: Member, held: Checkpoint) -> None:
    member.net.load_state_dict(held.tensors)
    member.progress = Progress(**held.state["progress"])


def _take(member: Member, held: Checkpoint) -> None:
    tensors, state = held.tensors, held.state
    with torch.no_grad():
        for name, tensor in member.tensors().items():
            if not name.startswith("player."):
                if tensor.shape != tensors[name].shape:
                    raise ValueError(f"{name} {tuple(tensors[name].shape)} -> {tuple(tensor.shape)}")
                tensor.copy_(tensors[name])
    for name, player in member.players.items():
        player.load(_under(f"player.{name}.", tensors))
    member.progress = Progress(**state["progress"])
    member.stream.load_state_dict(state["stream"])
    member.best = _under("best.", tensors) or None
    chance.set_tensors(_under("random.", tensors))
    chance.set_json_state(state["random"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is kept under a name, by the rest of its name."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
