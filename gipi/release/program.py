"""A model's program: all between a row as it came and the answer's numbers (whole.py), as one ONNX graph.

The weights are not in the graph: it points into the bundle's weights.safetensors.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gipi.data.mapped import as_tensor
from gipi.data.text_rows import ENDED
from gipi.errors import UsageError
from gipi.messages import _
from gipi.release import graph
from gipi.release.described import ANY_SIZE, IN_STEPS
from gipi.release.graph_rules import check
from gipi.release.session import onnxruntime
from gipi.release.tensor_file import arrays, header
from gipi.release.whole import Whole
from gipi.training.tensors import pieces

if TYPE_CHECKING:
    from gipi.release.model import Model

OPSET = 20  # onnxruntime has known it since 1.17
MEMBERS = "members."  # before the exporter's names of our weights
OWN = "program."  # before the names of constants that the program alone needs
NUMPY = {
    graph.DTYPES[name]: kind
    for name, kind in (("F32", "f4"), ("F64", "f8"), ("I64", "i8"), ("U8", "u1"), ("BOOL", "?"))
}
INLINE = 1 << 10  # bytes of a constant that may stand in the graph


@dataclass(frozen=True)
class Port:
    """What goes into a program or comes out: its name, and an example of two rows that shows its type."""

    name: str
    example: Tensor
    free: tuple[int, ...] = (0,)  # the axes that may be of any length


def ports(model: "Model") -> list[Port]:
    """What goes into the model's program.

    Raises:
        UsageError: It cannot be said: nothing is known of what a stream of a person's own gives.
    """
    if model.task == "generate":
        return [Port("noise", torch.randn(2, model.config["latent"]))]
    if model.task == "stream":
        if "shape" not in model.extra:
            raise UsageError(_("nothing is known of the batches that this model takes: it was kept by an older gipi"))
        kind = next(model.members[0].parameters()).dtype if model.extra["takes_floats"] else torch.int64
        return [Port("x", torch.ones(2, *model.extra["shape"], dtype=kind))]
    if model.schema.is_picture:
        return _picture_ports(model)
    if model.schema.is_text:
        if model.task in IN_STEPS:
            raise UsageError(_("the task {task} answers in several steps, so it is no single program", task=model.task))
        tokens = torch.ones(2, min(7, model.sizes.input[0]), dtype=torch.int64)
        tokens[1, -2:] = ENDED
        return [Port("tokens", tokens, free=(0, 1))]
    numeric = [field for field in model.schema.inputs if field.kind != "category"]
    found = [Port("numbers", torch.zeros(2, len(numeric), dtype=torch.float64))] if numeric else []
    if model.sizes.categories:
        found.append(Port("codes", torch.ones(2, len(model.sizes.categories), dtype=torch.int64)))
    return found


def results(model: "Model") -> list[str]:
    """The names of what comes out of the program, in order."""
    if "centers" in model.extra:
        return ["cluster"]
    own = {"stream": "output", "segment": "mask", "embed": "vector"}
    if model.task in own:
        return [own[model.task]]
    if model.task in ("generate", "upscale", "denoise"):
        return ["picture"]
    if model.task == "compress":
        return ["picture", "code"]
    return ["answer", "disagreement"] if len(model.members) > 1 else ["answer"]


def _picture_ports(model: "Model") -> list[Port]:
    (field,) = model.schema.inputs
    channels = field.shape[0]
    kind = torch.uint8 if field.white == 255 else torch.float32
    side = 40 if model.task in ANY_SIZE else 11  # another than those that networks know
    found = [Port("pictures", torch.ones(2, side, side + 6, channels, dtype=kind), free=(0, 1, 2))]
    return [*found, Port("size", torch.tensor([30, 50]), free=())] if model.task == "segment" else found


@dataclass(frozen=True)
class Made:
    """A program as it stands in a bundle.

    Attributes:
        program: The graph.
        constants: Its large constants, which go into weights.safetensors under names that begin with `program.`.
        weights: All that is in there.
    """

    program: bytes
    constants: dict[str, Tensor]
    weights: dict[str, Any]


def made_program(model: "Model", weights: dict[str, Tensor]) -> Made:
    """The model's program, whose weights are the bundle's.

    Args:
        model: The model.
        weights: What the bundle keeps, `0.name` of the first member.

    Raises:
        UsageError: The extra is not installed, or the network cannot be exported; says why.
    """
    whole = graph.read(exported(model).SerializeToString(), canonical=False)
    whole = renamed(whole, lambda name: name.removeprefix(MEMBERS))
    constants = {
        OWN + one.name: as_tensor(np.frombuffer(one.data, NUMPY[one.dtype]).reshape(one.shape))
        for one in whole.tensors
        if one.name not in weights and one.data is not None and len(one.data) > INLINE
    }
    whole = renamed(whole, lambda name: OWN + name if OWN + name in constants else name)
    content = np.frombuffer(b"".join(bytes(piece) for piece in pieces({**weights, **constants})), np.uint8)
    entries = header(content)
    for one in whole.tensors:  # weights stand once: what the graph has under a weight's name is that weight
        entry = entries.get(one.name)
        assert entry is None or bytes(one.data or b"") == content[entry.start : entry.stop].tobytes(), one.name
    whole = graph.outside(whole, entries)
    check(whole, entries)
    return Made(graph.write(whole), constants, arrays(content))


def renamed(whole: graph.Graph, new: Callable[[str], str]) -> graph.Graph:
    """The graph with other names for its tensors."""
    tensors = [replace(one, name=new(one.name)) for one in whole.tensors]
    names = {old.name: one.name for old, one in zip(whole.tensors, tensors, strict=True)}
    nodes = [replace(node, inputs=tuple(names.get(name, name) for name in node.inputs)) for node in whole.nodes]
    return replace(whole, tensors=tuple(tensors), nodes=tuple(nodes))


def exported(model: "Model") -> Any:
    """The program as the exporter gives it, `onnx.ModelProto`, weights and all.

    Raises:
        UsageError: The extra is not installed, or the network cannot be exported; says why.
    """
    needs_export()
    given = ports(model)
    try:
        with as_whole(model) as whole, quiet(), torch.no_grad():
            made = torch.onnx.export(
                whole,
                tuple(port.example for port in given),
                dynamo=True,
                input_names=[port.name for port in given],
                output_names=results(model),
                dynamic_shapes=(free_axes(given),),
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises all sorts of things, and networks may be a person's own
        reason = reason_of(error)
        raise UsageError(_("the network cannot be exported: {reason}", reason=reason)) from error
    assert made is not None
    from onnxscript import optimizer

    # The exporter writes some constants as three operators each. onnxruntime then does not get so far as to put
    # normalization inside the convolution before it, and a small network takes four times as long.
    with quiet():
        optimizer.fold_constants(made.model)
        optimizer.remove_unused_nodes(made.model)  # onnxruntime warns of each constant that is left over
    return made.model_proto


@contextmanager
def as_whole(model: "Model") -> Iterator[Whole]:
    """The model as one module, on the CPU; afterwards its networks are where and how they were."""
    where, modes = next(model.members[0].parameters()).device, [member.training for member in model.members]
    try:
        yield Whole(model).cpu().eval()
    finally:
        for member, mode in zip(model.members, modes, strict=True):
            member.to(where).train(mode)


def free_axes(given: list[Port]) -> tuple[dict[int, Any], ...]:
    """Which axes of what goes in may be of any length, as torch.export wants to be told."""
    return tuple(dict.fromkeys(port.free, torch.export.Dim.DYNAMIC) for port in given)


def needs_export() -> None:
    """The packages that exporting needs are there.

    Raises:
        UsageError: One is not.
    """
    onnxruntime()
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except Exception as error:  # a broken installation raises anything
            hint = "pip install 'gipi[export]'"
            raise UsageError(_("this needs {package}: {hint}", package=package, hint=hint)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """What the exporter tells its own developers is not for the person."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def reason_of(error: Exception) -> str:
    """The first line that says what is wrong, of the pages that the exporter writes."""
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return (lines[0] if lines else type(cause).__name__)[:300]
