"""A long text cut into windows: a stream of batches of consecutive tokens, from memory or from a file larger than it.

Each epoch cuts the text at another place and takes the windows in another order, so every token is seen once an epoch,
nearly, and in ever new company. Cut and order are functions of (seed, epoch), so a stream can stop anywhere.

n tokens in all, B rows, W tokens of a window
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gipi.data.stream import generator
from gipi.errors import DataError
from gipi.messages import _

Prepare = Callable[[Tensor, int], tuple[Tensor, ...]]


def shifted(ids: Tensor, position: int = 0) -> tuple[Tensor, Tensor]:
    """What a language model learns from: windows `(B, W)` without their last token, and what comes next there."""
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


class Windows(Iterator[tuple[Tensor, ...]]):
    """Batches of windows of a long text, for ever.

    Args:
        tokens: `(n,)` whole numbers, in memory or mapped from a file; those in memory are held on the device.
        width: W. Of a shorter text all of it is a window.
        batch_size: B, at most.
        seed: Decides where is cut and in which order.
        device: Where batches are wanted.
        prepare: `(ids (B, W) int64, position) -> batch`; position is the number of the batch, for what is drawn.
        step: From one window to the next; W - 1 where the last token of one is the first of the next.
        part: `(number, parts)`: give this part of every batch only; the others are for other processes.

    Raises:
        DataError: There are fewer than two tokens.

    Example:
        >>> stream = Windows(np.arange(100), width=11, batch_size=3, seed=0, step=10)
        >>> x, y = next(stream)
        >>> x.shape, bool((y == x + 1).all()), stream.state_dict()
        (torch.Size([3, 10]), True, {'position': 1})
    """

    def __init__(
        self,
        tokens: np.ndarray,
        width: int,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        prepare: Prepare = shifted,
        step: int | None = None,
        part: tuple[int, int] = (0, 1),
    ):
        if len(tokens) < 2:
            raise DataError(_("a text of {count} tokens is too short to learn from", count=len(tokens)))
        self.tokens = tokens
        self.width = min(width, len(tokens))
        self.stride = min(step or self.width, len(tokens))
        self.seed = seed
        self.device = torch.device(device)
        self.prepare = prepare
        self.part = part
        self.held = None if isinstance(tokens, np.memmap) else torch.from_numpy(tokens.astype(np.int32)).to(self.device)
        self.offsets = torch.arange(self.width, device=self.device)
        windows = max(1, (len(tokens) - self.width) // self.stride)  # at any cut
        self.rows = min(batch_size, windows)
        self.batches = windows // self.rows  # of an epoch: what is left over is in another place in the next
        self.position = 0  # batches consumed since the beginning
        self.epoch = -1
        self.starts = np.empty(0, np.int64)

    def __next__(self) -> tuple[Tensor, ...]:
        epoch, batch = divmod(self.position, self.batches)
        if epoch != self.epoch:
            self._cut(epoch)
        starts = self.starts[batch * self.rows : (batch + 1) * self.rows]
        if self.part != (0, 1):
            number, parts = self.part
            starts = np.array_split(starts, parts)[number]
        self.position += 1
        return self.prepare(self.windows(starts), self.position - 1)

    def windows(self, starts: np.ndarray) -> Tensor:
        """The windows that begin at these tokens, `(B, W)` int64, on the device."""
        if self.held is not None:
            return self.held[torch.from_numpy(starts).to(self.device)[:, None] + self.offsets].long()
        rows = [self.tokens[start : start + self.width] for start in starts]
        return torch.from_numpy(np.array(rows, np.int64).reshape(-1, self.width)).to(self.device)

    def _cut(self, epoch: int) -> None:
        draws = generator(self.seed, "windows", epoch)
        spare = len(self.tokens) - self.width - (self.rows * self.batches - 1) * self.stride
        first = int(torch.randint(max(0, min(spare, self.stride - 1)) + 1, (), generator=draws))
        count = (len(self.tokens) - self.width - first) // self.stride + 1
        order = torch.randperm(count, generator=draws)[: self.rows * self.batches]
        self.starts = first + self.stride * order.numpy()
        self.epoch = epoch

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]
