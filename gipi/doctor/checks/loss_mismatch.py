"""What the network gives is not what the loss wants, or the loss does not measure what is meant."""

from collections.abc import Mapping, Sequence
from typing import Any

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import number, outputs, probe
from gipi.messages import _

EXACT = 1e-3  # relative: sums in float32 agree better, and no coincidence comes so close
CLEAR = 0.01  # of the loss, by which two ways to count it must differ to be told apart
LEFT = 0.1  # of the loss of guessing, as in softmax_twice.py
BOUNDED = 2.0  # as there
MANY = 0.05  # of the targets out of reach: more than outliers are
MOVED = 1e-3  # of the loss, as there
ADAPTIVE = (
    "adam",
    "adamw",
    "nadam",
    "radam",
    "rmsprop",
    "adagrad",
    "adadelta",
    "lars",
    "muon",
)  # forget a loss's scale

Said = tuple[str, str, dict[str, Any], Remedy]  # severity, cause, evidence, remedy


def check(view: View) -> Finding | None:
    for look in (_counted, _spread, _scores, _bounded, _unrewarded, _out_of_reach, _recognised):
        if found := look(view):
            severity, cause, evidence, remedy = found
            plot = _plot(evidence)
            return Finding("loss-mismatch", severity, evidence, cause, (remedy,), plot)  # type: ignore[arg-type]
    return None


def _counted(view: View) -> Said | None:
    """A sum over the batch, or a mean that is taken twice."""
    found = probe(view, "reduction")
    together, alone, rows = (number(found, name) for name in ("together", "alone", "rows"))
    if together is None or not alone or not rows or rows < 3:
        return None
    evidence = {"together": together, "mean_of_rows": alone, "rows": int(rows)}
    if _is_close(together, alone * rows):
        name = str(view.options.get("optimizer") or "").lower()
        severity = "warning" if name in ADAPTIVE and not view.error else "problem"
        cause = _(
            "The loss of a batch is the sum of its rows' losses, not their mean: the gradient grows with the batch, so "
            "a step size that is right for one batch size is far too large for another."
        )
        return severity, cause, evidence, Remedy(_("Take the mean: reduction='mean', or .mean() in place of .sum()."))
    if _is_close(together, alone / rows):
        cause = _(
            "The loss of a batch is the mean of its rows' losses divided by their number once more: the gradient, and "
            "with it every step, is as many times too small as the batch has rows."
        )
        return "warning", cause, evidence, Remedy(_("Divide once: leave out the division by the length of the batch."))
    return None


def _spread(view: View) -> Said | None:
    """Outputs `(B, 1)` against targets `(B,)`."""
    found = probe(view, "reduction")
    together, alone, pairs = (number(found, name) for name in ("together", "alone", "pairs"))
    if together is None or alone is None or pairs is None or _is_close(together, alone, CLEAR):
        return None
    if not _is_close(together, pairs):
        return None
    cause = _(
        "The loss compares each row's answer with the targets of all rows: output (B, 1) and target (B,) are broadcast "
        "to (B, B), so the network can only learn the mean."
    )
    evidence = {"together": together, "mean_of_rows": alone, "mean_of_pairs": pairs}
    return "problem", cause, evidence, Remedy(_("Bring both to one shape: y[:, None], or output.squeeze(1)."))


def _scores(view: View) -> Said | None:
    """nll_loss of what is no logarithm of probabilities; a logarithm of scores."""
    wanted, seen = probe(view, "wanted"), outputs(view)
    if not wanted or not seen:
        return None
    is_log = all(one.get("is_log_distribution") or one.get("end") == "log_softmax" for one in seen)
    evidence = {"certain": wanted.get("certain"), "best": wanted.get("best"), "end": seen[0].get("end", "")}
    if wanted.get("linear") and not is_log:
        cause = _(
            "The loss wants logarithms of probabilities and is given something else: it falls without end as numbers "
            "grow, whether the answers are right or not."
        )
        return (
            "problem",
            cause,
            evidence,
            Remedy(_("Take cross_entropy for scores, or end the network in log_softmax.")),
        )
    low = number(seen[0], "low")
    takes_logarithm = "even" in wanted and wanted["even"] is None and number(wanted, "certain") is not None
    if takes_logarithm and low is not None and low < 0:
        cause = _(
            "The loss takes the logarithm of what the network gives, which is below zero at times: it wants "
            "probabilities, and is given scores."
        )
        return (
            "problem",
            cause,
            evidence,
            Remedy(_("Take cross_entropy (or bce with logits), which is made for scores.")),
        )
    return None


def _bounded(view: View) -> Said | None:
    """A sigmoid, or another bounded end, before a loss that wants scores; a sigmoid within the loss."""
    wanted, seen = probe(view, "wanted"), outputs(view)
    even, certain, best, worst = (number(wanted, name) for name in ("even", "certain", "best", "worst"))
    if not seen or not even or even <= 0 or certain is None or best is None:
        return None
    end = seen[0].get("end", "")
    is_distribution = end == "softmax" or all(one.get("is_distribution") for one in seen)
    is_in_unit = end == "sigmoid" or _lies_in_unit(seen)
    if (number(wanted, "won") or 0.0) < 0.5:
        return None
    evidence = {"guessing": even, "certain": certain, "best": best, "end": end}
    if seen[0].get("columns") and end == "softmax" and not seen[0].get("is_distribution"):
        cause = _(
            "Softmax is taken over the rows of the batch, not over the classes: what a row gets depends on which other "
            "rows are in its batch."
        )
        return "problem", cause, evidence, Remedy(_("Leave it out: cross_entropy takes scores; elsewhere softmax(1)."))
    if (is_in_unit or end == "tanh") and not is_distribution and certain > LEFT * even and best < certain / 2:
        cause = _(
            "The network ends in a {end}, and the loss wants scores without bounds: even sure and right answers cost "
            "{certain}, where guessing costs {even}.",
            end=end or "sigmoid",
            certain=f"{certain:.3g}",
            even=f"{even:.3g}",
        )
        return (
            "problem",
            cause,
            evidence,
            Remedy(_("Take the last activation away: the loss makes probabilities itself.")),
        )
    shifts = number(wanted, "shifts")
    is_squeezed = worst is not None and worst < BOUNDED * even and best > LEFT * even
    if is_squeezed and shifts is not None and abs(shifts) > MOVED * even:
        cause = _(
            "The loss squeezes scores into bounds before the cross-entropy makes probabilities of them: even sure and "
            "right answers cost {certain}, where guessing costs {even}.",
            certain=f"{best:.3g}",
            even=f"{even:.3g}",
        )
        return "problem", cause, evidence, Remedy(_("Give the scores to cross_entropy as they are, without a sigmoid."))
    return None


def _unrewarded(view: View) -> Said | None:
    """Right answers are not the best ones."""
    wanted = probe(view, "wanted")
    won, unseen = number(wanted, "won"), number(wanted, "unseen") or 0
    sides = [*(wanted.get("neighbour") or {}).values()]
    if won is None or (won == 0 and sides.count(1) == 1):
        return None  # the class on one side of it is rewarded: shifted-targets
    is_number = "even" not in wanted
    evidence = {"right_answers_win": won, "outputs_not_looked_at": int(unseen)}
    if won < (1 if is_number else 0.5) or (won == 0 and not is_number):
        cause = (
            _(
                "The loss does not cost least where the answer is right: what it measures is not the error that is "
                "meant."
            )
            if is_number
            else _(
                "The loss does not cost less where the right class has the highest score: it does not measure what is "
                "meant, as when squared errors are taken of class numbers."
            )
        )
        changes = {"loss": "mse" if is_number else "cross_entropy"} if "loss" in view.options else {}
        remedy = Remedy(_("For classes take cross_entropy; for numbers mse, mae or huber."), changes)
        return "problem", cause, evidence, remedy
    if unseen:
        cause = _(
            "The loss never looks at {count} of the network's outputs: they learn nothing, and still count in the "
            "answer.",
            count=int(unseen),
        )
        return "problem", cause, evidence, Remedy(_("For classes take cross_entropy, which looks at all scores."))
    return None


def _out_of_reach(view: View) -> Said | None:
    """Targets that the last activation can never give."""
    found = probe(view, "output")
    share, end = number(found, "outside"), found.get("end")
    if not share or share < MANY or view.target_kind in ("class", "labels"):
        return None
    cause = _(
        "The network ends in a {end}, which can never give {share} of the targets, however long it learns.",
        end=end,
        share=f"{share:.0%}",
    )
    return "problem", cause, {"end": end, "out_of_reach": share}, Remedy(_("Let the last layer be linear."))


def _recognised(view: View) -> Said | None:
    """Which loss it is, where only its value was seen; see wanted.recognised."""
    name = str(view.probes.get("recognised") or "")
    seen = outputs(view)
    end = seen[0] if seen else {}
    said = {"loss": name}
    is_in_unit = (_lies_in_unit(seen) or end.get("end") == "sigmoid") and not end.get("is_distribution")
    if name.endswith(" of pairs"):
        cause = _(
            "The loss compares each row's answer with the targets of all rows: output (B, 1) and target (B,) are "
            "broadcast to (B, B), so the network can only learn the mean."
        )
        return "problem", cause, said, Remedy(_("Bring both to one shape: y[:, None], or output.squeeze(1)."))
    if name.endswith(" sum"):
        cause = _(
            "The loss of a batch is the sum of its rows' losses, not their mean: the gradient grows with the batch, so "
            "a step size that is right for one batch size is far too large for another."
        )
        return "warning", cause, said, Remedy(_("Take the mean: reduction='mean', or .mean() in place of .sum()."))
    if name in ("nll of scores", "nll of probabilities"):
        return None if name != "nll of scores" or end.get("is_log_distribution") else _nll(said)
    if (name in ("cross_entropy", "bce") and is_in_unit) or name in ("cross_entropy of sigmoid", "bce of sigmoid"):
        cause = _(
            "A sigmoid is taken before a loss that wants scores and makes probabilities itself: even sure and right "
            "answers cost something, and gradients are small."
        )
        return "problem", cause, said, Remedy(_("Take the last activation away: the loss makes probabilities itself."))
    return None


def _lies_in_unit(seen: Sequence[Mapping[str, Any]]) -> bool:
    """Whether outputs lay within 0 and 1 whenever they were seen, though they differ from row to row."""
    differ = [(number(one, "spread") or 0.0) > CLEAR * (number(one, "size") or 0.0) for one in seen]
    return len(seen) > 2 and all(one.get("in_unit") for one in seen) and all(differ)


def _nll(said: dict[str, Any]) -> Said:
    cause = _(
        "The loss wants logarithms of probabilities and is given something else: it falls without end as numbers grow, "
        "whether the answers are right or not."
    )
    return "problem", cause, said, Remedy(_("Take cross_entropy for scores, or end the network in log_softmax."))


def _is_close(one: float, other: float, share: float = EXACT) -> bool:
    return abs(one - other) <= share * max(abs(one), abs(other), 1e-12)


def _plot(evidence: Mapping[str, Any]) -> Plot | None:
    names = {
        "together": _("the batch"),
        "mean_of_rows": _("the mean of its rows"),
        "mean_of_pairs": _("the mean of all pairs"),
        "guessing": _("guessing"),
        "certain": _("sure and right, 0 to 1"),
        "best": _("the best there could be"),
    }
    shown = {said: evidence[name] for name, said in names.items() if isinstance(evidence.get(name), int | float)}
    return Plot(_("loss"), {"": [*shown.values()]}, labels=[*shown]) if len(shown) > 1 else None
