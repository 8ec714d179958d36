"""Training goes on improving while validation gets worse: the model learns the rows by heart."""

from gipi.doctor.changes import optional
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.messages import _

WORSE = 1.25  # times the best validation loss, at the end
MANY = 5  # looks after the best one, at least: one that is worse may be chance
TWICE = 2.0  # times the best validation loss: half of what was learned is lost again


def check(view: View) -> Finding | None:
    looks = [
        r for r in view.history if r.get("member", 0) == 0 and "loss" in r.get("valid", {}) and len(r["train"]) == 1
    ]
    if len(looks) <= MANY:
        return None
    losses = [look["valid"]["loss"] for look in looks]
    trained = [next(iter(look["train"].values())) for look in looks]
    best = min(range(len(losses)), key=losses.__getitem__)
    if len(losses) - best <= MANY or losses[-1] < WORSE * losses[best] or trained[-1] >= trained[best]:
        return None
    keeps_last = view.options.get("patience") == 0
    cause = _(
        "After epoch {epoch} the validation loss rose from {best} to {last} while the training loss fell.",
        epoch=looks[best]["epoch"],
        best=f"{losses[best]:.3g}",
        last=f"{losses[-1]:.3g}",
    )
    return Finding(
        "overfitting",
        "warning" if keeps_last and losses[-1] > TWICE * losses[best] else "note",
        {"best_epoch": looks[best]["epoch"], "best": losses[best], "last": losses[-1]},
        cause,
        (
            *((Remedy(_("Keep the best epoch's weights: --patience 20."), {"patience": 20}),) if keeps_last else ()),
            Remedy(_("Switch off more units while it learns (--dropout)."), _more_dropout(view)),
            Remedy(_("Hold the weights smaller (--weight-decay)."), _more_decay(view)),
            Remedy(_("More rows help most, then a smaller model."), _smaller(view)),
        ),
        Plot(
            _("loss of training and validation"),
            {_("training"): trained, _("validation"): losses},
            [look["epoch"] for look in looks],
        ),
    )


def _more_dropout(view: View) -> dict:
    dropout = view.options.get("dropout")
    if not isinstance(dropout, int | float):
        return {}
    return optional(view, "dropout", min(0.5, max(0.2, 2 * dropout))) if dropout < 0.5 else {}


def _more_decay(view: View) -> dict:
    decay = view.options.get("weight_decay")
    return {"weight_decay": 10 * decay if decay else 0.01} if isinstance(decay, int | float) else {}


def _smaller(view: View) -> dict:
    hidden = view.options.get("hidden")
    if not isinstance(hidden, list | tuple) or not all(isinstance(one, int) for one in hidden):
        return {}
    return {"hidden": tuple(max(1, one // 4) for one in hidden)}
