"""The step size is too large: steps overshoot, the loss jumps up and does not settle where it could."""

import math

import numpy as np

from gipi.doctor.changes import as_it_comes, optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import (
    curve_of,
    failed_before_any_step,
    learned_little,
    ratios_of,
    start_of,
    was_off_at_first,
    went_on,
)
from gipi.messages import _

LARGE = 0.1  # of themselves that a step changes the weights by: a hundred times what is customary (trends.CUSTOMARY);
# ten such steps replace what the weights were
JUMPED = 2.0  # times what chance gives: who answers worse than by chance, and twice so, was thrown there


def check(view: View) -> Finding | None:
    curve, ratios = curve_of(view), ratios_of(view)
    largest = max((ratio for _step, ratio in ratios), default=0.0)
    has_jumped, peak, start = False, math.nan, math.nan
    if curve is not None:
        start = start_of(view, curve)
        smooth = np.median(np.stack([curve[:-2, 1], curve[1:-1, 1], curve[2:, 1]]), 0)  # one odd batch is no jump
        peak = float(smooth.max())
        has_jumped = start > 0 and peak > JUMPED * start
    is_large = largest > LARGE
    was_thrown = bool(view.error) and not was_off_at_first(view) and not failed_before_any_step(view)
    if not was_thrown and not (is_large and has_jumped):
        return None
    is_problem = learned_little(view) or (was_thrown and not went_on(view))
    evidence = {"ratio": largest, "highest_loss": peak, "loss_of_chance": start, "faults": len(view.faults)}
    return Finding(
        "step-too-large",
        "problem" if is_problem else "warning",
        {name: value for name, value in evidence.items() if not math.isnan(value)},
        _(
            "The step size is too large: instead of walking down the slope of the loss, steps jump across the valley"
            " and may land higher than they began."
        ),
        (
            *as_it_comes(view, is_larger=False),
            Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
            Remedy(_("Limit the gradient: --clip 1."), optional(view, "clip", 1.0)),
            Remedy(
                _("Let the step size rise over the first tenth of the run: --warmup 0.1."),
                optional(view, "warmup", 0.1),
            ),
        ),
        _plot(view, curve),
    )


def _plot(view: View, curve: np.ndarray | None) -> Plot | None:
    if curve is not None:
        return Plot(_("training loss"), {_("loss"): curve[:, 1].tolist()}, curve[:, 0].tolist())
    ratios = ratios_of(view)
    if not ratios:
        return None
    steps, sizes = zip(*ratios, strict=True)
    return Plot(_("update of the weights, as a part of them"), {_("update"): [*sizes]}, [*steps], limit=LARGE)
