"""`gipi.load`: open a kept model, a bundle, a run's folder, or a run by its name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.process import large_imports

if TYPE_CHECKING:
    from gipi.release.model import Model


def load(source: Any, model: Any = None, system: Any = None) -> "Model":
    """Open a kept model.

    Args:
        source: A `.gipi` file, a run, or a run's folder or name (`last` too).
        model: For a model of a person's own: a module of the same make, to hold the weights.
        system: For a system of a person's own: the system.

    Raises:
        RunError: There is none, it is damaged, or it does not give the answers it was stored with.

    Example:
        >>> import gipi
        >>> model = gipi.load("grades.gipi")      # doctest: +SKIP
        >>> model.predict({"study": 7})           # doctest: +SKIP
        [{'value': 70.0}]
    """
    with large_imports():
        from gipi.release.bundle import read_bundle
        from gipi.training.folder import find

    if hasattr(source, "members"):  # it is a model already
        return source
    own = getattr(source, "own", {})
    path = Path(getattr(source, "path", source))
    if path.suffix != ".gipi":
        path = find(path) / "model.gipi"
    return read_bundle(path, model or own.get("model"), system or own.get("system"))
