"""A language model that goes round in circles: what it writes repeats itself more than what it learned from does.

What it wrote is in `view.evidence["repeats"]`, see gipi/tasks/repeats.py. A model that has not learned to guess better
than the counts of tokens do is untrained, which is another fault. And one that knows no more than the last token must
go round in circles if it always takes the likeliest: each token is followed by the same one whenever it comes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gipi.doctor.changes import smaller_steps
from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.messages import _

MOSTLY = 0.5  # of a text is said for the second time or more: more is repeated than new
NATURAL = -2  # of 21 quantiles: 95 % of the stretches of the training text repeat less
FEWEST = 3  # points of a curve


def check(view: View) -> Finding | None:
    held: Mapping[str, Any] = view.evidence.get("repeats") or {}
    if not held.get("natural"):
        return None
    drawn, likeliest = (float(np.median(held[name])) if held[name] else 0.0 for name in ("drawn", "likeliest"))
    most = held["natural"][NATURAL]
    alone, after_one = held["entropies"]
    is_mostly = drawn > max(most, MOSTLY)
    is_more = bool(held["drawn"]) and min(held["drawn"]) > held["natural"][-1]  # each than all of the training text
    is_drawn = (is_mostly or is_more) and _is_below(view, alone)
    is_likeliest = likeliest > max(most, MOSTLY) and _is_below(view, after_one)
    if not is_drawn and not is_likeliest:
        return None
    usual = held["natural"][len(held["natural"]) // 2]
    shown = {"drawn": drawn, "likeliest": likeliest, "training_text": usual, "most": most, "run": held["run"]}
    words = {"run": held["run"], "usual": f"{100 * usual:.0f}", "piece": held.get("piece", "")}
    if is_drawn:
        cause = _(
            "What the model writes repeats itself: {share} % of its runs of {run} tokens stood in the same text before "
            "({usual} % in the training text), as here: {piece}",
            share=f"{100 * drawn:.0f}",
            **words,
        )
        remedies = (*_of_training(view), _warmer())
    else:
        cause = _(
            "When it always takes the likeliest token the model goes round in circles: {share} % of its runs of {run} "
            "tokens stood in the same text before ({usual} % in the training text); what is drawn does not: {piece}",
            share=f"{100 * likeliest:.0f}",
            **words,
        )
        remedies = (_warmer(), *_of_training(view))
    severity = "problem" if is_drawn and is_mostly else "warning" if is_drawn else "note"
    labels = [_("training text, usual"), _("training text, most"), _("drawn"), _("likeliest")]
    bars = {_("repeated"): [usual, most, drawn, likeliest]}
    plot = Plot(_("Share of runs of tokens that stood in the same text before"), bars, labels=labels)
    return Finding("repetition", severity, shown, cause, remedies, plot)


def _is_below(view: View, entropy: float) -> bool:
    """Whether the last training loss is below this, so that more was learned than such counts say."""
    curve = next((np.asarray(one, float) for one in view.curve.values() if len(one) >= FEWEST), None)
    return curve is None or float(np.mean(curve[-max(1, len(curve) // 10) :, 1])) < entropy


def _warmer() -> Remedy:
    return Remedy(_("Draw tokens instead of taking the likeliest: gipi generate with --temperature 1 --top-p 0.9."))


def _of_training(view: View) -> tuple[Remedy, ...]:
    found, context = [*smaller_steps(view)], view.options.get("context")
    if isinstance(context, int) and context > 0:
        found.append(Remedy(_("Let it look at more tokens together."), {"context": 2 * context}))
    return tuple(found)
