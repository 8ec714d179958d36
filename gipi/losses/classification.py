"""Losses for classes: for one of several, y is `(B,)` whole numbers; for several labels, `(B, L)` zeros and ones.

B rows, C classes, L labels
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from gipi.losses.rows import aligned, over_rows


def cross_entropy(output: Tensor, y: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """Minus the log-probability of the class. Output `(B, C)` logits; y `(B,)`, or `(B, C)` probabilities (mixup).

    `label_smoothing` spreads that much of the probability over all classes evenly (Szegedy 2016, section 7).
    """
    if weight is None:
        return F.cross_entropy(output, y, label_smoothing=label_smoothing)
    return over_rows(F.cross_entropy(output, y, reduction="none", label_smoothing=label_smoothing), weight)


def bce(output: Tensor, y: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """Minus the log-probability of yes or no, label by label. Output `(B, L)` logits, y `(B, L)` in 0..1."""
    y = aligned(y, output)
    if label_smoothing:
        y = y * (1 - label_smoothing) + label_smoothing / 2
    losses = F.binary_cross_entropy_with_logits(output, y, reduction="mean" if weight is None else "none")
    return losses if weight is None else over_rows(losses, weight)


def hinge(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """The support vector machine's loss: nothing once the right side wins by 1.

    For classes, Crammer & Singer 2001: output `(B, C)`, y `(B,)`, max(0, 1 + best wrong score - right score). For yes
    or no, Cortes & Vapnik 1995: output `(B, L)`, y `(B, L)` of 0 and 1 (or one score for y `(B,)` of two classes),
    max(0, 1 - score) where it is 1 and max(0, 1 + score) where it is 0, label by label.
    """
    if y.is_floating_point() or output.ndim == 1 or output.shape[1] == 1:
        sign = 2 * aligned(y, output) - 1
        return over_rows((1 - sign * output).clamp_min(0), weight)
    place = y[:, None]
    right = output.gather(1, place)[:, 0]
    wrong = output.scatter(1, place, -torch.inf).amax(1)
    return over_rows((1 + wrong - right).clamp_min(0), weight)


def focal(output: Tensor, y: Tensor, weight: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p the probability of what is true: what is easy counts little. Lin 2017.

    For classes (softmax): output `(B, C)`, y `(B,)`; for labels (sigmoid, as in the paper): output and y `(B, L)`. The
    paper's alpha is a class weight, so it comes through `weight`.
    """
    if y.is_floating_point():
        y = aligned(y, output)
        log_p = -F.binary_cross_entropy_with_logits(output, y, reduction="none")  # (B, L)
    else:
        log_p = -F.cross_entropy(output, y, reduction="none")  # (B,)
    doubt = (-torch.expm1(log_p)).clamp_min(torch.finfo(output.dtype).tiny)  # 1 - p; its power has a slope at 0 too
    return over_rows(-(doubt**gamma) * log_p, weight)
