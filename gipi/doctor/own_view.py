"""What checks are shown of a person's own loop: as a View of a job, as far as it was seen or told.

n rows, T targets, K classes
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from gipi.doctor.finding import View
from gipi.doctor.listening import weights_of
from gipi.doctor.own_loop import Probing
from gipi.doctor.told import Numbers, Rows, each_once
from gipi.messages import _


def view_of(
    nets: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    numbers: Numbers,
    rows: Mapping[str, Rows],
    probing: Probing,
    visits: Sequence[Mapping[str, Any]],
) -> View:
    """All that is known."""
    history = numbers.history()
    x, y, parts = data_of(nets, rows)
    y, kind, labels = target_of(y, probing.shape)
    bad = numbers.bad
    return View(
        x=x,
        y=y,
        parts=parts,
        target_kind=kind,
        labels=labels,
        history=history,
        error=_("The loss of step {step} is {loss}.", step=bad[1], loss=bad[2]) if bad else "",
        options=options_of(next(iter(optimizers.values())), probing.found.get("recognised", "own"), visits),
        parameters=sum(one.numel() for one in weights_of(nets).values()),
        curve={name: curve.points() for name, curve in numbers.curves.items()},
        step_sizes=numbers.step_sizes.points(),
        probes=probing.probes(numbers.first, rows),
        visits=visits,
    )


def data_of(
    nets: Mapping[str, nn.Module], rows: Mapping[str, Rows]
) -> tuple[np.ndarray | None, np.ndarray | None, dict[str, np.ndarray]]:
    """Rows of all parts that were told of, one part after the other, each row once."""
    if any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for net in nets.values() for part in net.modules()):
        return None, None, {}  # tokens are no table
    kept: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for part, own in rows.items():
        x, y = own.arrays()
        if x is not None:
            places = each_once(x, y)
            kept[part] = x[places], None if y is None else y[places]
    if len({(x.shape[1:], x.dtype, None if y is None else (y.shape[1:], y.dtype)) for x, y in kept.values()}) != 1:
        return None, None, {}
    edges = np.cumsum([0, *(len(x) for x, _y in kept.values())])
    parts = {part: np.arange(edges[n], edges[n + 1]) for n, part in enumerate(kept)}
    targets = [y for _x, y in kept.values() if y is not None]
    return np.concatenate([x for x, _y in kept.values()]), np.concatenate(targets) if targets else None, parts


def options_of(optimizer: Optimizer, loss: str, visits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those of gipi's options that show, by their names."""
    group = optimizer.param_groups[0]
    found: dict[str, Any] = {"optimizer": type(optimizer).__name__.lower(), "loss": loss}
    for name in ("lr", "weight_decay", "momentum"):
        if isinstance(group.get(name), float | int | Tensor):
            found[name] = float(group[name])
    rows = [visit["rows"] for visit in visits if visit.get("rows")]
    return found | ({"batch_size": rows[-1]} if rows else {})


def target_of(y: np.ndarray | None, shape: Sequence[int]) -> tuple[np.ndarray | None, str, tuple[int, ...]]:
    """Targets as a View has them: `(n,)` class numbers or `(n, T)` numbers, the kind, the classes.

    Args:
        y: As they came.
        shape: Of the network's output.
    """
    if y is None or not y.size or y.ndim > 2:
        return None, "", ()
    is_column = y.ndim == 1 or y.shape[1] == 1
    is_binary = bool(((y == 0) | (y == 1)).all())
    if y.dtype.kind in "iub" and is_column and (len(shape) < 2 or shape[1] > 1 or is_binary):
        classes = max(shape[1] if len(shape) > 1 else 0, int(y.max()) + 1, 2)
        return (y.reshape(-1).astype(np.int64), "class", tuple(range(classes))) if y.min() >= 0 else (None, "", ())
    if y.dtype.kind in "iu" and not is_column:
        return None, "", ()  # tokens
    if is_binary and is_column:
        return y.reshape(-1).astype(np.int64), "class", (0, 1)
    if is_binary and bool((y.sum(1) == 1).all()):
        return y.argmax(1), "class", tuple(range(y.shape[1]))
    if is_binary:
        return y, "labels", tuple(range(y.shape[1]))
    return y.reshape(len(y), -1).astype(np.float64), "number", ()
