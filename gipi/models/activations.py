"""What makes a network more than a line: activations by their standard names, and how to draw weights before them.

Sources: relu, Nair & Hinton 2010; leaky_relu, Maas 2013; prelu, He 2015; elu, Clevert 2016; maxout, Goodfellow 2013;
gelu, Hendrycks & Gimpel 2016; silu, Elfwing 2018 (swish, Ramachandran 2017); softplus, Dugas 2001.

B rows, F features, C channels, K pieces
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gipi.errors import UsageError, nearest
from gipi.messages import _

ACTIVATIONS = (
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "prelu",
    "elu",
    "maxout",
    "gelu",
    "silu",
    "softplus",
    "identity",
)

PIECES = 2  # K of maxout; Goodfellow 2013 has 2 to 5
SLOPE = 0.01  # of leaky_relu below zero, Maas 2013


class Maxout(nn.Module):
    """The largest of every K neighbours on an axis: `(B, F K)` to `(B, F)`, `(B, C K, H, W)` to `(B, C, H, W)`.

    With a linear layer before it, it learns a convex function of K straight pieces for each feature.
    """

    def __init__(self, pieces: int = PIECES, axis: int = 1):
        super().__init__()
        self.pieces = pieces
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(self.axis, (-1, self.pieces)).amax(self.axis + 1 if self.axis >= 0 else self.axis)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


def activation(name: str, channels: int | None = None) -> nn.Module:
    """The activation of this name.

    Args:
        name: One of ACTIVATIONS. `maxout` needs `expansion("maxout")` times as many features before it.
        channels: With `prelu`, a slope of its own for each; None: one slope.
    """
    check(name)
    if name == "prelu":
        return nn.PReLU(channels or 1)  # begins at .25, He 2015
    made: dict[str, Callable[[], nn.Module]] = {
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(SLOPE),
        "elu": nn.ELU,
        "maxout": Maxout,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "identity": nn.Identity,
    }
    return made[name]()


def check(name: str) -> None:
    """Raise if there is no activation of this name."""
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        said = _("there is no activation '{name}'; there are {known}.", name=name, known=known)
        raise UsageError(said + nearest(name, list(ACTIVATIONS)))


def expansion(name: str) -> int:
    """How many features go in for one that comes out."""
    return PIECES if name == "maxout" else 1


@torch.no_grad()
def initialize(layer: nn.Linear | nn.Conv2d, name: str) -> None:
    """Draw a layer's weights so that signals neither die nor explode through the activation behind it; biases 0.

    sigmoid, tanh, identity: Glorot & Bengio 2010, uniform with variance 2 / (in + out); for sigmoid with four times the
    range, because its slope at 0 is a quarter. The others: He 2015, normal with variance gain^2 / in, where by He's
    argument gain^2 = 1 / E[f(z)^2] for a standard normal z: 2 for relu, 2 / (1 + slope^2) with a slope below zero, and
    1 for the larger of two (maxout). elu, gelu, silu and softplus take relu's 2, as is usual.
    """
    if name in ("sigmoid", "tanh", "identity"):
        nn.init.xavier_uniform_(layer.weight, gain=4.0 if name == "sigmoid" else 1.0)
    else:
        below = {"leaky_relu": SLOPE, "prelu": 0.25, "maxout": 1.0}.get(name, 0.0)
        inputs = layer.weight[0].numel()
        layer.weight.normal_(0.0, math.sqrt(2 / (1 + below**2) / inputs))
    if layer.bias is not None:
        layer.bias.zero_()
