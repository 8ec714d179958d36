"""Members at their beginning: seeded by their numbers alone, those that can train at once put together.

Also what is found out before the first step: a step size if that is wanted, how many threads.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gipi.data.stream import generator
from gipi.jobs.job import Job, multiplications
from gipi.messages import _
from gipi.training.chance import seed_all
from gipi.training.finder import find_step_size
from gipi.training.group import MOST, Group, alone, can_join, together
from gipi.training.member import Member
from gipi.training.prepare import choose_threads

WORTH = 5000  # steps of others that a member takes along: putting members together takes half a second at first


def seeded(job: Job, number: int) -> Member:
    """Build a member from its own seed, so that it does not depend on what was built before."""
    seed_all(_seed(job, number))
    return reseeded(job, job.build(number))


def _seed(job: Job, number: int) -> int:
    return generator(job.setting.options.seed, "member", number).initial_seed()


def reseeded(job: Job, member: Member) -> Member:
    """A member at its beginning: what its network drew, or who looked at it, does not decide what training draws.

    Each rank draws its own: they see different rows.
    """
    seed_all(_seed(job, member.number) + 1 + job.setting.ranks.rank)
    return member


def groups(job: Job, first: Member | None = None) -> Iterator[Group]:
    """The members, in the order of their numbers; neighbours that are alike and small train at once.

    Args:
        job: What is to be done.
        first: The first member, if it was built already.
    """
    number = 0
    while number < job.members:
        member = first if first and number == 0 else seeded(job, number)
        count = 1
        if job.setting.ranks.is_alone and not job.setting.arithmetic.compiled and can_join(member):
            alike = [job.alike(other) == job.alike(number) for other in range(number, min(job.members, number + MOST))]
            count = [*alike, False].index(False)
            count = count if (count - 1) * member.plan.steps >= WORTH else 1
        members = [member, *(seeded(job, other) for other in range(number + 1, number + count))]
        group = together(members) if count > 1 else alone(member)
        reseeded(job, member)
        yield group
        number += count


def label_of(job: Job, group: Group) -> str:
    """What to call a group: its member's name, or how many they are."""
    if len(group.members) == 1:
        return job.label(group.first)
    return _("{count} members at once", count=len(group.members))


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
    """By what a batch costs; the processes on a machine share its cores."""
    ranks = job.setting.ranks
    return max(1, choose_threads(work_of(job, member) // ranks.size) // ranks.local_size)


def work_of(job: Job, member: Member) -> int:
    """Multiplications of a batch's way forward."""
    return multiplications(job.layers(member.net)) * job.batch_size
