"""The stream of data that lies on disk: the batches that `Stream` gives of data in memory, gathered ahead by threads.

An epoch is the same permutation of all rows. Reading blocks in turns would be kinder to a disk that turns, but would
change the order, and so the weights; several threads keep a solid-state disk busy instead (bench/large.py).
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi.data.mapped import Chosen
from gipi.data.prefetch import Ahead
from gipi.data.stream import Prepare, drawn, generator

WORKERS = 4  # threads; reading small pieces from a disk waits more than it works
DEPTH = 32  # batches that are gathered ahead, at most
MOST_BYTES = 1 << 26  # of them together: batches of large pictures would else fill the memory that they were kept from


class MappedStream(Iterator[tuple[Tensor, ...]]):
    """Batches of rows on disk, in a new order each epoch, for ever; see Stream.

    Args:
        sources: With a common length; indexed by an array of places they give a tensor: `Chosen`, or a tensor.
        batch_size: Rows in a batch, at most.
        seed: Decides the order, and the draws.
        prepare: Optional, `(batch, draws) -> batch`.
        draws: How many uniform random numbers `prepare` gets for each row.
        workers: Threads that gather ahead; 0: none; None: by rule. The batches are the same.
        device: Where batches go.
        patience: Seconds that one batch may take.
        part: `(number, parts)`: give this part of every batch only; the others are for other processes.
        alternating: Which of the draws alternate, see Stream.
    """

    def __init__(
        self,
        sources: Sequence[Any],
        batch_size: int,
        seed: int,
        prepare: Prepare | None = None,
        draws: int = 0,
        workers: int | None = None,
        device: torch.device | str = "cpu",
        patience: float = 60.0,
        part: tuple[int, int] = (0, 1),
        alternating: tuple[int, ...] = (),
    ):
        self.rows = len(sources[0])
        assert self.rows > 0 and batch_size > 0 and all(len(source) == self.rows for source in sources)
        self.batches = -(-self.rows // batch_size)
        self.prepare = prepare
        self.device = device
        self.position = 0  # batches consumed since the beginning
        epochs = _Epochs(self.rows, seed, draws if prepare else 0, alternating)
        batches, is_prepared = self.batches, prepare is not None

        def gathered(position: int) -> tuple[Tensor, ...]:
            epoch, batch = divmod(position, batches)
            order, draws = epochs.of(epoch)
            places = np.array_split(order[_cut(len(order), batches, batch)], part[1])[part[0]]
            piece = [source[places] for source in sources]
            return (*piece, draws[places]) if is_prepared else tuple(piece)

        size = sum(_bytes_of_a_row(source) for source in sources) * min(batch_size, self.rows)
        depth = min(DEPTH, max(2, MOST_BYTES // max(1, size)))
        self.ahead = Ahead(gathered, WORKERS if workers is None else workers, depth, patience)

    @property
    def say(self) -> Callable[[str], None]:
        """Told what happens to the threads."""
        return self.ahead.say

    @say.setter
    def say(self, say: Callable[[str], None]) -> None:
        self.ahead.say = say

    def __next__(self) -> tuple[Tensor, ...]:
        piece = tuple(part.to(self.device) for part in self.ahead.take(self.position))
        self.position += 1
        return self.prepare(piece[:-1], piece[-1]) if self.prepare else piece

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]


def _cut(rows: int, batches: int, batch: int) -> slice:
    """The places of a batch, as `Tensor.tensor_split` cuts: the first `rows % batches` have one row more."""
    size, more = divmod(rows, batches)
    start = batch * size + min(batch, more)
    return slice(start, start + size + (batch < more))


class _Epochs:
    """The order and the draws of the last two epochs that were asked for; threads read ahead into the next."""

    def __init__(self, rows: int, seed: int, draws: int, alternating: tuple[int, ...]):
        self.rows, self.seed, self.draws, self.alternating = rows, seed, draws, alternating
        self.lock = threading.Lock()
        self.held: dict[int, tuple[np.ndarray, Tensor]] = {}

    def of(self, epoch: int) -> tuple[np.ndarray, Tensor]:
        with self.lock:
            if epoch not in self.held:
                order = torch.randperm(self.rows, generator=generator(self.seed, "order", epoch)).numpy()
                draws = torch.empty(self.rows, 0)
                if self.draws:
                    draws = drawn(self.rows, self.draws, self.seed, epoch, self.alternating)
                if len(self.held) > 1:
                    self.held.pop(min(self.held, key=lambda held: -abs(held - epoch)))
                self.held[epoch] = order, draws
            return self.held[epoch]


def _bytes_of_a_row(source: Any) -> int:
    """Without reading one: a disk may fail, and what fails in training is tried again."""
    if isinstance(source, Chosen):
        return source.array.itemsize * math.prod(source.array.shape[1:])
    return source[:1].nbytes if isinstance(source, Tensor) else 0
