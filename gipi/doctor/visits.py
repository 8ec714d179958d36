"""Looks into a training of gipi's, so seldom that they cost next to nothing, and so that nothing is changed by them.

A visit takes two calls: before a step it remembers some weights, after it it sees what the step did. Gradients are
those that the step was made by; activations come from one more way forward through the batch of the step.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gipi.doctor.statistics import TooLarge, agreement, looking, of_parameters, sampled, untouched
from gipi.training.group import Group
from gipi.training.player import Player

SHARE = 0.012  # of the time of training that visits may take
SHARE_OF_SMALL = 0.02  # where steps are short
SHORT = 0.002  # seconds of a step
HEAD_START = 0.02  # seconds that visits may take whatever their share: a short run is seen more than once, too
SEEN = 10  # times, a short run
FIRST = 2  # step
HALVED = 3  # each so many visits the gradients of two halves of the batch are compared
LONG = 0.05  # seconds of a step: it is not taken again by halves, for which kernels of other sizes would be kept


class Visits:
    """What `train` calls between its steps; see `gipi.training.train.Examiner`.

    Args:
        has_own_loss: The loss is a person's own: it may count its calls, so it is left alone.

    Attributes:
        due: The step after which it wants to be called.
        count: The visits so far.
    """

    def __init__(self, has_own_loss: bool = False) -> None:
        self.has_own_loss = has_own_loss
        self.due = FIRST
        self.count = 0
        self.stream: _Remembering | None = None
        self.before: dict[str, Tensor] = {}
        self.kept: list[Player] = []
        self.is_begun = False  # the step that comes is the one that is looked at
        self.cost = math.inf  # seconds of the cheapest visit so far: the first one takes longer than the others
        self.spent = 0.0  # seconds before the step
        self.total = 0.0  # seconds of all visits
        self.mark: tuple[float, int] | None = None  # when the last visit ended, after which step
        self.elapsed = 0.0  # seconds that were trained, up to that mark

    def watched(self, group: Group) -> Iterator[Any]:
        """The group's stream, which remembers a batch when it is told to; a visit that was begun is forgotten."""
        self.stream = _Remembering(group.stream)
        self._let_go()
        self.due = group.step + FIRST
        self.mark = (time.perf_counter(), group.step)
        return self.stream

    def visit(self, step: int, losses: dict[str, Tensor], group: Group) -> dict[str, Any] | None:
        """Called after the step that is due; gives what was seen, every second time."""
        assert self.stream
        began = time.perf_counter()
        if not self.is_begun:
            try:
                self._prepare(group)
            except Exception as error:  # as below
                self.due = group.plan.steps
                self._let_go()
                return _failed(step, error)
            self.due = step + 1
            self.spent = time.perf_counter() - began
            return None
        try:
            found = self._look(step, losses, group)
        except Exception as error:  # a look must never break the run: a network of a person's own may do anything
            found = _failed(step, error)
        self._let_go()
        now = time.perf_counter()
        assert self.mark
        spent = now - began + self.spent
        self.cost, self.total = min(self.cost, spent), self.total + spent
        trained = now - self.mark[0] - spent
        self.elapsed += trained
        each = max(1e-7, trained / max(1, step + 1 - self.mark[1]))
        self.due = step + self._pause(each, group.plan.steps)
        last = group.plan.steps - 2  # how it ends is worth a look
        if step + 2 < last < self.due and self.total + self.cost < HEAD_START + SHARE * each * last:
            self.due = last
        self.mark = (now, step + 1)
        self.count += 1
        return found

    def _pause(self, each: float, steps: int) -> int:
        """Steps, which take so many seconds each, until there is time for another visit."""
        share = SHARE_OF_SMALL if each < SHORT else SHARE
        missing = self.total + self.cost - HEAD_START - share * self.elapsed
        if missing <= 0:
            return max(2, min(steps // SEEN, math.ceil(self.cost / (share * each))))
        return max(2, math.ceil(missing / (share * each)))

    def _prepare(self, group: Group) -> None:
        """Before the step that is looked at."""
        assert self.stream
        self.is_begun = True
        self.before = {name: sampled(weight).clone() for name, weight in _weights(group).items()}
        self.kept = [player for player in group.players.values() if isinstance(player, Player)]
        for player in self.kept:
            player.keep = True
        _wait_for_device(group)
        self.stream.is_wanted = True

    def _let_go(self) -> None:
        for player in self.kept:
            player.keep, player.gradients = False, None
        self.kept, self.before, self.is_begun = [], {}, False
        if self.stream:
            self.stream.is_wanted, self.stream.batch = False, None

    def _look(self, step: int, losses: dict[str, Tensor], group: Group) -> dict[str, Any]:
        assert self.stream
        _wait_for_device(group)  # until then the step was not done
        wait, seconds = self.stream.measured()
        found: dict[str, Any] = {
            "step": step,
            "loss": {name: (loss[0] if loss.ndim else loss).item() for name, loss in losses.items()},
            "parameters": self._parameters(group),
            "wait": wait,
            "seconds": seconds,
        }
        for player in self.kept:
            player.gradients = None  # the ways below make their own, and need the memory
        halved = self.count % HALVED == 0 and seconds < LONG
        return found | self._ways(group.members[0].net, group, self.stream.batch, halved)

    def _parameters(self, group: Group) -> dict[str, dict[str, Any]]:
        """What the step did to the weights, and by which gradient."""
        weights = _weights(group)
        names = {id(weight): name for name, weight in weights.items()}
        gradients: dict[str, Tensor | None] = {}
        learned: set[str] = set()
        for player in group.players.values():
            params = getattr(player, "params", [])
            of = _stacked_names(group) if getattr(player, "is_stacked", False) else [names.get(id(p)) for p in params]
            learned |= {name for name in of if name}
            for name, gradient in zip(of, getattr(player, "gradients", None) or [], strict=False):
                if name and gradient is not None:
                    gradients[name] = gradient[0] if getattr(player, "is_stacked", False) else gradient
        updates = {name: sampled(weight) - self.before[name] for name, weight in weights.items() if name in self.before}
        return of_parameters(weights, gradients, updates, learned)

    def _ways(self, net: nn.Module, group: Group, batch: Any, halved: bool) -> dict[str, Any]:
        """What a way forward through the batch shows, of each player that follows gradients."""
        found: dict[str, Any] = {"rows": None, "layers": {}, "norms": {}, "order": [], "inputs": {}}
        found |= {"output": None, "agreement": None}
        if not isinstance(batch, tuple | list) or not all(isinstance(one, Tensor) and one.ndim for one in batch):
            return found | {"skipped": "the batch is not a tuple of tensors"}
        if len(group.members) > 1:
            batch = tuple(one[0] for one in batch)
        found["rows"] = len(batch[0])
        players = [player for player in group.members[0].players.values() if isinstance(player, Player)]
        if _is_compiled(net, players):
            return found | {"skipped": "the network is compiled, and would be compiled anew for being looked at"}
        scopes = [name for name, _part in net.named_children()] if len(players) > 1 else []
        for player in players:
            alone = replace(player, parts=1, tapes=None, keep=False)
            try:
                with untouched(net), torch.enable_grad():
                    with looking(net, scopes) as seen:
                        some = tuple(one.tensor_split(player.parts)[0] for one in batch)
                        net(some[0]) if self.has_own_loss else alone.objective(some)
                    found["layers"] |= seen.layers
                    found["norms"] |= seen.norms
                    found["order"] += [name for name in seen.order if name not in found["order"]]
                    found["inputs"] = seen.inputs | found["inputs"]
                    found["output"] = found["output"] or seen.output
                    if halved and not self.has_own_loss and found["agreement"] is None:
                        found["agreement"] = _of_halves(alone, batch)
            except TooLarge as reason:
                return found | {"skipped": str(reason)}
        return found


def _of_halves(player: Player, batch: Sequence[Tensor]) -> float | None:
    """How the gradients of two halves of a batch agree, of which no more than samples are held."""
    half = len(batch[0]) // 2
    if not half or not player.splittable:
        return None
    one, other = (
        [sampled(gradient).clone() for gradient in player.differentiate(tuple(part[cut] for part in batch))[1:]]
        for cut in (slice(half), slice(half, 2 * half))
    )
    return agreement(one, other)


def _failed(step: int, error: Exception) -> dict[str, Any]:
    return {"step": step, "failed": f"{type(error).__name__}: {error}"[:300]}


def _is_compiled(net: nn.Module, players: Sequence[Player]) -> bool:
    if any(hasattr(player.objective, "_torchdynamo_orig_callable") for player in players):
        return True
    return any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in net.modules())


def _wait_for_device(group: Group) -> None:
    """Kernels run on their own there: what took how long shows only when they are done."""
    device = next((one.device for one in group.members[0].net.parameters()), torch.device("cpu"))
    if device.type not in ("cpu", "meta"):
        torch.get_device_module(device).synchronize()


def _weights(group: Group) -> dict[str, Tensor]:
    """The parameters of the first member by name, those of plain memory on one device only."""
    own = group.members[0].net.named_parameters()
    return {name: one for name, one in own if type(one) in (Tensor, nn.Parameter)}


def _stacked_names(group: Group) -> list[str]:
    return [name for name, one in group.members[0].net.named_parameters() if one.requires_grad]


class _Remembering:
    """A stream that keeps its last batch, and how long that took, while somebody wants to know."""

    def __init__(self, stream: Any):
        self.stream = stream
        self.is_wanted = False
        self.batch: Any = None
        self.wait = 0.0  # seconds for the batch
        self.given = 0.0  # when it came

    def __iter__(self) -> "_Remembering":
        return self

    def __next__(self) -> Any:
        if not self.is_wanted:
            return next(self.stream)
        asked = time.perf_counter()
        self.batch = next(self.stream)
        self.wait, self.given = time.perf_counter() - asked, time.perf_counter()
        return self.batch

    def measured(self) -> tuple[float, float]:
        """The share of the step, which ends now, that was spent on waiting for its batch, and its seconds with that."""
        seconds = self.wait + time.perf_counter() - self.given
        return self.wait / max(1e-9, seconds), seconds
