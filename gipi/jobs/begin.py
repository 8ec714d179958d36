"""A member at its beginning: seeded by its number alone, its step size found if that is wanted, its threads chosen."""

import math
from dataclasses import replace
from typing import Any

from gipi.data.stream import generator
from gipi.jobs.job import Job
from gipi.messages import _
from gipi.training.chance import seed_all
from gipi.training.finder import find_step_size
from gipi.training.member import Member
from gipi.training.prepare import choose_threads


def seeded(job: Job, number: int) -> Member:
    """Build a member from its own seed, so that it does not depend on what was built before."""
    seed_all(_seed(job, number))
    return reseeded(job, job.build(number))


def _seed(job: Job, number: int) -> int:
    return generator(job.setting.options.seed, "member", number).initial_seed()


def reseeded(job: Job, member: Member) -> Member:
    """A member at its beginning: what its network drew, or who looked at it, does not decide what training draws."""
    seed_all(_seed(job, member.number) + 1)
    return member


def find_step_size_of(job: Job, display: Any) -> None:
    """`--lr auto`: look for the step size on training rows, say it, and train with it."""
    setting = job.setting
    setting.config = replace(setting.config, lr=1.0)
    member = seeded(job, 0)
    found = find_step_size(member.net, lambda schedule: job.players(member.net, schedule), member.stream)
    setting.config = replace(setting.config, lr=found.step_size)
    job.record["step_size_curve"] = found.curve
    job.algorithm = job.describe_algorithm()
    display.note(_("step size found: {size} (among {count} tried)", size=found.step_size, count=len(found.curve)))


def threads_for(job: Job, member: Member) -> int:
    """By what a batch costs: each weight of a layer is used once for each place of its output.

    Places are those of a picture `(C, H, W)`, or the members of a shared layer `(M, H)`.
    """
    work = 0
    for _name, shape, count in job.layers(member.net):
        places = 1
        if isinstance(shape, tuple):
            places = math.prod(shape[1:]) if len(shape) == 3 else math.prod(shape[:-1])
        work += (count or 0) * places
    return choose_threads(work * job.batch_size)
