"""What training leaves behind while it goes on: each step's numbers, checkpoints by the clock; and going on from them.

Losses stay on their device until they are drained, so a step never waits for a number. A checkpoint holds everything
that decides what comes next, so a killed run goes on to the same bits.
"""

import json
import math
import time

import torch
from torch import Tensor

from gipi.errors import TrainingError
from gipi.messages import _
from gipi.training import checkpoint
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
    """What a training run leaves behind: the numbers, and the checkpoints by the clock. Without a folder: nothing."""

    def __init__(self, folder: Folder | None, members: int = 1):
        self.folder = folder
        self.members = members
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.kept: list[tuple[str, str]] = []  # (checkpoint, the best it refers to), the newest last
        self.saved_at = time.perf_counter()
        self.pause = SHORTEST_PAUSE

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        self.pending.append((step, losses))

    def drain(self, member: Member) -> None:
        """Read the losses that wait on the device, add them up, write them down, and notice what is not finite."""
        if not self.pending:
            return
        progress = member.progress
        names = [(step, name) for step, losses in self.pending for name in losses]
        values = torch.stack([loss for _step, losses in self.pending for loss in losses.values()]).tolist()
        self.pending = []
        extra = f'"member":{member.number},' if self.members > 1 else ""
        lines = []
        for (step, name), value in zip(names, values, strict=True):
            progress.sums[name] = progress.sums.get(name, 0.0) + value
            progress.counts[name] = progress.counts.get(name, 0) + 1
            progress.first.setdefault(name, value)
            lines.append(f'{{{extra}"step":{step},"{name}":{_json_number(value)}}}')
        if self.folder:
            self.folder.append(lines)
        for (step, name), value in zip(names, values, strict=True):
            if not math.isfinite(value):
                raise Diverged(step, name, value)

    def record(self, member: Member, record: dict) -> None:
        if self.folder:
            extra = {"member": member.number} if self.members > 1 else {}
            self.folder.append([json.dumps({**extra, **record})])

    def is_due(self) -> bool:
        """Whether so much time has passed that a save is worth its cost."""
        return self.folder is not None and time.perf_counter() - self.saved_at > self.pause

    def save(self, member: Member) -> None:
        """Write a checkpoint of the member as it stands between two steps."""
        self.drain(member)
        if not self.folder:
            return
        began = time.perf_counter()
        name = f"step-{member.number:03d}-{member.progress.step:010d}"
        best = ""
        if member.best is not None:
            best = f"best-{member.number:03d}-{member.progress.best_step:010d}"
            if best not in {kept_best for _kept, kept_best in self.kept}:
                self.folder.save(best, member.best, {"step": member.progress.best_step})
        tensors = {**member.tensors(), "random": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        state = {
            "member": member.number,
            "progress": vars(member.progress),
            "stream": member.stream.state_dict(),
            "best": best,
            "log": self.folder.log_size(),
        }
        self.folder.save(name, tensors, state)
        self.kept = [*self.kept[-1:], (name, best)]
        self.folder.prune({file for pair in self.kept for file in pair})
        self.saved_at = time.perf_counter()
        self.pause = max(SHORTEST_PAUSE, (self.saved_at - began) / SHARE)

    def finish(self, member: Member) -> None:
        """Keep the weights of a finished member; its checkpoints are not needed any more."""
        self.drain(member)
        if not self.folder:
            return
        state = {"member": member.number, "progress": vars(member.progress), "log": self.folder.log_size()}
        self.folder.save(f"member-{member.number:03d}", member.net.state_dict(), state)
        best = f"best-{member.number:03d}-{member.progress.best_step:010d}"
        if member.best is not None:
            self.folder.save(best, member.best, {"step": member.progress.best_step})
        self.kept = [pair for pair in self.kept if pair[0].startswith(f"step-{member.number:03d}")]
        self.folder.prune({file for pair in self.kept for file in pair} | {best})


def _json_number(value: float) -> str:
    return repr(value) if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")


def restore(member: Member, folder: Folder) -> list[str]:
    """Bring a member to its newest whole checkpoint, or leave it at its beginning; gives remarks on damaged ones.

    Everything is copied in place: optimizers and streams hold on to their tensors.
    """
    path, remarks = checkpoint.newest(folder.checkpoints, f"step-{member.number:03d}-")
    if path is None:
        return remarks
    tensors, state = checkpoint.read(path)
    with torch.no_grad():
        for name, tensor in member.tensors().items():
            if not name.startswith("player."):
                tensor.copy_(tensors[name])
    for name, player in member.players.items():
        prefix = f"player.{name}."
        player.load({key.removeprefix(prefix): held for key, held in tensors.items() if key.startswith(prefix)})
    member.progress = Progress(**state["progress"])
    member.stream.load_state_dict(state["stream"])
    if state["best"]:
        member.best, _step = checkpoint.read(folder.checkpoints / f"{state['best']}.ckpt")
    torch.set_rng_state(tensors["random"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    folder.cut_log(state["log"])
    return remarks


def finished_member(folder: Folder, number: int) -> tuple[dict[str, Tensor], Progress, int] | None:
    """The kept weights of a member that has ended, its progress, and where its log ends; None if it has not."""
    path = folder.checkpoints / f"member-{number:03d}.ckpt"
    if not path.exists():
        return None
    weights, state = checkpoint.read(path)
    return weights, Progress(**state["progress"]), state["log"]
