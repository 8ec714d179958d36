"""A training that never left the loss of chance, in a network that is large enough, can bend, and is not held back."""

from gipi.doctor.finding import View
from gipi.doctor.straight_lines import ahead_of
from gipi.doctor.trends import curve_of, learned_little, looks_of, path_of, still_falls
from gipi.doctor.tries import number, probe

POINTS = 40  # of the curve: ten for each quarter
HALF = 0.5  # of the way from chance to the floor, by definition: then a few rows were learned by heart
MOVED = 0.1  # of themselves that the weights can have changed by, all steps added up; of less see step_too_small.py
STRONG = 0.5  # dropout above which less than half of a layer is there to learn with
DECAY = 0.01  # that weights shrink by at each step (step size times decay): in a hundred steps to a third


def is_stuck(view: View) -> bool:
    """Whether nothing was learned, and size, dropout and weight decay are not to blame."""
    curve, found = curve_of(view), probe(view, "memorised")
    expected, floor, last = (number(found, name) for name in ("expected", "floor", "last"))
    if curve is None or len(curve) < POINTS or not learned_little(view) or still_falls(curve):
        return False
    if expected is None or floor is None or last is None or expected - last < HALF * (expected - floor):
        return False
    looks = looks_of(view)
    if not any(look.get("layers") for look in looks) or path_of(view) < MOVED or _is_held_back(view):
        return False
    return ahead_of(view) is None


def _is_held_back(view: View) -> bool:
    dropout, decay, lr = (view.options.get(name) for name in ("dropout", "weight_decay", "lr"))
    if isinstance(dropout, int | float) and dropout > STRONG:
        return True
    return isinstance(decay, int | float) and isinstance(lr, int | float) and decay * lr > DECAY
