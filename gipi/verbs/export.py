"""`gipi export`: a kept model for other programs: ONNX, PyTorch's exported program, its weights alone, containers."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gipi.errors import ProgramWarning, UsageError, nearest
from gipi.messages import _
from gipi.verbs.inspect import bundle_of
from gipi.verbs.load import load, load_networks

if TYPE_CHECKING:
    from gipi.release.export import Exported

Format = Literal["onnx", "torch", "safetensors", "sagemaker", "docker", "word2vec-text", "word2vec-binary"]
Precision = Literal["float32", "int8", "bf16"]

PRECISIONS = ("float32", "int8", "bf16")


def export(
    source: Any,
    path: str | Path | None = None,
    to: Format = "onnx",
    precision: Precision = "float32",
    loss_of_quality: float = 0.01,
    data: Any = None,
) -> "Exported":
    """Write a kept model for other programs, after it was checked that they answer alike.

    Args:
        source: A run, its folder or name, or a `.gipi` file.
        path: The file; None: named after the run, in the folder where one stands.
        to: "onnx": one .onnx file for any ONNX runtime; "torch": a .pt2 file for PyTorch, which gipi itself never
            reads; "safetensors": the weights alone, by the names that the network has; "sagemaker": model.tar.gz for
            Amazon SageMaker; "docker": a folder that Docker makes an image of; "word2vec-text" and "word2vec-binary":
            words with their vectors, as gensim and others read them.
        precision: Of an .onnx file: "int8" and "bf16" are measured beside the model, and written only if they are
            faster and hardly worse.
        loss_of_quality: By how much the first metric may be worse then: 0.01 of an accuracy, f1 or R², 0.01 of the
            value of an error.
        data: What that is measured on; None: the run's own test part.

    Returns:
        `.files`; `.usage`, lines of Python that use them; `.remark`; `.measured`.

    Raises:
        UsageError: It has no single program, or an option does not apply; says why.
        RunError: It cannot be written, or a variant is slower or worse than it may be; says by how much.

    Example:
        >>> import gipi
        >>> print(gipi.export("last", "grades.onnx").usage)     # doctest: +SKIP
    """
    from gipi.release.export import SUFFIXES

    if to not in SUFFIXES:
        text = _("--to is one of {known}; {came} came.", known=", ".join(SUFFIXES), came=to)
        raise UsageError(text + nearest(str(to), [*SUFFIXES]))
    if precision not in PRECISIONS:
        text = _("--precision is one of {known}; {came} came.", known=", ".join(PRECISIONS), came=precision)
        raise UsageError(text + nearest(str(precision), [*PRECISIONS]))
    if precision != "float32" and to != "onnx":
        raise UsageError(_("--precision goes with --to onnx"))
    if not loss_of_quality >= 0:
        raise UsageError(_("--loss-of-quality is a number from 0 on; {came} came", came=loss_of_quality))
    if data is not None and precision == "float32":
        raise UsageError(_("--data goes with --precision int8 or bf16"))
    if to == "docker":
        from gipi.release.containers import write_folder

        with tempfile.TemporaryDirectory() as aside:
            return write_folder(_released(source, Path(aside)), Path(path or _named(source, None, SUFFIXES[to])))
    into = _named(source, path, SUFFIXES[to])
    if to == "sagemaker":
        from gipi.release.containers import write_archive

        with tempfile.TemporaryDirectory() as aside:
            return write_archive(_released(source, Path(aside)), into)
    if to == "safetensors":
        return _weights(source, into)
    if to in ("word2vec-text", "word2vec-binary"):
        from gipi.release.word_vectors import write_words

        return write_words(load_networks(source), into, is_binary=to == "word2vec-binary")
    model = load(source)
    if precision != "float32":
        from gipi.verbs.measured import variant

        return variant(source, model, into, precision, loss_of_quality, data)
    from gipi.release.export import write_onnx, write_torch

    if to == "torch":
        if not hasattr(model, "members"):
            raise UsageError(_("this needs the model's networks; give the module, gipi.load(path, model=...)"))
        return write_torch(model, into)  # type: ignore[arg-type]  # what has members is a Model
    return write_onnx(model, _bundle_behind(source, model), into)


def _released(source: Any, aside: Path) -> Path:
    """The bundle that a container gets: the one that there is, if it has a program, else one made with it."""
    from gipi.release.bundle import held

    is_in_memory = hasattr(source, "schema")
    if not is_in_memory and "program.onnx" in held(found := bundle_of(source)).parts:
        return found
    model = load(source)
    if not hasattr(model, "members"):
        raise UsageError(_("this needs the model's networks; give the module, gipi.load(path, model=...)"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProgramWarning)  # the bundle says it, and so does the remark
        return model.save(aside / "model.gipi")  # type: ignore[union-attr]  # what has members is a Model


def _bundle_behind(source: Any, model: Any) -> Any:
    """The bundle of a model that was opened by its program, because nobody has its networks."""
    from gipi.release.bundle import held

    return None if hasattr(model, "members") else held(bundle_of(source))


def _weights(source: Any, path: Path) -> "Exported":
    """The weights as they stand in the bundle; no network has to be built for that."""
    from gipi.release.bundle import DAMAGED, damaged, held
    from gipi.release.export import write_weights
    from gipi.release.networks import members_of

    if hasattr(source, "members"):
        return write_weights([member.state_dict() for member in source.members], path)
    opened = held(bundle_of(source))
    try:
        members = members_of(opened)
    except DAMAGED as error:
        raise damaged(opened.path, error) from error
    return write_weights(members, path)


def _named(source: Any, path: str | Path | None, suffix: str) -> Path:
    """Where it is written: what was said, with the suffix that the format has, or the run's name."""
    if path is not None:
        path = Path(path)
        return path if path.name.endswith(suffix) else path.with_name(path.name + suffix)
    if hasattr(source, "schema"):  # a model in memory
        return Path(f"model{suffix}")
    found = bundle_of(source)
    return Path((found.parent.resolve().name if found.name == "model.gipi" else found.stem) + suffix)
