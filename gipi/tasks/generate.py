"""Generate: pictures in, new pictures of the same kind out, scored by how they compare with pictures held out.

Three figures, because each alone can be fooled:

- `frechet`: the distance between the two clouds of pictures, taken as normal distributions (Fréchet 1957; Heusel 2017,
  https://arxiv.org/abs/1706.08500), along the leading axes of the held-out pictures. No network of somebody else's is
  needed, so it is not the FID of papers. It sees means and covariances only: blurred noise with the right ones has 0.
  In units of the held-out pictures' variance: 0 is the same, and a forger that knows only the mean picture has 1.
- `told_apart`: how often the nearest neighbour tells whether a picture is generated (Lopez-Paz & Oquab 2017,
  https://arxiv.org/abs/1610.06545). 0.5: it cannot, 1: always. This one sees every detail; below 0.5 they are copies.
- `variety`: how far the generated pictures are from each other, compared with how far the real ones are. 1: as varied,
  0: always the same picture.

n m pictures, D elements of a picture, F leading axes, R resamples
"""

import math
from typing import Any

import numpy as np
import torch

from gipi.data.schema import Schema
from gipi.tasks.intervals import Array, Metric, Resample, wilson
from gipi.tasks.latent import noise_of
from gipi.tasks.pictures import decode

default = {"picture": "gan"}
loss = None  # the system has its own
AXES = 32  # F at most; digits hold 95 % of their variance in 29
SHARE = 0.95  # of the variance, that the leading axes hold
COMPARED = 2_000  # pictures of each kind at most: nearest neighbours cost the square of it
RESAMPLES = 200  # each needs two eigendecompositions


def output(schema: Schema) -> int:
    """Elements of a picture."""
    return math.prod(schema.inputs[0].shape)


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "frechet"


def leading_axes(pictures: Array) -> Array:
    """`(D, F)`: the orthonormal axes along which pictures `(n, D)` differ most, by their singular vectors."""
    centered = pictures - pictures.mean(0)
    _left, size, axes = np.linalg.svd(centered, full_matrices=False)
    held = np.cumsum(size**2) / max((size**2).sum(), np.finfo(float).tiny)
    return axes[: min(AXES, int(np.searchsorted(held, SHARE)) + 1)].T


def root(matrix: Array) -> Array:
    """The square root of symmetric matrices `(..., F, F)` without negative eigenvalues (but for rounding)."""
    size, axes = np.linalg.eigh(matrix)
    return (axes * np.sqrt(np.maximum(size, 0))[..., None, :]) @ np.swapaxes(axes, -1, -2)


def frechet(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> Array:
    """The squared Fréchet distance of normal distributions, `(...,)`, from `(..., F)` and `(..., F, F)`, in float64.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1^1/2 C2 C1^1/2)^1/2); Dowson & Landau 1982, J. Multivariate Analysis 12.
    """
    half = root(covariance)
    size = np.linalg.eigvalsh(half @ other_covariance @ half)
    cross = np.sqrt(np.maximum(size, 0)).sum(-1)
    traces = np.trace(covariance, axis1=-2, axis2=-1) + np.trace(other_covariance, axis1=-2, axis2=-1)
    return np.maximum(((mean - other_mean) ** 2).sum(-1) + traces - 2 * cross, 0)


def _products(features: Array) -> Array:
    """What mean and covariance are functions of, summed over rows: `(n, 1 + F + F F)`."""
    outer = features[:, :, None] * features[:, None, :]
    return np.concatenate([np.ones((len(features), 1)), features, outer.reshape(len(features), -1)], 1)


def _moments(sums: Array, axes: int) -> tuple[Array, Array]:
    """Mean `(R, F)` and covariance `(R, F, F)` from sums of `_products`, `(R, 1 + F + F F)`."""
    mean = sums[:, 1 : axes + 1] / sums[:, :1]
    square = (sums[:, axes + 1 :] / sums[:, :1]).reshape(-1, axes, axes)
    return mean, square - mean[:, :, None] * mean[:, None, :]


def frechet_metric(pictures: Array, held_out: Array, intervals: bool = True, seed: int = 0) -> Metric:
    """`frechet` of pictures `(n, D)` and `(m, D)` with its interval, both sides resampled.

    A resample's covariance is noisier than the sample's, which makes every distance larger: the interval is moved back
    by that bias. The figure itself has such a bias too, so compare it with that of real pictures, of the same number.
    """
    center, axes = held_out.mean(0), leading_axes(held_out)
    features = [(rows - center) @ axes for rows in (pictures, held_out)]
    unit = held_out.var(0).sum() or 1.0
    resamples = [
        Resample(len(rows), RESAMPLES if intervals else 0, seed + place) for place, rows in enumerate(features)
    ]
    sums = [r.sums(_products(rows)) for r, rows in zip(resamples, features, strict=True)]

    def distance(parts: list[Array]) -> Array:
        (mean, covariance), (other_mean, other_covariance) = (_moments(part, axes.shape[1]) for part in parts)
        return frechet(mean, covariance, other_mean, other_covariance) / unit

    value = float(distance([part.sum(0, keepdims=True) for part in sums])[0])
    drawn = [r.drawn @ part for r, part in zip(resamples, sums, strict=True) if r.drawn is not None]
    if len(drawn) < 2:
        return Metric(value, higher_is_better=False)
    draws = distance(drawn)
    bias = np.median(draws) - value
    low, high = np.percentile(draws, (2.5, 97.5)) - bias
    return Metric(value, min(value, max(0.0, low)), max(value, high), higher_is_better=False)


def variety(pictures: Array, held_out: Array, intervals: bool = True, seed: int = 0) -> Metric:
    """The root mean square distance between two pictures `(n, D)`, over the same of held-out pictures `(m, D)`."""
    center = held_out.mean(0)

    def spread(rows: Array, place: int) -> tuple[Array, Array]:
        rows = rows - center
        values = np.concatenate([np.ones((len(rows), 1)), (rows**2).sum(1, keepdims=True), rows], 1)
        resample = Resample(len(rows), RESAMPLES if intervals else 0, seed + place)
        sums = resample.sums(values)

        def variance(sums: Array) -> Array:
            mean = sums[:, 2:] / sums[:, :1]
            return sums[:, 1] / sums[:, 0] - (mean**2).sum(1)

        # a pair of different pictures: n / (n - 1) times as much as any two
        return variance(sums.sum(0, keepdims=True)) * len(rows) / max(len(rows) - 1, 1), resample.draws(sums, variance)

    (made, made_draws), (real, real_draws) = spread(pictures, 0), spread(held_out, 1)
    if not real[0] > 0:
        return Metric(math.nan)
    value = math.sqrt(max(made[0], 0) / real[0])
    if not len(made_draws) or not len(real_draws):
        return Metric(value)
    low, high = np.percentile(np.sqrt(np.maximum(made_draws, 0) / real_draws), (2.5, 97.5))
    return Metric(value, min(low, value), max(high, value))


def told_apart(pictures: Array, held_out: Array) -> Metric:
    """The share of pictures whose nearest neighbour, among all others of both kinds, is of their own kind.

    As many of each kind are compared, so that guessing is right half of the time.
    """
    count = min(len(pictures), len(held_out), COMPARED)
    both = np.concatenate([pictures[:count], held_out[:count]])
    square = (both**2).sum(1)
    distance = square[:, None] + square - 2 * both @ both.T
    np.fill_diagonal(distance, np.inf)
    is_made = np.arange(2 * count) < count
    share = float((is_made[distance.argmin(1)] == is_made).mean())
    return Metric(share, *wilson(share, 2 * count), higher_is_better=False)


def metrics(
    pictures: Array, held_out: Array, train: Array | None = None, intervals: bool = True, seed: int = 0
) -> dict[str, Metric]:
    """All figures of generated pictures, compared with held-out ones.

    Args:
        pictures: `(n, H, W, C)` as `decode` gives them: what a person sees is what is scored.
        held_out: `(m, H, W, C)`, never seen in training.
        train: Pictures of training: `frechet_of_real` is the distance of as many of them, what a perfect forger has.
        intervals: With 95 % intervals.
        seed: Of the resamples.
    """
    made, real = _flat(pictures), _flat(held_out)
    found = {
        "frechet": frechet_metric(made, real, intervals, seed),
        "told_apart": told_apart(made, real),
        "variety": variety(made, real, intervals, seed),
    }
    if train is not None:
        found["frechet_of_real"] = frechet_metric(_flat(train)[: len(made)], real, intervals, seed)
    return found


def _flat(pictures: Array) -> Array:
    return np.asarray(pictures, np.float64).reshape(len(pictures), -1)


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """New pictures, `{"picture": (H, W, C) uint8}` each, from a kept model, its members taking turns.

    Args:
        model: The model.
        rows: How many; or the noise that they are made of, `(n, Z)`, to go from one picture to another.
        seed: Of the noise.
    """
    noise = noise_of(rows, model.config["latent"], seed)
    members = model.members
    where = next(members[0].parameters())
    with torch.no_grad():
        parts = [torch.from_numpy(noise[place :: len(members)]).to(where) for place in range(len(members))]
        made = [decode(net(part), model.schema) for net, part in zip(members, parts, strict=True) if len(part)]
    return [{"picture": made[index % len(made)][index // len(made)]} for index in range(len(noise))]
