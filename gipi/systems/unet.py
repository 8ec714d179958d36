"""U-Net: down to what a picture means, up again to where it is, with the details handed across at each size.

Ronneberger, Fischer & Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015,
https://arxiv.org/abs/1505.04597
Ours differs: convolutions keep the size (the paper's cut the borders off), so a mask is as large as its picture; batch
normalisation (Ioffe & Szegedy 2015); 16 channels next to the picture where the paper has 64.

B batch, C channels, H W height and width, K classes
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.conv import conv_block
from gipi.training.player import learner

tasks = ("segment",)
kinds = ("picture",)
defaults = {"steps": 2000, "batch_size": 8, "schedule": "one-cycle", "augment": ("flip",)}

DEEPEST = 12  # halvings: of a picture 4096 wide one pixel is left


@dataclass(frozen=True)
class Config:
    width: int = 16  # channels next to the picture; twice as many after each halving
    depth: int = 4  # halvings
    crop: int = 128  # side of the squares that are cut out of pictures to learn from
    activation: str = "relu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    norm: str = "batch"  # none, batch or layer
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 3e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


class Net(nn.Module):
    """Two convolutions at each size on the way down and on the way up; the last one, 1 x 1, gives the scores."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        if not 0 <= config.depth <= DEEPEST:
            raise UsageError(_("depth is {least} to {most}; {came} came", least=0, most=DEEPEST, came=config.depth))
        widths = [config.width * 2**level for level in range(config.depth + 1)]

        def stage(inputs: int, outputs: int) -> nn.Sequential:
            first = conv_block(inputs, outputs, config.activation, norm=config.norm)
            return nn.Sequential(first, conv_block(outputs, outputs, config.activation, norm=config.norm))

        self.multiple = 2**config.depth
        self.down = nn.ModuleList([stage(sizes.input[0], widths[0])])
        self.down.extend(stage(narrow, wide) for narrow, wide in pairwise(widths))
        back = [*pairwise(reversed(widths))]
        self.rise = nn.ModuleList([nn.ConvTranspose2d(wide, narrow, 2, stride=2) for wide, narrow in back])
        self.up = nn.ModuleList([stage(2 * narrow, narrow) for _wide, narrow in back])
        self.scores = nn.Conv2d(config.width, sizes.output, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, K, H, W)
        height, width = x.shape[2:]
        x = pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        handed: list[Tensor] = []
        for stage in self.down:
            x = stage(max_pool2d(x, 2) if handed else x)  # (B, width * 2^level, H / 2^level, W / 2^level)
            handed.append(x)
        for rise, stage, across in zip(self.rise, self.up, handed[-2::-1], strict=True):
            x = stage(torch.cat([across, rise(x)], 1))
        return self.scores(x)[:, :, :height, :width]


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""
    return learner(net, loss, from_config(config, schedule))
