"""Numbers over a picture as colours: how much from dark to bright, for and against in red and blue, a layer of either.

H W height and width, C channels
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray

# viridis (van der Walt and Smith 2015, CC0) at every eighth: as much brighter as the number is larger, for all eyes
HOW_MUCH = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
# ColorBrewer's RdBu, turned round: white says nothing, red for, blue against
FOR_AND_AGAINST = (
    (33, 102, 172),
    (103, 169, 207),
    (209, 229, 240),
    (255, 255, 255),
    (253, 219, 199),
    (239, 138, 98),
    (178, 24, 43),
)
VEIL = 0.6  # of an overlay is colour, the rest the picture
SHARE = 99.5  # per cent of the numbers that a scale must hold: a single extreme one would make the others alike


def coloured(shares: Array, ramp: Sequence[tuple[int, int, int]] = HOW_MUCH) -> Array:
    """Shares 0..1 `(...)` as colours `(..., 3)` uint8 of a ramp; what lies outside is taken for the end.

    Example:
        >>> coloured(np.array([0.0, 1.0])).tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    places = np.linspace(0, 1, len(ramp))
    held = np.nan_to_num(np.asarray(shares, np.float64)).clip(0, 1)
    channels = [np.interp(held, places, [colour[channel] for colour in ramp]) for channel in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def reach(values: Array) -> float:
    """How far from 0 the numbers go, but for the very few that go farthest; more than 0."""
    size = np.abs(np.asarray(values, np.float64))
    if not size.size:
        return 1.0
    return float(np.percentile(size, SHARE)) or float(size.max()) or 1.0


def how_much(values: Array, most: float | None = None) -> Array:
    """Numbers from 0 as colours from dark to bright, `(..., 3)`; `most` is the brightest, None: the largest of them."""
    most = float(np.max(values, initial=0.0)) if most is None else most
    return coloured(np.asarray(values) / (most or 1.0))


def for_and_against(values: Array, most: float | None = None) -> Array:
    """Numbers as red above 0 and blue below, `(..., 3)`; `most` is the deepest, None: their `reach`."""
    return coloured(0.5 + np.asarray(values, np.float64) / (2 * (most or reach(values))), FOR_AND_AGAINST)


def overlay(picture: Array, values: Array) -> Array:
    """Numbers from 0, `(H, W)`, laid as colours over a picture `(H, W, C)` uint8 that has lost its own: `(H, W, 3)`."""
    grey = grey_of(picture)[..., None].astype(np.float64)
    return (VEIL * how_much(values) + (1 - VEIL) * grey).round().astype(np.uint8)


def grey_of(picture: Array) -> Array:
    """`(H, W)` brightness of a picture `(H, W, C)` uint8."""
    if picture.shape[-1] == 1:
        return picture[..., 0]
    return (picture[..., :3] @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)  # ITU-R BT.601


def three_channels(picture: Array) -> Array:
    """A picture `(H, W, C)` as `(H, W, 3)`."""
    return picture.repeat(3, -1) if picture.shape[-1] == 1 else picture[..., :3]
