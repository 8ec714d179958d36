"""Copies of test or validation rows among the training rows: the figures are then better than the model is."""

import numpy as np

from gipi.doctor.finding import Finding, Remedy, View, keys
from gipi.messages import _


def check(view: View) -> Finding | None:
    held_out = [view.parts[part] for part in ("test", "valid") if part in view.parts]
    if not held_out or "train" not in view.parts or view.x.ndim == 4:  # pictures: see copied_pictures.py
        return None
    rows = np.concatenate(held_out)
    told = view.x.reshape(len(view.x), -1)
    if view.y is not None:  # a copy has the same answer too: on few and coarse columns equal inputs are no copies
        told = np.concatenate([told, view.y.reshape(len(told), -1).astype(told.dtype)], 1)
    copies = int(np.isin(keys(told[rows]), keys(told[view.parts["train"]])).sum())
    share = copies / len(rows)
    if not copies:
        return None
    return Finding(
        "duplicate-rows",
        "problem" if share > 0.05 else "note",
        {"copies": copies, "rows": len(rows)},
        _(
            "{copies} of {rows} validation and test rows stand among the training rows too.",
            copies=copies,
            rows=len(rows),
        ),
        (Remedy(_("Remove the copies, or keep them in one part with --group.")),),
    )
