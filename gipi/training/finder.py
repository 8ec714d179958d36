"""The step-size finder behind `--lr auto`: raise the step size until the loss rises, and take what was best before.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2015, https://arxiv.org/abs/1506.01186, section 3.3.
Ours differs: the slope is taken of a smoothed loss, and the step size chosen is the geometric mean of the one with the
steepest descent and a tenth of the one with the lowest loss, which is steadier over seeds than either alone.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gipi.algorithms.optimizers import NotFinite
from gipi.training.loop import fit
from gipi.training.player import Plays

Schedule = Callable[[float], Callable[[int], float]]

SMOOTHING = 0.85  # share of the past in the smoothed loss
REACH = 8  # steps to each side over which a slope is taken: half a decade
RISEN = 3.0  # times the lowest smoothed loss: it has diverged


@dataclass(frozen=True)
class Finding:
    """The step size found, and the curve that says why: (step size, smoothed loss)."""

    step_size: float
    curve: list[tuple[float, float]]


def find_step_size(
    net: nn.Module,
    build: Callable[[Schedule], dict[str, Plays]],
    stream: Any,
    steps: int = 120,
    low: float = 1e-6,
    high: float = 10.0,
) -> Finding:
    """Try step sizes from `low` to `high`; afterwards the network and the stream are as they were.

    Args:
        net: The network whose players `build` makes.
        build: `schedule -> players`; the base step size that it gives to the schedule is 1.
        stream: Batches of training rows.
        steps: How many step sizes are tried, evenly on a logarithmic scale.
        low: The smallest step size.
        high: The largest.
    """
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    position = stream.state_dict()

    def ramp(base: float) -> Callable[[int], float]:
        return lambda step: base * low * (high / low) ** (step / (steps - 1))

    smoothed, lowest = 0.0, math.inf
    curve: list[tuple[float, float]] = []
    with torch.random.fork_rng(), suppress(NotFinite):
        for step, losses in fit(build(ramp), stream, steps):
            loss = float(sum(losses.values()))
            if not math.isfinite(loss):
                break
            smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
            value = smoothed / (1 - SMOOTHING ** (step + 1))
            lowest = min(lowest, value)
            curve.append((ramp(1.0)(step), value))
            if step > 10 and value - lowest > RISEN * max(abs(lowest), 1e-8):
                break
    net.load_state_dict(weights)
    stream.load_state_dict(position)
    return Finding(_choose(curve, low), curve)


def _choose(curve: list[tuple[float, float]], fallback: float) -> float:
    """From the curve of (step size, smoothed loss); a slope is taken over REACH steps to each side."""
    if len(curve) <= 2 * REACH:
        return fallback
    end = min(range(len(curve)), key=lambda i: curve[i][1])
    places = range(REACH, max(REACH, min(end, len(curve) - REACH - 1)) + 1)
    steepest = min(places, key=lambda i: curve[i + REACH][1] - curve[i - REACH][1])
    found = math.sqrt(curve[steepest][0] * curve[end][0] / 10)
    return float(f"{found:.2g}")
