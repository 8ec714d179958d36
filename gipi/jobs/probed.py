"""What is tried before a job's first step and after its last, so that the doctor can tell what is wrong from the start.

Before: with a member that is thrown away, and a copy of the loss, so that nothing of the training is touched. A step
takes as long as it takes, so all of it together is given a small part of the time that the run is planned to take.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi.data.encode import as_input
from gipi.data.mapped import Chosen
from gipi.doctor.alignment import aligned, aligned_tokens, order
from gipi.doctor.probes import connected, first, kind_of, memorised, output_of, shuffled, tried
from gipi.doctor.statistics import untouched
from gipi.doctor.wanted import reduction, wants
from gipi.jobs.begin import seeded
from gipi.jobs.job import Job
from gipi.jobs.streamed import Streamed
from gipi.jobs.supervised import Supervised
from gipi.jobs.write import Write
from gipi.process import give_memory_back
from gipi.release.rows import rows_at_once
from gipi.training.folder import Folder
from gipi.training.member import Member
from gipi.training.player import Player

SHARE = 0.02  # of the time that the run is planned to take
LEAST = 0.06  # seconds that nobody notices
LEAST_OF_OWN = 0.2  # seconds for what a person made, of which nothing is known: a fifth of what starting takes
PARTS = 6  # ways forward and back, apart from those of learning by heart, that this is enough for
FEWEST = 8  # rows that are looked at, whatever it takes
MOST = 50_000_000  # parameters of a network that is built once more: 200 MB, and as much again for its gradient
BATCHES = 2  # that the loss at the beginning is a mean of
ROWS = 256  # of each
HELD_OUT = 1024  # validation rows that the trained network is asked about

Loss = Callable[..., Tensor]


def probe_beginning(job: Job, first_member: Member, folder: Folder) -> None:
    """Fill the record's `probes` with what is found before the first step; a run that goes on has them already.

    Args:
        job: Whose random generators are seeded anew before it trains.
        first_member: The member that will train; it is only looked at.
        folder: The run's.
    """
    if not _is_wanted(job) or "probes" in folder.record:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training says them too
        folder.record["probes"] = _finite(_before(job, first_member))
    give_memory_back()  # of the member that was thrown away


def probe_end(job: Job, nets: Sequence[nn.Module], folder: Folder) -> None:
    """Add what the first trained network shows."""
    if not _is_wanted(job) or not nets:
        return
    probes = dict(folder.record.get("probes", {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(job, Streamed):
            probes |= tried("order", lambda: order([np.asarray(one) for one in job.batches.targets]))
        if isinstance(job, Supervised):
            probes |= tried("shuffled", lambda: _shuffled(job, nets[0]))
    folder.record["probes"] = _finite(probes)


def _is_wanted(job: Job) -> bool:
    return job.setting.options.doctor and job.setting.ranks.is_alone


def _before(job: Job, first_member: Member) -> dict[str, Any]:
    probes: dict[str, Any] = {}
    if isinstance(job, Supervised):
        probes |= tried("aligned", lambda: _aligned(job))
    if not isinstance(job, Streamed) and not job.is_repeatable:
        return probes
    if sum(one.numel() for one in first_member.net.parameters()) > MOST:
        return probes | {"memorised": {"skipped": f"more than {MOST} parameters"}}
    try:
        with _apart(job):
            member = seeded(job, 0)
            return probes | _of_network(job, member)
    except Exception as error:  # a network of a person's own may fail when it is made once more
        return probes | {"first": {"failed": f"{type(error).__name__}: {error}"[:300]}}


@contextmanager
def _apart(job: Job) -> Iterator[None]:
    """With copies of the losses, which may count their calls, and nothing compiled."""
    named = {name: vars(job)[name] for name in ("loss", "plain_loss") if name in vars(job)}
    arithmetic = job.setting.arithmetic
    copies = {name: _copied(loss) for name, loss in named.items()}
    try:
        vars(job).update(copies)
        job.setting.arithmetic = replace(arithmetic, compiled=False)
        yield
    finally:
        vars(job).update(named)
        job.setting.arithmetic = arithmetic


def _copied(loss: Any) -> Any:
    """A loss that shares nothing that it may change: an object, or a function with what it has closed over."""
    if not isinstance(loss, FunctionType) or not loss.__closure__:
        return _deep(loss)
    cells = tuple(CellType(_deep(cell.cell_contents)) for cell in loss.__closure__)
    made = FunctionType(loss.__code__, loss.__globals__, loss.__name__, loss.__defaults__, cells)
    made.__kwdefaults__ = loss.__kwdefaults__
    return made


def _deep(value: Any) -> Any:
    """A copy; of what cannot be copied, a module or a lock, the thing itself."""
    try:
        return copy.deepcopy(value)
    except Exception:  # whatever its own code says
        return value


def _of_network(job: Job, member: Member) -> dict[str, Any]:
    """What a member that is thrown away shows; its only player must follow gradients of batches `(x, *target)`."""
    players = list(member.players.values())
    if len(players) != 1 or not isinstance(players[0], Player):
        return {}
    player = replace(players[0], tapes=None, parts=1)
    batches = [job.batches.look()] if isinstance(job, Streamed) else [next(member.stream) for _time in range(BATCHES)]
    if not all(isinstance(batch, tuple | list) and len(batch) > 1 for batch in batches):
        return {}
    net = member.net
    with untouched(net), torch.no_grad():
        each = _seconds_of_row(net.eval(), batches[0][0])
    if each is None:
        return {}
    planned = 3 * each * len(batches[0][0]) * job.plan.steps * job.members  # a way back is two ways forward
    seconds = max(LEAST if _is_ours(job) else LEAST_OF_OWN, SHARE * planned)
    rows = max(FEWEST, min(ROWS, int(seconds / PARTS / each)))
    batches = [tuple(part[:rows] for part in batch) for batch in batches]
    kind = _kind_of(job, batches[0][1], net, batches[0][0])
    probes: dict[str, Any] = {}
    if not _is_ours(job):
        probes |= _of_own(job, net, player, batches[0], kind)
    loss: Loss | None = getattr(job, "plain_loss", job.loss)
    if loss is not None:
        probes |= tried("first", lambda: first(net, loss, batches, kind))
        probes |= tried("output", lambda: output_of(net, batches[0]))
        probes |= tried("memorised", lambda: memorised(net, loss, batches[0], kind, seconds, player.objective))
    return probes


def _seconds_of_row(net: nn.Module, x: Tensor) -> float | None:
    """Of a way forward, the second time; None where it gives no tensor: what it gives is then not known."""
    took, some = 0.0, x[:FEWEST]
    for _time in range(2):
        began = time.perf_counter()
        output = net(some)
        if not isinstance(output, Tensor):
            return None
        if output.is_cuda:
            torch.cuda.synchronize(output.device)
        took = time.perf_counter() - began
    return max(1e-9, took / len(some))


def _of_own(job: Job, net: nn.Module, player: Player, batch: tuple[Tensor, ...], kind: str) -> dict[str, Any]:
    """What may be wrong with a network, a loss or an optimizer of a person's own."""
    probes: dict[str, Any] = {}
    learned = _learned(player)
    probes |= tried("connected", lambda: connected(net, player.objective, batch, learned))
    if job.setting.options.freeze and "failed" not in probes["connected"]:
        probes["connected"]["frozen"] = []
    loss: Loss | None = getattr(job, "plain_loss", job.loss)
    x, *target = batch
    if loss is not None:
        with untouched(net), torch.no_grad():
            output = net.eval()(x)
        probes |= tried("reduction", lambda: reduction(loss, output, target))
        probes |= tried("wanted", lambda: wants(loss, output, target, kind))
    if isinstance(job, Streamed):
        probes |= tried("tokens", lambda: aligned_tokens(x.cpu().numpy(), target[0].cpu().numpy()))
    return probes


def _is_ours(job: Job) -> bool:
    """Whether network and loss are gipi's, which are known to fit."""
    own = job.setting.own
    is_known = getattr(job.setting.system, "__name__", "").startswith("gipi.")
    return own.model is None and own.loss is None and own.optimizer is None and is_known


def _learned(player: Player) -> set[int]:
    """What the optimizer holds, which may be less than it was offered."""
    inner = getattr(player.optimizer, "optimizer", None)
    if isinstance(inner, torch.optim.Optimizer):
        return {id(param) for group in inner.param_groups for param in group["params"]}
    return {id(param) for param in player.params}


def _kind_of(job: Job, y: Tensor, net: nn.Module, x: Tensor) -> str:
    if isinstance(job, Supervised):
        kind = job.material.target_kind
        return kind if kind in ("class", "labels", "number") else ""
    if isinstance(job, Write):
        return "class"
    with untouched(net), torch.no_grad():
        return kind_of(net.eval()(x), y)


def _aligned(job: Supervised) -> dict[str, Any] | None:
    """Of data as it came: the order of its rows says which answer belongs to which."""
    return aligned(job.x.numpy(), job.y.numpy(), job.material.target_kind, job.schema.is_text)


def _shuffled(job: Supervised, net: nn.Module) -> dict[str, Any] | None:
    """On validation rows, or, where there are none, on training rows."""
    material = job.material
    rows = material.folds[0][1] if material.folds else material.parts.get("valid", material.parts["train"])
    most = max(FEWEST, int(SHARE * job.plan.steps * job.batch_size))  # a way forward is a third of a step
    rows = np.random.default_rng(0).permutation(rows)[: min(HELD_OUT, rows_at_once(job.x), most)]
    chosen = job.of(job.x, np.sort(rows))
    x = chosen[:] if isinstance(chosen, Chosen) else chosen
    device = next((one.device for one in net.parameters()), torch.device("cpu"))
    y = job.y[torch.from_numpy(np.sort(rows))].to(device)
    return shuffled(net, job.plain_loss, (as_input(job.schema, x.to(device), job.dtype), y))


def _finite(found: Any) -> Any:
    """The same as JSON can hold it: None for what is no number."""
    if isinstance(found, dict):
        return {name: _finite(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
