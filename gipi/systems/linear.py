"""Linear models: regression by least squares, logistic and softmax regression; the yardstick of everything deeper.

Legendre 1805 and Gauss 1809 (least squares); Cox, "The Regression Analysis of Binary Sequences", 1958 (logistic).
Ours differs: nothing is inverted; the convex loss is minimised by L-BFGS on all rows at once, which ends at the
closed-form solution, and any other optimizer can be put in its place to watch it get there.

B rows, N features after categories are one-hot, K outputs
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Schema, Sizes
from gipi.messages import _
from gipi.models.dense import AgainstZero, Expand
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("table", "picture")
defaults = {"epochs": 100, "batch_size": 0, "patience": 0}


@dataclass(frozen=True)
class Config:
    l2: float = 0.0  # penalty on the squared weights: scikit-learn's C is 1 / (l2 rows), its ridge's alpha l2 rows
    optimizer: str = "lbfgs"  # how it moves: lbfgs on all rows at once, or any other
    lr: float | Literal["auto"] | None = 1.0  # step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.0  # shrinks the weights at each step


class Net(nn.Sequential):
    """One weight for each feature and output. Two classes need one line between them, so the first one's score is 0."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()  # what is set below stands in a row, in this order
        self.expand = Expand(sizes)
        self.is_logistic = sizes.is_class and sizes.output == 2
        self.line = nn.Linear(self.expand.outputs, 1 if self.is_logistic else sizes.output)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)
        if self.is_logistic:
            self.both = AgainstZero()


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small, and the weights too if `l2` says so."""

    def penalized(output: Tensor, *target: Tensor) -> Tensor:
        return loss(output, *target) + config.l2 / 2 * net.line.weight.square().sum()

    return learner(net, penalized if config.l2 else loss, from_config(config, schedule))


def coefficients(net: Net, schema: Schema) -> tuple[list[str], Tensor, Tensor]:
    """What the line is in the data's own units: features' names `(N,)`, weights `(K, N)` and biases `(K,)`, float64.

    A category's weights are its values' (`sex=male`). For two classes there is one output, the log-odds of the second.
    """
    weights, biases = net.line.weight.detach().double().cpu(), net.line.bias.detach().double().cpu()
    numeric = [field for field in schema.inputs if field.kind != "category"]
    if schema.is_picture or any(field.kind == "date" for field in numeric):
        names = [f"x{number + 1}" for number in range(weights.shape[1])]
        return names, weights, biases
    names, scales, centers = [], [], []
    for field in numeric:
        for flag in range(2 if field.has_missing else 1):
            names.append(_("{name} is missing", name=field.name) if flag else field.name)
            scales.append(1.0 if flag else field.scale)
            centers.append(0.0 if flag else field.center)
    for field in schema.inputs:
        if field.kind == "category":
            names += [f"{field.name}={value}" for value in field.values]
            scales += [1.0] * len(field.values)
            centers += [0.0] * len(field.values)
    weights = weights / torch.tensor(scales, dtype=torch.float64)
    biases = biases - weights @ torch.tensor(centers, dtype=torch.float64)
    if schema.targets[0].kind == "number":
        spread = torch.tensor([field.scale for field in schema.targets], dtype=torch.float64)
        weights = weights * spread[:, None]
        biases = biases * spread + torch.tensor([field.center for field in schema.targets], dtype=torch.float64)
    return names, weights, biases


def explain(net: Net, schema: Schema, batch: tuple[Tensor, ...]) -> list[str]:
    """The line as an equation, where it is short enough to be read."""
    names, weights, biases = coefficients(net, schema)
    if len(names) > 6 or schema.targets[0].kind not in ("number", "class"):
        return []
    if schema.targets[0].kind == "number":
        outputs = [field.name for field in schema.targets]
    else:
        classes = schema.targets[0].values[1:] if net.is_logistic else schema.targets[0].values
        outputs = [_("score of {label}", label=label) for label in classes]
    lines = []
    for output, row, bias in zip(outputs, weights.tolist(), biases.tolist(), strict=True):
        terms = "".join(f" {'-' if w < 0 else '+'} {abs(w):.4g} {name}" for w, name in zip(row, names, strict=True))
        bias = 0.0 if abs(bias) < 1e-6 * max(1.0, *map(abs, row)) else bias  # rounding, not a number to read
        lines.append(f"{output} = {terms.removeprefix(' + ').strip()} {'-' if bias < 0 else '+'} {abs(bias):.4g}")
    return lines
