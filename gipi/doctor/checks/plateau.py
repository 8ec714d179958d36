"""A plateau: the loss stands still, though it is not near zero and more could be learned.

For half of the training it has not changed any more; or the step size fell to nothing before anything was learned; or
it never left the loss of chance, though a few of the same rows were learned by heart, so that the network is not to
blame.
"""

import numpy as np

from gipi.doctor.changes import adaptive, longer, optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.stuck import POINTS, is_stuck
from gipi.doctor.trends import SIGNIFICANT, curve_of, fall, learned_little, quarter, start_of, stopped_at
from gipi.messages import _

FLAT = 0.01  # of the loss at the start, between the third quarter and the last
NOISY = 3.0  # times that, where neither that nor the fall over three quarters can be told from chance
DONE = 0.1  # of the loss at the start: below it little is left to gain


def check(view: View) -> Finding | None:
    curve = curve_of(view)
    if curve is None or len(curve) < POINTS or view.error:
        return None
    start = start_of(view, curve)
    third, last = quarter(curve, 2), quarter(curve, 3)
    if start <= 0 or last.mean() < DONE * start:
        return None
    stopped = stopped_at(view)
    if learned_little(view) and stopped is None:
        is_found = is_stuck(view)  # else see underfitting.py
    else:
        is_found = _stands_still(curve, start)
    if not is_found:
        return None
    evidence = {"third_quarter": float(third.mean()), "last_quarter": float(last.mean()), "start": start}
    return Finding(
        "plateau",
        "note" if stopped is None else "problem" if learned_little(view) else "warning",
        evidence if stopped is None else {**evidence, "stopped_at": stopped},
        _cause(view, stopped, float(np.mean(last))),
        _remedies(view, stopped),
        Plot(_("training loss"), {_("loss"): curve[:, 1].tolist()}, curve[:, 0].tolist()),
    )


def _stands_still(curve: np.ndarray, start: float) -> bool:
    second, third, last = (quarter(curve, place) for place in (1, 2, 3))
    gain = abs(third.mean() - last.mean()) / start
    if abs(fall(third, last)) > SIGNIFICANT:
        return False
    return bool(gain <= FLAT or (gain <= NOISY * FLAT and fall(second, last) < SIGNIFICANT))


def _cause(view: View, stopped: float | None, loss: float) -> str:
    if stopped is not None:
        return _(
            "A plateau: from step {step} on the step size is next to nothing, and the loss stays where it was then"
            " ({loss}).",
            step=f"{stopped:.0f}",
            loss=f"{loss:.3g}",
        )
    if learned_little(view):
        return _(
            "A plateau: the loss stays at what guessing costs ({loss}), though the same network learns a few of these"
            " rows by heart: either there is hardly anything to be learned from these inputs, or its steps do not get"
            " anywhere.",
            loss=f"{loss:.3g}",
        )
    return _(
        "A plateau: over the second half of training the loss did not change ({loss}); it has settled, or its steps"
        " go back and forth across the valley.",
        loss=f"{loss:.3g}",
    )


def _remedies(view: View, stopped: float | None) -> tuple[Remedy, ...]:
    if stopped is not None:
        return (
            Remedy(
                _(
                    "Let the step size fall later, or more slowly: a schedule that is meant for epochs and counts"
                    " batches falls far too soon."
                )
            ),
        )
    if learned_little(view):
        return (
            Remedy(_("Use an optimizer that scales each weight's step by itself: --optimizer adamw."), adaptive(view)),
            Remedy(_("Take three times the step size (--lr)."), steps_times(view, 3)),
            Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
            Remedy(_("Train four times as long: the loss may stand still for long before it falls."), longer(view, 4)),
        )
    return (
        Remedy(_("Let the step size fall towards the end: --schedule cosine."), _falling(view)),
        Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
        Remedy(_("Train half as long: the second half brought nothing."), longer(view, 0.5)),
    )


def _falling(view: View) -> dict:
    return optional(view, "schedule", "cosine") if view.options.get("schedule") in (None, "constant") else {}
