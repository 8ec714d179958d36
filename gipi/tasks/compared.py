"""A model against simpler ways on the same pictures, in pairs, picture by picture; and what to say of it.

A picture has many pixels, but they are not independent: the picture is what was drawn. So the test exchanges the two
models' results picture by picture, and asks how often chance makes a difference as large as theirs (Fisher's
randomisation test; Edgington & Onghena 2007). Up to 12 pictures every exchange is tried, and p is exact; with 5 or
fewer p cannot fall below 0.05, whatever they say.

n pictures, D sums that a metric is a function of, R resamples
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gipi.messages import _
from gipi.tasks.figures import chance, distance, duration, figure, metric_title
from gipi.tasks.intervals import Array, Metric, Resample
from gipi.tasks.verdict import SURE, Row, Verdict

FEWEST = 6  # pictures: 2 of 2^6 exchanges are as extreme as six wins of six, p = 0.031
EXACT = 12  # pictures up to which every exchange is tried
EXCHANGES = 10_000
RESAMPLES = 1000

Statistic = Callable[[Array], Array]  # sums `(R, D)` -> `(R,)`


@dataclass(frozen=True)
class Way:
    """A model and its results on each test picture.

    Attributes:
        name: By which tests ask for it.
        title: What a person calls it.
        sums: `(n, D)`; None where it was left out.
        seconds_fit: What it cost.
        seconds_predict: What the test pictures cost.
        settings: How it was fitted, or why it was left out.
    """

    name: str
    title: str
    sums: Array | None
    seconds_fit: float = 0.0
    seconds_predict: float | None = None
    settings: str = ""


def paired(ours: Array, theirs: Array, statistic: Statistic, seed: int = 0) -> tuple[Metric, float]:
    """Our metric minus theirs with its 95 % interval (bootstrap over pictures), and p.

    Example:
        >>> ours, theirs = np.arange(8.0)[:, None] + 1, np.arange(8.0)[:, None]
        >>> difference, p = paired(ours, theirs, lambda sums: sums[:, 0])
        >>> float(difference), p
        (8.0, 0.0078125)
    """
    n, width = ours.shape
    both = np.concatenate([ours, theirs], 1)

    def difference(sums: Array) -> Array:
        return statistic(sums[:, :width]) - statistic(sums[:, width:])

    resample = Resample(n, RESAMPLES, seed)
    found = resample.metric(resample.sums(both), difference)
    if n <= EXACT:
        signs = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # (2^n, n)
    else:
        signs = np.random.default_rng([seed, n]).integers(0, 2, (EXCHANGES, n))
        signs[0] = 0  # as they are: p is never 0
    gap = both[:, :width] - both[:, width:]
    moved = signs @ gap  # what goes from ours to theirs
    with np.errstate(all="ignore"):
        exchanged = statistic(ours.sum(0) - moved) - statistic(theirs.sum(0) + moved)
    is_as_far = np.abs(exchanged) >= abs(float(found)) - 1e-12
    return found, float(is_as_far.mean())


def beside(
    ours: Array,
    rivals: list[Way],
    metric: str,
    metrics_of: Callable[[Array], Mapping[str, Metric]],
    statistic: Statistic,
    seed: int,
) -> tuple[list[Row], dict[str, tuple[Metric, float]]]:
    """The rivals with their figures, and of each that was not left out how far ours is from it, and p.

    Args are those of `verdict`.
    """
    models: list[Row] = []
    compared: dict[str, tuple[Metric, float]] = {}
    for rival in rivals:
        if rival.sums is None:
            models.append(Row(rival.name, rival.title, None, {}, 0.0, None, rival.settings))
            continue
        compared[rival.name] = paired(ours, rival.sums, statistic, seed)
        theirs = metrics_of(rival.sums)
        costs = rival.seconds_fit, rival.seconds_predict, rival.settings, compared[rival.name][1]
        models.append(Row(rival.name, rival.title, theirs[metric], dict(theirs), *costs))
    return models, compared


def verdict(
    name: str,
    ours: Array,
    seconds: float,
    rivals: list[Way],
    metric: str,
    metrics_of: Callable[[Array], Mapping[str, Metric]],
    statistic: Statistic,
    seconds_predict: float | None = None,
    seed: int = 0,
) -> Verdict:
    """Our model against these, on the same test pictures.

    Args:
        name: Of our model.
        ours: `(n, D)` of each test picture.
        seconds: What fitting it cost.
        rivals: The simpler ways.
        metric: The one that decides; more of it is better.
        metrics_of: All metrics of results `(n, D)`.
        statistic: Sums to that metric.
        seconds_predict: What predicting cost.
        seed: Of the resampling.
    """
    pictures = len(ours)
    found = metrics_of(ours)
    first = Row(name, name, found[metric], dict(found), seconds, seconds_predict, is_ours=True)
    others, compared = beside(ours, rivals, metric, metrics_of, statistic, seed)
    models = [first, *others]
    note = _("the best of the simpler ways was chosen on these same test pictures, which flatters it a little")
    if not compared:
        sentence = _("There is nothing to compare {ours} with.", ours=name)
        return Verdict(sentence, metric, None, None, None, None, None, models, pictures)
    best = max((row for row in models if row.name in compared), key=lambda row: float(row.figure or 0.0))
    difference, p_value = compared[best.name]
    sentence, winner, worth = _said(metric, models[0], best, difference, p_value, pictures)
    return Verdict(sentence, metric, winner, best.name, difference, p_value, worth, models, pictures, note)


def _said(
    metric: str, ours: Row, rival: Row, difference: Metric, p_value: float, pictures: int
) -> tuple[str, str | None, bool | None]:
    """The sentence, the winner's name, and whether it was worth it."""
    assert ours.figure is not None and rival.figure is not None
    words = {
        "metric": metric_title(metric),
        "ours": ours.title,
        "rival": rival.title,
        "ours_figure": figure(metric, ours.figure),
        "rival_figure": figure(metric, rival.figure),
        "pictures": pictures,
        "ours_seconds": duration(ours.seconds_fit),
        "rival_seconds": duration(rival.seconds_fit),
        "chance": chance(p_value),
    }
    if pictures < FEWEST or difference.low is None:
        text = _(
            "Too few test pictures for a verdict ({pictures}; it takes {fewest}): {metric} is {ours_figure} for {ours} "
            "and {rival_figure} for the best simpler way: {rival}.",
            fewest=FEWEST,
            **words,
        )
        return text, None, None
    words["difference"] = distance(metric, difference)
    if p_value >= SURE or difference == 0:
        text = _(
            "No clear winner: on the same {pictures} test pictures {metric} is {ours_figure} for {ours} and "
            "{rival_figure} for the best simpler way: {rival}; chance alone can make that difference ({chance}).",
            **words,
        )
        return text, None, None if difference > 0 else False
    if difference > 0:
        text = _(
            "{ours} wins: {metric} {ours_figure} against {rival_figure} for the best simpler way: {rival}; on the same "
            "{pictures} test pictures ({difference}, {chance}). Fitting took {ours_seconds} against {rival_seconds}.",
            **words,
        )
        return text, ours.name, True
    text = _(
        "Not worth it here: {metric} is {rival_figure} for a simpler way ({rival}) and {ours_figure} for {ours} on the "
        "same {pictures} test pictures ({difference}, {chance}).",
        **words,
    )
    return text, rival.name, False
