"""Small pieces of what networks take and give, which may be as large as a vocabulary times a text."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ROWS = 64
MOST = 1 << 16  # elements


def some_rows(x: Tensor) -> Tensor:
    """Some rows of it, and of what lies between rows and the last axis some places, of pictures of both their sides."""
    x = x.detach()
    if x.layout != torch.strided or not x.ndim:
        return x.new_zeros(0)
    rows = max(2, min(ROWS, MOST // max(1, x[:1].numel())))
    x = x[:: max(1, -(-len(x) // rows))]
    for axis in (2, 3) if x.ndim == 4 else range(1, x.ndim - 1):
        if x.numel() > MOST:
            step = -(-x.shape[axis] // max(1, x.shape[axis] * MOST // x.numel()))
            x = x[(*[slice(None)] * axis, slice(None, None, step))]
    return x


def first_tensor(given: Any) -> Tensor | None:
    """The first tensor in what a network is given or gives: in lists, in dictionaries (`logits` before others)."""
    if isinstance(given, Tensor):
        return given
    if isinstance(given, Mapping):
        given = [given["logits"]] if "logits" in given else list(given.values())
    if isinstance(given, tuple | list):
        return next((one for one in map(first_tensor, given) if one is not None), None)
    return None
