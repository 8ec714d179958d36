"""A convolution with what belongs to it: the block that convolutional networks are built of.

B batch, C channels, H W height and width
"""

from torch import nn

from gipi.models.activations import activation, expansion, initialize
from gipi.models.normalization import normalization


def conv_block(
    inputs: int, outputs: int, name: str = "relu", *, kernel: int = 3, stride: int = 1, norm: str = "batch"
) -> nn.Sequential:
    """Convolution, normalisation, activation: `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`.

    Args:
        inputs: C in.
        outputs: C out.
        name: The activation.
        kernel: Height and width of the filter; an odd number, so that padding by half of it keeps the size.
        stride: Every how many places it looks.
        norm: none, batch or layer. With one, the convolution has no bias of its own: the norm would take it away.
    """
    wide = outputs * expansion(name)
    layer = normalization(norm, wide, is_picture=True)
    conv = nn.Conv2d(inputs, wide, kernel, stride, padding=kernel // 2, bias=layer is None)
    initialize(conv, name)
    parts = [conv, layer, activation(name, channels=wide)]
    return nn.Sequential(*[part for part in parts if part is not None])


def smallest(height: int, width: int) -> tuple[int, int, int]:
    """How often a picture is halved until at most 7 elements are left on a side, and how many: 28 -> 14 -> 7."""
    count = 1
    while -(-max(height, width) // 2**count) > 7:
        count += 1
    return count, -(-height // 2**count), -(-width // 2**count)
