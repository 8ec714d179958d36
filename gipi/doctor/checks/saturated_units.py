"""Saturated units: sigmoids and tanhs at their flat ends, where the slope, and so the gradient, is next to zero."""

import numpy as np

from gipi.doctor.changes import bent, normed
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import learned_little, looks_of
from gipi.messages import _

MOST = 0.75  # of a layer's values at its flat ends; with sums that are spread as initialisation means them (standard
# deviation 1) it is 8 % of a tanh's, and 0.05 % of a sigmoid's
ALL = 0.9


def check(view: View) -> Finding | None:
    looks = looks_of(view)
    seen: dict[str, list[float]] = {}
    for visit in looks[len(looks) // 2 :]:
        for name, layer in visit.get("layers", {}).items():
            if layer["kind"] in ("sigmoid", "tanh") and not layer.get("last"):  # outputs may be as sure as they like
                seen.setdefault(name, []).append(layer["saturated"])
    shares = {name: float(np.median(own)) for name, own in seen.items()}
    worst = max(shares, key=shares.__getitem__, default="")
    if not worst or shares[worst] < MOST:
        return None
    is_stuck = learned_little(view)
    return Finding(
        "saturated-units",
        "problem" if is_stuck and shares[worst] >= ALL else "warning",
        {"layer": worst, "share": shares[worst], "layers": shares},
        _(
            "Saturated units: {share} of what layer {layer} gives lies at the flat ends of its activation, where the"
            " slope is next to zero, so hardly any gradient passes.",
            share=f"{shares[worst]:.0%}",
            layer=worst,
        ),
        (
            Remedy(_("Scale the inputs: --scale standard."), _scaled(view)),
            Remedy(_("Use an activation with a slope of 1: --activation relu."), bent(view, "relu")),
            Remedy(_("Normalise after each layer: --norm batch."), normed(view)),
            Remedy(_("Begin with smaller weights (Glorot's rule).")),
        ),
        Plot(_("share at the flat ends"), {_("saturated"): [*shares.values()]}, labels=[*shares], limit=MOST),
    )


def _scaled(view: View) -> dict:
    return {"scale": "standard"} if view.options.get("scale") == "none" else {}
