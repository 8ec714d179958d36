"""Which parameters of a network a gradient reaches, and which of them anybody moves."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gipi.doctor.hook import is_compiled
from gipi.doctor.statistics import Seen, looking, of_parameters, untouched
from gipi.doctor.trends import handed_back

MOST_FLAT = 12  # parameters without gradient of which it is tried whether the loss depends on them
NUDGE = 0.05  # of a parameter's size, by which it is changed for that
FEW = 32  # names that are kept


def connected(
    net: nn.Module, objective: Callable[[Any], Tensor], batch: Sequence[Tensor], learned: set[int] | None = None
) -> dict[str, Any]:
    """Which parameters a gradient reaches, and who moves them.

    Args:
        net: In training mode afterwards as before.
        objective: `batch -> scalar`.
        batch: A few rows suffice.
        learned: `id` of the parameters that an optimizer holds; None: all that ask for gradients.

    Returns:
        unused: Names of parameters that the loss was not made from. cut: Those without gradient, or with one that is
        zero, though the loss changes where they change: something cuts the gradient off. frozen: Those that ask for no
        gradient. left: Those that no optimizer holds. outside: Layers that the network holds in a list or dictionary of
        its own, so that it does not know them. share: The part of all numbers that is in each, by name of the list, and
        under `drawn` that of frozen or left ones that are as PyTorch drew them. count: All numbers. names: All
        parameters. back: How large the gradient is that reaches each layer from behind, see `trends.handed_back`.
    """
    held = held_still(net, learned)
    named = {name: one for name, one in net.named_parameters() if one.requires_grad}
    with untouched(net), torch.enable_grad():
        net.eval()
        _make_ready(net)
        is_seen = not any(is_compiled(part) for part in net.modules())  # else a hook would make it compile anew
        with looking(net) if is_seen else nullcontext(Seen()) as seen:
            value = objective(batch)
        found = torch.autograd.grad(value, [*named.values()], allow_unused=True) if named else ()
        slopes = dict(zip(named, found, strict=True))
        flat = [name for name, slope in slopes.items() if slope is None or not bool(slope.any())]
        cut = [name for name in flat[:MOST_FLAT] if _matters(named[name], objective, batch, value.item())]
    deep = {name: one for name, one in named.items() if name.removesuffix(".weight") in seen.inputs}
    parameters = of_parameters(deep, slopes, {}, {*deep})
    held["back"] = handed_back({"parameters": parameters, "order": seen.order, "inputs": seen.inputs})
    unused = [name for name in flat if name not in cut and slopes[name] is None]
    for kind, names in (("unused", unused), ("cut", cut)):
        held[kind] = names[:FEW]
        held["share"][kind] = sum(named[one].numel() for one in names) / max(1, held["count"])
    return held


def held_still(net: nn.Module, learned: set[int] | None = None) -> dict[str, Any]:
    """What of a network nobody moves, without a step or a batch.

    Args:
        net: The network.
        learned: `id` of the parameters that an optimizer holds; None: all that ask for gradients.

    Returns:
        frozen, left, outside, share, count, names, as `connected` has them.
    """
    named = dict(net.named_parameters())
    count = sum(one.numel() for one in named.values())
    frozen = [name for name, one in named.items() if not one.requires_grad]
    left = [name for name, one in named.items() if one.requires_grad and learned is not None and id(one) not in learned]
    share = {
        kind: sum(named[one].numel() for one in names) / max(1, count)
        for kind, names in (("frozen", frozen), ("left", left))
    }
    share["drawn"] = sum(named[one].numel() for one in (*frozen, *left) if _is_as_drawn(named[one])) / max(1, count)
    return {
        "frozen": frozen[:FEW],
        "left": left[:FEW],
        "outside": outside_of(net)[:FEW],
        "share": share,
        "count": count,
        "names": len(named),
    }


def _make_ready(net: nn.Module) -> None:
    for part in net.modules():
        if isinstance(part, nn.RNNBase) and next(part.parameters()).is_cuda:
            part.training = True


def _matters(param: Tensor, objective: Callable[[Any], Tensor], batch: Any, before: float) -> bool:
    """Whether the loss changes where this parameter changes a little."""
    with torch.no_grad():
        held = param.clone()
        size = param.double().square().mean().sqrt().item() or 1.0
        signs = 1 - 2 * (torch.arange(param.numel(), device=param.device) % 2)
        param.add_((NUDGE * size * signs).to(param.dtype).view(param.shape))
        after = objective(batch).item()
        param.copy_(held)
    return abs(after - before) > 1e-6 * (1 + abs(before))


def _is_as_drawn(param: Tensor) -> bool:
    """Whether weights are what PyTorch gives a new linear layer or convolution: even over +-1 / sqrt(inputs).

    `kaiming_uniform_(a=sqrt(5))` of torch.nn.Linear.reset_parameters. Trained ones are hardly ever all within.
    """
    if param.ndim < 2 or param.numel() < 16:
        return False
    bound = (param.numel() / len(param)) ** -0.5
    some = param.detach().double() / bound
    size = some.square().mean().sqrt().item() * math.sqrt(3)
    return bool(some.abs().max() <= 1 + 1e-5) and abs(size - 1) < 3 * 0.45 / math.sqrt(param.numel())  # standard errors


def outside_of(net: nn.Module) -> list[str]:
    """Layers and numbers to be learned that hang on the network without being part of it: plain lists, bare tensors."""
    known = {id(part) for part in net.modules()} | {id(one) for one in net.parameters()}
    found = []
    for name, part in net.named_modules():
        for attribute, value in vars(part).items():
            if attribute.startswith("_"):
                continue
            several = (
                value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            )
            for one in several:
                is_layer = isinstance(one, nn.Module) and any(p.requires_grad for p in one.parameters())
                is_bare = isinstance(one, Tensor) and one.requires_grad and one.is_leaf
                if (is_layer or is_bare) and id(one) not in known:
                    found.append(f"{name}.{attribute}".lstrip("."))
                    break
    return found
