"""Quick models that no check trusts further than it must: each row is answered by a model that did not see it.

How much of what is asked they leave unexplained is 1 - R², of classes that of their one-hot numbers (the Brier score
beside that of the shares): 0 is always right, 1 no better than the mean.

n rows, T numbers that are asked, D inputs
"""

import numpy as np

FOLDS = 3
NEIGHBORS = 5  # along one column: a small number follows any curve, of five the noise is a fifth
BINS = 32  # of one column
TREES = 12


def random_folds(rows: int, seed: int = 0, count: int = FOLDS) -> np.ndarray:
    """`(n,)` the number of the fold in which each row is answered."""
    return np.random.default_rng(seed).permutation(np.arange(rows) % count)


def unexplained(errors: np.ndarray, asked: np.ndarray) -> float:
    """The share of the variance of `(n, T)` numbers of mean 0 that `(n,)` squared errors leave."""
    total = float((asked**2).sum())
    return float(errors.sum()) / total if total > 0 else 1.0


def by_one(values: np.ndarray, asked: np.ndarray, fold: np.ndarray, is_category: bool = False) -> np.ndarray:
    """`(n,)` squared errors of the best of a few models of one column `(n,)`, in which NaN is a value of its own.

    By value (the mean of the rows with this value); of numbers also by bins, by neighbours and by a line.
    """
    gaps = np.isnan(values)
    distinct, codes = np.unique(np.where(gaps, np.inf, values), return_inverse=True)
    kinds = []
    if is_category or len(distinct) <= max(BINS, len(values) // NEIGHBORS):
        kinds.append(lambda known, new: _by_code(codes, known, new, asked))
    if not is_category and len(distinct) > 2:
        rank = np.argsort(np.argsort(np.where(gaps, np.inf, values), kind="stable"), kind="stable")
        bins = np.where(gaps, BINS, rank * BINS // max(1, len(rank)))
        kinds += [
            lambda known, new: _by_code(bins, known, new, asked),
            lambda known, new: _by_neighbors(values, known, new, asked),
            lambda known, new: _by_line(values, known, new, asked),
        ]
    best = (asked**2).sum(1)
    for kind in kinds:
        errors = np.zeros(len(asked))
        for number in range(int(fold.max()) + 1):
            new = np.flatnonzero(fold == number)
            known = np.flatnonzero(fold != number)
            if len(new) and len(known):
                errors[new] = ((kind(known, new) - asked[new]) ** 2).sum(1)
        if errors.sum() < best.sum():
            best = errors
    return best


def _by_code(codes: np.ndarray, known: np.ndarray, new: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The mean of the known rows with this code; one more of mean 0 makes codes of one row careful."""
    size = int(codes.max()) + 1
    counts = np.bincount(codes[known], minlength=size) + 1e-9
    sums = [np.bincount(codes[known], asked[known, t], minlength=size) for t in range(asked.shape[1])]
    shrunk = np.stack(sums, 1) / (counts + (counts < 2))[:, None]
    return shrunk[codes[new]]


def _by_neighbors(values: np.ndarray, known: np.ndarray, new: np.ndarray, asked: np.ndarray) -> np.ndarray:
    present = known[~np.isnan(values[known])]
    if len(present) < NEIGHBORS:
        return np.zeros((len(new), asked.shape[1]))
    present = present[np.argsort(values[present], kind="stable")]
    place = np.searchsorted(values[present], values[new])
    start = np.clip(place - NEIGHBORS // 2, 0, len(present) - NEIGHBORS)
    near = present[start[:, None] + np.arange(NEIGHBORS)]  # (m, 5)
    answer = asked[near].mean(1)
    gaps = np.isnan(values[new])
    if gaps.any():
        without = known[np.isnan(values[known])]
        answer[gaps] = asked[without].mean(0) if len(without) else 0
    return answer


def _by_line(values: np.ndarray, known: np.ndarray, new: np.ndarray, asked: np.ndarray) -> np.ndarray:
    centre = np.nanmean(values[known]) if not np.isnan(values[known]).all() else 0.0
    x = np.nan_to_num(values - centre)
    spread = float((x[known] ** 2).sum())
    mean = asked[known].mean(0)
    slope = (x[known, None] * (asked[known] - mean)).sum(0) / spread if spread > 0 else 0 * mean
    return mean + x[new, None] * slope


def by_many(x: np.ndarray, asked: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """`(n,)` squared errors of the better of two models on `(n, D)`, see `taught`, or of the mean."""
    best = (asked**2).sum(1)
    trees, lines = best.copy(), best.copy()
    for number in range(int(fold.max()) + 1):
        new, known = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if x.shape[1] and len(new) and len(known) > 1:
            trees[new], lines[new] = taught(x, asked, known, new)
    return min((best, trees, lines), key=lambda errors: errors.sum())


def taught(x: np.ndarray, asked: np.ndarray, known: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(m,)` squared errors on new rows of randomised trees (Geurts 2006) and of a ridge regression on known ones."""
    from sklearn.ensemble import ExtraTreesRegressor

    answers = asked[known] if asked.shape[1] > 1 else asked[known, 0]
    model = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0, n_jobs=1).fit(
        x[known], answers
    )
    trees = ((model.predict(x[new]).reshape(-1, asked.shape[1]) - asked[new]) ** 2).sum(1)
    return trees, ((_ridge(x[known], asked[known], x[new]) - asked[new]) ** 2).sum(1)


def _ridge(x: np.ndarray, asked: np.ndarray, new: np.ndarray) -> np.ndarray:
    x, new = x.astype(np.float64), new.astype(np.float64)
    mean, spread = x.mean(0), x.std(0) + 1e-12
    x, new, middle = (x - mean) / spread, (new - mean) / spread, asked.mean(0)
    square = x.T @ x + np.eye(x.shape[1])  # a penalty of one row
    return middle + new.clip(-10, 10) @ np.linalg.solve(square, x.T @ (asked - middle))


def paired_z(more: np.ndarray, less: np.ndarray) -> float:
    """How many standard errors the mean of `more` lies above that of `less`, row by row."""
    difference = more - less
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    if error == 0:
        return float("inf") if difference.mean() > 0 else 0.0
    return float(difference.mean() / error)
