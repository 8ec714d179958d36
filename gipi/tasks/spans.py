"""Stretches of text that are found and those that are there: how many are just right, and which tags make sense.

A stretch counts where its beginning, its end and its label are those of the truth (Tjong Kim Sang & De Meulder 2003,
https://arxiv.org/abs/cs/0306050); the figures are over all stretches of all sentences, their intervals by the bootstrap
over sentences. Token accuracy beside it counts each token of the file, nearly all of which have no label.

n sentences, K tags, T tokens or pieces of a text
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gipi.data.tags import Sentence, Span, numbered
from gipi.tasks.intervals import Array, Metric, Resample

HIT, SAID, TRUE, RIGHT, TOKENS = range(5)  # what is counted of each sentence


def counted(sentence: Sentence, found: Sequence[Span], labels: Sequence[str]) -> list[int]:
    """HIT, SAID, TRUE, RIGHT and TOKENS of one sentence."""
    truth = numbered(sentence.tokens, sentence.spans, labels)
    said = numbered(sentence.tokens, found, labels)
    right = sum(one == other for one, other in zip(truth, said, strict=True))
    return [len({*sentence.spans} & {*found}), len(found), len(sentence.spans), right, len(sentence.tokens)]


def f1_of(sums: Array) -> Array:
    """F1 of sums `(..., 5)`; 0 where nothing is there and nothing was said."""
    both = sums[..., SAID] + sums[..., TRUE]
    return np.where(both > 0, 2 * sums[..., HIT] / np.where(both > 0, both, 1), 0.0)


def metrics(counts: Array, intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """F1, precision, recall and token accuracy of counts `(n, 5)`."""
    resample = Resample(len(counts), 1000 if intervals else 0, seed)
    sums = resample.sums(counts)

    def share(part: int, whole: int):
        return lambda s: np.where(s[:, whole] > 0, s[:, part] / np.where(s[:, whole] > 0, s[:, whole], 1), 0.0)

    return {
        "f1": resample.metric(sums, f1_of),
        "precision": resample.metric(sums, share(HIT, SAID)),
        "recall": resample.metric(sums, share(HIT, TRUE)),
        "token_accuracy": resample.metric(sums, share(RIGHT, TOKENS)),
    }


def by_label(
    sentences: Sequence[Sentence], found: Sequence[Sequence[Span]], labels: Sequence[str]
) -> Mapping[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and the number of true stretches of each label."""
    table = {}
    for label in labels:
        truth = {(row, span) for row, one in enumerate(sentences) for span in one.spans if span.label == label}
        said = {(row, span) for row, one in enumerate(found) for span in one if span.label == label}
        hit = len(truth & said)
        precision, recall = (hit / len(one) if one else 0.0 for one in (said, truth))
        table[label] = (precision, recall, 2 * hit / max(1, len(said) + len(truth)), len(truth))
    return table


def best_path(scores: Array) -> list[int]:
    """The tags with the largest sum of scores `(T, K)` that make sense: nothing goes on that was not begun.

    Viterbi 1967; the scores are logarithms of probabilities, and a tag that goes on may only follow its own label.

    Example:
        >>> best_path(np.log([[0.5, 0.1, 0.4], [0.3, 0.1, 0.6]]))  # O and then I: I begins nothing, so it is B, I
        [0, 0]
        >>> best_path(np.log([[0.3, 0.3, 0.4], [0.2, 0.1, 0.7]]))
        [1, 2]
    """
    count, tags = scores.shape
    if not count:
        return []
    apart = np.zeros((tags, tags))  # from, to
    apart[:, 2::2] = -np.inf
    for inside in range(2, tags, 2):
        apart[[inside - 1, inside], inside] = 0.0
    best = scores[0].copy()
    best[2::2] = -np.inf
    came = np.empty((count, tags), np.int64)
    for place in range(1, count):
        ways = best[:, None] + apart
        came[place] = ways.argmax(0)
        best = ways.max(0) + scores[place]
    path = [int(best.argmax())]
    for place in range(count - 1, 0, -1):
        path.append(int(came[place, path[-1]]))
    return path[::-1]
