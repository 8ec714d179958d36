"""Several processes that train one model together: how they meet, agree, miss one another, and part.

`joined()` gives the Ranks of a process: alone, or one of those that torchrun, srun or Ray started. Everything on them
is passed along in that object. The first rank decides what is not arithmetic, and it alone draws, writes and prints.
"""

# pyright: reportPrivateImportUsage=false
# torch names its stores in torch.distributed, and does not list them

import datetime
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gipi.errors import DataError, RunError, TrainingError, UsageError
from gipi.launch import meeting_point, place
from gipi.messages import _
from gipi.training import heartbeat
from gipi.training.heartbeat import End, Heartbeat

Said = TypeVar("Said")

MEETING = datetime.timedelta(minutes=5)  # until all processes must have come
EXCHANGE = datetime.timedelta(hours=1)  # of one exchange: the first may be writing; who died is known by the heartbeat
BETWEEN = 0.5  # seconds between two agreements on whether to stop or to save
KINDS = {kind.__name__: kind for kind in (DataError, RunError, TrainingError, UsageError)}
BROKEN = re.compile(r"gloo|NCCL|Connection (closed|reset|refused)|Broken pipe|[Tt]imed? ?out")


class Lost(TrainingError):  # noqa: N818  # says what happened
    """Another process of this training died, or failed in a way of its own.

    Attributes:
        missing: The ranks that do not answer.
    """

    missing: Sequence[int] = ()


@dataclass(eq=False)
class Ranks:
    """One of the processes that train together.

    Attributes:
        rank: Its number; 0 is the first.
        size: How many there are.
        local: Its number on its machine, which is its GPU's too.
        local_size: How many there are on its machine.
        run: The run's folder, once there is one.
        pulse: Its signs of life; None if it is alone.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1
    run: str = ""
    pulse: Heartbeat | None = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def device_name(self, wanted: str) -> str:
        """Each process has a device of its own: `cuda` is the GPU with its local number.

        Raises:
            UsageError: There are not so many.
        """
        if self.is_alone:
            return wanted
        kind = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
        if kind == "cpu":
            return kind
        if kind != "cuda":
            text = _(
                "each of the {size} processes has a device of its own: --device cpu or cuda, not {device}",
                size=self.size,
                device=wanted,
            )
            raise UsageError(text)
        if self.local >= torch.cuda.device_count():
            text = _(
                "{processes} processes on this machine, and {devices} GPUs; start as many as there are, or give"
                " --device cpu",
                processes=self.local_size,
                devices=torch.cuda.device_count(),
            )
            raise UsageError(text)
        torch.cuda.set_device(self.local)
        return f"cuda:{self.local}"

    # --- words

    def first_says(self, what: Said) -> Said:
        """What the first rank says, on all of them."""
        if self.is_alone:
            return what
        held = [what if self.is_first else None]
        dist.broadcast_object_list(held)
        return held[0]  # type: ignore[return-value]

    def each_says(self, what: Said) -> list[Said]:
        """What each rank says, on all of them."""
        if self.is_alone:
            return [what]
        held: list[Any] = [None] * self.size
        dist.all_gather_object(held, what)
        return held

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """The largest that any rank says, number by number."""
        if self.is_alone:
            return [*numbers]
        held = torch.tensor(numbers, dtype=torch.int64)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        return held.tolist()

    def first_is_done(self) -> None:
        """Wait until the first rank has done what it does alone."""
        if self.pulse and not self.is_first:
            end = self.pulse.end_of_first(heartbeat.SILENCE)
            if end.is_trouble:
                raise self._again(0, end)
            if end.kind != "left":
                raise Lost(self.sentence([0]))

    def first_sends(self, tensor: Tensor) -> Tensor:
        """The first rank's tensor, on the CPU of all; on the others `tensor` has the shape and type that will come."""
        tensor = tensor.detach().cpu().contiguous()
        if not self.is_alone and tensor.numel():
            dist.broadcast(tensor.reshape(-1).view(torch.uint8), 0)
        return tensor

    # --- agreement

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """What goes wrong inside on one rank goes wrong on all. Inside, the ranks do not speak to each other."""
        trouble: Exception | None = None
        try:
            yield
        except Exception as error:
            if self.is_alone:
                raise
            trouble = error
        found = self.each_says(None if trouble is None else (type(trouble).__name__, str(trouble)))
        if trouble:
            raise trouble
        for rank, said in enumerate(found):
            if said:
                raise self._again(rank, End(*said))

    def _again(self, rank: int, end: End) -> ValueError:
        """Another rank's error, as this one's."""
        kind = KINDS.get(end.kind, Lost)
        text = end.text if kind is not Lost else f"{end.kind}: {end.text}"
        return kind(_("process {rank} of {size}: {problem}", rank=rank + 1, size=self.size, problem=text))

    def sentence(self, missing: list[int], end: End | None = None) -> str:
        """What is said when processes are missing."""
        if end:
            said = f"{end.kind}: {end.text}"
        elif missing:
            said = _(
                "process {numbers} of {size} (rank {ranks}) died or does not answer any more",
                numbers=", ".join(str(rank + 1) for rank in missing),
                size=self.size,
                ranks=", ".join(map(str, missing)),
            )
        else:
            said = _("the {size} processes have lost one another", size=self.size)
        if not self.run:
            return said
        command = f"torchrun --nproc-per-node {self.local_size} -m gipi resume {self.run}"
        return said + "; " + _("what was saved is kept. Go on with: {command}", command=command)

    def explained(self, error: Exception) -> Exception:
        """An exchange that failed, as what it means: who is missing. Any other error is left as it is."""
        is_broken = isinstance(error, dist.DistError) or (type(error) is RuntimeError and BROKEN.search(str(error)))
        if not is_broken or not self.pulse:
            return error
        missing, trouble = self.pulse.roll_call()
        if trouble:
            return self._again(*trouble)
        found = Lost(self.sentence(missing))
        found.missing = missing
        if 0 in missing and self.rank == min(set(range(self.size)) - {*missing}):
            print(f"gipi: {found}", file=sys.stderr)
        return found

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While they train: an exchange that fails, or never ends, is said as what it means."""
        if not self.pulse:
            yield
            return

        def guard(missing: list[int], trouble: End | None) -> str:
            return f"gipi: {self.sentence(missing, trouble)}\n"

        self.pulse.guard = guard
        try:
            yield
        except Exception as error:
            said = self.explained(error)
            if said is error:
                raise
            raise said from error
        finally:
            self.pulse.guard = None


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that were started together meet, and part in the end, the first one first.

    Raises:
        RunError: They do not meet.
    """
    here = place()
    if here.size == 1:
        yield Ranks()
        return
    if dist.is_initialized():
        raise UsageError(_("torch.distributed is in use already; gipi joins the processes itself"))
    ranks = Ranks(*here)
    try:
        store = _store(ranks)
        pulse = Heartbeat(store, ranks.rank, ranks.size)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        pulse.meet(MEETING)
        group = dist.PrefixStore(f"{pulse.name}/group", store)
        dist.init_process_group(backend, store=group, rank=ranks.rank, world_size=ranks.size, timeout=EXCHANGE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(_("the {size} processes do not meet: {reason}", size=ranks.size, reason=reason)) from error
    ranks.pulse = pulse
    pulse.start()
    try:
        yield ranks
    except BaseException as error:
        said = ranks.explained(error) if isinstance(error, Exception) else error
        _part(ranks, pulse, said)
        if said is error:
            raise
        raise said from error
    else:
        _part(ranks, pulse, None)


def _store(ranks: Ranks) -> "dist.TCPStore":
    """Where the ranks leave words for each other."""
    if "RANK" in os.environ:
        return next(dist.rendezvous("env://", timeout=MEETING))[0]  # type: ignore[return-value]  # env: over TCP
    host, port = meeting_point(os.environ)
    return dist.TCPStore(host, port, ranks.size, ranks.is_first, MEETING)


def _part(ranks: Ranks, pulse: Heartbeat, error: BaseException | None) -> None:
    """Say good-bye, and why. The others wait for the first: whoever ends early, a launcher ends the rest."""
    kind = "left" if error is None else "lost" if isinstance(error, Lost) else type(error).__name__
    with suppress(RuntimeError, ValueError):
        pulse.say(kind, "" if error is None else str(error))
    if error is not None:
        with suppress(Exception):
            dist.destroy_process_group()  # whoever waits for this rank hears that it does not come
    # a signal that ends this process after its step ends the first at once where that has not begun to train
    patience = heartbeat.SILENCE if error is None else heartbeat.ROLL_CALL
    pulse.leave(error.missing if isinstance(error, Lost) else (), patience)
    if error is not None and not ranks.is_first:
        time.sleep(0.5)  # the first has something to say, and a launcher ends it when this one ends
    if error is None and dist.is_initialized():
        dist.destroy_process_group()


class Council:
    """The ranks agree now and then whether to stop and whether to save: what a signal or a clock says is one rank's.

    Call `asks` after each step, on all ranks alike. Alone, it answers at once; else every half second or so, at a step
    that the first rank's clock has chosen for all.
    """

    def __init__(self, ranks: Ranks, step: int):
        self.ranks = ranks
        self.next = self.last = step
        self.at = time.perf_counter()

    def asks(self, step: int, asked: list[int], is_due: Callable[[], bool]) -> tuple[int, bool]:
        """The signal that one of the ranks was asked to stop with, or 0; and whether it is time to save."""
        if self.ranks.is_alone:
            return (asked[0] if asked else 0), is_due()
        if step < self.next:
            return 0, False
        now = time.perf_counter()
        since = step - self.last
        steps = int(since / max(now - self.at, 1e-6) * BETWEEN)  # as many as it takes, but not more than twice the last
        after = max(1, min(steps, 2 * since)) if self.ranks.is_first else 0
        stop, is_time, after = self.ranks.largest([asked[0] if asked else 0, int(is_due()), after])
        self.next, self.last, self.at = step + after, step, now
        return stop, bool(is_time)

    def ends(self, asked: list[int]) -> int:
        """At the end of a training: the signal that one of the ranks was asked to stop with, or 0."""
        return self.ranks.largest([asked[0] if asked else 0])[0]
