"""Training a group of members, mostly one: the body of the `for` around the loop.

Here the run looks at validation once an epoch, keeps the best weights, stops early, notices divergence, logs, saves
by the clock, and stops between two steps when a key or a signal says so. Every decision is taken at a step number,
never at a time of day, except when to save; and saving changes nothing.

Where training goes wrong (a loss or gradient that is no number, a loss beyond all bounds) it goes back to the last good
state, which is kept in memory, and tries again with smaller steps, a few times.
"""

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from gipi.algorithms.optimizers import NotFinite
from gipi.messages import _
from gipi.signals import Stopped, between_steps
from gipi.training.distributed import Council
from gipi.training.group import SLOWER, Group
from gipi.training.log import Diverged, Fault, Log
from gipi.training.loop import fit
from gipi.training.member import Member

DRAIN = 100  # steps whose losses wait on the device before they are read: one synchronisation for all of them
BLOWN_UP = 1e4  # times the first loss (plus one) is not learning any more
RETRIES = 3  # with ever smaller steps, before a run is given up


class Watcher(Protocol):
    """What wants to see a training run: a display."""

    def note(self, text: str) -> None: ...

    def begin(self, total_steps: int, label: str) -> None: ...

    def step(self, step: int, losses: dict[str, Tensor]) -> None: ...

    def epoch(self, record: dict) -> None: ...

    def end(self, reason: str) -> None: ...


class Examiner(Protocol):
    """What looks into a training now and then, and changes nothing: the doctor."""

    due: int  # it wants to be called after this step

    def watched(self, group: Group) -> Iterator[Any]: ...

    def visit(self, step: int, losses: dict[str, Tensor], group: Group) -> dict[str, Any] | None: ...


def train(group: Group, display: Watcher, log: Log, label: str = "", examiner: Examiner | None = None) -> None:
    """Train a group to its end, from where it stands; afterwards its networks hold the weights to be kept.

    A group that has ended is left as it is. What the examiner sees is logged.

    Raises:
        Diverged: The loss or a gradient is not finite, or the loss has grown beyond bounds, whatever was tried; names
            the step. The last good state is saved.
        Stopped: A key or signal; the group is saved.
    """
    if group.is_finished:
        return
    display.begin(group.plan.steps, label)
    council = Council(log.ranks, group.step)
    with between_steps() as asked, log.ranks.watched():
        log.begin(group)
        while not group.is_finished:
            try:
                _train(group, display, log, asked, council, examiner)
            except Fault as fault:
                if log.good is None:  # its stream cannot go back
                    raise Diverged(fault, group.plan) from None
                log.go_back(group)
                if len(group.members[0].progress.faults) >= RETRIES:
                    log.save(group)
                    raise Diverged(fault, group.plan) from None
                _slow_down(group, fault, log, display)
        for member in group.members:
            take_best(member)
        log.finish(group)
        display.end(_common([member.progress.finished for member in group.members]))
        if stop := council.ends(asked):
            raise Stopped(stop)


def _train(
    group: Group, display: Watcher, log: Log, asked: list[int], council: Council, examiner: Examiner | None
) -> None:
    """From where the group stands to its end, or to a fault."""
    plan = group.plan
    began = time.perf_counter() - sum(member.progress.seconds for member in group.members)
    parts = group.parts()
    stream = examiner.watched(group) if examiner else group.stream
    try:
        for step, losses in fit(group.players, stream, plan.steps, group.after(), group.step):
            group.step = step + 1
            log.add(step, losses)
            if examiner and step >= examiner.due and (seen := examiner.visit(step, losses, group)):
                log.note_visit(group.members[0], seen)
            display.step(step, losses)
            is_look = group.step % plan.every == 0 or group.step == plan.steps
            is_late = False
            if is_look or group.step % DRAIN == 0:
                log.drain(group)
                if player := group.stuck():
                    raise Fault(step, player, "gradient", math.nan)
                is_late = plan.seconds is not None and log.ranks.first_says(time.perf_counter() - began) > plan.seconds
                if group.parts() != parts:
                    parts = _say_parts(group, display)
            if is_look or is_late:
                group.note(time.perf_counter() - began)
                _look_at_all(group, display, log)
                for member in group.learning if is_late else ():
                    member.progress.finished = "time"
                if group.is_finished:
                    return
                if group.step < plan.steps:
                    log.remember(group)
            stop, is_due = council.asks(group.step, asked, partial(log.is_due, group.step))
            if stop or is_due:
                group.note(time.perf_counter() - began)
                log.save(group)
            if stop:
                raise Stopped(stop)
    except NotFinite as error:
        raise _fault_of(error, group) from None
    for member in group.learning:
        member.progress.finished = "done"


def _look_at_all(group: Group, display: Watcher, log: Log) -> None:
    """Judge each member that still learns, and end those that need not go on, or cannot."""
    records = []
    for member in group.learning:
        record = _look(member)
        log.record(member, record)
        records.append(record)
        member.progress.finished = _reason_to_stop(member)
        if member.progress.finished and len(group.members) > 1 and member.best is None:
            with member.judged():
                member.best = member.weights()  # the others go on, and its slice with them
    display.epoch(_mean(records))


def _slow_down(group: Group, fault: Fault, log: Log, display: Watcher) -> None:
    """After going back: smaller steps from here, written down and said."""
    found = {"fault": fault.what, "step": fault.step, "player": fault.player, "from": group.step}
    for member in group.members:
        member.progress.faults.append(found)
        log.record(member, found)
    group.slow_down()
    text = _(
        "{fault} Back to step {step}, and on with steps {factor} times as large (try {number} of {most})",
        fault=fault.sentence(group.plan),
        step=group.step,
        factor=f"{SLOWER ** len(group.members[0].progress.faults):.2g}",
        number=len(group.members[0].progress.faults),
        most=RETRIES,
    )
    display.note(text)


def _fault_of(error: NotFinite, group: Group) -> Fault:
    """Whose gradient it was: that player has not played this step's number yet."""
    player = next(
        (name for name, one in group.players.items() if getattr(one, "optimizer", None) is error.args[0]),
        next(iter(group.players)),
    )
    return Fault(group.step, player, "gradient", math.nan)


def _say_parts(group: Group, display: Watcher) -> dict[str, int]:
    """Memory ran out, and batches are worked through in parts from now on."""
    parts = group.parts()
    text = _(
        "memory ran out at step {step}: each batch is worked through in {parts} parts from here; the gradient is the"
        " same, up to rounding and dropout's draws",
        step=group.step,
        parts=max(parts.values()),
    )
    display.note(text)
    return parts


def _mean(records: list[dict]) -> dict:
    """The records of several members as one, for a person who watches."""
    if len(records) == 1:
        return records[0]
    mean = dict(records[0])
    for part in ("train", "valid"):
        if part in mean:
            mean[part] = {name: sum(r[part][name] for r in records) / len(records) for name in mean[part]}
    return mean


def _common(reasons: list[str]) -> str:
    return reasons[0] if len(set(reasons)) == 1 else "done"


def take_best(member: Member) -> None:
    """Give the network the weights to be kept: the best so far, or, where nobody judges, the average."""
    if member.best is not None:
        member.net.load_state_dict(member.best)
    elif member.average:
        with member.judged():
            weights = member.weights()
        member.net.load_state_dict(weights)


def _look(member: Member) -> dict:
    """Judge the member and keep its weights if they are the best so far; gives the record of this epoch."""
    plan, progress = member.plan, member.progress
    means = {name: progress.sums[name] / progress.counts[name] for name in progress.sums}
    for name, mean in means.items():
        if abs(mean) > BLOWN_UP * (abs(progress.first[name]) + 1):
            raise Fault(progress.step - 1, name, "loss", mean)
    progress.sums, progress.counts = {}, {}
    record: dict = {"epoch": -(-progress.step // plan.every), "step": progress.step, "train": means}
    if member.step_size:
        record["step_size"] = member.step_size(progress.step - 1) * SLOWER ** len(progress.faults)
    if member.validate:
        modes = [(part, part.training) for part in member.net.modules()]  # a part may be frozen, and stays it
        member.net.eval()
        with member.judged(), torch.no_grad():
            record["valid"] = member.validate()
            score = record["valid"][plan.watch]
            sign = 1 if plan.higher else -1
            is_better = progress.best is None or sign * score > sign * progress.best
            if plan.patience == 0:  # whatever validation says, the last weights are kept
                progress.waited = 0
            elif is_better and math.isfinite(score):
                progress.best, progress.best_step, progress.waited = score, progress.step, 0
                member.best = member.weights()
            else:
                progress.waited += 1
        for part, mode in modes:
            part.training = mode
        record["is_best"] = progress.waited == 0
    record["seconds"] = round(progress.seconds, 4)
    progress.records = [*progress.records[-1:], record]
    return record


def _reason_to_stop(member: Member) -> str:
    """Why to stop before the last step, if there is a reason."""
    if member.plan.patience and member.progress.waited >= member.plan.patience:
        return "early"
    if all(mean == 0 for mean in member.progress.records[-1]["train"].values()):
        return "zero-loss"  # nothing is left to learn: the gradient is zero too
    return ""
