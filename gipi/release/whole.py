"""A model with all that is before and behind its networks, as one module: what becomes its program.

Filling, scaling, resizing and centering are inside it, then the networks, then what the task makes of their outputs:
probabilities, numbers in the targets' own units, pictures of bytes. Outside remain what graphs are no good at: the
tables of categories, reading files, words.

B rows, F numeric columns, K category columns, N numeric features, H W C a picture, M members
"""

from collections.abc import Iterable
from math import pi
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gipi import tasks
from gipi.data.schema import CYCLES, Schema, numeric_names
from gipi.release.described import ANY_SIZE

if TYPE_CHECKING:
    from gipi.release.model import Model


class Whole(nn.Module):
    """The members with what is before and behind them; what goes in and comes out is named in program.py."""

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
    if not schema.inputs or schema.is_text:
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
    """`(B, C, H, W)` brought to a size `(2,)`; "cubic" of bytes gives what Pillow gives, within one level.

    In a program it is ONNX's Resize, written into the graph as it stands; `shape` is what the exporter is told. In
    PyTorch it is `interpolate`, whose arithmetic for bytes is Pillow's own.
    """
    if not torch.onnx.is_in_onnx_export():
        return _resized(x, size, mode, shape)
    attributes: dict[str, Any] = {"mode": mode}
    if mode == "cubic":  # Pillow's filter: Keys's with -0.5, widened where it shrinks, cut off at the edge
        attributes |= {"antialias": 1, "cubic_coeff_a": -0.5, "exclude_outside": 1}
    shape = (x.shape[0], x.shape[1], *shape)
    # All four sizes are given: where only two axes are named, onnxruntime 1.31 loses them when it moves a Transpose.
    rest = torch.onnx.ops.symbolic("Shape", (x,), {"start": 0, "end": 2}, dtype=torch.int64, shape=(2,), version=19)
    size = torch.cat([rest, size])
    return torch.onnx.ops.symbolic("Resize", (x, None, None, size), attributes, dtype=x.dtype, shape=shape, version=19)


def _resized(x: Tensor, size: Tensor, mode: str, shape: tuple[int, ...]) -> Tensor:
    if mode == "cubic":  # the size is the networks' own
        return F.interpolate(x, shape, mode="bicubic", antialias=True)
    height, width = size.tolist()
    return F.interpolate(x, (height, width), mode="bilinear")


def picture(x: Tensor, schema: Schema) -> Tensor:
    """Pictures as a network makes them, `(B, C, H, W)`, as bytes to see, `(B, H, W, C)`: tasks.pictures.decode.

    `denormalize` does the same, but it keeps its constants, and those of a graph in the making are no numbers.
    """
    field = schema.inputs[0]
    center = _each(field.centers or (field.center,), torch.float64)
    scale = _each(field.scales or (field.scale,), torch.float64)
    level = (x.double() * scale + center) * (255 / field.white)
    return level.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
