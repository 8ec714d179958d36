"""Dead units: a ReLU that is zero whatever comes in gets no gradient, and never learns again."""

import math

from gipi.doctor.changes import bent, normed, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import learned_little, looks_of
from gipi.messages import _

MANY = 0.5  # of a layer: above the "as much as 40 %" that CS231n's notes give for too large a step size
ALL = 0.95  # of a layer: nothing passes any more, neither forwards nor backwards
ENOUGH = 3  # of the last looks, or the last half of them
LOOKS = 2  # at least: a unit may be silent on one batch
SAMPLES = 64  # of a unit, over these looks: one that answers an input in twenty is silent on them in 4 % of cases


def check(view: View) -> Finding | None:
    looks = looks_of(view)
    shares = _dead(looks[min(len(looks) // 2, max(0, len(looks) - ENOUGH)) :])
    if not shares:
        return None
    worst = max(shares, key=shares.__getitem__)
    share = shares[worst]
    if share < MANY:
        return None
    is_stuck = learned_little(view)
    return Finding(
        "dead-units",
        "problem" if is_stuck and share >= ALL else "warning",
        {"layer": worst, "share": share, "layers": shares},
        _(
            "Dead units: {share} of the units of layer {layer} give zero for every input, so they get no gradient and"
            " cannot learn any more.",
            share=f"{share:.0%}",
            layer=worst,
        ),
        (
            Remedy(_("Take a tenth of the step size (--lr)."), steps_times(view, 0.1)),
            Remedy(
                _("Use an activation that passes something on below zero: --activation leaky_relu."),
                bent(view, "leaky_relu", ("relu",)),
            ),
            Remedy(_("Normalise after each layer: --norm batch."), normed(view)),
        ),
        Plot(_("share of dead units"), {_("dead"): [*shares.values()]}, labels=[*shares], limit=MANY),
    )


def _dead(looks: list) -> dict[str, float]:
    """Of each layer of ReLUs the share of its units that are silent on all of these looks."""
    silent: dict[str, int] = {}
    counts: dict[str, tuple[int, int, int]] = {}
    for visit in looks:
        for name, layer in visit.get("layers", {}).items():
            if layer["kind"] != "relu" or not layer.get("units"):
                continue
            silent[name] = silent.get(name, -1) & int(layer["silent"], 16)
            times, samples, _units = counts.get(name, (0, 0, 0))
            counts[name] = times + 1, samples + layer["samples"], layer["units"]
    return {
        name: silent[name].bit_count() / units
        for name, (times, samples, units) in counts.items()
        if times >= LOOKS and samples >= SAMPLES and math.isfinite(units)
    }
