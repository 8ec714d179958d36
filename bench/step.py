"""What a step of ours costs beside the bare minimum: an MLP 20-64-2, batch 32, Adam, one thread.

The control is the fastest thing that torch can do eagerly: `autograd.grad` and the raw fused kernel on a ready batch.
Both are timed in turns, so that a busy machine disturbs them alike; the ratio is the median over turns.

    python bench/step.py [--turns 30] [--steps 300]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from gipi.algorithms.optimizers import make
from gipi.losses import cross_entropy
from gipi.training.player import learner


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))


def control(x: torch.Tensor, y: torch.Tensor) -> Callable[[int], None]:
    net = network()
    params = list(net.parameters())
    mean, square = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    count = torch.zeros(())
    counts = [count] * len(params)

    def step(number: int) -> None:
        gradients = torch.autograd.grad(F.cross_entropy(net(x), y), params)
        with torch.no_grad():
            count.add_(1)
            torch._fused_adam_(
                params,
                gradients,
                mean,
                square,
                [],
                counts,
                lr=1e-3,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )

    return step


def ours(x: torch.Tensor, y: torch.Tensor) -> Callable[[int], None]:
    player = learner(network(), cross_entropy, lambda params: make("adam", params, lr=1e-3))["learner"]
    batch = (x, y)
    return lambda number: player.play(batch, number)


def clock(step: Callable[[int], None], steps: int) -> float:
    """Microseconds a step."""
    begin = time.perf_counter()
    for number in range(steps):
        step(number)
    return (time.perf_counter() - begin) / steps * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = torch.randn(32, 20), torch.randint(0, 2, (32,))
    bare, player = control(x, y), ours(x, y)
    clock(bare, 50), clock(player, 50)
    times = [(clock(bare, options.steps), clock(player, options.steps)) for _turn in range(options.turns)]
    best_bare, best_player = (min(column) for column in zip(*times, strict=True))
    ratio = statistics.median(mine / raw for raw, mine in times)
    print(f"raw control {best_bare:.1f} µs, Player.play {best_player:.1f} µs a step (best of {options.turns})")
    print(f"ratio {ratio:.3f} (median), {best_player / best_bare:.3f} (of the best)")


if __name__ == "__main__":
    main()
