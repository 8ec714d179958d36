"""Whether generated pictures are as different from each other as real ones are: what the doctor is told of a forger.

Two questions, because a forger can fail in two ways (Arora & Zhang 2017, https://arxiv.org/abs/1706.08224; Richardson &
Weiss 2018, https://arxiv.org/abs/1805.12462):

- Are its pictures copies of each other? The distance of each to its nearest neighbour among them, beside the same of as
  many real ones; one that is nearer to its neighbour than all but a hundredth of the real ones are is a near-copy.
- Are whole kinds of pictures missing? Real pictures are put into groups by k-means, and generated ones counted in them.

Distances are along the leading axes of the real pictures, so that noise and blur, which are other faults, count little.

n pictures of each kind, D elements of a picture, F leading axes, K groups
"""

from typing import Any

import numpy as np

from gipi.tasks.generate import leading_axes
from gipi.tasks.intervals import Array

MOST = 500  # pictures of each kind: a share of them is sure to 0.05
FEWEST = 20  # of fewer nothing can be said
TWIN = 0.01  # of the real ones are so near to another; a generated one that is so near is a near-copy
EACH = 25  # real pictures in a group on average: none of them generated is then no chance (exp(-25))
ROUNDS = 25  # of k-means
LINE = 21  # points of a curve


def variety_of(made: Array, real: Array, seed: int = 0) -> dict[str, Any]:
    """How varied generated pictures are beside real ones, as JSON; nothing where there are too few of them.

    Args:
        made: `(n, D)`.
        real: `(m, D)`; as many as there are of the others are looked at.
        seed: Of what is drawn.

    Returns:
        rows, the distances to the nearest neighbour at 21 quantiles (`made`, `real`), `copies` (the share of generated
        ones that are near-copies of each other), `spread` (how far they lie from their mean, over the same of real
        ones), `seen` (the share that looks real: as near to a real one as real ones are to each other), and the shares
        of those in each group, `groups` and `groups_real`.

    Example:
        >>> random = np.random.default_rng(0)
        >>> real = random.normal(size=(200, 5))
        >>> variety_of(np.zeros((200, 5)), real)["copies"], variety_of(real[::-1] + 1e-3, real)["copies"]
        (1.0, 0.01)
    """
    random = np.random.default_rng([seed, *b"variety"])
    count = min(len(made), len(real), MOST)
    if count < FEWEST or not np.isfinite(made).all():
        return {}
    real = real[np.sort(random.permutation(len(real))[:count])]
    axes, center = leading_axes(real), real.mean(0)
    made, real = (made[:count] - center) @ axes, (real - center) @ axes  # (n, F)
    size = real.var(0).sum()
    if not size > 0:
        return {}
    near, near_real = _nearest(made), _nearest(real)
    limit = max(float(np.quantile(near_real, TWIN)), 1e-6 * float(np.sqrt(size)))  # of real ones some may be copies
    to_real = np.sqrt(_squares(made, real).min(1))
    looks_real = to_real <= np.quantile(near_real, 1 - TWIN)
    groups, groups_real = _groups(made[looks_real], real, random)
    points = np.linspace(0, 1, LINE)
    return {
        "rows": count,
        "made": np.quantile(near, points).tolist(),
        "real": np.quantile(near_real, points).tolist(),
        "copies": float((near <= limit).mean()),
        "spread": float(np.sqrt(made.var(0).sum() / size)),
        "seen": float(looks_real.mean()),
        "groups": groups,
        "groups_real": groups_real,
    }


def _squares(one: Array, other: Array) -> Array:
    """Squared distances `(n, m)`."""
    found = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.maximum(found, 0)


def _nearest(rows: Array) -> Array:
    """The distance of each row to the nearest other one."""
    squares = _squares(rows, rows)
    np.fill_diagonal(squares, np.inf)
    return np.sqrt(squares.min(1))


def _groups(made: Array, real: Array, random: np.random.Generator) -> tuple[list[float], list[float]]:
    """The shares of both in groups of real ones, the largest first; none where they are too few to be counted."""
    several = len(real) // EACH
    if several < 2 or not len(made):
        return [], []
    centers = real[random.permutation(len(real))[:several]]
    own = np.zeros(len(real), np.int64)
    for _round in range(ROUNDS):
        own = _squares(real, centers).argmin(1)
        counts = np.bincount(own, minlength=several)
        sums = np.zeros_like(centers)
        np.add.at(sums, own, real)
        centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
    own = _squares(real, centers).argmin(1)
    theirs = _squares(made, centers).argmin(1)
    shares = [np.bincount(one, minlength=several) / len(one) for one in (theirs, own)]
    order = np.argsort(-shares[1], kind="stable")
    return shares[0][order].tolist(), shares[1][order].tolist()
