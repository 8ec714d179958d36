"""Batches of texts in which rows of like length stand together: hardly anything is computed on what is not there.

The order of an epoch is a permutation, as everywhere; within pools of some batches rows are sorted by length, and the
batches are shuffled again. It is a function of (seed, epoch) alone.

B rows, T tokens of the longest of them
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from gipi.data.stream import generator
from gipi.data.text_rows import ENDED

POOL = (100, 16384)  # fewest batches, and rows, that are sorted together: padding is then under 5 %, as tests show


class TextStream(Iterator[tuple[Tensor, ...]]):
    """Batches `(x, ...)` of rows in a new order each epoch, for ever; x `(B, T)` int64 is cut to its longest row.

    Args:
        tensors: `(rows, T)` tokens, -1 where a row has ended, and what belongs to each row; on the device.
        batch_size: Rows in a batch, at most.
        seed: Decides the order.
        part: `(number, parts)`: give this part of every batch only; the others are for other processes.
        texts: So many of the tensors are texts, all of them cut: a text and its translation are two.

    Example:
        >>> x = torch.tensor([[5, 6, 7], [5, -1, -1], [6, 7, 5], [7, -1, -1]])
        >>> sorted(next(TextStream((x,), 2, seed=0))[0].shape[1] for _ in range(1)) in ([1], [3])
        True
    """

    def __init__(
        self, tensors: tuple[Tensor, ...], batch_size: int, seed: int, part: tuple[int, int] = (0, 1), texts: int = 1
    ):
        self.held = tensors
        self.rows = len(tensors[0])
        assert self.rows > 0 and batch_size > 0 and all(len(tensor) == self.rows for tensor in tensors)
        lengths = [(tensor != ENDED).sum(1).clamp(min=1).cpu() for tensor in tensors[:texts]]
        self.lengths = torch.stack(lengths, 1)  # (rows, texts)
        self.batches = -(-self.rows // batch_size)
        self.seed, self.part = seed, part
        self.position = 0  # batches consumed since the beginning
        self.epoch = -1  # the epoch that `order` belongs to
        self.order: list[Tensor] = []

    def __next__(self) -> tuple[Tensor, ...]:
        epoch, batch = divmod(self.position, self.batches)
        if epoch != self.epoch:
            self.order, self.epoch = self._batches(epoch), epoch
        self.position += 1
        whole = self.order[batch]
        longest = self.lengths[whole].amax(0).tolist()  # of the whole batch: every process sees the same shape
        number, parts = self.part
        rows = whole.tensor_split(parts)[number].to(self.held[0].device)
        texts = [tensor[rows, :most].long() for tensor, most in zip(self.held, longest, strict=False)]
        return (*texts, *(tensor[rows] for tensor in self.held[len(longest) :]))

    def _batches(self, epoch: int) -> list[Tensor]:
        """The rows of each batch of an epoch."""
        random = generator(self.seed, "order", epoch)
        sizes = [len(batch) for batch in torch.arange(self.rows).tensor_split(self.batches)]
        order, batches = torch.randperm(self.rows, generator=random), []
        count = max(1, self.batches // max(POOL[0], POOL[1] // sizes[0]))
        pools = [sizes[part[0] : part[-1] + 1] for part in torch.arange(self.batches).tensor_split(count)]
        for pool, chosen in zip(order.split([sum(pool) for pool in pools]), pools, strict=True):
            for lengths in self.lengths.T:  # the last decides, those before it where it is the same
                pool = pool[lengths[pool].argsort(stable=True)]
            batches += pool.split(chosen)
        shuffled = torch.randperm(self.batches, generator=random)
        return [batches[place] for place in shuffled.tolist()]

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]
