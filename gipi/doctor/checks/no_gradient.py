"""Parameters that no gradient reaches: what they are part of was forgotten, or something cuts the gradient off."""

from collections.abc import Sequence

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import probe
from gipi.messages import _

SHOWN = 4  # names
ENOUGH = 3  # looks, before "never" is said
GONE = 1.0  # share of a layer's units that are dead or saturated: then that is why
MOST = 0.5  # of all numbers: then hardly anything learns


def check(view: View) -> Finding | None:
    found = probe(view, "connected")
    if found:
        cut, unused, share = found.get("cut") or [], found.get("unused") or [], dict(found.get("share") or {})
    else:
        cut, unused, share = [], *_never(view)
    if not cut and not unused:
        return None
    names, count = (cut, share.get("cut", 0.0)) if cut else (unused, share.get("unused", 0.0))
    evidence = {"cut": cut, "unused": unused, "share": share}
    said = {"names": named(names), "share": f"{count:.0%}"}
    if cut:
        cause = _(
            "No gradient reaches {names} ({share} of the parameters), though the loss depends on them: something cuts "
            "it off on the way back, so they never learn.",
            **said,
        )
        text = _("Look for .detach(), .data, .item(), torch.no_grad(), or a step such as sign, round or argmax.")
    else:
        cause = _(
            "No gradient ever reaches {names} ({share} of the parameters): the network is not made from them, so they "
            "never learn.",
            **said,
        )
        text = _("Use the layer in forward, or take it out of the network.")
    severity = "problem" if cut or count > MOST else "warning"
    labels = [_("without gradient"), _("with gradient")]
    plot = Plot(_("share of the parameters"), {"": [count, max(0.0, 1 - count)]}, labels=labels)
    return Finding("no-gradient", severity, evidence, cause, (Remedy(text),), plot)


def _never(view: View) -> tuple[list[str], dict[str, float]]:
    """By looks into a training, where nothing was tried: of those that somebody trains, and in a person's own loop."""
    looks = [visit for visit in view.visits if visit.get("parameters")]
    if view.system or len(looks) < ENOUGH:
        return [], {}
    layers = [layer for visit in looks for layer in (visit.get("layers") or {}).values()]
    if any(layer.get(what, 0) >= GONE for layer in layers for what in ("dead", "saturated")):
        return [], {}
    names = set.intersection(*({*visit["parameters"]} for visit in looks))
    last = looks[-1]["parameters"]

    def is_never(name: str) -> bool:
        seen = [visit["parameters"][name] for visit in looks]
        return all(one.get("learns") and one.get("still") == 1 for one in seen)

    never = [name for name in last if name in names and is_never(name)]
    whole = sum(one["count"] for one in last.values())
    return never, {"unused": sum(last[name]["count"] for name in never) / max(1, whole)}


def named(names: Sequence[str]) -> str:
    """The first of them, for a person."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (", " + _("and {count} more", count=rest) if rest > 0 else "")
