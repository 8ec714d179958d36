"""Batch norm with batches that are too small: mean and spread of a few rows say little about all rows."""

from gipi.doctor.changes import optional
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import looks_of
from gipi.messages import _

FEW = 8  # rows: with fewer the error rises, more so the fewer (Wu and He, "Group Normalization", 2018, figure 1)
NOTHING = 2  # values of a channel: whichever they are, what comes out is -1 and 1


def check(view: View) -> Finding | None:
    norms: dict[str, dict[str, int]] = {}
    for visit in looks_of(view):
        norms.update(visit.get("norms", {}))
    if not norms:
        return None
    worst = min(norms, key=lambda name: (norms[name]["rows"], norms[name]["values"]))
    rows, values = norms[worst]["rows"], norms[worst]["values"]
    if rows >= FEW:
        return None
    return Finding(
        "small-batch-norm",
        "problem" if values <= NOTHING else "warning",
        {"rows": rows, "values": values, "layer": worst, "layers": len(norms)},
        _(
            "Batch norm takes mean and spread from only {rows} rows in each batch, so each row's answer depends on"
            " which others happen to stand beside it, and training differs from use.",
            rows=rows,
        ),
        (
            Remedy(_("Take larger batches: --batch-size 32."), optional(view, "batch_size", 32)),
            Remedy(_("Normalise each row by itself: --norm layer."), _by_row(view)),
        ),
        Plot(_("rows in a batch"), {_("rows"): [float(rows), float(FEW)]}, labels=[_("here"), _("needed")]),
    )


def _by_row(view: View) -> dict:
    return {"norm": "layer"} if view.options.get("norm") == "batch" and view.system in ("mlp", "tabm") else {}
