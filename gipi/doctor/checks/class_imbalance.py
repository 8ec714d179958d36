"""One class is far rarer than its share: accuracy then says little, and the model may never answer the rare class."""

import numpy as np

from gipi.doctor.columns import class_codes
from gipi.doctor.finding import Finding, Plot, Remedy, Severity, View
from gipi.messages import _

# Of the rows that the rarest class would have if all had as many: of two classes these are 20 % and 10 % of the rows.
# Google's course on machine learning calls a share below 20 % moderate; at 10 % always to answer the frequent class is
# right nine times of ten.
MODERATE, EXTREME = 0.4, 0.2
SURE = 3.0  # standard errors of a count below its share: few rows are uneven by chance
SHOWN = 20


def check(view: View) -> Finding | None:
    codes = class_codes(view)
    if view.target_kind != "class" or codes is None or "train" not in view.parts:
        return None
    y = codes[view.parts["train"]]
    counts = np.bincount(y, minlength=len(view.labels))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return None
    fair = len(y) / len(present)
    rarest, most = (int(present[place]) for place in (counts[present].argmin(), counts[present].argmax()))
    share = counts[rarest] / fair
    if share > MODERATE or fair - counts[rarest] < SURE * np.sqrt(fair):
        return None
    rare, frequent = (str(view.labels[one]) if one < len(view.labels) else str(one) for one in (rarest, most))
    is_balanced = view.options.get("class_weight") == "balanced"
    severity: Severity = "warning" if share < EXTREME and not is_balanced else "note"
    always = counts[most] / len(y)
    shown = np.argsort(-counts, kind="stable")[:SHOWN]
    remedies = [Remedy(_("Collect more rows of the rare class, and read balanced accuracy in place of accuracy."))]
    if not is_balanced:
        text = _("Let rare classes count as much as frequent ones in the loss: --class-weight balanced")
        remedies.insert(0, Remedy(text, {"class_weight": "balanced"}))
    return Finding(
        "class-imbalance",
        severity,
        {"rarest": rare, "rows": int(counts[rarest]), "most": frequent, "most_rows": int(counts[most])},
        _(
            "The class {rare} has {few} training rows, {frequent} has {many}: who always answers {frequent} is right "
            "in {always} of the rows, so accuracy says little and the loss hardly feels the rare class.",
            rare=rare,
            few=int(counts[rarest]),
            frequent=frequent,
            many=int(counts[most]),
            always=f"{always:.0%}",
        ),
        tuple(remedies),
        Plot(
            _("training rows of each class"),
            {_("rows"): [float(counts[one]) for one in shown]},
            labels=[str(view.labels[one]) if one < len(view.labels) else str(one) for one in shown],
            limit=float(fair),
        ),
    )
