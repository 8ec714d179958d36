"""Losses for numbers: how far the prediction is off, or how likely the number was.

B rows, T targets, Q quantile levels
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gipi.losses.rows import aligned, over_rows

SMALLEST_SPREAD = 1e-4  # of a target's standard deviation (targets are scaled): keeps log and division finite


def mse(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error. Output and y `(B, T)`."""
    y = aligned(y, output)
    return F.mse_loss(output, y) if weight is None else over_rows((output - y).square(), weight)


def mae(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute error: finds the median, and outliers pull less. Output and y `(B, T)`."""
    return over_rows((output - aligned(y, output)).abs(), weight)


def huber(output: Tensor, y: Tensor, weight: Tensor | None = None, delta: float = 1.0) -> Tensor:
    """Squared (halved) up to `delta`, straight beyond. Huber 1964. Output and y `(B, T)`."""
    return over_rows(F.huber_loss(output, aligned(y, output), reduction="none", delta=delta), weight)


def normal(output: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, `(B, T)` each, from what a model gives for `nll`, `(B, T, 2)` or `(B, 2 T)`.

    The pairs are (mean, raw), and the standard deviation is softplus(raw) + SMALLEST_SPREAD: it is positive without
    clipping, about raw itself where raw is large, and its gradient never explodes through an exponential.
    """
    pairs = output if output.ndim > 2 else output.unflatten(-1, (-1, 2))  # (B, T, 2)
    mean, raw = pairs.unbind(-1)
    return mean, F.softplus(raw) + SMALLEST_SPREAD


def nll(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Minus the log-likelihood of y `(B, T)` under the normal distribution that `normal` reads. Nix & Weigend 1994."""
    mean, spread = normal(output)
    y = aligned(y, mean)
    losses = spread.log() + ((y - mean) / spread).square() / 2 + math.log(2 * math.pi) / 2  # (B, T)
    return over_rows(losses, weight)


def quantile(
    output: Tensor, y: Tensor, weight: Tensor | None = None, levels: tuple[float, ...] = (0.05, 0.5, 0.95)
) -> Tensor:
    """Pinball loss: output q is the level that y is below with probability `levels[q]`. Koenker & Bassett 1978.

    Output `(B, T, Q)` or `(B, T Q)`, y `(B, T)`.
    """
    predicted = output if output.ndim > 2 else output.unflatten(-1, (-1, len(levels)))  # (B, T, Q)
    error = aligned(y, predicted[..., 0])[..., None] - predicted
    level = _levels(tuple(levels), output.dtype, output.device)
    return over_rows(torch.maximum(level * error, (level - 1) * error), weight)


@lru_cache(maxsize=16)
def _levels(levels: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept, so that nothing is copied to the device step by step."""
    return torch.tensor(levels, dtype=dtype, device=device)
