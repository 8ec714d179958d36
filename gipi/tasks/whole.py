"""Whole pictures through networks that take any size: in training they saw pieces, here they see all of a picture.

Pictures that reach equally far on their canvases go through together, as many as `AT_ONCE` pixels allow.

N pictures, C channels, H W of the canvas, h w of a picture, K outputs for each pixel, M members
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gipi.data.encode import normalize
from gipi.data.schema import Schema

AT_ONCE = 1 << 19  # pixels; what a network makes of more would not stay near the processor

Array = np.ndarray


def outputs(
    members: Sequence[nn.Module],
    schema: Schema,
    x: Tensor,
    sizes: Tensor,
    rows: Array,
    answer: Callable[[Tensor], Tensor],
) -> Iterator[tuple[int, Tensor]]:
    """For each of these rows its place among them and the members' mean answer `(K, h', w')`, in an order of its own.

    Args:
        members: The networks, in eval mode.
        schema: Of the pictures.
        x: `(N, C, H, W)`, as they are encoded.
        sizes: `(N, 2)`: h and w of each.
        rows: Row numbers.
        answer: From what a network gives `(B, K, h', w')` to what is averaged.
    """
    where = next(members[0].parameters())
    alike: dict[tuple[int, int], list[int]] = {}
    for place, row in enumerate(rows):
        height, width = sizes[row].tolist()
        alike.setdefault((height, width), []).append(place)
    for (height, width), places in alike.items():
        count = max(1, AT_ONCE // (height * width))
        for start in range(0, len(places), count):
            some = places[start : start + count]
            piece = x[torch.from_numpy(rows[some]), :, :height, :width].to(where.device)
            found = together(members, normalize(schema, piece).to(where.dtype), answer)
            yield from zip(some, found, strict=True)


def together(members: Sequence[nn.Module], x: Tensor, answer: Callable[[Tensor], Tensor]) -> Tensor:
    """The members' mean answer to a batch, without gradients."""
    with torch.no_grad():
        mean = answer(members[0](x))
        for member in members[1:]:
            mean = mean + answer(member(x))
    return mean / len(members) if len(members) > 1 else mean


def as_tensor(picture: Array) -> Tensor:
    """`(h, w, C)` uint8 as a batch of one, `(1, C, h, w)`."""
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))[None]
