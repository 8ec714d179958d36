"""Training one member of a run: the body of the `for` around the loop.

Here the run looks at validation once an epoch, keeps the best weights, stops early, notices divergence, logs, saves
by the clock, and stops between two steps when a key or a signal says so. Every decision is taken at a step number,
never at a time of day, except when to save; and saving changes nothing.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from gipi.training.distributed import Council
from gipi.training.log import Diverged, Log
from gipi.training.loop import fit, nothing
from gipi.training.member import Member

DRAIN = 100  # steps whose losses wait on the device before they are read: one synchronisation for all of them
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
BLOWN_UP = 1e4  # times the first loss (plus one) is not learning any more


class Watcher(Protocol):
    """What wants to see a training run: a display."""

    def begin(self, total_steps: int, label: str) -> None: ...

    def step(self, step: int, losses: dict[str, Tensor]) -> None: ...

    def epoch(self, record: dict) -> None: ...

    def end(self, reason: str) -> None: ...


class Stopped(KeyboardInterrupt):
    """A key or a signal ends the run; if it came while a member trained, that ended between two steps and is saved.

    A KeyboardInterrupt, so that nobody who catches exceptions takes it for a failure.
    """

    def __init__(self, signal_number: int):
        super().__init__(signal_number)
        self.signal_number = signal_number


def train(member: Member, display: Watcher, log: Log, label: str = "") -> None:
    """Train a member to its end, from where it stands; afterwards its network holds the weights to be kept.

    A member that has ended is left as it is.

    Raises:
        Diverged: The loss is not finite or has grown beyond bounds; names the step.
        Stopped: A key or signal; the member is saved.
    """
    plan, progress = member.plan, member.progress
    if progress.finished:
        return
    display.begin(plan.steps, label)
    after = member.after if not member.average else _both(member.after, member.average.update)
    began = time.perf_counter() - progress.seconds
    council = Council(log.ranks, progress.step)
    with _asked() as asked, log.ranks.watched():
        for step, losses in fit(member.players, member.stream, plan.steps, after, progress.step):
            progress.step = step + 1
            log.add(step, losses)
            display.step(step, losses)
            if progress.step % DRAIN == 0:
                log.drain(member)
            if progress.step % plan.every == 0 or progress.step == plan.steps:
                log.drain(member)
                progress.seconds = time.perf_counter() - began
                record = _look(member, progress.seconds)
                log.record(member, record)
                display.epoch(record)
                progress.finished = _reason_to_stop(member)
                if progress.finished:
                    break
            stop, is_due = council.asks(progress.step, asked, log.is_due)
            if stop or is_due:
                progress.seconds = time.perf_counter() - began
                log.save(member)
            if stop:
                raise Stopped(stop)
        progress.finished = progress.finished or "done"
        progress.seconds = time.perf_counter() - began
        take_best(member)
        log.finish(member)
        display.end(progress.finished)
        if stop := council.ends(asked):
            raise Stopped(stop)


def take_best(member: Member) -> None:
    """Give the network the weights to be kept: the best so far, or, where nobody judges, the average."""
    if member.best is not None:
        member.net.load_state_dict(member.best)
    elif member.average:
        with member.judged():
            weights = member.weights()
        member.net.load_state_dict(weights)


def _both(one: Callable[[int], None], other: Callable[[int], None]) -> Callable[[int], None]:
    if one is nothing:
        return other

    def both(step: int) -> None:
        one(step)
        other(step)

    return both


def _look(member: Member, seconds: float) -> dict:
    """Judge the member and keep its weights if they are the best so far; gives the record of this epoch."""
    plan, progress = member.plan, member.progress
    means = {name: progress.sums[name] / progress.counts[name] for name in progress.sums}
    for name, mean in means.items():
        if abs(mean) > BLOWN_UP * (abs(progress.first[name]) + 1):
            raise Diverged(progress.step, name, mean)
    progress.sums, progress.counts = {}, {}
    record: dict = {"epoch": -(-progress.step // plan.every), "step": progress.step, "train": means}
    if member.step_size:
        record["step_size"] = member.step_size(progress.step - 1)
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
    record["seconds"] = round(seconds, 4)
    progress.records = [*progress.records[-1:], record]
    return record


def _reason_to_stop(member: Member) -> str:
    """Why to stop before the last step, if there is a reason."""
    if member.plan.patience and member.progress.waited >= member.plan.patience:
        return "early"
    if all(mean == 0 for mean in member.progress.records[-1]["train"].values()):
        return "zero-loss"  # nothing is left to learn: the gradient is zero too
    return ""


@contextmanager
def _asked() -> Iterator[list[int]]:
    """Collect the first signal to end, so that a step is never torn; the second Ctrl-C ends at once."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    with _handled(ask):
        yield asked


@contextmanager
def stoppable() -> Iterator[None]:
    """Where nobody trains: a signal to end raises Stopped at once."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(number)

    with _handled(stop):
        yield


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal come to this handler, unless the process was started to ignore them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: held for number, held in before.items() if held not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, held in before.items():
            signal.signal(number, held)
