"""The network cannot learn eight rows by heart, whatever the step size: something in it keeps answers from inputs."""

from collections.abc import Mapping
from typing import Any

from gipi.doctor.finding import Finding, Plot, Remedy, View
from gipi.doctor.tries import has_learned, number, probe
from gipi.messages import _

# Parts of the way from the best answer that is the same for all rows (0) to right answers (1). Eight rows that an
# affine map can tell apart are a thing of some dozen steps; a quarter of the way leaves room for a start that is slow
# but sound.
LITTLE = 0.25
HALF = 0.5  # where it is known that rows are mixed up, or that noise is added: it did not learn them
FAR = 10.0  # times the loss of one answer for all: an order of magnitude
# Answers to the same rows in another order, or once again, differ by rounding only: 1e-6 in float32, 1e-2 in bf16.
ROUNDING = 0.05


def check(view: View) -> Finding | None:
    found = probe(view, "memorised")
    last, expected, floor = (number(found, name) for name in ("last", "expected", "floor"))
    if expected is None or floor is None or not found.get("sizes") or has_learned(view):
        return None

    def way(loss: float | None) -> float:
        return -1.0 if loss is None else (expected - loss) / max(1e-12, expected - floor)

    random, mixed = number(found, "random") or 0.0, number(found, "mixed") or 0.0
    is_noisy = random > ROUNDING
    is_mixed = mixed > ROUNDING and mixed > 2 * random
    dropped = number(found, "with_dropout")
    is_dropped = way(last) >= HALF and dropped is not None and way(dropped) < LITTLE
    if not is_dropped and way(last) >= (HALF if is_mixed or is_noisy else LITTLE):
        return None
    begun = number(found, "first")
    is_coming = begun is not None and last is not None and begun > FAR * expected and last < begun
    if is_coming and expected > 0 and not is_mixed and not is_noisy:
        return None  # it began so far off that the way back is long: initial-loss
    evidence = {"rows": found.get("rows"), "steps": found.get("steps"), "first": found.get("first"), "last": last}
    evidence |= {"expected": expected, "floor": floor, "with_dropout": dropped, "mixed": mixed, "random": random}
    said = {"rows": found.get("rows"), "last": "-" if last is None else f"{last:.3g}", "expected": f"{expected:.3g}"}
    cause, remedies = _said(view, said, is_dropped, is_mixed, is_noisy)
    return Finding("cannot-memorise", "problem", evidence, cause, remedies, _plot(found, expected, floor))


def _said(
    view: View, said: Mapping[str, Any], is_dropped: bool, is_mixed: bool, is_noisy: bool
) -> tuple[str, tuple[Remedy, ...]]:
    if is_dropped:
        cause = _(
            "The network learns {rows} rows by heart without dropout but not with it: dropout takes away so much that "
            "hardly anything of the input is left.",
            rows=said["rows"],
        )
        dropout = view.options.get("dropout")
        changes = {"dropout": 0.2} if isinstance(dropout, int | float) and dropout > 0.2 else {}
        return cause, (Remedy(_("Drop less: 0.1 to 0.5 in hidden layers (Srivastava 2014), less of inputs."), changes),)
    if is_mixed:
        cause = _(
            "The network cannot learn {rows} rows by heart (loss {last}; one answer for all costs {expected}): its "
            "answer to a row changes with the order of the batch, so it mixes rows up.",
            **said,
        )
        return cause, (Remedy(_("Look for a view, reshape or transpose that moves the axis of the rows.")),)
    if is_noisy:
        cause = _(
            "The network cannot learn {rows} rows by heart (loss {last}; one answer for all costs {expected}): noise "
            "in it drowns the input, also in eval mode.",
            **said,
        )
        return cause, (Remedy(_("Add noise while it trains only, and less of it than the signal is.")),)
    cause = _(
        "The network cannot learn {rows} rows by heart with any of several step sizes (loss {last}; one answer for all "
        "costs {expected}): this model cannot learn these targets from these inputs.",
        **said,
    )
    remedies = (
        Remedy(
            _(
                "Look for what keeps the input from the answer: weights that begin at zero or all alike, units that "
                "are dead or saturated, a layer of one unit, an input that is cut off."
            )
        ),
        Remedy(_("Begin with a model that is known to learn, and change one thing at a time.")),
    )
    return cause, remedies


def _plot(found: Mapping[str, Any], expected: float, floor: float) -> Plot:
    tried = [(size, loss) for size, loss, _steps in found["sizes"] if loss is not None]
    bars = [expected, *(loss for _size, loss in tried), floor]
    labels = [_("one answer for all"), *(f"{size:g}" for size, _loss in tried), _("right answers")]
    return Plot(_("loss on rows to be learned by heart, by step size"), {"": bars}, labels=labels)
