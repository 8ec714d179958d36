"""Whether what a model writes repeats itself more than the texts that it learned from: what the doctor is told.

The share of a text's runs of n tokens that stood in it before (seq-rep-n of Welleck et al. 2019,
https://arxiv.org/abs/1908.04319). How much is natural depends on text, tokens and length, so it is compared with
stretches of the training text that are as long. The likeliest continuation of a sound model often goes round in circles
too (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751), so it is told apart from what was drawn.

n tokens of a text, V vocabulary
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gipi.tasks.intervals import Array

RUNS = (4, 8, 16, 32)  # tokens; Welleck's 4 are for pieces of words, of characters more are needed
NATURAL = 0.05  # of the runs of a training text that may be repeated; where all repeat themselves nothing can be said
STRETCHES = 200  # of the training text: so the quantiles of their shares are sure to a few hundredths
FEWEST = 20  # stretches
COUNTED = 1 << 20  # tokens that the entropy is of


def repeated(tokens: Array, run: int) -> float:
    """The share of the runs of so many tokens, of tokens `(n,)`, that stood in it before.

    Example:
        >>> repeated(np.array([1, 2, 3, 4, 5, 6]), 2), repeated(np.array([1, 2] * 10), 2)
        (0.0, 0.8947368421052632)
    """
    if len(tokens) < run:
        return 0.0
    runs = sliding_window_view(np.asarray(tokens, np.int64), run)
    return 1 - len(np.unique(runs, axis=0)) / len(runs)


def stretches(tokens: Array, length: int) -> list[Array]:
    """At most 200 stretches of so many tokens, from all over a text `(n,)`."""
    places = len(tokens) - length + 1
    if places < FEWEST * length // 4:  # else they would be nearly the same
        return []
    starts = np.unique(np.linspace(0, places - 1, STRETCHES).astype(np.int64))
    return [np.asarray(tokens[start : start + length], np.int64) for start in starts]


def entropies(tokens: Array) -> tuple[float, float]:
    """What guessing costs, in nats a token: by the counts of tokens alone, and by those of what follows the last one.

    Example:
        >>> entropies(np.array([0, 1] * 500))
        (0.6931471805599453, 0.0)
    """
    tokens = np.asarray(tokens[:COUNTED], np.int64)
    alone, pairs = (
        np.unique(some, return_counts=True)[1] for some in (tokens, tokens[:-1] * (tokens.max() + 1) + tokens[1:])
    )
    one, both = (float(-(n / n.sum() * np.log(n / n.sum())).sum()) for n in (alone, pairs))
    return one, max(0.0, both - one)


def repeats_of(natural: Sequence[Array], drawn: Sequence[Array], likeliest: Sequence[Array]) -> dict[str, Any]:
    """How much of each text is repeated, as JSON; nothing where the training texts are too few, or repeat themselves.

    Args:
        natural: Tokens of stretches of the training text.
        drawn: Tokens of what was written, drawn by the model's probabilities.
        likeliest: Tokens of what was written, always the likeliest.

    Returns:
        run (how many tokens make one), and the shares of `natural` (at 21 quantiles), `drawn` and `likeliest`.
    """
    if len(natural) < FEWEST:
        return {}
    for run in RUNS:
        shares = [repeated(tokens, run) for tokens in natural]
        if np.median(shares) <= NATURAL:
            break
    else:
        return {}
    return {
        "run": run,
        "natural": np.quantile(shares, np.linspace(0, 1, 21)).tolist(),
        "drawn": [repeated(tokens, run) for tokens in drawn],
        "likeliest": [repeated(tokens, run) for tokens in likeliest],
    }


def most_repeated(tokens: Array, run: int) -> list[int]:
    """The run of so many tokens that stands most often in tokens `(n,)`."""
    if len(tokens) < run:
        return [int(token) for token in tokens]
    runs, counts = np.unique(sliding_window_view(np.asarray(tokens, np.int64), run), axis=0, return_counts=True)
    return runs[int(counts.argmax())].tolist()
