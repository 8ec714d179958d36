"""Segment: what every pixel of a picture shows, one class of several.

A network gives K scores for each pixel; softmax makes probabilities of them, which members average. A picture larger
than those of training is made as small as they were, and its scores are brought back to its own size before the best
class is taken. All figures come from confusion matrices, one for each picture:

- `mean_iou`: intersection over union, the mean over the classes that occur or are predicted (Jaccard 1901).
- `dice`: 2 intersection / (sum of both), the mean over the same classes (Dice 1945); the F1 of pixels.
- `pixel_accuracy`: the share of pixels that is right.
- `iou_NAME`: of one class.

n pictures, K classes, h w a picture
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gipi.data.canvas import tensors
from gipi.data.encode import normalize
from gipi.data.images import resized
from gipi.data.loose import fitting_size, loose
from gipi.data.masks import IGNORED, Classes, open_masks
from gipi.data.schema import Schema
from gipi.errors import UsageError, nearest
from gipi.losses import dense
from gipi.messages import _
from gipi.tasks.intervals import Array, Metric, Resample
from gipi.tasks.said import of_mask
from gipi.tasks.whole import as_tensor, outputs, together

default = {"picture": "unet"}
LOSSES = ("cross_entropy", "dice", "both")


def output(schema: Schema) -> int:
    """K."""
    return len(schema.targets[0].values)


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "mean_iou"


def loss(name: str | None, weight: Tensor | None = None) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """`f(output (B, K, h, w), y (B, h, w)) -> scalar` by its name, and what it is a mean over: `f(batch) -> count`.

    Args:
        name: cross_entropy, dice or both; None: cross_entropy.
        weight: `(K,)` of the classes, for the cross-entropy.
    """
    if name not in (None, *LOSSES):
        text = _(
            "the loss '{name}' does not fit {kind}; it can be: {known}.",
            name=name,
            kind="segment",
            known=", ".join(LOSSES),
        )
        raise UsageError(text + nearest(str(name), list(LOSSES)))
    if name == "dice":
        return dense.soft_dice, dense.pictures
    if name == "both":
        return lambda output, y: dense.cross_entropy_and_dice(output, y, weight), dense.pictures
    if weight is None:
        return dense.pixel_cross_entropy, dense.pixels

    def count(batch: tuple[Tensor, ...]) -> Tensor:
        known = batch[1] != IGNORED
        return (weight[batch[1].long().clamp_max(len(weight) - 1)] * known).sum()

    return lambda output, y: dense.pixel_cross_entropy(output, y, weight), count


# --- figures -----------------------------------------------------------------------------------------------------


def confusion(said: Array, truth: Array, classes: int) -> Array:
    """`(K * K,)`: how often the true class i was taken for class j, at i * K + j, over the pixels that count.

    Args:
        said: Class numbers, of any shape.
        truth: Class numbers of the same shape; 255 does not count.
        classes: K.
    """
    counted = truth != IGNORED
    codes = truth[counted].astype(np.int64) * classes + said[counted]
    return np.bincount(codes, minlength=classes * classes).astype(np.float64)


def _parts(sums: Array) -> tuple[Array, Array, Array]:
    """Pixels right, said and true of each class, `(R, K)` each, from summed confusions `(R, K * K)`."""
    K = int(sums.shape[1] ** 0.5)
    matrix = sums.reshape(-1, K, K)
    return matrix.diagonal(axis1=1, axis2=2), matrix.sum(1), matrix.sum(2)


def _mean_where(above: Array, below: Array) -> Array:
    """The mean over the classes that there are."""
    present = below > 0
    shares = np.where(present, above / np.where(present, below, 1), 0)
    return shares.sum(1) / np.maximum(present.sum(1), 1)


def mean_iou(sums: Array) -> Array:
    """`(R,)` of summed confusions `(R, K * K)`."""
    right, said, true = _parts(sums)
    return _mean_where(right, said + true - right)


def dice(sums: Array) -> Array:
    """`(R,)` of summed confusions `(R, K * K)`."""
    right, said, true = _parts(sums)
    return _mean_where(2 * right, said + true)


def pixel_accuracy(sums: Array) -> Array:
    """`(R,)` of summed confusions `(R, K * K)`."""
    right, _said, true = _parts(sums)
    return right.sum(1) / np.maximum(true.sum(1), 1)


def metrics(confusions: Array, names: tuple[Any, ...], intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """All figures of confusions `(n, K * K)`, with 95 % intervals by the bootstrap over pictures.

    Example:
        >>> one = confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 255]), 2)
        >>> found = metrics(one[None], ("sky", "road"))
        >>> float(found["mean_iou"]), float(found["iou_road"]), round(float(found["pixel_accuracy"]), 3)
        (0.5, 0.5, 0.667)
    """
    resample = Resample(len(confusions), 1000 if intervals else 0, seed)
    sums = resample.sums(confusions)

    def iou_of(place: int) -> Callable[[Array], Array]:
        def iou(sums: Array) -> Array:
            right, said, true = (part[:, place] for part in _parts(sums))
            return right / (said + true - right)  # nan where the class is not

        return iou

    found = {
        "mean_iou": resample.metric(sums, mean_iou),
        "dice": resample.metric(sums, dice),
        "pixel_accuracy": resample.metric(sums, pixel_accuracy),
    }
    return found | {f"iou_{name}": resample.metric(sums, iou_of(place)) for place, name in enumerate(names)}


# --- answers -----------------------------------------------------------------------------------------------------


def answer(output: Tensor) -> Tensor:
    """Scores to probabilities, `(B, K, h, w)`."""
    return output.softmax(1)


def masks_of(model: Any, x: Tensor, sizes: Tensor, rows: Array) -> list[Array]:
    """The mask `(h, w)` uint8 of each of these encoded pictures."""
    found: list[Any] = [None] * len(rows)
    for place, probabilities in outputs(model.members, model.schema, x, sizes, rows, answer):
        found[place] = probabilities.argmax(0).to(torch.uint8).cpu().numpy()
    return found


def score_source(model: Any, data: Any, intervals: bool = True) -> dict[str, Metric]:
    """All figures on other pictures that have masks: a folder, an archive or arrays, as `fit` takes them."""
    classes = Classes.from_json(model.extra["classes"])
    held, _classes = open_masks(data, model.extra["longest"], known=classes)
    x, y, sizes = tensors(held, model.schema.inputs[0].shape[0])
    rows = np.arange(len(x))
    said = masks_of(model, x, sizes, rows)
    truth = [y[row, : len(mask), : mask.shape[1]].numpy() for row, mask in zip(rows, said, strict=True)]
    count = len(classes.names)
    confusions = np.stack([confusion(mask, true, count) for mask, true in zip(said, truth, strict=True)])
    return metrics(confusions, classes.names, intervals)


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """For each picture `{"mask": (h, w) class numbers, "overlay": (h, w, 3), "share": {class: share of pixels}}`.

    `mask_picture` `(h, w, 3)` shows the mask in the classes' colours; a picture from a file has its `file` too.
    """
    field = model.schema.inputs[0]
    where = next(model.members[0].parameters())
    answers = []
    for name, picture in loose(rows, field.shape[0]):
        height, width = picture.shape[:2]
        small = resized(picture, *fitting_size(height, width, model.extra["longest"]))
        x = normalize(model.schema, as_tensor(small).to(where.device)).to(where.dtype)
        probabilities = together(model.members, x, answer)  # (1, K, h, w)
        if small.shape != picture.shape:
            probabilities = interpolate(probabilities, (height, width), mode="bilinear", align_corners=False)
        mask = probabilities[0].argmax(0).to(torch.uint8).cpu().numpy()
        said = {} if name is None else {"file": name}
        said |= of_mask(mask, picture, model.extra["classes"])
        answers.append(said)
    return answers
