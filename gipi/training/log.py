"""What training leaves behind while it goes on: each step's numbers, checkpoints by the clock; and going on from them.

Losses stay on their device until they are drained, so a step never waits for a number. A checkpoint holds everything
that decides what comes next, so a killed run goes on to the same bits.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce
from operator import add

import torch
from torch import Tensor

from gipi.errors import RunError, TrainingError
from gipi.messages import _
from gipi.training import chance, checkpoint
from gipi.training.checkpoint import Checkpoint
from gipi.training.distributed import ALONE, Ranks
from gipi.training.folder import Folder
from gipi.training.group import Group, beneath
from gipi.training.log_file import VISITS
from gipi.training.member import Member, Plan, Progress
from gipi.training.parallel import GOOD, Drawn, chances, drawn_by, handed_out, likeness, take_chances, whole
from gipi.training.tensors import bytes_of

SHARE = 0.02  # of the time may be spent on saving
SHORTEST_PAUSE = 1.0  # seconds between two saves
SPEED = 2**28  # bytes a second that saving is reckoned at until it has been measured; a disk is mostly faster
MOST_REMEMBERED = 2**31  # bytes: what is larger is not kept in memory a second time


class Fault(Exception):  # noqa: N818  # says what happened
    """Something went wrong at a step: a gradient or loss is not finite, or the loss grew beyond all bounds."""

    def __init__(self, step: int, player: str, what: str, value: float):
        super().__init__(step, player, what, value)
        self.step = step
        self.player = player
        self.what = what  # gradient or loss
        self.value = value

    def sentence(self, plan: Plan) -> str:
        epoch, batch = divmod(self.step, plan.every)
        where = {"step": self.step, "epoch": epoch + 1, "batch": batch + 1, "player": self.player}
        if self.what == "gradient":
            return _(
                "training diverged at step {step} (epoch {epoch}, batch {batch}): the gradient of the {player} is not"
                " finite.",
                **where,
            )
        return _(
            "training diverged at step {step} (epoch {epoch}, batch {batch}): the loss of the {player} is {loss}.",
            loss=f"{self.value:.4g}",
            **where,
        )


class Diverged(TrainingError):  # noqa: N818  # says what happened, like KeyboardInterrupt
    """The loss is not a number any more, or grew beyond all bounds, and smaller steps did not help."""

    def __init__(self, fault: Fault, plan: Plan):
        hint = _("The step size is too large: try a tenth of it (--lr), or --lr auto.")
        super().__init__(fault.sentence(plan) + " " + hint)


class Log:
    """What a training run leaves behind: the numbers, and the checkpoints by the clock. Without a folder: nothing.

    Of several ranks the first has the folder. All call the same here, because shards and generators are everybody's.

    Call `restore` before a member trains, in the order of their numbers.

    Attributes:
        end: Bytes of metrics.jsonl that belong to the members before the one that is in training.
        is_repeat: The group's kept weights were damaged while later members already trained: it trains once more, and
            all that it logs is there already.
        good: The last good state: tensors, the rest, and how long the log was then.
        drawn: And this process's random generators.
    """

    def __init__(self, folder: Folder | None, members: int = 1, ranks: Ranks = ALONE):
        self.folder = folder
        self.ranks = ranks
        self.members = members
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.kept: list[str] = []  # the last two checkpoints, the newest last
        self.best: dict[int, str] = {}  # the files with each member's best weights so far
        self.saved_at = time.perf_counter()
        self.stood = 0.0  # seconds that training stood still for the last save
        self.end = 0
        self.is_repeat = False
        self.good: tuple[dict[str, Tensor], dict, int] | None = None
        self.drawn: Drawn = ({}, {})

    # --- going on

    def restore(self, group: Group) -> list[str]:
        """Bring a group to where it stands: its end, its newest whole checkpoint, or its beginning; gives remarks.

        Everything is copied in place: optimizers and streams hold on to their tensors.

        Raises:
            RunError: What was kept does not fit what the member is made of now.
        """
        if not self.ranks.is_first:
            self.kept = []
            self._take(group, [], "")
            return []
        if not self.folder:
            return []
        remarks: list[str] = []
        self.is_repeat = False
        ends = [self.folder.checkpoints / f"member-{member.number:03d}.ckpt" for member in group.members]
        if all(end.exists() for end in ends):
            try:
                held = [Checkpoint(end, *checkpoint.read(end)) for end in ends]
            except RunError as error:
                remarks.append(_("{problem}; it is trained again", problem=error))
            else:
                self.end = held[-1].state["log"]
                self._take(group, held, "ended")
                return self.folder.check_log(held[-1].state)
        if self._is_behind(group.last):
            self._take(group, [], "again")
            return remarks
        newest, damaged = checkpoint.newest(self.folder.checkpoints, f"step-{group.first:03d}-")
        remarks += damaged
        remarks += self._take(group, [newest] if newest else [], "on")
        if newest is None:
            remarks += self.folder.cut_log(self.end)
            return remarks
        remarks += self.folder.cut_log(newest.state["log"])
        remarks += self.folder.check_log(newest.state)
        remarks += getattr(group.stream, "notes", [])
        self.kept = [newest.path.stem]
        return remarks

    def _take(self, group: Group, held: list[Checkpoint], what: str) -> list[str]:
        """Bring the group, on each rank, to where the first rank's checkpoints have it; gives remarks.

        Args:
            group: What is brought there.
            held: What the first rank has read: each member's end, or the group's newest, or nothing.
            what: ended, again or on; the first rank says it.
        """
        what = self.ranks.first_says(what)
        self.is_repeat = what == "again"
        self.good = None
        self.best = {}  # they are written anew: nobody has looked whether those that are there are whole
        like = likeness(group.tensors(), group.members[0].net)
        if what == "ended":
            for number, member in enumerate(group.members):
                own = handed_out(held[number] if held else None, like, self.ranks)
                assert own
                _fitting(own, lambda member=member, own=own: _take_ended(member, own))
        elif what == "on" and (newest := handed_out(held[0] if held else None, like, self.ranks)):
            _fitting(newest, lambda: group.load(newest.tensors, newest.state))
            self._take_good(newest)
            return take_chances(newest, self.ranks)
        return []

    def _is_behind(self, number: int) -> bool:
        """Whether members after this one have trained already."""
        assert self.folder
        places = [path.stem.split("-")[1:2] for path in self.folder.checkpoints.glob("*-*.ckpt")]
        return any(place.isdigit() and int(place) > number for (place,) in places)

    def _take_good(self, held: Checkpoint) -> None:
        """The last good state, as the process had it that wrote the checkpoint; else the checkpoint itself is it."""
        state, tensors = held.state.get("good"), beneath(GOOD, held.tensors)
        if state and self.ranks.size <= 1 + len(state["others"]):  # else one of them was not there, and all begin here
            drawn = drawn_by(self.ranks, tensors, state)
            assert drawn
            self.good, self.drawn = (tensors, state, state["log"]), drawn

    # --- going back

    def begin(self, group: Group) -> None:
        """Training begins, or goes on: there is a state to go back to, and a guess at what a save costs."""
        if self.good is None:
            self.remember(group)
        if not self.stood:
            self.stood = bytes_of(group.tensors()) / SPEED

    def remember(self, group: Group) -> None:
        """Keep the group's state in memory, as the last good one."""
        self.good = None
        if not getattr(group.stream, "can_resume", True):
            return
        tensors = group.tensors()
        if sum(tensor.nbytes for tensor in tensors.values()) > MOST_REMEMBERED:
            return
        place = self.folder.log_place() if self.folder and not self.is_repeat else 0
        self.good = {name: tensor.detach().clone() for name, tensor in tensors.items()}, group.state(), place
        self.drawn = chance.tensors(), chance.json_state()

    def go_back(self, group: Group) -> None:
        """Bring the group to its last good state; what was logged since is forgotten."""
        assert self.good
        tensors, state, place = self.good
        faults = group.members[0].progress.faults
        self.pending = []
        group.load(tensors, state)
        chance.set_tensors(self.drawn[0])
        chance.set_json_state(self.drawn[1])
        for member in group.members:
            member.progress.faults = [*faults]
        if self.folder and not self.is_repeat:
            self.folder.cut_log(place)
        for member in group.members:
            for fault in faults:
                if fault["from"] == group.step:  # of an earlier try from here
                    self.record(member, fault)

    # --- numbers

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        self.pending.append((step, losses))

    def drain(self, group: Group) -> None:
        """Read the losses that wait on the device, add them up, write them down, and notice what is not finite.

        Raises:
            Fault: A loss is not finite.
        """
        if not self.pending:
            return
        places = [(step, name) for step, losses in self.pending for name in losses]
        values = torch.stack([loss for _step, losses in self.pending for loss in losses.values()]).tolist()
        self.pending = []
        columns = list(zip(*values, strict=True)) if len(group.members) > 1 else [values]
        written, faults = [], []
        for member, own in zip(group.members, columns, strict=True):
            if not member.progress.finished:
                written.append(self._lines(member, places, own))
                bad = [(step, name, v) for (step, name), v in zip(places, own, strict=True) if not math.isfinite(v)]
                faults += [Fault(step, name, "loss", value) for step, name, value in bad[:1]]
        self._append([line for lines in zip(*written, strict=True) for line in lines])  # step by step
        if faults:
            raise min(faults, key=lambda fault: fault.step)

    def _lines(self, member: Member, places: list[tuple[int, str]], values: Sequence[float]) -> list[str]:
        """A member's losses, added up, as lines for the log."""
        progress = member.progress
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
        said = repr if all(map(math.isfinite, values)) else json.dumps
        return [f"{begin}{step}{keys[name]}{said(v)}}}" for (step, name), v in zip(places, values, strict=True)]

    def record(self, member: Member, record: dict) -> None:
        """Write down how an epoch went."""
        extra = {"member": member.number} if self.members > 1 else {}
        self._append([json.dumps({**extra, **record})])

    def note_visit(self, member: Member, seen: dict) -> None:
        """Write down what was seen on a look into the training, in a file of its own: it is not what training is."""
        if self.folder and not self.is_repeat:
            with suppress(OSError), open(self.folder.path / VISITS, "a", encoding="utf-8") as file:
                file.write(json.dumps({"member": member.number, "visit": seen}) + "\n")

    def _append(self, lines: list[str]) -> None:
        if self.folder and not self.is_repeat:
            self.folder.append(lines)

    # --- checkpoints

    def is_due(self, step: int) -> bool:
        """Whether so much time has passed that a save is worth its cost; never while one is being written.

        A save just after a look at validation holds one state, any other two; it waits for a look that is near.
        """
        passed = time.perf_counter() - self.saved_at
        if self.ranks.is_alone and self.good and self.good[1]["step"] != step:
            passed /= 2
        if self.folder is None or passed <= SHORTEST_PAUSE or self.folder.writer.is_busy():
            return False
        return passed > (self.stood + self.folder.writer.cost) / SHARE

    def save(self, group: Group) -> None:
        """Write a checkpoint of the group as it stands between two steps.

        What is large is written while training goes on; an error in that is raised by the next save.
        """
        self.drain(group)
        if (not self.folder and self.ranks.is_alone) or self.is_repeat:
            return
        began = time.perf_counter()
        name = f"step-{group.first:03d}-{group.step:010d}"
        files = self._best(group)
        tensors = whole(group.tensors(), self.ranks)
        random, (own, *others) = chances(self.ranks)
        good, good_state = self._good(group)
        if not self.folder:
            return
        state = {**group.state(), "random": own, "others": others, "good": good_state, **self.folder.log_state()}
        self.kept = [*[kept for kept in self.kept if kept != name][-1:], name]
        self.folder.keep([*files, (name, {**tensors, **random, **good}, state)], {*self.kept, *self.best.values()})
        self.saved_at = time.perf_counter()
        self.stood = self.saved_at - began

    def _good(self, group: Group) -> tuple[dict[str, Tensor], dict | None]:
        """The state that a fault would go back to, for the same checkpoint, unless it is the one that is saved."""
        if self.good is None or self.good[1]["step"] == group.step:
            return {}, None
        tensors, state, place = self.good
        random, (own, *others) = chances(self.ranks, self.drawn)
        named = {f"{GOOD}{name}": tensor for name, tensor in {**whole(tensors, self.ranks), **random}.items()}
        return named, {**state, "random": own, "others": others, "log": place}

    def _best(self, group: Group) -> list[tuple[str, dict[str, Tensor], dict]]:
        """Each member's best weights so far as a file of its own, for whoever wants it, unless it is kept already.

        A checkpoint holds them too: no run is lost because two files are needed and one of them is damaged.
        """
        found = []
        for member in group.members:
            name = f"best-{member.number:03d}-{member.progress.best_step:010d}"
            if member.best is not None and name != self.best.get(member.number):
                self.best[member.number] = name
                found.append((name, whole(member.best, self.ranks), {"step": member.progress.best_step}))
        return found

    def finish(self, group: Group) -> None:
        """Keep the weights of finished members; of their checkpoints the last two and the best stay."""
        self.drain(group)
        self.good = None
        weights = [whole(member.net.state_dict(), self.ranks) for member in group.members]
        if not self.folder:
            if not (self.ranks.is_alone or self.is_repeat):
                self._best(group)
            return
        files = []
        for member, own in zip(group.members, weights, strict=True):
            end = {"log": self.folder.end_in_log(member.number)} if self.is_repeat else self.folder.log_state()
            state = {"member": member.number, "progress": vars(member.progress), **end}
            files.append((f"member-{member.number:03d}", own, state))
            self.end = end["log"]
        if self.is_repeat:
            self.folder.keep(files, {path.stem for path in self.folder.checkpoints.glob("*.ckpt")})
        else:
            best = self._best(group)
            self.folder.keep([*files, *best], {*self.kept, *self.best.values()})
            self.kept, self.best = [], {}
        self.folder.writer.wait()


def _fitting(held: Checkpoint, take: Callable[[], None]) -> None:
    """Take over what was kept; a network or an optimizer that has changed since is a mistake of whoever changed it."""
    try:
        take()
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
