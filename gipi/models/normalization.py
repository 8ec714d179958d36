"""Normalisation by name: what keeps the signals inside a network in a sensible range.

batch: Ioffe & Szegedy 2015. layer: Ba, Kiros & Hinton 2016; over a picture's channels and places alike, it is group
norm with one group (Wu & He 2018).
"""

from torch import nn

from gipi.errors import UsageError, nearest
from gipi.messages import _

NORMALIZATIONS = ("none", "batch", "layer")


def normalization(name: str, channels: int, is_picture: bool = False) -> nn.Module | None:
    """The layer of this name for `(B, channels)`, or `(B, channels, H, W)` for pictures; None for `none`."""
    if name not in NORMALIZATIONS:
        known = ", ".join(NORMALIZATIONS)
        said = _("there is no normalization '{name}'; there are {known}.", name=name, known=known)
        raise UsageError(said + nearest(name, list(NORMALIZATIONS)))
    if name == "batch":
        return nn.BatchNorm2d(channels) if is_picture else nn.BatchNorm1d(channels)
    if name == "layer":
        return nn.GroupNorm(1, channels) if is_picture else nn.LayerNorm(channels)
    return None
