"""The gradient explodes: the smallest step changes the loss by more than all there is to gain."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gipi.doctor.changes import optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import (
    CUSTOMARY,
    by_depth,
    chance_of,
    curve_of,
    learned_little,
    looks_of,
    ratios_of,
    was_off_at_first,
)
from gipi.messages import _

STEEP = 10 / CUSTOMARY  # gradient times weights, in losses of chance: a tenth of the customary step would change the
# loss by all that there is to gain (to first order)
GROWN = 1e3  # times the last layer's gradient at the first one
DEEP = 4  # layers
THROWN = 0.1  # update to weight: steps so large throw any network where its gradient is steep


def check(view: View) -> Finding | None:
    if any(ratio > THROWN for _step, ratio in ratios_of(view)):
        return None  # see step_too_large.py
    chance = chance_of(view)
    curve = curve_of(view)
    if chance is None and curve is not None and curve[0, 1] > 0:
        chance = float(curve[0, 1])
    looks = looks_of(view)
    steep = [_steepness(visit) / chance for visit in looks] if chance else []
    deep = [depth for visit in looks if len(depth := by_depth(visit)) >= DEEP and depth[-1][1] > 0]
    grown = float(np.median([look[0][1] / look[-1][1] for look in deep])) if deep else 0.0
    half = len(steep) // 2
    steepest = max(float(np.median(steep[: half + 1])), float(np.median(steep[half:]))) if steep else 0.0
    was_thrown = bool(view.error) and was_off_at_first(view)
    if steepest < STEEP and grown < GROWN and not was_thrown:
        return None
    return Finding(
        "exploding-gradient",
        "problem" if learned_little(view) or view.error else "warning",
        {"steepness": steepest, "first_to_last": grown},
        _(
            "The gradient explodes: layers make it larger one after the other, and a step of a ten-thousandth of the"
            " weights changes the loss by more than there is to gain."
        ),
        (
            Remedy(_("Limit the gradient: --clip 1."), optional(view, "clip", 1.0)),
            Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
            Remedy(_("Begin with smaller weights (Glorot's or He's rule), or normalise after each layer.")),
        ),
        _plot(deep) if grown >= GROWN else _over_time(looks, steep) if steep else None,
    )


def _steepness(visit: Mapping[str, Any]) -> float:
    """Norm of the gradient times norm of the weights: what the loss changes by if the weights do by their size."""
    learned = [one for one in visit["parameters"].values() if one["gradient"] is not None and one["learns"]]
    gradient = math.fsum(one["gradient"] ** 2 * one["count"] for one in learned)
    weight = math.fsum(one["weight"] ** 2 * one["count"] for one in learned)
    found = math.sqrt(gradient * weight)
    return 0.0 if math.isnan(found) else min(found, 1e300)  # what is no number: see divergence.py


def _over_time(looks: list, steep: list[float]) -> Plot:
    return Plot(
        _("gradient times weights, in losses of chance"),
        {_("gradient"): [*steep]},
        [visit["step"] for visit in looks],
        limit=STEEP,
    )


def _plot(deep: list[list[tuple[str, float]]]) -> Plot:
    sizes = [float(np.log10(max(size, 1e-45))) for _name, size in deep[-1]]
    labels = [name for name, _size in deep[-1]]
    return Plot(_("size of the gradient, first to last layer (powers of ten)"), {_("gradient"): sizes}, labels=labels)
