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

from gipi.errors import TrainingError
from gipi.messages import _

Batch = Any  # a tuple of tensors with a common first axis, unless a stream of one's own makes something else


class Plays(Protocol):
    """What the loop needs of a player; one without gradients (the perceptron) writes its own `play`."""

    every: int

    def play(self, batch: Batch, step: int) -> Tensor: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def load(self, tensors: dict[str, Tensor]) -> None: ...


class Optimizer(Protocol):
    """What a player needs of an optimizer (the optimizers themselves are in algorithms/)."""

    scale: float

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
        count: How many things the objective is a mean of: rows, or the sum of their weights.
        splittable: False where samples are coupled (batch norm, contrastive losses): no batch splits exactly.
        clip: Largest global gradient norm; this and the next are set by training/prepare.py only.
        parts: So many parts of a batch are worked through one after the other, and their gradients added up; more when
            memory runs out.
        tapes: Evaluates batches in place of `differentiate`, to the same bits (training/tape.py).
        gradient: `(loss, params, count) -> (loss, gradients)`: of this process alone, or of several (parallel.py).
        is_stacked: It plays for several members: parameters and batches have an axis for them in front, and the
            objective gives a loss for each (training/group.py).
        keep: Keep the gradients of the last step readable in `gradients`, for whoever looks into a run.
    """

    params: list[Tensor]
    objective: Callable[[Batch], Tensor]
    optimizer: Optimizer
    every: int = 1
    count: Callable[[Batch], Any] = rows
    splittable: bool = True
    clip: float | None = None
    parts: int = 1
    tapes: Callable[[Batch], Sequence[Tensor]] | None = None
    gradient: Callable[[Tensor, Sequence[Tensor], Count], tuple[Tensor, list[Tensor | None]]] = by_autograd
    is_stacked: bool = False
    keep: bool = False
    gradients: list[Tensor] | None = field(default=None, repr=False)

    def differentiate(self, batch: Batch) -> list[Tensor]:
        """The loss on this batch, then the gradient of each parameter: zeros where the loss does not depend on it."""
        each = self.objective(batch)
        loss, found = self.gradient(each.sum() if self.is_stacked else each, self.params, lambda: self.count(batch))
        loss = each.detach() if self.is_stacked else loss
        if any(
            gradient is None for gradient in found
        ):  # not `None in found`: that compares tensors, element by element
            if all(gradient is None for gradient in found):
                raise ValueError("the loss depends on none of the player's parameters")
            found = [torch.zeros_like(p) if g is None else g for p, g in zip(self.params, found, strict=True)]
        return [loss, *found]  # type: ignore[list-item]  # no None is left

    def evaluate(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """The loss on this batch and the gradients, clipped; in more parts if memory runs out."""
        while True:
            try:
                if self.parts > 1:
                    loss, *gradients = self._by_parts(batch)
                elif self.tapes is not None:
                    loss, *gradients = self.tapes(batch)
                else:
                    loss, *gradients = self.differentiate(batch)
                break
            except (RuntimeError, MemoryError) as error:
                if not ran_out_of_memory(error) or self.gradient is not by_autograd:
                    raise  # several processes would have to cut alike
            self._cut_finer(batch)  # outside of `except`: the error holds on to all that there was
        if self.clip is not None:
            gradients = clipped(gradients, self.clip, self.is_stacked)
        if self.keep:
            self.gradients = gradients
        return loss, gradients

    def _by_parts(self, batch: Batch) -> list[Tensor]:
        """Loss and gradients of the whole batch, each part weighted by what it counts."""
        axis = int(self.is_stacked)
        pieces = list(zip(*(tensor.tensor_split(self.parts, axis) for tensor in batch), strict=True))
        counts = [self.count(piece) if piece[0].shape[axis] else 0 for piece in pieces]
        total = sum(counts)
        together: list[Tensor] = []
        for piece, count in zip(pieces, counts, strict=True):
            if not piece[0].shape[axis]:
                continue
            share = count / total if not isinstance(total, Tensor) else count / torch.where(total > 0, total, 1)
            found = self.differentiate(piece)
            if isinstance(share, Tensor) and share.ndim:  # a share for each member
                found = [one * share.view(-1, *[1] * (one.ndim - 1)) for one in found]
            else:
                found = torch._foreach_mul(found, share)
            together = list(torch._foreach_add(together, found) if together else found)
        return together

    def _cut_finer(self, batch: Batch) -> None:
        """Twice as many parts, after the memory ran out.

        Raises:
            TrainingError: The batch cannot be cut.
        """
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        count = batch[0].shape[int(self.is_stacked)]
        if not self.splittable:
            text = _(
                "the memory does not hold a batch of {rows} rows, and it cannot be worked through in parts, because the"
                " rows are coupled (batch norm, or a loss that compares rows): a smaller --batch-size is needed",
                rows=count,
            )
            raise TrainingError(text)
        if self.parts >= count:
            raise TrainingError(_("the memory does not hold a single row: a smaller model (or batch) is needed"))
        self.parts *= 2

    def play(self, batch: Batch, step: int) -> Tensor:
        return self.optimizer.step(lambda: self.evaluate(batch), step)

    def tensors(self) -> dict[str, Tensor]:
        """All that must be kept for it to go on, beside the parameters themselves."""
        return self.optimizer.tensors()

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` gave, restored in place."""
        self.optimizer.load(tensors)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether this is the memory of a GPU or of the machine; the latter has no type of its own in torch."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "not enough memory" in str(error) or "allocate memory" in str(error)


def clipped(gradients: list[Tensor], limit: float, is_stacked: bool = False) -> list[Tensor]:
    """Gradients scaled so that their global norm is at most `limit`, without reading a number back.

    New tensors: autograd may give the same one for two parameters, or one that is expanded. `is_stacked`: each member,
    along the first axis, by its own norm.
    """
    if is_stacked:
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients])  # (parameters, members)
        scale = torch.clamp(limit / (torch.linalg.vector_norm(norms, dim=0) + 1e-6), max=1.0)
        return [gradient * scale.view(-1, *[1] * (gradient.ndim - 1)) for gradient in gradients]
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


def translator(net: nn.Module, loss: Callable[..., Tensor], optimizer: Callable[[list[Tensor]], Optimizer]) -> dict:
    """The one player of translation: from a source x and what was said so far the next token, at each place of y.

    Batches are `(x (B, S), y (B, T))`, tokens with -1 behind the end of each row; the loss is a mean over tokens.
    """
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]

    def objective(batch: Batch) -> Tensor:
        x, y = batch
        return loss(net(x, y[:, :-1]), y[:, 1:])

    return {"learner": Player(params, objective, optimizer(params))}
