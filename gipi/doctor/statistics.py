"""What a look into a training sees: a few numbers of each layer, from at most 4,096 elements of it.

A visit is JSON:

    {"step": 120, "rows": 32, "loss": {"learner": 0.53},
     "parameters": {"hidden.0.weight": {"count", "shape", "weight", "gradient", "update", "still", "learns"}},
     "layers": {"hidden.1": {"kind", "dead", "silent", "samples", "zeros", "saturated", "spread", "size", "last"}},
     "norms": {"norm1": {"rows", "values"}},
     "order": ["hidden.0", ...], "inputs": {"hidden.0": 1.02},
     "output": {"shape", "spread", "size", "is_distribution", "is_log_distribution", "in_unit"} or None,
     "agreement": 0.8 or None,
     "wait": 0.01, "seconds": 0.004}

or only {"step", "failed": why}. What could not be looked at is empty, and `skipped` says why.

Of parameters: how many numbers, and their shape; the root mean square of them, of their gradient, of what the step
changed them by; the share of the sampled elements whose gradient is exactly zero (`still`; 1.0 where there is no
gradient at all, and `gradient` is then None). A parameter that nobody trains has `learns` false.
Of layers with an activation (its own module, or a function before the next layer with weights; `name#2` is the second
time that a module is used): kind relu, sigmoid, tanh or other; the share of sampled units that are zero on every
sampled row (`dead`), and which (`silent`, a hexadecimal number with a bit for each unit), of how many samples of each
unit that is said; the share of elements that are zero, and at the flat ends of a sigmoid or tanh; how far units differ
from row to row, and how large they are (root mean square); whether no layer with weights comes after it (`last`).
Of batch norms that take their figures from the batch: its rows, and the values that each channel's figures are of.
`order` is that in which layers with weights were first used, and `inputs` how large what reached each was then (root
mean square).
Of the output of the network: the same, and whether its rows are probabilities, their logarithms, or lie within 0 and 1.
`agreement` is the cosine between the gradients of two halves of the batch; `wait` the share of a step spent on waiting
for its batch, and `seconds` how long both took together.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi.doctor.hook import Account, Hook
from gipi.doctor.pieces import some_rows

MOST = 4096  # elements of a layer that are looked at
SIDE = 64  # units, and places of each, that are looked at
CALLS = 4  # of one activation in a way through the network that are looked at
FLAT = 0.03  # so close to its end a sigmoid's slope is below an eighth of its largest, and a tanh's below a tenth
MOST_HELD = 8 << 20  # bytes of buffers that are copied for a while
SHARE_HELD = 0.01  # or this share of the parameters' bytes
KINDS: dict[type, str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu",
    nn.LeakyReLU: "other",
    nn.GELU: "other",
    nn.SiLU: "other",
    nn.ELU: "other",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Hardtanh: "tanh",
}
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
BATCH_NORM = nn.modules.batchnorm._BatchNorm
# What autograd calls functions that bend, and those between them and the next layer that only move or thin values out.
BENDS = {"ReluBackward0": "relu", "SigmoidBackward0": "sigmoid", "TanhBackward0": "tanh"}
PASSING = ("View", "Reshape", "UnsafeView", "Transpose", "Permute", "T", "ToCopy", "Mul", "NativeDropout", "Clone")
PASSING += ("MaxPool", "AvgPool", "Mean", "AdaptiveAvgPool", "Squeeze", "Unsqueeze", "Select", "Slice")
HOPS = 6  # from a layer's input back to the function that bent it, at most
OWN = set(vars(nn.Module())) - {"training"}  # what each module has for its parameters, buffers and hooks
HOLDERS: dict[type, Any] = {list: list.extend, dict: dict.update, set: set.update, deque: deque.extend}


class TooLarge(Exception):  # noqa: N818  # says why a look was not taken
    """The network's buffers cannot be copied for a look: they would take too much memory."""


@contextmanager
def untouched(net: nn.Module) -> Iterator[None]:
    """Afterwards modules' buffers, modes and own counters, and the random generators are as before.

    Raises:
        TooLarge: The buffers are.
    """
    parts = [(part, {name: value for name, value in vars(part).items() if name not in OWN}) for part in net.modules()]
    buffers = [(part, dict(part._buffers)) for part, _own in parts]
    every: list[Any] = [value for _part, own in (*parts, *buffers) for value in own.values()]
    tensors = list({id(one): one for one in every if isinstance(one, Tensor) and not is_lazy(one)}.values())
    weighs = sum(one.nbytes for one in net.parameters() if not is_lazy(one))
    if (size := sum(one.nbytes for one in tensors)) > max(MOST_HELD, SHARE_HELD * weighs):
        raise TooLarge(f"buffers of {size} bytes")
    held = [(one, one.detach().clone()) for one in tensors]
    holders = [(one, copy(one)) for one in every if type(one) in HOLDERS and len(one) <= MOST]
    generators = [(one, one.get_state()) for one in every if isinstance(one, torch.Generator)]
    devices = {one.device for one in (*net.parameters(), *tensors) if one.device.type not in ("cpu", "meta")}
    drawn = [(torch.get_device_module(one), one) for one in devices]
    states = [(module.set_rng_state, module.get_rng_state(device), device) for module, device in drawn]
    python, numpy, plain = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        with torch.no_grad():
            for one, before in held:
                one.detach().copy_(before)
        for part, own in buffers:
            part._buffers.clear()
            part._buffers.update(own)
        for part, own in parts:
            for name in vars(part).keys() - own.keys() - OWN:
                del vars(part)[name]
            vars(part).update(own)
        for one, before in holders:
            one.clear()
            HOLDERS[type(one)](one, before)
        for generator, state in generators:
            generator.set_state(state)
        for put, state, device in states:
            put(state, device)
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(plain)


def is_lazy(tensor: Tensor) -> bool:
    """Whether its shape is not known yet."""
    return torch.nn.parameter.is_lazy(tensor)


def sampled(tensor: Tensor, most: int = MOST) -> Tensor:
    """Some of its elements, always the same ones, `(n,)`, complex ones as two; no copy of all of it is made.

    Of a sparse tensor some of the values that it has.
    """
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.values()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    order = sorted(range(tensor.ndim), key=lambda axis: -tensor.stride(axis))
    tensor = tensor.permute(order)  # as it lies in memory
    count = tensor.numel()
    stride = max(1, -(-count // most))
    if tensor.is_contiguous():
        return tensor.view(-1)[::stride]
    places = torch.arange(0, count, stride, device=tensor.device)
    return tensor[torch.unravel_index(places, tensor.shape)]


def rms(tensor: Tensor) -> float:
    """The root mean square."""
    return tensor.double().square().mean().sqrt().item() if tensor.numel() else 0.0


def gathered(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Samples as numbers on the processor; what lies on another device comes in one piece."""
    if all(one.device.type == "cpu" for one in tensors):
        return [*tensors]
    whole = torch.cat([one.reshape(-1).float() for one in tensors]).cpu()
    return list(whole.split([one.numel() for one in tensors]))


def of_parameters(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor | None],
    updates: Mapping[str, Tensor],
    learned: set[str],
) -> dict[str, dict[str, Any]]:
    """The numbers of each parameter; read back from the device all at once.

    Args:
        weights: By name.
        gradients: Of those that have one.
        updates: What a step changed sampled elements by, where that is known.
        learned: The names of those that somebody trains.
    """
    weights = {name: weight for name, weight in weights.items() if not is_lazy(weight)}
    some = {name: gradient for name in weights if (gradient := gradients.get(name)) is not None}
    values = gathered([*map(sampled, weights.values()), *map(sampled, some.values()), *updates.values()])
    sizes = dict(zip(weights, values, strict=False))
    steps = dict(zip(some, values[len(weights) :], strict=False))
    moves = dict(zip(updates, values[len(weights) + len(some) :], strict=True))
    found = {}
    for name, weight in weights.items():
        gradient, still = None, 1.0
        if name in some:
            step = steps[name]
            there = _share_there(some[name])  # of a sparse gradient the others are zero
            gradient = rms(step) * there**0.5
            still = 1 - (torch.count_nonzero(step).item() / max(1, step.numel())) * there
        found[name] = {
            "count": weight.numel(),
            "shape": list(weight.shape),
            "weight": rms(sizes[name]),
            "gradient": gradient,
            "update": rms(moves[name]) if name in moves else None,
            "still": still,
            "learns": name in learned,
        }
    return found


def _share_there(gradient: Tensor) -> float:
    if gradient.layout == torch.strided:
        return 1.0
    values = gradient.coalesce().values() if gradient.layout == torch.sparse_coo else gradient.values()
    return values.numel() / max(1, gradient.numel())


def places(x: Tensor, axis: int) -> Tensor:
    """Some units, those along `axis`, of some rows and places, `(n, units)`; x is `(B, ...)`."""
    x = x.detach().movedim(axis, -1)  # (B, ..., units)
    rows = min(len(x), SIDE if x.ndim == 2 else SIDE // 4)
    middle = x.ndim - 2
    each = int((SIDE / max(1, rows)) ** (1 / middle)) if middle else 1
    most = [rows, *[each] * middle, SIDE]
    x = x[tuple(slice(None, None, max(1, -(-size // max(1, n)))) for size, n in zip(x.shape, most, strict=True))]
    return x.reshape(-1, x.shape[-1]).float()


def of_units(kind: str, x: Tensor, axis: int = -1) -> dict[str, Any]:
    """The numbers of a layer's activations `(B, ...)`, whose units lie along `axis`."""
    some = places(x, axis)
    edge = torch.zeros_like(some, dtype=torch.bool)
    if kind == "sigmoid":
        edge = (some < FLAT) | (some > 1 - FLAT)
    elif kind == "tanh":
        edge = some.abs() > 1 - 2 * FLAT
    is_zero = some == 0
    silent = is_zero.all(0)
    values = [
        is_zero.float().mean(),
        edge.float().mean(),
        some.std(0, correction=0).mean(),
        some.square().mean().sqrt(),
    ]
    zeros, saturated, spread, size, *bits = torch.cat([torch.stack(values), silent.float()]).tolist()
    return {
        "kind": kind,
        "dead": sum(bits) / len(bits),
        "silent": hex(int("".join("1" if bit else "0" for bit in bits), 2)),
        "units": len(bits),
        "samples": len(some),
        "zeros": zeros,
        "saturated": saturated,
        "spread": spread,
        "size": size,
        "last": False,
    }


def of_output(output: Any) -> dict[str, Any] | None:
    """What a network gives for a batch, if it is a tensor of numbers with rows."""
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim < 2 or not output.numel():
        return None
    some = some_rows(output).float()
    rows = some.flatten(0, -2)
    low, high = rows.min().item(), rows.max().item()
    several = rows.shape[1] > 1
    is_one = several and bool((rows.sum(1) - 1).abs().max() < 1e-4) and low >= 0
    is_log = several and high <= 1e-6 and bool((rows.exp().sum(1) - 1).abs().max() < 1e-4)
    return {
        "shape": list(output.shape),
        "spread": some.flatten(1).std(0, correction=0).mean().item(),
        "size": rms(some.cpu()),
        "is_distribution": is_one,
        "is_log_distribution": is_log,
        "in_unit": low >= 0 and high <= 1,
    }


class Seen:
    """What layers gave on one way through the network; filled by `looking`."""

    def __init__(self) -> None:
        self.layers: dict[str, dict[str, Any]] = {}
        self.norms: dict[str, dict[str, int]] = {}
        self.order: list[str] = []
        self.inputs: dict[str, float] = {}
        self.output: dict[str, Any] | None = None
        self.account = Account()


@contextmanager
def looking(
    net: nn.Module, scopes: Sequence[str] = (), parts: Iterable[tuple[str, nn.Module]] | None = None
) -> Iterator[Seen]:
    """While it lasts, a way through the network leaves its layers' numbers in what is given.

    Args:
        net: The network.
        scopes: Names of parts that are networks of their own (`generator`): each has its last layer.
        parts: Those that are looked at, with their names; None: all.
    """
    seen, hooks = Seen(), []
    bent: list[Any] = []  # the steps of autograd that activations were made by: nobody looks at one twice
    events: list[tuple[str, bool]] = []  # layers in the order of their use, and whether they have weights
    calls: dict[str, int] = {}
    axis = [None]  # along which the units of what comes now lie, by the last layer with weights

    def note(name: str, kind: str, x: Tensor, along: int | None) -> None:
        calls[name] = count = calls.get(name, 0) + 1
        if count > CALLS or x.ndim < 2 or not x.numel() or not x.is_floating_point():
            return
        name = name if count == 1 else f"{name}#{count}"
        seen.layers[name] = of_units(kind, x, along if along is not None else (1 if x.ndim >= 4 else -1))
        events.append((name, False))

    def gave(name: str, kind: str) -> Any:
        def saw(_part: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                bent.append(output.grad_fn)
                note(name, kind, output, axis[0])

        return saw

    def took(name: str, along: int) -> Any:
        def saw(_part: nn.Module, inputs: Any) -> None:
            x = inputs[0] if inputs else None
            if isinstance(x, Tensor) and (step := _bend_before(x)) and not any(step is one for one in bent):
                bent.append(step)
                result = step._saved_result
                fits = result.ndim == x.ndim
                note(f"before {name}", BENDS[step.name()], result, along if fits else None)
            axis[0] = along  # type: ignore[call-overload]
            if name not in seen.order:
                seen.order.append(name)
                seen.inputs[name] = rms(sampled(x)) if isinstance(x, Tensor) and x.is_floating_point() else 0.0
            events.append((name, True))

        return saw

    def normed(name: str) -> Any:
        def saw(part: Any, inputs: Any) -> None:
            x = inputs[0] if inputs else None
            if isinstance(x, Tensor) and x.ndim >= 2 and (part.training or part.running_mean is None):
                seen.norms[name] = {"rows": len(x), "values": len(x) * prod(x.shape[2:])}

        return saw

    def whole(_part: nn.Module, _inputs: Any, output: Any) -> None:
        seen.output = of_output(output)

    for name, part in net.named_modules() if parts is None else parts:
        if (kind := KINDS.get(type(part))) is not None:
            hooks.append(part.register_forward_hook(Hook(gave(name, kind), seen.account)))
        elif isinstance(part, WEIGHTED):
            along = -1 if isinstance(part, nn.Linear) else 1
            hooks.append(part.register_forward_pre_hook(Hook(took(name, along), seen.account)))
        elif isinstance(part, BATCH_NORM):
            hooks.append(part.register_forward_pre_hook(Hook(normed(name), seen.account)))
    hooks.append(net.register_forward_hook(Hook(whole, seen.account)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
    _mark_last(seen, events, scopes)


def _bend_before(x: Tensor) -> Any:
    """The step of autograd that bent what reached this layer, if there is one; without a history there is none."""
    step: Any = x.grad_fn
    for _hop in range(HOPS):
        if step is None or step.name() in BENDS:
            return step
        if not step.name().startswith(PASSING):
            return None
        step = step.next_functions[0][0]
    return None


def _mark_last(seen: Seen, events: Sequence[tuple[str, bool]], scopes: Sequence[str]) -> None:
    """Activations after which no layer with weights comes in the network that they belong to: its output."""
    done: set[str] = set()  # of these networks a later layer with weights was seen
    for name, is_weighted in reversed(events):
        place = name.removeprefix("before ")
        scope = next((one for one in scopes if place == one or place.startswith(f"{one}.")), "")
        if is_weighted:
            done.add(scope)
        elif scope not in done:
            seen.layers[name]["last"] = True


def agreement(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> float | None:
    """The cosine between two gradients, or samples of them, by sampled elements; None where one is zero."""
    pairs = [(sampled(a), sampled(b)) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    left, right = (torch.cat([pair[side].reshape(-1).float() for pair in pairs]).cpu().double() for side in (0, 1))
    size = left.norm() * right.norm()
    return (left @ right / size).item() if size > 0 else None
