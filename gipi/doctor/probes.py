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
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gipi.algorithms.optimizers import NotFinite, make
from gipi.doctor.statistics import of_output, untouched
from gipi.doctor.wanted import Loss, chance_of, floor_of, value_of

ROWS = 8  # that are memorised: an affine map can do it, as they are chosen
CANDIDATES = 64  # rows among which these are chosen
FEWEST = 20  # steps with each step size, or it is not tried
LAST = 5  # of whose losses the mean is taken: where there is noise, one of them may be low by luck
STEPS = 60  # with each step size, at most: Adam moves a weight by a step size each, so 60 of 0.03 turn any weight round
SIZES = (3e-3, 3e-2, 3e-4)  # Adam's own 1e-3 (Kingma & Ba 2015) between the first and the last, and a decade above
LEARNED = 0.5  # of the way from chance to the floor: it can, and no other step size need be tried
MOST_FLAT = 12  # parameters without gradient of which it is tried whether the loss depends on them
NUDGE = 0.05  # of a parameter's size, by which it is changed for that
FEW = 32  # names that are kept
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
        return None if any(one[place] is None for one in found) else sum(one[0] * one[place] for one in found) / rows

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
        taken over the rows of the batch. low, high: Of all numbers. outside: The share of targets, where they are numbers
        of the output's shape, that such an end can never give.
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


# --- whether it can learn at all ---------------------------------------------------------------------------------


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
        batch: Of which at most 8 rows are taken: different inputs, of different classes, so that even an affine map can do it.
        kind: Of the targets.
        seconds: That it may take.
        objective: `batch -> scalar` that is trained, where it is not `loss(net(x), *target)`.

    Returns:
        first: The loss before. last: The mean of the last after `steps` steps, with the best of the step sizes that were
        tried. rows. expected: What the best answer that is the same for all rows costs. floor: What right answers cost.
        sizes: `[step size, last loss, steps]` of each. with_dropout: The last loss with dropout, where there is any.
        mixed: How much the answers change, as a part of their size, where the same rows come in another order; random:
        where they come in the same order again. skipped: Why it was not tried, in place of all that. None: nothing to be
        learned by heart, or nothing to learn with.
    """
    batch = distinct(batch, kind)
    params = [one for one in net.parameters() if one.requires_grad]
    if batch is None or not params:
        return None
    x, *target = batch
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
    each = _seconds_of_step(wanted, batch, params)
    if each * FEWEST * len(SIZES) > seconds:
        return {"skipped": f"{FEWEST} steps of {each:.3g} s with {len(SIZES)} step sizes take longer than {seconds:.3g} s"}
    found: dict[str, Any] = {"first": None, "rows": len(x), "expected": constant, "floor": floor, "sizes": []}
    enough = constant - LEARNED * (constant - floor)
    held = {name: one.clone() for name, one in net.state_dict().items()}
    steps = max(FEWEST, min(STEPS, int(seconds / each / (len(SIZES) + 1))))
    with untouched(net), torch.enable_grad():
        without_dropout(net)
        for size in SIZES:
            before, last = _learned(wanted, batch, params, size, steps)
            found["first"] = before if found["first"] is None else found["first"]
            found["sizes"].append([size, last if math.isfinite(last) else None, steps])
            net.load_state_dict(held)
            if last < enough:
                break
        best = min(found["sizes"], key=lambda one: math.inf if one[1] is None else one[1])
        found |= {"last": best[1], "steps": steps, "mixed": mixed, "random": random}
        if best[1] is not None and best[1] < enough and any(_is_dropout(part) for part in net.modules()):
            net.train()
            found["with_dropout"] = min(_learned(wanted, batch, params, size, 2 * steps)[1] for size in (best[0], SIZES[0]))
            net.load_state_dict(held)
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
    objective: Callable[[Any], Tensor], batch: Any, params: list[nn.Parameter], size: float, steps: int
) -> tuple[float, float]:
    """The loss before, and the mean of the last ones: of rows in another order at each step, with Adam."""
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


# --- what of it learns -------------------------------------------------------------------------------------------


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
        unused: Names of parameters that the loss was not made from. cut: Those without gradient, or with one that is zero,
        though the loss changes where they change: something cuts the gradient off. frozen: Those that ask for no gradient. left: Those that no optimizer
        holds. outside: Layers that the network holds in a list or dictionary of its own, so that it does not know them.
        share: The part of all numbers that is in each, by name of the list, and under `drawn` that of frozen or left ones
        that are as PyTorch drew them. count: All numbers. names: All parameters.
    """
    held = held_still(net, learned)
    named = {name: one for name, one in net.named_parameters() if one.requires_grad}
    with untouched(net), torch.enable_grad():
        net.eval()
        _make_ready(net)
        value = objective(batch)
        found = torch.autograd.grad(value, [*named.values()], allow_unused=True) if named else ()
        slopes = dict(zip(named, found, strict=True))
        flat = [name for name, slope in slopes.items() if slope is None or not bool(slope.any())]
        cut = [name for name in flat[:MOST_FLAT] if _matters(named[name], objective, batch, value.item())]
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
            several = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            for one in several:
                is_layer = isinstance(one, nn.Module) and any(p.requires_grad for p in one.parameters())
                is_bare = isinstance(one, Tensor) and one.requires_grad and one.is_leaf
                if (is_layer or is_bare) and id(one) not in known:
                    found.append(f"{name}.{attribute}".lstrip("."))
                    break
    return found


# --- after the last step -----------------------------------------------------------------------------------------


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

