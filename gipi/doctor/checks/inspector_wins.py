"""A GAN whose inspector is always right: the forger gets no hint any more of what would be better.

Their losses say it, where they are the logarithms of the paper (Goodfellow 2014, section 3): an inspector that cannot
tell pays 2 log 2, one that is always right 0. Then every forged picture is found out, and the forger's loss is higher
than at first, whichever of the two losses of that section it has.
"""

import math
from collections.abc import Mapping

import numpy as np

from gipi.doctor.changes import smaller_steps
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.messages import _

PLAYERS = (("inspector", "forger"), ("discriminator", "generator"))
SURE = 0.95  # how sure the inspector is of the right answer, on a (geometric) average; the usual level of significance
WON = -2 * math.log(SURE)  # of a real and of a forged picture
FEWEST = 4  # points of a curve: one in each quarter


def check(view: View) -> Finding | None:
    named = [pair for pair in PLAYERS if all(name in view.curve for name in pair)]
    if not named:
        return None
    inspector, forger = (np.asarray(view.curve[name], float) for name in named[0])
    if min(len(inspector), len(forger)) < FEWEST or not np.isfinite(inspector[:, 1]).all():
        return None
    if not np.isfinite(forger[:, 1]).all() or inspector[:, 1].min() < 0:  # a loss of another kind: a critic's
        return None
    quarter = len(forger) // 4
    last = float(np.median(inspector[-(len(inspector) // 4) :, 1]))
    first_forged, forged = (float(np.median(part)) for part in (forger[:quarter, 1], forger[-quarter:, 1]))
    if last > WON or forged <= first_forged:
        return None
    shown = {"inspector": last, "forger": forged, "forger_first": first_forged, "gradient": _gradients(view.visits)}
    cause = _(
        "The inspector wins: it gives the right answer a probability of {sure} % (loss {loss}), while the forger's "
        "loss rose from {first} to {last}; from an opponent that is always right the forger learns nothing.",
        sure=f"{100 * math.exp(-last / 2):.1f}",
        loss=f"{last:.2g}",
        first=f"{first_forged:.2g}",
        last=f"{forged:.2g}",
    )
    steps = forger[:, 0].tolist()
    lines = {_("inspector"): _at(steps, inspector), _("forger"): forger[:, 1].tolist()}
    plot = Plot(_("Losses of the two players"), lines, steps, limit=2 * math.log(2))
    return Finding("inspector-wins", "problem", shown, cause, _remedies(view), plot)


def _at(steps: list[float], curve: np.ndarray) -> list[float]:
    """A curve's means at the steps of another one: an inspector may play more often."""
    return np.interp(steps, curve[:, 0], curve[:, 1]).tolist()


def _gradients(visits: object) -> list[float]:
    """The root mean square of the forger's gradients at the first and the last look, where they were seen."""
    found = []
    for visit in visits if isinstance(visits, list | tuple) else ():
        parameters: Mapping[str, Mapping] = visit.get("parameters", {})
        own = [one for name, one in parameters.items() if name.startswith(("forger.", "generator."))]
        own = [one for one in own if one.get("gradient") is not None and one.get("count")]
        if own:
            total = sum(one["gradient"] ** 2 * one["count"] for one in own)
            found.append(math.sqrt(total / sum(one["count"] for one in own)))
    return [found[0], found[-1]] if len(found) > 1 else []


def _remedies(view: View) -> tuple[Remedy, ...]:
    text = _(
        "Hold the inspector back: spectral normalisation, fewer channels, or a smaller step size than the forger's."
    )
    return (*smaller_steps(view), Remedy(text))
