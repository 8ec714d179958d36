"""Training went wrong: the loss or a gradient was no number any more, or the loss grew beyond all bounds."""

from gipi.doctor.changes import as_it_comes, optional, steps_times
from gipi.doctor.finding import Finding, Remedy, View
from gipi.doctor.trends import went_on
from gipi.messages import _


def check(view: View) -> Finding | None:
    if not view.error:
        return None
    remedies = (
        *as_it_comes(view, is_larger=False),
        Remedy(
            _("Try a tenth of the step size (--lr), --lr auto, or --clip 1."),
            {**steps_times(view, 0.1), **optional(view, "clip", 1.0)},
        ),
    )
    severity = "warning" if went_on(view) else "problem"  # with smaller steps: what it learned is whole
    evidence = {"error": view.error, "faults": [dict(fault) for fault in view.faults]}
    return Finding("divergence", severity, evidence, view.error, remedies)
