"""A member: one training of a run, with all that it is made of and all that it must remember.

A run has one member, or one for each fold and each place in an ensemble.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from gipi.algorithms.averaging import Average
from gipi.training.loop import nothing
from gipi.training.player import Plays


@dataclass(frozen=True)
class Plan:
    """How long a member trains and what it is judged by.

    Attributes:
        steps: At most so many.
        every: Steps between two looks at validation: an epoch, where there are epochs.
        patience: Looks without improvement after which it stops; None: never; 0: never, and the last weights are kept.
        watch: The validation number that decides which weights are best.
        higher: Whether more of it is better.
        seconds: Of training, after which it ends between two looks at the clock; None: no limit.
    """

    steps: int
    every: int
    patience: int | None = None
    watch: str = "loss"
    higher: bool = False
    seconds: float | None = None


@dataclass
class Progress:
    """Where a member is; JSON, in each checkpoint."""

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)  # of each player's losses since the last look
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)  # each player's first loss
    best: float | None = None
    best_step: int = 0
    waited: int = 0  # looks without improvement
    records: list[dict] = field(default_factory=list)  # of the last two looks; the log has all
    seconds: float = 0.0  # of training, in all the processes that it took
    finished: str = ""  # why it ended: done, early, zero-loss, time
    faults: list[dict] = field(default_factory=list)  # where training went wrong, and went on with smaller steps

    def json(self) -> dict[str, Any]:
        """As it is now; what is added to it later does not show in it."""
        return {name: copy(value) if isinstance(value, (dict, list)) else value for name, value in vars(self).items()}


@dataclass
class Member:
    """One training: a network, who plays on it, with which data, for how long.

    Attributes:
        number: Its place among folds and ensemble members.
        validate: Gives numbers to judge by, with the weights that would be kept; None: the last weights are kept.
        after: The system's hook.
        average: Averaged weights, if wanted; they are then the ones that are judged and kept.
        refresh: Called while averaged weights are in place, before they are judged: new batch-norm statistics.
        step_size: Step -> step size, to be logged.
    """

    number: int
    net: nn.Module
    players: dict[str, Plays]
    stream: Any
    plan: Plan
    validate: Callable[[], dict[str, float]] | None = None
    after: Callable[[int], None] = nothing
    average: Average | None = None
    refresh: Callable[[], None] = lambda: None
    step_size: Callable[[int], float] | None = None
    progress: Progress = field(default_factory=Progress)
    best: dict[str, Tensor] | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Its weights, live and averaged, to be kept and restored in place; players and stream are its group's."""
        named = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        if self.average:
            named |= {f"average.{name}": tensor for name, tensor in self.average.tensors().items()}
        return named

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights as they are now."""
        return {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}

    @contextmanager
    def judged(self) -> Iterator[None]:
        """With the weights in place that would be kept."""
        if not self.average:
            yield
            return
        with self.average.swapped():
            self.refresh()
            yield
