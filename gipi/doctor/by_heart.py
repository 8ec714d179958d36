"""Whether a network can learn a few rows by heart: one that cannot will not learn many.

A sound network does it with one step size or another, whatever the step size of the run is. Rows are taken so that even
an affine map can do it, dropout is left out at first, and the rows come in another order at each step: who mixes them
up, or drowns them in noise, fails.

B rows
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gipi.algorithms.optimizers import NotFinite, make
from gipi.doctor.statistics import untouched
from gipi.doctor.wanted import Loss, chance_of, floor_of

ROWS = 8  # that are memorised
CANDIDATES = 64  # rows among which these are chosen
FEWEST = 40  # steps with a step size, or it is not tried: fewer prove nothing
STEPS = 60  # with each step size, at most: Adam moves a weight by a step size each, so 60 of 0.03 turn any weight round
LAST = 5  # of whose losses the mean is taken: where there is noise, one of them may be low by luck
SIZES = (3e-3, 3e-2, 3e-4)  # Adam's own 1e-3 (Kingma & Ba 2015) between the first and the last, and a decade above
LEARNED = 0.5  # of the way from chance to the floor: it can, and no other step size need be tried


def memorised(
    net: nn.Module,
    loss: Loss,
    batch: Sequence[Tensor],
    kind: str = "",
    seconds: float = 1.0,
    objective: Callable[[Any], Tensor] | None = None,
) -> dict[str, Any] | None:
    """Whether a few rows can be learned by heart, without dropout, with several step sizes of Adam.

    Args:
        net: It is changed: a copy, or one that is thrown away.
        loss: Of output and target.
        batch: Of which at most 8 rows are taken: different inputs, of different classes, so that even an affine map can
        do it. kind: Of the targets.
        seconds: That a sound network may take, which does it with the first step size; others may take three times
        that. objective: `batch -> scalar` that is trained, where it is not `loss(net(x), *target)`.

    Returns:
        first: The loss before. last: The mean of the last after `steps` steps, with the best of the step sizes that
        were tried. rows. expected: What the best answer that is the same for all rows costs. floor: What right answers
        cost. sizes: `[step size, last loss, steps]` of each. with_dropout: The last loss with dropout, where there is
        any. mixed: How much the answers change, as a part of their size, where the same rows come in another order;
        random: where they come in the same order again. skipped: Why it was not tried, in place of all that. None:
        nothing to be learned by heart, or nothing to learn with.
    """
    some = distinct(batch, kind)
    params = [one for one in net.parameters() if one.requires_grad]
    if some is None or not params:
        return None
    x, *target = some
    wanted = objective or (lambda batch: loss(net(batch[0]), *batch[1:]))
    with untouched(net), torch.no_grad():
        net.eval()
        output = net(x)
        random = _change(output, net(x))
        mixed = _change(output.flip(0), net(x.flip(0)))
    _expected, constant = chance_of(loss, output, target, kind)
    floor = floor_of(loss, output, target, kind)
    if constant is None or floor is None or constant - floor <= 1e-6 * (1 + abs(constant)):
        return None
    with untouched(net), torch.enable_grad():
        each = _seconds_of_step(wanted, some, params)
    if each * FEWEST > seconds:
        return {"skipped": f"{FEWEST} steps of {each:.3g} s take longer than {seconds:.3g} s"}
    found: dict[str, Any] = {"first": None, "rows": len(x), "expected": constant, "floor": floor, "sizes": []}
    enough = constant - LEARNED * (constant - floor)
    held = {name: one.clone() for name, one in net.state_dict().items()}
    steps = min(STEPS, int(seconds / each))
    with untouched(net), torch.enable_grad():
        without_dropout(net)
        for size in SIZES:
            before, last = _learned(wanted, some, params, size, steps, enough)
            found["first"] = before if found["first"] is None else found["first"]
            found["sizes"].append([size, last if math.isfinite(last) else None, steps])
            net.load_state_dict(held)
            if last < enough:
                break
        best = min(found["sizes"], key=lambda one: math.inf if one[1] is None else one[1])
        found |= {"last": best[1], "steps": steps, "mixed": mixed, "random": random}
        if best[1] is not None and best[1] < enough and any(_is_dropout(part) for part in net.modules()):
            net.train()
            lasts = []
            for size in (best[0], SIZES[1]):
                lasts.append(_learned(wanted, some, params, size, steps, enough)[1])
                net.load_state_dict(held)
                if lasts[-1] < enough:
                    break
            found["with_dropout"] = min(lasts)
    return found


def _change(one: Tensor, other: Tensor) -> float:
    """How far they are from each other, as a part of how far the rows are."""
    size = (one - one.mean(0)).square().mean().sqrt()
    return float((one - other).square().mean().sqrt() / size) if size > 0 else 0.0


def _seconds_of_step(objective: Callable[[Any], Tensor], batch: Any, params: list[nn.Parameter]) -> float:
    """Of a way forward and back, the second time."""
    took = math.inf
    for _time in range(2):
        began = time.perf_counter()
        torch.autograd.grad(objective(batch), params, allow_unused=True)
        took = min(took, time.perf_counter() - began)
    return took + 2e-5 * len(params)  # and of Adam's, which has little to do


def _learned(
    objective: Callable[[Any], Tensor],
    batch: Any,
    params: list[nn.Parameter],
    size: float,
    steps: int,
    enough: float,
) -> tuple[float, float]:
    """The loss before, and the mean of the last ones: of rows in another order at each step, with Adam.

    It ends before its last step where that mean is below `enough`.
    """
    adam = make("adam", params, lr=size)
    losses: list[float] = []

    def evaluate() -> tuple[Tensor, list[Tensor]]:
        order = torch.randperm(len(batch[0])).to(batch[0].device)
        value = objective(tuple(part[order] for part in batch))
        slopes = torch.autograd.grad(value, params, allow_unused=True)
        given = [torch.zeros_like(one) if slope is None else slope for one, slope in zip(params, slopes, strict=True)]
        return value.detach(), given

    for step in range(steps):
        try:
            losses.append(adam.step(evaluate, step).item())
        except NotFinite:
            losses.append(math.inf)
        if not math.isfinite(losses[-1]):
            return losses[0], math.inf
        if sum(losses[-LAST:]) < enough * LAST and len(losses) >= LAST:
            break
    return losses[0], sum(losses[-LAST:]) / len(losses[-LAST:])


def _is_dropout(part: nn.Module) -> bool:
    return isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0


def without_dropout(net: nn.Module) -> None:
    """Eval mode; where that would leave batch norm without effect, training mode, dropout apart."""
    has_norm = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in net.modules())
    net.train(has_norm)
    for part in net.modules():
        if _is_dropout(part):
            part.training = False
        elif isinstance(part, nn.RNNBase) and next(part.parameters()).is_cuda and part.dropout == 0:
            part.training = True  # a GPU gives no gradients of it in eval mode


def distinct(batch: Sequence[Tensor], kind: str) -> tuple[Tensor, ...] | None:
    """Rows whose inputs no affine map confuses, of as many classes as there are; None if there are fewer than two."""
    x = batch[0][:CANDIDATES]
    flat = x.detach().double().flatten(1).cpu()
    flat = flat - flat[:1]
    scale = flat.norm(dim=1).max().clamp_min(1e-12)
    order = list(range(len(x)))
    y = batch[1][:CANDIDATES] if len(batch) > 1 else None
    if kind == "class" and y is not None and y.ndim == 1:
        seen: dict[int, int] = {}
        ranks = []
        for value in y.tolist():
            seen[value] = seen.get(value, -1) + 1
            ranks.append(seen[value])
        order.sort(key=lambda place: ranks[place])  # one of each class, then another of each
    chosen, basis = order[:1], []
    base = flat[order[0]]
    for place in order[1:]:
        rest = flat[place] - base
        for one in basis:
            rest = rest - (rest @ one) * one
        if rest.norm() > 1e-3 * scale:
            basis.append(rest / rest.norm())
            chosen.append(place)
        if len(chosen) == ROWS:
            break
    if len(chosen) < 2:
        return None
    places = torch.tensor(chosen, device=x.device)
    return tuple(part[places.to(part.device)] for part in batch)
