"""What a person tells the doctor of a loop of their own: losses, metrics, batches; kept small, read back seldom.

Losses stay tensors on their device until they are asked for. Of batches some rows are kept, evenly over the time, at
most 4 MB of them.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi.doctor.finding import keys

POINTS = 200  # of a curve, at least, once there are so many losses
PENDING = 512  # losses that wait to be read back
ROOM = 4 << 20  # bytes of rows that are kept
MOST_BATCHES = 48  # of which rows are kept
MOST_ROWS = 256  # of a batch
WIDE = 4096  # elements of a row; of larger ones, pictures, every so many pixels are kept
X_NAMES = ("x", "input", "inputs", "input_ids", "image", "images", "pixel_values", "features", "data")
Y_NAMES = ("y", "label", "labels", "target", "targets")


class Curve:
    """The losses of one player, in pools of neighbouring steps; two become one when there are too many."""

    def __init__(self) -> None:
        self.pools: list[list[float]] = []  # first step, count, sum, sum of squares
        self.size = 1

    def add(self, step: int, loss: float) -> None:
        if not self.pools or self.pools[-1][1] >= self.size:
            self.pools.append([step, 0, 0.0, 0.0])
        pool = self.pools[-1]
        pool[1] += 1
        pool[2] += loss
        pool[3] += loss * loss
        if len(self.pools) > 2 * POINTS:
            pairs = zip(self.pools[::2], [*self.pools[1::2], [0, 0, 0.0, 0.0]], strict=False)
            self.pools = [[one[0], one[1] + two[1], one[2] + two[2], one[3] + two[3]] for one, two in pairs]
            self.size *= 2

    def points(self) -> np.ndarray:
        """`(n, 3)`: step, mean, spread."""
        found = []
        for step, count, total, squares in self.pools:
            mean = total / count
            found.append((step, mean, math.sqrt(max(0.0, squares / count - mean * mean))))
        return np.array(found).reshape(-1, 3)


class Numbers:
    """Losses and metrics, and the history that they make: a record ends where training goes on after a judgement.

    Attributes:
        first: The losses of each player before anything was learned.
        last: The last loss of each player that was read.
        is_after: Whether losses are told after the step, not before it.
        unread: What was told and is no number.
        step_sizes: The optimizer's, at the steps of which a loss was told.
    """

    def __init__(self, optimizer: Any = None) -> None:
        self.optimizer = optimizer
        self.step_sizes = Curve()
        self.curves: dict[str, Curve] = {}
        self.first: dict[str, list[float]] = {}
        self.last: dict[str, tuple[int, float]] = {}
        self.records: list[dict[str, Any]] = []
        self.is_after: bool | None = None
        self.unread = ""
        self.bad: tuple[str, int, float] | None = None  # the first loss that is no number
        self._pending: list[tuple[str, str, int, Any]] = []
        self._sums: dict[str, dict[str, list[float]]] = {"train": {}, "valid": {}}
        self._metrics: dict[str, float] = {}
        self._step = 0
        self._asked: dict[int, dict[str, float]] = {}

    def tell(self, part: str, name: str, step: int, value: Any) -> bool:
        """A loss, or a metric (part "metric"); gives whether so many wait that it is time to `read` them."""
        if self.is_after is None and part == "train":
            self.is_after = step > 0
        if isinstance(value, Tensor):
            try:
                value = value.item() if value.is_cpu and value.numel() == 1 else value.detach().clone()
            except (RuntimeError, TypeError):
                value = None
        self._pending.append((part, name, step, value))
        if part == "train" and self.optimizer and isinstance(size := self.optimizer.param_groups[0].get("lr"), float):
            self.step_sizes.add(step, size)
        return len(self._pending) >= PENDING

    def ask(self, step: int, losses: dict[str, float]) -> None:
        """Put the losses of this step in here when they come to be known."""
        self._asked = {step: losses}

    def read(self) -> None:
        """Take in what was told; tensors of a device come back together."""
        pending, self._pending = self._pending, []
        for (part, name, step, _value), number in zip(pending, _numbers([one[3] for one in pending]), strict=True):
            if number is None:
                self.unread = f"{name}: {type(_value).__name__}"
            elif part == "train":
                self._train(name, step, number)
            elif part == "metric":
                self._metrics[name] = number
                self._step = step
            else:
                self._add("valid", name, number)
                self._step = step

    def _train(self, name: str, step: int, loss: float) -> None:
        if self._metrics or self._sums["valid"]:
            self.close()
        done = step - 1 if self.is_after else step
        if done <= 0 and (not self.is_after or name not in self.first):
            self.first.setdefault(name, []).append(loss)
        if not math.isfinite(loss):
            self.bad = self.bad or (name, step, loss)
            return
        self.curves.setdefault(name, Curve()).add(done, loss)
        self.last[name] = done, loss
        self._add("train", name, loss)
        if done in self._asked:
            self._asked[done][name] = loss

    def _add(self, part: str, name: str, loss: float) -> None:
        held = self._sums[part].setdefault(name, [0.0, 0.0])
        held[0] += loss
        held[1] += 1

    def close(self) -> None:
        """An epoch ends."""
        means = {part: {name: total / n for name, (total, n) in held.items()} for part, held in self._sums.items()}
        valid = self._metrics | {
            ("loss" if len(means["valid"]) == 1 else name): v for name, v in means["valid"].items()
        }
        self.records.append(
            {"epoch": len(self.records) + 1, "step": self._step, "train": means["train"], "valid": valid}
        )
        self._sums, self._metrics = {"train": {}, "valid": {}}, {}

    def history(self) -> list[dict[str, Any]]:
        """The records, and what the last judgement made one of."""
        self.read()
        if self._metrics or self._sums["valid"]:
            self.close()
        return [one for one in self.records if one["train"]]


class Rows:
    """Some rows of the batches of one part, evenly over the time."""

    def __init__(self) -> None:
        self.stride = 1
        self.count = 0
        self.batches: list[tuple[Tensor, Tensor | None]] = []
        self.size = 0  # bytes
        self.is_thinned = False  # whether batches were left out
        self.is_cut = False  # whether pictures lost pixels

    def wants(self) -> bool:
        """Whether it is the turn of the batch that comes now."""
        self.count += 1
        return self.count % self.stride == 0

    def add(self, batch: Any) -> str:
        """Keeps some rows of it; gives why it could not."""
        x, y = inputs_and_target(batch)
        if x is None or not x.ndim or x.layout != torch.strided or not len(x):
            return type(batch).__name__
        if y is not None and (not y.ndim or len(y) != len(x) or y.layout != torch.strided):
            y = None
        if y is not None and isinstance(batch, Mapping) and x.shape == y.shape and torch.equal(x, y):
            y = None  # a network that is given its text twice moves it itself
        most = max(2, min(MOST_ROWS, ROOM // 16 // max(1, thinned(x[:1]).numel() * x.element_size())))
        self.is_cut = self.is_cut or thinned(x[:1]).shape != x[:1].shape
        x, y = thinned(x.detach()[:most]).clone(), None if y is None else y.detach()[:most].clone()
        self.batches.append((x, y))
        self.size += x.nbytes + (0 if y is None else y.nbytes)
        while (len(self.batches) > MOST_BATCHES or self.size > ROOM) and len(self.batches) > 1:
            self.batches = self.batches[::2]
            self.stride *= 2
            self.is_thinned = True
            self.size = sum(x.nbytes + (0 if y is None else y.nbytes) for x, y in self.batches)
        return ""

    def arrays(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """`(rows, ...)` inputs and targets in the order in which they came, as far as shaped like the last batch."""
        if not self.batches:
            return None, None
        alike = [(x, y) for x, y in self.batches if _form(x, y) == _form(*self.batches[-1])]
        targets = [_array(y) for _x, y in alike if y is not None]
        return np.concatenate([_array(x) for x, _y in alike]), np.concatenate(targets) if targets else None

    def targets(self) -> list[np.ndarray]:
        """Of each batch."""
        return [_array(y) for _x, y in self.batches if y is not None and y.numel() == len(y)]

    def last(self) -> tuple[Tensor, Tensor] | None:
        """The last batch that was kept, if it is whole."""
        if not self.batches or self.is_cut:
            return None
        x, y = self.batches[-1]
        return None if y is None else (x, y)


def each_once(x: np.ndarray, y: np.ndarray | None) -> np.ndarray:
    """The first place of each different row: batches of several epochs bring them again."""
    whole = [one.reshape(len(x), -1).astype(np.float64) for one in (x, y) if one is not None]
    return np.sort(np.unique(keys(np.concatenate(whole, 1)), return_index=True)[1])


def _form(x: Tensor, y: Tensor | None) -> Any:
    return x.shape[1:], None if y is None else y.shape[1:]


def thinned(x: Tensor) -> Tensor:
    """Rows of pictures that are too large, with every so many pixels of both sides."""
    excess = x[:1].numel() / WIDE
    if x.ndim < 4 or excess <= 1:
        return x
    step = math.ceil(math.sqrt(excess))
    return x[..., ::step, ::step]


def inputs_and_target(batch: Any) -> tuple[Tensor | None, Tensor | None]:
    """Of a pair, a list, or a dictionary with the usual names: the first tensor, and the last if it is another one."""
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, Mapping):
        x = next((batch[name] for name in X_NAMES if isinstance(batch.get(name), Tensor)), None)
        y = next((batch[name] for name in Y_NAMES if isinstance(batch.get(name), Tensor)), None)
        if x is not None:
            return x, y
        batch = list(batch.values())
    if isinstance(batch, tuple | list):
        flat = [tensor for one in batch if (tensor := inputs_and_target(one)[0]) is not None]
        return (flat[0] if flat else None), (flat[-1] if len(flat) > 1 else None)
    if isinstance(batch, np.ndarray) and batch.dtype.kind in "fiub":
        return torch.from_numpy(batch), None
    return None, None


def _array(x: Tensor) -> np.ndarray:
    x = x.cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def _numbers(values: list[Any]) -> list[float | None]:
    """Each as a number, or None; a loss of several elements is their mean."""
    found: list[float | None] = []
    places: dict[torch.device, list[tuple[int, Tensor]]] = {}
    for value in values:
        if isinstance(value, Tensor) and not value.is_meta and not value.is_complex() and value.numel():
            places.setdefault(value.device, []).append(
                (len(found), value.float().mean() if value.ndim else value.float())
            )
            found.append(None)
        else:
            try:
                found.append(None if isinstance(value, Tensor | str) else float(value))
            except (TypeError, ValueError):
                found.append(None)
    for pairs in places.values():
        for (place, _), number in zip(pairs, torch.stack([one for _, one in pairs]).tolist(), strict=True):
            found[place] = number
    return found
