"""Denoise: a noisy picture in, a clean one out.

A network learns from pairs that are made from clean pictures: normal noise of one standard deviation is added (white is
1, so 0.3 is strong), and what leaves black or white is cut off, as a file would (data/noise.py). Each training picture
has other noise in each epoch; validation and test pictures have one noise each, a function of the seed and the row.
Kept models take pictures that are noisy already.

Scored by how near the answers are to the clean pictures of the test part (tasks/pictures.py), beside what needs no
network: doing nothing, the median of 3 x 3 or 5 x 5 elements (Tukey 1977), a Gaussian filter; which median and how wide
a Gaussian is chosen on training pictures.

n pictures, B batch, C H W a picture
"""

import time
from typing import Any

import torch
from torch import Tensor

from gipi.data.noise import DRAWS, add_noise
from gipi.data.schema import Schema
from gipi.data.stream import generator
from gipi.messages import _
from gipi.tasks import pictures as measure
from gipi.tasks.intervals import Array, Metric
from gipi.tasks.pictures import decode as shown
from gipi.tasks.scored import Rival

default = {"picture": "autoencoder"}
loss = None  # the system has its own
SIDES = (3, 5)  # of medians, to choose from
SPREADS = (0.5, 0.7, 1.0, 1.4, 2.0)  # of Gaussian filters, in elements, to choose from
TRIED = 500  # training pictures that they are chosen on


def output(schema: Schema) -> int:
    """Elements of a picture: one is wanted back."""
    channels, height, width = schema.inputs[0].shape
    return channels * height * width


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "psnr"


def answer(output: Tensor, schema: Schema) -> Tensor:
    """`(B, C, H, W)`, the clean picture, centered and scaled."""
    return output


def combine(answers: list[Tensor], schema: Schema) -> tuple[Tensor, None]:
    """There is one network."""
    (one,) = answers
    return one, None


def rebuilt(answers: Tensor, schema: Schema) -> Array:
    """The pictures in answers, as `(B, H, W, C)` uint8."""
    return shown(answers, schema)


def decode(answers: Tensor, disagreement: None, schema: Schema) -> list[dict[str, Any]]:
    """Each picture as it may have been, `(H, W, C)` uint8."""
    return [{"picture": picture} for picture in shown(answers, schema)]


def noisy(x: Tensor, rows: Any, noise: float, schema: Schema, seed: int) -> Tensor:
    """Encoded pictures `(n, C, H, W)`, which are these rows of the data, with the noise that each row has for ever."""
    count = int(max(rows, default=-1)) + 1
    draws = torch.rand(count, DRAWS, generator=generator(seed, "noise"))[torch.as_tensor(rows)]
    return add_noise(x, draws.to(x.device), noise, schema.inputs[0].white)


def score(model: Any, x: Tensor, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of a kept model on clean encoded pictures `(n, C, H, W)`, with noise as strong as in training."""
    given = noisy(x, range(len(x)), model.extra["noise"], model.schema, model.extra["seed"])
    made = rebuilt(model.answers(given)[0], model.schema)
    return measure.metrics(made, measure.as_bytes(x, model.schema), intervals)


def rivals(train: tuple[Array, Array], test: tuple[Array, Array]) -> list[Rival]:
    """What takes noise out without a network.

    Args:
        train: Noisy and clean pictures, `(n, H, W, C)` uint8 each, to choose by.
        test: Noisy and clean pictures, `(m, H, W, C)` uint8 each.
    """
    from scipy import ndimage

    def median(pictures: Array, side: float) -> Array:
        return ndimage.median_filter(pictures, (1, int(side), int(side), 1))

    def gaussian(pictures: Array, spread: float) -> Array:
        return ndimage.gaussian_filter(pictures, (0, spread, spread, 0))

    given, truth = train
    found = [Rival("untouched", _("doing nothing"), measure.scores(*test))]
    said = {
        "median": (median, SIDES, _("median filter"), lambda best: _("{side} x {side} elements", side=best)),
        "gaussian": (gaussian, SPREADS, _("Gaussian filter"), lambda best: _("spread {spread}", spread=best)),
    }
    for name, (change, choices, title, words) in said.items():
        begin = time.perf_counter()
        best = max(choices, key=lambda choice: measure.psnr(change(given, choice), truth).mean())
        seconds = time.perf_counter() - begin
        scores = measure.scores(change(test[0], best), test[1])
        settings = words(best) + "; " + _("chosen on {rows} training pictures", rows=len(given))
        found.append(Rival(name, title, scores, seconds, settings))
    return found
