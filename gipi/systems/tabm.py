"""TabM: many networks in one, which share nearly all weights, each with its own view of a table's columns.

Gorishniy, Kotelnikov, Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling", 2024,
https://arxiv.org/abs/2410.24210: its TabM-mini with piecewise-linear embeddings (models/numeric.py).
Ours differs: half as many members and narrower, so that a CPU is enough; a member's view of the columns is multiplied
into the first layer's weights, which are fewer than a batch's features.

B rows, M members, D features after embedding, H width of a layer, K outputs
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, log_softmax, logsigmoid, relu

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.activations import Maxout, activation, check, expansion
from gipi.models.numeric import Embedding
from gipi.training.player import Player

tasks = ("classify", "regress")
kinds = ("table",)
defaults = {"epochs": 100, "batch_size": 256, "patience": 10}

PIECE = 1 << 16  # numbers that stay in a core's cache
FEATURES = 256  # that all numbers together may become, if nobody says how many each


@dataclass(frozen=True)
class Config:
    members: int = 16  # how many networks there are in the one
    hidden: tuple[int, ...] = (128, 128)  # width of each hidden layer
    bins: int = 48  # at most so many for each column of numbers; 0: numbers as they are
    embedding: int | None = None  # features that each number becomes; by how many numbers there are if not given
    activation: str = "relu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    dropout: float = 0.1  # share of hidden units that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 2e-3  # step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 3e-4  # shrinks the weights at each step


class Views(nn.Module):
    """The first layer: one linear layer that each member looks through with weights of its own on the features.

    `(B, D)` to `(B, M, H)`. A member's weight on all features of a column is the same in the beginning.
    """

    def __init__(self, members: int, chunks: list[int], width: int, are_signs: bool):
        super().__init__()
        self.shared = nn.Parameter(torch.empty(width, sum(chunks)))
        self.bias = nn.Parameter(torch.empty(width))
        reach = sum(chunks) ** -0.5
        nn.init.uniform_(self.shared, -reach, reach)
        nn.init.uniform_(self.bias, -reach, reach)
        views = torch.randn(members, len(chunks))
        views = views.sign() if are_signs else views
        self.views = nn.Parameter(views[:, [column for column, count in enumerate(chunks) for _ in range(count)]])

    def forward(self, x: Tensor) -> Tensor:
        own = self.shared * self.views[:, None]  # (M, H, D)
        return linear(x, own.flatten(0, 1), self.bias.repeat(len(own))).unflatten(1, own.shape[:2])  # (B, M, H)


class Heads(nn.Module):
    """A last linear layer for each member: `(B, M, H)` to `(B, M, K)`."""

    def __init__(self, members: int, width: int, outputs: int):
        super().__init__()
        reach = width**-0.5
        self.weight = nn.Parameter(torch.empty(members, width, outputs).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-reach, reach))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bmh,mhk->bmk", x, self.weight) + self.bias


class Bend(nn.Module):
    """Relu and dropout at once: with so many members memory is what costs, and drawing, not arithmetic.

    The share that is switched off is rounded to 1/256: it is drawn as random bytes.
    """

    def __init__(self, dropout: float):
        super().__init__()
        self.off = min(255, round(dropout * 256))

    def forward(self, x: Tensor) -> Tensor:
        return _Bend.apply(x, self.off) if self.training and self.off else relu(x)


class _Bend(torch.autograd.Function):
    """What comes out says where its slope is zero, so nothing else is remembered."""

    @staticmethod
    def forward(ctx, x: Tensor, off: int) -> Tensor:
        ctx.scale = 256 / (256 - off)
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        out = relu(x)
        pieces = zip(out.view(-1).split(PIECE), draws.view(torch.uint8)[: x.numel()].split(PIECE), strict=True)
        for piece, draw in pieces:
            piece.mul_((draw >= off).to(x.dtype).mul_(ctx.scale))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient.contiguous(), out, 0).mul_(ctx.scale), None


def bend(name: str, dropout: float) -> nn.Module:
    """An activation with dropout behind it, on the last axis."""
    if name == "relu":
        return Bend(dropout)
    return nn.Sequential(Maxout(axis=-1) if name == "maxout" else activation(name), nn.Dropout(dropout))


class Net(nn.Module):
    """Embedded columns, views, shared hidden layers, heads; the answer is the mean of the members' answers."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        if not config.hidden:
            raise UsageError(_("tabm needs a hidden layer: --hidden 128, for example"))
        self.is_class, self.is_labels = sizes.is_class, sizes.is_labels
        numbers = sum(1 for column in sizes.edges if column)
        width = config.embedding or max(1, min(8, FEATURES // max(1, numbers)))
        self.embed = Embedding(sizes, width)
        check(config.activation)
        wide = expansion(config.activation)
        self.views = Views(config.members, self.embed.chunks, config.hidden[0] * wide, are_signs=not numbers)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(config.hidden, config.hidden[1:], strict=False):
            layers += [nn.Linear(inputs, outputs * wide), bend(config.activation, config.dropout)]
        self.bend = bend(config.activation, config.dropout)
        self.shared = nn.Sequential(*layers)
        self.heads = Heads(config.members, config.hidden[-1], sizes.output)

    def members(self, x: Tensor) -> Tensor:
        """What each member says, `(B, M, K)`."""
        first = self.bend(self.views(self.embed(x)))  # (B, M, H)
        return self.heads(self.shared(first))

    def forward(self, x: Tensor) -> Tensor:
        said = self.members(x)  # (B, M, K)
        if self.is_class:
            return log_softmax(said, 2).logsumexp(1) - math.log(said.shape[1])  # of the mean probabilities
        if self.is_labels:
            return logsigmoid(said).logsumexp(1) - logsigmoid(-said).logsumexp(1)
        return said.mean(1)


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants each member's own loss small: members that are good together only would not differ."""
    params: list[Tensor] = list(net.parameters())

    def objective(batch) -> Tensor:
        x, *target = batch
        said = net.members(x)  # (B, M, K)
        return loss(said.flatten(0, 1), *[each.repeat_interleave(said.shape[1], 0) for each in target])

    return {"learner": Player(params, objective, from_config(config, schedule)(params))}
