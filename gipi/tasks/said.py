"""What a person is told: a model's numbers as answers in words, pictures and marks, one for each row.

In NumPy alone, so that a kept model answers in the same words where PyTorch is not installed; the tasks say theirs
through this file.

B rows, K classes or labels, T targets, Q numbers that describe one target, H W C a picture, Z numbers of a code
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gipi.data.schema import Schema

Array = np.ndarray
Said = dict[str, Any]

QUANTILE = 1.6448536269514722  # of the normal distribution at 95 %: 5 % on each side make a 90 % interval
OVERLAY = 0.5  # how much of an overlay is the classes' colours


def said(task: str, schema: Schema, extra: Mapping[str, Any], outputs: Mapping[str, Array]) -> list[Said]:
    """The answers of a program, whose outputs have the names that release/program.py gives them.

    Args:
        task: Its name.
        schema: What goes in and what comes out.
        extra: What else the task keeps.
        outputs: By name, one entry of each for each row.
    """
    differ = outputs.get("disagreement")
    if task == "classify":
        return of_classes(outputs["answer"], differ, schema)
    if task == "regress":
        return of_numbers(outputs["answer"], differ, schema)
    if task == "act":
        return of_actions(outputs["answer"], differ, schema)
    if task == "cluster":
        return [{"cluster": int(number)} for number in outputs["cluster"]]
    if task == "embed":
        return [{"vector": vector} for vector in outputs["vector"].tolist()]
    if task == "upscale":
        return [{"picture": picture, "factor": extra["factor"]} for picture in outputs["picture"]]
    if task == "stream":
        return [{"output": row} for row in outputs["output"].tolist()]
    codes = outputs.get("code")
    pictures: list[Said] = [{"picture": picture} for picture in outputs["picture"]]
    for one, code in zip(pictures, [] if codes is None else codes.tolist(), strict=False):
        one["code"] = code
    return pictures


def of_classes(answers: Any, disagreement: Any, schema: Schema) -> list[Said]:
    """`{"label", "probability", "probabilities"}`, or `{"labels", "probabilities"}`, of probabilities `(B, K)`."""
    values = schema.targets[0].values
    shown = []
    for row, probabilities in enumerate(answers.tolist()):
        named = dict(zip(map(str, values), probabilities, strict=True))
        if schema.targets[0].kind == "class":
            best = max(range(len(values)), key=probabilities.__getitem__)
            one: Said = {"label": values[best], "probability": probabilities[best], "probabilities": named}
        else:
            one = {
                "labels": [v for v, p in zip(values, probabilities, strict=True) if p >= 0.5],
                "probabilities": named,
            }
        if disagreement is not None:
            one["disagreement"] = float(disagreement[row])
        shown.append(one)
    return shown


def of_numbers(answers: Any, disagreement: Any, schema: Schema) -> list[Said]:
    """`{"value"}`, with `"low"` and `"high"` for a distribution, of `(B, T, Q)`; several targets by their names."""
    middle, ends = points(answers, schema), interval(answers, schema)
    shown = []
    for row in range(len(middle)):
        all_of_row: Said = {}
        for place, field in enumerate(schema.targets):
            one: Said = {"value": float(middle[row, place])}
            if ends:
                one |= {"low": float(ends[0][row, place]), "high": float(ends[1][row, place])}
            if disagreement is not None:
                one["disagreement"] = float(disagreement[row, place])
            all_of_row[field.name] = one
        shown.append(all_of_row if len(all_of_row) > 1 else next(iter(all_of_row.values())))
    return shown


def points(answers: Any, schema: Schema) -> Array:
    """The one number that is answered for each target, `(B, T)`, of `(B, T, Q)`."""
    place = answers.shape[-1] // 2 if schema.targets[0].kind == "quantiles" else 0
    return np.asarray(answers, np.float64)[..., place]


def interval(answers: Any, schema: Schema) -> tuple[Array, Array] | None:
    """The lower and upper end of the predicted 90 % interval, `(B, T)` each; None for a point."""
    numbers = np.asarray(answers, np.float64)
    if schema.targets[0].kind == "normal":
        reach = numbers[..., 1] * QUANTILE
        return numbers[..., 0] - reach, numbers[..., 0] + reach
    if schema.targets[0].kind == "quantiles":
        return numbers[..., 0], numbers[..., -1]
    return None


def of_actions(answers: Any, disagreement: Any, schema: Schema) -> list[Said]:
    """`{"action", "worth"}` of `(B, A)`: the worth of each action is the rewards to come that it expects."""
    values = schema.targets[0].values
    shown: list[Said] = [
        {"action": values[row.index(max(row))], "worth": dict(zip(map(str, values), row, strict=True))}
        for row in answers.tolist()
    ]
    for one, differ in zip(shown, [] if disagreement is None else disagreement.tolist(), strict=False):
        one["disagreement"] = differ
    return shown


def of_mask(mask: Array, picture: Array, classes: Mapping[str, Any]) -> Said:
    """What a mask `(h, w)` uint8 says of a picture `(h, w, C)`; see tasks/segment.py.

    Args:
        mask: Class numbers.
        picture: What was shown.
        classes: `names` and `colours`, as the bundle has them.
    """
    shown = coloured(mask, classes["colours"])
    shares = np.bincount(mask.reshape(-1), minlength=len(classes["names"])) / mask.size
    share = dict(zip(classes["names"], shares.tolist(), strict=True))
    return {"mask": mask, "mask_picture": shown, "overlay": overlay(picture, shown), "share": share}


def coloured(mask: Array, colours: Any) -> Array:
    """A mask `(h, w)` in its classes' colours, `(h, w, 3)`; white where nothing counts."""
    table = np.full((256, 3), 255, np.uint8)
    table[: len(colours)] = colours
    return table[mask]


def overlay(picture: Array, shown: Array) -> Array:
    """A picture `(h, w, C)` under a coloured mask `(h, w, 3)`."""
    wide = np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture
    return (wide * (1 - OVERLAY) + shown * OVERLAY + 0.5).astype(np.uint8)
