"""Classify: which one of several classes a row belongs to, or which of several labels it carries.

A network gives K scores. For one class of K they become probabilities by softmax, for several labels by a sigmoid each.
The probabilities of folds and ensemble members are averaged; how far the members differ is kept as disagreement.

B rows, K classes or labels, M members
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi import losses
from gipi.data.schema import Schema
from gipi.tasks import metrics as measure
from gipi.tasks.intervals import Metric
from gipi.tasks.said import of_classes

default = {"table": "tabm", "picture": "convnet", "text": "bow"}
target_kinds = ("class", "labels")
LOSSES = {"class": ("cross_entropy", "focal", "hinge", "bce"), "labels": ("bce",)}


def output(schema: Schema) -> int:
    """K."""
    return len(schema.targets[0].values)


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "accuracy" if _is_class(schema) else "f1_micro"


def loss(schema: Schema, name: str | None = None, label_smoothing: float = 0.0) -> Callable[..., Tensor]:
    """`f(output (B, K), y, weight=None) -> scalar` by its name; None: cross entropy, for several labels bce."""
    classes = output(schema)
    if not _is_class(schema):
        return partial(losses.bce, label_smoothing=label_smoothing) if label_smoothing else losses.bce
    if name in (None, "cross_entropy"):
        return (
            partial(losses.cross_entropy, label_smoothing=label_smoothing) if label_smoothing else losses.cross_entropy
        )
    if name == "bce":  # one class against the rest, K times

        def one_against_rest(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
            return losses.bce(output, torch.nn.functional.one_hot(y, classes).to(output.dtype), weight)

        return one_against_rest
    return {"focal": losses.focal, "hinge": losses.hinge}[name or ""]


def quick(output: Tensor, y: Tensor, schema: Schema) -> dict[str, float]:
    """What is worth seeing at each look at validation, beside the loss; cheap."""
    if _is_class(schema):
        return {"accuracy": (output.argmax(1) == y).double().mean().item()}
    return {"subset_accuracy": ((output > 0) == (y > 0.5)).all(1).double().mean().item()}


def answer(output: Tensor, schema: Schema) -> Tensor:
    """Scores to probabilities, `(B, K)`."""
    return output.softmax(1) if _is_class(schema) else output.sigmoid()


def combine(answers: list[Tensor], schema: Schema) -> tuple[Tensor, Tensor | None]:
    """The members' mean probabilities `(B, K)`, and their disagreement `(B,)`.

    The disagreement is the standard deviation, over members, of the probability of the class that is answered.
    """
    if len(answers) == 1:
        return answers[0], None
    stacked = torch.stack(answers)  # (M, B, K)
    mean = stacked.mean(0)
    return mean, stacked.std(0, unbiased=False).gather(1, mean.argmax(1, keepdim=True))[:, 0]


def truth(y: Tensor, schema: Schema) -> np.ndarray:
    """The targets as the metrics want them: class numbers, or `(B, K)` zeros and ones."""
    return y.numpy()


def metrics(answers: Tensor, y: np.ndarray, schema: Schema, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of these probabilities."""
    probabilities = answers.double().numpy()
    if not _is_class(schema):
        return measure.labels(probabilities, y, intervals)
    return measure.classification(probabilities / probabilities.sum(1, keepdims=True), y, intervals)


def decode(answers: Tensor, disagreement: Tensor | None, schema: Schema) -> list[dict[str, Any]]:
    """One answer per row: `{"label", "probability", "probabilities"}`, or `{"labels", "probabilities"}`."""
    return of_classes(answers, disagreement, schema)


def _is_class(schema: Schema) -> bool:
    return schema.targets[0].kind == "class"
