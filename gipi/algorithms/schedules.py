"""How the step size changes over a run: pure functions of the step, so there is nothing to keep and nothing to resume.

`schedule("cosine", steps=1000)(lr)` gives `step -> step size`. A step past the end has the last step's size.
"""

import math
from collections.abc import Callable

from gipi.errors import UsageError, nearest
from gipi.messages import _

SCHEDULES = ("constant", "cosine", "inverse-sqrt", "linear", "one-cycle", "step", "warm-up")

WARMUP = 0.05  # of the run, where "warm-up" or "inverse-sqrt" is asked for by name and nobody says how much
RISE, BEGIN, END = 0.3, 1 / 25, 1e-4 / 25  # one-cycle: torch's and fastai's, after Smith 2018
DROPS, FACTOR = (0.5, 0.75), 0.1  # step: He 2016, section 4.2: 32k and 48k of 64k iterations

StepSize = Callable[[int], float]


def schedule(name: str, steps: float, warmup: float = 0.0) -> Callable[[float], StepSize]:
    """A schedule for a run of this many steps.

    Args:
        name: `constant`; `cosine`: half a cosine down to 0 (Loshchilov & Hutter 2017); `inverse-sqrt`: a straight
            line up over the first 5 %, then down as one over the square root of the steps (Vaswani 2017, equation 3);
            `linear`: a straight line down, which comes to 0 one step after the last; `one-cycle`: up from lr / 25
            over the first 30 % and down to almost nothing (Smith 2018); `step`: a tenth after half of the run, and
            again after three quarters (He 2016); `warm-up`: a straight line up over the first 5 %, then constant.
        steps: How long the run is.
        warmup: The part of the run, 0 to 1, over which the step size rises in a straight line (Goyal 2017) before the
            named schedule goes through the rest. One-cycle has its own rise, and this replaces it.

    Example:
        >>> size = schedule("cosine", steps=101)(0.2)
        >>> [round(size(step), 3) for step in (0, 50, 100)]
        [0.2, 0.1, 0.0]
    """
    if name not in SCHEDULES:
        known = ", ".join(SCHEDULES)
        said = _("there is no schedule '{name}'; there are {known}.", name=name, known=known)
        raise UsageError(said + nearest(name, list(SCHEDULES)))
    if not 0 <= warmup <= 1:
        raise UsageError(_("the warm-up is {warmup}; it is a part of the run, from 0 to 1", warmup=warmup))
    last = max(steps - 1, 1)
    shapes = {**SHAPES, "linear": lambda part: 1 - part * last / (last + 1)}
    rise = warmup or (WARMUP if name in ("warm-up", "inverse-sqrt") else 0.0)
    own = {"one-cycle": one_cycle(warmup or RISE), "inverse-sqrt": inverse_root(rise, steps)}
    shape = own[name] if name in own else risen(shapes[name], rise, steps)

    def of(lr: float) -> StepSize:
        return lambda step: lr * shape(min(max(step / last, 0.0), 1.0))

    return of


# Each shape maps how far the run has come, 0 to 1, to a factor of the step size.


def constant(part: float) -> float:
    return 1.0


def cosine(part: float) -> float:
    return (1 + math.cos(math.pi * part)) / 2


def drops(part: float) -> float:
    return FACTOR ** sum(part >= drop for drop in DROPS)


def one_cycle(rise: float) -> Callable[[float], float]:
    """Half a cosine up from BEGIN to 1, another down to END."""

    def shape(part: float) -> float:
        if part < rise:
            return 1 + (BEGIN - 1) * cosine(part / rise)
        return END + (1 - END) * cosine((part - rise) / (1 - rise) if rise < 1 else 0.0)

    return shape


def inverse_root(rise: float, steps: float) -> Callable[[float], float]:
    """A straight line up, then one over the square root of the steps; the two meet at 1."""
    last, warm = max(steps - 1, 1), max(rise * steps, 1.0)

    def shape(part: float) -> float:
        step = part * last + 1
        return min(step / warm, math.sqrt(warm / step))

    return shape


def risen(shape: Callable[[float], float], rise: float, steps: float) -> Callable[[float], float]:
    """The shape over the rest of the run, after a straight line up; the first step already moves."""
    if not rise:
        return shape
    step = 1 / max(steps, 1)

    def with_rise(part: float) -> float:
        if part < rise:
            return min((part + step) / (rise + step), 1.0)
        return shape((part - rise) / (1 - rise) if rise < 1 else 0.0)

    return with_rise


SHAPES = {"constant": constant, "cosine": cosine, "step": drops, "warm-up": constant}
