"""The gradient explodes: the smallest step changes the loss by more than all there is to gain.

Or it is about to: before the first step each layer makes it larger than it came. In a network of ReLUs what goes
forward grows by as much, so the loss is far off, too, and the gradient of the weights, which is made of both, is alike
from layer to layer; so what reaches a layer is looked at (Glorot and Bengio 2010), see `trends.handed_back`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gipi.doctor.changes import optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, Severity, View
from gipi.doctor.trends import (
    CUSTOMARY,
    by_depth,
    chance_of,
    curve_of,
    handed_back,
    learned_little,
    looks_of,
    ratios_of,
    was_off_at_first,
)
from gipi.doctor.tries import number, probe
from gipi.messages import _

STEEP = 10 / CUSTOMARY  # gradient times weights, in losses of chance: a tenth of the customary step would change the
# loss by all that there is to gain (to first order)
GROWN = 1e3  # times the last layer's gradient at the first one
DEEP = 4  # layers
GREW = 2.0**5  # times what reaches the last layer at the first one: as five layers do that double it each
STEADY = -0.8  # rank correlation of depth and gradient, as in vanishing_gradient.py: layer by layer, not one of them
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
    is_shallow = not any(len(visit.get("order", ())) >= DEEP for visit in looks)
    is_steep = steepest >= STEEP and not (is_shallow and _began_far_off(view))  # then it began so: see initial_loss.py
    if not is_steep and grown < GROWN and not was_thrown:
        return _by_layers(view)
    return Finding(
        "exploding-gradient",
        _severity(view),
        {"steepness": steepest, "first_to_last": grown},
        _(
            "The gradient explodes: layers make it larger one after the other, and a step of a ten-thousandth of the"
            " weights changes the loss by more than there is to gain."
        ),
        (*_smaller_steps(view), _smaller_weights()),
        _plot(deep[-1]) if grown >= GROWN else _over_time(looks, steep) if steep else None,
    )


def _by_layers(view: View) -> Finding | None:
    """What reaches the layers before the first step, or at the first look, is larger from layer to layer."""
    looks = looks_of(view)
    back = probe(view, "connected").get("back") or (handed_back(looks[0]) if looks else [])
    if len(back) < DEEP or any(look.get("norms") for look in looks):  # it matters little where each layer is normalised
        return None
    sizes = np.array([size for _name, size in back])
    last = sizes[-2:].min()  # the last layer's own weights are often drawn by another rule
    ranks = np.argsort(np.argsort(sizes))
    if last <= 0 or sizes[0] < GREW * last or np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] > STEADY:
        return None
    times = float(sizes[0] / last)
    return Finding(
        "exploding-gradient",
        _severity(view),
        {"grown": times, "layers": len(back)},
        _(
            "The gradient explodes: on its way back through {layers} layers it becomes {times} times as large, so no"
            " step size suits the first layers and the last ones alike.",
            layers=len(back),
            times=f"{times:.0f}",
        ),
        (_smaller_weights(), *_smaller_steps(view)),
        _plot(back),
    )


def _began_far_off(view: View) -> bool:
    """Whether the first answers of all were worse than those of chance, twice so."""
    loss, chance = number(probe(view, "first"), "loss"), chance_of(view)
    return loss is not None and chance is not None and loss > 2 * chance


def _severity(view: View) -> Severity:
    return "problem" if learned_little(view) or view.error else "warning"


def _smaller_weights() -> Remedy:
    return Remedy(_("Begin with smaller weights (Glorot's or He's rule), or normalise after each layer."))


def _smaller_steps(view: View) -> tuple[Remedy, ...]:
    return (
        Remedy(_("Limit the gradient: --clip 1."), optional(view, "clip", 1.0)),
        Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
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


def _plot(deep: list[tuple[str, float]]) -> Plot:
    sizes = [float(np.log10(max(size, 1e-45))) for _name, size in deep]
    labels = [name for name, _size in deep]
    return Plot(_("size of the gradient, first to last layer (powers of ten)"), {_("gradient"): sizes}, labels=labels)
