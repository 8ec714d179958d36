"""Regularization that acts on batches: mixup, cutmix. (Dropout and norms are layers; weight decay is the optimizer's.)

Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017, https://arxiv.org/abs/1710.09412
Yun et al., "CutMix", 2019, https://arxiv.org/abs/1905.04899
Ours differs: each row has its own share, and its partner is its neighbour in the (shuffled) batch.

B rows, C channels, H W height and width
"""

from collections.abc import Callable

import torch
from torch import Tensor

TRIES = 8
DRAWS = 2 * TRIES
CUTMIX_DRAWS = DRAWS + 2


def beta(draws: Tensor, alpha: float) -> Tensor:
    """Numbers distributed as Beta(alpha, alpha), `(B,)`, from uniform ones `(B, DRAWS)`, by Jöhnk's method (1964).

    Of several tries the first that is accepted counts; for alpha up to 1 nearly every row has one, and a row without
    takes its last.
    """
    one, other = draws[:, :TRIES].pow(1 / alpha), draws[:, TRIES:DRAWS].pow(1 / alpha)
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


def cutmix(x: Tensor, y: Tensor, draws: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each picture with a patch of its neighbour's: `(x, y, neighbour's y, share of the own picture (B,))`.

    The patch has the picture's shape, and its middle lies anywhere; what would lie outside is cut off, and the share is
    that of the elements which are left.

    Args:
        x: `(B, C, H, W)`.
        y: `(B, ...)`.
        draws: `(B, CUTMIX_DRAWS)`.
        alpha: Of the Beta distribution that the share is drawn from; the paper's is 1.
    """
    H, W = x.shape[2:]
    side = (1 - beta(draws, alpha)).sqrt()  # (B,), of the picture's

    def covered(middle: Tensor, size: int) -> Tensor:  # (B, size)
        half = (side * size).floor() / 2
        center, places = (middle * size).floor(), torch.arange(size, device=x.device)
        first, end = (center - half).floor().clamp_min(0), (center + half).floor().clamp_max(size)
        return (places >= first[:, None]) & (places < end[:, None])

    rows, columns = covered(draws[:, DRAWS], H), covered(draws[:, DRAWS + 1], W)
    share = 1 - rows.sum(1) * columns.sum(1) / (H * W)
    patch = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(patch, x.roll(1, 0), x), y, y.roll(1, 0), share.to(x.dtype)


def mixed(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss for mixed rows: each of the two targets counts by its share."""

    def of_both(output: Tensor, y: Tensor, other: Tensor, share: Tensor) -> Tensor:
        own, rest = share.mean(), (1 - share).mean()
        return own * loss(output, y, share) + rest * loss(output, other, 1 - share + 1e-12)

    return of_both
