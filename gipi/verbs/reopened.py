"""A run's own data, opened once more: for verbs that look at the rows it was judged by."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.run import Run

if TYPE_CHECKING:
    from gipi.jobs.material import Material


def own_material(source: Any, hint: str) -> "Material":
    """The data of a run with its parts, the same rows as then.

    Args:
        source: A run, its folder or name.
        hint: What to type to give other data.

    Raises:
        UsageError: It is no run, or its data was in memory.
        RunError: The data is not what it was.
    """
    from gipi.data.split import fingerprint
    from gipi.jobs.material import gather
    from gipi.jobs.options import Fit

    if hasattr(source, "schema") or (not isinstance(source, Run) and Path(source).suffix == ".gipi"):
        raise UsageError(_("a bundle has no data; give some: {hint}", hint=hint))
    run = source if isinstance(source, Run) else Run(source)
    place = run.record.get("source")
    if place is None:
        raise UsageError(_("the data of the run {name} was in memory; give it again: {hint}", name=run.name, hint=hint))
    material = gather(place, Fit.from_json(run.record["options"]))
    if fingerprint(material.parts) != run.record.get("split"):
        raise RunError(_("the data of the run {name} is not what it was; give it: {hint}", name=run.name, hint=hint))
    return material
