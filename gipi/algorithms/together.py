"""Several optimizers as one: each moves parameters of its own, by the same loss and the same step."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor


class Together:
    """Optimizers, each with parameters of its own, that are asked as one.

    Args:
        parts: Optimizers of gipi's kind, with `params`.

    Attributes:
        params: All that they move, in their order; `evaluate` must give the gradients in this order.

    Example:
        >>> import torch
        >>> from gipi.algorithms.optimizers import make
        >>> slow, fast = torch.zeros(1), torch.zeros(1)
        >>> both = Together([make("sgd", [slow], 0.1), make("sgd", [fast], 1.0)])
        >>> _ = both.step(lambda: (torch.zeros(()), [torch.ones(1), torch.ones(1)]), step=0)
        >>> round(slow.item(), 3), fast.item()
        (-0.1, -1.0)
    """

    def __init__(self, parts: Sequence[Any]):
        self.parts = list(parts)
        self.scale = 1.0
        self.params = [param for part in self.parts for param in part.params]

    def step(self, evaluate: Callable[[], tuple[Tensor, list[Tensor]]], step: int) -> Tensor:
        loss, gradients = evaluate()
        rest = iter(gradients)
        for part in self.parts:
            own = [next(rest) for _param in part.params]
            part.scale = self.scale
            part.step(lambda own=own: (loss, own), step)
        return loss

    def tensors(self) -> dict[str, Tensor]:
        return {f"{n}.{name}": tensor for n, part in enumerate(self.parts) for name, tensor in part.tensors().items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        for n, part in enumerate(self.parts):
            part.load({name: tensors[f"{n}.{name}"] for name in part.tensors()})
