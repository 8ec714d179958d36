"""Augmentation that moves the elements of a picture: mirrored, shifted, cropped, turned, stretched.

Each is a pure function of the batch and of its rows' draws, uniform random numbers `(B, D)`. What belongs to a picture
element by element (a mask, a target picture) goes the same way with the same draws; where an element would come from in
between others, `mode="nearest"` takes one of them as it is, in its own type, and so keeps labels labels.

B batch, C channels, H W height and width, D draws that an augmentation uses
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

Mode = Literal["bilinear", "nearest"]

TURN = 10.0  # degrees, at most, either way: more turns a 6 into something else
STRETCH = 0.1  # of the size, at most, either way
MOVE = 0.1  # of the size, at most, either way
ROTATION = 15.0  # degrees, at most, either way, where turning is all that is done
# Random resized crop: Szegedy 2014 ("Going deeper"), section 6, with torchvision's ten tries.
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10
CROP_DRAWS = 2 * CROP_TRIES + 2


def flip(x: Tensor, draws: Tensor) -> Tensor:
    """Left and right are exchanged in half of the pictures; not for digits or letters. D = 1."""
    return torch.where(draws[:, 0, None, None, None] < 0.5, x.flip(3), x)


def shift(x: Tensor, draws: Tensor) -> Tensor:
    """Moved by whole elements, up to an eighth of the size; the edge is repeated. D = 2."""
    _B, _C, H, W = x.shape
    rows, columns = _moved(draws, H, 8), _moved(draws[:, 1:], W, 8)
    return _taken(x, rows.clamp(0, H - 1), columns.clamp(0, W - 1))


def crop(x: Tensor, draws: Tensor) -> Tensor:
    """Padded by a sixteenth of the size and cropped back (2 of 32 elements); the padding mirrors the picture. D = 2.

    Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024, https://arxiv.org/abs/2404.00498, section 3.1.
    """
    _B, _C, H, W = x.shape
    return _taken(x, _mirrored(_moved(draws, H, 16), H), _mirrored(_moved(draws[:, 1:], W, 16), W))


def _moved(draws: Tensor, size: int, part: int) -> Tensor:
    """Places `(B, size)` along an axis, moved by up to a part of the size; they may lie outside."""
    reach = max(1, round(size / part))
    offset = (draws[:, :1] * (2 * reach + 1)).long() - reach  # (B, 1)
    return torch.arange(size, device=draws.device) + offset


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places a little outside 0 .. size - 1 are reflected at the first and the last."""
    last = size - 1
    return (last - (last - places.abs()).abs()).clamp_min(0)


def _taken(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The elements at these rows `(B, H)` and columns `(B, W)`."""
    return _gathered(x, rows[:, :, None] * x.shape[3] + columns[:, None, :])


def _gathered(x: Tensor, places: Tensor) -> Tensor:
    """The elements at these places `(B, H, W)`, each `row * W + column`."""
    B, C, H, W = x.shape
    return x.flatten(2).gather(2, places.flatten(1)[:, None].expand(B, C, H * W)).view(B, C, H, W)


# --- in between elements -----------------------------------------------------------------------------------------


def affine(x: Tensor, draws: Tensor, mode: Mode = "bilinear") -> Tensor:
    """Turned, stretched and moved a little, in between elements too; the edge is repeated. D = 5."""
    signed = 2 * draws - 1
    angle = signed[:, 0] * (TURN * math.pi / 180)
    stretch = 1 + signed[:, 1:3] * STRETCH
    cosine, sine = angle.cos(), angle.sin()
    top = torch.stack([cosine * stretch[:, 0], -sine * stretch[:, 1], signed[:, 3] * 2 * MOVE], 1)
    bottom = torch.stack([sine * stretch[:, 0], cosine * stretch[:, 1], signed[:, 4] * 2 * MOVE], 1)
    return _sampled(x, affine_grid(torch.stack([top, bottom], 1).to(_kind(x)), list(x.shape), False), mode)


def rotate(x: Tensor, draws: Tensor, mode: Mode = "bilinear") -> Tensor:
    """Turned around its middle, by up to 15 degrees either way; the edge is repeated. D = 1."""
    _B, _C, H, W = x.shape
    angle = (2 * draws[:, 0] - 1) * (ROTATION * math.pi / 180)
    cosine, sine, nought = angle.cos(), angle.sin(), torch.zeros_like(angle)
    top = torch.stack([cosine, -sine * (H / W), nought], 1)  # the grid goes from -1 to 1 along either side
    bottom = torch.stack([sine * (W / H), cosine, nought], 1)
    return _sampled(x, affine_grid(torch.stack([top, bottom], 1).to(_kind(x)), list(x.shape), False), mode)


def resized_crop(x: Tensor, draws: Tensor, mode: Mode = "bilinear") -> Tensor:
    """A part of the picture, 8 to 100 % of its area and 3:4 to 4:3 in shape, enlarged to the picture's size. D = 22.

    Szegedy et al. 2014, as torchvision defines it: of ten tries the first that fits into the picture counts, and where
    none does, the largest part in the middle whose shape is allowed. As the part is never larger than the picture,
    nothing has to be smoothed.
    """
    _B, _C, H, W = x.shape
    top, left, height, width = crop_boxes(draws, H, W).to(_kind(x)).unbind(1)  # (B,) each
    rows = _enlarged(top, height, H)  # (B, H)
    columns = _enlarged(left, width, W)
    across = ((2 * columns + 1) / W - 1)[:, None, :].expand(-1, H, W)
    down = ((2 * rows + 1) / H - 1)[:, :, None].expand(-1, H, W)
    return _sampled(x, torch.stack([across, down], 3), mode)


def crop_boxes(draws: Tensor, H: int, W: int) -> Tensor:
    """Top, left, height and width of the part that `resized_crop` takes, `(B, 4)` whole numbers."""
    area = (AREA[0] + draws[:, :CROP_TRIES] * (AREA[1] - AREA[0])) * (H * W)  # (B, tries)
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    ratio = (low + draws[:, CROP_TRIES : 2 * CROP_TRIES] * (high - low)).exp()
    width, height = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (width > 0) & (width <= W) & (height > 0) & (height <= H)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    any_fits = fits.any(1)
    largest = _largest(H, W)
    height = torch.where(any_fits, height.gather(1, first)[:, 0], largest[0])
    width = torch.where(any_fits, width.gather(1, first)[:, 0], largest[1])
    place = draws[:, 2 * CROP_TRIES :]
    top = torch.where(any_fits, (place[:, 0] * (H - height + 1)).floor(), (H - largest[0]) // 2)
    left = torch.where(any_fits, (place[:, 1] * (W - width + 1)).floor(), (W - largest[1]) // 2)
    return torch.stack([top, left, height, width], 1).long()


def _largest(H: int, W: int) -> tuple[int, int]:
    """Height and width of the largest part whose shape is allowed."""
    shape, (low, high) = W / H, RATIO
    if shape < low:
        return round(W / low), W
    if shape > high:
        return H, round(H * high)
    return H, W


def _enlarged(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Where `size` elements along an axis come from in a part of it, `(B, size)`; never from outside of the part."""
    step = (length / size)[:, None]
    places = (torch.arange(size, device=start.device, dtype=start.dtype) + 0.5) * step - 0.5
    return start[:, None] + places.clamp_min(0).minimum((length - 1)[:, None])


def _sampled(x: Tensor, grid: Tensor, mode: Mode) -> Tensor:
    """The elements at these points, `(B, H, W, 2)` across and down, -1 to 1 from edge to edge; the edge is repeated.

    In between others the answer is a mixture, in floating point; with `nearest` it is the nearest element itself.
    """
    if mode == "nearest":
        _B, _C, H, W = x.shape
        columns = (((grid[..., 0] + 1) * W - 1) / 2).round().long().clamp(0, W - 1)  # (B, H, W)
        rows = (((grid[..., 1] + 1) * H - 1) / 2).round().long().clamp(0, H - 1)
        return _gathered(x, rows * W + columns)
    return grid_sample(x.to(_kind(x)), grid, padding_mode="border", align_corners=False)


def _kind(x: Tensor) -> torch.dtype:
    """What points are computed in: a picture's own floating type, else float32."""
    return x.dtype if x.is_floating_point() else torch.float32


def warped(x: Tensor, matrix: Tensor, fill: float) -> Tensor:
    """Each place asks its nearest element at `matrix` times (column, row, 1); outside the picture it is `fill`.

    Args:
        x: `(B, C, H, W)`, of any type.
        matrix: `(B, 2, 3)`, in elements, measured from the corner of the picture at the upper left.
        fill: In the picture's own unit.
    """
    _B, _C, H, W = x.shape
    down = torch.arange(H, device=x.device, dtype=matrix.dtype) + 0.5
    across = torch.arange(W, device=x.device, dtype=matrix.dtype) + 0.5
    m = matrix[:, :, :, None, None]  # (B, 2, 3, 1, 1)
    columns = (m[:, 0, 0] * across + m[:, 0, 1] * down[:, None] + m[:, 0, 2]).floor().long()  # (B, H, W)
    rows = (m[:, 1, 0] * across + m[:, 1, 1] * down[:, None] + m[:, 1, 2]).floor().long()
    is_inside = (columns >= 0) & (columns < W) & (rows >= 0) & (rows < H)
    taken = _gathered(x, rows.clamp(0, H - 1) * W + columns.clamp(0, W - 1))
    return torch.where(is_inside[:, None], taken, torch.full((), fill, device=x.device).to(x.dtype))
