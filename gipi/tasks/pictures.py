"""Pictures as answers: as bytes to see, and how near they are to the pictures that they should be.

What a person sees is what is scored: a picture is rounded to bytes first, as a file would hold it. White is 1, so the
squared error of a grey picture against a white one is 0.25.

- `mse`: the mean squared error of a picture's elements.
- `psnr`: the peak signal-to-noise ratio in dB, -10 log10 mse; two pictures that are the same have MOST, so that a mean
  stays a number.
- `ssim`: structural similarity, 1 for the same picture (Wang, Bovik, Sheikh & Simoncelli 2004, IEEE Transactions on
  Image Processing 13, https://doi.org/10.1109/TIP.2003.819861): means, variances and covariance under a Gaussian window
  of 11 elements a side with a spread of 1.5, K1 0.01 and K2 0.03, wherever the window fits whole into the picture. A
  picture with less than 11 elements a side has the largest odd window that fits. Of colours the mean of the channels.

n pictures, H W C a picture, K a window's side
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from gipi.data.encode import denormalize
from gipi.data.schema import Schema
from gipi.tasks.intervals import Array, Metric, Resample

MOST = 100.0  # dB; a picture of a million bytes of which one is off by one has 108
WINDOW, SPREAD = 11, 1.5  # Wang et al., section III.C
K1, K2 = 0.01, 0.03
AT_ONCE = 4_000_000  # elements that are compared together: some 30 MB for each of the five windows' sums
NAMES = ("mse", "psnr", "ssim")


def decode(pictures: Tensor, schema: Schema) -> Array:
    """Pictures as a network makes them, `(n, C, H, W)`, as pictures to see: `(n, H, W, C)`, uint8."""
    level = denormalize(schema, pictures.detach().double().cpu()) * (255 / schema.inputs[0].white)
    return level.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def as_bytes(pictures: Tensor, schema: Schema) -> Array:
    """Pictures as `encode` gives them, `(n, C, H, W)` with white as the schema has it, as bytes `(n, H, W, C)`."""
    level = pictures.cpu().double() * (255 / schema.inputs[0].white)
    return level.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


# --- how near they are -------------------------------------------------------------------------------------------


def mse(pictures: Array, truth: Array) -> Array:
    """The mean squared error of each picture, `(n,)`, white being 1, of `(n, H, W, C)` uint8 and `(n, H, W, C)` uint8.

    Example:
        >>> black, white = np.zeros((1, 2, 2, 1), np.uint8), np.full((1, 2, 2, 1), 255, np.uint8)
        >>> float(mse(black, white)[0])
        1.0
    """
    _check(pictures, truth)
    errors = np.empty(len(pictures))
    for part in _parts(pictures):
        gap = pictures[part].astype(np.float64) - truth[part]
        errors[part] = (gap**2).mean((1, 2, 3)) / 255**2
    return errors


def psnr_of(errors: Array) -> Array:
    """Mean squared errors, white being 1, in dB."""
    return -10 * np.log10(np.maximum(errors, 10 ** (-MOST / 10)))


def psnr(pictures: Array, truth: Array) -> Array:
    """The peak signal-to-noise ratio of each picture in dB, `(n,)`; see `mse`.

    Example:
        >>> grey, light = np.full((1, 2, 2, 1), 100, np.uint8), np.full((1, 2, 2, 1), 110, np.uint8)
        >>> round(float(psnr(grey, light)[0]), 2), float(psnr(grey, grey)[0])
        (28.13, 100.0)
    """
    return psnr_of(mse(pictures, truth))


def ssim(pictures: Array, truth: Array) -> Array:
    """The structural similarity of each picture, `(n,)`, of `(n, H, W, C)` uint8 and `(n, H, W, C)` uint8.

    Example:
        >>> grey = np.full((1, 16, 16, 1), 100, np.uint8)
        >>> float(ssim(grey, grey)[0])
        1.0
    """
    _check(pictures, truth)
    window = _window(min(pictures.shape[1:3]))
    found = np.empty(len(pictures))
    for part in _parts(pictures):
        one, other = (torch.from_numpy(side[part].astype(np.float64)).permute(0, 3, 1, 2) for side in (pictures, truth))
        found[part] = _similarity(one, other, window).mean((1, 2, 3)).numpy()
    return found


def metrics(pictures: Array, truth: Array, intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """Mean `mse`, `psnr` and `ssim` of pictures `(n, H, W, C)` uint8, with 95 % intervals."""
    return means(scores(pictures, truth), intervals, seed)


def scores(pictures: Array, truth: Array) -> dict[str, Array]:
    """`mse`, `psnr` and `ssim` of each picture, `(n,)` each."""
    errors = mse(pictures, truth)
    return {"mse": errors, "psnr": psnr_of(errors), "ssim": ssim(pictures, truth)}


def means(scores: dict[str, Array], intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """The mean of each score with its interval, by the bootstrap over pictures."""
    resample = Resample(len(next(iter(scores.values()))), 1000 if intervals else 0, seed)
    ones = np.ones(resample.rows)
    return {
        name: resample.metric(
            resample.sums(np.stack([values, ones], 1)), lambda s: s[:, 0] / s[:, 1], higher_is_better=name != "mse"
        )
        for name, values in scores.items()
    }


def _check(pictures: Array, truth: Array) -> None:
    assert pictures.shape == truth.shape and pictures.ndim == 4, (pictures.shape, truth.shape)
    assert pictures.dtype == truth.dtype == np.uint8


def _parts(pictures: Array) -> list[slice]:
    count = max(1, AT_ONCE // max(1, math.prod(pictures.shape[1:])))
    return [slice(start, start + count) for start in range(0, len(pictures), count)]


def _window(side: int) -> Tensor:
    """`(K,)` weights of one axis that sum to 1."""
    width = min(WINDOW, side - (side + 1) % 2)
    places = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    weights = torch.exp(-(places**2) / (2 * SPREAD**2))
    return weights / weights.sum()


def _similarity(one: Tensor, other: Tensor, window: Tensor) -> Tensor:
    """`(n, C, H - K + 1, W - K + 1)` of `(n, C, H, W)` levels 0..255; equation 13 of the paper."""

    def blurred(x: Tensor) -> Tensor:
        n, C, H, W = x.shape
        flat = x.reshape(n * C, 1, H, W)
        sums = conv2d(conv2d(flat, window[None, None, :, None]), window[None, None, None])
        return sums[:, 0].unflatten(0, (n, C))

    mean, other_mean = blurred(one), blurred(other)
    variance, other_variance = blurred(one**2) - mean**2, blurred(other**2) - other_mean**2
    covariance = blurred(one * other) - mean * other_mean
    light, contrast = (K1 * 255) ** 2, (K2 * 255) ** 2
    above = (2 * mean * other_mean + light) * (2 * covariance + contrast)
    return above / ((mean**2 + other_mean**2 + light) * (variance + other_variance + contrast))


# --- to be seen --------------------------------------------------------------------------------------------------


def beside(*pictures: Array, gap: int = 1) -> list[Array]:
    """Each picture of `(n, H, W, C)` uint8 beside the ones of the same place, `(H, several W, C)`: to be compared."""
    line = np.full((*pictures[0].shape[:2], gap, pictures[0].shape[3]), 128, np.uint8)
    parts = [part for one in pictures for part in (one, line)][:-1]
    return [*np.concatenate(parts, 2)]


def picture_grid(pictures: Any, columns: int | None = None, side: int = 32) -> Array:
    """Pictures `(n, H, W, C)` uint8 side by side in one, `(height, width, 3)`; small ones are enlarged to `side`."""
    count, height, width, channels = pictures.shape
    columns = columns or math.ceil(math.sqrt(count))
    times = max(1, -(-side // max(height, width)))
    large = pictures.repeat(times, 1).repeat(times, 2)
    if channels == 1:
        large = large.repeat(3, 3)
    rows = -(-count // columns)
    gap = 2
    sheet = np.full((rows * (height * times + gap) + gap, columns * (width * times + gap) + gap, 3), 128, np.uint8)
    for index, picture in enumerate(large):
        row, column = divmod(index, columns)
        top, left = gap + row * (height * times + gap), gap + column * (width * times + gap)
        sheet[top : top + height * times, left : left + width * times] = picture
    return sheet
