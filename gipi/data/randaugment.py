"""RandAugment: two operations out of fourteen, drawn for each picture, all with one strength.

Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2019,
https://arxiv.org/abs/1909.13719; the operations and their ranges as torchvision has them.

B batch, C channels, H W height and width
"""

import math

import torch
from torch import Tensor

from gipi.data import light
from gipi.data.geometry import warped
from gipi.data.light import in_chosen

OPERATIONS = (
    "identity",
    "shear-x",
    "shear-y",
    "translate-x",
    "translate-y",
    "rotate",
    "brightness",
    "colour",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
NUMBER = 2  # operations that each picture goes through
STRENGTH = 9 / 30  # of the largest: the paper's ResNet-50 has 2 operations of strength 9 in 0 .. 30
DRAWS = 2 * NUMBER  # which operation, and which way

SHEAR = 0.3
MOVE = 150 / 331  # of the size
TURN = 30.0  # degrees
BLEND = 0.9
BITS = 4  # that posterize may take away


def randaugment(x: Tensor, draws: Tensor, white: float = 255.0, fill: float = 0.0, follows: bool = False) -> Tensor:
    """Two operations of those above, one after the other. D = 4.

    Args:
        x: `(B, C, H, W)`.
        draws: `(B, 4)`.
        white: The value of white in pictures that are not bytes.
        fill: What comes in from outside where a picture is moved.
        follows: `x` is a mask or a target picture: it is moved as the picture is, and its values stay.
    """
    for place in range(0, DRAWS, 2):
        choice = (draws[:, place] * len(OPERATIONS)).long()  # (B,)
        sign = torch.where(draws[:, place + 1] < 0.5, -1.0, 1.0)
        x = _moved(x, choice, sign, fill)
        x = x if follows else _lit(x, choice, sign, white)
    return x


def _moved(x: Tensor, choice: Tensor, sign: Tensor, fill: float) -> Tensor:
    """Sheared, moved or turned, where that was chosen, to the nearest element."""
    is_moved = (choice > 0) & (choice <= OPERATIONS.index("rotate"))
    return in_chosen(x, is_moved, lambda x, rows: warped(x, matrices(choice[rows], sign[rows], x), fill))


def matrices(choice: Tensor, sign: Tensor, x: Tensor) -> Tensor:
    """Where each picture's elements come from, `(B, 2, 3)`, see `warped`."""
    _B, _C, H, W = x.shape

    def chosen(name: str, value: float) -> Tensor:
        return torch.where(choice == OPERATIONS.index(name), sign * value, 0.0)

    angle = chosen("rotate", STRENGTH * TURN * math.pi / 180)
    cosine, sine = angle.cos(), angle.sin()
    right = chosen("translate-x", int(STRENGTH * MOVE * W)) + (W / 2) * (1 - cosine) + (H / 2) * sine
    down = chosen("translate-y", int(STRENGTH * MOVE * H)) + (H / 2) * (1 - cosine) - (W / 2) * sine
    top = torch.stack([cosine, chosen("shear-x", STRENGTH * SHEAR) - sine, right], 1)
    bottom = torch.stack([chosen("shear-y", STRENGTH * SHEAR) + sine, cosine, down], 1)
    return torch.stack([top, bottom], 1)


def _lit(x: Tensor, choice: Tensor, sign: Tensor, white: float) -> Tensor:
    """The light changed, where that was chosen."""
    factor = 1 + sign * (STRENGTH * BLEND)
    bits = torch.full_like(sign, 8 - round(STRENGTH * BITS))
    threshold = torch.full_like(sign, 255 * (1 - STRENGTH))
    changes = {
        "brightness": lambda x, rows: light.brightened(x, factor[rows], white),
        "colour": lambda x, rows: light.saturated(x, factor[rows], white),
        "contrast": lambda x, rows: light.contrasted(x, factor[rows], white),
        "sharpness": lambda x, rows: light.sharpened(x, factor[rows], white),
        "posterize": lambda x, rows: light.posterized(x, bits[rows], white),
        "solarize": lambda x, rows: light.solarized(x, threshold[rows], white),
        "autocontrast": lambda x, rows: light.autocontrasted(x, white),
        "equalize": lambda x, rows: light.equalized(x, white),
    }
    for name, change in changes.items():
        x = in_chosen(x, choice == OPERATIONS.index(name), change)
    return x
