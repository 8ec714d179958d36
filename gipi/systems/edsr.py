"""EDSR: a picture enlarged by a network that only adds the detail which smooth enlarging lacks.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017,
https://arxiv.org/abs/1707.02921: residual blocks without normalisation. Shi et al., "Real-Time Single Image and Video
Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network" (ESPCN), 2016,
https://arxiv.org/abs/1609.05158: all work is done on the small picture, and channels become pixels at the end.
Ours differs: the network's output is added to the bicubically enlarged picture, and its last layer begins at zero, so
it begins as good as bicubic; 4 blocks of 32 channels where the paper's small model has 16 of 64.

B batch, C channels, H W height and width, r the factor
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.models.conv import conv_block
from gipi.training.player import learner

tasks = ("upscale",)
kinds = ("picture",)
defaults = {"steps": 3000, "batch_size": 16, "schedule": "cosine", "augment": ("turn",)}


@dataclass(frozen=True)
class Config:
    factor: int = 2  # how many times as high and wide the picture becomes
    width: int = 32  # channels
    blocks: int = 4  # residual blocks, of two convolutions each
    crop: int = 32  # side of the squares that are cut out of small pictures to learn from
    activation: str = "relu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 1e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.0  # shrinks the weights at each step


class Block(nn.Module):
    """What two convolutions add to what comes in."""

    def __init__(self, width: int, activation: str):
        super().__init__()
        first = conv_block(width, width, activation, norm="none")
        self.change = nn.Sequential(first, nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:  # (B, width, H, W)
        return x + self.change(x)


class Net(nn.Module):
    """Blocks on the small picture, then as many channels as the large one has pixels for each small one."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        channels = sizes.input[0]
        self.factor = config.factor
        self.reach = 2 * config.blocks + 4  # small pixels that a large one depends on, to each side
        self.head = nn.Conv2d(channels, config.width, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(config.width, config.activation) for _ in range(config.blocks)])
        self.tail = nn.Conv2d(config.width, channels * config.factor**2, 3, padding=1)
        self.pixels = nn.PixelShuffle(config.factor)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, r H, r W)
        smooth = interpolate(x, scale_factor=self.factor, mode="bicubic", antialias=True)  # as Pillow's filter
        features = self.head(x)  # (B, width, H, W)
        return smooth + self.pixels(self.tail(features + self.blocks(features)))


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""
    return learner(net, loss, from_config(config, schedule))
