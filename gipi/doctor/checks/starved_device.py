"""The device waits for its data: more time goes into fetching batches than into learning from them."""

import numpy as np

from gipi.doctor.changes import optional
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.trends import looks_of
from gipi.messages import _

MOST = 0.5  # of a step: fetching takes longer than computing, so that no fetching beforehand could hide it
LOST = 0.5  # seconds over the whole run: less nobody notices
LOOKS = 2


def check(view: View) -> Finding | None:
    looks = [look for look in looks_of(view) if "seconds" in look]
    if len(looks) < LOOKS:
        return None
    share = float(np.median([look["wait"] for look in looks]))
    waited = float(np.median([look["wait"] * look["seconds"] for look in looks]))
    steps = max(view.history[-1].get("step", 0) if view.history else 0, looks[-1]["step"] + 1)
    if share < MOST or waited * steps < LOST:
        return None
    return Finding(
        "starved-device",
        "warning",
        {"share": share, "seconds_of_a_step": waited, "seconds": waited * steps},
        _(
            "The device waits: {share} of a step is spent on fetching its batch ({seconds} s over the run), and only"
            " the rest on learning from it.",
            share=f"{share:.0%}",
            seconds=f"{waited * steps:.0f}",
        ),
        (
            Remedy(_("Let more threads fetch rows: --workers 4."), _more_workers(view)),
            Remedy(_("Prepare the data once and keep it: smaller pictures, a binary format, fewer augmentations.")),
        ),
        Plot(
            _("share of a step spent on waiting"),
            {_("wait"): [look["wait"] for look in looks]},
            [look["step"] for look in looks],
            limit=MOST,
        ),
    )


def _more_workers(view: View) -> dict:
    workers = view.options.get("workers")
    return optional(view, "workers", 2 * workers if isinstance(workers, int) and workers > 0 else 4)
