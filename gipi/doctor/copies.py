"""Pictures that are copies of others, exactly or saved anew.

Exact copies are found by a hash of their pixels, whatever their label says: a copy with another label is no better.
Pictures that were only saved anew (another quality, another format) differ a little everywhere. Both have the same
average hash (8 x 8 means, each above or below the mean of all, as Krawetz described it in 2011), save for means close
to the threshold; whether two with the same hash are one picture, their pixels then decide.

N pictures, C H W channels, height, width
"""

import hashlib
from collections.abc import Callable

import numpy as np

SIDE = 8  # of the average hash
NEAR = 4 / 255  # of the range from black to white: mean distance of pixels that saving a photo anew may cause
FAR_BELOW = 0.06  # of the contrast: so near are 9 of 10 photos saved anew, and hardly any two trousers of Fashion-MNIST
STEP = 2.0  # of 255, of the mean light of pictures that are compared; copies differ by some tenths
MOST_BITS = 4  # of 64 in which the hashes of copies may differ
MOST_TWINS = 200  # training pictures with the same hash that are looked at
OFTEN, SHARE = 10, 0.01  # so many times, and of so many of the rows: what occurs so often is no copy, it is broken
AT_ONCE = 1 << 22  # elements that are looked at together


def worth_comparing(x: np.ndarray, told: np.ndarray) -> np.ndarray:
    """`(N,)` which rows are neither of one value throughout nor one and the same again and again.

    Args:
        x: `(N, ...)`.
        told: `(N,)` equal where rows are.
    """
    flat = x.reshape(len(x), -1)
    _values, place, counts = np.unique(told, return_inverse=True, return_counts=True)
    often = counts[place] >= max(OFTEN, SHARE * len(x))
    return ~often & (flat != flat[:, :1]).any(1)


def equal_pictures(x: np.ndarray, rows: np.ndarray, train: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a row and a training row with the same pixels."""
    found, known = _by_piece(x, rows, digests), _by_piece(x, train, digests)
    pairs = {}
    for place, twin in zip(*_with_equal_keys(found, known), strict=True):
        row, other = int(rows[place]), int(train[twin])
        if row not in pairs and np.array_equal(x[row], x[other]):
            pairs[row] = other
    return sorted(pairs.items())


def near_pictures(x: np.ndarray, rows: np.ndarray, train: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of a row and a training row that look the same: their hashes and then their pixels are nearly equal.

    Saving a picture anew moves a few means over the threshold, hardly ever one in each quarter of the hash: only those
    with an equal quarter are compared.
    """
    if min(x.shape[2:]) < SIDE or not len(rows):
        return []
    white = 255.0 if x.dtype == np.uint8 else float(np.nanmax(np.abs(x[rows[:1000]]), initial=0.0)) or 1.0
    means, known_means = (_by_piece(x, some, field_means) for some in (rows, train))  # (N, 64)
    found, known = average_hash(means), average_hash(known_means)
    light, known_light = (np.nan_to_num(one.mean(1).clip(0)) * (255 / white / STEP) for one in (means, known_means))
    quadrants, known_quadrants = (_quadrants(some) for some in (means, known_means))
    looked = []
    for quarter in range(4):  # 16 bits each; with them the mean light, which saving anew changes by less than a step
        some, all_known = (hashes.view(np.uint16).reshape(-1, 4)[:, quarter] for hashes in (found, known))
        for shift in (0, 1):
            bins, known_bins = ((values + shift / 2).astype(np.int64) << 16 for values in (light, known_light))
            places, twins = _with_equal_keys(bins + some, known_bins + all_known)
            alike = np.bitwise_count(known[twins] ^ found[places]) <= MOST_BITS
            places, twins = places[alike], twins[alike]
            # the means of two pictures are at most as far from each other as their pixels are
            alike = np.abs(quadrants[places] - known_quadrants[twins]).sum(1) <= 4 * NEAR * white
            places, twins = places[alike], twins[alike]
            alike = np.abs(means[places] - known_means[twins]).mean(1) <= NEAR * white
            looked.append(places[alike] * len(train) + twins[alike])
    pairs: dict[int, int] = {}
    for place, twin in zip(*np.divmod(np.unique(np.concatenate(looked)), len(train)), strict=True):
        row, other = int(rows[place]), int(train[twin])
        if row not in pairs and _are_same(x[row], x[other], white):
            pairs[row] = other
    return sorted(pairs.items())


def _are_same(one: np.ndarray, other: np.ndarray, white: float) -> bool:
    """Whether two pictures `(C, H, W)` are one, by the mean distance of their pixels."""
    one, other = one.astype(np.float32), other.astype(np.float32)
    distance = np.abs(one - other).mean()
    return bool(distance <= NEAR * white and distance <= FAR_BELOW * np.abs(one - one.mean()).mean())


def _with_equal_keys(found: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of `found` and of the known keys that equal theirs: pairs, and of each found one the first so many."""
    order = np.argsort(known, kind="stable")
    first, last = (np.searchsorted(known[order], found, side) for side in ("left", "right"))
    counts = np.minimum(last - first, MOST_TWINS)
    places = np.repeat(np.arange(len(found)), counts)
    steps = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places, order[first[places] + steps]


def field_means(x: np.ndarray) -> np.ndarray:
    """`(N, 64)` means of 8 x 8 fields of pictures `(N, C, H, W)`."""
    grey = x.mean(axis=1, dtype=np.float32)  # (N, H, W)
    for axis in (1, 2):
        edges = np.arange(SIDE) * grey.shape[axis] // SIDE
        sizes = np.diff([*edges, grey.shape[axis]])
        grey = np.add.reduceat(grey, edges, axis) / sizes.reshape((-1, 1) if axis == 1 else (-1,))
    return grey.reshape(len(x), -1).astype(np.float32)


def _quadrants(means: np.ndarray) -> np.ndarray:
    """`(N, 4)` means of the 8 x 8 means of pictures `(N, 64)`: quicker to compare."""
    half = SIDE // 2
    return means.reshape(-1, 2, half, 2, half).mean((2, 4)).reshape(-1, 4)


def average_hash(means: np.ndarray) -> np.ndarray:
    """`(N,)` 64 bits: which of 8 x 8 means `(N, 64)` lie above the mean of all."""
    return np.packbits(means > means.mean(axis=1, keepdims=True), axis=1).view(np.uint64)[:, 0]


def digests(x: np.ndarray) -> np.ndarray:
    """`(N,)` 64 bits that are equal where pictures are, and hardly ever else."""
    digests = (hashlib.blake2b(picture.tobytes(), digest_size=8).digest() for picture in x)
    return np.frombuffer(b"".join(digests), np.uint64)


def _by_piece(x: np.ndarray, rows: np.ndarray, what: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    size = max(1, AT_ONCE // max(1, x[:1].size))
    pieces = [what(x[rows[start : start + size]]) for start in range(0, len(rows), size)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint64)
