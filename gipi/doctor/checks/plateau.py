"""A plateau: for half of the training the loss has not changed any more, and it is not near zero."""

import numpy as np

from gipi.doctor.changes import longer, optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import SIGNIFICANT, curve_of, fall, learned_little, quarter, start_of
from gipi.messages import _

FLAT = 0.01  # of the loss at the start, between the third quarter and the last
DONE = 0.1  # of the loss at the start: below it little is left to gain
POINTS = 40  # of the curve: ten for each quarter


def check(view: View) -> Finding | None:
    curve = curve_of(view)
    if curve is None or len(curve) < POINTS or view.error:
        return None
    start = start_of(view, curve)
    third, last = quarter(curve, 2), quarter(curve, 3)
    if start <= 0 or last.mean() < DONE * start or learned_little(view):  # the last: see underfitting.py
        return None
    if abs(third.mean() - last.mean()) > FLAT * start or abs(fall(third, last)) > SIGNIFICANT:
        return None
    return Finding(
        "plateau",
        "note",
        {"third_quarter": float(third.mean()), "last_quarter": float(last.mean()), "start": start},
        _(
            "A plateau: over the second half of training the loss did not change ({loss}); it has settled, or its steps"
            " go back and forth across the valley.",
            loss=f"{np.mean(last):.3g}",
        ),
        (
            Remedy(_("Let the step size fall towards the end: --schedule cosine."), _falling(view)),
            Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
            Remedy(_("Train half as long: the second half brought nothing."), longer(view, 0.5)),
        ),
        Plot(_("training loss"), {_("loss"): curve[:, 1].tolist()}, curve[:, 0].tolist()),
    )


def _falling(view: View) -> dict:
    return optional(view, "schedule", "cosine") if view.options.get("schedule") in (None, "constant") else {}
