"""Where a network looks: Grad-CAM over its places, integrated gradients over what goes in. Plain hooks and autograd.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017,
https://arxiv.org/abs/1610.02391, equations 1 and 2. Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks",
2017, https://arxiv.org/abs/1703.01365, sections 3 and 5.
Ours differs: tokens of a transformer are laid out as the grid that they were cut from; the path of the integrated
gradients is cut finer where it does not add up (their Proposition 1) until it does, and what is missing is said.

B rows, C channels, H W a picture's height and width, h w a layer's, T tokens, D features, K outputs, P points of a path
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gipi.errors import UsageError, nearest
from gipi.messages import _

STEPS = 16  # of the path, at first
MOST_POINTS = 256  # on it
CLOSE = 0.02  # of the range that the score has on the path: what may be missing from the sum
ENOUGH = 7  # places each way: what the paper's networks end with; measured in docs/seeing.md
NUMBERS = 400_000  # that points of the path hold together at once, at most


@contextmanager
def examined(nets: Sequence[nn.Module]) -> Iterator[None]:
    """Networks to be looked into: eval mode, gradients on, but none for weights; afterwards they are as they were."""
    modes = [(part, part.training) for net in nets for part in net.modules()]
    wanted = [(parameter, parameter.requires_grad) for net in nets for parameter in net.parameters()]
    try:
        for net in nets:
            net.eval()
        for parameter, _was in wanted:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for part, was in modes:
            part.training = was
        for parameter, was in wanted:
            parameter.requires_grad_(was)


# --- the layers of a network, and where they have places ----------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """How the output of a layer lies over the picture: `(B, C, h, w)`, or tokens `(B, first + h w, D)`."""

    height: int
    width: int
    first: int | None = None  # tokens before those of the places: 1 for a class token; None: no tokens, but channels

    def laid_out(self, output: Tensor) -> Tensor:
        """`(B, C, h, w)`."""
        if self.first is None:
            return output
        return output[:, self.first :].transpose(1, 2).unflatten(2, (self.height, self.width))


def shapes(net: nn.Module, x: Tensor) -> dict[str, tuple[int, ...]]:
    """Name and output shape of each part of a network, in the order in which a batch has passed it.

    What gives several tensors, or none, has the shape `()`.
    """
    found: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Callable[..., None]:
        def saw(_part: nn.Module, _inputs: object, output: object) -> None:
            found.pop(name, None)  # what is passed twice counts the last time
            found[name] = tuple(output.shape) if isinstance(output, Tensor) else ()

        return saw

    hooks = [part.register_forward_hook(watch(name)) for name, part in net.named_modules() if name]
    try:
        with examined([net]):
            net(x.detach().clone().requires_grad_())  # without gradients some parts of torch pass by their own layers
    finally:
        for hook in hooks:
            hook.remove()
    return found


def grids(seen: dict[str, tuple[int, ...]], x: Tensor) -> dict[str, Grid]:
    """The layers of `shapes` whose output lies over the picture with more than one place each way.

    Left out are tables that are no maps: attention of tokens to tokens, tokens of a head, channels that stand last.
    """
    found: dict[str, Grid] = {}
    maps: list[tuple[int, ...]] = []
    tokens: list[tuple[int, ...]] = []
    for name, shape in seen.items():
        if not shape or shape[0] != len(x):
            continue
        if len(shape) == 4 and min(shape[2:]) > 1:
            lies_so = abs(math.log(shape[2] * x.shape[3] / (shape[3] * x.shape[2]))) <= math.log(2)
            if lies_so and not {one[0] for one in tokens} & {*shape[2:]}:
                found[name] = Grid(shape[2], shape[3])
                maps.append(shape[1:])
        elif len(shape) == 3 and (grid := _of_tokens(shape[1], shape[2], maps, x)):
            if tokens and tokens[-1][0] == shape[1] and tokens[-1][1] != shape[2]:
                continue  # widened on the way through a block
            found[name] = grid
            tokens.append(shape[1:])
    return found


def _of_tokens(tokens: int, features: int, maps: list[tuple[int, ...]], x: Tensor) -> Grid | None:
    """How tokens lie: as the places of a map that came before, alone or behind a class token; else as x is shaped."""
    if maps and (tokens, features) == (maps[-1][0], maps[-1][1] * maps[-1][2]):
        return None  # that map, its places put in a row: these are channels
    common = math.gcd(*x.shape[2:])
    high, wide = x.shape[2] // common, x.shape[3] // common
    for first in (0, 1):
        times = math.isqrt(max(0, tokens - first) // (high * wide))  # a square picture is cut into a square
        cut = [] if maps else [(high * times, wide * times)]
        for height, width in (*((h, w) for _channels, h, w in reversed(maps)), *cut):
            if height * width == tokens - first and min(height, width) > 1:
                return Grid(height, width, first)
    return None


def find_layer(net: nn.Module, name: str) -> nn.Module:
    """The part of a network with this name.

    Raises:
        UsageError: There is none; names those that there are.
    """
    parts = dict(net.named_modules())
    if not name or name not in parts:
        known = [part for part in parts if part]
        text = _("there is no layer '{name}'; there are: {known}.", name=name, known=", ".join(known[:80]))
        raise UsageError(text + nearest(name, known))
    return parts[name]


def last_layer(net: nn.Module, x: Tensor, target: Tensor) -> str | None:
    """The last layer that has `ENOUGH` places each way and that the target depends on; None where none has places.

    Where none has so many, the last that has more than one.

    Args:
        net: A network `(B, C, H, W)` to `(B, K)`.
        x: `(B, C, H, W)`; one row is enough.
        target: `(B,)` numbers of outputs.
    """
    known = grids(shapes(net, x[:1]), x[:1])
    parts, outputs = dict(net.named_modules()), {}

    def watch(name: str) -> Callable[..., None]:
        def saw(_part: nn.Module, _inputs: object, output: Tensor) -> None:
            outputs[name] = output

        return saw

    with examined([net]):
        hooks = [parts[name].register_forward_hook(watch(name)) for name in known]
        try:
            start = x[:1].detach().clone().requires_grad_()
            score = _scores(net(start.clone()), target[:1]).sum()  # a copy: a network may write into what goes in
        finally:
            for hook in hooks:
                hook.remove()
        names = [name for name in known if outputs[name].requires_grad]
        if not names or not score.requires_grad:
            return None
        slopes = torch.autograd.grad(score, [outputs[name] for name in names], allow_unused=True)
    # the places of a transformer's last block say nothing where the answer is read off its class token
    told = [n for n, slope in zip(names, slopes, strict=True) if slope is not None and known[n].laid_out(slope).any()]
    fine = [name for name in told or names if min(known[name].height, known[name].width) >= ENOUGH]
    return (fine or told or names)[-1]


def _scores(output: Tensor, target: Tensor) -> Tensor:
    """The score of each row's target, `(B,)`."""
    return output.gather(1, target.to(output.device)[:, None])[:, 0]


# --- Grad-CAM ----------------------------------------------------------------------------------------------------


def grad_cam(net: nn.Module, x: Tensor, target: Tensor | int, layer: str | None = None) -> Tensor:
    """Where in a picture a network finds what speaks for an output: `(B, H, W)`, 0 where nothing does.

    The feature maps of a layer are added up, each weighed by how much the score would grow with it (the mean of its
    gradient over all places); what speaks against the output is left out, and the sum is enlarged to the picture.

    Args:
        net: A network `(B, C, H, W)` to scores `(B, K)`, in whatever mode; it is left as it was.
        x: `(B, C, H, W)`, as the network takes it.
        target: The number of the output: one, or `(B,)` of them.
        layer: Its name in `net.named_modules()`; None: the last that has places enough (see `last_layer`).

    Raises:
        UsageError: There is no such layer, it has no places, or the output does not depend on it.

    Source: Selvaraju et al. 2017, equations 1 and 2.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
        >>> grad_cam(net, torch.rand(5, 1, 8, 8), target=2).shape
        torch.Size([5, 8, 8])
    """
    wanted = numbers_of(target, len(x))
    name = layer if layer is not None else last_layer(net, x, wanted)
    if name is None:
        raise UsageError(_("Grad-CAM needs a layer whose output has places, such as a convolution; there is none"))
    part = find_layer(net, name)
    seen = shapes(net, x[:1])
    grid = grids(seen, x[:1]).get(name)
    if grid is None:
        text = _(
            "the layer {name} gives {shape}: neither maps (rows, channels, height, width) nor tokens of a grid",
            name=name,
            shape=seen.get(name, ()),
        )
        raise UsageError(text)
    kept: list[Tensor] = []

    def keep(_part: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept[:] = [output.detach().requires_grad_()]
        return kept[0].clone()  # the next layer may write into what it is given

    with examined([net]):
        hook = part.register_forward_hook(keep)
        try:
            score = _scores(net(x.detach().clone()), wanted).sum()
        finally:
            hook.remove()
        slope = torch.autograd.grad(score, kept, allow_unused=True)[0] if score.requires_grad else None
    if slope is None:
        raise UsageError(_("what the network answers does not depend on the layer {name}", name=name))
    maps, slopes = grid.laid_out(kept[0].detach()), grid.laid_out(slope)  # (B, C, h, w)
    weights = slopes.mean((2, 3), keepdim=True)  # (B, C, 1, 1), equation 1
    found = (weights * maps).sum(1, keepdim=True).relu()  # (B, 1, h, w), equation 2
    return interpolate(found, x.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def numbers_of(target: Tensor | int, rows: int) -> Tensor:
    """A target for each row, `(B,)`."""
    return torch.as_tensor(target, dtype=torch.int64).expand(rows)


# --- integrated gradients ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attribution:
    """What each number that goes in adds to a score.

    Attributes:
        values: As the input is shaped; they add up to `change`, but for `gap`.
        change: `(B,)`, the score of the input minus that of the baseline.
        gap: `(B,)`, the sum of `values` minus `change`.
        points: `(B,)`, at how many points of the path the network was asked.
    """

    values: Tensor
    change: Tensor
    gap: Tensor
    points: Tensor


def integrated_gradients(
    net: Callable[[Tensor], Tensor],
    x: Tensor,
    target: Tensor | int,
    baseline: Tensor | None = None,
    steps: int = STEPS,
    most: int = MOST_POINTS,
    tolerance: float = CLOSE,
) -> Attribution:
    """What each number that goes in adds to an output, on the straight way from a baseline.

    The integral is a sum over the steps of a path (trapezoidal rule). Of each step it is known what it must add up to,
    the difference of the scores at its ends: steps that are off are halved until all together, none made up for by
    another, are off by at most `tolerance` times the range that the score has on the path.

    Args:
        net: A network, or any function that autograd can follow, `(B, ...)` to `(B, K)`.
        x: `(B, ...)`.
        target: The number of the output: one, or `(B,)` of them.
        baseline: What the way begins at: an input that says nothing, of a shape that fits `x`; None: zeros.
        steps: Equal ones, to begin with.
        most: Points after which the gap is left as it is; it is in the answer.
        tolerance: See above.

    Source: Sundararajan et al. 2017, equation 1 and Proposition 1.

    Example:
        >>> line = nn.Linear(2, 1, bias=False)
        >>> _made = line.weight.data.copy_(torch.tensor([[2.0, -3.0]]))
        >>> integrated_gradients(line, torch.tensor([[1.0, 1.0]]), target=0).values
        tensor([[ 2., -3.]])
    """
    wanted, ends = numbers_of(target, len(x)), []
    with examined([net] if isinstance(net, nn.Module) else []):
        x = x.detach().clone()
        start = torch.zeros_like(x) if baseline is None else baseline.detach().to(x).expand_as(x)
        values = torch.zeros_like(x)
        for row in range(len(x)):
            path = _Path(net, start[row], x[row], int(wanted[row]), steps)
            while len(path.shares) < most and path.off().abs().sum() > tolerance * path.range():
                path.halve(tolerance, most)
            values[row] = path.values()
            ends.append((float(path.scores[-1] - path.scores[0]), float(path.off().sum()), len(path.shares)))
    change, gap, points = (torch.tensor(column) for column in zip(*ends, strict=True)) if ends else [x.new_zeros(0)] * 3
    return Attribution(values, change.to(x), gap.to(x), points)


class _Path:
    """The way of one row from its baseline: points on it, in order, with the score and its gradient at each."""

    def __init__(self, net: Callable[[Tensor], Tensor], start: Tensor, end: Tensor, target: int, steps: int):
        self.net, self.start, self.way, self.target = net, start, end - start, target
        self.shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64)  # (P,)
        self.scores, self.steep, self.slopes = self._at(self.shares)

    def _at(self, shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """At these shares of the way: scores `(P,)`, their slope along it `(P,)`, and gradients `(P, ...)`."""
        scores, steep, slopes = [], [], []
        for some in shares.split(max(1, NUMBERS // max(1, self.way.numel()))):
            share = some.to(self.way).view(-1, *[1] * self.way.ndim)
            here = (self.start + share * self.way).requires_grad_()
            found = self.net(here)[:, self.target]
            slope = torch.autograd.grad(found.sum(), here, allow_unused=True)[0] if found.requires_grad else None
            scores.append(found.detach().double().cpu())
            slope = torch.zeros_like(here) if slope is None else slope.detach()
            steep.append((slope.flatten(1).double() @ self.way.flatten().double()).cpu())
            slopes.append(slope)
        return torch.cat(scores), torch.cat(steep), torch.cat(slopes)

    def off(self) -> Tensor:
        """By how much each step is off, `(P - 1,)`."""
        return self.shares.diff() * (self.steep[1:] + self.steep[:-1]) / 2 - self.scores.diff()

    def range(self) -> float:
        """That of the score."""
        return float(self.scores.max() - self.scores.min())

    def halve(self, tolerance: float, most: int) -> None:
        """Add the middle of each step that is off by more than its part; the worst of them where points run out."""
        off = self.off().abs()
        worst = off.argsort(descending=True)[: most - len(self.shares)]
        places = worst[off[worst] * len(off) > tolerance * self.range()].sort().values
        middles = (self.shares[places] + self.shares[places + 1]) / 2
        scores, steep, slopes = self._at(middles)
        order = torch.cat([self.shares, middles]).argsort(stable=True)
        self.shares = torch.cat([self.shares, middles])[order]
        self.scores = torch.cat([self.scores, scores])[order]
        self.steep = torch.cat([self.steep, steep])[order]
        self.slopes = torch.cat([self.slopes, slopes])[order.to(slopes.device)]

    def values(self) -> Tensor:
        """The way times the integral of the gradient."""
        steps = self.shares.diff()
        weights = torch.zeros_like(self.shares)  # each point counts for half of the steps at its sides
        weights[1:] += steps / 2
        weights[:-1] += steps / 2
        return self.way * torch.tensordot(weights.to(self.slopes), self.slopes, 1)
