"""What is settled before the first step, by trying it: how the arithmetic is done, and what the run will take.

A choice made by stopwatch changes the last bits of the result, so it is made only before long runs of large networks,
stands in run.json, and is replayed on resume. Small networks have one thread, float32 and the usual layout, by rule.
"""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gipi.errors import UsageError
from gipi.jobs.begin import groups, seeded, threads_for, work_of
from gipi.jobs.job import Job
from gipi.messages import _
from gipi.report.display import Display
from gipi.report.text import duration, number
from gipi.training.folder import Folder
from gipi.training.loop import fit
from gipi.training.member import Member
from gipi.training.player import Player
from gipi.training.prepare import LARGE, Arithmetic, has_bf16, peak_memory, threads

LONG = 20  # steps; trying costs as much as three of them, and often halves what each takes
GAIN = 1.1  # times as fast, or the usual way stays
ALIKE = 0.9  # cosine between the gradients of float32 and bf16, or bf16 is not taken: two batches differ by far more
CLOSE = 0.02  # and the loss no further away than this part of it
FEWEST, LOOK = 3, 0.08  # times that a way is tried, and seconds that this takes together, at least
TRIAL = 8  # a part of the batch so small suffices for the comparison
PATIENCE = 0.15  # seconds that an estimate may take
COMPILING = 60.0  # seconds, about, that compiling takes: 20 to 35 for a ResNet-18 on two cores
STEP, SLOWEST = 1e-3, 1e9  # seconds that a step takes beside its multiplications, and how many a core does in a second
SHARE = 20  # times as long must the run be, or it is not tried


@dataclass(frozen=True)
class Cost:
    """What a run takes at most, by the first steps of a member that is thrown away.

    Attributes:
        seconds: Of training.
        memory: Bytes that the process has held at one time so far.
        rounds: Groups of members that train one after the other.
    """

    seconds: float
    memory: int
    rounds: int


def settled(folder: Folder | None) -> dict[str, Any]:
    """What was decided when the run began that goes on in this folder; nothing for a new one."""
    return {name: folder.record[name] for name in ("arithmetic", "steps", "limit")} if folder else {}


def settle(job: Job, first: Member, record: dict[str, Any], display: Display) -> tuple[Member, list[str]]:
    """Decide all that is decided by trying; gives the first member, built by what was decided, and what to say of it.

    Args:
        job: Its setting, its plan and its record are completed.
        first: The first member, as it was built.
        record: What `settled` gave.
        display: Is told what takes long; somebody may want to know what the run will take.

    Raises:
        UsageError: The network is to be compiled, and that is not possible here.
    """
    notes: list[str] = []
    setting, options = job.setting, job.setting.options
    usual = setting.arithmetic
    if record:
        setting.arithmetic = Arithmetic(**record["arithmetic"])
    else:
        setting.arithmetic = choose_arithmetic(job, first, notes)
    if options.threads:
        setting.arithmetic = replace(setting.arithmetic, threads=options.threads)
    if setting.arithmetic.compiled:
        _check_that_it_compiles(job, display)
    elif not record and options.compile == "auto" and _can_be_tried(job, first) and _may_be_long(job, first):
        setting.arithmetic = _compiled_where_it_pays(job, setting.arithmetic, display, notes)
    if replace(setting.arithmetic, threads=usual.threads) != usual:
        first = seeded(job, 0)
    plan = job.plan
    with threads(setting.arithmetic.threads):
        _settle_time(job, record, display.is_watched, notes)
    if job.plan != plan:  # the schedule depends on the steps
        job.algorithm = job.describe_algorithm()
        first = seeded(job, 0)
    job.record["arithmetic"] = asdict(setting.arithmetic)
    job.record["steps"], job.record["limit"] = job.plan.steps, job.plan.seconds
    return first, notes


# --- how the arithmetic is done ----------------------------------------------------------------------------------


def choose_arithmetic(job: Job, first: Member, notes: list[str]) -> Arithmetic:
    """By rule for what is small, by trying for what is large: precision, layout, threads."""
    setting = job.setting
    work = work_of(job, first)
    chosen = replace(setting.arithmetic, threads=setting.options.threads or threads_for(job, first))
    if work < LARGE or not _can_be_tried(job, first):
        return chosen
    trial = _Trial(job)
    best, seconds = chosen, trial.seconds(chosen)
    usual = seconds
    for other in _candidates(chosen, setting.options.precision, first.net, setting.device):
        took = trial.seconds(other)
        if took * GAIN < seconds and (other.precision == chosen.precision or trial.agrees(chosen, other)):
            best, seconds = other, took
    if setting.device.type == "cpu" and chosen.threads > 1 and not setting.options.threads:
        single = replace(best, threads=1)
        took = trial.seconds(single)
        if took <= seconds:  # the other cores are busy, or of no use here
            best, seconds = single, took
    if best != chosen:
        notes.append(
            _("tried: {what}, {factor} times as fast as usual", what=best.sentence(), factor=f"{usual / seconds:.1f}")
        )
    return best


def _can_be_tried(job: Job, first: Member) -> bool:
    """Whether a batch's evaluation can be repeated at will, and the run is long enough for it."""
    if not job.setting.ranks.is_alone:  # each rank's clock would say something else
        return False
    is_player = len(first.players) == 1 and all(isinstance(player, Player) for player in first.players.values())
    return job.is_repeatable and is_player and job.plan.steps >= LONG


def _candidates(chosen: Arithmetic, precision: str, net: nn.Module, device: torch.device) -> list[Arithmetic]:
    """What else could be done: pictures with their channels last, bf16 where the hardware has it and nobody chose."""
    has_pictures = any(isinstance(part, nn.Conv2d) for part in net.modules())
    others = [replace(chosen, channels_last=True)] if has_pictures else []
    if precision == "auto" and has_bf16(device):
        others += [replace(one, precision="bf16") for one in (chosen, *others)]
    return others


class _Trial:
    """The first member's first batch, a part of it, evaluated in several ways."""

    def __init__(self, job: Job):
        self.job = job
        self.found: dict[Arithmetic, list[Tensor]] = {}

    def seconds(self, way: Arithmetic, share: int = TRIAL) -> float:
        """What an evaluation of a part of the batch takes, at best of several; its results are remembered."""
        setting = self.job.setting
        before, setting.arithmetic = setting.arithmetic, way
        try:
            member = seeded(self.job, 0)  # the same weights, batch and draws each time
        finally:
            setting.arithmetic = before
        (player,) = member.players.values()
        assert isinstance(player, Player)
        batch = next(member.stream)
        few = tuple(part[: max(2, len(part) // share)] for part in batch)
        times: list[float] = []
        with threads(way.threads):
            loss, gradients = player.evaluate(few)
            self.found[way] = [loss, *gradients]
            _wait(loss)
            while len(times) < FEWEST or sum(times) < LOOK:  # a moment in which the machine was busy must not decide
                began = time.perf_counter()
                _wait(player.evaluate(few)[0])
                times.append(time.perf_counter() - began)
        return min(times)

    def agrees(self, one: Arithmetic, other: Arithmetic) -> bool:
        """Whether loss and gradient are so alike that training goes the same way."""
        (loss, *slope), (near, *tilted) = self.found[one], self.found[other]
        if abs(loss.item() - near.item()) > CLOSE * max(abs(loss.item()), CLOSE):
            return False
        flat, bent = (torch.cat([g.flatten().double() for g in gradients]) for gradients in (slope, tilted))
        return bool(nn.functional.cosine_similarity(flat, bent, dim=0) > ALIKE)


# --- whether to compile ------------------------------------------------------------------------------------------


def _may_be_long(job: Job, first: Member) -> bool:
    """Whether the run could be so long, on a machine that is slow, that it is worth while to look at the clock."""
    slowest = STEP + 3 * work_of(job, first) / SLOWEST  # the way back is two ways forward
    return slowest * job.plan.steps * job.members >= COMPILING * SHARE


def _compiled_where_it_pays(job: Job, usual: Arithmetic, display: Display, notes: list[str]) -> Arithmetic:
    """Before a run that takes many times as long as compiling does: compile, and keep the faster.

    The seconds are measured with whole batches: what is compiled is compiled for their size.
    """
    trial = _Trial(job)
    eager = trial.seconds(usual, share=1)
    if eager * job.plan.steps * job.members < COMPILING * SHARE:
        return usual
    display.work(_("compiling, to see whether it pays"), 0, None)
    compiled = replace(usual, compiled=True)
    try:
        seconds = trial.seconds(compiled, share=1)
    except Exception as error:  # whatever the compiler, or what it calls, has to say
        notes.append(_("not compiled: {reason}", reason=_first_line(error)))
        return usual
    if seconds * GAIN >= eager or not trial.agrees(usual, compiled):
        notes.append(_("compiling does not pay: {factor} times as fast", factor=f"{eager / seconds:.2f}"))
        return usual
    notes.append(_("compiled: {factor} times as fast", factor=f"{eager / seconds:.2f}"))
    return compiled


def _check_that_it_compiles(job: Job, display: Display) -> None:
    """One batch, before anything is written."""
    if not job.is_repeatable:
        return
    display.work(_("compiling"), 0, None)
    member = seeded(job, 0)
    batch = next(member.stream)
    try:
        for player in member.players.values():
            if isinstance(player, Player):
                player.evaluate(batch)
    except Exception as error:  # as above
        reason = _first_line(error)
        raise UsageError(
            _("the network cannot be compiled here: {reason}; leave --compile out", reason=reason)
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _wait(tensor: Tensor) -> None:
    """Until a GPU has come so far."""
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


# --- what the run will take --------------------------------------------------------------------------------------


def _settle_time(job: Job, record: dict[str, Any], is_watched: bool, notes: list[str]) -> None:
    """Say what the run will take, and make it as short as `--minutes` asks for."""
    minutes = job.setting.options.minutes
    if record:
        steps = record["steps"]
        job.plan = replace(job.plan, steps=steps, every=min(job.plan.every, steps), seconds=record["limit"])
        return
    if not job.is_repeatable or not job.setting.ranks.is_alone:
        job.plan = replace(job.plan, seconds=minutes and minutes * 60 / job.members)
        return
    if not minutes and not is_watched:
        return
    cost = estimate(job)
    job.plan = replace(job.plan, seconds=minutes and minutes * 60 / cost.rounds)
    if minutes and cost.seconds > minutes * 60:
        steps = max(1, int(job.plan.steps * minutes * 60 / cost.seconds))
        text = _(
            "{minutes} minutes are enough for {steps} of {most} steps",
            minutes=f"{minutes:g}",
            steps=number(steps),
            most=number(job.plan.steps),
        )
        notes.append(text)
        job.plan = replace(job.plan, steps=steps, every=min(job.plan.every, steps))
        cost = replace(cost, seconds=minutes * 60.0)
    text = _(
        "training takes {time} at most, by its first steps, and {memory} of memory so far",
        time=duration(cost.seconds),
        memory=f"{cost.memory / 1e9:.1f} GB",
    )
    notes.append(text)


def estimate(job: Job) -> Cost:
    """Train a group that is thrown away for a moment, and multiply."""
    group = next(groups(job))
    plan, count = group.plan, 0
    began = last = time.perf_counter()
    times = []
    for _step, losses in fit(group.players, group.stream, min(plan.steps, 20)):
        _wait(next(iter(losses.values())))
        now = time.perf_counter()
        times.append(now - last)
        last, count = now, count + 1
        if count > 2 and now - began > PATIENCE:
            break
    step = sorted(times[1:] or times)[len(times[1:]) // 2]  # the first is not like the others
    began = time.perf_counter()
    for member in group.members[:1]:
        if member.validate:
            member.net.eval()
            with torch.no_grad():
                member.validate()
    look = (time.perf_counter() - began) * len(group.members)
    rounds = -(-job.members // len(group.members))
    seconds = rounds * (step * plan.steps + look * (plan.steps // plan.every))
    return Cost(seconds, peak_memory(job.setting.device), rounds)
