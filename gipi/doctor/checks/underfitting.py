"""Underfitting: even on its own training rows the model is hardly better than chance, or straight lines do better."""

import math

import numpy as np

from gipi.doctor.changes import longer, optional, steps_times
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.straight_lines import straight_score
from gipi.doctor.trends import LITTLE, SIGNIFICANT, curve_of, quarter, ratios_of, start_of, still_falls
from gipi.messages import _

STRONG = 0.5  # dropout above which less than half of a layer is there to learn with
DECAY = 0.01  # that weights shrink by at each step (step size times decay): in a hundred steps to a third
ROOM = 0.1  # of R squared, or of right answers, that straight lines must be ahead by to be worth a word


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
    ahead = _ahead(view)
    if not at_chance and not ahead:
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


def _ahead(view: View) -> dict[str, float] | None:
    """What straight lines reach and the model does not, if they are clearly ahead of it."""
    own = _own_score(view)
    found = straight_score(view) if own is not None else None
    if own is None or found is None:
        return None
    score, chance, rows = found
    error = math.sqrt(max(0.0, score * (1 - score)) / rows + max(0.0, own * (1 - own)) / rows)
    if score - max(own, 0.0) < max(ROOM, SIGNIFICANT * error) or score - chance < SIGNIFICANT * error:
        return None
    return {"straight_lines": score, "model": own}


def _own_score(view: View) -> float | None:
    """The best that the model reached on validation rows: the share of right answers, or R squared."""
    looks = [look.get("valid", {}) for look in view.history if look.get("member", 0) == 0]
    if view.target_kind == "class":
        return max((look["accuracy"] for look in looks if "accuracy" in look), default=None)
    if view.target_kind != "number" or view.y is None or "valid" not in view.parts:
        return None
    if view.options.get("loss") not in (None, "mse") or view.options.get("distribution", "point") != "point":
        return None
    spread = float(np.var(np.asarray(view.y, float)[np.asarray(view.parts["valid"])]))
    errors = [look["loss"] for look in looks if math.isfinite(look.get("loss", math.nan))]  # squares, as y is here
    return 1 - min(errors) / spread if errors and spread > 0 else None


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
