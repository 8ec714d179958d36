"""Airbench: a small convolutional network that learns CIFAR-10 to 94 % in eight epochs.

Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024, https://arxiv.org/abs/2404.00498, in the version with
Muon of https://github.com/KellerJordan/cifar10-airbench: filters of a first layer that whiten the pictures and are not
learned, filters that begin as the identity and move by Muon, an answer that is the mean over a picture, its mirror
image and both moved by one element.
Ours differs: pictures are normalised with one mean and spread for all channels, and may have other sizes and one
channel (small ones are halved less often); an epoch leaves no picture out; the arithmetic is as gipi chooses it.

B batch, C channels, H W height and width, K outputs
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad

from gipi.algorithms.optimizers import FirstOrder
from gipi.algorithms.updates import Rule, Update, heavy_ball, muon
from gipi.data.schema import Sizes
from gipi.training.player import Player

tasks = ("classify",)
kinds = ("picture",)
defaults = {"epochs": 8, "batch_size": 2000, "schedule": "linear", "augment": ("crop",)}
recipes = {
    "speed": {
        "epochs": 8,
        "batch_size": 2000,
        "schedule": "linear",
        "augment": ("alternate", "crop"),
        "label_smoothing": 0.2,
        "valid_share": 0.0,
        "patience": 0,
    }
}

ROWS = 2000  # that the published step sizes are for: their loss is a sum, so a larger batch moves further
PATCH = 2  # height and width of a whitening filter
FLOOR = 5e-4  # added to the variance along each filter, so that noise is not blown up
WHITENED = 3 / 8  # of the run, over which the whitening layer's bias learns
ITERATIONS = 3  # of Newton and Schulz
AT_ONCE = 500  # pictures whose patches are in memory together


@dataclass(frozen=True)
class Config:
    width: int = 64  # channels of the first stage; the others have four times as many
    views: Literal["one", "mirrored", "moved"] = "moved"  # of a picture, whose mean answer counts: 1, 2 or 6
    lr: float = 0.24  # step size of the filters, by Muon
    head_lr: float = 1340.0  # of the last layer, by SGD with Nesterov momentum, for batches of 2000
    bias_lr: float = 106.0  # of the biases, likewise
    weight_decay: float = 0.004  # of the last layer and the biases


def group(inputs: int, outputs: int, halves: bool) -> list[nn.Module]:
    """Two convolutions with a halving between: `(B, inputs, H, W)` to `(B, outputs, H // 2, W // 2)`."""

    def conv(inputs: int) -> nn.Conv2d:
        layer = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
        nn.init.dirac_(layer.weight.data[:inputs])  # the rest begins as torch has it
        return layer

    def norm() -> nn.BatchNorm2d:
        layer = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)
        layer.weight.requires_grad_(False)
        return layer

    pool = [nn.MaxPool2d(2)] if halves else []
    return [conv(inputs), *pool, norm(), nn.GELU(), conv(outputs), norm(), nn.GELU()]


class Net(nn.Module):
    """Whitening, three groups, the maximum over all places, one linear layer.

    Attributes:
        is_whitening_learned: Whether a gradient is to reach the whitening layer's bias; without it a step is shorter.
    """

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        channels, height, width = sizes.input
        self.views = config.views
        self.is_whitening_learned = True
        self.whiten = nn.Conv2d(channels, 2 * channels * PATCH**2, PATCH)
        self.whiten.weight.requires_grad_(False)
        layers: list[nn.Module] = [nn.GELU()]
        inputs, side = self.whiten.out_channels, min(height, width) - PATCH + 1
        for outputs in (config.width, 4 * config.width, 4 * config.width):
            layers += group(inputs, outputs, halves=side >= 2)
            inputs, side = outputs, side // 2
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, sizes.output, bias=False)
        with torch.no_grad():
            self.head.weight /= self.head.weight.std()

    def scores(self, x: Tensor) -> Tensor:
        """What is said of each picture as it is, `(B, K)`."""
        bias = self.whiten.bias
        assert bias is not None
        x = conv2d(x, self.whiten.weight, bias if self.is_whitening_learned else bias.detach())
        x = self.layers(x)  # (B, 4 * width, h, w)
        x = max_pool2d(x, x.shape[2:]).flatten(1)
        return self.head(x) / x.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        if self.views == "one" or any(part.training for part in self.layers):  # also where only norms gather statistics
            return self.scores(x)
        seen = [x]
        if self.views == "moved":
            H, W = x.shape[2:]
            wide = pad(x, (1, 1, 1, 1), "reflect")
            seen += [wide[:, :, :H, :W], wide[:, :, 2:, 2:]]
        said = self.scores(torch.cat([*seen, *(view.flip(3) for view in seen)])).unflatten(0, (2, len(seen), -1))
        still, *moved = said.mean(0)  # of both mirror images: (B, K) for each way of lying
        return (still + torch.stack(moved).mean(0)) / 2 if moved else still


def prepare(net: Net, x: Tensor) -> None:
    """The whitening filters, from some training pictures `(B, C, H, W)`.

    They are the directions in which patches of the pictures vary, each divided by how much, and their negatives.
    """
    channels = x.shape[1]
    total, count = torch.zeros(channels * PATCH**2, channels * PATCH**2, device=x.device, dtype=x.dtype), 0
    for some in x.split(AT_ONCE):
        patches = nn.functional.unfold(some, PATCH).transpose(1, 2).flatten(0, 1)  # (patches, C * PATCH * PATCH)
        total += patches.T @ patches
        count += len(patches)
    variances, directions = torch.linalg.eigh(total / count)
    filters = (directions / (variances.clamp_min(0) + FLOOR).sqrt()).T.view(-1, channels, PATCH, PATCH)
    with torch.no_grad():
        net.whiten.weight.copy_(torch.cat([filters, -filters]))


class Movers:
    """Four optimizers as one: each moves parameters of its own, by the same gradient.

    Args:
        net: Whose whitening layer is told when its bias has learned enough.
        config: The step sizes.
        schedule: `step size -> (step -> step size)`.
    """

    def __init__(self, net: Net, config: Config, schedule: Callable[[float], Callable[[int], float]]):
        self.net = net
        self.scale = 1.0
        filters: list[Tensor] = [part.weight for part in net.layers if isinstance(part, nn.Conv2d)]
        biases: list[Tensor] = [part.bias for part in net.layers if isinstance(part, nn.BatchNorm2d)]
        assert net.whiten.bias is not None
        whole = schedule(1.0)

        def at_first(step: int) -> float:
            """Down to nothing in the first part of the run, as a linear schedule is in all of it."""
            return config.bias_lr * max(0.0, 1 - round((1 - whole(step)) / WHITENED, 9))

        def by_sgd(params: list[Tensor], lr: float, size: Callable[[int], float]) -> FirstOrder:
            rule = Rule(
                decayed(heavy_ball(0.85, is_nesterov=True), config.weight_decay / lr), ("velocity",), skips=True
            )
            return FirstOrder(params, size, (rule, rule))

        by_muon = Rule(muon(0.6, ITERATIONS, keeps_norm=True), ("momentum",), is_elementwise=False)
        self.at_first = at_first
        self.parts = [
            FirstOrder(filters, schedule(config.lr), (by_muon, by_muon)),
            by_sgd([net.head.weight], config.head_lr, schedule(config.head_lr)),
            by_sgd(biases, config.bias_lr, schedule(config.bias_lr)),
            by_sgd([net.whiten.bias], config.bias_lr, at_first),
        ]
        self.params = [param for part in self.parts for param in part.params]

    def step(self, evaluate: Callable[[], tuple[Tensor, list[Tensor]]], step: int) -> Tensor:
        self.net.is_whitening_learned = self.at_first(step) > 0
        loss, gradients = evaluate()
        rest = iter(gradients)
        for part in self.parts if self.net.is_whitening_learned else self.parts[:-1]:
            own = [next(rest) for _param in part.params]
            part.scale = self.scale
            part.step(lambda own=own: (loss, own), step)
        return loss

    def tensors(self) -> dict[str, Tensor]:
        return {f"{n}.{name}": tensor for n, part in enumerate(self.parts) for name, tensor in part.tensors().items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        for n, part in enumerate(self.parts):
            part.load({name: tensors[f"{n}.{name}"] for name in part.tensors()})


def decayed(update: Update, decay: float) -> Update:
    """An update with weight decay of its own, of whatever it moves."""

    def with_decay(params, gradients, memory, counts, move) -> None:
        update(params, gradients, memory, counts, move._replace(decay=decay))

    return with_decay


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small; its filters move by Muon, and all else by SGD."""
    optimizer = Movers(net, config, schedule)

    def objective(batch) -> Tensor:
        x, *target = batch
        found = loss(net(x), *target)
        share = len(x) / ROWS
        # a mean as it is told, a sum as it is followed: fewer rows than published weigh less
        return found if share == 1 else found.detach() + share * (found - found.detach())

    return {"learner": Player(optimizer.params, objective, optimizer, splittable=False)}
