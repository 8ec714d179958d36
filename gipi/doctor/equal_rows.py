"""Rows of a table or of tokens that are equal, and which of them are copies of one another.

Few and coarse columns make equal rows by chance: two flowers with petals of the same tenths of centimetres. Where rows
meet by chance, many more miss each other by one column only; a copy has no such neighbours. So an equal row is a copy
if fewer rows miss it by one column than equal it; and where neighbours are few, as many of them as there are rows that
one single row misses are taken for chance: of two that agree in all but one column, less than half agree in it too.
Copies with a little noise have one neighbour far nearer than the next: in d dimensions the nearest lies nearer than a
hundredth of the way to the second with a chance of 0.01 ** d, and d is found from the same distances (Facco et al.,
"Estimating the intrinsic dimension of datasets by a minimal neighborhood information", 2017).

n rows, D columns
"""

import numpy as np

MOST_CELLS = 4_000_000  # of hashes that are held together
CLOSE = 0.01  # of the distance to the second neighbour
HELD, KNOWN = 300, 6000  # rows of which neighbours are looked for, and among which
AT_ONCE = 32  # rows: their distances to all known ones take less memory than training does
COLUMNS = 64  # of which one may differ
MATCHED = 2000  # rows whose neighbourhood is looked at
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64 (Steele et al., 2014)


def cells(x: np.ndarray, first: int = 0) -> np.ndarray:
    """`(n, D)` 64 bits of each value and its column; of the columns from number `first` on."""
    if x.dtype.kind == "f":
        bits = (x.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
    else:
        bits = x.astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        bits = bits + (np.arange(first + 1, first + 1 + x.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        bits = (bits ^ (bits >> np.uint64(30))) * _MIX[0]
        bits = (bits ^ (bits >> np.uint64(27))) * _MIX[1]
    return bits ^ (bits >> np.uint64(31))


def totals(x: np.ndarray) -> np.ndarray:
    """`(n,)` 64 bits that are equal where rows `(n, D)` are, and hardly ever else: the sums of their cells."""
    found = np.zeros(len(x), np.uint64)
    step = max(1, MOST_CELLS // max(1, len(x)))
    for start in range(0, x.shape[1], step):
        found += cells(x[:, start : start + step], start).sum(1, dtype=np.uint64)
    return found


def twins(held: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`(m,)` how many of the known 64 bits equal each of these."""
    ordered = np.sort(known)
    return np.searchsorted(ordered, held, "right") - np.searchsorted(ordered, held, "left")


def missing_by_one(held: np.ndarray, known: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`(m,)` how many known rows miss each of these rows by one column.

    Args:
        held: `(m, D)`.
        known: `(n, D)`.
        counts: `(m,)` how many known rows equal each.
    """
    missed = np.zeros(len(held), np.int64)
    of_held, of_known = totals(held), totals(known)
    for column in _telling(known):
        own = cells(held[:, column : column + 1], column)[:, 0]
        other = cells(known[:, column : column + 1], column)[:, 0]
        missed += twins(of_held - own, of_known - other) - counts
    return missed


def _telling(x: np.ndarray) -> list[int]:
    """The columns whose values differ most often, at most so many."""
    if x.shape[1] <= COLUMNS:
        return list(range(x.shape[1]))
    some = x[:: max(1, len(x) // 500)]
    differ = (some != some[:1]).mean(0)
    return sorted(np.argsort(-differ, kind="stable")[:COLUMNS].tolist())


def _nearest(held: np.ndarray, known: np.ndarray, count: int) -> np.ndarray:
    """`(m, count)` the places of the known rows `(n, D)` nearest to each held one `(m, D)`, the nearest first."""
    found, size = np.empty((len(held), count), np.int64), (known**2).sum(1)
    for start in range(0, len(held), AT_ONCE):
        rows = np.arange(start, min(len(held), start + AT_ONCE))
        square = size - 2 * held[rows] @ known.T  # (m, n) squared distances, but for a term of the row
        for place in range(count):  # for a few of many, faster than to part the rows
            found[rows, place] = square.argmin(1)
            square[np.arange(len(rows)), found[rows, place]] = np.inf
    return found


def copied(held: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int]:
    """Which of the held rows `(m, D)` have equal known ones, `(m,)`, and how many of these are copies.

    Of very many rows some are looked at closely, and the rest is taken to be like them.
    """
    counts = twins(totals(held), totals(known))
    equal = counts > 0
    if not equal.any():
        return equal, 0
    same, others = _some(np.flatnonzero(equal)), _some(np.flatnonzero(~equal))
    alone = missing_by_one(held[same], known, counts[same]) < counts[same]
    missed_once = missing_by_one(held[others], known, counts[others]) == 1
    copies = alone.mean() * equal.sum() - (missed_once.mean() * (~equal).sum() if len(others) else 0)
    return equal, max(0, round(float(copies)))


def _some(places: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(places)[:MATCHED])


def nearly_copied(held: np.ndarray, known: np.ndarray) -> tuple[int, int]:
    """How many of the held rows `(m, D)` of numbers are known ones with a little noise, and how many were looked at.

    0 where so many such neighbours may be chance.
    """
    random = np.random.default_rng(0)
    held = held[random.permutation(len(held))[:HELD]].astype(np.float64)
    known = known[random.permutation(len(known))[:KNOWN]].astype(np.float64)
    spread = known.std(0) if len(known) else np.zeros(held.shape[1])
    fits = np.isfinite(spread) & (spread > 0)
    if fits.sum() < 2 or len(known) < 20 or not len(held):
        return 0, len(held)
    held, known = held[:, fits] / spread[fits], known[:, fits] / spread[fits]
    middle = known.mean(0)
    held, known = held - middle, known - middle
    near = _nearest(held, known, 3)
    steps = np.abs(held[:, None] - known[near])  # (m, 3, D)
    distance = np.sort(np.sqrt((steps**2).sum(2)), axis=1)[:, :2]  # (m, 2)
    differing = (steps[np.arange(len(held)), (steps**2).sum(2).argmin(1)] > 0).sum(1)
    is_apart = distance[:, 0] > 0
    apart, differing = distance[is_apart], differing[is_apart]
    if len(apart) < 20:
        return 0, len(held)
    ratio = apart[:, 0] / apart[:, 1]
    middle_ratio = float(np.median(ratio))
    dimension = np.log(0.5) / np.log(middle_ratio) if 0 < middle_ratio < 1 else float(held.shape[1])
    expected = len(apart) * CLOSE ** max(1.0, dimension)
    close = int(((ratio < CLOSE) & (differing > 1)).sum())  # in one column alone, coarse rows meet by chance
    return (close if close >= 3 and close > expected + 4 * np.sqrt(expected) else 0), len(held)
