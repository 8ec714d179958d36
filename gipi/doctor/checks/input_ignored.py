"""The answer does not depend on the input: every row gets the same, or inputs can be exchanged without loss."""

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import number, outputs, probe
from gipi.messages import _

SAME = 1e-6  # of its size by which an output differs from row to row: float32 rounds as much
SURE = 3.0  # standard errors
WORTHLESS = 0.05  # of the loss: surely less is not what anybody trains a network for


def check(view: View) -> Finding | None:
    found = probe(view, "shuffled")
    apart = _apart(view)
    plain, other, error = (number(found, name) for name in ("plain", "shuffled", "error"))
    plot = None
    if plain is not None and other is not None:
        labels = [_("right inputs"), _("inputs of other rows")]
        plot = Plot(_("loss on validation rows after training"), {"": [plain, other]}, labels=labels)
    evidence = {"apart": apart[-1] if apart else None, "plain": plain, "shuffled": other, "error": error}
    if len(apart) > 1 and max(apart) <= SAME:
        cause = _(
            "The network gives every row the same answer, at its beginning and after training: something in the model "
            "makes all rows alike, so the input is ignored."
        )
        remedies = (
            Remedy(
                _(
                    "Look for a mean over the axis of the rows, a factor of zero, a softmax or a norm over a single "
                    "unit, or units that are all dead."
                )
            ),
        )
        return Finding("input-ignored", "problem", evidence, cause, remedies, plot)
    if apart and apart[-1] <= SAME and probe(view, "shuffled"):
        cause = _(
            "After training the network gives every row the same answer, though it did not at its beginning: its units "
            "died or saturated on the way, or inputs say nothing of the target."
        )
        remedies = (Remedy(_("Take a smaller step size, and look at dead and saturated units."), _smaller(view)),)
        return Finding("input-ignored", "warning", evidence, cause, remedies, plot)
    if plain is None or other is None or error is None or other - plain + SURE * error > WORTHLESS * abs(plain):
        return None
    cause = _(
        "The trained network does as well when it is given the inputs of other rows (loss {other} against {plain}): it "
        "has found nothing in the inputs that tells of the target.",
        other=f"{other:.3g}",
        plain=f"{plain:.3g}",
    )
    remedies = (
        Remedy(
            _("See whether rows and answers belong together, and whether a classical model finds anything in them.")
        ),
        Remedy(_("Train longer, or with another step size: --lr auto."), _auto(view)),
    )
    return Finding("input-ignored", "warning", evidence, cause, remedies, plot)


def _apart(view: View) -> list[float]:
    """How far outputs differ from row to row, as a part of their size: at looks in their order, then after training."""
    found = []
    for one in outputs(view):
        spread, size, shape = number(one, "spread"), number(one, "size"), one.get("shape") or [0]
        if spread is not None and size is not None and shape[0] > 1:
            found.append(spread / size if size > 0 else 0.0)
    last = number(probe(view, "shuffled"), "apart")
    return found if last is None else [*found, last]


def _smaller(view: View) -> dict:
    lr = view.options.get("lr")
    return {"lr": lr / 10} if isinstance(lr, float) else {}


def _auto(view: View) -> dict:
    return {"lr": "auto"} if "lr" in view.options and view.options["lr"] != "auto" else {}
