"""One class is far rarer than another: accuracy then says little."""

import numpy as np

from gipi.doctor.finding import Finding, Remedy, View
from gipi.messages import _

RATIO = 10  # the most frequent class has so many times the rows of the rarest


def check(view: View) -> Finding | None:
    if view.target_kind != "class" or view.y is None or "train" not in view.parts:
        return None
    counts = np.bincount(view.y[view.parts["train"]], minlength=len(view.labels))
    present = counts[counts > 0]
    if len(present) < 2 or present.max() < RATIO * present.min():
        return None
    rare, frequent = (str(view.labels[int(np.flatnonzero(counts == n)[0])]) for n in (present.min(), present.max()))
    return Finding(
        "class-imbalance",
        "warning",
        {"rarest": rare, "rows": int(present.min()), "most": frequent, "most_rows": int(present.max())},
        _(
            "The class {rare} has {few} training rows, {frequent} has {many}: read balanced accuracy, not accuracy.",
            rare=rare,
            few=int(present.min()),
            frequent=frequent,
            many=int(present.max()),
        ),
        (Remedy(_("Try --class-weight balanced, or more rows of the rare class.")),),
    )
