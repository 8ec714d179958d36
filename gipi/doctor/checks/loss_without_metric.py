"""The loss falls and the metric does not: the model gets surer, and no more often right."""

import math

import numpy as np

from gipi.doctor.changes import optional
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import curve_of
from gipi.messages import _

MANY = 4  # looks, at least
FALLEN = 0.1  # of the loss at the beginning, or of that of who names all classes alike
SAVED = 0.05  # of the mistakes that naming the most frequent class makes, at most


def check(view: View) -> Finding | None:
    looks = [
        look
        for look in view.history
        if look.get("member", 0) == 0 and {"loss", "accuracy"} <= set(look.get("valid", {}))
    ]
    if len(looks) < MANY or view.target_kind != "class" or view.y is None or "valid" not in view.parts:
        return None
    losses = np.array([look["valid"]["loss"] for look in looks], float)
    right = np.array([look["valid"]["accuracy"] for look in looks], float)
    truth = np.asarray(view.y)[np.asarray(view.parts["valid"])]
    if not (np.isfinite(losses).all() and len(truth)):
        return None
    majority = float(np.unique(truth, return_counts=True)[1].max() / len(truth))
    began = min(_before(view, losses), math.log(max(2, len(view.labels))))
    saved = (float(np.median(right[len(right) // 2 :])) - majority) / max(1 - majority, 1e-9)
    if majority == 1 or losses.min() > (1 - FALLEN) * began or saved > SAVED:
        return None
    return Finding(
        "loss-without-metric",
        "warning",
        {"loss": [began, float(losses.min())], "accuracy": float(right.max()), "majority": majority},
        _(
            "The loss falls from {first} to {best}, but accuracy stays at {accuracy}, what the most frequent class"
            " alone would give ({majority}): the model has learned how frequent classes are, not how to tell them"
            " apart.",
            first=f"{began:.3g}",
            best=f"{losses.min():.3g}",
            accuracy=f"{right[-1]:.3g}",
            majority=f"{majority:.3g}",
        ),
        (
            Remedy(_("Let rare classes count as much: --class-weight balanced."), _balanced(view)),
            Remedy(_("Read balanced accuracy, which the most frequent class cannot flatter.")),
        ),
        Plot(
            _("loss and accuracy of validation"),
            {_("loss"): losses.tolist(), _("accuracy"): right.tolist()},
            [look["epoch"] for look in looks],
            limit=majority,
        ),
    )


def _before(view: View, losses: np.ndarray) -> float:
    """The loss that it began with: before the first step where that is known."""
    first, curve = (view.probes.get("first") or {}).get("loss"), curve_of(view)
    if isinstance(first, int | float) and math.isfinite(first):
        return float(first)
    return max(float(losses[0]), float(curve[0, 1]) if curve is not None else 0.0)


def _balanced(view: View) -> dict:
    return optional(view, "class_weight", "balanced") if view.options.get("class_weight") == "none" else {}
