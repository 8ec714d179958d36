"""A player: one learner in a training run, what it may change, what it wants, how it moves, how often.

Supervised learning has one player, a GAN two. A player's step is `optimizer.step(evaluate)`, where `evaluate()` gives
the loss and the gradients of the player's own parameters, and nobody else's.
"""

# pyright: reportPrivateImportUsage=false
# torch's foreach kernels are private by name

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Batch = Any  # a tuple of tensors with a common first axis, unless a stream of one's own makes something else


class Plays(Protocol):
    """What the loop needs of a player; one without gradients (the perceptron) writes its own `play`."""

    every: int

    def play(self, batch: Batch, step: int) -> Tensor: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def load(self, tensors: dict[str, Tensor]) -> None: ...


class Optimizer(Protocol):
    """What a player needs of an optimizer (the optimizers themselves are in algorithms/)."""

    def step(self, evaluate: Callable[[], tuple[Tensor, list[Tensor]]], step: int) -> Tensor: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def load(self, tensors: dict[str, Tensor]) -> None: ...


def rows(batch: Batch) -> int:
    """How many things a batch's mean loss is a mean of: its rows."""
    return len(batch[0])


Count = Callable[[], "int | Tensor"]  # how many things a loss is a mean of


def by_autograd(loss: Tensor, params: Sequence[Tensor], count: Count) -> tuple[Tensor, list[Tensor | None]]:
    """Gradients for these parameters only; `.grad` of nobody is touched. A parameter that is not used gives None."""
    return loss.detach(), list(torch.autograd.grad(loss, params, allow_unused=True))


@dataclass
class Player:
    """A learner that follows gradients.

    Attributes:
        params: What it may change. A list: a generator such as `net.parameters()` is empty on second use.
        objective: `batch -> scalar`, a mean over `count(batch)` things; precision wraps it.
        optimizer: How it moves.
        every: It plays at each step that this divides.
        count: How many things the objective is a mean of.
        splittable: False where samples are coupled (batch norm, contrastive losses): no batch splits exactly.
        clip: Largest global gradient norm; set by training/prepare.py only.
        gradient: `(loss, params, count) -> (loss, gradients)`: of this process alone, or of several (parallel.py).
        keep: Keep the gradients of the last step readable in `gradients`, for whoever looks into a run.
    """

    params: list[Tensor]
    objective: Callable[[Batch], Tensor]
    optimizer: Optimizer
    every: int = 1
    count: Callable[[Batch], int | Tensor] = rows
    splittable: bool = True
    clip: float | None = None
    gradient: Callable[[Tensor, Sequence[Tensor], Count], tuple[Tensor, list[Tensor | None]]] = by_autograd
    keep: bool = False
    gradients: list[Tensor] | None = field(default=None, repr=False)

    def evaluate(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """The loss on this batch and the gradient of each parameter (zeros where the loss does not depend on it)."""
        loss, found = self.gradient(self.objective(batch), self.params, lambda: self.count(batch))
        if any(
            gradient is None for gradient in found
        ):  # not `None in found`: that compares tensors, element by element
            if all(gradient is None for gradient in found):
                raise ValueError("the loss depends on none of the player's parameters")
            found = [torch.zeros_like(p) if g is None else g for p, g in zip(self.params, found, strict=True)]
        gradients: list[Tensor] = found  # type: ignore[assignment]  # no None is left
        if self.clip is not None:
            gradients = clipped(gradients, self.clip)
        if self.keep:
            self.gradients = gradients
        return loss, gradients

    def play(self, batch: Batch, step: int) -> Tensor:
        return self.optimizer.step(lambda: self.evaluate(batch), step)

    def tensors(self) -> dict[str, Tensor]:
        """All that must be kept for it to go on, beside the parameters themselves."""
        return self.optimizer.tensors()

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` gave, restored in place."""
        self.optimizer.load(tensors)


def clipped(gradients: list[Tensor], limit: float) -> list[Tensor]:
    """Gradients scaled so that their global norm is at most `limit`, without reading a number back.

    New tensors: autograd may give the same one for two parameters, or one that is expanded.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return list(torch._foreach_mul(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0)))


def learner(net: nn.Module, loss: Callable[..., Tensor], optimizer: Callable[[list[Tensor]], Optimizer]) -> dict:
    """The one player of supervised learning: it wants `loss(net(x), *target)` small, for batches `(x, *target)`."""
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]

    def objective(batch: Batch) -> Tensor:
        x, *target = batch
        return loss(net(x), *target)

    coupled = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in net.modules())
    return {"learner": Player(params, objective, optimizer(params), splittable=not coupled)}
