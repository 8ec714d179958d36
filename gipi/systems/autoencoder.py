"""Autoencoder: a network that must say what it sees in a few numbers, well enough to rebuild it from them.

Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313, 2006,
https://doi.org/10.1126/science.1127647; `--variational`: Kingma and Welling, "Auto-Encoding Variational Bayes", 2013,
https://arxiv.org/abs/1312.6114; a picture for a picture (the noise taken out): Vincent et al., "Extracting and
Composing Robust Features with Denoising Autoencoders", 2008, https://doi.org/10.1145/1390156.1390294.
Ours differs: trained at once, without stacked Boltzmann machines. Tables: numbers are rebuilt by squared error and
categories by cross-entropy; the code is what tasks/cluster.py groups. Pictures: convolutions with batch norm; where a
picture is wanted and no code, nothing need pass through a few numbers, so the way up sees what the way down saw at the
same size (Ronneberger 2015, https://arxiv.org/abs/1505.04597), and only what must change is learned (Zhang 2017,
https://arxiv.org/abs/1608.03981); both at half the size, with four elements side by side as channels (Zhang 2018,
https://arxiv.org/abs/1710.04026). The variational one takes pictures to have unit variance once centered and scaled.

B rows, N numeric features, K category columns, V categories in all columns together, Z numbers of the code, C H W a
picture
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from gipi.algorithms.optimizers import make
from gipi.data.schema import Sizes
from gipi.models.conv import conv_block, smallest
from gipi.models.dense import Expand, hidden_layer, linear
from gipi.training.player import Player

tasks = ("cluster", "compress", "denoise")
kinds = ("table", "picture")
defaults = {"epochs": 200, "batch_size": 32, "patience": 20}
CODE = {"table": 2, "picture": 32}  # numbers of a code: two can be drawn


@dataclass(frozen=True)
class Config:
    hidden: tuple[int, ...] = (64, 32)  # tables: width of each hidden layer down to the code; the way back mirrors it
    width: int = 32  # pictures: channels at half the size; twice as many after each halving
    code: int | None = None  # numbers that a row (2 if not given) or a picture (32) is said in
    variational: bool = False  # the code is drawn from a normal distribution, and new pictures can be made
    beta: float = 1.0  # weight of the code's distance from a standard normal one, if variational; 1: as in the paper
    activation: str = "elu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 3e-3  # step size, or auto; another optimizer brings its own
    weight_decay: float = 0.01  # shrinks the weights at each step


class Net(nn.Module):
    """Down to the code and back up; or, where a picture is wanted, from picture to picture."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.is_picture = len(sizes.input) == 3
        self.bridged = self.is_picture and sizes.output == math.prod(sizes.input)
        self.numeric = sizes.input[0]
        self.categories = tuple(sizes.categories)
        self.is_variational = config.variational and not self.bridged
        self.code = config.code or CODE["picture" if self.is_picture else "table"]
        numbers = self.code * (2 if self.is_variational else 1)  # means, then logarithms of variances
        if self.bridged:
            self.repair = Repair(sizes.input, config)
        elif self.is_picture:
            self.encode, self.decode = picture_ways(sizes.input, config, numbers, self.code)
        else:
            expand = Expand(sizes)
            self.encode = nn.Sequential(expand, *layers((expand.outputs, *config.hidden, numbers), config.activation))
            back = (self.code, *reversed(config.hidden), expand.outputs)
            self.decode = nn.Sequential(*layers(back, config.activation))

    def forward(self, x: Tensor) -> Tensor:
        """What is kept of it: rows `(B, N + K)` to codes `(B, Z)`; pictures `(B, C, H, W)` to codes and the pictures
        rebuilt from them, `(B, Z + C H W)`, or to other pictures `(B, C, H, W)`."""
        if self.bridged:
            return x + self.repair(x)
        code = self.said(x)[0]
        return torch.cat([code, self.decode(code).flatten(1)], 1) if self.is_picture else code

    def said(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The code `(B, Z)`, and the logarithm of its variance `(B, Z)` if the autoencoder is variational."""
        numbers = self.encode(x)
        return numbers.chunk(2, 1) if self.is_variational else (numbers, None)

    def rebuild(self, x: Tensor) -> Tensor:
        """Rows `(B, N + V)`, numbers then the logits of each category; or pictures `(B, C, H, W)`."""
        return self.forward(x) if self.bridged else self.decode(self.said(x)[0])

    @torch.no_grad()
    def generate(self, count: int, generator: torch.Generator) -> Tensor:
        """New pictures `(count, C, H, W)` from codes drawn from a standard normal distribution; for a variational one,
        in eval mode."""
        z = torch.randn(count, self.code, generator=generator)
        return self.decode(z.to(next(self.parameters())))


def layers(widths: tuple[int, ...], activation: str) -> list[nn.Module]:
    """Hidden layers between these widths; the last one is linear."""
    *before, last = pairwise(widths)
    return [*(hidden_layer(inputs, outputs, activation) for inputs, outputs in before), linear(*last)]


class Crop(nn.Module):
    """`(B, C, >= H, >= W)` to `(B, C, H, W)`: what halving rounded up is cut off again."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.height, : self.width]


def begin(shape: tuple[int, ...]) -> nn.Sequential:
    """`(B, C, H, W)` to `(B, 4 C, h, w)`: four elements that lie together become channels, and from there on a picture
    is worked at half its size (Shi 2016, Zhang 2018); the edge is repeated until it can be halved to the end."""
    _channels, height, width = shape
    unit = 2 ** smallest(height, width)[0]
    return nn.Sequential(nn.ReplicationPad2d((0, -width % unit, 0, -height % unit)), nn.PixelUnshuffle(2))


def end(inputs: int, shape: tuple[int, ...]) -> nn.Sequential:
    """`(B, inputs, h, w)` to `(B, C, H, W)`: `begin` undone."""
    channels, height, width = shape
    return nn.Sequential(nn.Conv2d(inputs, 4 * channels, 3, padding=1), nn.PixelShuffle(2), Crop(height, width))


def upwards(inputs: int, outputs: int, activation: str) -> nn.Sequential:
    """Twice the size: `(B, inputs, H, W)` to `(B, outputs, 2 H, 2 W)`."""
    return nn.Sequential(nn.Upsample(scale_factor=2), conv_block(inputs, outputs, activation))


def picture_ways(shape: tuple[int, ...], config: Config, numbers: int, code: int) -> tuple[nn.Module, nn.Module]:
    """Down from `(B, C, H, W)` to `(B, numbers)`, and from `(B, code)` up to `(B, C, H, W)`."""
    halvings, low, narrow = smallest(*shape[1:])
    widths = [config.width * 2**place for place in range(halvings)]  # from half the size on
    down: list[nn.Module] = [begin(shape), conv_block(4 * shape[0], widths[0], config.activation)]
    for inputs, outputs in pairwise(widths):
        down.append(conv_block(inputs, outputs, config.activation, stride=2))
    up: list[nn.Module] = [linear(code, widths[-1] * low * narrow), nn.Unflatten(1, (widths[-1], low, narrow))]
    up.append(conv_block(widths[-1], widths[-1], config.activation))
    for inputs, outputs in pairwise(reversed(widths)):
        up.append(upwards(inputs, outputs, config.activation))
    up.append(end(widths[0], shape))
    return nn.Sequential(*down, nn.Flatten(), linear(widths[-1] * low * narrow, numbers)), nn.Sequential(*up)


class Repair(nn.Module):
    """What a picture lacks, `(B, C, H, W)` to `(B, C, H, W)`: down, and up again with the way down beside it."""

    def __init__(self, shape: tuple[int, ...], config: Config):
        super().__init__()
        halvings = min(3, smallest(*shape[1:])[0])  # noise is a thing of near elements
        widths = [config.width * 2**place for place in range(halvings)]
        name = config.activation
        self.begin = nn.Sequential(begin(shape), conv_block(4 * shape[0], widths[0], name))
        self.first = conv_block(widths[0], widths[0], name)
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(inputs, outputs, name, stride=2), conv_block(outputs, outputs, name))
            for inputs, outputs in pairwise(widths)
        )
        back = [*pairwise(reversed(widths))]
        self.up = nn.ModuleList(upwards(inputs, outputs, name) for inputs, outputs in back)
        self.join = nn.ModuleList(conv_block(2 * outputs, outputs, name) for _inputs, outputs in back)
        self.end = end(widths[0], shape)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.begin(x))
        seen = []
        for down in self.down:
            seen.append(x)
            x = down(x)
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), seen.pop()], 1))
        return self.end(x)


def reconstruction(net: Net, x: Tensor, made: Tensor | None = None) -> Tensor:
    """How badly rows `(B, N + K)` or pictures `(B, C, H, W)` are rebuilt (`made`): the mean over rows and columns.

    Squared error for a number or an element, cross-entropy for a category; an unseen category (code 0) has nothing to
    be compared with and costs nothing.
    """
    made = net.rebuild(x) if made is None else made  # (B, N + V) or (B, C, H, W)
    if net.is_picture:
        return mse_loss(made, x)
    costs = ((made[:, : net.numeric] - x[:, : net.numeric]) ** 2).sum(1)  # (B,)
    codes = x[:, net.numeric :].long() - 1  # (B, K), -1: unseen
    parts = made[:, net.numeric :].split(net.categories, 1) if net.categories else ()
    for logits, code in zip(parts, codes.unbind(1), strict=True):
        costs = costs + cross_entropy(logits, code, ignore_index=-1, reduction="none")
    return costs.mean() / (net.numeric + len(net.categories))


def bound(net: Net, x: Tensor, beta: float) -> Tensor:
    """The evidence bound of what is seen, turned round and divided by half its elements; equation 10 of the paper.

    The squared error of what is rebuilt from a code that is drawn, and beta times twice the divergence of the code's
    distribution from a standard normal one, an element.
    """
    mean, log_variance = net.said(x)
    assert log_variance is not None
    z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    apart = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()  # twice the divergence
    return reconstruction(net, x, net.decode(z)) + beta * apart / x[0].numel()


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants to rebuild what it sees; a batch is `(x,)`, or `(x, wanted)` where a picture is wanted."""
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]
    optimizer = make(config.optimizer, params, schedule(config.lr), weight_decay=config.weight_decay)

    def repaired(batch: tuple[Tensor, ...]) -> Tensor:
        return mse_loss(net(batch[0]), batch[-1])

    def rebuilt(batch: tuple[Tensor, ...]) -> Tensor:
        return bound(net, batch[0], config.beta) if net.is_variational else reconstruction(net, batch[0])

    objective: Callable = repaired if net.bridged else rebuilt
    return {"learner": Player(params, objective, optimizer, splittable=not net.is_picture)}


def code(net: Net, x: Tensor, rows: int = 4096) -> Tensor:
    """The codes `(B, Z)` of many rows, without gradients, a few thousand at a time."""
    mode = net.training
    net.eval()
    try:
        with torch.no_grad():
            return torch.cat([net.said(part)[0] for part in x.split(rows)])
    finally:
        net.train(mode)
