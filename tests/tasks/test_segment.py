"""Segmentation's figures: equal to scikit-learn's on flattened pixels; and what comes out of a model."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from gipi.losses.dense import IGNORED
from gipi.tasks import said, segment
from gipi.tasks.pixel_baselines import features, pixel_baselines

K = 4


@pytest.fixture
def masks():
    draw = np.random.default_rng(0)
    truth = draw.integers(0, K, (5, 9, 11))
    said = np.where(draw.random(truth.shape) < 0.6, truth, draw.integers(0, K, truth.shape))
    truth[truth == 3] = 0  # never true, sometimes said
    truth[:2, :3] = IGNORED
    return said, truth


def confusions(said, truth):
    return np.stack([segment.confusion(one, true, K) for one, true in zip(said, truth, strict=True)])


def test_figures_are_those_of_scikit_learn(masks):
    said, truth = masks
    flat = truth != IGNORED
    y, p = truth[flat], said[flat]
    found = segment.metrics(confusions(said, truth), tuple("abcd"))
    assert found["mean_iou"] == pytest.approx(jaccard_score(y, p, average="macro"), rel=1e-12)
    assert found["dice"] == pytest.approx(f1_score(y, p, average="macro"), rel=1e-12)
    assert found["pixel_accuracy"] == pytest.approx(accuracy_score(y, p), rel=1e-12)
    for name, value in zip("abcd", jaccard_score(y, p, average=None), strict=True):
        assert found[f"iou_{name}"] == pytest.approx(value, rel=1e-12)
    assert found["mean_iou"].low < found["mean_iou"] < found["mean_iou"].high


def test_a_class_that_is_neither_true_nor_said_is_left_out():
    sums = confusions(np.array([[[0, 1]]]), np.array([[[0, 1]]]))
    found = segment.metrics(sums, tuple("abcd"))
    assert found["mean_iou"] == 1 and np.isnan(found["iou_c"])


def test_interval_is_over_pictures_not_pixels(masks):
    said, truth = masks
    few = segment.metrics(confusions(said, truth), tuple("abcd"))["mean_iou"]
    wide = [np.repeat(np.repeat(part, 4, 1), 4, 2) for part in (said, truth)]  # 16 times the pixels, no more pictures
    many = segment.metrics(confusions(*wide), tuple("abcd"))["mean_iou"]
    assert (many.low, many.high) == pytest.approx((few.low, few.high), rel=1e-12)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="cross_entropy, dice, both"):
        segment.loss("dise")


def test_weighted_count_is_the_sum_of_weights():
    weight = torch.tensor([1.0, 3.0])
    _loss, count = segment.loss(None, weight)
    assert count((None, torch.tensor([[[0, 1, 255]]]))) == 4


def test_overlay_and_colours():
    shown = said.coloured(np.array([[0, 1, 255]], np.uint8), ((1, 2, 3), (40, 50, 60)))
    assert shown.tolist() == [[[1, 2, 3], [40, 50, 60], [255, 255, 255]]]
    assert said.overlay(np.zeros((1, 3, 1), np.uint8), shown)[0, 2].tolist() == [128, 128, 128]


# --- simpler ways ------------------------------------------------------------------------------------------------


def test_simpler_ways_know_what_they_may_know():
    """Bright pixels are class 1, the lower half class 2: the place knows one, the trees both."""
    draw = np.random.default_rng(0)
    bright = draw.random((8, 24, 24)) < 0.4
    x = torch.from_numpy(np.where(bright, 200, 50).astype(np.uint8))[:, None]
    y = torch.from_numpy(np.where(np.arange(24)[:, None] >= 12, 2, bright).astype(np.uint8))
    y[:, 0] = IGNORED
    sizes = torch.full((8, 2), 24)
    ways = pixel_baselines(x, y, sizes, np.arange(5), np.arange(5, 8), 3, 1.0, 0)
    accuracy = {way.name: float(segment.pixel_accuracy(way.sums.sum(0, keepdims=True))[0]) for way in ways}
    assert all(way.sums.sum() == 3 * 23 * 24 for way in ways), "what does not count is in no figure"
    assert accuracy["majority"] == pytest.approx(12 / 23)
    assert 0.75 < accuracy["place"] < 0.85
    assert accuracy["trees"] > 0.99


def test_features_of_a_flat_picture():
    found = features(torch.full((1, 1, 6, 50), 51, dtype=torch.uint8))
    assert found.shape == (300, 1 + 3 * 2 + 2)
    assert found[:, [0, 1, 3, 5]] == pytest.approx(0.2, abs=1e-5)
    assert found[:, [2, 4, 6]] == pytest.approx(0, abs=1e-3)
    assert found[-1, -2:].tolist() == [1, 1]
