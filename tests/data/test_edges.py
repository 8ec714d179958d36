"""The edges of bins: quantiles of a smooth column, each of few values, and a value that fills bins by itself."""

import time

import numpy as np
import pytest

from gipi.data.edges import edges_of


def test_smooth_columns_are_cut_at_quantiles():
    numbers = np.random.default_rng(0).normal(size=20_000)
    edges = edges_of(numbers, 48)
    assert len(edges) == 49
    np.testing.assert_allclose(edges, np.quantile(numbers, np.linspace(0, 1, 49)), atol=0.01)
    assert edges[0] == pytest.approx(numbers.min(), rel=1e-5) and edges[-1] == pytest.approx(numbers.max(), rel=1e-5)


def test_of_few_values_each_is_an_edge():
    assert edges_of(np.array([3.0, 1.0, 1.0, 2.0, 1.0]), 48) == (1.0, 2.0, 3.0)
    assert edges_of(np.array([0.0, 1.0]), 48) == (0.0, 1.0)


@pytest.mark.parametrize("numbers", [[], [5.0], [5.0] * 9, [1.0, 1.0 + 1e-9]], ids=str)
def test_where_all_are_alike_there_are_none(numbers):
    assert edges_of(np.array(numbers), 48) == ()


def test_a_frequent_value_takes_one_bin_and_the_rest_is_cut_finely():
    """Plain quantiles of a column that is zero in nine rows of ten leave five bins for all that is not zero."""
    draw = np.random.default_rng(0)
    numbers = np.where(draw.random(10_000) < 0.9, 0.0, draw.exponential(size=10_000))
    edges = edges_of(numbers, 48)
    assert edges[0] == 0 and edges[-1] == pytest.approx(numbers.max(), rel=1e-5)
    assert sum(edge > 0 for edge in edges) > 35
    counts = np.histogram(numbers[numbers > 0], edges)[0]
    assert counts.max() < 60  # of 1,000 rows


def test_few_rows_have_few_bins():
    assert len(edges_of(np.random.default_rng(0).normal(size=100), 48)) <= 21
    assert len(edges_of(np.random.default_rng(0).normal(size=30), 2)) == 3


def test_edges_ascend_and_are_cheap():
    draw = np.random.default_rng(1)
    for numbers in (draw.integers(0, 200, 3000) / 7, draw.lognormal(0, 4, 3000), draw.zipf(1.5, 3000) * 1.0):
        edges = edges_of(numbers, 48)
        assert 2 <= len(edges) <= 49 and np.all(np.diff(edges) > 0)
    began = time.perf_counter()
    edges_of(draw.normal(size=2_000_000), 48)
    assert time.perf_counter() - began < 2
