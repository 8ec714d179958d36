"""What classical models reach on the same rows: majority or mean, linear, k-nearest neighbours, tree boosting.

A deep model that does not beat these was not worth its cost, so every supervised run fits them on its own training
rows and predicts its own test rows; tasks/verdict.py compares. They stay within a budget of seconds by a rule: what a
fit costs is foretold from rows, columns and classes, by constants measured on one core, so the same data gives the same
baselines on any machine. Whatever is cut down (rows, rounds, steps) or left out stands in `settings`, never silent.

n rows, m rows to predict, D columns after one-hot, K classes, labels or targets
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gipi.messages import _

if TYPE_CHECKING:
    from gipi.data.schema import Sizes

Array = np.ndarray
Kind = Literal["classify", "labels", "regress"]
NAMES = ("majority", "mean", "linear", "neighbors", "boosting")

SHARES = {"linear": 0.25, "neighbors": 0.2, "boosting": 0.55}  # of the budget
# Seconds, measured on one busy core (2.5 GHz, scikit-learn 1.9) on digits and make_classification up to 30,000 x 50.
SECONDS_LINEAR = 2.5e-9  # for each row, column, class and step of L-BFGS
SECONDS_NEIGHBORS = 3e-10  # for each training row, row to predict and column
SECONDS_TREE = (6e-3, 3e-8)  # for each tree, and for each of its rows and columns
BEYOND = 1.5  # times the budget, after which no other is begun: the machine is much slower than foretold
PATIENCE = 10.0  # seconds that may always be used: a small budget on a busy machine must not change the verdict
STEPS, ROUNDS = (30, 300), (30, 100)  # fewest and most steps of L-BFGS, rounds of boosting
NEIGHBORS = (1, 3, 5, 10, 15, 25)  # the k to choose from
MOST_VALUES = 254  # categories that one column of boosting can tell apart, next to the unseen


@dataclass(frozen=True)
class Baseline:
    """A classical model and what it said.

    Attributes:
        name: majority, mean, linear, neighbors, boosting; of texts tfidf_words, tfidf_characters.
        predictions: Of the test rows: `(m, K)` probabilities or `(m, T)` numbers in the targets' units; None if the
            model was left out, for the reason in `settings`.
        seconds_fit: What fitting cost, without the import of scikit-learn.
        seconds_predict: What predicting the test rows cost.
        settings: A translated sentence or two on how it was fitted and what was cut down.
        rows: Training rows that it saw.
    """

    name: str
    predictions: Array | None
    seconds_fit: float = 0.0
    seconds_predict: float = 0.0
    settings: str = ""
    rows: int = 0

    @property
    def title(self) -> str:
        return title(self.name)


def title(name: str) -> str:
    """What a person calls a baseline."""
    titles = {
        "majority": _("majority class"),
        "mean": _("mean"),
        "linear": _("linear model"),
        "neighbors": _("k-nearest neighbors"),
        "boosting": _("gradient boosting"),
        "tfidf_words": _("TF-IDF of words, linear model"),
        "tfidf_characters": _("TF-IDF of characters, linear model"),
        "random_network": _("a network that learned nothing"),
        "pixels": _("the elements themselves"),
        "tenth": _("the same network, taught by a tenth of the labels"),
    }
    return titles.get(name, name)


def preload() -> None:
    """Import what fitting needs, about two seconds: in a thread beside training it costs nobody's time."""
    import sklearn.ensemble
    import sklearn.feature_extraction.text
    import sklearn.linear_model
    import sklearn.neighbors  # noqa: F401


@dataclass(frozen=True)
class Rows:
    """What a baseline is fitted on: `x` as the schema encodes it, targets, weights, and how to read them."""

    kind: Kind
    x: Array  # (n, N + K) numeric features then category codes
    z: Any  # (n, D) standardised, one-hot; dense or sparse
    y: Array  # (n,) classes, or (n, K) labels or numbers
    weight: Array | None
    outputs: int
    categories: tuple[int, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.y)

    def some(self, count: float) -> "Rows":
        """At most `count` rows drawn at random, with at least one of each class."""
        if count >= len(self):
            return self
        order = np.random.default_rng(self.seed).permutation(len(self))
        chosen = order[: max(20, int(count))]
        if self.kind == "classify":
            first = np.unique(self.y[order], return_index=True)[1]
            chosen = np.union1d(chosen, order[first])
        chosen = np.sort(chosen)
        weight = None if self.weight is None else self.weight[chosen]
        return replace(self, x=self.x[chosen], z=self.z[chosen], y=self.y[chosen], weight=weight)

    def columns(self) -> Array:
        """The targets as `(n, K)` numbers: one-hot for classes."""
        if self.kind == "classify":
            return np.eye(self.outputs, dtype=np.float32)[self.y]
        return self.y.astype(np.float64)


Predict = Callable[[Array, Any], Array]  # (x, z) of the test rows -> predictions
Fitted = tuple[Predict, str, int]  # with settings, and rows used


def fit_baselines(
    kind: Kind,
    train: tuple[Array, ...],
    test: tuple[Array, ...],
    sizes: "Sizes",
    budget: float | None = 20.0,
    seed: int = 0,
) -> list[Baseline]:
    """Fit every baseline on the training rows and predict the test rows.

    Args:
        kind: "classify" (y is class numbers), "labels" (0 or 1 for each label), "regress" (numbers, any units).
        train: `(x, y)` or `(x, y, weight)`; x is `(n, N + K)`, or pictures, which are flattened.
        test: `(x, ...)`; only x is looked at.
        sizes: Its `categories` say how many of the last columns are codes; its `output` how many classes there are.
        budget: Seconds for all of them; None: as long as it takes.
        seed: Of subsamples and of boosting.
    """
    preload()
    rows, test_x, test_z = _prepare(kind, train, test, sizes, seed)
    start = time.perf_counter()
    made = [fitted("majority" if kind == "classify" else "mean", constant, rows, test_x, test_z, None)]
    for name, model in (("linear", linear), ("neighbors", neighbors), ("boosting", boosting)):
        limit = None if budget is None else budget * SHARES[name]
        if kind == "classify" and len(np.unique(rows.y)) < 2:
            made.append(Baseline(name, None, settings=_("left out: the training rows hold one class only")))
        elif budget and time.perf_counter() - start > max(BEYOND * budget, PATIENCE):
            made.append(Baseline(name, None, settings=_("left out: {seconds} s were used up", seconds=round(budget))))
        else:
            made.append(fitted(name, model, rows, test_x, test_z, limit))
    return made


def fitted(name: str, model: Callable[..., Fitted], rows: Rows, x: Array, z: Any, limit: float | None) -> Baseline:
    """Fit and predict, timed. A baseline that cannot be fitted must not cost a person the trained model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what did not converge is said in settings
            begin = time.perf_counter()
            predict, settings, used = model(rows, limit, len(x))
            middle = time.perf_counter()
            predictions = np.asarray(predict(x, z), np.float64)
            end = time.perf_counter()
    except (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError) as error:
        return Baseline(name, None, settings=_("left out: it failed ({error})", error=error))
    if used < len(rows):
        cut = _("fitted on {rows} of {all} training rows to stay in time", rows=used, all=len(rows))
        settings = "; ".join(part for part in (settings, cut) if part)
    return Baseline(name, predictions, middle - begin, end - middle, settings, used)


def _prepare(kind: Kind, train: tuple, test: tuple, sizes: "Sizes", seed: int) -> tuple[Rows, Array, Any]:
    """Rows, and both forms of the test part."""
    x, y = (np.asarray(part) for part in train[:2])
    weight = np.asarray(train[2], np.float64) if len(train) > 2 and train[2] is not None else None
    others = np.asarray(test[0])
    is_picture = x.ndim > 2
    x, others = (part.reshape(len(part), -1).astype(np.float32) for part in (x, others))
    categories = () if is_picture else tuple(sizes.categories)
    y = y.astype(np.int64) if kind == "classify" else y.reshape(len(y), -1).astype(np.float64)
    outputs = sizes.output if kind == "classify" else y.shape[1]
    numeric = x.shape[1] - len(categories)
    # A picture's elements share a unit, so one scale serves all: elements that are nearly always white must not count.
    axis = None if is_picture else 0
    center = x[:, :numeric].mean(axis, dtype=np.float64) if numeric else 0.0
    scale = x[:, :numeric].std(axis, dtype=np.float64) if numeric else 1.0
    scale = np.where(scale > 1e-12, scale, 1.0)
    spread = [one_hot(part, numeric, center, scale, categories) for part in (x, others)]
    return Rows(kind, x, spread[0], y, weight, outputs, categories, seed), others, spread[1]


def one_hot(x: Array, numeric: int, center: Any, scale: Any, categories: tuple[int, ...]) -> Any:
    """`(n, D)`: standardised numbers, then one column for each value of each category; unseen values are all zeros.

    Dense, or sparse where that would take more than a gigabyte.
    """
    numbers = ((x[:, :numeric] - center) / scale).astype(np.float32)
    if not categories:
        return numbers
    width = sum(categories)
    codes = x[:, numeric:].astype(np.int64) - 1  # (n, K), -1 is unseen
    places = codes + np.cumsum((0, *categories[:-1]))
    row, column = np.nonzero(codes >= 0)
    if len(x) * width < 2.5e8:
        flags = np.zeros((len(x), width), np.float32)
        flags[row, places[row, column]] = 1
        return np.concatenate([numbers, flags], axis=1)
    from scipy import sparse

    flags = sparse.csr_matrix((np.ones(len(row), np.float32), (row, places[row, column])), (len(x), width))
    return sparse.hstack([sparse.csr_matrix(numbers), flags], format="csr")


def constant(rows: Rows, limit: float | None, to_predict: int) -> Fitted:
    """The same answer for every row: how frequent each class or label is, or the mean."""
    answer = np.average(rows.columns(), axis=0, weights=rows.weight)
    return lambda x, z: np.tile(answer, (len(x), 1)), "", len(rows)


def linear(rows: Rows, limit: float | None, to_predict: int) -> Fitted:
    """Logistic or ridge regression, both with an L2 penalty of 1 on standardised columns."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if rows.kind == "regress":
        center, scale = rows.y.mean(0), np.where(np.ptp(rows.y, axis=0) > 0, rows.y.std(0), 1)
        ridge = Ridge(alpha=1.0).fit(rows.z, (rows.y - center) / scale, rows.weight)
        settings = _("ridge regression, penalty 1")
        return lambda x, z: ridge.predict(z).reshape(len(x), -1) * scale + center, settings, len(rows)
    step = SECONDS_LINEAR * rows.z.shape[1] * (rows.outputs if rows.outputs > 2 or rows.kind == "labels" else 1)
    steps = STEPS[1] if limit is None else int(np.clip(limit / (step * len(rows)), *STEPS))
    used = rows if limit is None else rows.some(limit / (step * steps))

    def one(y: Array) -> Any:
        return LogisticRegression(C=1.0, max_iter=steps).fit(used.z, y, used.weight)

    models, predict = classifiers(used, one)
    settings = _("logistic regression, penalty 1")
    if any(model.n_iter_.max() >= steps for model in models):
        settings += "; " + _("stopped before convergence after {steps} steps", steps=steps)
    return lambda x, z: predict(z), settings, len(used)


def classifiers(rows: Rows, one: Callable[[Array], Any]) -> tuple[list, Callable[[Any], Array]]:
    """One model for all classes, or one for each label; and their probabilities `(m, K)`."""
    if rows.kind == "classify":
        model = one(rows.y)

        def probabilities(z: Any) -> Array:
            full = np.zeros((z.shape[0], rows.outputs))
            full[:, model.classes_.astype(int)] = model.predict_proba(z)  # a class without a training row has 0
            return full

        return [model], probabilities
    varies = [len(np.unique(column)) > 1 for column in rows.y.T]
    models = [one(column) if v else None for column, v in zip(rows.y.T, varies, strict=True)]

    def of_labels(z: Any) -> Array:
        columns = [
            np.full(z.shape[0], column[0]) if model is None else model.predict_proba(z)[:, 1]
            for column, model in zip(rows.y.T, models, strict=True)
        ]
        return np.stack(columns, axis=1)

    return [model for model in models if model is not None], of_labels


def neighbors(rows: Rows, limit: float | None, to_predict: int) -> Fitted:
    """The mean of the k nearest training rows; k is the one of NEIGHBORS that foretells training rows best, each from
    all others (leave one out, on at most 1,000 of them)."""
    from sklearn.neighbors import NearestNeighbors

    cost = SECONDS_NEIGHBORS * rows.z.shape[1] * (to_predict + 1000) / (1 if rows.z.shape[1] > 15 else 5)
    used = rows if limit is None else rows.some(limit / cost)
    most = min(max(NEIGHBORS), len(used) - 1)
    if most < 1:
        raise ValueError(_("it needs two rows"))
    targets, weight = used.columns(), np.ones(len(used)) if used.weight is None else used.weight
    index = NearestNeighbors().fit(used.z)

    def mean(near: Array, k: int) -> Array:  # (rows, at least k) -> (rows, K)
        share = weight[near[:, :k]]
        return (targets[near[:, :k]] * share[:, :, None]).sum(1) / np.maximum(share.sum(1, keepdims=True), 1e-300)

    probe = np.sort(np.random.default_rng(used.seed).permutation(len(used))[:1000])
    near = index.kneighbors(used.z[probe], most + 1, return_distance=False)
    itself = near == probe[:, None]
    itself[~itself.any(1), -1] = True  # among many copies of itself: the furthest goes
    near = near[~itself].reshape(len(probe), most)
    choices = [k for k in NEIGHBORS if k <= most]
    worst = [_error(used.kind, mean(near, k), targets[probe], weight[probe]) for k in choices]
    k = choices[len(choices) - 1 - int(np.argmin(worst[::-1]))]  # of equals the largest, whose shares are finer

    def predict(x: Array, z: Any) -> Array:
        parts = range(0, len(x), 1000)  # a thousand rows at a time: (1000, k, K) stays small
        near = (index.kneighbors(z[i : i + 1000], k, return_distance=False) for i in parts)
        return np.concatenate([mean(part, k) for part in near])

    return predict, _("k = {k}, chosen on the training rows", k=k), len(used)


def _error(kind: Kind, predicted: Array, targets: Array, weight: Array) -> float:
    if kind == "classify":
        wrong = predicted.argmax(1) != targets.argmax(1)
    elif kind == "labels":
        wrong = ((predicted >= 0.5) != targets).mean(1)
    else:
        wrong = ((predicted - targets) ** 2 / np.maximum(targets.var(0), 1e-300)).mean(1)
    return float(np.average(wrong, weights=weight))


def boosting(rows: Rows, limit: float | None, to_predict: int) -> Fitted:
    """Histogram gradient boosting, with scikit-learn's defaults except for what the time allows.

    Where there is time for fewer than 100 rounds they take larger steps; a small table may have smaller leaves than 20
    rows, without which the trees could not split.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    trees = rows.outputs if rows.outputs > 2 or rows.kind != "classify" else 1
    tree = SECONDS_TREE[0] + SECONDS_TREE[1] * len(rows) * rows.x.shape[1]
    rounds = ROUNDS[1] if limit is None else int(np.clip(limit / (trees * tree), *ROUNDS))
    rest = np.inf if limit is None else limit / (trees * rounds) - SECONDS_TREE[0]
    used = rows if rest == np.inf else rows.some(max(rest / (SECONDS_TREE[1] * rows.x.shape[1]), 1000))
    first = used.x.shape[1] - len(used.categories)
    kept = _frequent(used)
    options: dict[str, Any] = {
        "max_iter": rounds,
        "learning_rate": min(0.3, 0.1 * ROUNDS[1] / rounds),
        "min_samples_leaf": int(np.clip(len(used) // 6, 2, 20)),
        "categorical_features": list(range(first, used.x.shape[1])) or None,
        "random_state": used.seed,
    }
    x = _group(used.x, first, kept)
    settings = _("{rounds} rounds", rounds=rounds)
    if any(values is not None for values in kept):
        settings += "; " + _("of columns with many values the {count} most frequent", count=MOST_VALUES - 1)
    if used.kind == "regress":
        center, scale = used.y.mean(0), np.where(np.ptp(used.y, axis=0) > 0, used.y.std(0), 1)
        models = [
            HistGradientBoostingRegressor(**options).fit(x, column, used.weight)
            for column in ((used.y - center) / scale).T
        ]

        def numbers(x: Array, z: Any) -> Array:
            grouped = _group(x, first, kept)
            return np.stack([model.predict(grouped) for model in models], axis=1) * scale + center

        return numbers, settings, len(used)

    def one(y: Array) -> Any:
        rare = np.unique(y, return_counts=True)[1].min() < 2  # it stops early on a stratified tenth: needs two of each
        stop: Any = False if rare else "auto"
        return HistGradientBoostingClassifier(**options, early_stopping=stop).fit(x, y, used.weight)

    predict = classifiers(used, one)[1]
    return lambda x, z: predict(_group(x, first, kept)), settings, len(used)


def _frequent(rows: Rows) -> list[Array | None]:
    """For each category column: None, or the codes to keep where there are more than boosting can tell apart."""
    kept: list[Array | None] = []
    for column, values in enumerate(rows.categories, rows.x.shape[1] - len(rows.categories)):
        counts = np.bincount(rows.x[:, column].astype(np.int64), minlength=values + 1)[1:]
        kept.append(np.argsort(-counts, kind="stable")[: MOST_VALUES - 1] + 1 if values >= MOST_VALUES else None)
    return kept


def _group(x: Array, first: int, kept: list[Array | None]) -> Array:
    """Codes renumbered 1.. for those that are kept, 0 for all others."""
    if all(values is None for values in kept):
        return x
    x = x.copy()
    for column, values in enumerate(kept, first):
        if values is not None:
            codes = np.zeros(int(max(x[:, column].max(), values.max())) + 1, np.float32)
            codes[values] = np.arange(1, len(values) + 1)
            x[:, column] = codes[x[:, column].astype(np.int64)]
    return x
