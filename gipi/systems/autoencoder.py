"""Autoencoder: a network that must say each row in a few numbers, well enough to rebuild the row from them.

Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313, 2006,
https://doi.org/10.1126/science.1127647
Ours differs: trained at once, without stacked Boltzmann machines; for tables, so numbers are rebuilt by squared error
and categories by cross-entropy. The code is what tasks/cluster.py groups, beside the inputs themselves.

B rows, N numeric features, K category columns, V categories in all columns together, Z numbers of the code
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gipi.algorithms.optimizers import make
from gipi.data.schema import Sizes
from gipi.models.dense import Expand, hidden_layer, linear
from gipi.training.player import Player

tasks = ("cluster",)
kinds = ("table",)
defaults = {"epochs": 200, "batch_size": 32, "patience": 20}


@dataclass(frozen=True)
class Config:
    hidden: tuple[int, ...] = (64, 32)  # width of each hidden layer down to the code; the way back mirrors it
    code: int = 2  # numbers that a row is said in; two can be drawn
    activation: str = "elu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 3e-3  # step size, or auto; another optimizer brings its own
    weight_decay: float = 0.01  # shrinks the weights at each step


class Net(nn.Module):
    """Down to the code and back up to the row."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.numeric = sizes.input[0]
        self.categories = tuple(sizes.categories)
        expand = Expand(sizes)
        self.encode = nn.Sequential(expand, *layers((expand.outputs, *config.hidden, config.code), config.activation))
        back = (config.code, *reversed(config.hidden), expand.outputs)
        self.decode = nn.Sequential(*layers(back, config.activation))

    def forward(self, x: Tensor) -> Tensor:  # (B, N + K) -> (B, Z)
        return self.encode(x)

    def rebuild(self, x: Tensor) -> Tensor:  # (B, N + K) -> (B, N + V): numbers, then the logits of each category
        return self.decode(self.encode(x))


def layers(widths: tuple[int, ...], activation: str) -> list[nn.Module]:
    """Hidden layers between these widths; the last one is linear."""
    *before, last = pairwise(widths)
    return [*(hidden_layer(inputs, outputs, activation) for inputs, outputs in before), linear(*last)]


def reconstruction(net: Net, x: Tensor) -> Tensor:
    """How badly the rows `(B, N + K)` are rebuilt: the mean over rows and columns.

    Squared error for a number, cross-entropy for a category; an unseen category (code 0) has nothing to be compared
    with and costs nothing.
    """
    made = net.rebuild(x)  # (B, N + V)
    costs = ((made[:, : net.numeric] - x[:, : net.numeric]) ** 2).sum(1)  # (B,)
    codes = x[:, net.numeric :].long() - 1  # (B, K), -1: unseen
    parts = made[:, net.numeric :].split(net.categories, 1) if net.categories else ()
    for logits, code in zip(parts, codes.unbind(1), strict=True):
        costs = costs + cross_entropy(logits, code, ignore_index=-1, reduction="none")
    return costs.mean() / (net.numeric + len(net.categories))


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants to rebuild what it sees; a batch is `(x,)`, anything after it is not looked at."""
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]
    optimizer = make(config.optimizer, params, schedule(config.lr), weight_decay=config.weight_decay)

    def objective(batch: tuple[Tensor, ...]) -> Tensor:
        return reconstruction(net, batch[0])

    return {"learner": Player(params, objective, optimizer)}


def code(net: Net, x: Tensor, rows: int = 4096) -> Tensor:
    """The codes `(B, Z)` of many rows, without gradients, a few thousand at a time."""
    mode = net.training
    net.eval()
    try:
        with torch.no_grad():
            return torch.cat([net(part) for part in x.split(rows)])
    finally:
        net.train(mode)
