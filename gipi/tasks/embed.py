"""Embed: a picture in, a vector out that says what the picture shows, learned without labels.

Where the data has labels, they say how much is in the vectors: `linear_probe`, how often a logistic regression on them
is right about test pictures, and `neighbors`, how often the 20 nearest training pictures are (by cosine, each counting
by exp(cosine / T); Wu et al. 2018, https://arxiv.org/abs/1805.01978). Beside them the same probe on what an untrained
network of the same make gives and on the elements themselves, and the same network taught by a tenth of the labels.

Without labels: `alignment`, the mean squared distance of two views of one picture, and `uniformity`, the logarithm of
the mean of exp(-2 d^2) over pairs of pictures, d their distance; both on the unit sphere and the lower the better (Wang
& Isola 2020, https://arxiv.org/abs/2005.10242).

n m pictures, F features, K classes
"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from gipi.data.schema import Schema
from gipi.errors import UsageError
from gipi.messages import _
from gipi.tasks.baselines import Rows, linear
from gipi.tasks.intervals import Array, Metric, Resample, wilson

default = {"picture": "simclr"}
loss = None  # the system has its own
NEAREST, T = 20, 0.07
MOST = 20_000  # training pictures that probes and neighbors are taken from
PAIRED = 2000  # pictures that uniformity looks at: it needs the distance of each pair
SHARE = 0.1  # of the labels, that the same network is taught by


def output(schema: Schema) -> int:
    """A classifier's last layer is not wanted; one output is the least that it can be built with."""
    return 1


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "linear_probe"


def answer(output: Tensor, schema: Schema) -> Tensor:
    """`(B, F)`."""
    return output


def combine(answers: list[Tensor], schema: Schema) -> tuple[Tensor, None]:
    """There is one network."""
    (one,) = answers
    return one, None


def decode(answers: Tensor, disagreement: None, schema: Schema) -> list[dict[str, Any]]:
    """The vector of each picture."""
    return [{"vector": vector} for vector in answers.tolist()]


# --- with labels -------------------------------------------------------------------------------------------------


def probe(train: Array, y: Array, test: Array, classes: int, seconds: float | None, seed: int = 0) -> tuple[Array, str]:
    """What a logistic regression on vectors `(n, F)` with classes `(n,)` says of `(m, F)`: `(m, K)` probabilities.

    Also how it was fitted. The vectors are standardised first.
    """
    center, scale = train.mean(0), train.std(0)
    scale = np.where(scale > 1e-6 * max(scale.max(), 1e-30), scale, 1)
    z = ((train - center) / scale).astype(np.float32)
    rows = Rows("classify", z, z, y, None, classes, (), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what did not converge is said in settings
        predict, settings, used = linear(rows, seconds, len(test))
    asked = ((test - center) / scale).astype(np.float32)
    if used < len(train):
        settings += "; " + _("fitted on {rows} of {all} training rows to stay in time", rows=used, all=len(train))
    return predict(asked, asked), settings


def neighbors(train: Array, y: Array, test: Array, classes: int) -> Array:
    """What the nearest of vectors `(n, F)` with classes `(n,)` say of `(m, F)`: `(m, K)` shares."""
    known = normalize(torch.from_numpy(train).float())
    one_hot = torch.eye(classes)[torch.from_numpy(y)]
    shares = []
    for part in torch.from_numpy(test).float().split(500):
        near, places = (normalize(part) @ known.T).topk(min(NEAREST, len(known)), dim=1)
        weights = ((near - near[:, :1]) / T).exp()
        shares.append((one_hot[places] * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True))
    return torch.cat(shares).double().numpy()


def share_right(probabilities: Array, y: Array) -> Metric:
    """Accuracy of `(m, K)` with its interval."""
    share = float((probabilities.argmax(1) == y).mean())
    return Metric(share, *wilson(share, len(y)))


# --- without labels ----------------------------------------------------------------------------------------------


def alignment(one: Array, other: Array, intervals: bool = True, seed: int = 0) -> Metric:
    """How far two views of each picture are apart, `(n, F)` each."""
    apart = ((_unit(one) - _unit(other)) ** 2).sum(1)
    resample = Resample(len(apart), 1000 if intervals else 0, seed)
    sums = resample.sums(np.stack([apart, np.ones(len(apart))], 1))
    return resample.metric(sums, lambda s: s[:, 0] / s[:, 1], higher_is_better=False)


def uniformity(vectors: Array) -> Metric:
    """How evenly pictures `(n, F)` fill the sphere: 0 all in one place, about -4 spread out. Of many a part."""
    z = _unit(vectors[:PAIRED])
    square = np.maximum(2 - 2 * z @ z.T, 0)[np.triu_indices(len(z), 1)]
    return Metric(float(np.log(np.exp(-2 * square).mean())) if len(square) else 0.0, higher_is_better=False)


def _unit(vectors: Array) -> Array:
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def score(model: Any, x: Tensor, intervals: bool = True) -> dict[str, Metric]:
    """What can be said of vectors alone; what labels say of them stands in the run."""
    if len(x) < 2:
        raise UsageError(_("vectors of at least two pictures can be compared; {count} came", count=len(x)))
    return {"uniformity": uniformity(model.answers(x)[0].numpy())}
