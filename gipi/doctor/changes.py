"""Remedies of checks on training as changes of options, where the run or its system has them; else nothing."""

from collections.abc import Sequence
from typing import Any

from gipi.doctor.finding import Remedy, View
from gipi.messages import _

APART = 3.0  # half a power of ten: what step sizes are usually tried in


def step_size_of(view: View) -> float | None:
    """As it was given, or found."""
    given = view.options.get("lr")
    if isinstance(given, int | float) and not isinstance(given, bool) and given > 0:
        return float(given)
    found = [look["step_size"] for look in view.history if isinstance(look.get("step_size"), int | float)]
    return max(found) if found and max(found) > 0 else None


def steps_times(view: View, factor: float) -> dict[str, Any]:
    """The step size, so many times as large, as a change of options; nothing where there is no such option."""
    size = step_size_of(view)
    return {"lr": float(f"{size * factor:.3g}")} if size and "lr" in view.options else {}


def usual_step(view: View, is_larger: bool) -> dict[str, Any]:
    """The step size that the system comes with, where it is at least three times as large (or small) as the run's."""
    size, usual = step_size_of(view), view.usual.get("lr")
    if size is None or not isinstance(usual, int | float) or isinstance(usual, bool):
        return {}
    is_far = usual >= APART * size if is_larger else usual <= size / APART
    is_same = view.options.get("optimizer") == view.usual.get("optimizer")  # step sizes are an optimizer's own
    return {"lr": float(usual)} if is_far and is_same else {}


def as_it_comes(view: View, is_larger: bool) -> tuple[Remedy, ...]:
    """The system's own step size as a remedy, where it is another one."""
    changes = usual_step(view, is_larger)
    if not changes:
        return ()
    return (Remedy(_("Take the step size that the system comes with: {size}.", size=f"{changes['lr']:g}"), changes),)


def smaller_steps(view: View) -> tuple[Remedy, ...]:
    """The system's own step size, where it is smaller, and a tenth of the run's; nothing where there is no option."""
    tenth = steps_times(view, 0.1)
    if not tenth:
        return ()
    return (*as_it_comes(view, is_larger=False), Remedy(_("Try a tenth of the step size."), tenth))


def longer(view: View, factor: float) -> dict[str, Any]:
    """So many times as long, as a change of options."""
    for name in ("steps", "epochs"):
        if isinstance(value := view.options.get(name), int) and value > 0:
            return {name: max(1, round(value * factor))}
    epochs = [look["epoch"] for look in view.history if isinstance(look.get("epoch"), int)]
    return {"epochs": round(max(epochs) * factor)} if epochs and "epochs" in view.options else {}


def optional(view: View, name: str, value: Any) -> dict[str, Any]:
    """A change of an option, where the run or its system has it."""
    return {name: value} if name in view.options else {}


def without(view: View, names: Sequence[str]) -> dict[str, Any]:
    """Columns that nothing is learned from any more, where they have names."""
    if view.frame is None or not names:
        return {}
    return optional(view, "drop", [*view.options.get("drop", ()), *names])


def normed(view: View) -> dict[str, Any]:
    """Normalisation after each layer, where there is none yet."""
    return {"norm": "batch"} if view.options.get("norm") == "none" else {}


def bent(view: View, activation: str, instead_of: tuple[str, ...] = ()) -> dict[str, Any]:
    """Another activation.

    Args:
        view: The run.
        activation: The one to take.
        instead_of: Only in place of these; of any other if empty.
    """
    own = view.options.get("activation")
    is_other = own in instead_of if instead_of else own not in (None, activation)
    return {"activation": activation} if is_other else {}


def adaptive(view: View) -> dict[str, Any]:
    """An optimizer that scales each weight's step by itself, with a step size of its own, in place of plain ones."""
    is_plain = view.options.get("optimizer") in ("sgd", "momentum", "nag")
    return {"optimizer": "adamw", "lr": None} if is_plain else {}
