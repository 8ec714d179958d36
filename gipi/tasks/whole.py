"""Whole pictures through networks that take any size: in training they saw pieces, here they see all of a picture.

Pictures that reach equally far on their canvases go through together, as many as `AT_ONCE` pixels allow.

N pictures, C channels, H W of the canvas, h w of a picture, K outputs for each pixel, M members
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi.data.encode import normalize
from gipi.data.images import SUFFIXES, plain_array, read_picture
from gipi.data.schema import Schema
from gipi.errors import DataError
from gipi.messages import _

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


def loose(rows: Any, channels: int) -> list[tuple[str | None, Array]]:
    """Pictures of any size that somebody hands in: the file's name (None where there is none) and `(h, w, C)` uint8.

    Args:
        rows: A file, a folder, the bytes of a file, a Pillow image, an array `(h, w)`, `(h, w, C)`, or several of them.
        channels: C.

    Raises:
        DataError: Nothing came, or a picture cannot be read; names which.
    """
    if isinstance(rows, str | Path) and Path(rows).is_dir():
        folder = Path(rows)
        rows = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        if not rows:
            raise DataError(_("no picture is in the folder {path}", path=folder))
    if hasattr(rows, "detach"):
        rows = plain_array(rows)
    if isinstance(rows, np.ndarray):
        is_first = rows.shape[0] == 1 or rows.shape[0] == channels == 3  # channels stand first, or last
        is_one = rows.ndim == 2 or (rows.ndim == 3 and (rows.shape[2] in (1, 3, 4) or is_first))
        rows = [rows] if is_one else [*rows]
    elif isinstance(rows, Mapping | int | float):
        raise DataError(_("a picture was expected, as a file or an array; {came} came", came=repr(rows)[:60]))
    elif not isinstance(rows, Sequence) or isinstance(rows, str | bytes | bytearray):
        rows = [rows]
    elif rows and isinstance(rows[0], list | int | float):  # nested lists, as JSON has them
        rows = [np.asarray(plain_array(rows), np.uint8)]
    found = []
    for number, row in enumerate(rows):
        is_file = isinstance(row, str | Path)
        name = None if is_file else _("picture {number}", number=number + 1)
        picture = read_picture(row, None, 255.0, name)
        if picture.shape[2] != channels:
            picture = read_picture(picture, (channels, *picture.shape[:2]))
        found.append((str(row) if is_file else None, picture))
    return found


def as_tensor(picture: Array) -> Tensor:
    """`(h, w, C)` uint8 as a batch of one, `(1, C, h, w)`."""
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))[None]
