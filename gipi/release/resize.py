"""Bringing pictures to a size, inside a model's program: in a graph by ONNX's Resize, in PyTorch by its interpolation.

B rows, C H W a picture
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(x: Tensor, size: Tensor, mode: str, shape: tuple[int, ...]) -> Tensor:
    """`(B, C, H, W)` brought to a size `(2,)`; "cubic" of bytes gives what Pillow gives, within one level.

    In a program it is ONNX's Resize, written into the graph as it stands; `shape` is what the exporter is told. In
    PyTorch it is `interpolate`, whose arithmetic for bytes is Pillow's own.
    """
    if not torch.onnx.is_in_onnx_export():
        return _resized(x, size, mode, shape)
    attributes: dict[str, Any] = {"mode": mode}
    if mode == "cubic":  # Pillow's filter: Keys's with -0.5, widened where it shrinks, cut off at the edge
        attributes |= {"antialias": 1, "cubic_coeff_a": -0.5, "exclude_outside": 1}
    shape = (x.shape[0], x.shape[1], *shape)
    # All four sizes are given: where only two axes are named, onnxruntime 1.31 loses them when it moves a Transpose.
    rest = torch.onnx.ops.symbolic("Shape", (x,), {"start": 0, "end": 2}, dtype=torch.int64, shape=(2,), version=19)
    size = torch.cat([rest, size])
    return torch.onnx.ops.symbolic("Resize", (x, None, None, size), attributes, dtype=x.dtype, shape=shape, version=19)


def _resized(x: Tensor, size: Tensor, mode: str, shape: tuple[int, ...]) -> Tensor:
    if mode == "cubic":  # the size is the networks' own
        return F.interpolate(x, shape, mode="bicubic", antialias=True)
    height, width = size.tolist()
    return F.interpolate(x, (height, width), mode="bilinear")
