"""From the losses of rows to the loss of a batch, with or without weights; and a check that shapes agree."""

import torch
from torch import Tensor


def over_rows(losses: Tensor, weight: Tensor | None) -> Tensor:
    """The mean over rows of `(B, ...)` losses: plain, or `sum(w * loss) / sum(w)` with weights `(B,)`.

    A batch whose weights are all zero has loss 0, not 0 / 0.
    """
    if weight is None:
        return losses.mean()
    each = losses.flatten(1).mean(1) if losses.ndim > 1 else losses  # (B,)
    total = weight.sum()
    return (weight * each).sum() / torch.where(total > 0, total, 1)


def aligned(y: Tensor, output: Tensor) -> Tensor:
    """Targets in the output's shape and type.

    `(B,)` beside `(B, 1)` would broadcast to `(B, B)` and learn nonsense without a word.
    """
    if y.shape != output.shape:
        if y.numel() != output.numel() or len(y) != len(output):
            raise ValueError(f"the model gives {tuple(output.shape)} where the targets are {tuple(y.shape)}")
        y = y.reshape(output.shape)
    return y if y.dtype == output.dtype else y.to(output.dtype)
