"""Augmentation: what a picture may go through without becoming something else.

Batched tensor code on the device where the pictures are; each is a pure function of the batch and of its rows' draws,
uniform random numbers that are a function of (seed, epoch, row). What moves elements is in geometry.py, what changes
their light in light.py. Rows are mixed with each other in algorithms/regularization.py.

B batch, C channels, H W height and width, D draws that an augmentation uses
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gipi.data.geometry import CROP_DRAWS, affine, crop, flip, resized_crop, rotate, shift
from gipi.data.light import JITTER_DRAWS, jitter
from gipi.data.randaugment import DRAWS as RANDAUGMENT_DRAWS
from gipi.data.randaugment import randaugment
from gipi.errors import UsageError, nearest
from gipi.messages import _

Augmentation = Callable[[Tensor, Tensor], Tensor]


def cutout(x: Tensor, draws: Tensor, fill: float = 0.0) -> Tensor:
    """A square of half the size is covered, with its middle anywhere; part of it may lie outside. D = 2.

    DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552: 16 of CIFAR-10's 32 elements, covered with the mean.
    """
    _B, _C, H, W = x.shape
    rows, columns = _covered(draws[:, 0], H), _covered(draws[:, 1], W)
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], torch.tensor(fill).to(x), x)


def _covered(draws: Tensor, size: int) -> Tensor:
    """Which places along an axis are covered, `(B, size)`."""
    side = max(1, size // 2)
    start = (draws * size).long()[:, None] - side // 2
    places = torch.arange(size, device=draws.device)
    return (places >= start) & (places < start + side)


def _same(x: Tensor, draws: Tensor) -> Tensor:
    return x


DRAWS: dict[str, int] = {
    "flip": 1,
    "alternate": 1,
    "shift": 2,
    "crop": 2,
    "affine": 5,
    "rotate": 1,
    "resized-crop": CROP_DRAWS,
    "colour": JITTER_DRAWS,
    "cutout": 2,
    "randaugment": RANDAUGMENT_DRAWS,
}
AUGMENTATIONS = tuple(DRAWS)


def compose(names: tuple[str, ...], white: float = 255.0, fill: float = 0.0) -> tuple[Augmentation, int]:
    """Several augmentations, one after the other, as one; and how many draws a row needs for it.

    Args:
        names: Of AUGMENTATIONS. `alternate` is a flip whose draw must alternate from epoch to epoch: `alternating`.
        white: The value of white in pictures that are not bytes.
        fill: What covers, or comes in from outside: best the mean of all pictures.

    Raises:
        UsageError: There is no augmentation of that name.

    Example:
        >>> augment, count = compose(("flip", "crop"))
        >>> augment(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.rand(2, count)).shape
        torch.Size([2, 3, 32, 32])
    """
    changes: dict[str, Augmentation] = {
        "flip": flip,
        "alternate": flip,
        "shift": shift,
        "crop": crop,
        "affine": affine,
        "rotate": rotate,
        "resized-crop": resized_crop,
        "colour": partial(jitter, white=white),
        "cutout": partial(cutout, fill=fill),
        "randaugment": partial(randaugment, white=white, fill=fill),
    }
    return _composed(names, changes), sum(DRAWS[name] for name in names)


def following(names: tuple[str, ...], fill: float = 0.0) -> Augmentation:
    """What a mask goes through beside its picture: called with the same draws, it moves `(B, C, H, W)` alike.

    Nothing is mixed: each element is one of the mask's own, in its own type. Light stays as it is, and what is covered
    in the picture is still there in the mask.

    Args:
        names: As for `compose`.
        fill: What comes in from outside (randaugment alone; the others repeat the edge).

    Example:
        >>> augment, count = compose(("flip", "rotate", "colour"))
        >>> follow, draws = following(("flip", "rotate", "colour")), torch.rand(2, count)
        >>> pictures, masks = torch.rand(2, 3, 8, 8), torch.randint(0, 4, (2, 1, 8, 8))
        >>> moved, (_B, _C, H, W) = augment(pictures, draws), follow(masks, draws).shape
    """
    changes: dict[str, Augmentation] = {
        "flip": flip,
        "alternate": flip,
        "shift": shift,
        "crop": crop,
        "affine": partial(affine, mode="nearest"),
        "rotate": partial(rotate, mode="nearest"),
        "resized-crop": partial(resized_crop, mode="nearest"),
        "colour": _same,
        "cutout": _same,
        "randaugment": partial(randaugment, fill=fill, follows=True),
    }
    return _composed(names, changes)


def alternating(names: tuple[str, ...]) -> tuple[int, ...]:
    """Which of the draws must alternate: the same in every other epoch, and their mirror images between (Stream)."""
    places, start = [], 0
    for name in names:
        if name == "alternate":
            places.append(start)
        start += DRAWS[name]
    return tuple(places)


def _composed(names: tuple[str, ...], changes: dict[str, Augmentation]) -> Augmentation:
    for name in names:
        if name not in DRAWS:
            known = ", ".join(AUGMENTATIONS)
            text = _("there is no augmentation '{name}'; there are {known}.", name=name, known=known)
            raise UsageError(text + nearest(name, list(AUGMENTATIONS)))
    chosen = [(changes[name], DRAWS[name]) for name in names]

    def augment(x: Tensor, draws: Tensor) -> Tensor:
        start = 0
        for change, count in chosen:
            x = change(x, draws[:, start : start + count])
            start += count
        return x

    return augment
