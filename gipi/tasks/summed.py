"""A verdict where what is scored comes in groups (the words of a sentence, the masks of a window) that stand together.

A metric is a function of sums over groups, so models are compared by exchanging their results group by group
(tasks/compared.py has the test), and the verdict is said as for rows.

n groups, D sums
"""

from collections.abc import Callable, Mapping

from gipi.messages import _
from gipi.tasks.compared import Statistic, Way, beside
from gipi.tasks.intervals import Array, Metric
from gipi.tasks.verdict import Row, Verdict, concluded


def judge_sums(
    name: str,
    ours: Array,
    seconds: float,
    rivals: list[Way],
    metric: str,
    metrics_of: Callable[[Array], Mapping[str, Metric]],
    statistic: Statistic,
    seed: int = 0,
) -> Verdict:
    """Our model against these, on the same test groups.

    Args:
        name: Of our model.
        ours: `(n, D)` of each group.
        seconds: What fitting it cost.
        rivals: The simpler ways.
        metric: The one that decides; more of it is better.
        metrics_of: All metrics of results `(n, D)`.
        statistic: Sums to that metric.
        seed: Of the resampling.

    Example:
        >>> import numpy as np
        >>> right = np.stack([np.arange(40) % 10 < 8, np.ones(40)], 1)
        >>> share = lambda sums: sums[..., 0] / sums[..., 1]
        >>> rival = Way("coin", "a coin", np.stack([np.arange(40) % 2, np.ones(40)], 1))
        >>> both = lambda sums: {"accuracy": Metric(share(sums.sum(0)))}
        >>> judge_sums("net", right, 1.0, [rival], "accuracy", both, share).winner
        'net'
    """
    found = metrics_of(ours)
    first = Row(name, name, found[metric], dict(found), seconds, is_ours=True)
    others, compared = beside(ours, rivals, metric, metrics_of, statistic, seed)
    note = _("the best of the classical models was chosen on these same test rows, which flatters it a little")
    return concluded([first, *others], compared, metric, len(ours), note)
