"""Training goes on improving while validation gets worse: the model learns the rows by heart."""

from gipi.doctor.finding import Finding, Remedy, View
from gipi.messages import _

WORSE = 1.25  # times the best validation loss, at the end
MANY = 5  # looks after the best one, at least


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
    return Finding(
        "overfitting",
        "note",
        {"best_epoch": looks[best]["epoch"], "best": losses[best], "last": losses[-1]},
        _(
            "After epoch {epoch} the validation loss rose from {best} to {last} while the training loss fell.",
            epoch=looks[best]["epoch"],
            best=f"{losses[best]:.3g}",
            last=f"{losses[-1]:.3g}",
        ),
        (
            Remedy(
                _("The best epoch's weights are kept. More rows, dropout, weight decay or a smaller model would help.")
            ),
        ),
    )
