"""A softmax is taken of what is a softmax already, so the loss can never see a sure answer."""

import math

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import number, outputs, probe
from gipi.messages import _

# What is left of the loss of guessing where the right class has probability 1 and that is taken for a score of 1: for
# two classes log(e + 1) - 1 = 0.31 of 0.69, 45 %; more for more classes. A loss that takes probabilities leaves
# nothing.
LEFT = 0.1
BOUNDED = 2.0  # times the loss of guessing, that a softmax of a softmax never exceeds: log(e + K - 1) < 2 log K
UNMOVED = 1e-3  # of the loss: a softmax does not see what is added to all scores


def check(view: View) -> Finding | None:
    wanted, seen = probe(view, "wanted"), outputs(view)
    even, certain, best, worst = (number(wanted, name) for name in ("even", "certain", "best", "worst"))
    ends_so = bool(seen) and all(one.get("is_distribution") or one.get("end") == "softmax" for one in seen)
    ends_so = ends_so and not seen[0].get("columns")
    floor = None
    if wanted and (number(wanted, "won") or 0.0) < 0.5:
        return None  # right answers are not the best ones: another finding's
    if wanted and ends_so:
        if certain is not None and best is not None and even and certain > LEFT * even and best < certain / 2:
            floor = certain
    elif wanted:
        shifts = number(wanted, "shifts")
        is_bounded = worst is not None and even is not None and even > 0 and worst < BOUNDED * even
        is_soft = shifts is not None and even is not None and abs(shifts) < UNMOVED * even
        if is_bounded and is_soft and best is not None and even and best > LEFT * even:
            floor = best
    name = view.probes.get("recognised")  # which loss it is, where it was only seen
    if floor is None and (name == "cross_entropy of softmax" or (ends_so and name == "cross_entropy")):
        classes = (seen[0].get("shape") or [0])[-1] if seen else 0
        if classes > 1:
            floor, even = math.log(math.e + classes - 1) - 1, math.log(classes)
    if floor is None or even is None:
        return None
    evidence = {"floor": floor, "guessing": even, "network_ends_in_softmax": ends_so}
    where = _("the network ends in a softmax") if ends_so else _("the loss takes a softmax of scores")
    cause = _(
        "Softmax is taken twice ({where}, and the cross-entropy takes another): even sure and right answers cost "
        "{floor}, where guessing costs {even}, so gradients are small and probabilities too even.",
        where=where,
        floor=f"{floor:.3g}",
        even=f"{even:.3g}",
    )
    remedies = (
        Remedy(_("Take the softmax away: the network gives scores (logits), and cross_entropy does the rest.")),
    )
    bars = {"": [even, floor, 0.0]}
    labels = [_("guessing"), _("sure and right, now"), _("sure and right, as it should be")]
    return Finding("softmax-twice", "problem", evidence, cause, remedies, Plot(_("loss"), bars, labels=labels))
