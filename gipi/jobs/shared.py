"""A job that several processes carry out together: can it be, do they see the same data, what is a person told?"""

from gipi.errors import DataError, UsageError
from gipi.jobs.job import Job
from gipi.messages import _
from gipi.training.distributed import Ranks
from gipi.training.member import Member
from gipi.training.player import Player


def check_ranks(job: Job, is_resumed: bool) -> None:
    """Refuse what is not learned together, or not in shards.

    Raises:
        UsageError: Says what to leave out.
    """
    setting = job.setting
    if setting.ranks.is_alone:
        if setting.options.shard and not is_resumed:
            command = "torchrun --nproc-per-node 2 -m gipi fit ..."
            raise UsageError(_("--shard is for several processes; begin them with: {command}", command=command))
        return
    task = job.record["task"]
    if not job.can_be_shared:
        raise UsageError(_("the task {task} is learned in one process; begin it without torchrun", task=task))
    if not setting.is_sharded:
        return
    if not job.can_be_sharded:
        text = _(
            "--shard has no use for the task {task}: what fills the memory is not the weights, but what they make of"
            " pictures, and of that each process has its part of every batch anyway; leave it out",
            task=task,
        )
        raise UsageError(text)
    own = getattr(setting.config, "optimizer", None)
    if not isinstance(own, str) or own == "lbfgs":
        name = own if isinstance(own, str) else getattr(own, "__name__", type(own).__name__)
        raise UsageError(_("--shard does not go together with the optimizer {name}", name=name))
    if getattr(setting.config, "l2", 0):
        raise UsageError(_("--shard does not go together with --l2"))


def check_batches(rows: int, batch_size: int, ranks: Ranks) -> None:
    """Whether each process gets a row of every batch.

    Raises:
        UsageError: Batches are too small.
    """
    smallest = rows // -(-rows // batch_size)
    if smallest < ranks.size:
        text = _(
            "batches of {rows} rows cannot be shared among {size} processes; give a larger --batch-size",
            rows=smallest,
            size=ranks.size,
        )
        raise UsageError(text)


def check_same(job: Job) -> None:
    """Whether all processes see the same data in the same parts; they read it themselves.

    Raises:
        DataError: One of them sees other data.
    """
    own = [job.record.get("data"), job.record.get("split")]
    for rank, seen in enumerate(job.setting.ranks.each_says(own)):
        if seen != own:
            text = _(
                "process {rank} of {size} sees other data than this one; each reads it where it runs",
                rank=rank + 1,
                size=job.setting.ranks.size,
            )
            raise DataError(text)


def remarks_on(job: Job, member: Member) -> list[str]:
    """What a person should know of a training by several processes."""
    ranks = job.setting.ranks
    if ranks.is_alone:
        return []
    if job.setting.is_sharded:
        said = _("{size} processes train together; each holds a part of the model", size=ranks.size)
    else:
        said = _("{size} processes train together; each takes its part of every batch", size=ranks.size)
    players = [player for player in member.players.values() if isinstance(player, Player)]
    if all(player.splittable for player in players):
        return [said]
    return [said, _("batch norm looks at each process's part of a batch by itself: not quite what one process does")]
