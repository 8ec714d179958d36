"""Word vectors that are counted: neighbours, their positive pointwise mutual information, its singular vectors.

Levy & Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", 2014, showed that word2vec factorises such a
matrix; with the settings that Levy, Goldberg & Dagan 2015 found best (TACL 3): neighbours count by their distance as a
dynamic window has it, contexts by their frequency to the power 0.75, vectors are U times the root of the singular
values. What a trained model has to be better than.

n words of a text, V that are known, D numbers of a vector
"""

import time
from typing import Any

import numpy as np

from gipi.data.skipgrams import keeping
from gipi.messages import _
from gipi.tasks.baselines import preload
from gipi.tasks.intervals import Array

POWER = 0.75  # of a context's frequency
AT_ONCE = 200_000  # words whose neighbours are counted before anybody looks at the clock
ROUNDS = 3  # of the randomised decomposition (Halko et al. 2011)
RATE = 1e9  # multiplications of a sparse matrix in a second, about


def counted_vectors(
    words: Array, lines: Array, counts: Array, window: int, sample: float, size: int, seconds: float, seed: int = 0
) -> tuple[Array, str]:
    """Vectors `(V, D)` of the words of a text, and how they were found.

    Args:
        words: `(n,)` numbers.
        lines: `(n,)` the line of each.
        counts: `(V,)` how often each is there.
        window: Places that neighbours may be away.
        sample: Share of the text above which words are left out at times.
        size: D.
        seconds: What it may take, about: of a long text a part is counted.
        seed: Of what is left out.
    """
    preload()  # or a thread would be at it at the same time
    size = min(size, len(counts) - 1)
    pairs, used = _counted(words, lines, counts, window, sample, size, seconds, seed)
    found = _vectors(ppmi(pairs), size, seed)
    how = _("counts of neighbours, PPMI, {size} singular vectors", size=size)
    if used < len(words):
        how += "; " + _("of {words} of {all} words to stay in time", words=used, all=len(words))
    return found, how


def _counted(
    words: Array, lines: Array, counts: Array, window: int, sample: float, size: int, seconds: float, seed: int
) -> tuple[Any, int]:
    """How often words are near each other `(V, V)`, and how many words of the text were looked at."""
    from scipy import sparse

    random, began = np.random.default_rng(seed), time.perf_counter()
    keep = keeping(counts, sample)
    pairs, used = sparse.csr_matrix((len(counts), len(counts))), 0
    for start in range(0, len(words), AT_ONCE):
        some, row = words[start : start + AT_ONCE], lines[start : start + AT_ONCE]
        used += len(some)
        stays = random.random(len(some)) < keep[some]
        pairs = pairs + near_each_other(some[stays], row[stays], window, len(counts))
        left = seconds - (time.perf_counter() - began)
        if left < 2 * pairs.nnz * (size + 10) * 2 * (ROUNDS + 1) / RATE:
            break
    return pairs, used


def near_each_other(words: Array, lines: Array, window: int, known: int) -> Any:
    """How often words `(n,)` of one line are near each other, `(V, V)`: 1 side by side, 1 / W at W places.

    Example:
        >>> near_each_other(np.array([0, 1, 2]), np.array([0, 0, 0]), 2, 3).toarray().tolist()
        [[0.0, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """
    from scipy import sparse

    found = sparse.csr_matrix((known, known))
    for apart in range(1, min(window, len(words) - 1) + 1):
        together = lines[apart:] == lines[:-apart]
        one, other = words[:-apart][together], words[apart:][together]
        weight = np.full(len(one), (window + 1 - apart) / window)
        found = found + sparse.csr_matrix((weight, (one, other)), shape=(known, known))
    return (found + found.T).tocsr()


def ppmi(pairs: Any) -> Any:
    """How much more often than by chance words `(V, V)` are near each other, as a logarithm; 0 where less often."""
    from scipy import sparse

    found = pairs.tocoo()
    own = np.asarray(pairs.sum(1)).ravel()
    smoothed = np.asarray(pairs.sum(0)).ravel() ** POWER
    chance = own[found.row] * (smoothed / max(smoothed.sum(), 1e-12))[found.col]
    values = np.maximum(np.log(found.data / chance), 0)
    return sparse.csr_matrix((values, (found.row, found.col)), shape=pairs.shape)


def _vectors(matrix: Any, size: int, seed: int) -> Array:
    from sklearn.utils.extmath import randomized_svd

    if size < 1 or not matrix.nnz:
        return np.zeros((matrix.shape[0], max(1, size)))
    found: Any = randomized_svd(matrix, size, n_iter=ROUNDS, random_state=seed)  # type: ignore[arg-type]  # a number too
    return found[0] * np.sqrt(found[1])
