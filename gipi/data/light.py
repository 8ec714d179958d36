"""Augmentation that changes the light of a picture and leaves its elements where they are.

The operations are torchvision's, which are Pillow's: brightness, contrast, saturation and sharpness lie on a line
between the picture and one that has none of it; bytes are rounded down after each. Each takes a batch and a number for
each row. Bytes stay bytes; other numbers are measured against `white`.

B batch, C channels (1 or 3), H W height and width
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

GREY = (0.2989, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as torchvision has it
BLUR = ((1, 1, 1), (1, 5, 1), (1, 1, 1))  # Pillow's SMOOTH filter
JITTER = (0.4, 0.4, 0.4, 0.1)  # of brightness, contrast, saturation, hue
JITTER_DRAWS = 8


def brightened(x: Tensor, factor: Tensor, white: float = 255.0) -> Tensor:
    """0: black; 1: as it is. `factor` is `(B,)`, here and below."""
    return _clipped(x * _beside(factor), x, white)


def contrasted(x: Tensor, factor: Tensor, white: float = 255.0) -> Tensor:
    """0: the picture's mean grey everywhere; 1: as it is."""
    return _blended(x, _grey(x).mean((1, 2, 3), keepdim=True), factor, white)


def saturated(x: Tensor, factor: Tensor, white: float = 255.0) -> Tensor:
    """0: grey; 1: as it is. A grey picture stays as it is."""
    return x if x.shape[1] == 1 else _blended(x, _grey(x), factor, white)


def sharpened(x: Tensor, factor: Tensor, white: float = 255.0) -> Tensor:
    """0: smoothed, but for the elements at the edge; 1: as it is."""
    _B, C, H, W = x.shape
    if min(H, W) < 3:
        return x
    kernel = torch.tensor(BLUR, dtype=_kind(x), device=x.device).div(13).expand(C, 1, 3, 3)
    smooth = conv2d(x.to(_kind(x)), kernel, groups=C)
    dull = x.to(_kind(x), copy=True)
    dull[:, :, 1:-1, 1:-1] = smooth.round() if x.dtype == torch.uint8 else smooth
    return _blended(x, dull, factor, white)


def tinted(x: Tensor, turn: Tensor, white: float = 255.0) -> Tensor:
    """The hue is turned by a part of the circle, -0.5 to 0.5, `(B,)`. A grey picture stays as it is."""
    if x.shape[1] == 1:
        return x
    red, green, blue = (x.to(_kind(x)) / _top(x, white)).unbind(1)  # (B, H, W), 0 to 1
    most, least = torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)
    spread = most - least
    by = torch.where(spread == 0, 1, spread)
    # a sixth of the circle for each step from one of the six pure colours to the next
    of_red = (green - blue) / by
    of_green = 2 + (blue - red) / by
    of_blue = 4 + (red - green) / by
    hue = torch.where(most == red, of_red, torch.where(most == green, of_green, of_blue))
    hue = (hue / 6 + turn.to(hue.dtype)[:, None, None]).remainder(1) * 6

    def part(start: int) -> Tensor:
        """One channel: full over a third of the circle, nothing over another, straight lines in between."""
        place = (hue + start).remainder(6)
        return most - spread * torch.minimum(place, 4 - place).clamp(0, 1)

    turned = torch.stack([part(5), part(3), part(1)], 1)  # (B, C, H, W)
    return (turned * 255.999).to(x.dtype) if x.dtype == torch.uint8 else turned * white


def posterized(x: Tensor, bits: Tensor, white: float = 255.0) -> Tensor:
    """Only so many of a byte's eight bits are kept, `(B,)` whole numbers."""
    step = _beside(2.0 ** (8 - bits))
    if x.dtype == torch.uint8:
        return ((x / step).floor() * step).to(torch.uint8)
    return (x * (255 / white) / step).floor() * step * (white / 255)


def solarized(x: Tensor, threshold: Tensor, white: float = 255.0) -> Tensor:
    """What is at least as light as the threshold `(B,)`, 0 to 255, becomes its negative."""
    top = _top(x, white)
    return torch.where(x >= _beside(threshold) * (top / 255), top - x, x).to(x.dtype)


def autocontrasted(x: Tensor, white: float = 255.0) -> Tensor:
    """Each channel stretched from black to white; one of a single value is left as it is."""
    low, high = x.amin((2, 3), keepdim=True).to(_kind(x)), x.amax((2, 3), keepdim=True).to(_kind(x))
    top, is_flat = _top(x, white), high == low
    scale = torch.where(is_flat, 1, top / torch.where(is_flat, 1, high - low))
    return _clipped((x - torch.where(is_flat, 0, low)) * scale, x, white)


def equalized(x: Tensor, white: float = 255.0) -> Tensor:
    """Each channel's 256 levels spread so that all are about as frequent; as Pillow does it."""
    B, C, H, W = x.shape
    levels = x.flatten(0, 1).flatten(1)  # (B * C, H * W)
    codes = levels.long() if x.dtype == torch.uint8 else (levels * (255 / white)).long().clamp(0, 255)
    counts = torch.zeros(B * C, 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(1, codes, torch.ones_like(codes))
    lightest = codes.amax(1, keepdim=True)
    step = (H * W - counts.gather(1, lightest)) // 255  # (B * C, 1)
    by = step.clamp_min(1)
    below = counts.cumsum(1) - counts
    table = ((below + by // 2) // by).clamp(0, 255)
    spread = table.gather(1, codes).to(_kind(x)) * (_top(x, white) / 255)
    return torch.where(step == 0, levels.to(_kind(x)), spread).to(x.dtype).view(B, C, H, W)


def jitter(
    x: Tensor, draws: Tensor, white: float = 255.0, strength: tuple[float, float, float, float] = JITTER
) -> Tensor:
    """Brightness, contrast, saturation and hue changed a little, in an order of each row's own. D = 8.

    Args:
        x: `(B, C, H, W)`.
        draws: `(B, 8)`.
        white: The value of white in pictures that are not bytes.
        strength: How far each of the four may go: factors 1 - s to 1 + s; the hue by -s to s of the circle.
    """
    signed = 2 * draws[:, :4] - 1
    factors = [(1 + signed[:, i] * strength[i]).clamp_min(0) for i in range(3)]
    turn = signed[:, 3] * strength[3]
    order = draws[:, 4:8].argsort(1)  # (B, 4): which of the four comes first, second ...
    changes = (
        lambda x, rows: brightened(x, factors[0][rows], white),
        lambda x, rows: contrasted(x, factors[1][rows], white),
        lambda x, rows: saturated(x, factors[2][rows], white),
        lambda x, rows: tinted(x, turn[rows], white),
    )
    for place in range(4):
        for number, change in enumerate(changes):
            x = in_chosen(x, order[:, place] == number, change)
    return x


def in_chosen(x: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor | slice], Tensor]) -> Tensor:
    """The batch with some rows changed: `change(x of rows, rows)`.

    On a CPU only the chosen rows are worked on. On a GPU a step would wait for the answer to which they are, so there
    all are, and the chosen ones are taken.
    """
    if x.device.type == "cpu":
        rows = chosen.nonzero()[:, 0]
        return x.index_copy(0, rows, change(x[rows], rows)) if len(rows) else x
    return torch.where(chosen[:, None, None, None], change(x, slice(None)), x)


def _blended(x: Tensor, other: Tensor, factor: Tensor, white: float) -> Tensor:
    """`factor` of the picture and the rest of the other, or beyond it; where they agree, exactly what both are."""
    return _clipped(other + (x - other) * _beside(factor), x, white)


def _grey(x: Tensor) -> Tensor:
    """`(B, 1, H, W)`, in floating point; of bytes a whole number."""
    if x.shape[1] == 1:
        return x.to(_kind(x))
    grey = sum(share * x[:, i : i + 1].to(_kind(x)) for i, share in enumerate(GREY))
    assert isinstance(grey, Tensor)
    return grey.floor() if x.dtype == torch.uint8 else grey


def _beside(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None]


def _top(x: Tensor, white: float) -> float:
    return 255.0 if x.dtype == torch.uint8 else white


def _clipped(changed: Tensor, x: Tensor, white: float) -> Tensor:
    """Within black and white, in the picture's type."""
    return changed.clamp(0, _top(x, white)).to(x.dtype)


def _kind(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.float32
