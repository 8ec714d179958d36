"""Batches that are no random draw: rows come in the order of their labels, or always in the same order."""

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import number, probe
from gipi.messages import _

UNLIKELY = 1e-6  # that chance makes batches so unlike each other
SOME = 0.1  # of the labels' variance that lies between batches: a tenth is seen in the loss from batch to batch
MOST = 0.5  # more than half of it: batches are of one kind each, rather than like the data
FEWEST = 4  # batches


def check(view: View) -> Finding | None:
    found = probe(view, "order")
    share, p, batches = (number(found, name) for name in ("share", "p", "batches"))
    if share is None or p is None or batches is None or batches < FEWEST:
        return None
    period = int(number(found, "period") or 0)
    remedies = (
        Remedy(_("Shuffle the rows anew for each epoch: DataLoader(..., shuffle=True), or a random permutation.")),
    )
    evidence = {"share": share, "p": p, "batches": int(batches), "period": period}
    means = found.get("means") or []
    plot = (
        Plot(_("labels of each batch, in their order"), {_("mean, or share of the most frequent class"): means})
        if means
        else None
    )
    if p < UNLIKELY and share > SOME:
        cause = _(
            "Batches are not a random draw of the rows: {share} of the labels' variance lies between batches (0 where "
            "rows are shuffled), so each step unlearns what the last one learned.",
            share=f"{share:.0%}",
        )
        return Finding("not-shuffled", "problem" if share > MOST else "warning", evidence, cause, remedies, plot)
    if period:
        cause = _(
            "The same batches come again in the same order every {period} steps: rows are not shuffled between epochs, "
            "so what a batch teaches depends on its place.",
            period=period,
        )
        return Finding("not-shuffled", "warning", evidence, cause, remedies, plot)
    return None
