"""GoogLeNet: blocks that look at a picture through small and larger filters at once, and say on the way what they see.

Szegedy et al., "Going Deeper with Convolutions", 2014, https://arxiv.org/abs/1409.4842; batch normalisation (Ioffe and
Szegedy 2015).
Ours differs: batch normalisation; 3x3 in place of the 5x5 filters, as in all weights that are published; and pictures
of less than 96 x 96 are halved once before the first block, not three times. The parameters have torchvision's names
and shapes, so its published weights fit. The two helpers on the way count in the loss and give no answers.

B batch, C channels, H W height and width, K outputs
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.models.activations import initialize
from gipi.models.stem import is_for_small
from gipi.training.player import Player

tasks = ("classify", "regress")
kinds = ("picture",)
defaults = {"epochs": 30, "batch_size": 128, "schedule": "one-cycle", "augment": ("flip", "shift")}

HELPING = 0.3  # of the loss of each helper is added: the paper's section 5
PLACES = 4  # in height and width that a helper looks at

# The paper's table 1, for a first layer of 64 channels: of 1x1, before 3x3, of 3x3, before "5x5", of "5x5", behind a
# pooling.
BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True)
class Config:
    stem: str = "auto"  # imagenet halves the picture twice at first, cifar does not; auto: cifar below 96 x 96
    width: int = 64  # channels of the first layer; the others in proportion
    dropout: float = 0.2  # share of features that is switched off before the last layer
    helpers: bool = True  # two more last layers on the way, which count in the loss
    optimizer: str = "nag"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 0.1  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 5e-4  # shrinks the weights at each step


class Convolution(nn.Module):
    """Convolution, batch norm, relu."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        initialize(self.conv, "relu")

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four ways to look at the same picture; what they find lies side by side: `(B, inputs, H, W)` to `(B, sum, H, W)`.

    Args:
        inputs: C in.
        channels: Of 1x1; before and of 3x3; before and of what was 5x5; behind the pooling.
    """

    def __init__(self, inputs: int, channels: tuple[int, ...]):
        super().__init__()
        one, before_three, three, before_five, five, pooled = channels
        self.branch1 = Convolution(inputs, one, 1)
        self.branch2 = nn.Sequential(Convolution(inputs, before_three, 1), Convolution(before_three, three, 3))
        self.branch3 = nn.Sequential(Convolution(inputs, before_five, 1), Convolution(before_five, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), Convolution(inputs, pooled, 1))
        self.outputs = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Helper(nn.Module):
    """A last layer on the way, `(B, inputs, H, W)` to `(B, K)`: the gradient comes deep into the network by it."""

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(PLACES)
        self.conv = Convolution(inputs, 2 * width, 1)
        self.fc1 = nn.Linear(2 * width * PLACES**2, 16 * width)
        self.fc2 = nn.Linear(16 * width, outputs)
        self.dropout = nn.Dropout(0.7)
        initialize(self.fc1, "relu")
        initialize(self.fc2, "identity")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.pool(x)).flatten(1)  # (B, 32 width)
        return self.fc2(self.dropout(relu(self.fc1(x))))


class Net(nn.Module):
    """A stem, nine blocks with halvings between them, the mean over places, one layer; two helpers on the way."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        width = config.width

        def halve(kernel: int = 3) -> nn.MaxPool2d:
            """Of a small picture the edges count too, so that something is always left."""
            return nn.MaxPool2d(3, 2, padding=1) if is_small else nn.MaxPool2d(kernel, 2, ceil_mode=True)

        def block(inputs: int, name: str) -> Inception:
            return Inception(inputs, tuple(max(1, count * width // 64) for count in BLOCKS[name]))

        is_small = is_for_small(config.stem, sizes)
        self.conv1 = Convolution(sizes.input[0], width, *((3, 1) if is_small else (7, 2)))
        self.maxpool1 = nn.Identity() if is_small else halve()
        self.conv2 = Convolution(width, width, 1)
        self.conv3 = Convolution(width, 3 * width, 3)
        self.maxpool2 = halve()
        self.inception3a = block(3 * width, "3a")
        self.inception3b = block(self.inception3a.outputs, "3b")
        self.maxpool3 = halve()
        self.inception4a = block(self.inception3b.outputs, "4a")
        self.inception4b = block(self.inception4a.outputs, "4b")
        self.inception4c = block(self.inception4b.outputs, "4c")
        self.inception4d = block(self.inception4c.outputs, "4d")
        self.inception4e = block(self.inception4d.outputs, "4e")
        self.maxpool4 = halve(2)
        self.inception5a = block(self.inception4e.outputs, "5a")
        self.inception5b = block(self.inception5a.outputs, "5b")
        self.has_helpers = config.helpers
        if config.helpers:
            self.aux1 = Helper(self.inception4a.outputs, width, sizes.output)
            self.aux2 = Helper(self.inception4d.outputs, width, sizes.output)
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(self.inception5b.outputs, sizes.output)
        initialize(self.fc, "identity")

    def forward(self, x: Tensor, with_helpers: bool = False) -> Tensor | tuple[Tensor, ...]:
        """The answers, `(B, K)`; with them, if they are asked for, those of the two helpers, the earlier one first."""
        x = self.maxpool1(self.conv1(x))  # (B, width, H, W), of a large picture a quarter of H and W
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        early = x = self.inception4a(x)
        late = x = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        said = self.fc(self.dropout(x.mean((2, 3))))
        if with_helpers and self.has_helpers:
            return said, self.aux1(early), self.aux2(late)
        return (said,) if with_helpers else said


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants its own loss small and, less so, those of the helpers."""
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]

    def objective(batch) -> Tensor:
        x, *target = batch
        said, *helping = net(x, with_helpers=True)  # by the network's own door: one that is sharded opens no other
        return loss(said, *target) + HELPING * sum(loss(own, *target) for own in helping)

    return {"learner": Player(params, objective, from_config(config, schedule)(params), splittable=False)}
