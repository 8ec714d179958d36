"""The loss is not a number any more, or grew beyond all bounds."""

from gipi.doctor.finding import Finding, Remedy, View
from gipi.messages import _


def check(view: View) -> Finding | None:
    if not view.error:
        return None
    remedies = (Remedy(_("Try a tenth of the step size (--lr), --lr auto, or --clip 1.")),)
    return Finding("divergence", "problem", {"error": view.error}, view.error, remedies)
