"""Figures of vectors: with labels beside scikit-learn's, without beside their definitions."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gipi.tasks import embed


def clouds(rows, seed=0, classes=3):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows)
    centers = np.random.default_rng(9).normal(size=(classes, 5)) * 1.5
    return centers[y] + random.normal(size=(rows, 5)), y


def test_the_probe_is_logistic_regression_on_standardised_vectors():
    (x, y), (test, truth) = clouds(300), clouds(200, seed=1)
    found, settings = embed.probe(x, y, test, 3, None)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(max_iter=300).fit(scaler.transform(x), y).predict_proba(scaler.transform(test))
    assert found == pytest.approx(theirs, abs=2e-3)
    assert "logistic regression" in settings
    right = embed.share_right(found, truth)
    assert float(right) == pytest.approx((theirs.argmax(1) == truth).mean(), abs=0.01)
    assert right.low < right < right.high


def test_a_number_that_never_varies_does_no_harm():
    x, y = clouds(100)
    x = np.concatenate([x, np.zeros((100, 1))], 1)
    assert np.isfinite(embed.probe(x, y, x, 3, None)[0]).all()


def test_neighbors_are_weighed_by_cosine():
    (x, y), (test, _truth) = clouds(80), clouds(10, seed=1)
    found = embed.neighbors(x, y, test, 3)
    for row, shares in zip(test, found, strict=True):
        cosine = (x @ row) / np.linalg.norm(x, axis=1) / np.linalg.norm(row)
        nearest = np.argsort(-cosine)[: embed.NEAREST]
        weights = np.exp(cosine[nearest] / embed.T)
        expected = [weights[y[nearest] == k].sum() / weights.sum() for k in range(3)]
        assert shares == pytest.approx(expected, abs=1e-4)
    assert embed.neighbors(x[:7], y[:7], test, 3).shape == (10, 3)


def test_alignment_and_uniformity_are_the_definitions():
    one, other = clouds(30)[0], clouds(30, seed=2)[0]

    def unit(row):
        return row / math.sqrt(sum(value * value for value in row))

    apart = [sum((unit(a) - unit(b)) ** 2) for a, b in zip(one, other, strict=True)]
    found = embed.alignment(one, other)
    assert float(found) == pytest.approx(np.mean(apart))
    assert found.low < found < found.high and not found.higher_is_better
    terms = [math.exp(-2 * sum((unit(one[i]) - unit(one[j])) ** 2)) for i in range(30) for j in range(i)]
    assert float(embed.uniformity(one)) == pytest.approx(math.log(np.mean(terms)))
    assert float(embed.uniformity(np.ones((5, 3)))) == pytest.approx(0)
    assert float(embed.alignment(one, 3 * one)) == pytest.approx(0, abs=1e-12)
