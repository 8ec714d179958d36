"""A forger whose pictures are much alike, or that never makes whole kinds of pictures: it found a few that pass.

What is looked at is in `view.evidence["variety"]`, see gipi/tasks/variety.py: generated pictures beside as many real
ones, along the axes in which real ones differ.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gipi.doctor.changes import smaller_steps
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.messages import _

COPIES = 0.5  # of the pictures: the usual one has a twin that is nearer than those of 99 of 100 real ones are
SOME_COPIES = 0.1  # ten times as many as among real pictures, where it is a hundredth by definition
MISSING = 0.5  # of the real pictures are of kinds that are hardly made: more than not
HARDLY = 0.1  # of its share: of 25 pictures that are due 2 come or fewer, by chance 2 times in 10^8 (Poisson)
SEEN = 0.5  # of the pictures look real; else kinds cannot be told
EVEN = 0.5  # of the spread of real ones; a forger begins far below
MOVED = 1.0  # of its size: so far a weight has gone in all its steps before what it began with may be forgotten
USUAL_LATENT = 64  # where the system does not say; DCGAN (Radford 2015) has 100


def check(view: View) -> Finding | None:
    held: Mapping[str, Any] = view.evidence.get("variety") or {}
    if not held or not all(np.isfinite([held["copies"], held["spread"], held["seen"]])):
        return None
    copies, missing = held["copies"], _missing(held)
    if copies < SOME_COPIES and missing < MISSING:
        return None
    if held["spread"] < EVEN and _is_begun(view):
        return None
    severity = "problem" if copies >= COPIES or missing >= MISSING else "warning"
    are_copies = copies >= COPIES or missing < MISSING
    shown = {"copies": copies, "missing": missing, "spread": held["spread"], "rows": held["rows"]}
    if are_copies:
        cause = _(
            "Mode collapse: {share} of {rows} generated pictures are near-copies of each other (1 % among as many real "
            "ones); the forger found a few pictures that pass and makes them again and again.",
            share=f"{100 * copies:.0f} %",
            rows=held["rows"],
        )
    else:
        cause = _(
            "Mode collapse: {share} of the real pictures are of kinds that the forger hardly ever makes; it found a "
            "few kinds that pass and leaves out the others.",
            share=f"{100 * missing:.0f} %",
        )
    return Finding("mode-collapse", severity, shown, cause, _remedies(view), _plot(held, are_copies))


def _missing(held: Mapping[str, Any]) -> float:
    """The share of the real pictures that are in groups where hardly a generated one is."""
    made, real = np.array(held["groups"]), np.array(held["groups_real"])
    if not len(real) or held["seen"] < SEEN:
        return 0.0
    return float(real[made <= HARDLY * real].sum())


def _is_begun(view: View) -> bool:
    """Whether it has hardly learned yet, since every forger's first pictures are alike.

    Then those of training were not even seen once, or all steps together are shorter than the weights are large.
    """
    done = max((int(record.get("step", 0)) for record in view.history), default=view.steps)
    rows = len(view.parts.get("train", ()))
    if done * int(view.options.get("batch_size") or 1) < rows:
        return True
    moves = []
    for visit in view.visits:
        own = {**visit.get("parameters", {})}
        forger = {name: one for name, one in own.items() if name.startswith(("forger.", "generator."))} or own
        sizes = [(one.get("update"), one.get("weight")) for one in forger.values()]
        moves += [update / weight for update, weight in sizes if update and weight]
    return bool(moves) and float(np.mean(moves)) * done < MOVED


def _remedies(view: View) -> tuple[Remedy, ...]:
    found: list[Remedy] = []
    latent, rows, usual = view.options.get("latent"), view.options.get("batch_size"), view.usual.get("latent")
    usual = usual if isinstance(usual, int) else USUAL_LATENT
    if isinstance(latent, int) and latent < usual:
        found.append(Remedy(_("Give the forger more noise to make differences of."), {"latent": usual}))
    found += smaller_steps(view)
    if isinstance(rows, int) and rows > 0:
        found.append(Remedy(_("Show the inspector more pictures at once."), {"batch_size": 2 * rows}))
    return tuple(found)


def _plot(held: Mapping[str, Any], are_copies: bool) -> Plot:
    if are_copies:
        lines = {_("generated"): held["made"], _("real"): held["real"]}
        percent = np.linspace(0, 100, len(held["real"])).tolist()
        return Plot(_("Distance to the most similar other picture, by percent of the pictures"), lines, percent)
    lines = {_("generated"): held["groups"], _("real"): held["groups_real"]}
    return Plot(_("Share of the pictures in each group of similar real ones"), lines)
