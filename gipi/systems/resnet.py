"""ResNet: blocks that only add to what they are given, so that a hundred of them learn as readily as ten.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, https://arxiv.org/abs/1512.03385
Ours differs: the halving stands in a bottleneck's 3x3 convolution (torchvision's "v1.5"), blocks begin as if they were
not there (Goyal 2017, section 5.1), and pictures of less than 96 x 96 are not halved twice before the first block. The
parameters have torchvision's names and shapes, so its published weights fit.

B batch, C channels, H W height and width, K outputs
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import relu

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.stem import is_for_small
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("picture",)
defaults = {"epochs": 30, "batch_size": 128, "schedule": "one-cycle", "augment": ("flip", "shift")}


@dataclass(frozen=True)
class Config:
    layers: int = 18  # 18, 34, 50, 101 or 152
    stem: str = "auto"  # imagenet halves the picture twice at first, cifar does not; auto: cifar below 96 x 96
    width: int = 64  # channels of the first stage; each stage after it has twice as many
    zero_init: bool = True  # blocks begin as if they were not there: the last norm of each with scale 0
    optimizer: str = "nag"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 0.1  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 5e-4  # shrinks the weights at each step


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut: `(B, inputs, H, W)` to `(B, width, H / stride, W / stride)`."""

    widening = 1

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        way = relu(self.bn1(self.conv1(x)))
        way = self.bn2(self.conv2(way))
        return relu(way + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 to four times as many, beside a shortcut: what 50 layers and more are made of."""

    widening = 4

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = self.widening * width
        self.conv1, self.bn1 = convolution(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = convolution(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        way = relu(self.bn1(self.conv1(x)))
        way = relu(self.bn2(self.conv2(way)))
        way = self.bn3(self.conv3(way))
        return relu(way + self.downsample(x))


# The paper's table 1: what blocks, and how many of them in each of the four stages.
STAGES = {
    18: (Basic, (2, 2, 2, 2)),
    34: (Basic, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class Net(nn.Module):
    """A stem, four stages of blocks (each but the first halves the picture), the mean over places, one layer."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        if config.layers not in STAGES:
            known = ", ".join(map(str, STAGES))
            text = _("a resnet has {known} layers; there is none with {layers}", known=known, layers=config.layers)
            raise UsageError(text)
        kind, counts = STAGES[config.layers]
        channels, width = sizes.input[0], config.width
        is_small = is_for_small(config.stem, sizes)
        self.conv1 = convolution(channels, width, 3) if is_small else convolution(channels, width, 7, 2)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if is_small else nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = stage(kind, width, width, counts[0], 1)
        self.layer2 = stage(kind, width * kind.widening, 2 * width, counts[1], 2)
        self.layer3 = stage(kind, 2 * width * kind.widening, 4 * width, counts[2], 2)
        self.layer4 = stage(kind, 4 * width * kind.widening, 8 * width, counts[3], 2)
        self.fc = nn.Linear(8 * width * kind.widening, sizes.output)
        for part in self.modules():
            if config.zero_init and isinstance(part, Basic):
                nn.init.zeros_(part.bn2.weight)
            if config.zero_init and isinstance(part, Bottleneck):
                nn.init.zeros_(part.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        x = self.maxpool(relu(self.bn1(self.conv1(x))))  # (B, width, H, W), or a quarter of H and W
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 8 width, H / 8, W / 8); a bottleneck's 32 width
        return self.fc(x.mean((2, 3)))  # (B, K)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Without a bias, which the norm behind it would take away; weights by He 2015, for what goes back."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """What goes around a block: all as it is, or by a 1x1 convolution where the shape changes."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def stage(kind: type[Basic] | type[Bottleneck], inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    """So many blocks; the first one halves the picture, if the stride is 2."""
    rest = [kind(width * kind.widening, width, 1) for _block in range(count - 1)]
    return nn.Sequential(kind(inputs, width, stride), *rest)


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""

    return learner(net, loss, from_config(config, schedule))
