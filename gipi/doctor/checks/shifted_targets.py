"""Targets that belong to other inputs: moved by some rows, by a place of the text, or by a class."""

import numpy as np

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import number, probe
from gipi.messages import _

# Standard errors of a correlation. Ten ways to move the targets are tried: 6 of them in one test of ten is less likely
# than 1e-8. Below 3 nothing is shown to be there.
SURE = 6.0
NOTHING = 3.0
COPY = 0.99  # correlation of one column with the moved target: it is the target of another time, put there on purpose
ALL = 0.99  # of a text's targets: all of them, but for what is masked or cut
RARE = 1e-3  # probability that a class is not seen by chance, though it is as frequent as the rarest other


def check(view: View) -> Finding | None:
    return _classes(view) or _tokens(view) or _units(view) or _rows(view)


def _classes(view: View) -> Finding | None:
    """The loss rewards the class beside the right one."""
    wanted = probe(view, "wanted")
    sides = wanted.get("neighbour") or {}
    if [*sides.values()].count(1) != 1 or wanted.get("won"):
        return None  # where both sides are rewarded, anything wrong is
    for side, share in sides.items():
        if share == 1:
            cause = _(
                "The loss rewards the class {side} the right one: class numbers are counted from another beginning "
                "than the network's outputs, off by one.",
                side=_("right behind") if side == "1" else _("right in front of"),
            )
            remedy = Remedy(_("Count classes from 0, in the targets and in the loss alike."))
            return Finding("shifted-targets", "problem", {"by": int(side), "what": "classes"}, cause, (remedy,))
    return None


def _units(view: View) -> Finding | None:
    """An output that no class has: class numbers begin at 1."""
    if view.system or view.target_kind != "class" or view.y is None or not len(view.labels) or view.y.ndim != 1:
        return None  # gipi counts them itself
    counts = np.bincount(view.y.astype(np.int64), minlength=len(view.labels)).tolist()
    # a last output without rows says that outputs were left free on purpose
    if len(counts) < 3 or counts[0] or not counts[-1]:
        return None
    others = counts[1:]
    rows, rarest = sum(others), min(others)
    if not rarest or (1 - rarest / rows) ** rows > RARE:
        return None
    cause = _(
        "The network has {outputs} outputs, and the first of them is no row's class: class numbers begin at 1, where "
        "they should begin at 0.",
        outputs=len(counts),
    )
    plot = Plot(_("rows of each class"), {"": [*counts]}, labels=[str(n) for n in range(len(counts))])
    remedy = Remedy(_("Count classes from 0: y - 1, and one output less."))
    return Finding("shifted-targets", "warning", {"what": "classes", "counts": [*counts]}, cause, (remedy,), plot)


def _tokens(view: View) -> Finding | None:
    """A text's targets that are not its next tokens."""
    found = probe(view, "tokens")
    places = found.get("places") or {}
    best = found.get("best")
    if not places or best == 1 or places.get(str(best), 0) < ALL:
        return None
    if best == 0:
        cause = _(
            "Each target is the very token that the network is shown at that place: the shift by one was forgotten, "
            "and it learns to copy, not to go on."
        )
    else:
        cause = _(
            "Each target lies {places} places ahead of the token that the network is shown, where the next one is 1: "
            "the text was shifted twice, or the wrong way.",
            places=best,
        )
    plot = Plot(
        _("share of targets that equal the input so many places on"), {"": [*places.values()]}, labels=[*places]
    )
    remedy = Remedy(_("Take x = tokens[:, :-1] and y = tokens[:, 1:]."))
    return Finding("shifted-targets", "problem", {"by": best, **found}, cause, (remedy,), plot)


def _rows(view: View) -> Finding | None:
    """A quick model finds nothing in y, and much in y moved by a row."""
    found = probe(view, "aligned")
    own, shifted, error, single = (number(found, name) for name in ("own", "shifted", "error", "single"))
    scores, by = found.get("scores") or {}, found.get("by")
    if own is None or shifted is None or error is None or by is None:
        return None
    others = [score for place, score in scores.items() if place not in ("0", str(by))]
    error = max(error, (sum(score**2 for score in others) / max(1, len(others))) ** 0.5)  # neighbours may be alike
    if shifted < SURE * error or own > NOTHING * error or (single or 0) > COPY:
        return None
    is_in_time = bool(view.time)
    cause = _(
        "The inputs of a row tell nothing of its own target (correlation {own}), and much of the target {by} rows "
        "further on ({shifted}): inputs and targets have slipped against each other.",
        own=f"{own:.2f}",
        shifted=f"{shifted:.2f}",
        by=by,
    )
    remedies = (
        Remedy(
            _(
                "Put the target column back by {by} rows: look for a header, a row or a file that was dropped from one "
                "side only.",
                by=by,
            )
        ),
    )
    lines = {_("correlation"): [*scores.values()]}
    plot = Plot(_("what a quick model finds, by rows that the target is moved"), lines, labels=[*scores])
    evidence = {"own": own, "shifted": shifted, "by": by, "error": error, "rows": found.get("rows")}
    return Finding("shifted-targets", "warning" if is_in_time else "problem", evidence, cause, remedies, plot)
