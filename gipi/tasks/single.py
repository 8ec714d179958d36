"""The answer to one row without a tensor: what a task's `answer`, `combine` and `decode` say, in plain numbers.

For a few numbers Python's own arithmetic is quicker than any array's. It is double precision throughout, so the last
digits are a little surer than those of the answers to many rows.

K classes or labels, T targets, Q numbers that describe one target, M members
"""

from collections.abc import Callable
from math import exp, fsum, log1p, sqrt
from typing import Any

import numpy as np

from gipi.data.schema import Schema
from gipi.losses.regression import SMALLEST_SPREAD
from gipi.tasks import regress
from gipi.tasks.said import QUANTILE

Array = np.ndarray
Outputs = list[list[float]]  # what each member gives for the row, (M, outputs)
Answer = Callable[[Outputs], tuple[list, list[float] | None]]  # the common answer, and how far the members disagree
Say = Callable[[list, Any], dict[str, Any]]


def single(task: str, schema: Schema) -> tuple[Answer, Say] | None:
    """`answer(outputs) -> (numbers, disagreement)` and `say(numbers, disagreement) -> dict`; None for other tasks.

    The numbers are `(K,)` probabilities, or `(T, Q)` in the targets' own units.
    """
    kinds = {field.kind for field in schema.targets}
    if task == "classify" and kinds == {"class"}:
        return _probabilities(_softmax), _say_class(schema)
    if task == "classify" and kinds == {"labels"}:
        return _probabilities(_sigmoids), _say_labels(schema)
    if task == "regress" and len(kinds) == 1 and kinds <= set(regress.target_kinds):
        return _numbers(schema), _say_numbers(schema)
    return None


# --- classes -----------------------------------------------------------------------------------------------------


def _softmax(scores: list[float]) -> list[float]:
    highest = max(scores)
    raised = [exp(score - highest) for score in scores]
    total = sum(raised)
    return [value / total for value in raised]


def _sigmoids(scores: list[float]) -> list[float]:
    return [1 / (1 + exp(-score)) if score > -700 else exp(score) for score in scores]


def _probabilities(of_scores: Callable[[list[float]], list[float]]) -> Answer:
    def answer(outputs: Outputs) -> tuple[list[float], list[float] | None]:
        if len(outputs) == 1:
            return of_scores(outputs[0]), None
        each = [of_scores(scores) for scores in outputs]
        mean = [fsum(column) / len(each) for column in zip(*each, strict=True)]
        best = mean.index(max(mean))
        return mean, [_spread([row[best] for row in each])]

    return answer


def _spread(values: list[float]) -> float:
    """Standard deviation."""
    mean = fsum(values) / len(values)
    return sqrt(fsum((value - mean) ** 2 for value in values) / len(values))


def _say_class(schema: Schema) -> Say:
    values = schema.targets[0].values
    names = [str(value) for value in values]

    def say(probabilities: list[float], disagreement: list[float] | None) -> dict[str, Any]:
        highest = max(probabilities)
        said = {
            "label": values[probabilities.index(highest)],
            "probability": highest,
            "probabilities": dict(zip(names, probabilities, strict=True)),
        }
        if disagreement is not None:
            said["disagreement"] = disagreement[0]
        return said

    return say


def _say_labels(schema: Schema) -> Say:
    values = schema.targets[0].values
    names = [str(value) for value in values]

    def say(probabilities: list[float], disagreement: list[float] | None) -> dict[str, Any]:
        said: dict[str, Any] = {
            "labels": [value for value, chance in zip(values, probabilities, strict=True) if chance >= 0.5],
            "probabilities": dict(zip(names, probabilities, strict=True)),
        }
        if disagreement is not None:
            said["disagreement"] = disagreement[0]
        return said

    return say


# --- numbers -----------------------------------------------------------------------------------------------------


def _numbers(schema: Schema) -> Answer:
    kind = schema.targets[0].kind
    units = [(field.scale, field.center) for field in schema.targets]
    width = regress.output(schema) // len(units)
    middle = width // 2 if kind == "quantiles" else 0

    def of_one(output: list[float]) -> list[list[float]]:
        answer = []
        for place, (scale, center) in enumerate(units):
            numbers = output[place * width : (place + 1) * width]
            if kind == "normal":
                answer.append([numbers[0] * scale + center, (_softplus(numbers[1]) + SMALLEST_SPREAD) * scale])
            else:
                answer.append([number * scale + center for number in sorted(numbers)])
        return answer

    def answer(outputs: Outputs) -> tuple[list[list[float]], list[float] | None]:
        if len(outputs) == 1:
            return of_one(outputs[0]), None
        each = list(zip(*map(of_one, outputs), strict=True))  # (T, M, Q)
        mean = [[fsum(column) / len(members) for column in zip(*members, strict=True)] for members in each]
        disagreement = [_spread([numbers[middle] for numbers in members]) for members in each]
        if kind == "normal":  # mixed: the variance is the mean of the variances plus the variance of the means
            for numbers, members, apart in zip(mean, each, disagreement, strict=True):
                numbers[1] = sqrt(fsum(own[1] ** 2 for own in members) / len(members) + apart**2)
        return mean, disagreement

    return answer


def _softplus(value: float) -> float:
    return value if value > 20 else log1p(exp(value))


def _say_numbers(schema: Schema) -> Say:
    kind = schema.targets[0].kind
    names = [field.name for field in schema.targets]
    reach = QUANTILE

    def of_one(numbers: list[float]) -> dict[str, Any]:
        if kind == "number":
            return {"value": numbers[0]}
        if kind == "normal":
            return {
                "value": numbers[0],
                "low": numbers[0] - reach * numbers[1],
                "high": numbers[0] + reach * numbers[1],
            }
        return {"value": numbers[len(numbers) // 2], "low": numbers[0], "high": numbers[-1]}

    def say(answer: list[list[float]], disagreement: list[float] | None) -> dict[str, Any]:
        said = [of_one(numbers) for numbers in answer]
        if disagreement is not None:
            for one, apart in zip(said, disagreement, strict=True):
                one["disagreement"] = apart
        return said[0] if len(said) == 1 else dict(zip(names, said, strict=True))

    return say
