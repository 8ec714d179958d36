"""A player that hardly tries anything: it learns from what it already does, and never meets what would be better.

The share of random moves is what the options say (`explore`, `explore_last`, `explore_moves` of dqn); what was really
done is in `view.evidence["actions"]` and `view.evidence["returns"]`, see gipi/jobs/act.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.messages import _

FEW = 0.1  # random moves of those that learning begins with; DQN (Mnih 2015) begins with 1 and has so many at the END
ALWAYS = 0.95  # of all remembered moves are one action, the random ones among them: the usual level of significance
USUAL_MOVES = 8_000  # until the share has fallen, as the system has it (rl-baselines3-zoo)


def check(view: View) -> Finding | None:
    if view.task != "act":
        return None
    share = _random_share(view.options)
    actions: Mapping[str, Any] = view.evidence.get("actions") or {}
    most = max(actions.get("shares") or [0.0])
    is_better = _is_better(view.evidence.get("returns") or {})
    is_schedule = share is not None and share < FEW
    if not is_schedule and (most < ALWAYS or is_better or len(actions.get("shares", ())) < 2):
        return None
    shown = {"random": share, "most": most, "better_than_chance": is_better, **(view.evidence.get("returns") or {})}
    if is_schedule:
        cause = _(
            "No exploration: of the moves that learning begins with {share} % are random, so the algorithm knows only "
            "what its untrained network chose, and what else might bring a reward is not in its data.",
            share=f"{100 * (share or 0):.1f}",
        )
    else:
        cause = _(
            "The player stopped exploring: {most} % of the moves that it remembers are one and the same action, and "
            "it is not better than chance.",
            most=f"{100 * most:.0f}",
        )
    severity = "problem" if is_schedule and not is_better else "warning"
    return Finding("no-exploration", severity, shown, cause, _remedies(view), _plot(actions))


def _random_share(options: Mapping[str, Any]) -> float | None:
    """Of the moves before the first stretch is learned from; None: the system has no such options."""
    names = ("explore", "explore_last", "explore_moves", "first_moves", "moves")
    first, last, falling, *played = (options.get(name) for name in names)
    if not isinstance(first, int | float) or not isinstance(last, int | float):
        return None
    moves = np.arange(max(1, sum(int(count or 0) for count in played)))
    falling = falling if isinstance(falling, int | float) and falling > 0 else 1
    return float(np.maximum(last, first + (last - first) * moves / falling).clip(0, 1).mean())


def _is_better(returns: Mapping[str, Any]) -> bool:
    """Whether the returns are above those of random moves, by the 95 % interval; unknown is no."""
    low, chance = returns.get("low"), returns.get("chance")
    return low is not None and chance is not None and low > chance


def _remedies(view: View) -> tuple[Remedy, ...]:
    options = view.options
    if not isinstance(options.get("explore"), int | float):
        return (Remedy(_("Choose some moves at random, most of them at first.")),)
    text = _("Begin with random moves, and let their share fall slowly.")
    names = ("explore", "explore_last", "explore_moves")
    usual = {name: view.usual[name] for name in names if view.usual.get(name, options.get(name)) != options.get(name)}
    if usual and not (_random_share({**options, **usual}) or 0) < FEW:
        return (Remedy(text, usual),)
    changes: dict[str, Any] = {"explore": 1.0}
    falling, before = options.get("explore_moves"), options.get("first_moves")
    if isinstance(falling, int) and falling < max(USUAL_MOVES, int(before or 0)):
        changes["explore_moves"] = USUAL_MOVES
    if not (options.get("explore_last") or 0) > 0:
        changes["explore_last"] = 0.04
    return (Remedy(text, changes),)


def _plot(actions: Mapping[str, Any]) -> Plot | None:
    if not actions.get("shares"):
        return None
    labels = [str(number) for number in range(len(actions["shares"]))]
    return Plot(_("Share of each action among the remembered moves"), {_("share"): actions["shares"]}, labels=labels)
