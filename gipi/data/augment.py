"""Augmentation: what a picture may go through without becoming something else.

Batched tensor code on the device where the pictures are; each is a pure function of the batch and of its rows' draws,
uniform random numbers that are a function of (seed, epoch, row).

B batch, C channels, H W height and width, D draws that an augmentation uses
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gipi.errors import UsageError, nearest
from gipi.messages import _

Augmentation = Callable[[Tensor, Tensor], Tensor]

TURN = 10.0  # degrees, at most, either way: more turns a 6 into something else
STRETCH = 0.1  # of the size, at most, either way
MOVE = 0.1  # of the size, at most, either way


def flip(x: Tensor, draws: Tensor) -> Tensor:
    """Left and right are exchanged in half of the pictures; not for digits or letters. D = 1."""
    return torch.where(draws[:, 0, None, None, None] < 0.5, x.flip(3), x)


def shift(x: Tensor, draws: Tensor) -> Tensor:
    """Moved by whole elements, up to an eighth of the size; the edge is repeated. D = 2."""
    B, C, H, W = x.shape
    reach = torch.tensor([max(1, round(H / 8)), max(1, round(W / 8))], device=x.device)
    offset = (draws[:, :2] * (2 * reach + 1)).long() - reach  # (B, 2)
    rows = (torch.arange(H, device=x.device) + offset[:, :1]).clamp(0, H - 1)  # (B, H)
    columns = (torch.arange(W, device=x.device) + offset[:, 1:]).clamp(0, W - 1)  # (B, W)
    place = rows[:, :, None] * W + columns[:, None, :]  # (B, H, W)
    return x.flatten(2).gather(2, place.flatten(1)[:, None].expand(B, C, H * W)).view(B, C, H, W)


def affine(x: Tensor, draws: Tensor) -> Tensor:
    """Turned, stretched and moved a little, in between elements too; the edge is repeated. D = 5."""
    signed = 2 * draws - 1
    angle = signed[:, 0] * (TURN * math.pi / 180)
    stretch = 1 + signed[:, 1:3] * STRETCH
    cosine, sine = angle.cos(), angle.sin()
    top = torch.stack([cosine * stretch[:, 0], -sine * stretch[:, 1], signed[:, 3] * 2 * MOVE], 1)
    bottom = torch.stack([sine * stretch[:, 0], cosine * stretch[:, 1], signed[:, 4] * 2 * MOVE], 1)
    kind = x.dtype if x.is_floating_point() else torch.float32
    grid = affine_grid(torch.stack([top, bottom], 1).to(kind), list(x.shape), align_corners=False)
    return grid_sample(x.to(kind), grid, padding_mode="border", align_corners=False)


AUGMENTATIONS: dict[str, tuple[Augmentation, int]] = {"flip": (flip, 1), "shift": (shift, 2), "affine": (affine, 5)}


def compose(names: tuple[str, ...]) -> tuple[Augmentation, int]:
    """Several augmentations, one after the other, as one; and how many draws a row needs for it.

    Raises:
        UsageError: There is no augmentation of that name.
    """
    for name in names:
        if name not in AUGMENTATIONS:
            known = ", ".join(AUGMENTATIONS)
            text = _("there is no augmentation '{name}'; there are {known}.", name=name, known=known)
            raise UsageError(text + nearest(name, list(AUGMENTATIONS)))
    chosen = [AUGMENTATIONS[name] for name in names]

    def augment(x: Tensor, draws: Tensor) -> Tensor:
        start = 0
        for change, count in chosen:
            x = change(x, draws[:, start : start + count])
            start += count
        return x

    return augment, sum(count for _change, count in chosen)
