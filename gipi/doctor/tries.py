"""Reading what was tried: a probe may be absent, may have failed, and any number in it may be unknown."""

import math
from collections.abc import Mapping
from typing import Any

from gipi.doctor.finding import View

CLEARLY = 0.1  # of the way from chance to the floor: less may be the luck of the rows that chance was taken from


def probe(view: View, name: str) -> Mapping[str, Any]:
    """What it gave; nothing if it is not there, failed or was skipped."""
    found = view.probes.get(name)
    return {} if not isinstance(found, Mapping) or "failed" in found or "skipped" in found else found


def number(found: Mapping[str, Any], name: str) -> float | None:
    """A number of it, if it is one."""
    value = found.get(name)
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_one else None  # type: ignore[arg-type]


def reached(view: View) -> float | None:
    """The lowest training loss of the only player, of an epoch or some steps; None where there are several, or none."""
    losses = [
        loss
        for one in view.history
        if one.get("member", 0) == 0 and len(one.get("train", {})) == 1
        for loss in one["train"].values()
    ]
    if not losses and len(view.curve) == 1:
        losses = [float(mean) for mean in next(iter(view.curve.values()))[:, 1]]
    return min((loss for loss in losses if math.isfinite(loss)), default=None)


def has_learned(view: View) -> bool | None:
    """Whether training came clearly below what the best answer costs that is the same for all; None: not known."""
    constant, loss = number(probe(view, "first"), "constant"), reached(view)
    if constant is None or loss is None:
        return None
    floor = number(probe(view, "memorised"), "floor") or 0.0
    return loss < constant - CLEARLY * abs(constant - floor)


def outputs(view: View) -> list[Mapping[str, Any]]:
    """What was seen of the network's output: before the first step, then on looks into the training."""
    seen = [probe(view, "output"), *(visit.get("output") or {} for visit in view.visits)]
    return [one for one in seen if one]
