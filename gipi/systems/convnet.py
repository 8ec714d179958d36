"""Convolutional network: small filters that look everywhere alike, and a picture that shrinks as it gains meaning.

LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998; 3x3 filters in pairs as in VGG (Simonyan
and Zisserman 2014); batch normalisation (Ioffe and Szegedy 2015).
Ours differs: the number of stages follows from the picture, which is halved until 2 to 4 elements are left.

B batch, C channels, H W height and width, K outputs
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.models.conv import conv_block
from gipi.models.dense import linear
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("picture",)
defaults = {"epochs": 40, "batch_size": 32, "schedule": "one-cycle", "averaging": "ema", "augment": ("affine",)}


@dataclass(frozen=True)
class Config:
    width: int = 16  # channels of the first stage; each stage after it has twice as many
    widest: int = 256  # channels at most
    activation: str = "relu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    norm: str = "batch"  # none, batch or layer
    dropout: float = 0.2  # share of features that is switched off before the last layer
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 3e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.02  # shrinks the weights at each step


class Net(nn.Sequential):
    """Stages of two convolutions and a halving, then one linear layer."""

    def __init__(self, sizes: Sizes, config: Config):
        channels, height, width = sizes.input
        layers: list[nn.Module] = []
        wide = config.width
        while True:
            for inputs in (channels, wide):
                layers.append(conv_block(inputs, wide, config.activation, norm=config.norm))
            channels = wide
            if min(height, width) < 4:
                break
            layers.append(nn.MaxPool2d(2))
            height, width, wide = height // 2, width // 2, min(2 * wide, config.widest)
        super().__init__(
            *layers,  # (B, C, H, W)
            nn.Flatten(),
            nn.Dropout(config.dropout),
            linear(channels * height * width, sizes.output),
        )


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""

    return learner(net, loss, from_config(config, schedule))
