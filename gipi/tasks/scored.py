"""A verdict where each row has a score of its own (how near a picture is, say), and the mean of the scores decides.

The same sentences as for classes and numbers (tasks/verdict.py); compared in pairs, by a paired bootstrap of the mean
difference over the test rows.

n rows
"""

from dataclasses import dataclass

import numpy as np

from gipi.messages import _
from gipi.tasks.intervals import Array, Metric, Resample
from gipi.tasks.paired import RESAMPLES, two_sided
from gipi.tasks.pictures import means
from gipi.tasks.verdict import Row, Verdict, concluded


@dataclass(frozen=True)
class Rival:
    """A classical way to the same answers.

    Attributes:
        name: The identifier.
        title: What a person calls it.
        scores: Each metric of each test row, `(n,)`; None if it was left out, for the reason in `settings`.
        seconds: What fitting cost.
        settings: How it was fitted, for a person.
    """

    name: str
    title: str
    scores: dict[str, Array] | None
    seconds: float = 0.0
    settings: str = ""


def judge_scores(
    name: str, ours: dict[str, Array], seconds: float, rivals: list[Rival], metric: str, seed: int = 0
) -> Verdict:
    """Compare a model with others by a metric of each row.

    Args:
        name: What our model is called.
        ours: Each metric of each test row, `(n,)`.
        seconds: What fitting it cost.
        rivals: What it is compared with, on the same rows in the same order.
        metric: The one that decides.
        seed: Of the resampling.

    Example:
        >>> ours = {"psnr": np.linspace(20, 30, 50)}
        >>> rival = Rival("untouched", "doing nothing", {"psnr": ours["psnr"] - 2})
        >>> judge_scores("net", ours, 1.0, [rival], "psnr").winner
        'net'
    """
    found = means(ours, seed=seed)
    models = [Row(name, name, found[metric], found, seconds, is_ours=True)]
    compared: dict[str, tuple[Metric, float]] = {}
    for rival in rivals:
        if rival.scores is None:
            models.append(Row(rival.name, rival.title, None, {}, 0.0, None, rival.settings))
            continue
        compared[rival.name] = pair_scores(ours[metric], rival.scores[metric], found[metric].higher_is_better, seed)
        theirs, p_value = means(rival.scores, seed=seed), compared[rival.name][1]
        models.append(
            Row(rival.name, rival.title, theirs[metric], theirs, rival.seconds, None, rival.settings, p_value)
        )
    note = _("the best of the classical models was chosen on these same test rows, which flatters it a little")
    return concluded(models, compared, metric, len(ours[metric]), note)


def pair_scores(ours: Array, theirs: Array, higher_is_better: bool = True, seed: int = 0) -> tuple[Metric, float]:
    """How much better the mean of ours `(n,)` is than of theirs `(n,)`, with its interval, and the p value."""
    gain = (ours - theirs) * (1 if higher_is_better else -1)
    resample = Resample(len(gain), RESAMPLES, seed)
    sums = resample.sums(np.stack([gain, np.ones(len(gain))], 1))

    def mean(sums: Array) -> Array:
        return sums[:, 0] / sums[:, 1]

    found = resample.metric(sums, mean)
    return two_sided(found, resample.draws(sums, mean))
