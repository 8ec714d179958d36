"""The gradient vanishes on its way back: layers near the input learn orders of magnitude slower than the last ones."""

import numpy as np

from gipi.doctor.changes import adaptive, bent, normed
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import LITTLE, by_depth, curve_of, learned_little, looks_of, quarter, start_of
from gipi.messages import _

DEEP = 4  # layers, at least: with fewer there is no way to vanish on
SMALLER = 1e-2  # of the last layer's gradient is left at the first: it learns a hundred times slower
FAR_SMALLER = 1e-3  # as after five sigmoids, of which each passes a quarter on at most (4 ** -5; Hochreiter 1991)
STEPS = 40  # as for a plateau: ten for each quarter
STEADY = 0.8  # rank correlation of depth and gradient: layer by layer, not one layer that is different


def check(view: View) -> Finding | None:
    looks = [depth for visit in looks_of(view) if len(depth := by_depth(visit)) >= DEEP]
    if not looks:
        return None
    shares = [_left(look) for look in looks]
    half = len(shares) // 2
    first, early, late = shares[0], float(np.median(shares[: half + 1])), float(np.median(shares[half:]))
    is_stuck = learned_little(view)
    lasts = late < SMALLER or (is_stuck and early < SMALLER)
    if not lasts and first > FAR_SMALLER:
        return None
    shown, share = (looks[-1], min(early, late)) if lasts else (looks[0], first)
    return Finding(
        "vanishing-gradient",
        "problem" if lasts and is_stuck and _had_time(view) else "warning" if lasts or _began_late(view) else "note",
        {"first_to_last": share, "layers": len(shown), "gradients": dict(shown)},
        _(
            "The gradient vanishes: on its way back from the loss each layer makes it smaller, and at the first one"
            " only {share} of the last one's is left, so the first layers hardly learn.",
            share=f"{share:.0e}",
        ),
        (
            Remedy(_("Use an activation with a slope of 1: --activation relu."), bent(view, "relu")),
            Remedy(_("Normalise after each layer: --norm batch."), normed(view)),
            Remedy(_("Use an optimizer that scales each weight's step by itself: --optimizer adamw."), adaptive(view)),
            Remedy(_("Use fewer layers, or ones that add to what they are given (residual layers)."), _fewer(view)),
        ),
        Plot(
            _("size of the gradient, first to last layer (powers of ten)"),
            {_("gradient"): [float(np.log10(max(size, 1e-45))) for _n, size in shown]},
            labels=[name for name, _size in shown],
        ),
    )


def _began_late(view: View) -> bool:
    """Whether a quarter of the training had passed before anything was learned."""
    curve = curve_of(view)
    return curve is not None and float(np.median(quarter(curve, 1))) >= LITTLE * start_of(view, curve)


def _had_time(view: View) -> bool:
    """Whether there were so many steps that something should have been learned."""
    curve = curve_of(view)
    return curve is not None and len(curve) >= STEPS


def _left(look: list[tuple[str, float]]) -> float:
    """The first layer's gradient as a part of the last one's; 1 where it does not fall layer by layer."""
    sizes = np.array([size for _name, size in look])
    if (sizes <= 0).any():
        return 1.0
    ranks = np.argsort(np.argsort(sizes))
    if np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] < STEADY:
        return 1.0
    first = sizes[:2].max()  # one slow layer (a query of attention) is no network that learns slowly
    return float(first / sizes[-1])


def _fewer(view: View) -> dict:
    hidden = view.options.get("hidden")
    return {"hidden": tuple(hidden[:2])} if isinstance(hidden, list | tuple) and len(hidden) > 2 else {}
