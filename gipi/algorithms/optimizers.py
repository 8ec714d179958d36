"""How parameters move: every optimizer by its standard name, and any of torch's or of one's own.

`make("adam", params, lr)` gives an optimizer whose `step(evaluate, step)` asks for the loss and its gradients and moves
the parameters. The step size is a number or a function of the step, so nothing about a schedule needs to be kept. All
that an optimizer remembers is in `tensors()`, and `load` puts it back.

The rules are in updates.py, L-BFGS in lbfgs.py, the adapter for torch's in adapter.py.
"""

# pyright: reportPrivateImportUsage=false
# torch's kernels for mixed precision are private by name

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gipi.algorithms.adapter import Adapter
from gipi.algorithms.lbfgs import LBFGS
from gipi.algorithms.updates import Move, NotFinite, Rule, Update, own_part, rules
from gipi.errors import UsageError, nearest
from gipi.messages import _

OPTIMIZERS = (
    "sgd",
    "momentum",
    "nag",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "adamw",
    "muon",
    "lbfgs",
    "lars",
)

# A step size to begin with, where nobody says one: papers' and libraries' usual values. L-BFGS searches its own.
STEP_SIZES = {
    "sgd": 0.1,
    "momentum": 0.03,
    "nag": 0.03,
    "adagrad": 0.03,
    "adadelta": 1.0,
    "rmsprop": 1e-3,
    "adam": 1e-3,
    "adamw": 1e-3,
    "muon": 0.02,
    "lbfgs": 1.0,
    "lars": 1.0,
}

Evaluate = Callable[[], tuple[Tensor, list[Tensor]]]
StepSize = float | Callable[[int], float]


class Optimizer(Protocol):
    """What `make` gives: it calls `evaluate` once a step, or often (L-BFGS), and gives the loss before it moved.

    Attributes:
        scale: All step sizes are multiplied by it; less than 1 after training went wrong.
    """

    scale: float

    def step(self, evaluate: Evaluate, step: int) -> Tensor: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def load(self, tensors: dict[str, Tensor]) -> None: ...


def make(
    name: str | Callable | torch.optim.Optimizer,
    params: Sequence[Tensor],
    lr: StepSize | None = None,
    *,
    momentum: float | None = None,
    weight_decay: float = 0.0,
) -> Optimizer:
    """An optimizer for these parameters.

    Args:
        name: One of OPTIMIZERS; or a function `params -> optimizer`, of torch's kind or of ours.
        params: What may change. They stay where they are (device, memory layout) from now on.
        lr: The step size, or a function `step -> step size`. None: the usual one of a named optimizer (STEP_SIZES), or
            whatever an optimizer of one's own has. L-BFGS searches its step size and does not use this.
        momentum: Of momentum, nag, lars (None: 0.9) and muon (None: 0.95).
        weight_decay: Only for parameters with two axes or more: biases and scales of normalisation are left alone.
            Decoupled for adamw and muon; for the others L2, added to the gradient.

    Example:
        >>> p = torch.tensor([1.0])
        >>> optimizer = make("sgd", [p], lr=0.1)
        >>> _ = optimizer.step(lambda: (p.sum(), [torch.ones(1)]), step=0)
        >>> p
        tensor([0.9000])
    """
    params = list(params)
    if not params:
        raise UsageError(_("there is nothing to learn: the model has no parameter that may change"))
    if isinstance(name, torch.optim.Optimizer):
        return Adapter(params, name, lr)
    if callable(name):
        made = name(params)
        if isinstance(made, torch.optim.Optimizer):
            return Adapter(params, made, lr)
        if not all(callable(getattr(made, part, None)) for part in ("step", "tensors", "load")):
            kind = type(made).__name__
            expected = "torch.optim.Optimizer, or step, tensors and load"
            raise UsageError(_("the optimizer function gives a {kind}, not a {expected}", kind=kind, expected=expected))
        return made
    if name not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        said = _("there is no optimizer '{name}'; there are {known}.", name=name, known=known)
        raise UsageError(said + nearest(name, list(OPTIMIZERS)))
    if name == "lbfgs":
        return LBFGS(params, weight_decay)
    return FirstOrder(params, STEP_SIZES[name] if lr is None else lr, rules(name, momentum), weight_decay)


def from_config(
    config: Any, schedule: Callable[[float | None], StepSize | None]
) -> Callable[[list[Tensor]], Optimizer]:
    """What makes the optimizer that a system's Config describes: its `optimizer lr momentum weight_decay`.

    Args:
        config: The Config; an option that it lacks is as `make` has it.
        schedule: `lr -> (step -> step size)`; None stays None: the optimizer's own.
    """

    def made(params: list[Tensor]) -> Optimizer:
        momentum, decay = getattr(config, "momentum", None), getattr(config, "weight_decay", 0.0)
        return make(config.optimizer, params, schedule(config.lr), momentum=momentum, weight_decay=decay)

    return made


@dataclass
class Group:
    """Parameters that one call of a rule moves together: of one kind, type and device."""

    params: list[Tensor]
    memory: list[list[Tensor]]
    counts: list[Tensor]
    update: Update
    ratio: float
    decay: float
    skips: bool
    index: list[int] | None  # where their gradients are among all; None: these are all


class FirstOrder:
    """An optimizer that takes the gradients once a step.

    No update is made from gradients that are not finite. On a CPU that is an error at once; on a GPU, where reading the
    flag would make the step wait, the kernels look at it themselves, nothing moves any more, and whoever reads `bad`
    later sees that it is not zero.

    Args:
        params: Dense tensors; their layout in memory must stay as it is.
        lr: A number or a function of the step.
        pair: The rule for weights (two axes and more) and the rule for the rest.
        weight_decay: Of weights.
        axes: So many axes in front count members; they do not make a bias a weight.
        factors: Of the step size, one for each parameter; None: 1 for all.
    """

    def __init__(
        self,
        params: list[Tensor],
        lr: StepSize,
        pair: tuple[Rule, Rule],
        weight_decay: float = 0.0,
        axes: int = 0,
        factors: Sequence[float] | None = None,
    ):
        self.params = params
        self.factors = factors
        self.schedule = lr if callable(lr) else lambda step: lr
        self.pair, self.weight_decay, self.axes = pair, weight_decay, axes
        self.scale = 1.0
        self.strides = [param.stride() for param in params]
        for place, param in enumerate(params):
            if torch.empty_like(param, device="meta").stride() != param.stride():
                raise UsageError(_("parameter {place} is a view with gaps; pass a contiguous copy of it", place=place))
        self.named: dict[str, Tensor] = {}
        self.counts: dict[torch.device, Tensor] = {}
        self.bad = torch.zeros(1, device=params[0].device)
        self.one = torch.ones(1, device=params[0].device)
        self.unit = torch.ones(())  # adding a number of Python's takes twice as long
        self.is_host = all(param.device.type == "cpu" for param in params)
        self.groups = self._grouped(pair, weight_decay)

    def for_members(self, params: list[Tensor]) -> "FirstOrder | None":
        """The same optimizer for several members' parameters, stacked; None where a rule looks at whole tensors."""
        if not all(rule.is_elementwise for rule in self.pair):
            return None
        return FirstOrder(params, self.schedule, self.pair, self.weight_decay, self.axes + 1, self.factors)

    def with_factors(self, factors: Sequence[float]) -> "FirstOrder":
        """The same optimizer, at its beginning, with step sizes that differ by these factors."""
        return FirstOrder(self.params, self.schedule, self.pair, self.weight_decay, self.axes, factors)

    def _grouped(self, pair: tuple[Rule, Rule], weight_decay: float) -> list[Group]:
        is_split = pair[0] is not pair[1] or weight_decay != 0.0
        kinds: dict[tuple, list[int]] = {}
        for place, param in enumerate(self.params):
            is_rest = is_split and param.ndim - self.axes < 2
            factor = self.factors[place] if self.factors is not None else 1.0
            kinds.setdefault((is_rest, param.dtype, param.device, factor), []).append(place)
        groups = []
        for (is_rest, _dtype, device, factor), index in kinds.items():
            rule = pair[is_rest]
            params = [self.params[i] for i in index]
            memory = [[torch.zeros_like(p, requires_grad=False) for p in params] for _name in rule.memory]
            for name, column in zip(rule.memory, memory, strict=True):
                self.named |= {f"{i}.{name}": tensor for i, tensor in zip(index, column, strict=True)}
            counts = [self._count(device)] * len(index) if rule.is_counted else []
            decay = 0.0 if is_rest else weight_decay
            every = None if len(index) == len(self.params) else index
            groups.append(Group(params, memory, counts, rule.update, rule.ratio * factor, decay, rule.skips, every))
        return groups

    def _count(self, device: torch.device) -> Tensor:
        """How many updates there were: kept as a tensor beside the parameters, where the fused kernels want it."""
        if device not in self.counts:
            self.counts[device] = torch.zeros((), device=device)
            self.named[f"count.{len(self.counts) - 1}"] = self.counts[device]
        return self.counts[device]

    def step(self, evaluate: Evaluate, step: int) -> Tensor:
        loss, gradients = evaluate()
        if [gradient.stride() for gradient in gradients] != self.strides:
            gradients = laid_out(gradients, self.params)
        assert [param.stride() for param in self.params] == self.strides, "a parameter was moved after this was made"
        lr = self.schedule(step) * self.scale
        with torch.no_grad():
            # it multiplies too: by 1
            torch._amp_foreach_non_finite_check_and_unscale_(own_part(gradients), self.bad, self.one)
            found = None if self.is_host else self.bad
            if self.is_host and self.bad.item():
                self.bad.zero_()
                raise NotFinite(self)
            for count in self.counts.values():
                count.add_(self.unit if found is None else 1 - found[0])
            for group in self.groups:
                chosen = gradients if group.index is None else [gradients[i] for i in group.index]
                if found is not None and not group.skips:
                    chosen = [torch.where(found > 0, 0, gradient) for gradient in chosen]
                move = Move(lr * group.ratio, group.decay, found)
                group.update(group.params, chosen, group.memory, group.counts, move)
        return loss

    def tensors(self) -> dict[str, Tensor]:
        return self.named

    def load(self, tensors: dict[str, Tensor]) -> None:
        copy_into(self.named, tensors)


def laid_out(gradients: Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
    """The gradients, each in memory as its parameter is.

    The fused kernels walk raw memory: given a gradient in another order (channels-last, transposed, expanded) they pair
    numbers that do not belong together, and say nothing.
    """
    pairs = zip(gradients, params, strict=True)
    return [g if g.stride() == p.stride() else torch.empty_like(p, requires_grad=False).copy_(g) for g, p in pairs]


def copy_into(own: dict[str, Tensor], kept: dict[str, Tensor]) -> None:
    """Put kept tensors back in place; the names must be the same."""
    assert own.keys() == kept.keys(), f"kept {sorted(kept)}, expected {sorted(own)}"
    for name, tensor in own.items():
        tensor.copy_(kept[name])
