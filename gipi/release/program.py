"""A model's program: all between a row as it came and the answer's numbers, as one ONNX graph.

Filling, scaling, resizing and centering are inside it, then the networks, then what the task makes of their outputs:
probabilities, numbers in the targets' own units, pictures of bytes. Outside remain what graphs are no good at: the
tables of categories, reading files, words. The weights are not in the graph: it points into weights.safetensors.

B rows, F numeric columns, K category columns, N numeric features, H W C a picture, M members
"""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gipi import tasks
from gipi.data.mapped import as_tensor
from gipi.data.schema import CYCLES, Schema, numeric_names
from gipi.errors import UsageError
from gipi.messages import _
from gipi.release import graph
from gipi.release.graph_rules import check
from gipi.release.tensor_file import arrays, header
from gipi.training.tensors import pieces

if TYPE_CHECKING:
    from gipi.release.model import Model

OPSET = 20  # onnxruntime has known it since 1.17
ANY_SIZE = ("segment", "upscale")  # tasks whose networks take pictures as large as they are
NEEDED = ("onnx", "onnxscript", "onnxruntime")
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
    any_size: bool = False  # pictures of any height and width


class Whole(nn.Module):
    """The members with what is before and behind them; `forward` takes what `ports` names and gives a dict."""

    def __init__(self, model: "Model"):
        super().__init__()
        self.members = nn.ModuleList(model.members)
        self.task, self.schema, self.extra = model.task, model.schema, model.extra
        self.kind = next(model.members[0].parameters()).dtype
        self.before = before(model.schema, self.kind, model.task not in ANY_SIZE)
        if "centers" in model.extra:
            self.centers = nn.Buffer(torch.tensor(model.extra["centers"], dtype=torch.float64))
        self.categories = model.sizes.categories

    def forward(self, *given: Tensor) -> dict[str, Tensor]:
        if self.task == "stream":
            return {"output": self.members[0](given[0])}
        if self.task == "generate":
            made = [picture(net(given[0].to(self.kind)), self.schema) for net in self.members]
            return {"picture": torch.stack(made)}  # (M, B, H, W, C)
        if self.task == "segment":
            return {"mask": self._mask(*given)}
        x = self.before(*given)
        if "centers" in self.extra:
            return {"cluster": self._cluster(x)}
        outputs = [net(x) for net in self.members]
        return self._answers(outputs)

    def _answers(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        if self.task == "upscale":
            return {"picture": picture(torch.stack(outputs).mean(0), self.schema)}
        task = tasks.load(self.task)
        answer, differ = task.combine([task.answer(output, self.schema) for output in outputs], self.schema)
        if self.task == "embed":
            return {"vector": answer}
        if self.task == "denoise":
            return {"picture": picture(answer, self.schema)}
        if self.task == "compress":
            shape = self.schema.inputs[0].shape
            elements = shape[0] * shape[1] * shape[2]
            made = picture(answer[:, -elements:].unflatten(1, shape), self.schema)
            return {"picture": made, "code": answer[:, :-elements]}
        return {"answer": answer} if differ is None else {"answer": answer, "disagreement": differ}

    def _mask(self, pictures: Tensor, size: Tensor) -> Tensor:
        """`(B, H, W)` uint8 of pictures that were made small enough, as large as `size` says."""
        x = self.before(pictures)
        chances = torch.stack([net(x).softmax(1) for net in self.members]).mean(0)  # (B, K, h, w)
        return resize(chances, size, "linear", tuple(x.shape[2:])).argmax(1).to(torch.uint8)

    def _cluster(self, x: Tensor) -> Tensor:
        """The nearest centre of each row, counted from 1: `(B,)`; tasks/cluster.place as a graph."""
        width = x.shape[1] - len(self.categories)
        parts = [x[:, :width].double()]
        for place, count in enumerate(self.categories, width):  # 0, a value that is not known, has no column
            parts.append(F.one_hot(x[:, place].long(), count + 1)[:, 1:].double())
        space = torch.cat(parts, 1)
        squares = space.square().sum(1)[:, None] - 2 * space @ self.centers.T + self.centers.square().sum(1)
        return squares.clamp_min(0).argmin(1) + 1


# --- before the networks -----------------------------------------------------------------------------------------


def before(schema: Schema, kind: torch.dtype, resizes: bool = True) -> nn.Module:
    """What makes of raw rows what the networks take."""
    if not schema.inputs:
        return nn.Identity()
    return Pictures(schema, kind, resizes) if schema.is_picture else Columns(schema, kind)


class Columns(nn.Module):
    """Numbers `(B, F)` float64, NaN where there is none, and codes `(B, K)` to `(B, N + K)`: features.table_rows."""

    def __init__(self, schema: Schema, kind: torch.dtype):
        super().__init__()
        self.kind = kind
        numeric = [field for field in schema.inputs if field.kind != "category"]
        dates = [place for place, field in enumerate(numeric) if field.kind == "date"]
        flags = [place for place, field in enumerate(numeric) if field.has_missing]
        made = [numeric_names(field)[0] for field in numeric]
        for place in dates:
            names = numeric_names(numeric[place])
            made += names[1 : 1 + 2 * len(CYCLES)]
        made += [numeric_names(numeric[place])[-1] for place in flags]
        wanted = [name for field in schema.inputs for name in numeric_names(field)]
        order = _places(made, wanted)

        self.fill, self.center, self.scale = (
            _numbers(getattr(field, name) for field in numeric) for name in ("fill", "center", "scale")
        )
        self.angles = _numbers(2 * pi / seconds for _name, seconds in CYCLES)
        self.dates, self.flags, self.order = (
            nn.Buffer(torch.tensor(p, dtype=torch.int64)) for p in (dates, flags, order)
        )
        self.has = (bool(numeric), bool(dates), bool(flags), order != sorted(order))

    def forward(self, *given: Tensor) -> Tensor:
        has_numbers, has_dates, has_flags, is_mixed = self.has
        if not has_numbers:
            return given[0].to(self.kind)
        numbers, *codes = given
        missing = numbers.isnan()
        filled = torch.where(missing, self.fill, numbers)
        parts = [(filled - self.center) / self.scale]
        if has_dates:
            angle = filled[:, self.dates][:, :, None] * self.angles  # (B, D, cycles)
            parts.append(torch.stack([angle.sin(), angle.cos()], -1).flatten(1))
        if has_flags:
            parts.append(missing[:, self.flags].double())
        features = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
        if is_mixed:
            features = features[:, self.order]
        features = features.to(self.kind)
        return torch.cat([features, codes[0].to(self.kind)], 1) if codes else features


def _numbers(values: Iterable[float]) -> nn.Buffer:
    return nn.Buffer(torch.tensor([*values], dtype=torch.float64))


def _places(made: list[str], wanted: list[str]) -> list[int]:
    """Where each wanted name stands among those that are made; of two columns of one name the next."""
    left: dict[str, list[int]] = {}
    for place, name in enumerate(made):
        left.setdefault(name, []).append(place)
    return [left[name].pop(0) for name in wanted]


class Pictures(nn.Module):
    """Pictures `(B, H, W, C)` to `(B, C, h, w)`: resized to what the networks know, centered and scaled."""

    def __init__(self, schema: Schema, kind: torch.dtype, resizes: bool):
        super().__init__()
        (field,) = schema.inputs
        self.kind = kind
        self.shape = field.shape[1:] if resizes else ()
        self.center = nn.Buffer(_each(field.centers or (field.center,), kind))
        self.scale = nn.Buffer(_each(field.scales or (field.scale,), kind))

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.permute(0, 3, 1, 2)
        if self.shape:
            x = resize(x, torch.tensor(self.shape), "cubic", self.shape)
        return (x.to(self.kind) - self.center) / self.scale


def _each(values: tuple[float, ...], kind: torch.dtype) -> Tensor:
    return torch.tensor(values, dtype=kind).view(-1, 1, 1)


def resize(x: Tensor, size: Tensor, mode: str, shape: tuple[int, ...]) -> Tensor:
    """ONNX's Resize of `(B, C, H, W)` to a size `(2,)`; "cubic" of bytes gives what Pillow gives, within one level.

    It is written into the graph as it stands; run in PyTorch it gives no numbers. `shape` is what the exporter is told.
    """
    attributes: dict[str, Any] = {"mode": mode}
    if mode == "cubic":  # Pillow's filter: Keys's with -0.5, widened where it shrinks, cut off at the edge
        attributes |= {"antialias": 1, "cubic_coeff_a": -0.5, "exclude_outside": 1}
    shape = (x.shape[0], x.shape[1], *shape)
    # All four sizes are given: where only two axes are named, onnxruntime 1.31 loses them when it moves a Transpose.
    rest = torch.onnx.ops.symbolic("Shape", (x,), {"start": 0, "end": 2}, dtype=torch.int64, shape=(2,), version=19)
    size = torch.cat([rest, size])
    return torch.onnx.ops.symbolic("Resize", (x, None, None, size), attributes, dtype=x.dtype, shape=shape, version=19)


def picture(x: Tensor, schema: Schema) -> Tensor:
    """Pictures as a network makes them, `(B, C, H, W)`, as bytes to see, `(B, H, W, C)`: tasks.pictures.decode."""
    from gipi.data.encode import denormalize

    level = denormalize(schema, x.double()) * (255 / schema.inputs[0].white)
    return level.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


# --- the graph ---------------------------------------------------------------------------------------------------


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
    found = [Port("pictures", torch.ones(2, side, side + 6, channels, dtype=kind), any_size=True)]
    return [*found, Port("size", torch.tensor([30, 50]))] if model.task == "segment" else found


@dataclass(frozen=True)
class Made:
    """A program as it stands in a bundle.

    Attributes:
        program: The graph.
        constants: Its large constants, which go into weights.safetensors under names that begin with `program.`.
        outside: The names of the tensors that it takes from there.
        weights: Those tensors.
    """

    program: bytes
    constants: dict[str, Tensor]
    outside: list[str]
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
    outside = [one.name for one in whole.tensors if one.place]
    return Made(graph.write(whole), constants, outside, arrays(content))


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
    where, modes = next(model.members[0].parameters()).device, [member.training for member in model.members]
    whole = Whole(model).cpu().eval()
    given = ports(model)
    dynamic = torch.export.Dim.DYNAMIC
    shapes = tuple(
        {} if p.name == "size" else {0: dynamic, **({1: dynamic, 2: dynamic} if p.any_size else {})} for p in given
    )
    try:
        with quiet(), torch.no_grad():
            made = torch.onnx.export(
                whole,
                tuple(port.example for port in given),
                dynamo=True,
                input_names=[port.name for port in given],
                output_names=results(model),
                dynamic_shapes=(shapes,),
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises all sorts of things, and networks may be a person's own
        reason = _reason(error)
        raise UsageError(_("the network cannot be exported: {reason}", reason=reason)) from error
    finally:
        for member, mode in zip(model.members, modes, strict=True):
            member.to(where).train(mode)
    assert made is not None
    return made.model_proto


def needs_export() -> None:
    """The packages that exporting needs are there.

    Raises:
        UsageError: One is not.
    """
    for package in NEEDED:
        try:
            __import__(package)
        except Exception as error:  # a broken installation raises anything
            hint = "pip install 'gipi[export]'"
            raise UsageError(_("this needs {package}: {hint}", package=package, hint=hint)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """What the exporter tells its own developers is not for the person."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """The first line that says what is wrong, of the pages that the exporter writes."""
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return (lines[0] if lines else type(cause).__name__)[:300]
