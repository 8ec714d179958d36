"""Compress: a picture in, a few numbers out that say it (the code), and the picture rebuilt from them.

Scored by how near the rebuilt pictures are to the ones of the test part (tasks/pictures.py), beside two ways without a
network: principal components, as many as the code has numbers (Pearson 1901; of all linear ways to say a picture in so
many numbers the one with the smallest squared error), and the mean picture, which needs none.

n pictures, H W C a picture, Z numbers of the code
"""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi.data.encode import normalize
from gipi.data.schema import Schema
from gipi.data.stream import generator
from gipi.errors import UsageError
from gipi.messages import _
from gipi.tasks import pictures as measure
from gipi.tasks.intervals import Array, Metric
from gipi.tasks.pictures import decode as shown
from gipi.tasks.scored import Rival

default = {"picture": "autoencoder"}
loss = None  # the system has its own
WIDE = 2000  # elements of a picture up to which all of its covariance is worked out


def output(schema: Schema) -> int:
    """No number of the task's own is wanted: how many the code has is said by the system (`--code`)."""
    return 0


def headline(schema: Schema) -> str:
    """The metric that a person reads first: what principal components make as small as can be, and codes too."""
    return "mse"


def answer(output: Tensor, schema: Schema) -> Tensor:
    """`(B, Z + C H W)`: the code, then the rebuilt picture."""
    return output


def combine(answers: list[Tensor], schema: Schema) -> tuple[Tensor, None]:
    """There is one network."""
    (one,) = answers
    return one, None


def rebuilt(answers: Tensor, schema: Schema) -> Array:
    """The pictures in answers `(B, Z + C H W)`, as `(B, H, W, C)` uint8."""
    shape = schema.inputs[0].shape
    return shown(answers[:, -math.prod(shape) :].unflatten(1, shape), schema)


def decode(answers: Tensor, disagreement: None, schema: Schema) -> list[dict[str, Any]]:
    """Each picture's code, and the picture `(H, W, C)` uint8 that comes of it."""
    codes = answers[:, : -math.prod(schema.inputs[0].shape)]
    return [
        {"picture": picture, "code": code.tolist()}
        for picture, code in zip(rebuilt(answers, schema), codes, strict=True)
    ]


def code_length(net: Any, x: Tensor, schema: Schema) -> int:
    """How many numbers a network says a picture `(1, C, H, W)` in."""
    with torch.no_grad():
        where = next(net.parameters())
        return net(normalize(schema, x.to(where.device))).shape[1] - x[0].numel()


def score(model: Any, x: Tensor, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of a kept model on encoded pictures `(n, C, H, W)`."""
    made = rebuilt(model.answers(x)[0], model.schema)
    return measure.metrics(made, measure.as_bytes(x, model.schema), intervals)


def sample(model: Any, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """So many new pictures, `{"picture": (H, W, C) uint8}` each, from a variational model."""
    if count < 1:
        raise UsageError(_("a number of pictures was expected, 1 or more; '{given}' came", given=count))
    net = model.members[0]
    if not getattr(net, "is_variational", False):
        raise UsageError(
            _("new pictures come from a model that was fitted with --variational; give this one pictures to compress")
        )
    made = net.generate(count, generator(seed, "generate", 0))
    return [{"picture": picture} for picture in shown(made, model.schema)]


def rivals(train: Array, test: Array, code: int, seed: int = 0) -> list[Rival]:
    """What is rebuilt without a network: from as many principal components, and the mean picture.

    Args:
        train: `(n, H, W, C)` uint8, pictures that may be learned from.
        test: `(m, H, W, C)` uint8, pictures to be rebuilt.
        code: How many components.
        seed: Of the search for components of large pictures.
    """
    begin = time.perf_counter()
    flat = train.reshape(len(train), -1).astype(np.float32)
    mean = flat.mean(0, dtype=np.float64).astype(np.float32)
    seconds = time.perf_counter() - begin
    axes = components(flat - mean, code, seed)  # (D, Z)
    fitted = time.perf_counter() - begin
    rebuilt = mean + (test.reshape(len(test), -1) - mean) @ axes @ axes.T
    names = {
        "pca": (_("{count} principal components", count=axes.shape[1]), rebuilt, fitted),
        "mean_picture": (_("the mean picture"), np.broadcast_to(mean, rebuilt.shape), seconds),
    }
    learned = _("learned from {rows} pictures", rows=len(train))
    return [
        Rival(name, title, measure.scores(_as_bytes(made, test.shape), test), took, learned)
        for name, (title, made, took) in names.items()
    ]


def components(centered: Array, count: int, seed: int = 0) -> Array:
    """`(D, Z)`: the orthonormal axes along which centered rows `(n, D)` differ most; by the covariance's eigenvectors,
    or, of many columns, by a randomised search (Halko, Martinsson & Tropp 2011)."""
    count = min(count, *centered.shape)
    if centered.shape[1] <= WIDE:
        covariance = torch.from_numpy(centered).T @ torch.from_numpy(centered)
        return torch.linalg.eigh(covariance.double())[1].flip(1)[:, :count].float().numpy()
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(centered, count, n_iter=4, random_state=seed)[2].T  # type: ignore  # its own hints are wrong


def _as_bytes(flat: Array, shape: tuple[int, ...]) -> Array:
    return flat.reshape(shape).round().clip(0, 255).astype(np.uint8)
