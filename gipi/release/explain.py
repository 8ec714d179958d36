"""Why a model answered as it did: for a picture where it looked, for a row of a table what each column did, for a text
which words decided (release/text_saliency.py), for a translation where it looked (release/looked.py).

Pictures: Grad-CAM and integrated gradients (release/saliency.py) of what was answered, or of what is asked for. Tables:
each column is emptied in turn, and the answer changes by so much. Categories enter a network as codes, which have no
gradient; an empty value is something that every model knows how to take, and anybody can try it with `predict`.

B rows, C H W a picture, K classes, labels or targets
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gipi import tasks
from gipi.data.dataset import Dataset
from gipi.data.encode import normalize
from gipi.data.schema import Schema
from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.release.looked import LookExplanation, look_explanations
from gipi.release.rows import as_rows
from gipi.release.saliency import examined, grad_cam, integrated_gradients, last_layer
from gipi.release.text_saliency import TextExplanation, text_explanations

if TYPE_CHECKING:
    from gipi.release.model import Model

AT_ONCE = 8  # pictures: so many are explained before the first is handed out


@dataclass(frozen=True)
class PictureExplanation:
    """Where a model looked for one answer.

    Attributes:
        said: The answer, as `predict` gives it.
        of: What is explained: a class, a label, or the target whose number it is.
        picture: `(H, W, C)` uint8, as the network sees it.
        cam: Grad-CAM, `(H, W)`, 0 and more; None for a network without places.
        layer: The layer that it was taken at.
        gradients: What each element of the picture adds to the probability or the number, `(H, W, C)`.
        change: The probability or number, minus that of the baseline.
        gap: The sum of `gradients` minus `change`; near 0.
        points: At how many points of the path from the baseline the networks were asked.
    """

    said: dict[str, Any]
    of: Any
    picture: np.ndarray
    cam: np.ndarray | None
    layer: str | None
    gradients: np.ndarray
    change: float
    gap: float
    points: int

    def json(self) -> dict[str, Any]:
        """All but the pictures."""
        return {"of": self.of, "layer": self.layer, "change": self.change, "gap": self.gap, "points": self.points}


@dataclass(frozen=True)
class RowExplanation:
    """What each column did for one answer.

    Attributes:
        said: The answer, as `predict` gives it.
        of: What is explained: a class, a label, or the target whose number it is.
        values: The row.
        columns: For each column by how much the probability or number is larger than with an empty value there.
    """

    said: dict[str, Any]
    of: Any
    values: dict[str, Any]
    columns: dict[str, float]

    def json(self) -> dict[str, Any]:
        """What is explained, and the columns, the weightiest first."""
        ordered = sorted(self.columns.items(), key=lambda one: -abs(one[1]))
        return {"of": self.of, "columns": dict(ordered)}


def explanations(
    model: "Model", rows: Any, target: Any = None, layer: str | None = None, baseline: Any = None
) -> Iterator[PictureExplanation | RowExplanation | TextExplanation | LookExplanation]:
    """One explanation for each row, as they are found; see `Model.explain`."""
    if model.task == "translate":
        yield from look_explanations(model, rows)
        return
    if model.task not in ("classify", "regress"):
        text = _(
            "only what a model says of pictures, texts and tables can be explained; this one's task is {task}",
            task=model.task,
        )
        raise UsageError(text)
    place = _place(model.schema, target)
    if model.schema.is_picture:
        yield from _of_pictures(model, rows, place, layer, baseline)
        return
    for name, given in (("layer", layer), ("baseline", baseline)):
        if given is not None:
            text = _("{name} is for pictures; this model takes a text", name=name)
            raise UsageError(
                text if model.schema.is_text else _("{name} is for pictures; this model takes a table", name=name)
            )
    data = as_rows(model.schema, rows)
    yield from text_explanations(model, data, place) if model.schema.is_text else _of_rows(model, data, place)


def _place(schema: Schema, target: Any) -> int | None:
    """The number of the class, label or target that was asked for; None: what is answered."""
    if target is None:
        return None
    known = [str(name) for name in named(schema)]
    if str(target) not in known:
        text = _("there is no '{name}' to explain; there are: {known}.", name=target, known=", ".join(known[:30]))
        raise UsageError(text + nearest(str(target), known))
    return known.index(str(target))


def named(schema: Schema) -> tuple[Any, ...]:
    """What the K numbers of a row are of: the classes, the labels, or the targets."""
    first = schema.targets[0]
    return first.values if first.kind in ("class", "labels") else tuple(field.name for field in schema.targets)


def scores(answers: Tensor, schema: Schema) -> Tensor:
    """Answers as one number for each name, `(B, K)`: probabilities, or the middle of each target."""
    return answers if answers.ndim == 2 else answers[..., _middle(answers.shape[-1], schema)]


def _middle(width: int, schema: Schema) -> int:
    """Which of the numbers that describe a target is the one that is answered."""
    return width // 2 if schema.targets[0].kind == "quantiles" else 0


def asked(found: Tensor, schema: Schema, place: int | None) -> Tensor:
    """The number of what is explained in each row, `(B,)`: what was asked for, else the likeliest, or the first."""
    if place is not None:
        return torch.full((len(found),), place)
    is_number = schema.targets[0].kind not in ("class", "labels")
    return torch.zeros(len(found), dtype=torch.int64) if is_number else found.argmax(1)


# --- pictures ----------------------------------------------------------------------------------------------------


def _of_pictures(
    model: "Model", rows: Any, place: int | None, layer: str | None, baseline: Any
) -> Iterator[PictureExplanation]:
    (x,) = model.encode(as_rows(model.schema, rows))  # (B, C, H, W)
    start = torch.zeros_like(x[:1]) if baseline is None else model.encode(as_rows(model.schema, baseline))[0]
    if len(start) != 1:
        raise UsageError(_("one picture was expected as baseline, {count} came", count=len(start)))
    start = ready(model, start)
    for piece in x.split(AT_ONCE):
        answers, disagreement = model.answers(piece)
        said = tasks.load(model.task).decode(answers, disagreement, model.schema)
        wanted = asked(scores(answers, model.schema), model.schema, place)
        seen = ready(model, piece)
        where = looked_at(model, seen, wanted, layer)
        with examined(model.members):
            added = integrated_gradients(lambda x: _scores_of(model, x), seen, wanted, start)
        pictures = shown(piece, model.schema.inputs[0].white)
        for row, number in enumerate(wanted.tolist()):
            yield PictureExplanation(
                said[row],
                named(model.schema)[number],
                pictures[row],
                None if where is None else where[0][row],
                None if where is None else where[1],
                added.values[row].permute(1, 2, 0).cpu().numpy(),
                float(added.change[row]),
                float(added.gap[row]),
                int(added.points[row]),
            )


def looked_at(model: "Model", x: Tensor, wanted: Tensor, layer: str | None = None) -> tuple[np.ndarray, str] | None:
    """Grad-CAM of pictures as the networks take them, the mean over members, `(B, H, W)`, and its layer.

    Args:
        model: For pictures.
        x: `(B, C, H, W)`, ready.
        wanted: `(B,)`, see `asked`.
        layer: Its name; None: the last that has places enough.

    Returns:
        None where no layer has places.
    """
    outputs, names = model.sizes.output, named(model.schema)
    width = outputs // len(names)
    columns = wanted * width + (_middle(width, model.schema) if width > 1 else 0)
    name = layer if layer is not None else last_layer(model.members[0], x[:1], columns[:1])
    if name is None:
        return None
    maps = [grad_cam(member, x, columns, name) for member in model.members]
    return torch.stack(maps).mean(0).cpu().numpy(), name


def _scores_of(model: "Model", x: Tensor) -> Tensor:
    """What the members say together of pictures that are ready, `(B, K)`, for autograd to follow."""
    task = tasks.load(model.task)
    answers = [task.answer(member(x), model.schema) for member in model.members]
    return scores(task.combine(answers, model.schema)[0], model.schema)


def ready(model: "Model", x: Tensor) -> Tensor:
    """Encoded rows as the networks take them, where they are."""
    first = next(model.members[0].parameters(), x)
    return normalize(model.schema, x.to(first.device)).to(first.dtype)


def shown(x: Tensor, white: float) -> np.ndarray:
    """Encoded pictures `(B, C, H, W)` as a person sees them, `(B, H, W, C)` uint8."""
    pictures = x.permute(0, 2, 3, 1).cpu()
    if pictures.dtype == torch.uint8:
        return pictures.numpy()
    return (pictures / white).clamp(0, 1).mul(255).round().byte().numpy()


# --- tables ------------------------------------------------------------------------------------------------------


def _of_rows(model: "Model", data: Dataset, place: int | None) -> Iterator[RowExplanation]:
    if not len(data):
        return
    task, names = tasks.load(model.task), [field.name for field in model.schema.inputs]
    answers, disagreement = model.answers(model.encode(data)[0])
    said = task.decode(answers, disagreement, model.schema)
    found = scores(answers, model.schema)
    wanted = asked(found, model.schema, place)
    changes = {name: found - emptied(model, data, name) for name in names}  # (B, K) each
    for row, number in enumerate(wanted.tolist()):
        columns = {name: float(change[row, number]) for name, change in changes.items()}
        values = data.frame.select(names).row(row, named=True)
        yield RowExplanation(said[row], named(model.schema)[number], values, columns)


def emptied(model: "Model", data: Dataset, column: str) -> Tensor:
    """What the model says of rows whose value in a column is missing, `(B, K)`."""
    empty = pl.lit(None, data.frame[column].dtype).alias(column)
    rows = replace(data, frame=data.frame.with_columns(empty))
    return scores(model.answers(model.encode(rows)[0])[0], model.schema)
