"""Underfitting: even on its own training rows the model is hardly better than chance, or straight lines do better."""

import math

import numpy as np

from gipi.doctor.changes import longer, optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.straight_lines import ahead_of
from gipi.doctor.stuck import DECAY, STRONG, is_stuck
from gipi.doctor.trends import LITTLE, curve_of, quarter, ratios_of, start_of, still_falls, stopped_at
from gipi.messages import _


def check(view: View) -> Finding | None:
    curve = curve_of(view)
    if curve is None or view.error:
        return None
    start, last = start_of(view, curve), float(np.median(quarter(curve, 3)))
    if start <= 0:
        return None
    valid = [look["valid"]["loss"] for look in view.history if "loss" in look.get("valid", {})]
    best = min([last, *[loss for loss in valid if math.isfinite(loss)]])  # training may be held back by dropout
    at_chance = best >= LITTLE * start or (last >= start and best >= LITTLE * start / 2)
    ahead = ahead_of(view)
    if (not at_chance and not ahead) or stopped_at(view) is not None or is_stuck(view):  # the last two: plateau.py
        return None
    return Finding(
        "underfitting",
        "warning" if ahead else "note",
        {"last_loss": last, "loss_of_chance": start, **(ahead or {})},
        _(
            "Underfitting: the training loss ends at {loss}, and who only knows how frequent answers are has {chance};"
            " the model is too small, held back, or stopped too early.",
            loss=f"{last:.3g}",
            chance=f"{start:.3g}",
        )
        if at_chance or not ahead
        else _(
            "Underfitting: straight lines reach {lines} on the validation rows and the model {own}; it is too small,"
            " held back, or stopped too early.",
            lines=f"{ahead['straight_lines']:.3g}",
            own=f"{ahead['model']:.3g}",
        ),
        _remedies(view, curve),
        Plot(_("training loss"), {_("loss"): curve[:, 1].tolist()}, curve[:, 0].tolist(), limit=start),
    )


def _remedies(view: View, curve: np.ndarray) -> tuple[Remedy, ...]:
    options = view.options
    found = []
    dropout, decay, lr = (options.get(name) for name in ("dropout", "weight_decay", "lr"))
    if isinstance(dropout, int | float) and dropout > STRONG:
        found.append(Remedy(_("Switch off fewer units while it learns: --dropout 0.1."), {"dropout": 0.1}))
    if isinstance(decay, int | float) and isinstance(lr, int | float) and decay * lr > DECAY:
        found.append(Remedy(_("Let the weights grow: --weight-decay 0.01."), {"weight_decay": 0.01}))
    if still_falls(curve):
        found.append(Remedy(_("The loss still falls: train four times as long."), longer(view, 4)))
    hidden = options.get("hidden")
    if isinstance(hidden, list | tuple) and hidden and all(isinstance(one, int) for one in hidden):
        wider = tuple(max(128, 4 * one) for one in hidden[:3])
        found.append(Remedy(_("Take a larger model (--hidden)."), {"hidden": wider}))
    else:
        found.append(Remedy(_("Take a larger model, or one that can bend: --system mlp."), _mlp(view)))
    ratios = [ratio for _step, ratio in ratios_of(view)]
    if not ratios or max(ratios) < 0.01:  # ten times the customary thousandth
        found.append(Remedy(_("Take three times the step size (--lr)."), steps_times(view, 3)))
    return tuple(found)


def _mlp(view: View) -> dict:
    return optional(view, "system", "mlp") if view.system in ("linear", "perceptron") else {}
