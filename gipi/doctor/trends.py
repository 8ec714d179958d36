"""What several checks ask of a training: did its loss fall, does it still, how large were its steps, what is chance."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gipi.doctor.finding import View

SIGNIFICANT = 2.58  # standard errors: one time in a hundred by chance
LITTLE = 0.9  # of the loss that chance gives: who has not saved a tenth of it has learned next to nothing
STOPPED = 0.01  # of the largest step size: a hundred such steps do what one did before
ENOUGH = 100  # steps: of customary size they change the weights by a tenth
FEWEST = 30  # steps, before it is said: of customary size they change the weights by three hundredths at most
BEYOND = 100.0  # losses of chance: answers that are ten times as far off as the targets are spread, and more
NO_LOSS_TO_FALL = ("act",)  # tasks whose loss follows a target that moves, and need not fall
CUSTOMARY = 1e-3  # update to weight: "somewhere around 1e-3", Karpathy, CS231n notes, Neural Networks Part 3


def curve_of(view: View) -> np.ndarray | None:
    """`(n, 2)` step and loss of the one player, whose loss should fall; None where there is no such thing."""
    if len(view.curve) != 1 or view.task in NO_LOSS_TO_FALL:
        return None
    (points,) = view.curve.values()
    points = np.asarray(points, float).reshape(-1, 3)
    points = points[np.isfinite(points[:, 1])]
    return points[:, :2] if len(points) >= 8 else None  # two for each quarter


def quarter(curve: np.ndarray, number: int) -> np.ndarray:
    """The losses of the first, second, third or last quarter, 0 to 3."""
    return np.array_split(curve[:, 1], 4)[number]


def fall(before: np.ndarray, after: np.ndarray) -> float:
    """By how many standard errors the mean of some losses lies below that of earlier ones."""
    error = math.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
    return float((before.mean() - after.mean()) / error) if error > 0 else 0.0


def still_falls(curve: np.ndarray) -> bool:
    """Whether the loss still falls significantly, the last half bringing a third of the whole (of a line: two)."""
    first, second, _third, last = (quarter(curve, number) for number in range(4))
    return fall(second, last) > SIGNIFICANT and second.mean() - last.mean() > (first.mean() - last.mean()) / 3


def was_off_at_first(view: View) -> bool:
    """Whether the loss was beyond all bounds before the first step was taken, so that no step is to blame."""
    first = view.probes.get("first") or {}
    loss, chance = first.get("loss"), chance_of(view)
    if not isinstance(loss, int | float) or chance is None:
        return False
    return not math.isfinite(loss) or loss > BEYOND * chance


def failed_before_any_step(view: View) -> bool:
    """Whether the first loss of all was no number: it is not for the steps then."""
    return bool(view.faults) and view.faults[0].get("step") == 0


def chance_of(view: View) -> float | None:
    """The loss of who knows the frequencies of the answers, and nothing else."""
    first = view.probes.get("first") or {}
    expected = first.get("expected")
    if isinstance(expected, int | float) and math.isfinite(expected) and expected > 0:
        return float(expected)
    loss = view.options.get("loss")
    if view.target_kind == "class" and view.y is not None and loss in (None, "cross_entropy"):
        return entropy_of(view)
    if view.target_kind == "number" and loss in (None, "mse") and view.options.get("distribution", "point") == "point":
        return 1.0  # targets are standardised, and the mean of them is off by their variance
    return None


def entropy_of(view: View) -> float | None:
    """Of the classes of the training rows, in nats."""
    y = np.asarray(view.y).reshape(-1)[:1_000_000]
    if "train" in view.parts and view.y is not None:
        y = np.asarray(view.y)[np.asarray(view.parts["train"])]
    counts = np.unique(y, return_counts=True)[1]
    share = counts / max(1, counts.sum())
    found = float(-(share * np.log(share)).sum()) if len(share) else 0.0
    return found if found > 0 else None


def start_of(view: View, curve: np.ndarray) -> float:
    """The loss to compare with: what chance gives, where that is known, else how it began."""
    return chance_of(view) or max(float(curve[0, 1]), 0.0)


def stopped_at(view: View) -> float | None:
    """The step from which on the step size is next to nothing, if that is before half of the run is over.

    None, too, where there was time to learn and the loss no longer fell: then it is right to let the step size fall.
    """
    curve, sizes = curve_of(view), _step_sizes(view)
    if curve is None or len(sizes) < 4:
        return None
    end, most = curve[-1, 0], sizes[:, 1].max()
    moving = sizes[sizes[:, 1] >= STOPPED * most, 0]
    if not most > 0 or moving[-1] > end / 2:
        return None
    before = curve[curve[:, 0] <= moving[-1], 1]
    steps = np.interp(np.linspace(0, end, 1000), sizes[:, 0], sizes[:, 1]).mean() * end / most  # as many of full size
    had_time = steps >= ENOUGH and len(before) >= 8
    return None if had_time and fall(*np.array_split(before, 4)[2:]) < SIGNIFICANT else float(moving[-1])


def _step_sizes(view: View) -> np.ndarray:
    """`(n, 2+)` step and step size."""
    if len(view.step_sizes):
        return view.step_sizes
    own = [look for look in view.history if look.get("member", 0) == 0 and "step_size" in look]
    return np.array([(look["step"], look["step_size"]) for look in own], float).reshape(-1, 2)


def learned_little(view: View) -> bool:
    """Whether the training loss ends near, or above, what chance gives."""
    curve = curve_of(view)
    if curve is None or curve[-1, 0] < FEWEST:
        return False
    start = start_of(view, curve)
    return start > 0 and float(np.median(quarter(curve, 3))) >= LITTLE * start


def went_on(view: View) -> bool:
    """Whether training went on after it had gone wrong, and came to its end."""
    return bool(view.faults and view.history) and view.history[-1].get("step", 0) > view.faults[-1].get("step", 0)


# --- looks -------------------------------------------------------------------------------------------------------


def looks_of(view: View) -> list[Mapping[str, Any]]:
    """The looks that have seen something."""
    return [visit for visit in view.visits if "failed" not in visit and "parameters" in visit]


def matrices(visit: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Parameters that multiply something and are learned: of a bias, which begins at zero, a ratio says nothing."""
    for name, one in visit["parameters"].items():
        if len(one.get("shape", ())) >= 2 and one["learns"] and one["weight"] and math.isfinite(one["weight"]):
            yield name, one


def ratio_of(visit: Mapping[str, Any]) -> float | None:
    """What a step changed the weights by, as a part of them: the middle one of the layers that get a gradient."""
    found = [one["update"] / one["weight"] for _n, one in matrices(visit) if one["update"] and one["still"] < 0.9]
    found = [ratio for ratio in found if math.isfinite(ratio)]
    return float(np.median(found)) if found else None


def ratios_of(view: View) -> list[tuple[int, float]]:
    """Step and update-to-weight ratio at each look."""
    found = [(visit["step"], ratio_of(visit)) for visit in looks_of(view)]
    return [(step, ratio) for step, ratio in found if ratio is not None]


def path_of(view: View) -> float:
    """How far the weights can have gone, as a part of themselves, had all steps gone in one direction."""
    ratios = ratios_of(view)
    if not ratios:
        return math.inf
    steps, sizes = zip(*ratios, strict=True)
    last = max([view.steps, steps[-1] + 1, *(look.get("step", 0) for look in view.history[-1:])])
    if view.history:
        last = max(steps[-1] + 1, view.history[-1].get("step", last))
    return float(np.interp(np.linspace(0, last, 1000), steps, sizes).mean() * last)


def handed_back(visit: Mapping[str, Any]) -> list[tuple[str, float]]:
    """How large the gradient is that reaches each layer from behind, first to last, in units of its own.

    A layer's weights get it times what comes into the layer, so it is their gradient divided by the size of that: where
    each layer of ReLUs makes what it is given larger, it grows from last to first and the weights' gradient does not.
    """
    inputs = visit.get("inputs") or {}
    return [(name, size / inputs[name]) for name, size in by_depth(visit) if inputs.get(name, 0.0) > 0]


def by_depth(visit: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The gradient's root mean square of each layer's weights, in the order in which a batch passes them.

    Of weights of which only some were used (an embedding's) that of those.
    """
    weights = dict(matrices(visit))
    found = []
    for name in visit.get("order", ()):
        one = weights.get(f"{name}.weight")
        if one and one["gradient"] is not None and math.isfinite(one["gradient"]) and one["still"] < 0.9:
            found.append((name, one["gradient"] / math.sqrt(1 - one["still"])))
    return found


def rows_of(view: View) -> int | None:
    """In a batch."""
    size = view.options.get("batch_size")
    if isinstance(size, int) and size > 0:
        return size
    seen = [visit["rows"] for visit in looks_of(view) if visit.get("rows")]
    return seen[0] if seen else None
