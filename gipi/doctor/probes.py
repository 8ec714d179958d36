"""What is tried with a network before its first step and after its last, in a job of gipi's or in a person's own loop.

All take plain things: a network, a loss `f(output, *target) -> scalar`, batches `(x, *target)` of tensors with a common
first axis. All give JSON, and leave weights, buffers, modes and random generators as they were, but for `memorised`,
which is given a network of its own. What cannot be found out is None or absent; what fails raises, and whoever calls
uses `tried`.

    probes = {}
    probes |= tried("first", lambda: first(net, loss, batches, "class"))
    probes |= tried("memorised", lambda: memorised(copy.deepcopy(net), loss, batches[0], "class"))

`kind` is what the targets are: "class" (`(B,)` or `(B, T)` whole numbers, below 0 where nothing is asked), "labels"
(`(B, L)` zeros and ones), "number" (`(B, T)`), or "" where that is not known; `kind_of` guesses it.

B rows, T targets or places of a text, K classes
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gipi.doctor.by_heart import memorised
from gipi.doctor.reach import connected, held_still
from gipi.doctor.statistics import of_output, untouched
from gipi.doctor.wanted import Loss, chance_of, value_of

__all__ = ["connected", "first", "held_still", "kind_of", "memorised", "output_of", "shuffled", "tried"]

CANDIDATES = 64  # rows that an output is looked at of
CHUNKS = 32  # pieces of the rows whose differences tell the standard error
ENDS = {"softmax": (0, 1), "sigmoid": (0, 1), "relu": (0, math.inf), "tanh": (-1, 1), "log_softmax": (-math.inf, 0)}
PLAIN = ("View", "Unsafe", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Transpose", "Permute", "Alias", "T")


def tried(name: str, probe: Callable[[], Any]) -> dict[str, Any]:
    """What the probe gives, under its name; what it fails with, if it does: a probe may never break a run."""
    try:
        found = probe()
    except Exception as error:  # a network or a loss of a person's own may do anything
        found = {"failed": f"{type(error).__name__}: {error}"[:300]}
    return {} if found is None else {name: found}


def kind_of(output: Any, y: Any) -> str:
    """What targets are, by their numbers and what the network gives for them: class, labels, number, or ""."""
    if not isinstance(output, Tensor) or not isinstance(y, Tensor) or not output.is_floating_point() or not y.numel():
        return ""
    if not y.is_floating_point():
        is_one_less = y.ndim == output.ndim - 1
        return "class" if is_one_less and output.shape[1 if y.ndim == 1 else -1] > 1 else ""
    if y.numel() != output.numel():
        return ""
    return "labels" if bool(((y == 0) | (y == 1)).all()) and y.unique().numel() == 2 else "number"


def first(net: nn.Module, loss: Loss, batches: Sequence[Sequence[Tensor]], kind: str = "") -> dict[str, Any] | None:
    """The loss of a network at its beginning, in eval mode, against what guessing without a look at x costs.

    Returns:
        loss: The mean over the batches. expected: What guessing costs (see `chance_of`); None if that is not known.
        constant: The same by the classes' own frequencies, or the mean. rows: How many. classes. scale: The root mean
        square of the largest x.
    """
    found: list[tuple[int, float, float | None, float | None]] = []
    size, classes = 0.0, None
    with untouched(net), torch.no_grad():
        net.eval()
        for x, *target in batches:
            output = net(x)
            if (value := value_of(loss, output, *target)) is not None:
                found.append((len(x), value, *chance_of(loss, output, target, kind)))
            if kind == "class":
                classes = int(output.shape[-1 if target[0].ndim < 3 else 1])
            size = max(size, x.double().square().mean().sqrt().item() if x.is_floating_point() else 0.0)
    if not found:
        return None
    rows = sum(one[0] for one in found)

    def mean(place: int) -> float | None:
        values = [one[place] for one in found]
        if None in values:
            return None
        return sum(one[0] * value for one, value in zip(found, values, strict=True) if value is not None) / rows

    return {
        "loss": mean(1),
        "expected": mean(2),
        "constant": mean(3),
        "rows": rows,
        "kind": kind,
        "classes": classes,
        "scale": size,
    }


def output_of(net: nn.Module, batch: Sequence[Tensor]) -> dict[str, Any] | None:
    """`statistics.of_output` of a batch in eval mode, and more.

    Returns:
        end: What it ends with: softmax, log_softmax, sigmoid, relu, tanh, or "". columns: Whether probabilities were
        taken over the rows of the batch. low, high: Of all numbers. outside: The share of targets, where they are
        numbers of the output's shape, that such an end can never give.
    """
    x, *target = [part[:CANDIDATES] for part in batch]
    with untouched(net), torch.enable_grad():
        net.eval()
        output = net(x)
    found = of_output(output)
    if found is None:
        return None
    some = output.detach().double()
    found["end"] = ending(output)
    found["columns"] = len(some) > 1 and bool((some.sum(0) - 1).abs().max() < 1e-4) and some.min().item() >= 0
    found["low"], found["high"] = some.min().item(), some.max().item()
    found["outside"] = None
    if target and target[0].is_floating_point() and target[0].numel() == output.numel():
        low, high = ENDS.get(found["end"], (-math.inf, math.inf))
        found["outside"] = ((target[0] < low) | (target[0] > high)).double().mean().item()
    return found


def ending(output: Tensor) -> str:
    """The function that a network ends with, by the graph of its output; "" where it is none of these."""
    node = output.grad_fn
    known = {"LogSoftmax": "log_softmax", "Softmax": "softmax", "Sigmoid": "sigmoid", "Relu": "relu", "Tanh": "tanh"}
    for _look in range(8):
        if node is None:
            return ""
        name = node.name().rstrip("0123456789").removesuffix("Backward").lstrip("_")
        if name in known:
            return known[name]
        if not name.startswith(PLAIN):
            return ""
        node = next((one for one, _place in node.next_functions if one is not None), None)
    return ""


def shuffled(net: nn.Module, loss: Loss, batch: Sequence[Tensor]) -> dict[str, Any] | None:
    """The loss of a network on rows it has not learned from, and the same with inputs exchanged among the rows.

    Returns:
        plain, shuffled: The mean losses. error: Standard error of their difference. rows. apart: How far outputs differ
        from row to row, as a part of their size; 0 where the network gives the same whatever it is given.
    """
    x, *target = batch
    if len(x) < 4:
        return None
    with untouched(net), torch.no_grad():
        net.eval()
        output = net(x)
        if not isinstance(output, Tensor):
            return None
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(x), generator=generator)
        places = torch.empty_like(order)
        places[order] = order.roll(1)  # each row gets the input of another
        other = output[places.to(output.device)]
        flat = output.double().flatten(1)
        apart = (flat - flat.mean(0)).square().mean().sqrt() / flat.square().mean().sqrt().clamp_min(1e-30)
        pieces = torch.arange(len(x)).tensor_split(min(CHUNKS, len(x) // 2))
        plain, mixed, weights = [], [], []
        for piece in pieces:
            piece = piece.to(output.device)
            some = [part[piece] for part in target]
            one, two = value_of(loss, output[piece], *some), value_of(loss, other[piece], *some)
            if one is not None and two is not None:
                plain.append(one)
                mixed.append(two)
                weights.append(len(piece))
    if len(plain) < 2:
        return None
    share = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    differences = torch.tensor(mixed, dtype=torch.float64) - torch.tensor(plain, dtype=torch.float64)
    mean = (share * differences).sum()
    error = ((share * (differences - mean)).square().sum()).sqrt() * math.sqrt(len(plain) / (len(plain) - 1))
    return {
        "plain": float((share * torch.tensor(plain, dtype=torch.float64)).sum()),
        "shuffled": float((share * torch.tensor(mixed, dtype=torch.float64)).sum()),
        "error": float(error),
        "rows": len(x),
        "apart": float(apart),
    }
