"""What decided: the parts of a picture without which its class would be less sure.

A grey square is moved over the picture, and where the class's probability falls most is what decided (Zeiler and
Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2, https://arxiv.org/abs/1311.2901). It
asks the model and looks into nothing, so that a program says it as well as networks.

H W C a picture, N places of the square
"""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray

PLACES = 8  # of the square along each side
SIDE = 2  # the square is so many steps wide: neighbours overlap by half
COLOUR = (255, 96, 0)
STRONGEST = 0.65  # how much of a pixel the colour is, at most


def explains(model: Any) -> bool:
    """Whether the model can say what decided: of a picture that is one class of several, of a text always."""
    if model.schema.is_text:
        return model.task in ("classify", "regress")
    return model.schema.is_picture and model.task == "classify" and model.schema.targets[0].kind == "class"


async def explained(model: Any, answers: Callable[[list[Array]], Awaitable[list[dict]]], picture: Array) -> dict:
    """The picture with what decided in colour: `{"of": label, "overlay": (H, W, 3)}`, or its error.

    Args:
        model: That it was made ready for.
        answers: Answers rows that were made ready.
        picture: Made ready.
    """
    (field,) = model.schema.inputs
    channels_first = picture.shape != (*field.shape[1:], field.shape[0])
    center = np.array(field.centers or [field.center] * field.shape[0])
    grey = center.clip(0, field.white).astype(picture.dtype)
    grey = grey[:, None, None] if channels_first else grey
    height, width = field.shape[1:]
    boxes = squares(height, width)
    covered = []
    for down, right in boxes:
        copy = picture.copy()
        copy[(slice(None), down, right) if channels_first else (down, right)] = grey
        covered.append(copy)
    whole, *others = await answers([picture, *covered])
    if "label" not in whole:
        return whole
    label = whole["label"]
    heat = np.zeros((height, width), np.float32)
    times = np.zeros((height, width), np.float32)
    for (down, right), other in zip(boxes, others, strict=True):
        heat[down, right] += whole["probability"] - other.get("probabilities", {}).get(str(label), 0.0)
        times[down, right] += 1
    seen = picture.transpose(1, 2, 0) if channels_first else picture
    shown = (seen * (255 / field.white)).clip(0, 255).astype(np.uint8)
    return {"of": label, "overlay": coloured(shown, heat / np.maximum(times, 1))}


def squares(height: int, width: int) -> list[tuple[slice, slice]]:
    """Where the square is put, `(N)` pairs of rows and columns."""

    def along(length: int) -> list[slice]:
        step = max(1, round(length / PLACES))
        return [slice(start, start + SIDE * step) for start in range(0, length, step)]

    return [(down, right) for down in along(height) for right in along(width)]


def coloured(picture: Array, heat: Array) -> Array:
    """A picture `(H, W, C)` uint8 under its heat `(H, W)`: `(H, W, 3)`, at least 224 pixels wide, to be looked at."""
    factor = max(1, -(-224 // picture.shape[1]))
    size = (picture.shape[1] * factor, picture.shape[0] * factor)
    strength = heat.clip(0) / max(float(heat.max()), 1e-6)
    smooth = np.asarray(Image.fromarray(strength).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)[:, :, None]
    base = np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture
    large = np.asarray(Image.fromarray(np.ascontiguousarray(base)).resize(size, Image.Resampling.NEAREST), np.float32)
    mixed = large * (1 - STRONGEST * smooth) + np.array(COLOUR, np.float32) * STRONGEST * smooth
    return mixed.astype(np.uint8)
