"""Cluster: a table without a target in, groups of similar rows out, found twice and shown side by side.

Once by k-means on the inputs as they are (standardised, categories one-hot), once by k-means on the few numbers that an
autoencoder says each row in. Where both agree the groups are likely in the data; where they do not, a person is told.
There is no truth to compare with: silhouettes of the two views lie in different spaces and do not say which is better.

Lloyd, "Least squares quantization in PCM", 1982; k-means++ seeds, Arthur and Vassilvitskii 2007; silhouettes, Rousseeuw
1987; adjusted Rand index, Hubert and Arabie 1985.

n rows, D columns of a view, k clusters, m rows of a sample
"""

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gipi.errors import DataError, UsageError
from gipi.messages import _
from gipi.tasks.baselines import one_hot
from gipi.tasks.intervals import Array, Metric

if TYPE_CHECKING:
    from gipi.data.schema import Schema, Sizes

default = {"table": "autoencoder"}
loss = None  # the system has its own
CHOICES = range(2, 9)  # the k to choose from
SAMPLE = 2000  # rows that a silhouette looks at: it needs the distance of each pair
TRIED = 10_000  # rows that k is chosen on
WEAK = 0.25  # Kaufman and Rousseeuw 1990, table 4: no substantial structure below this silhouette


def output(schema: "Schema") -> int:
    """Nothing has to be predicted: the system rebuilds its inputs."""
    return 0


def headline(schema: "Schema") -> str:
    """The metric that a person reads first."""
    return "silhouette"


@dataclass(frozen=True)
class Trait:
    """What sets a cluster apart in one column, in the column's own units.

    Attributes:
        column: Its name.
        value: The cluster's mean; the most frequent value of a category; for booleans the share that is true.
        overall: The same of all rows; for a category the share of its `value` in all rows.
        share: The share of `value` in the cluster; None for numbers and dates.
        apart: How far from all rows, in standard deviations; clusters are described by their largest.
    """

    column: str
    value: float | str
    overall: float | str
    share: float | None
    apart: float

    def __str__(self) -> str:
        if self.share is None:
            return _("{column} {value} (all: {overall})", column=self.column, **_shown(self.value, self.overall))
        words = {"share": f"{100 * self.share:.0f} %", "overall": f"{100 * float(self.overall):.0f} %"}
        return _("{column} {value} in {share} (all: {overall})", column=self.column, value=self.value, **words)


def _shown(value: float | str, overall: float | str) -> dict[str, str]:
    both = {"value": value, "overall": overall}
    return {name: v if isinstance(v, str) else f"{v:.4g}" for name, v in both.items()}


@dataclass(frozen=True)
class View:
    """The clusters of one view of the rows, the largest first.

    Attributes:
        name: inputs or code.
        assignments: `(n,)`, the cluster of each row, 0..k-1.
        centers: `(k, D)` in the view's own space; `nearest` finds the cluster of new rows by them.
        sizes: Rows in each cluster.
        inertia: The sum of squared distances of the rows to their centers.
        silhouette: From -1 to 1: how much nearer a row is to its own cluster than to the next.
        scores: The silhouette of each k that was tried.
        traits: For each cluster its columns, the most telling first.
    """

    name: str
    assignments: Array
    centers: Array
    sizes: list[int]
    inertia: float
    silhouette: float
    scores: dict[int, float] = field(default_factory=dict)
    traits: list[list[Trait]] = field(default_factory=list)


@dataclass(frozen=True)
class Clustering:
    """Both views, side by side.

    Attributes:
        k: How many clusters.
        is_chosen: k was chosen by silhouette, not given.
        views: inputs, and code if there was one.
        agreement: Adjusted Rand index of both views: 1 the same groups, 0 as by chance; nan with one view.
    """

    k: int
    is_chosen: bool
    views: tuple[View, ...]
    agreement: float

    @property
    def metrics(self) -> dict[str, Metric]:
        first, *others = self.views
        found = {"silhouette": Metric(first.silhouette)}
        for view in others:
            found |= {f"silhouette_{view.name}": Metric(view.silhouette), "agreement": Metric(self.agreement)}
        return found

    @property
    def sentence(self) -> str:
        """What was found, for a person."""
        first = self.views[0]
        said = [_("{k} clusters of {sizes} rows.", k=self.k, sizes=", ".join(map(str, first.sizes)))]
        if self.is_chosen:
            said.append(_("{k} has the best silhouette of 2 to {most}.", k=self.k, most=max(first.scores)))
        if first.silhouette < WEAK:
            said.append(
                _("The silhouette is only {value}: the rows hardly form groups.", value=f"{first.silhouette:.2f}")
            )
        if not math.isnan(self.agreement):
            words = {"index": f"{self.agreement:.2f}"}
            said.append(
                _("k-means and the autoencoder find the same groups (adjusted Rand {index}).", **words)
                if self.agreement > 0.8
                else _("k-means and the autoencoder find different groups (adjusted Rand {index}).", **words)
            )
        return " ".join(said)

    def table(self, traits: int = 3) -> list[list[str]]:
        """A heading, then a line for each cluster of each view: what it is and what sets it apart."""
        names = {"inputs": _("k-means on the inputs"), "code": _("k-means on the autoencoder's code")}
        lines = [[_("found by"), _("cluster"), _("rows"), _("what sets it apart")]]
        for view in self.views:
            for number, size in enumerate(view.sizes):
                apart = "; ".join(map(str, view.traits[number][:traits])) if view.traits else ""
                lines.append([names.get(view.name, view.name), str(number + 1), str(size), apart])
        return lines

    def json(self) -> dict:
        """Everything but the rows' assignments, in types that JSON has."""
        return {
            "k": self.k,
            "is_chosen": self.is_chosen,
            "sentence": self.sentence,
            "agreement": None if math.isnan(self.agreement) else self.agreement,
            "views": [
                {
                    "name": view.name,
                    "sizes": view.sizes,
                    "inertia": view.inertia,
                    "silhouette": view.silhouette,
                    "scores": {str(k): score for k, score in view.scores.items()},
                    "centers": view.centers.tolist(),
                    "traits": [[trait.__dict__ for trait in cluster] for cluster in view.traits],
                }
                for view in self.views
            ],
        }

    def __str__(self) -> str:
        lines = self.table()
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        shown = ["  ".join([*(c.ljust(w) for c, w in zip(line[:3], widths, strict=True)), line[3]]) for line in lines]
        return "\n".join([self.sentence, "", *(line.rstrip() for line in shown)])

    def _repr_html_(self) -> str:
        heading, *lines = (
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
            for tag, line in zip(["th"] + ["td"] * 99, self.table(), strict=False)
        )
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<p><strong>{html.escape(self.sentence)}</strong></p><table><tr>{heading}</tr>{body}</table>"


def check(x: Array, sizes: "Sizes", k: int | None = None) -> int:
    """How many different rows there are among `(n, N + K)`; an error if no k clusters (None: any) can be among them."""
    different = len(np.unique(inputs(x, sizes), axis=0))
    if different < 3:
        raise DataError(_("clusters need at least three different rows; there are {count}", count=different))
    if k is not None and not 2 <= k <= different:
        raise UsageError(_("there can be 2 to {count} clusters here, not {k}", count=different, k=k))
    return different


def cluster(
    x: Array,
    sizes: "Sizes",
    code: Array | None = None,
    frame: pl.DataFrame | None = None,
    k: int | None = None,
    seed: int = 0,
) -> Clustering:
    """Group rows by what they are like, once as they are and once by their code.

    Args:
        x: `(n, N + K)`, as the schema encodes a table.
        sizes: Its `categories` say how many of the last columns are codes.
        code: `(n, Z)`, what the autoencoder says of each row; None: no second view.
        frame: The same rows in their own units, to describe the clusters by.
        k: How many clusters; None: of 2 to 8 the one with the best silhouette on the inputs. Both views have the same.
        seed: Of the starts and the samples.

    Raises:
        DataError: There are fewer than three different rows.
        UsageError: k is not between 2 and the number of different rows.
    """
    spaces = {"inputs": inputs(x, sizes)}
    if code is not None:
        spaces["code"] = np.asarray(code, np.float64)
    different = check(x, sizes, k)
    choices = [k] if k is not None else [c for c in CHOICES if c < different]
    scores = {name: {c: _score(space, c, seed) for c in choices} for name, space in spaces.items()}
    chosen = max(choices, key=lambda c: scores["inputs"][c])
    views = tuple(_view(name, space, chosen, scores[name], frame, seed) for name, space in spaces.items())
    agreement = adjusted_rand(views[0].assignments, views[1].assignments) if len(views) > 1 else math.nan
    return Clustering(chosen, k is None, views, agreement)


def inputs(x: Array, sizes: "Sizes") -> Array:
    """Rows `(n, N + K)` as k-means sees them: numbers as the schema standardised them, categories one-hot."""
    space = one_hot(np.asarray(x), x.shape[1] - len(sizes.categories), 0.0, 1.0, tuple(sizes.categories))
    return np.asarray(space if isinstance(space, np.ndarray) else space.toarray(), np.float64)


def _score(space: Array, k: int, seed: int) -> float:
    sample = space[np.sort(np.random.default_rng(seed).permutation(len(space))[:TRIED])]
    return silhouette(sample, kmeans(sample, k, seed, restarts=3)[1], seed)


def _view(name: str, space: Array, k: int, scores: dict, frame: pl.DataFrame | None, seed: int) -> View:
    centers, assignments, inertia = kmeans(space, k, seed)
    order = np.argsort(-np.bincount(assignments, minlength=k), kind="stable")
    assignments = np.argsort(order)[assignments]
    traits = describe(frame, assignments) if frame is not None else []
    sizes = np.bincount(assignments, minlength=k).tolist()
    return View(name, assignments, centers[order], sizes, inertia, silhouette(space, assignments, seed), scores, traits)


def nearest(x: Array, centers: Array) -> Array:
    """The nearest center of each row: `(n, D)` and `(k, D)` to `(n,)`."""
    return (_squares(x, centers)).argmin(1)


def place(x: Array, sizes: "Sizes", centers: list[list[float]]) -> list[dict[str, int]]:
    """The cluster of each encoded row, counted from 1: `{"cluster": 2}`."""
    return [{"cluster": int(number) + 1} for number in nearest(inputs(x, sizes), np.asarray(centers))]


def _squares(x: Array, centers: Array) -> Array:
    """`(n, k)` squared distances."""
    squares = (x**2).sum(1)[:, None] - 2 * x @ centers.T + (centers**2).sum(1)
    return np.maximum(squares, 0)


def kmeans(x: Array, k: int, seed: int = 0, restarts: int = 10, steps: int = 300) -> tuple[Array, Array, float]:
    """Lloyd's k-means from k-means++ seeds; the best of several starts.

    Args:
        x: `(n, D)`.
        k: How many clusters.
        seed: Of the starts.
        restarts: How many.
        steps: At most, for each start.

    Returns:
        Centers `(k, D)`, the cluster of each row `(n,)`, and the inertia (sum of squared distances).
    """
    assert 1 <= k <= len(x)
    random = np.random.default_rng(seed)
    middle = x.mean(0)
    x = x - middle  # distances lose fewer digits near the origin
    best: tuple[Array, Array, float] | None = None
    for _start in range(restarts):
        centers = plus_plus(x, k, random)
        assignments = nearest(x, centers)
        for _step in range(steps):
            centers = _centers(x, assignments, k)
            moved = nearest(x, centers)
            if (moved == assignments).all():
                break
            assignments = moved
        inertia = float(((x - centers[assignments]) ** 2).sum())
        if best is None or inertia < best[2]:
            best = centers, assignments, inertia
    assert best is not None
    return best[0] + middle, best[1], best[2]


def plus_plus(x: Array, k: int, random: np.random.Generator) -> Array:
    """k-means++ seeds: each new one drawn in proportion to its squared distance from those before; of 2 + log k
    candidates the one that leaves the least, as the paper's section 5 suggests."""
    candidates = 2 + int(math.log(k))
    centers = [x[random.integers(len(x))]]
    left = ((x - centers[0]) ** 2).sum(1)
    for _next in range(k - 1):
        total = left.sum()
        drawn = random.choice(len(x), candidates, p=left / total if total > 0 else None)
        after = np.minimum(left[:, None], _squares(x, x[drawn]))  # (n, candidates)
        winner = int(after.sum(0).argmin())
        centers.append(x[drawn[winner]])
        left = after[:, winner]
    return np.stack(centers)


def _centers(x: Array, assignments: Array, k: int) -> Array:
    """The mean of each cluster; a cluster without rows takes the row that is furthest from its own center."""
    counts = np.bincount(assignments, minlength=k)
    members = (assignments[:, None] == np.arange(k)).astype(np.float64)  # (n, k)
    centers = members.T @ x / np.maximum(counts, 1)[:, None]
    if (counts == 0).any():
        far = np.argsort(-((x - centers[assignments]) ** 2).sum(1), kind="stable")
        centers[counts == 0] = x[far[: (counts == 0).sum()]]
    return centers


def silhouette(x: Array, assignments: Array, seed: int = 0) -> float:
    """The mean of (b - a) / max(a, b): a a row's mean distance to its own cluster, b to the nearest other.

    A row alone in its cluster has 0, as in the paper. Of more than 2,000 rows a sample is looked at.
    """
    if len(x) > SAMPLE:
        chosen = np.random.default_rng(seed).permutation(len(x))[:SAMPLE]
        x, assignments = x[chosen], assignments[chosen]
    found, own = np.unique(assignments, return_inverse=True)
    if len(found) < 2:
        return 0.0
    distances = np.sqrt(_squares(x - x.mean(0), x - x.mean(0)))  # (m, m)
    np.fill_diagonal(distances, 0)
    members = np.eye(len(found))[own]  # (m, k)
    counts, sums = members.sum(0), distances @ members
    rows = np.arange(len(x))
    alone = counts[own] == 1
    inside = sums[rows, own] / np.maximum(counts[own] - 1, 1)
    means = sums / counts
    means[rows, own] = np.inf
    outside = means.min(1)
    widest = np.maximum(inside, outside)
    return float(np.where(alone | (widest == 0), 0, (outside - inside) / np.where(widest > 0, widest, 1)).mean())


def adjusted_rand(a: Array, b: Array) -> float:
    """How far two groupings of the same rows agree: 1 the same, 0 what chance gives, negative below that."""
    first, second = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    table = np.bincount(first * (second.max() + 1) + second, minlength=(first.max() + 1) * (second.max() + 1))
    table = table.reshape(first.max() + 1, second.max() + 1).astype(np.float64)

    def pairs(counts: Array) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, columns, total = pairs(table), pairs(table.sum(1)), pairs(table.sum(0)), len(a) * (len(a) - 1) / 2
    expected, most = rows * columns / total if total else 0.0, (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def describe(frame: pl.DataFrame, assignments: Array) -> list[list[Trait]]:
    """For each cluster what its columns are like, in their own units, the column that sets it apart most first."""
    clusters = []
    for number in range(int(assignments.max()) + 1):
        rows = frame.filter(pl.Series(assignments == number))
        traits = [trait for column in frame.columns if (trait := _trait(frame[column], rows[column])) is not None]
        clusters.append(sorted(traits, key=lambda trait: -trait.apart))
    return clusters


def _trait(column: pl.Series, part: pl.Series) -> Trait | None:
    """One column of one cluster beside all rows; None where the cluster has no value."""
    column, part = column.drop_nulls(), part.drop_nulls()
    if not len(part):
        return None
    if column.dtype.is_temporal() or column.dtype.is_numeric():
        numbers, others = (c.to_physical().cast(pl.Float64).to_numpy() for c in (part, column))
        apart = abs(numbers.mean() - others.mean()) / (others.std() or 1.0)
        means = (part.mean(), column.mean()) if column.dtype.is_temporal() else (numbers.mean(), others.mean())
        value, overall = (float(m) if isinstance(m, int | float) else str(m) for m in means)
        return Trait(column.name, value, overall, None, float(apart))
    texts, all_texts = (c.cast(pl.String).to_numpy().astype(str) for c in (part, column))
    values, counts = np.unique(texts, return_counts=True)
    value = str(values[counts.argmax()])
    share, overall = float(counts.max() / len(texts)), float((all_texts == value).mean())
    spread = math.sqrt(overall * (1 - overall)) or 1.0
    return Trait(column.name, value, overall, share, abs(share - overall) / spread)
