"""AlexNet: five convolutions and three wide layers, the network that won ImageNet in 2012 and began the deep years.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, in the form of
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, https://arxiv.org/abs/1404.5997
Ours differs: weights drawn by He 2015 instead of with one spread for all layers, a step size that rises and falls once;
and for pictures of less than 96 x 96 the first filters are 5x5 and look everywhere, as in Krizhevsky's networks for
CIFAR-10. The parameters have torchvision's names, and for large pictures its shapes, so its published weights fit.

B batch, C channels, H W height and width, K outputs
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.activations import initialize
from gipi.models.stem import is_for_small
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("picture",)
defaults = {"epochs": 40, "batch_size": 128, "schedule": "one-cycle", "augment": ("flip", "shift")}

SIDE = 6  # places in height and width that the wide layers look at
LEAST = 63  # height and width that the early halvings leave something of


@dataclass(frozen=True)
class Config:
    stem: str = "auto"  # imagenet halves the picture twice at first, cifar does not; auto: cifar below 96 x 96
    width: int = 64  # channels of the first layer; the others in proportion
    dropout: float = 0.5  # share of hidden units that is switched off at each step
    optimizer: str = "momentum"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 0.01  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 5e-4  # shrinks the weights at each step


class Net(nn.Module):
    """Convolutions that shrink the picture, then two wide layers with dropout and one to the outputs."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        channels, height, wide = sizes.input
        width = config.width
        is_small = is_for_small(config.stem, sizes)
        if not is_small and min(height, wide) < LEAST:
            raise UsageError(_("the stem imagenet needs pictures of {least} x {least} at least", least=LEAST))
        first = nn.Conv2d(channels, width, 5, padding=2) if is_small else nn.Conv2d(channels, width, 11, 4, padding=2)
        # three halvings; a small picture's edges count too, so that nothing is left over
        pools = [nn.MaxPool2d(3, 2, padding=1 if is_small else 0) for _halving in range(3)]
        side = (min(SIDE, -(-height // 8)), min(SIDE, -(-wide // 8))) if is_small else (SIDE, SIDE)
        self.features = nn.Sequential(
            *(first, nn.ReLU(), pools[0]),  # (B, width, H / 2, W / 2), of a large picture H / 8
            *(nn.Conv2d(width, 3 * width, 5, padding=2), nn.ReLU(), pools[1]),
            *(nn.Conv2d(3 * width, 6 * width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(6 * width, 4 * width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(4 * width, 4 * width, 3, padding=1), nn.ReLU(), pools[2]),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Sequential(
            *(nn.Dropout(config.dropout), nn.Linear(4 * width * side[0] * side[1], 64 * width), nn.ReLU()),
            *(nn.Dropout(config.dropout), nn.Linear(64 * width, 64 * width), nn.ReLU()),
            nn.Linear(64 * width, sizes.output),
        )
        layers = [part for part in self.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
        for layer in layers:
            initialize(layer, "identity" if layer is layers[-1] else "relu")

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        x = self.avgpool(self.features(x))  # (B, 4 width, 6, 6)
        return self.classifier(x.flatten(1))  # (B, K)


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""

    return learner(net, loss, from_config(config, schedule))
