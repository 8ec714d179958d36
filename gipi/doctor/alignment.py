"""Whether inputs and targets belong together, and whether batches are drawn at random: by the numbers alone.

n rows, d inputs, k numbers that stand for a target
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

BLOCKS, BLOCK = 4, 750  # pieces of rows that follow each other, from all over the data; rows in each
WIDE = 64  # inputs to which wider ones are brought at random: distances are about kept (Johnson & Lindenstrauss 1984)
BENT = (
    192  # random features with a bend beside them, so that what a line does not fit is found too (Rahimi & Recht 2007)
)
RIDGE = 1.0  # for each feature of unit variance, times the features: none of them may fit noise alone
REACH = 5  # rows by which targets may be moved; a mistake moves them by one or two
MOST_CLASSES = 50
FURTHEST = 3  # places by which a text's targets may be moved
SEEN = 4096  # tokens of a text that are compared


def aligned(x: np.ndarray, y: np.ndarray, kind: str = "", is_text: bool = False) -> dict[str, Any] | None:
    """How well a quick model predicts y, and how well y moved by some rows; rows in the order in which they came.

    The quick model is ridge regression on the inputs and on random features of them, learned from half of the rows and
    judged on the other half. The targets that are moved are each other's control.

    Args:
        x: `(n, ...)` numbers.
        y: `(n,)` classes or `(n, k)` numbers.
        kind: class, or what is a number.
        is_text: x `(n, T)` are tokens.

    Returns:
        own: The correlation of prediction and target. shifted: The highest of those of moved targets. by: Rows that
        these are moved by: y[row + by] goes with x[row]. error: The standard error of a correlation of unrelated
        things. rows. scores: By rows moved. single: The highest correlation of one input with the target moved so.
    """
    length = len(x)
    if length < 60 or y is None or len(y) != length or not len(y):
        return None
    rows, blocks = _blocks(length)
    given = np.asarray(x[rows])
    features = bent_features(_counted(given) if is_text else given.reshape(len(rows), -1))
    targets = _targets(np.asarray(y[rows]), kind)
    if features is None or targets is None:
        return None
    raw, features = features
    offsets = [0, *(sign * by for by in range(1, REACH + 1) for sign in (1, -1))]
    inner = _inner(blocks)  # rows whose neighbours are there too
    half = (np.arange(len(inner)) // 8) % 2 == 0  # neighbours may be alike, so halves are cut in runs of eight
    learn, judge = inner[half], inner[~half]
    if min(len(learn), len(judge)) < 20:
        return None
    some = features[learn]
    gram = (some.T @ some).astype(np.float64) + RIDGE * len(some) / 100 * np.eye(some.shape[1])
    moved = np.concatenate([targets[learn + by] for by in offsets], 1)
    predicted = features[judge] @ np.linalg.solve(gram, some.T @ moved)  # (m, offsets * k)
    each = np.split(predicted, len(offsets), axis=1)
    scores = {by: _correlation(own, targets[judge + by]) for by, own in zip(offsets, each, strict=True)}
    by = max(offsets[1:], key=lambda one: scores[one])
    return {
        "own": scores[0],
        "shifted": scores[by],
        "by": int(by),
        "error": 1 / math.sqrt(len(judge) * targets.shape[1]),
        "rows": len(rows),
        "scores": {str(one): score for one, score in sorted(scores.items())},
        "single": _single(raw[inner], targets[inner + by]),
    }


def _counted(x: np.ndarray) -> np.ndarray:
    """Texts `(n, T)` of tokens as numbers `(n, WIDE)`: each token is a random direction, and a text the sum of its own.

    The number that most texts end with says that there is no more of them.
    """
    ended = np.bincount(x[:, -1].astype(np.int64) - x.min()).argmax() + int(x.min())
    kinds, codes = np.unique(x, return_inverse=True)
    table = np.random.default_rng(0).normal(size=(len(kinds), WIDE)).astype(np.float32)
    table[kinds == ended] = 0
    codes = codes.reshape(x.shape)
    held = np.zeros((len(x), WIDE), np.float32)
    for place in range(x.shape[1]):
        held += table[codes[:, place]]
    return held


def _blocks(length: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows of blocks from all over, and the places of each block among them."""
    if length <= BLOCKS * BLOCK:
        return np.arange(length), [np.arange(length)]
    starts = np.linspace(0, length - BLOCK, BLOCKS).astype(int)
    rows = np.concatenate([np.arange(start, start + BLOCK) for start in starts])
    return rows, [np.arange(n * BLOCK, (n + 1) * BLOCK) for n in range(BLOCKS)]


def _inner(blocks: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([block[REACH:-REACH] for block in blocks])


def bent_features(x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """`(n, d)` inputs of unit variance, and `(n, d + BENT)` with their bends."""
    if not np.issubdtype(x.dtype, np.number) and x.dtype != bool:
        return None
    random = np.random.default_rng(0)
    flat = np.nan_to_num(x.astype(np.float32), posinf=0, neginf=0)
    if flat.shape[1] > WIDE:
        flat = flat - flat.mean(0)
        flat = flat @ random.normal(size=(flat.shape[1], WIDE)).astype(np.float32) / math.sqrt(WIDE)
    with np.errstate(all="ignore"):
        flat = (flat - flat.mean(0)) / np.maximum(flat.std(0), 1e-12)
    flat = np.clip(np.nan_to_num(flat), -5, 5)  # an outlier must not outweigh all other rows
    width = flat.shape[1]
    turned = random.normal(size=(width, BENT)).astype(np.float32) / math.sqrt(max(1, width))
    held = np.empty((len(flat), width + BENT), np.float32)
    held[:, :width], bent = flat, held[:, width:]
    np.matmul(flat, turned, out=bent)
    bent += random.normal(size=BENT).astype(np.float32)
    np.maximum(bent, 0, out=bent)
    bent -= bent.mean(0)
    bent /= np.maximum(bent.std(0), 1e-12)
    return flat, held


def _targets(y: np.ndarray, kind: str) -> np.ndarray | None:
    """`(n, k)` numbers around zero, of unit variance together; classes one-hot."""
    if kind == "class" or (y.ndim == 1 and np.issubdtype(y.dtype, np.integer)):
        if y.ndim != 1:
            return None
        labels, codes = np.unique(y, return_inverse=True)
        if not 2 <= len(labels) <= MOST_CLASSES:
            return None
        held = np.eye(len(labels))[codes]
    elif np.issubdtype(y.dtype, np.number):
        held = np.nan_to_num(y.astype(np.float64).reshape(len(y), -1)[:, :8], posinf=0, neginf=0)
        low, high = np.quantile(held, [0.01, 0.99], axis=0)
        held = np.clip(held, low, high)  # as for inputs
        held = held / np.maximum(held.std(0), 1e-12)
    else:
        return None
    held = held - held.mean(0)
    return held if held.std() > 1e-9 else None


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(0), other - other.mean(0)
    size = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / size) if size > 0 else 0.0


def _single(raw: np.ndarray, targets: np.ndarray) -> float:
    """The highest correlation of one input with one target."""
    one, other = raw - raw.mean(0), targets - targets.mean(0)
    sizes = np.sqrt((one**2).sum(0))[:, None] * np.sqrt((other**2).sum(0))[None]
    found = np.abs(one.T @ other) / np.maximum(sizes, 1e-12)
    return float(found.max()) if found.size else 0.0


def aligned_tokens(x: np.ndarray, y: np.ndarray) -> dict[str, Any] | None:
    """Of a text's batch how many targets equal the input so many places on: all of place 1, where it is right.

    Args:
        x: `(B, T)` tokens.
        y: `(B, T)` tokens, below 0 where nothing is asked.

    Returns:
        places: `{"0": share, "1": share, ...}`. best: The place of the highest share. tokens: How many were compared.
    """
    if x.ndim != 2 or y.shape != x.shape or x.shape[1] <= FURTHEST + 1:
        return None
    if not (np.issubdtype(x.dtype, np.integer) and np.issubdtype(y.dtype, np.integer)):
        return None
    rows = max(1, SEEN // x.shape[1])
    x, y = x[:rows], y[:rows]
    places, tokens = {}, 0
    for place in range(-1, FURTHEST + 1):
        left = max(0, -place)
        asked, there = y[:, left : x.shape[1] - max(0, place)], x[:, left + place : x.shape[1] + min(0, place)]
        known = asked >= 0
        if known.sum() < 20:
            return None
        tokens = int(known.sum())
        places[str(place)] = float((asked == there)[known].mean())
    best = max(places, key=lambda one: places[one])
    return {"places": places, "best": int(best), "tokens": tokens}


def order(batches: Sequence[np.ndarray]) -> dict[str, Any] | None:
    """How unlike batches are in their targets: the share of variance between them, and how likely chance makes it.

    Args:
        batches: The targets of batches in their order: `(B,)` classes or numbers.

    Returns:
        share: The intraclass correlation (Fisher 1925), 0 where rows are drawn at random, 1 where each batch is of one
        kind. p: That chance makes it as large. labels: The statistic: chi-square over its degrees of freedom.
        period: Batches after which the same targets come again in the same order; 0: they do not. batches, rows. means:
        Of each batch, of the first 64: the mean target, or the most frequent class's share.
    """
    batches = [np.asarray(one).reshape(len(one), -1)[:, 0] for one in batches if len(one)]
    sizes = np.array([len(one) for one in batches])
    if len(batches) < 4 or sizes.sum() - len(batches) < 8:
        return None
    together = np.concatenate(batches)
    if not np.issubdtype(together.dtype, np.number):
        return None
    if np.issubdtype(together.dtype, np.integer) or len(np.unique(together[:4096])) <= 2:
        labels, codes = np.unique(together, return_inverse=True)
        if not 2 <= len(labels) <= 4096:
            return None
        keep = np.argsort(-np.bincount(codes))[:MOST_CLASSES]
        columns = (codes[:, None] == keep[None]).astype(np.float64)
    else:
        held = np.nan_to_num(together.astype(np.float64), posinf=0, neginf=0)
        columns = np.argsort(np.argsort(held, kind="stable"), kind="stable").astype(np.float64)[:, None]  # ranks
    edges = np.concatenate([[0], np.cumsum(sizes)])
    means = np.add.reduceat(columns, edges[:-1], 0) / sizes[:, None]
    whole = columns.mean(0)
    between = float((sizes[:, None] * (means - whole) ** 2).sum())
    within = float(((columns - np.repeat(means, sizes, 0)) ** 2).sum())
    free, rest = len(batches) - 1, len(together) - len(batches)
    size = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / free
    one, two = between / free, within / rest
    if one + two == 0:
        return None
    share = (one - two) / (one + (size - 1) * two) if one + (size - 1) * two > 0 else 0.0
    statistic = between / ((between + within) / (len(together) - 1))  # about chi-square of `free` for each column
    return {
        "share": float(share),
        "labels": statistic / free,
        "p": _tail(statistic, free),
        "period": _period([one.tobytes() for one in batches]),
        "batches": len(batches),
        "rows": len(together),
        "means": [float(value) for value in means[:64, 0]],
    }


def _period(batches: Sequence[bytes]) -> int:
    """After how many batches the same ones come again in the same order, seen twice at least; 0: they do not."""
    for length in range(2, len(batches) // 2 + 1):
        again = batches[length:]
        if again == batches[: len(again)]:
            return length if len(set(batches[:length])) > 1 else 0
    return 0


def _tail(statistic: float, freedom: float) -> float:
    """The probability of a chi-square as large, by Wilson & Hilferty 1931."""
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))
