"""The training loop. This is all of it: every system, with one player or with several, runs on these lines.

It is a generator, so the body of the caller's `for` takes the place of callbacks: there one logs, evaluates, saves,
draws, stops. What must happen between two steps (a target network, an average of weights) is `after`, the one hook.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from gipi.training.player import Plays


def nothing(step: int) -> None:
    """What happens after a step unless a system says otherwise."""


def fit(
    players: Mapping[str, Plays],
    stream: Iterator[Any],
    steps: int,
    after: Callable[[int], None] = nothing,
    start: int = 0,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Let the players play, step by step; gives the step and each player's loss, a tensor that is still on its device.

    Example:
        >>> import torch
        >>> from gipi.algorithms.optimizers import make
        >>> from gipi.data.stream import Stream
        >>> from gipi.training.player import learner
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> stream = Stream((x, 3 * x + 1), batch_size=16, seed=0)
        >>> net = torch.nn.Linear(1, 1)
        >>> def loss(output, y): return ((output - y) ** 2).mean()
        >>> players = learner(net, loss, lambda params: make("adam", params, lr=0.1))
        >>> for step, losses in fit(players, stream, steps=300): pass
        >>> round(net.weight.item(), 2)
        3.0
    """
    for step in range(start, steps):
        batch = next(stream)
        losses = {name: player.play(batch, step) for name, player in players.items() if step % player.every == 0}
        after(step)
        yield step, losses
