"""Regress: one number or several for each row; a point, or a distribution with its spread.

Inside, targets are centered and scaled; answers are in their own units. A distribution is fitted by maximum likelihood
(a mean and a spread) or by quantiles; the answer then carries an interval, and its coverage is reported.

B rows, T targets, Q numbers that describe one target (1 for a point), M members
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi import losses
from gipi.data.schema import Schema
from gipi.tasks import metrics as measure
from gipi.tasks.intervals import Metric
from gipi.tasks.said import interval, of_numbers, points

default = {"table": "tabm", "picture": "convnet", "text": "bow"}
target_kinds = ("number", "normal", "quantiles")
LOSSES = {"number": ("mse", "mae", "huber"), "normal": ("nll",), "quantiles": ("quantile",)}
LEVELS = (0.05, 0.5, 0.95)  # of the quantiles: the middle, and 90 % around it


def output(schema: Schema) -> int:
    """T times Q."""
    return len(schema.targets) * _width(schema)


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "rmse"


def loss(schema: Schema, name: str | None = None, label_smoothing: float = 0.0) -> Callable[..., Tensor]:
    """`f(output (B, T * Q), y (B, T), weight=None) -> scalar` by its name; None: what suits the target's kind."""
    kind = schema.targets[0].kind
    if kind == "number":
        return getattr(losses, name or "mse")
    width, levels = _width(schema), tuple(float(v) for v in schema.targets[0].values)

    def likelihood(output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        shaped = output.unflatten(1, (-1, width))  # (B, T, Q)
        return losses.nll(shaped, y, weight) if kind == "normal" else losses.quantile(shaped, y, weight, levels=levels)

    return likelihood


def quick(output: Tensor, y: Tensor, schema: Schema) -> dict[str, float]:
    """What is worth seeing at each look at validation, beside the loss; cheap."""
    error = (_middle(output, schema) - y) * _scales(schema, y)
    return {"rmse": error.double().square().mean(0).sqrt().mean().item()}


def answer(output: Tensor, schema: Schema) -> Tensor:
    """Numbers in the targets' own units `(B, T, Q)`: the point; the mean and standard deviation; or the quantiles."""
    shaped = output.unflatten(1, (-1, _width(schema)))
    centers = torch.tensor([f.center for f in schema.targets], dtype=output.dtype, device=output.device)[:, None]
    scales = _scales(schema, output)[:, None]
    if schema.targets[0].kind == "normal":
        mean, spread = losses.normal(shaped)  # (B, T) each
        return torch.stack([mean * scales[:, 0] + centers[:, 0], spread * scales[:, 0]], -1)
    if schema.targets[0].kind == "quantiles":
        shaped = shaped.sort(-1).values  # quantiles that cross are put in order (Chernozhukov 2010)
    return shaped * scales + centers


def combine(answers: list[Tensor], schema: Schema) -> tuple[Tensor, Tensor | None]:
    """The members' mean `(B, T, Q)`, and their disagreement `(B, T)`, the standard deviation of their points.

    Normal distributions are mixed: the variance is the mean of the variances plus the variance of the means.
    """
    if len(answers) == 1:
        return answers[0], None
    stacked = torch.stack(answers)  # (M, B, T, Q)
    mean = stacked.mean(0)
    middle = stacked[..., _width(schema) // 2 if schema.targets[0].kind == "quantiles" else 0]
    disagreement = middle.std(0, unbiased=False)
    if schema.targets[0].kind == "normal":
        spread = (stacked[..., 1].square().mean(0) + disagreement.square()).sqrt()
        mean = torch.stack([mean[..., 0], spread], -1)
    return mean, disagreement


def truth(y: Tensor, schema: Schema) -> np.ndarray:
    """The targets in their own units, `(B, T)` float64."""
    scales = np.array([f.scale for f in schema.targets])
    return y.double().numpy() * scales + np.array([f.center for f in schema.targets])


def metrics(answers: Tensor, y: np.ndarray, schema: Schema, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of these answers, in the targets' own units."""
    found = measure.regression(points(answers, schema), y, intervals)
    if ends := interval(answers, schema):
        numbers = answers.double().numpy()
        normal = (numbers[..., 0], numbers[..., 1]) if schema.targets[0].kind == "normal" else (None, None)
        found |= measure.distribution(*ends, y, *normal, intervals=intervals)
    return found


def decode(answers: Tensor, disagreement: Tensor | None, schema: Schema) -> list[dict[str, Any]]:
    """One answer per row: `{"value"}` with `"low"` and `"high"` for a distribution; several targets by their names."""
    return of_numbers(answers, disagreement, schema)


def _width(schema: Schema) -> int:
    """Q."""
    first = schema.targets[0]
    return {"number": 1, "normal": 2, "quantiles": len(first.values)}[first.kind]


def _middle(output: Tensor, schema: Schema) -> Tensor:
    """The point of each target in scaled units, `(B, T)`."""
    width = _width(schema)
    return output[:, width // 2 if schema.targets[0].kind == "quantiles" else 0 :: width]


def _scales(schema: Schema, like: Tensor) -> Tensor:
    return torch.tensor([f.scale for f in schema.targets], dtype=like.dtype, device=like.device)
