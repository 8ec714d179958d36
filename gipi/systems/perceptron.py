"""Perceptron: the first machine that learned from its mistakes, and only from them.

Rosenblatt, "The Perceptron", Psychological Review 65, 1958. Its rule has no gradient and no step size that matters: a
row that is classified wrongly is added to the weights of its class and taken from those of the class it was taken for.
If the classes can be separated by planes, it finds some in finitely many mistakes (Novikoff, 1962).
Ours differs: the rule for several classes (Duda and Hart, "Pattern Classification", 1973, section 5.12).

B rows, N features after categories are one-hot, K classes
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gipi.data.schema import Schema, Sizes
from gipi.messages import _
from gipi.models.dense import Expand

tasks = ("classify",)
kinds = ("table", "picture")
defaults = {"epochs": 200, "batch_size": 1, "patience": 0}
no_use = ("loss", "label_smoothing", "mixup", "weight", "class_weight", "clip", "schedule", "warmup")  # no gradient


@dataclass(frozen=True)
class Config:
    lr: float = 1.0  # step size; it only sets the scale of the weights


class Net(nn.Sequential):
    """A score for each class, linear in the features; there is no gradient here."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()  # what is set below stands in a row, in this order
        self.expand = Expand(sizes)
        self.line = nn.Linear(self.expand.outputs, sizes.output)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)
        self.requires_grad_(False)


@dataclass
class Rosenblatt:
    """The player: corrects mistakes. Its loss is the share of rows that it took for another class."""

    net: Net
    lr: float
    every: int = 1

    def play(self, batch: tuple[Tensor, ...], step: int) -> Tensor:
        x, y, *_weight = batch
        rows = self.net.expand(x)  # (B, N)
        scores = self.net.line(rows)  # (B, K)
        own = scores.gather(1, y[:, None])
        rival, taken = scores.scatter(1, y[:, None], -torch.inf).max(1)
        wrong = rival >= own[:, 0]  # a tie is a mistake: at the beginning all scores are 0
        change = torch.zeros_like(scores).scatter_(1, y[:, None], 1.0).scatter_(1, taken[:, None], -1.0)
        change *= self.lr * wrong[:, None]
        self.net.line.weight += change.T @ rows
        self.net.line.bias += change.sum(0)
        return wrong.to(scores.dtype).mean()

    def tensors(self) -> dict[str, Tensor]:
        return {}  # what it has learned is in the network

    def load(self, tensors: dict[str, Tensor]) -> None:
        pass


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner, which needs no loss but its mistakes."""
    return {"learner": Rosenblatt(net, config.lr)}


def explain(net: Net, schema: Schema, batch: tuple[Tensor, ...]) -> list[str]:
    """Whether planes separate the training rows."""
    x, y, *_weight = batch
    mistakes = int((net(x).argmax(1) != y).sum())
    if mistakes == 0:
        return [_("the {rows} training rows are separated without a mistake", rows=len(y))]
    text = _(
        "{mistakes} of {rows} training rows are on the wrong side: the perceptron found no plane that separates the"
        " classes, and where there is none it never comes to rest; try linear or mlp",
        mistakes=mistakes,
        rows=len(y),
    )
    return [text]
