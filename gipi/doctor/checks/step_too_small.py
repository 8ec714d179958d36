"""The step size is too small: the weights hardly move, and the loss is still on its way down when training ends."""

import numpy as np

from gipi.doctor.changes import as_it_comes, longer, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import CUSTOMARY, curve_of, path_of, quarter, ratios_of, start_of, still_falls
from gipi.messages import _

SMALL = CUSTOMARY / 10**0.5  # half an order of magnitude below what is customary
SHORT = 0.1  # of themselves that the weights can have changed by, all steps added up
NOWHERE = 0.01  # the same: nothing can have been learned
LEARNED = 0.5  # of the loss of chance: who is below it and falls no more has learned


def check(view: View) -> Finding | None:
    curve, ratios = curve_of(view), ratios_of(view)
    if curve is None or not ratios or view.error:
        return None
    # in the first half: towards the end many schedules take small steps on purpose
    usual, path = float(np.median([ratio for _step, ratio in ratios[: len(ratios) // 2 + 1]])), path_of(view)
    if usual > SMALL or path > SHORT or usual == 0:
        return None
    last = float(np.median(quarter(curve, 3)))
    if last < LEARNED * start_of(view, curve) or not (still_falls(curve) or _unchanged(curve)):
        return None
    is_fine_tuning = bool(view.options.get("weights") or view.options.get("freeze"))
    steps, sizes = zip(*ratios, strict=True)
    return Finding(
        "step-too-small",
        "note" if is_fine_tuning else "problem" if path < NOWHERE else "warning",
        {"ratio": usual, "customary": CUSTOMARY, "path": path, "last_loss": last},
        _(
            "The step size is too small: a step changes the weights by {ratio} of themselves, where about a thousandth"
            " is usual, so training ends before it has got anywhere.",
            ratio=f"{usual:.0e}",
        ),
        (
            *as_it_comes(view, is_larger=True),
            Remedy(_("Take ten times the step size (--lr), or --lr auto."), steps_times(view, 10)),
            Remedy(_("Take a hundred times the step size."), steps_times(view, 100)),
            Remedy(_("Train ten times as long."), longer(view, 10)),
        ),
        Plot(_("update of the weights, as a part of them"), {_("update"): [*sizes]}, [*steps], limit=CUSTOMARY),
    )


def _unchanged(curve: np.ndarray) -> bool:
    """The last quarter lies within a tenth of the first."""
    first, last = quarter(curve, 0).mean(), quarter(curve, 3).mean()
    return bool(abs(first - last) < 0.1 * abs(first))
