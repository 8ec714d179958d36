"""The order in which rows reach a model: a stream of batches that can stop anywhere and go on from there.

Order and augmentation are functions of (seed, epoch, row), so they depend neither on where a run was cut nor on how
many hands prepare the batches. The data is held as tensors where the arithmetic is, and a batch is a gather.
"""

import hashlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Prepare = Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]]


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A source of random numbers of its own for each purpose: `generator(0, "order", 3)`."""
    key = hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)


MIRROR = 1 - 2**-24  # the largest of torch's uniform float32 numbers; a number and its mirror image are never equal


def drawn(rows: int, count: int, seed: int, epoch: int, alternating: tuple[int, ...] = ()) -> Tensor:
    """Uniform random numbers `(rows, count)` of an epoch; those that alternate are mirrored in every other epoch.

    A picture that is flipped where such a number is below one half is flipped in every other epoch (Jordan 2024).
    """
    draws = torch.rand(rows, count, generator=generator(seed, "augment", epoch))
    if alternating:
        steady = torch.rand(rows, len(alternating), generator=generator(seed, "alternate"))
        draws[:, list(alternating)] = MIRROR - steady if epoch % 2 else steady
    return draws


class Stream(Iterator[tuple[Tensor, ...]]):
    """Batches of rows, in a new order each epoch, for ever.

    An epoch is cut into batches of nearly equal size, so each row is seen once an epoch and no batch is a small rest.

    Args:
        tensors: With a common first axis, on the device where they will be used.
        batch_size: Rows in a batch, at most.
        seed: Decides the order, and the draws.
        prepare: Optional, `(batch, draws) -> batch`: augmentation and normalisation, batched tensor code.
        draws: How many uniform random numbers `prepare` gets for each row, functions of (seed, epoch, row).
        part: `(number, parts)`: give this part of every batch only; the others are for other processes.
        alternating: Which of the draws are mirrored in every other epoch, and otherwise stay the same.

    Example:
        >>> stream = Stream((torch.arange(10),), batch_size=5, seed=0)
        >>> sorted(torch.cat([next(stream)[0], next(stream)[0]]).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        tensors: tuple[Tensor, ...],
        batch_size: int,
        seed: int,
        prepare: Prepare | None = None,
        draws: int = 0,
        part: tuple[int, int] = (0, 1),
        alternating: tuple[int, ...] = (),
    ):
        self.held = tensors
        self.rows = len(tensors[0])
        assert self.rows > 0 and batch_size > 0 and all(len(t) == self.rows for t in tensors)
        self.batches = -(-self.rows // batch_size)
        self.seed = seed
        self.prepare = prepare
        self.draws = draws
        self.part = part
        self.alternating = alternating
        self.position = 0  # batches consumed since the beginning
        self.epoch = -1  # the epoch that `shuffled` belongs to
        self.pieces: list[tuple[Tensor, ...]] = []

    def __next__(self) -> tuple[Tensor, ...]:
        epoch, batch = divmod(self.position, self.batches)
        if epoch != self.epoch:
            self._shuffle(epoch)
        self.position += 1
        piece = self.pieces[batch]
        return self.prepare(piece[:-1], piece[-1]) if self.prepare else piece

    def _shuffle(self, epoch: int) -> None:
        """The batches of an epoch: slices of what was gathered once."""
        columns = self.columns(epoch)
        if self.part == (0, 1):
            cut = [column.tensor_split(self.batches) for column in columns]
        else:
            lengths = [len(batch.tensor_split(self.part[1])[self.part[0]]) for batch in self._batches()]
            cut = [column.split(lengths) for column in columns]
        self.pieces = list(zip(*cut, strict=True))
        self.epoch = epoch

    def columns(self, epoch: int) -> list[Tensor]:
        """All rows of an epoch in its order, and their draws: one permutation and one gather."""
        device = self.held[0].device
        order = torch.randperm(self.rows, generator=generator(self.seed, "order", epoch))
        if self.part != (0, 1):
            number, parts = self.part
            order = torch.cat([batch.tensor_split(parts)[number] for batch in order.tensor_split(self.batches)])
        columns = [tensor[order.to(device)] for tensor in self.held]
        if self.prepare:
            draws = drawn(self.rows, self.draws, self.seed, epoch, self.alternating)
            columns.append(draws[order].to(device))
        return columns

    def _batches(self) -> tuple[Tensor, ...]:
        return torch.arange(self.rows).tensor_split(self.batches)

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]
