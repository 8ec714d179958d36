"""`gipi fit`: from data to a kept model with an honest verdict.

Options are sorted here: the verb's own, the system's, and objects of a person's own; jobs/ does the rest.
"""

import dataclasses
from dataclasses import fields
from os import PathLike
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError
from gipi.jobs.options import Fit
from gipi.messages import _, use
from gipi.process import large_imports
from gipi.systems import recipe

if TYPE_CHECKING:
    from gipi.run import Run

OWN = ("model", "loss", "optimizer")  # what a person may put in place of ours, as objects
WEIGHTS = ("weights", "from", "warm_start")  # names of the same option


def fit(data: Any, **options: Any) -> "Run":
    """Train a model on data, judge it, keep it.

    Args:
        data: A path to a table or a folder of pictures, a name (`gipi data` lists them), a frame, arrays `(X, y)`, a
            PyTorch data set, an environment (`gym:CartPole-v1`), or a stream of one's own.
        **options: Any field of `gipi.jobs.options.Fit` (target, system, epochs, seed, folds ...), any field of the
            system's Config (hidden, dropout, lr, optimizer ...), and in place of ours: `model` (an nn.Module, or a
            function of sizes), `loss` (a function of output and target), `optimizer` (a function of parameters),
            `system` (a module of one's own). Each is checked; an unknown one is refused.

    Returns:
        The run: `.metrics`, `.verdict`, `.predict(rows)`, `.save(path)`, `.report` ...

    Raises:
        DataError: The data cannot be used; says which row or column, and what to do.
        UsageError: An option is unknown or does not apply.
        TrainingError: Training diverged; the run folder has the curve.

    Example:
        >>> import gipi
        >>> run = gipi.fit("iris", system="linear", run="/tmp/iris-linear", quiet=True)  # doctest: +SKIP
        >>> run.metrics["accuracy"] > 0.9                                                # doctest: +SKIP
        True
    """
    with large_imports():
        from gipi.jobs.carry import carry_out
        from gipi.jobs.request import Request
        from gipi.run import Run

    chosen, system_options, own, system = sort_options(options)
    use(chosen.lang)
    return Run(carry_out(Request(data, chosen, system_options, own, system)), {**own, "system": system})


def sort_options(options: dict[str, Any]) -> tuple[Fit, dict[str, Any], dict[str, Any], Any]:
    """Options of the verb, options of the system, objects in place of ours, and a system of one's own."""
    options = {name: value for name, value in options.items() if value is not None}
    if len(said := [name for name in WEIGHTS if name in options]) > 1:
        raise UsageError(_("{names} are names of one option; give one of them", names=", ".join(said)))
    options = _with_recipe({("weights" if name in WEIGHTS else name): value for name, value in options.items()})
    own = {name: options.pop(name) for name in OWN if callable(options.get(name))}
    if not isinstance(options.get("model"), str | None):
        text = _(
            "model must be a module, or a function of sizes that makes one; {came} came; ours are named by system",
            came=repr(options["model"])[:60],
        )
        raise UsageError(text)
    system = None if isinstance(options.get("system"), str | None) else options.pop("system")
    known = {f.name: f for f in fields(Fit)}
    chosen = {name: _as_typed(known[name], options.pop(name)) for name in list(options) if name in known}
    return Fit(**chosen), options, own, system


def _with_recipe(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a recipe, and what was said beside it."""
    name, system = options.get("recipe"), options.get("system")
    if name is None:
        return options
    if not isinstance(name, str) or not isinstance(system, str | None):
        raise UsageError(_("a recipe is the name of a set of options of one of gipi's systems"))
    found, begun = recipe(name, system)
    return {**begun, **options, "system": found}


def _as_typed(known: dataclasses.Field, value: Any) -> Any:
    """Paths and runs become text, and lists tuples; `gipi.jobs.checks` sees to all else."""
    from gipi.run import Run

    if "tuple" in str(known.type) and isinstance(value, (list, set)):
        return tuple(value)
    if known.name == "positive" and isinstance(value, int):  # a label; numbers are labels too
        return str(int(value))
    if known.name in ("run", "valid", "test", "weights") and isinstance(value, (PathLike, Run)):
        return str(getattr(value, "path", value))
    return value
