"""Simpler ways to tag: each token's most frequent tag, and a logistic regression that sees a window of tokens.

Both learn from the tokens of the file, and their tags are made sense of in the same way as the network's.

N tokens of all sentences, K tags, V distinct tokens, F features
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gipi.data.tags import Sentence, Span, numbered, runs
from gipi.messages import _
from gipi.tasks.intervals import Array
from gipi.tasks.spans import best_path

WINDOW = 3  # tokens before and after
EPOCHS, BATCH, STEP_SIZE = 8, 256, 0.1  # of the regression: by Adagrad (Duchi 2011), as most features are rare
OUTSIDE = "\0"  # the token before the first and behind the last


@dataclass(frozen=True)
class Tagger:
    """A simpler way and what it found.

    Attributes:
        name: frequent_tag or window.
        spans: The stretches of each test sentence.
        seconds: What fitting and finding cost.
        settings: How it was fitted, for a person.
    """

    name: str
    spans: list[list[Span]]
    seconds: float
    settings: str


def fit_taggers(
    train: Sequence[Sentence], test: Sequence[Sentence], labels: Sequence[str], seconds: float, seed: int = 0
) -> list[Tagger]:
    """What each simpler way finds in test sentences; the regression learns for so many seconds at most."""
    begin = time.perf_counter()
    said, settings = _frequent(train, test, labels)
    middle = time.perf_counter()
    found, how = _window(train, test, labels, seconds, seed)
    end = time.perf_counter()
    return [
        Tagger("frequent_tag", said, middle - begin, settings),
        Tagger("window", found, end - middle, how),
    ]


def title(name: str) -> str:
    """What a person calls it."""
    return {
        "frequent_tag": _("most frequent tag of each token"),
        "window": _("logistic regression on a window of tokens"),
    }[name]


def spans_of(sentence: Sentence, tags: Sequence[int], labels: Sequence[str]) -> list[Span]:
    """The stretches that tags of a sentence's tokens say."""
    places = sentence.tokens
    return [Span(places[first][0], places[last - 1][1], labels[kind]) for first, last, kind in runs(tags)]


def _words(sentence: Sentence) -> list[str]:
    return [sentence.text[start:stop] for start, stop in sentence.tokens]


def _frequent(
    train: Sequence[Sentence], test: Sequence[Sentence], labels: Sequence[str]
) -> tuple[list[list[Span]], str]:
    """A token that was never seen has no label."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for sentence in train:
        for word, tag in zip(_words(sentence), numbered(sentence.tokens, sentence.spans, labels), strict=True):
            counts[word][tag] += 1
    shares = {}
    for word, tags in counts.items():
        each = np.full(1 + 2 * len(labels), 1e-6)
        for tag, count in tags.items():
            each[tag] += count / tags.total()
        shares[word] = np.log(each)
    unseen = np.log(np.eye(1, 1 + 2 * len(labels))[0] + 1e-6)
    said = [
        spans_of(one, best_path(np.stack([shares.get(word, unseen) for word in _words(one)])), labels) for one in test
    ]
    return said, _("{count} different tokens", count=len(counts))


def _window(
    train: Sequence[Sentence], test: Sequence[Sentence], labels: Sequence[str], seconds: float, seed: int
) -> tuple[list[list[Span]], str]:
    """As many epochs as there is time for, at most EPOCHS."""
    known: list[Array] = []
    x, y = torch.from_numpy(_features(train, known)), torch.from_numpy(_tags(train, labels))
    features = 1 + sum(map(len, known))
    weights = torch.zeros(features, 1 + 2 * len(labels))
    squares = torch.full_like(weights, 1e-10)
    order = torch.Generator().manual_seed(seed)
    begin = time.perf_counter()
    epochs = 0
    while epochs < EPOCHS and (not epochs or (time.perf_counter() - begin) * (epochs + 1) / epochs < seconds):
        for some in torch.randperm(len(x), generator=order).split(BATCH):
            _learn(weights, squares, x[some], y[some])
        epochs += 1
    scores = weights[torch.from_numpy(_features(test, known))].sum(1).log_softmax(1).double().numpy()
    ends = np.cumsum([0, *(len(one.tokens) for one in test)])
    said = [
        spans_of(one, best_path(scores[start:stop]), labels)
        for one, start, stop in zip(test, ends[:-1], ends[1:], strict=True)
    ]
    words = {"window": WINDOW, "features": features, "epochs": epochs}
    how = _("{window} tokens on each side and pairs of neighbours: {features} features, {epochs} epochs", **words)
    return said, how


def _learn(weights: Tensor, squares: Tensor, x: Tensor, y: Tensor) -> None:
    """A step of softmax regression on features `(B, F)` that are 1, with tags `(B,)`; what is not known stays 0."""
    off = weights[x].sum(1).softmax(1)  # (B, K)
    off[torch.arange(len(y)), y] -= 1.0
    rows, places = x.unique(return_inverse=True)
    slope = torch.zeros(len(rows), weights.shape[1])
    slope.index_add_(0, places.flatten(), off.repeat_interleave(x.shape[1], 0))
    slope[rows == 0] = 0.0
    squares.index_add_(0, rows, slope**2)
    weights.index_add_(0, rows, -STEP_SIZE * slope / squares[rows].sqrt())


def _tags(sentences: Sequence[Sentence], labels: Sequence[str]) -> Array:
    """`(N,)`: the tag of each token of all sentences."""
    return np.array([tag for one in sentences for tag in numbered(one.tokens, one.spans, labels)], np.int64)


def _features(sentences: Sequence[Sentence], known: list[Array]) -> Array:
    """`(N, F)`: the numbers of the features that each token has: which token stands where in its window, which pairs.

    Args:
        sentences: To be looked at.
        known: For each column what was seen in training, sorted; empty: it is filled. What is not known is feature 0.
    """
    margin = [OUTSIDE] * WINDOW
    words = [word for one in sentences for word in (*margin, *_words(one), *margin)]
    inside = np.concatenate([np.repeat([False, True, False], (WINDOW, len(o.tokens), WINDOW)) for o in sentences])
    if not known:
        known.append(np.unique(words))
    codes = _places(np.array(words), known[0])  # 0: unseen
    near = {by: np.roll(codes, -by)[inside] for by in range(-WINDOW, WINDOW + 1)}
    pairs = [near[by] * (len(known[0]) + 1) + near[by + 1] for by in (-2, -1, 0, 1)]
    columns = [*near.values(), *pairs]
    if len(known) == 1:
        known += [np.unique(column) for column in columns]
    starts = np.cumsum([0, *map(len, known[1:])])
    placed = [_places(column, seen) for column, seen in zip(columns, known[1:], strict=True)]
    return np.stack([np.where(one > 0, one + start, 0) for one, start in zip(placed, starts, strict=False)], 1)


def _places(values: Array, known: Array) -> Array:
    """The place of each value among known ones, from 1; 0 where it is none of them."""
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[places] == values, places + 1, 0)
