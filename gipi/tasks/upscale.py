"""Upscale: a picture some times as high and wide, with detail that smooth enlarging does not give.

Scored as the literature does it: of colour pictures the luma (ITU-R BT.601, as MATLAB's rgb2ycbcr gives it), and
without a border as wide as the factor. `psnr` in dB and `ssim` are means over pictures; see tasks/pictures.py.

n pictures, h w a small picture, r the factor
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi import losses
from gipi.data.canvas import tensors
from gipi.data.encode import normalize
from gipi.data.enlarged import enlarged, open_enlarged
from gipi.data.loose import loose
from gipi.data.schema import Schema
from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.tasks import pictures
from gipi.tasks.compared import Way
from gipi.tasks.intervals import Array, Metric
from gipi.tasks.whole import as_tensor, outputs, together

default = {"picture": "edsr"}
LOSSES = ("mae", "mse", "huber")
TILE = 256  # small pixels a side that go through a network at once
SUMS = ("psnr", "ssim")


def output(schema: Schema) -> int:
    """Channels."""
    return schema.targets[0].shape[0]


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "psnr"


def loss(name: str | None) -> Callable[..., Tensor]:
    """`f(output (B, C, r h, r w), y) -> scalar` by its name; None: mae, which gives sharper pictures than mse."""
    if name not in (None, *LOSSES):
        text = _(
            "the loss '{name}' does not fit {kind}; it can be: {known}.",
            name=name,
            kind="upscale",
            known=", ".join(LOSSES),
        )
        raise UsageError(text + nearest(str(name), list(LOSSES)))
    return {"mae": losses.mae, "mse": losses.mse, "huber": losses.huber}[name or "mae"]


# --- figures -----------------------------------------------------------------------------------------------------


def luma(picture: Array) -> Array:
    """`(h, w, C)` uint8 as `(h, w, 1)` uint8: 16 for black to 235 for white, of colours; grey stays as it is.

    Example:
        >>> luma(np.full((1, 1, 3), 255, np.uint8)).item(), luma(np.zeros((1, 1, 3), np.uint8)).item()
        (235, 16)
    """
    if picture.shape[2] == 1:
        return picture
    level = 16 + picture.astype(np.float64) @ (np.array([65.481, 128.553, 24.966]) / 255)
    return level.round().astype(np.uint8)[:, :, None]


def scores(picture: Array, truth: Array, factor: int) -> Array:
    """`psnr` and `ssim` of a picture `(h, w, C)` uint8, `(2,)`: of the luma, without a border of `factor` pixels."""
    inner = slice(factor, -factor)
    one, other = luma(picture)[inner, inner][None], luma(truth)[inner, inner][None]
    return np.array([pictures.psnr(one, other)[0], pictures.ssim(one, other)[0]])


def metrics(each: Array, intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """Means of `scores` `(n, 2)`, with 95 % intervals by the bootstrap over pictures."""
    named = {name: each[:, place] for place, name in enumerate(SUMS)}
    return pictures.means(named, intervals, seed)


def mean_psnr(sums: Array) -> Array:
    """Of sums `(R, 3)` of psnr, ssim and ones."""
    return sums[:, 0] / sums[:, 2]


def summed(each: Array) -> Array:
    """`scores` `(n, 2)` with a column of ones: what a comparison adds up."""
    return np.concatenate([each, np.ones((len(each), 1))], 1)


def rivals(small: list[Array], large: list[Array], factor: int) -> list[Way]:
    """What needs no learning: bicubic and nearest, of small pictures `(h, w, C)` beside the true large ones."""
    ways = []
    for name, title in (("bicubic", _("bicubic")), ("nearest", _("nearest pixel"))):
        began = time.perf_counter()
        made = [enlarged(picture, factor, name) for picture in small]
        seconds = time.perf_counter() - began
        each = np.stack([scores(one, truth, factor) for one, truth in zip(made, large, strict=True)])
        ways.append(Way(name, title, summed(each), 0.0, seconds, _("nothing is learned")))
    return ways


# --- answers -----------------------------------------------------------------------------------------------------


def answer(output: Tensor) -> Tensor:
    """What a network gives is the picture, in the units of the schema."""
    return output


def enlarged_by(model: Any, x: Tensor, sizes: Tensor, rows: Array) -> list[Array]:
    """The large picture `(r h, r w, C)` uint8 of each of these encoded small ones."""
    found: list[Any] = [None] * len(rows)
    for place, picture in outputs(model.members, model.schema, x, sizes, rows, answer):
        found[place] = pictures.decode(picture[None], model.schema)[0]
    return found


def score_source(model: Any, data: Any, intervals: bool = True) -> dict[str, Metric]:
    """All figures on other pictures: a folder, an archive or arrays, as `fit` takes them."""
    factor = model.extra["factor"]
    held = open_enlarged(data, factor, model.extra["longest"])
    x, y, sizes = tensors(held, model.schema.inputs[0].shape[0])
    rows = np.arange(len(x))
    made = enlarged_by(model, x, sizes, rows)
    truth = [
        y[row, :, : one.shape[0], : one.shape[1]].permute(1, 2, 0).numpy() for row, one in zip(rows, made, strict=True)
    ]
    each = np.stack([scores(one, true, factor) for one, true in zip(made, truth, strict=True)])
    return metrics(each, intervals)


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """For each picture `{"picture": (r h, r w, C) uint8, "factor": r}`; one from a file has its `file` too."""
    field, factor = model.schema.inputs[0], model.extra["factor"]
    answers = []
    for name, picture in loose(rows, field.shape[0]):
        large = pictures.decode(by_tiles(model, as_tensor(picture), factor), model.schema)[0]
        answers.append({**({} if name is None else {"file": name}), "picture": large, "factor": factor})
    return answers


def by_tiles(model: Any, x: Tensor, factor: int, tile: int = TILE) -> Tensor:
    """A small picture `(1, C, h, w)` uint8 through the networks, a piece at a time: `(1, C, r h, r w)`.

    Each piece goes in with as much of its surroundings as its pixels depend on (a network's `reach`), so the seams are
    not seen: the result is that of the whole. A network that does not say its reach takes the picture at once.
    """
    members = model.members
    where = next(members[0].parameters())
    reach = max(getattr(member, "reach", 0) for member in members)
    height, width = x.shape[2:]

    def through(piece: Tensor) -> Tensor:
        return together(members, normalize(model.schema, piece.to(where.device)).to(where.dtype), answer).cpu()

    if not reach or max(height, width) <= tile + 2 * reach:
        return through(x)
    whole = torch.empty((1, x.shape[1], height * factor, width * factor), dtype=where.dtype)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            above, before = min(top, reach), min(left, reach)
            piece = x[:, :, top - above : top + tile + reach, left - before : left + tile + reach]
            made = through(piece)[:, :, above * factor :, before * factor :]
            into = whole[:, :, top * factor : (top + tile) * factor, left * factor : (left + tile) * factor]
            into.copy_(made[:, :, : into.shape[2], : into.shape[3]])
    return whole
