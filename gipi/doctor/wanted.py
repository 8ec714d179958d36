"""What a loss wants of a network, found out by asking it: a loss is a function, and may be given any output.

Right answers must cost less than wrong ones, and the loss of a batch must be the mean of the losses of its rows.

B rows, T targets or places of a text, K classes or labels
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Loss = Callable[..., Any]

MOST_CLASSES = 16  # whose right answers are compared with wrong ones
MOST_OUTPUTS = 64  # units of which it is tried whether the loss looks at them
ROWS = 8  # of a batch that are taken one by one
SURE = 30.0  # a score beyond which a softmax or sigmoid does not change any more, in float32
SCORES = (1.0, 3.0, 10.0, SURE)
ALMOST = 0.9  # a probability that has a logarithm, as has what is left
SHIFT = 5.0  # that a softmax does not see


def value_of(loss: Loss, output: Tensor, *target: Tensor) -> float | None:
    """The loss of this output; None where it fails, or is no finite number."""
    try:
        value = float(loss(output, *target))
    except Exception:  # a loss of a person's own, asked with what it may not be made for
        return None
    return value if math.isfinite(value) else None


def least(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def shares_of(y: Tensor, classes: int) -> Tensor:
    """`(K,)` how frequent each class is among the targets that count."""
    known = y[(y >= 0) & (y < classes)].flatten()
    return torch.bincount(known, minlength=classes).double() / max(1, len(known))


def form_of(output: Tensor) -> str:
    """What a network gives for classes: probabilities, logarithms of them, or scores."""
    if output.ndim < 2 or output.ndim > 3 or output.shape[-1] < 2 or not output.numel():
        return "scores"
    some = output.detach().double()
    if some.min() >= 0 and bool((some.sum(-1) - 1).abs().max() < 1e-4):
        return "probabilities"
    return "logarithms" if some.max() <= 1e-6 and bool((some.exp().sum(-1) - 1).abs().max() < 1e-4) else "scores"


def chance_of(loss: Loss, output: Tensor, target: Sequence[Tensor], kind: str) -> tuple[float | None, float | None]:
    """What guessing without a look at x costs: with no preference, and by the best answer that is the same for all.

    With no preference: all classes alike likely, log K in a cross-entropy; of numbers, where zero is an answer like any
    other, the mean or median. The answers are of the shape and the form of the output `(B, K)`, `(B, T, K)`, `(B, T)`.
    """
    if not target or not kind:
        return None, None
    y = target[0]
    zeros = torch.zeros_like(output)
    even, best = [zeros], [zeros]
    if kind == "class":
        axis = _axis(output, y)
        classes = output.shape[axis]
        shares = shares_of(y, classes).to(output.device)
        shape = [classes if place == axis % output.ndim else 1 for place in range(output.ndim)]
        smooth = ((shares + 1e-6) / (1 + classes * 1e-6)).to(output.dtype).view(shape)
        if form_of(output) == "probabilities":
            even, best = [zeros + 1 / classes], [zeros + 1 / classes, zeros + smooth]
        else:
            even = [zeros - math.log(classes)] if form_of(output) == "logarithms" else [zeros]
            best = [*even, zeros + smooth.log()]
    elif kind == "labels":
        shares = y.double().mean(0).clamp(1e-6, 1 - 1e-6).to(output.dtype)
        is_in_unit = output.min() >= 0 and output.max() <= 1
        even = [zeros + 0.5] if is_in_unit else [zeros]
        best = [*even, zeros + (shares if is_in_unit else shares.logit())]
    elif kind == "number" and output.numel() == y.numel():
        even = best = [zeros, _as(output, y.mean(0)), _as(output, y.median(0).values)]
    found = [value_of(loss, answer, *target) for answer in best]
    return least(found[: len(even)]), least(found)


def floor_of(loss: Loss, output: Tensor, target: Sequence[Tensor], kind: str) -> float | None:
    """What right answers of the output's form cost: the least that the loss can become; None: not known."""
    if not target:
        return None
    y = target[0]
    if kind == "class":
        true = _one_hot(y, output)
        if form_of(output) == "probabilities":
            forms = [true]
        elif form_of(output) == "logarithms":
            forms = [(true + 1e-6).log()]
        else:
            forms = [form * score for score in SCORES for form in (true, true * 2 - 1)]
    elif kind == "labels":
        forms = [_as(output, y), *(_as(output, (y * 2 - 1) * score) for score in SCORES)]
    elif kind == "number" and output.numel() == y.numel():
        forms = [_as(output, y)]
    else:
        return None
    return least([value_of(loss, answer, *target) for answer in forms])


def reduction(loss: Loss, output: Tensor, target: Sequence[Tensor]) -> dict[str, Any] | None:
    """The loss of a batch, the mean of its rows' losses, and of those of all pairs of an output and a target.

    Equal in the first two: a mean, as it should be. `together` `rows` times as large: a sum. Equal to `pairs`: output
    `(B, 1)` and target `(B,)` were spread against each other.
    """
    output = output.detach()[:ROWS]
    rows = len(output)
    some = [target[0][:rows], *(torch.ones_like(part[:rows]) for part in target[1:])] if target else []
    if rows < 3 or not some:
        return None
    together = value_of(loss, output, *some)
    alone = [value_of(loss, output[n : n + 1], *(part[n : n + 1] for part in some)) for n in range(rows)]
    pairs = [
        value_of(loss, output[n : n + 1], *(part[m : m + 1] for part in some)) for n in range(rows) for m in range(rows)
    ]
    known = [one for one in alone if one is not None]
    if together is None or len(known) < rows:
        return None
    return {
        "together": together,
        "alone": sum(known) / rows,
        "spread": max(known) - min(known),
        "pairs": None if None in pairs else sum(one for one in pairs if one is not None) / len(pairs),
        "rows": rows,
    }


def wants(loss: Loss, like: Tensor, target: Sequence[Tensor], kind: str) -> dict[str, Any] | None:
    """What the loss says of right and wrong answers that are made up; `like` has the output's shape.

    Returns:
        won: The share of targets whose right answer costs less than wrong ones, in the form in which most do.
        neighbour: The same for the class before and behind the right one, `{"-1": share, "1": share}`.
        even: Of outputs that are all the same. certain: Of the right class as probabilities 0 and 1.
        best: The lowest of right scores up to 30. worst: Of wrong scores of 1,000: bounded in a softmax of a softmax.
        shifts: What adding 5 to all scores changes. linear: Twice the scores are twice the loss, and below zero.
        unseen: Outputs on which the loss does not depend.
    """
    if not target:
        return None
    y = target[0]
    if kind == "class" and y.ndim == 1:
        return _wants_of_classes(loss, like, target)
    if kind == "labels":
        return _wants_of_labels(loss, like, target)
    if kind == "number" and like.numel() == y.numel():
        right = value_of(loss, _as(like, y), *target)
        wrong = [value_of(loss, _as(like, y + off), *target) for off in (-1.0, 1.0)]
        if right is None or None in wrong:
            return None
        won = sum(right < one for one in wrong if one is not None) / 2
        return {"won": won, "certain": right, "neighbour": {}, "unseen": _unseen(loss, like, target)}
    return None


def _wants_of_classes(loss: Loss, like: Tensor, target: Sequence[Tensor]) -> dict[str, Any] | None:
    y, *others = target
    classes, device = like.shape[1], like.device
    if classes < 2:
        return None
    present = y[(y >= 0) & (y < classes)].unique()[:MOST_CLASSES]
    more = [torch.ones(1, dtype=part.dtype, device=part.device) for part in others]
    eye = torch.eye(classes, dtype=like.dtype, device=device)
    probable = eye * ALMOST + (1 - ALMOST) / classes
    won, neighbour = [], {"-1": [], "1": []}
    for form in (eye * 10, probable, probable.log()):
        wins, sides = [], {"-1": [], "1": []}
        for label in present:
            costs = {}
            for off in (0, 1, -1):
                answer = form[(label + off) % classes][None]
                costs[off] = value_of(loss, answer, label[None], *more)
            if None in costs.values():
                continue
            slack = 1e-6 * (1 + abs(costs[0]))
            wins.append(costs[0] < min(costs[1], costs[-1]) - slack)
            for off in (1, -1):
                sides[str(off)].append(costs[off] < costs[0] - slack)
        if wins:
            won.append(sum(wins) / len(wins))
            for side, better in sides.items():
                neighbour[side].append(sum(better) / len(better))
    if not won:
        return None
    true = _one_hot(y, like)
    wrong = true.roll(1, 1)
    right = [value_of(loss, true * score, *target) for score in SCORES]
    log = (true * ALMOST + (1 - ALMOST) / classes).log()
    plain, moved = value_of(loss, log, *target), value_of(loss, log + SHIFT, *target)
    return {
        "won": max(won),
        "neighbour": {side: min(shares) for side, shares in neighbour.items()},
        "even": value_of(loss, torch.zeros_like(like), *target),
        "certain": right[0],
        "best": least([*right, *(value_of(loss, (true * 2 - 1) * score, *target) for score in SCORES)]),
        "worst": value_of(loss, wrong * 1000, *target),
        "shifts": None if plain is None or moved is None else moved - plain,
        "linear": _is_linear(right),
        "unseen": _unseen(loss, like, target),
        "classes": classes,
    }


def _wants_of_labels(loss: Loss, like: Tensor, target: Sequence[Tensor]) -> dict[str, Any] | None:
    y = target[0]
    sign = _as(like, y * 2 - 1)
    right = [value_of(loss, sign * score, *target) for score in SCORES]
    certain, wrong = value_of(loss, _as(like, y), *target), value_of(loss, _as(like, 1 - y), *target)
    if certain is None and right[0] is None:
        return None
    against = value_of(loss, -sign * SURE, *target)
    won = [
        one < other for one, other in ((certain, wrong), (right[-1], against)) if one is not None and other is not None
    ]
    return {
        "won": float(any(won)) if won else None,
        "neighbour": {},
        "even": value_of(loss, torch.zeros_like(like), *target),
        "certain": certain,
        "best": least(right),
        "worst": value_of(loss, -sign * 1000, *target),
        "shifts": None,
        "linear": _is_linear(right),
        "unseen": _unseen(loss, like, target),
        "classes": like.shape[-1],
    }


def _is_linear(right: Sequence[float | None]) -> bool:
    """Whether scores are worth what they are, without end: a loss that takes them for logarithms of probabilities."""
    one, _three, ten, sure = right
    if one is None or ten is None or sure is None or one >= 0:
        return False
    return abs(ten - 10 * one) <= 1e-3 * abs(ten) and abs(sure - SURE * one) <= 1e-3 * abs(sure)


def _unseen(loss: Loss, like: Tensor, target: Sequence[Tensor]) -> int:
    """How many outputs can be anything without the loss being another."""
    zeros = torch.zeros_like(like)
    before = value_of(loss, zeros, *target)
    units = like.shape[-1]
    if before is None or units > MOST_OUTPUTS:
        return 0
    count = 0
    for unit in range(units):
        moved = []
        for to in (10.0, -10.0):
            output = zeros.clone()
            output[..., unit] = to
            moved.append(value_of(loss, output, *target))
        count += all(one == before for one in moved)
    return count


def _axis(like: Tensor, y: Tensor) -> int:
    """Where the classes are: `(B, K)`, `(B, T, K)` for texts; `(B, K, H, W)` for pictures."""
    return -1 if y.ndim < 3 and tuple(like.shape[:-1]) == tuple(y.shape) else 1


def _one_hot(y: Tensor, like: Tensor) -> Tensor:
    axis = _axis(like, y)
    classes = like.shape[axis]
    true = torch.nn.functional.one_hot(y.long().clamp(0, classes - 1), classes).to(like.dtype)
    return true if axis == -1 else true.movedim(-1, 1)


def _as(like: Tensor, y: Tensor) -> Tensor:
    """The targets in the shape of the output: `(B,)` as `(B, 1)`."""
    y = y.to(like.dtype)
    return y.expand_as(like).clone() if y.ndim < like.ndim and y.numel() != like.numel() else y.reshape_as(like).clone()


# --- what a loss that was only seen may have been ----------------------------------------------------------------


def recognised(value: float, output: Tensor, y: Tensor) -> str:
    """Which loss gives this value for this output and these targets; "" if none that is known does.

    For a person's own loop, of which only the value is known. The names say what is wrong where something is:
    "cross_entropy", "cross_entropy of softmax", "cross_entropy of sigmoid", "nll of scores", "mse", "mse of pairs",
    "mse of class numbers", "bce", "bce of sigmoid", "... sum".
    """
    functional = torch.nn.functional
    output, y = output.detach().double(), y.detach()
    found: dict[str, Callable[[], Tensor]] = {}
    if not y.is_floating_point() and output.ndim == y.ndim + 1 and output.shape[-1] > 1:
        scores, labels = output.reshape(-1, output.shape[-1]), y.reshape(-1)
        asked = labels >= 0
        scores, labels = scores[asked], labels[asked]
        found |= {
            "cross_entropy": lambda: functional.cross_entropy(scores, labels, reduction="none"),
            "cross_entropy of softmax": lambda: functional.cross_entropy(scores.softmax(1), labels, reduction="none"),
            "cross_entropy of sigmoid": lambda: functional.cross_entropy(scores.sigmoid(), labels, reduction="none"),
            "nll of scores": lambda: functional.nll_loss(scores, labels, reduction="none"),
            "nll of probabilities": lambda: functional.nll_loss(
                scores.clamp_min(1e-12).log(), labels, reduction="none"
            ),
            "cross_entropy of one hot squares": lambda: (
                (scores - functional.one_hot(labels, scores.shape[1])).square().mean(1)
            ),
        }
    elif output.numel() == y.numel():
        flat, truth = output.reshape(-1), y.double().reshape(-1)
        found |= {
            "mse": lambda: (flat - truth).square(),
            "mae": lambda: (flat - truth).abs(),
            "mse of pairs": lambda: (flat[:, None] - truth[None]).square().mean(1),
            "mae of pairs": lambda: (flat[:, None] - truth[None]).abs().mean(1),
        }
        if bool(((truth == 0) | (truth == 1)).all()):
            found["bce"] = lambda: functional.binary_cross_entropy_with_logits(flat, truth, reduction="none")
            found["bce of sigmoid"] = lambda: functional.binary_cross_entropy_with_logits(
                flat.sigmoid(), truth, reduction="none"
            )
            if flat.min() >= 0 and flat.max() <= 1:
                found["bce of probabilities"] = lambda: functional.binary_cross_entropy(flat, truth, reduction="none")
    for name, losses in found.items():
        each = losses()
        for ending, one in (("", each.mean()), (" sum", each.sum())):
            if abs(one.item() - value) <= 1e-5 * max(abs(value), 1e-3):
                return name + ending
    return ""
