"""`gipi.load`: open a kept model, a bundle, a run's folder, or a run by its name."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError
from gipi.messages import _
from gipi.process import large_imports

if TYPE_CHECKING:
    from gipi.release.bundle import Runtime
    from gipi.release.model import Model
    from gipi.release.runtime import Program


def load(
    source: Any, model: Any = None, system: Any = None, runtime: "Runtime | None" = None, threads: int = 0
) -> "Model | Program":
    """Open a kept model.

    Args:
        source: A `.gipi` file, a run, or a run's folder or name (`last` too).
        model: For a model of a person's own: a module of the same make, to hold the weights.
        system: For a system of a person's own: the system.
        runtime: "torch": with its networks; "onnx": with its program, without importing PyTorch; None: with its
            networks, or, for a module of a person's own that is not given, with its program.
        threads: That a program may use; 0: as many as there are cores. Of networks PyTorch itself is told how many.

    Raises:
        RunError: There is none, it is damaged, or it does not give the answers it was stored with.
        UsageError: It has no program, or what runs one is not installed.

    Example:
        >>> import gipi
        >>> model = gipi.load("grades.gipi")      # doctest: +SKIP
        >>> model.predict({"study": 7})           # doctest: +SKIP
        [{'value': 70.0}]
    """
    if hasattr(source, "schema"):  # it is a model already
        return source
    own = getattr(source, "own", {})
    path = Path(getattr(source, "path", source))
    if path.suffix == ".pt2":
        raise UsageError(_("{path}: a .pt2 file is never read, it may run code; give a .gipi file or a run", path=path))
    with nullcontext() if runtime == "onnx" else large_imports():
        from gipi.release.bundle import read_bundle

        if path.suffix != ".gipi":
            from gipi.training.folder import find

            path = find(path) / "model.gipi"
        if runtime != "onnx":
            import gipi.release.networks  # noqa: F401  # torch, outside Python's collector
    return read_bundle(path, model or own.get("model"), system or own.get("system"), runtime, threads)


def load_networks(source: Any) -> "Model":
    """A kept model with its networks, for what looks into them.

    Raises:
        UsageError: They cannot be built from what is in the file alone.
    """
    model = load(source)
    if not hasattr(model, "members"):
        raise UsageError(_("this needs the model's networks; give the module, gipi.load(path, model=...)"))
    return model  # type: ignore[return-value]  # what has members is a Model
