"""Losses for masks: a class for each pixel, where a pixel may be left out of the account.

The losses of a batch are means over what counts: pixels (cross-entropy) or pictures (Dice). A batch in which nothing
counts has loss 0. `pixels` and `pictures` say how much counts, so that parts of a batch are weighted rightly.

B batch, K classes, H W height and width
"""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = 255  # the class number of a pixel that does not count


def pixels(batch: tuple[Tensor, ...]) -> Tensor:
    """How many pixels of `(x, y (B, H, W))` count."""
    return (batch[1] != IGNORED).sum()


def pictures(batch: tuple[Tensor, ...]) -> Tensor:
    """How many pictures of `(x, y (B, H, W))` have a pixel that counts."""
    return (batch[1] != IGNORED).flatten(1).any(1).sum()


def pixel_cross_entropy(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Minus the log-probability of each pixel's class, the mean over the pixels that count.

    Args:
        output: `(B, K, H, W)` scores.
        y: `(B, H, W)` class numbers; 255 does not count.
        weight: `(K,)` of the classes; the mean is then weighted by them.

    Example:
        >>> y = torch.tensor([[[0, 255]]])
        >>> round(pixel_cross_entropy(torch.zeros(1, 2, 1, 2), y).item(), 4)
        0.6931
    """
    losses = F.cross_entropy(output, y.long(), weight, ignore_index=IGNORED, reduction="sum")
    counted = (y != IGNORED).to(output.dtype)
    if weight is not None:
        counted = counted * weight[y.long().clamp_max(len(weight) - 1)]
    return losses / _at_least_one(counted.sum())


def soft_dice(output: Tensor, y: Tensor) -> Tensor:
    """One minus the Dice coefficient of probabilities and truth, for each class that a picture has; their mean.

    2 sum(p t) / (sum(p) + sum(t)), over the pixels of a picture that count: Milletari et al., "V-Net", 2016,
    https://arxiv.org/abs/1606.04797, without the squares below. The mean over the classes that are in the picture, then
    over the pictures in which anything counts.

    Args:
        output: `(B, K, H, W)` scores.
        y: `(B, H, W)` class numbers; 255 does not count.
    """
    each, has_any = _dice_of_each(output, y)
    return (each * has_any).sum() / _at_least_one(has_any.sum())


def cross_entropy_and_dice(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """The sum of both, each a mean over the pictures: sharp where cross-entropy is, and rare classes count as much.

    Isensee et al., "nnU-Net", Nature Methods 2021, takes this sum. Arguments as above.
    """
    each, has_any = _dice_of_each(output, y)
    losses = F.cross_entropy(output, y.long(), weight, ignore_index=IGNORED, reduction="none")  # (B, H, W)
    counted = (y != IGNORED).to(output.dtype)
    if weight is not None:
        counted = counted * weight[y.long().clamp_max(len(weight) - 1)]
    entropy = losses.flatten(1).sum(1) / _at_least_one(counted.flatten(1).sum(1))  # (B,)
    return ((each + entropy) * has_any).sum() / _at_least_one(has_any.sum())


def _dice_of_each(output: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`(B,)` losses, and `(B,)` whether anything of the picture counts, as a number."""
    counted = (y != IGNORED)[:, None].to(output.dtype)  # (B, 1, H, W)
    classes = torch.arange(output.shape[1], device=y.device).view(1, -1, 1, 1)
    true = (y[:, None] == classes).to(output.dtype)  # (B, K, H, W)
    said = output.softmax(1) * counted
    common, total = ((said * true).sum((2, 3)), (said + true).sum((2, 3)))  # (B, K)
    present = (true.sum((2, 3)) > 0).to(output.dtype)
    losses = (1 - 2 * common / total.clamp_min(torch.finfo(output.dtype).tiny)) * present
    return losses.sum(1) / _at_least_one(present.sum(1)), (present.sum(1) > 0).to(output.dtype)


def _at_least_one(count: Tensor) -> Tensor:
    """What to divide by where nothing counts, so that 0 / 0 is 0."""
    return torch.where(count > 0, count, torch.ones_like(count))
