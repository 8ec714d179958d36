"""Regularization that acts on batches: mixup. (Dropout and norms are layers; weight decay is the optimizer's.)

Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017, https://arxiv.org/abs/1710.09412
Ours differs: each row has its own share, and its partner is its neighbour in the (shuffled) batch.

B rows
"""

from collections.abc import Callable

import torch
from torch import Tensor

TRIES = 8
DRAWS = 2 * TRIES


def beta(draws: Tensor, alpha: float) -> Tensor:
    """Numbers distributed as Beta(alpha, alpha), `(B,)`, from uniform ones `(B, DRAWS)`, by Jöhnk's method (1964).

    Of several tries the first that is accepted counts; for alpha up to 1 nearly every row has one, and a row without
    takes its last.
    """
    one, other = draws[:, :TRIES].pow(1 / alpha), draws[:, TRIES:].pow(1 / alpha)
    accepted = (one + other <= 1) & (one + other > 0)
    accepted[:, -1] = True
    first = accepted.to(torch.uint8).argmax(1, keepdim=True)
    one, other = one.gather(1, first)[:, 0], other.gather(1, first)[:, 0]
    return one / (one + other).clamp_min(1e-30)


def mixup(x: Tensor, y: Tensor, draws: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each row mixed with its neighbour: `(x, y, neighbour's y, share of the own row (B,))`."""
    share = beta(draws, alpha)
    share = torch.maximum(share, 1 - share)  # the own row is the larger part, so that order does not matter
    shaped = share.to(x.dtype).view(-1, *[1] * (x.ndim - 1))
    return shaped * x + (1 - shaped) * x.roll(1, 0), y, y.roll(1, 0), share.to(x.dtype)


def mixed(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss for mixed rows: each of the two targets counts by its share."""

    def of_both(output: Tensor, y: Tensor, other: Tensor, share: Tensor) -> Tensor:
        own, rest = share.mean(), (1 - share).mean()
        return own * loss(output, y, share) + rest * loss(output, other, 1 - share + 1e-12)

    return of_both
