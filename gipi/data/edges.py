"""The edges of bins along a column of numbers, so that about as many training rows lie in each.

By quantiles, as in Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features", 2022, section 3.2.1.
Ours differs: a value that fills a bin or more by itself (zero, most often) counts as one; the rest is cut as finely.
"""

import numpy as np

MOST_ROWS = 100_000  # of which edges are learned: quantiles of more are the same to three digits
FEWEST_ROWS = 5  # in a bin, on average: fewer say more of their noise than of the column


def edges_of(numbers: np.ndarray, bins: int) -> tuple[float, ...]:
    """Edges of at most `bins` bins, ascending, of these finite numbers; none where they are all alike.

    Of few distinct values each is an edge.

    Example:
        >>> edges_of(np.array([0.0] * 90 + [1.0, 2.0, 3.0, 4.0] * 5), 2)
        (0.0, 2.0, 4.0)
    """
    some = numbers[:: -(-len(numbers) // MOST_ROWS)] if len(numbers) else numbers
    values, counts = np.unique(some, return_counts=True)
    if len(values) > bins + 1:
        counts = np.minimum(counts, max(1, len(some) // bins))
        passed = np.cumsum(counts)
        bins = min(bins, max(2, int(passed[-1]) // FEWEST_ROWS))
        cuts = np.linspace(counts[0], passed[-1], bins + 1)
        values = values[np.searchsorted(passed, cuts * (1 - 1e-12))]
    found = sorted({float(f"{value:.6g}") for value in values})  # an edge need not be exact, and is shorter to keep
    return tuple(found) if len(found) > 1 else ()
