"""Parameters that nobody moves: frozen, not given to the optimizer, or in a list that the network does not know."""

from collections.abc import Sequence

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import probe
from gipi.messages import _

SHOWN = 4  # names
ENOUGH = 3  # looks, before "never" is said


def check(view: View) -> Finding | None:
    found = probe(view, "connected")
    frozen, left, outside = (list(found.get(name) or []) for name in ("frozen", "left", "outside"))
    share = dict(found.get("share") or {})
    if not found:
        frozen, left, share = _still(view)
    names = left or frozen
    if view.options.get("freeze") or not (names or outside):
        return None
    evidence = {"frozen": frozen, "left": left, "outside": outside, "share": share}
    drawn = share.get("drawn", 0.0)
    count = share.get("left" if left else "frozen", 0.0)
    if outside:
        cause = _(
            "{names} holds layers that the network does not know, because they are in a plain list or dictionary: they "
            "are used, but neither trained nor saved.",
            names=_named(outside),
        )
        remedy = _("Put them into nn.ModuleList or nn.ModuleDict, and single weights into nn.Parameter.")
    elif left:
        cause = _(
            "{names} ({share} of the parameters) are not given to the optimizer: they stay as they were at the "
            "beginning.",
            names=_named(left),
            share=f"{count:.0%}",
        )
        remedy = _("Give the optimizer all of them: model.parameters().")
    else:
        cause = _(
            "{names} ({share} of the parameters) are frozen: they stay as they were at the beginning, and only the "
            "rest learns.",
            names=_named(frozen),
            share=f"{count:.0%}",
        )
        remedy = _("If they are not weights that were learned elsewhere: requires_grad_(True).")
    is_random = bool(outside) or drawn > 0
    if drawn > 0 and not outside:
        cause += " " + _("They still are as they were drawn at random.")
    labels = [_("never moved"), _("learned")]
    plot = None if outside else Plot(_("share of the parameters"), {"": [count, max(0.0, 1 - count)]}, labels=labels)
    return Finding("frozen-layer", "problem" if is_random else "warning", evidence, cause, (Remedy(remedy),), plot)


def _still(view: View) -> tuple[list[str], list[str], dict[str, float]]:
    """By looks into a loop of a person's own: not trained, or trained without ever changing."""
    looks = [visit for visit in view.visits if visit.get("parameters")]
    if view.system or len(looks) < ENOUGH:
        return [], [], {}
    names = set.intersection(*({*visit["parameters"]} for visit in looks))
    last = looks[-1]["parameters"]
    frozen, left = [], []
    for name in (name for name in last if name in names):
        seen = [visit["parameters"][name] for visit in looks]
        if len({one["weight"] for one in seen}) > 1:
            continue  # somebody moves it, if only by hand: an average, a target network
        if not any(one.get("learns") for one in seen):
            (left if any(one.get("gradient") for one in seen) else frozen).append(name)
        elif all(one.get("update") == 0 for one in seen) and any(one.get("gradient") for one in seen):
            left.append(name)
    whole = max(1, sum(one["count"] for one in last.values()))
    parts = {"frozen": frozen, "left": left}
    return frozen, left, {kind: sum(last[n]["count"] for n in some) / whole for kind, some in parts.items()}


def _named(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (", " + _("and {count} more", count=rest) if rest > 0 else "")
