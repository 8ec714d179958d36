"""Two models on the same pictures: the exact test by exchanging them, and what is said."""

from itertools import product

import numpy as np
import pytest

from gipi.tasks.compared import FEWEST, Way, paired, verdict
from gipi.tasks.intervals import Metric


def mean(sums):
    return sums[:, 0] / sums[:, 1]


def rows(values):
    return np.stack([values, np.ones(len(values))], 1)


def figures(sums):
    return {"psnr": Metric(float(sums[:, 0].mean()), sums[:, 0].min(), sums[:, 0].max())}


def test_p_is_that_of_every_exchange():
    draw = np.random.default_rng(0)
    ours, theirs = draw.normal(1, 1, 7), draw.normal(0, 1, 7)
    difference, p = paired(rows(ours), rows(theirs), mean)
    gap = ours - theirs
    signed = [abs(np.mean(gap * signs)) >= abs(gap.mean()) - 1e-12 for signs in product((-1, 1), repeat=7)]
    assert p == pytest.approx(np.mean(signed))
    assert difference == pytest.approx(gap.mean()) and difference.low < difference < difference.high


def test_of_many_pictures_exchanges_are_drawn():
    draw = np.random.default_rng(1)
    base = draw.normal(0, 1, 40)
    assert paired(rows(base + 0.5), rows(base), mean)[1] == pytest.approx(1e-4), "only the one as they are"
    ours, theirs = base, base + draw.normal(0, 1, 40)
    _difference, p = paired(rows(ours), rows(theirs), mean)
    from scipy.stats import ttest_rel

    assert p == pytest.approx(ttest_rel(ours, theirs).pvalue, abs=0.05)


@pytest.mark.parametrize(
    ("gain", "count", "winner", "worth"),
    [(1.0, 8, "ours", True), (-1.0, 8, "theirs", False), (1.0, FEWEST - 1, None, None), (0.0, 8, None, False)],
)
def test_what_is_said(gain, count, winner, worth):
    base = np.linspace(20, 30, count)
    rivals = [Way("theirs", "bicubic", rows(base)), Way("left", "left out", None, settings="no time")]
    found = verdict("ours", rows(base + gain), 10.0, rivals, "psnr", figures, mean)
    assert (found.winner, found.worth_it, found.rival) == (winner, worth, "theirs")
    assert "bicubic" in found.sentence and len(found.table()) == 4
    assert found.json()["rows"] == count
