"""What a look into a training sees: a few numbers of each layer, from at most 4,096 elements of it.

A visit is JSON:

    {"step": 120, "rows": 32, "loss": {"learner": 0.53},
     "parameters": {"hidden.0.weight": {"count", "weight", "gradient", "update", "still"}},
     "layers": {"hidden.1": {"kind", "dead", "zeros", "saturated", "spread", "size"}},
     "output": {"shape", "spread", "size", "is_distribution", "is_log_distribution", "in_unit"} or None,
     "agreement": 0.8 or None,
     "wait": 0.01}

Of parameters: how many numbers; the root mean square of them, of their gradient, of what the step changed them by; the
share of the sampled elements whose gradient is exactly zero (`still`; 1.0 where there is no gradient at all, and
`gradient` is then None). A parameter that nobody trains has `learns` false.
Of layers with an activation (its own module, or what a layer with weights is given by a function): kind relu, sigmoid,
tanh or other; the share of sampled units that are zero on every sampled row (`dead`), of elements that are zero, of
elements at the flat ends of a sigmoid or tanh; how far units differ from row to row, and how large they are (root mean
square).
Of the output of the network: the same, and whether its rows are probabilities, their logarithms, or lie within 0 and 1.
`agreement` is the cosine between the gradients of two halves of the batch; `wait` the share of a step spent on waiting
for its batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

MOST = 4096  # elements of a layer that are looked at
SIDE = 64  # units, and places of each, that are looked at
FLAT = 0.03  # so close to its end a sigmoid's slope is below an eighth of its largest, and a tanh's below a tenth
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


@contextmanager
def untouched(net: nn.Module) -> Iterator[None]:
    """Afterwards the network's buffers and the random generators are as before: a look may change nothing."""
    held = [(buffer, buffer.clone()) for buffer in net.buffers()]
    device = next((one.device for one in (*net.parameters(), *net.buffers())), torch.device("cpu"))
    modes = [(part, part.training) for part in net.modules()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in held:
                    buffer.copy_(before)
            for part, mode in modes:
                part.training = mode


def sampled(tensor: Tensor, most: int = MOST) -> Tensor:
    """Some of its elements, always the same ones, `(n,)`; no copy of all of it is made."""
    tensor = tensor.detach()
    count = tensor.numel()
    if not tensor.is_contiguous():
        dense = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
        tensor = tensor.as_strided((count,), (1,)) if dense else tensor.reshape(-1)
    return tensor.reshape(-1)[:: max(1, -(-count // most))]


def rms(tensor: Tensor) -> Tensor:
    """The root mean square, a scalar that is still on its device."""
    return tensor.double().square().mean().sqrt() if tensor.numel() else tensor.new_zeros((), dtype=torch.float64)


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
    zero = torch.zeros((), dtype=torch.float64)
    columns = []
    for name, weight in weights.items():
        gradient = gradients.get(name)
        some = sampled(gradient) if gradient is not None else None
        columns += [
            rms(sampled(weight)).cpu(),
            zero if some is None else rms(some).cpu(),
            rms(updates[name]).cpu() if name in updates else zero,
            zero + 1 if some is None else (some == 0).double().mean().cpu(),
        ]
    values = torch.stack(columns).view(-1, 4).tolist() if columns else []
    found = {}
    for (name, weight), (size, gradient, update, still) in zip(weights.items(), values, strict=True):
        found[name] = {
            "count": weight.numel(),
            "weight": size,
            "gradient": gradient if gradients.get(name) is not None else None,
            "update": update if name in updates else None,
            "still": still,
            "learns": name in learned,
        }
    return found


def places(x: Tensor) -> Tensor:
    """Some units of some rows and places, `(n, units)`: of pictures `(B, C, H, W)` units are channels, else last."""
    x = x.detach()
    if x.ndim == 4:
        b, c, h, w = x.shape
        rows = min(b, SIDE // 4)
        side = max(1, int((SIDE / max(1, rows)) ** 0.5))
        x = x[
            :: max(1, -(-b // rows)), :: max(1, -(-c // SIDE)), :: max(1, -(-h // side)), :: max(1, -(-w // side))
        ].movedim(1, -1)
    elif x.ndim == 3:
        b, t, d = x.shape
        rows = min(b, SIDE // 4)
        x = x[:: max(1, -(-b // rows)), :: max(1, -(-t * rows // SIDE)), :: max(1, -(-d // SIDE))]
    elif x.ndim == 2:
        x = x[:: max(1, -(-len(x) // SIDE)), :: max(1, -(-x.shape[1] // SIDE))]
    return x.reshape(-1, x.shape[-1]).double()


def of_units(kind: str, x: Tensor) -> dict[str, Any]:
    """The numbers of a layer's activations."""
    some = places(x)
    if not kind:  # made by a function: what it was shows in its values
        low, high = some.min().item(), some.max().item()
        kind = "other"
        if low >= 0 and (some == 0).double().mean().item() > 0.05:
            kind = "relu"
        elif low >= 0 and high <= 1:
            kind = "sigmoid"
        elif low >= -1 and high <= 1:
            kind = "tanh"
    edge = torch.zeros_like(some, dtype=torch.bool)
    if kind == "sigmoid":
        edge = (some < FLAT) | (some > 1 - FLAT)
    elif kind == "tanh":
        edge = some.abs() > 1 - 2 * FLAT
    is_zero = some == 0
    values = [is_zero.all(0).double().mean(), is_zero.double().mean(), edge.double().mean()]
    values += [some.std(0, correction=0).mean(), rms(some)]
    dead, zeros, saturated, spread, size = torch.stack(values).tolist()
    return {"kind": kind, "dead": dead, "zeros": zeros, "saturated": saturated, "spread": spread, "size": size}


def of_output(output: Any) -> dict[str, Any] | None:
    """What a network gives for a batch, if it is a tensor of numbers with rows."""
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim < 2 or not output.numel():
        return None
    some = output.detach()[:SIDE].double()
    rows = some.flatten(0, -2)
    low, high = rows.min().item(), rows.max().item()
    several = rows.shape[1] > 1
    is_one = several and bool((rows.sum(1) - 1).abs().max() < 1e-4) and low >= 0
    is_log = several and high <= 1e-6 and bool((rows.exp().sum(1) - 1).abs().max() < 1e-4)
    return {
        "shape": list(output.shape),
        "spread": some.flatten(1).std(0, correction=0).mean().item(),
        "size": rms(some).item(),
        "is_distribution": is_one,
        "is_log_distribution": is_log,
        "in_unit": low >= 0 and high <= 1,
    }


class Seen:
    """What layers gave on one way through the network; filled by `looking`."""

    def __init__(self) -> None:
        self.layers: dict[str, dict[str, Any]] = {}
        self.output: dict[str, Any] | None = None


@contextmanager
def looking(net: nn.Module) -> Iterator[Seen]:
    """While it lasts, a way through the network leaves its layers' numbers in what is given."""
    seen, made, hooks = Seen(), [], []  # made: what activations gave, held so that no other tensor takes its place

    def gave(name: str, kind: str) -> Any:
        def saw(_part: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim in (2, 3, 4) and output.numel():
                made.append(output)
                seen.layers[name] = of_units(kind, output)

        return saw

    def took(name: str) -> Any:
        def saw(_part: nn.Module, inputs: Any) -> None:
            x = inputs[0] if inputs else None
            if not isinstance(x, Tensor) or x.ndim not in (2, 3, 4) or not x.numel() or x.grad_fn is None:
                return  # without a history it is what came from outside
            if not any(x is one or x._base is one for one in made):
                found = of_units("", x)
                if found["kind"] != "other":
                    seen.layers[f"before {name}"] = found

        return saw

    def whole(_part: nn.Module, _inputs: Any, output: Any) -> None:
        seen.output = of_output(output)

    for name, part in net.named_modules():
        if (kind := KINDS.get(type(part))) is not None:
            hooks.append(part.register_forward_hook(gave(name, kind)))
        elif isinstance(part, WEIGHTED):
            hooks.append(part.register_forward_pre_hook(took(name)))
    hooks.append(net.register_forward_hook(whole))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def agreement(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> float | None:
    """The cosine between two gradients, by sampled elements; None where one is zero."""
    pairs = [(sampled(a), sampled(b)) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    left, right = (torch.cat([pair[side].double() for pair in pairs]) for side in (0, 1))
    size = left.norm() * right.norm()
    return (left @ right / size).item() if size > 0 else None
