"""Looks into a training of gipi's, so seldom that they cost next to nothing, and so that nothing is changed by them.

A visit takes two calls: before a step it remembers some weights, after it it sees what the step did. Gradients are
those that the step was made by; activations come from one more way forward through the batch of the step.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gipi.doctor.statistics import agreement, looking, of_parameters, sampled, untouched
from gipi.training.group import Group
from gipi.training.player import Player

SHARE = 0.015  # of the time of training that visits may take
SHARE_OF_SMALL = 0.035  # where steps are short
SHORT = 0.002  # seconds of a step
FIRST = 2  # step
HALVED = 3  # each so many visits the gradients of two halves of the batch are compared
MOST_ROWS = 256  # of a batch that a visit's own ways through the network take


class Visits:
    """What `train` calls between its steps; see `gipi.training.train.Examiner`.

    Attributes:
        due: The step after which it wants to be called.
        count: The visits so far.
    """

    def __init__(self) -> None:
        self.due = FIRST
        self.count = 0
        self.stream: _Remembering | None = None
        self.before: dict[str, Tensor] = {}
        self.kept: list[Player] = []
        self.cost = math.inf  # seconds of the cheapest visit so far: the first one takes longer than the others
        self.spent = 0.0  # seconds before the step
        self.mark: tuple[float, int] | None = None  # when the last visit ended, after which step

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
        if not self.kept:
            self._prepare(group)
            self.due = step + 1
            self.spent = time.perf_counter() - began
            return None
        try:
            found = self._look(step, losses, group)
        except Exception as error:  # a look must never break the run: a network of a person's own may do anything
            found = {"step": step, "failed": f"{type(error).__name__}: {error}"[:300]}
        self._let_go()
        now = time.perf_counter()
        assert self.mark
        self.cost = min(self.cost, now - began + self.spent)
        steps = max(1, step + 1 - self.mark[1])
        each = max(1e-7, (now - self.mark[0] - (now - began + self.spent)) / steps)
        share = SHARE_OF_SMALL if each < SHORT else SHARE
        self.due = step + max(2, math.ceil(self.cost / (share * each)))
        self.mark = (now, step + 1)
        self.count += 1
        return found

    def _prepare(self, group: Group) -> None:
        """Before the step that is looked at."""
        assert self.stream
        self.stream.is_wanted = True
        self.before = {name: sampled(weight).clone() for name, weight in _weights(group).items()}
        self.kept = [player for player in group.players.values() if isinstance(player, Player)]
        for player in self.kept:
            player.keep = True

    def _let_go(self) -> None:
        for player in self.kept:
            player.keep, player.gradients = False, None
        self.kept, self.before = [], {}
        if self.stream:
            self.stream.is_wanted, self.stream.batch = False, None

    def _look(self, step: int, losses: dict[str, Tensor], group: Group) -> dict[str, Any]:
        assert self.stream
        member, batch = group.members[0], self.stream.batch
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
        found: dict[str, Any] = {
            "step": step,
            "loss": {name: (loss[0] if loss.ndim else loss).item() for name, loss in losses.items()},
            "parameters": of_parameters(weights, gradients, updates, learned),
            "wait": self.stream.wait_share,
        }
        halved = self.count % HALVED == 0
        return found | self._ways(member.net, group, batch, halved)

    def _ways(self, net: nn.Module, group: Group, batch: Any, halved: bool) -> dict[str, Any]:
        """What a way forward through the batch shows, of each player that follows gradients."""
        found: dict[str, Any] = {"rows": None, "layers": {}, "output": None, "agreement": None}
        if not isinstance(batch, tuple | list) or not all(isinstance(one, Tensor) for one in batch):
            return found
        if len(group.members) > 1:
            batch = tuple(one[0] for one in batch)
        found["rows"] = len(batch[0])
        batch = tuple(one[:MOST_ROWS] for one in batch)
        for player in group.members[0].players.values():
            if not isinstance(player, Player) or hasattr(player.objective, "_torchdynamo_orig_callable"):
                continue  # a compiled objective would be compiled anew for being looked at
            alone = replace(player, parts=1, tapes=None, keep=False)
            with untouched(net), torch.enable_grad():
                with looking(net) as seen:
                    alone.objective(batch)
                found["layers"] |= seen.layers
                found["output"] = found["output"] or seen.output
                half = len(batch[0]) // 2
                if halved and half and player.splittable and found["agreement"] is None:
                    one = alone.differentiate(tuple(part[:half] for part in batch))[1:]
                    other = alone.differentiate(tuple(part[half : 2 * half] for part in batch))[1:]
                    found["agreement"] = agreement(one, other)
        return found


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

    @property
    def wait_share(self) -> float:
        """Of the time from asking for the batch until now, when the step is done."""
        step = time.perf_counter() - self.given
        return self.wait / max(1e-9, self.wait + step)
