"""Before anything was learned the loss is far above what guessing costs: the network is sure of wrong answers."""

import math

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import has_learned, number, probe
from gipi.messages import _

# Scores of variance v cost about v / 2 nats more than guessing (the mean of a log-normal). He's initialisation gives
# them a variance of 2 where inputs are independent of each other; the pixels of a picture are not, so twice that is
# sound: 2 nats.
SOUND = 2.0
# Nats: scores of standard deviation 3, where He's have 1.4; the truth is 150 times less likely than by guessing.
FAR = 5.0
CLOSE = 0.02  # to the logarithm of the classes lies what a cross-entropy says of guessing
TIMES = 1.5  # of chance, too: with two classes 1 nat is much, with 50,000 it is little
FAR_TIMES = 3.0
# Squared errors: outputs of variance 2 against targets of variance 1 cost 3 times what their mean does.
NUMBERS = 25.0  # times: outputs five standard deviations off
FAR_NUMBERS = 100.0  # ten
LARGE = 10.0  # root mean square of inputs; 1 is what initialisations are made for (LeCun 1998)


def check(view: View) -> Finding | None:
    found = probe(view, "first")
    loss, expected = number(found, "loss"), number(found, "expected")
    if loss is None or expected is None or expected <= 0 or view.options.get("weights"):
        return None
    kind = found.get("kind")
    if kind in ("class", "labels"):
        classes = 2.0 if kind == "labels" else number(found, "classes") or 0.0
        if classes < 2 or abs(expected - math.log(classes)) > CLOSE * expected:
            return None  # it is not counted in nats
        excess, times = loss - expected, loss / expected
        is_found = excess > SOUND and times > TIMES
        is_far = excess > FAR or (is_found and times > FAR_TIMES)
    else:
        times = loss / expected
        is_found, is_far = times > NUMBERS, times > FAR_NUMBERS
    if not is_found:
        return None
    scale = number(found, "scale")
    is_large = scale is not None and scale > LARGE
    evidence = {"loss": loss, "expected": expected, "times": times, "rows": found.get("rows"), "input_size": scale}
    said = {"loss": f"{loss:.3g}", "expected": f"{expected:.3g}"}
    if is_large:
        cause = _(
            "Before its first step the network's loss is {loss}, where guessing costs {expected}: inputs of size "
            "{size} are too large for its initial weights, which are made for inputs of size 1.",
            size=f"{scale:.3g}",
            **said,
        )
    elif kind == "number":
        cause = _(
            "Before its first step the network's loss is {loss}, where always saying the mean costs {expected}: its "
            "initial weights, or targets that are not standardised, put its answers far off.",
            **said,
        )
    else:
        cause = _(
            "Before its first step the network's loss is {loss}, where guessing costs {expected}: its initial weights "
            "are so large that it is sure of answers that it has not learned.",
            **said,
        )
    bars = Plot(_("loss before the first step"), {"": [expected, loss]}, labels=[_("guessing"), _("this network")])
    severity = "problem" if is_far and has_learned(view) is not True else "warning"
    return Finding("initial-loss", severity, evidence, cause, _remedies(view, is_large), bars)


def _remedies(view: View, is_large: bool) -> tuple[Remedy, ...]:
    remedies = [Remedy(_("Begin with smaller weights in the last layer (PyTorch's own are), and with a bias of zero."))]
    if view.options.get("scale") == "none":
        remedies.insert(0, Remedy(_("Let columns be standardised: --scale standard."), {"scale": "standard"}))
    elif is_large:
        remedies.insert(0, Remedy(_("Bring inputs to mean 0 and standard deviation 1 before they reach the network.")))
    return tuple(remedies)
