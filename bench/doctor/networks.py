"""Networks and losses of a person's own, some sound and most with a mistake that people make.

B rows, N numbers of a row, K outputs
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, mse_loss, nll_loss

ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


def dense(
    inputs: int, widths: Iterable[int], outputs: int, act: str = "relu", *last: nn.Module, gain: float = 1.0
) -> nn.Sequential:
    """Layers with an activation between them; `last` stands behind the output; `gain` multiplies PyTorch's weights."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), ACTS[act]()]
        inputs = width
    net = nn.Sequential(*layers, nn.Linear(inputs, outputs), *last)
    with torch.no_grad():
        for part in net:
            if isinstance(part, nn.Linear):
                part.weight *= gain
    return net


def size_of(sizes: Any) -> int:
    """Numbers of a row."""
    size = 1
    for side in sizes.input:
        size *= side
    return size


def plain(widths: tuple[int, ...] = (32, 32), act: str = "relu", *last: Callable[[], nn.Module], gain: float = 1.0):
    """A function of sizes that makes dense layers."""
    return lambda sizes: dense(size_of(sizes), widths, sizes.output, act, *(one() for one in last), gain=gain)


def linears(net: nn.Module) -> list[nn.Linear]:
    return [part for part in net.modules() if isinstance(part, nn.Linear)]


def changed(make: Callable[[Any], nn.Module], change: Callable[[nn.Module], None]) -> Callable[[Any], nn.Module]:
    """The same network after something was done to its weights."""

    def made(sizes: Any) -> nn.Module:
        net = make(sizes)
        with torch.no_grad():
            change(net)
        return net

    return made


def large_head(factor: float, bias: float = 0.0) -> Callable[[nn.Module], None]:
    """The last layer begins far too large, or with a bias."""

    def change(net: nn.Module) -> None:
        last = linears(net)[-1]
        last.weight *= factor
        last.bias[0] += bias

    return change


def negative_biases(by: float, layers: int = 1) -> Callable[[nn.Module], None]:
    """Hidden units begin far below zero, where a relu is flat."""

    def change(net: nn.Module) -> None:
        for layer in linears(net)[:layers]:
            layer.bias.sub_(by)

    return change


def alike(net: nn.Module) -> None:
    """All weights of a layer begin equal, so all its units learn the same."""
    for layer in linears(net):
        layer.weight.fill_(1 / layer.in_features)
        layer.bias.zero_()


class Detached(nn.Module):
    """Layers whose gradient is cut between them, as by a `.detach()`, `.data` or `no_grad` that was forgotten."""

    def __init__(self, inputs: int, outputs: int, width: int = 32):
        super().__init__()
        self.body = dense(inputs, (width,), width)
        self.head = dense(width, (width,), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).detach())


class Stepped(nn.Module):
    """A step function between layers: its slope is zero everywhere."""

    def __init__(self, inputs: int, outputs: int, width: int = 32):
        super().__init__()
        self.body = dense(inputs, (), width)
        self.head = dense(width, (width,), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).sign())


class Forgotten(nn.Module):
    """A branch that was built and never called."""

    def __init__(self, inputs: int, outputs: int, width: int = 32):
        super().__init__()
        self.left = dense(inputs, (width,), outputs)
        self.right = dense(inputs, (width,), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.left(x)


class Blind(nn.Module):
    """Something makes every row the same on its way: the mean over the wrong axis, or a factor of zero."""

    def __init__(self, inputs: int, outputs: int, how: str = "mean", width: int = 32):
        super().__init__()
        self.body = dense(inputs, (width,), width)
        self.head = dense(width, (width,), outputs)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        if self.how == "mean":  # over the rows instead of the places
            h = h.mean(0, keepdim=True).expand_as(h)
        elif self.how == "zero":
            h = h * 0.0
        else:  # a layer norm over one number leaves nothing of it
            h = nn.functional.layer_norm(h[..., None], (1,))[..., 0]
        return self.head(h)


class Noisy(nn.Module):
    """Noise that is far larger than what it is added to, at each step anew."""

    def __init__(self, inputs: int, outputs: int, noise: float = 30.0, width: int = 32):
        super().__init__()
        self.body = dense(inputs, (width, width), width, "relu", nn.LayerNorm(width))  # it cannot grow beyond the noise
        self.head = nn.Linear(width, outputs)
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return self.head(h + self.noise * torch.randn_like(h))


class Scrambled(nn.Module):
    """Rows are mixed up inside, as by a `view` where a `transpose` was meant: an answer belongs to another row."""

    def __init__(self, inputs: int, outputs: int, width: int = 32):
        super().__init__()
        self.body = dense(inputs, (width,), width)
        self.head = dense(width, (width,), outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return self.head(h.t().reshape(h.shape))  # (B, width) -> (width, B) -> (B, width): no transpose back


class Deep(nn.Module):
    """A recurrent network by hand: the same layer again and again, `gain` times as large as is right."""

    def __init__(self, inputs: int, outputs: int, times: int, gain: float, act: str = "tanh", width: int = 24):
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.again = nn.ModuleList(nn.Linear(width, width) for _time in range(times))
        self.act = ACTS[act]()
        self.leave = nn.Linear(width, outputs)
        with torch.no_grad():
            for layer in self.again:
                assert isinstance(layer, nn.Linear)
                nn.init.orthogonal_(layer.weight, gain)
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.enter(x.flatten(1)))
        for layer in self.again:
            h = self.act(layer(h))
        return self.leave(h)


def of(kind: type[nn.Module], **knobs: Any) -> Callable[[Any], nn.Module]:
    """A function of sizes that makes one of the above."""
    return lambda sizes: nn.Sequential(nn.Flatten(), kind(size_of(sizes), sizes.output, **knobs))


# --- losses ------------------------------------------------------------------------------------------------------


def nll_of_scores(output: Tensor, y: Tensor) -> Tensor:
    """Scores given to a loss that wants logarithms of probabilities: it falls without end."""
    return nll_loss(output, y)


def nll_of_logarithms(output: Tensor, y: Tensor) -> Tensor:
    """Sound: the same as cross-entropy."""
    return nll_loss(log_softmax(output, 1), y)


def mse_of_one_column(output: Tensor, y: Tensor) -> Tensor:
    """`(B, 1)` against `(B,)` is `(B, B)`: every row is compared with every other."""
    return (output - y[:, 0]).square().mean()


def summed(output: Tensor, y: Tensor) -> Tensor:
    """A sum over the batch in place of its mean."""
    if y.is_floating_point():
        return mse_loss(output, y, reduction="sum")
    return cross_entropy(output, y, reduction="sum")


def calming(share: float) -> Callable[[Tensor, Tensor], Tensor]:
    """A penalty on large outputs that is all that counts: it falls, and nothing is learned of the classes."""

    def penalized(output: Tensor, y: Tensor) -> Tensor:
        return share * cross_entropy(output, y) + (1 - share) * output.square().mean()

    return penalized


def next_class(output: Tensor, y: Tensor) -> Tensor:
    """Class numbers that were counted from one where they begin at zero: each class is taught as the next."""
    return cross_entropy(output, (y + 1) % output.shape[1])


def logarithmic_error(output: Tensor, y: Tensor) -> Tensor:
    """The error of logarithms, of numbers that may lie below -1: there is no logarithm of those."""
    return (output.log1p() - y.log1p()).square().mean()


def brier(output: Tensor, y: Tensor) -> Tensor:
    """Sound: the squared distance of probabilities from the truth."""
    return (output.softmax(1) - nn.functional.one_hot(y, output.shape[1])).square().sum(1).mean()
