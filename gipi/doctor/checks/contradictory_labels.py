"""Equal rows with different labels: no model can be right on all of them."""

import numpy as np

from gipi.doctor.finding import Finding, Remedy, View, keys
from gipi.messages import _


def check(view: View) -> Finding | None:
    if view.target_kind != "class" or view.y is None:
        return None
    _keys, row = np.unique(keys(view.x), return_inverse=True)
    labels = np.zeros((row.max() + 1, int(view.y.max()) + 1), bool)
    labels[row, view.y] = True
    contradicted = labels.sum(1) > 1
    count = int(contradicted[row].sum())
    if not count:
        return None
    return Finding(
        "contradictory-labels",
        "warning" if count > 0.02 * len(view.y) else "note",
        {"rows": count, "of": len(view.y)},
        _("{count} of {rows} rows are equal to a row that has another label.", count=count, rows=len(view.y)),
        (Remedy(_("Look at these rows; a column that tells them apart may be missing.")),),
    )
