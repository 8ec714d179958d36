"""Figures of pictures, beside slow ones written from the papers' equations, element by element."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from gipi.data.encode import normalize
from gipi.data.schema import Field, Schema
from gipi.tasks import pictures


def made(shape, seed=0):
    random = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(random.random(shape), (0, 1, 1, 0)) * 2 % 1
    noisy = np.clip(truth + random.normal(0, 0.1, shape), 0, 1)
    return (noisy * 255).round().astype(np.uint8), (truth * 255).round().astype(np.uint8)


def slow_ssim(one, other, side):
    """Equation 13 of Wang et al. 2004, a window at a time, for one channel `(H, W)`."""
    places = np.arange(side) - side // 2
    weights = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for top in range(one.shape[0] - side + 1):
        for left in range(one.shape[1] - side + 1):
            x, y = (p[top : top + side, left : left + side].astype(float) for p in (one, other))
            mean, other_mean = (weights * x).sum(), (weights * y).sum()
            variance, other_variance = (weights * (x - mean) ** 2).sum(), (weights * (y - other_mean) ** 2).sum()
            covariance = (weights * (x - mean) * (y - other_mean)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            light = (2 * mean * other_mean + c1) / (mean**2 + other_mean**2 + c1)
            found.append(light * (2 * covariance + c2) / (variance + other_variance + c2))
    return np.mean(found)


@pytest.mark.parametrize(("shape", "side"), [((3, 16, 14, 1), 11), ((2, 12, 15, 3), 11), ((2, 8, 9, 1), 7)])
def test_ssim_is_the_papers(shape, side):
    noisy, truth = made(shape)
    found = pictures.ssim(noisy, truth)
    for place in range(shape[0]):
        slow = np.mean([slow_ssim(noisy[place, :, :, c], truth[place, :, :, c], side) for c in range(shape[3])])
        assert found[place] == pytest.approx(slow, abs=1e-9)
    assert (found < 0.99).all()


def test_ssim_through_scipys_filter():
    """A second way: scipy's Gaussian filter, cut to 11 elements, and only where no edge is near."""
    noisy, truth = made((4, 20, 24, 1), seed=1)

    def blurred(x):
        return ndimage.gaussian_filter(x, 1.5, truncate=5 / 1.5 + 0.01)[5:-5, 5:-5]

    for place in range(4):
        x, y = noisy[place, :, :, 0].astype(float), truth[place, :, :, 0].astype(float)
        mx, my = blurred(x), blurred(y)
        sx, sy, sxy = blurred(x * x) - mx * mx, blurred(y * y) - my * my, blurred(x * y) - mx * my
        c1, c2 = 2.55**2, 7.65**2
        expected = ((2 * mx * my + c1) * (2 * sxy + c2) / ((mx**2 + my**2 + c1) * (sx + sy + c2))).mean()
        assert pictures.ssim(noisy, truth)[place] == pytest.approx(expected, abs=1e-9)


def test_mse_and_psnr_are_the_definitions():
    noisy, truth = made((5, 9, 7, 3), seed=2)
    for place in range(5):
        errors = [(int(a) - int(b)) ** 2 for a, b in zip(noisy[place].ravel(), truth[place].ravel(), strict=True)]
        error = sum(errors) / len(errors)
        assert pictures.mse(noisy, truth)[place] == pytest.approx(error / 255**2, rel=1e-12)
        assert pictures.psnr(noisy, truth)[place] == pytest.approx(20 * math.log10(255 / math.sqrt(error)), rel=1e-12)


def test_the_same_picture_has_a_number():
    _noisy, truth = made((2, 12, 12, 1))
    found = pictures.metrics(truth, truth)
    assert (float(found["mse"]), float(found["psnr"])) == (0.0, pictures.MOST)
    assert float(found["ssim"]) == pytest.approx(1)


def test_metrics_are_means_with_intervals():
    noisy, truth = made((60, 12, 12, 1))
    found, each = pictures.metrics(noisy, truth), pictures.scores(noisy, truth)
    for name, metric in found.items():
        assert float(metric) == pytest.approx(each[name].mean())
        assert metric.low < metric < metric.high
        assert metric.higher_is_better == (name != "mse")
        spread = each[name].std() / math.sqrt(60)
        assert metric.high - metric.low == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_pieces_change_nothing(monkeypatch):
    noisy, truth = made((7, 12, 12, 1))
    whole = pictures.scores(noisy, truth)
    monkeypatch.setattr(pictures, "AT_ONCE", 300)
    for name, values in pictures.scores(noisy, truth).items():
        assert np.array_equal(values, whole[name])


def test_side_by_side():
    noisy, truth = made((3, 5, 4, 1))
    together = pictures.beside(noisy, truth)
    assert [picture.shape for picture in together] == [(5, 9, 1)] * 3
    assert np.array_equal(together[1][:, :4], noisy[1]) and np.array_equal(together[1][:, 5:], truth[1])


EACH = {"centers": (0.1, 0.2, 0.3), "scales": (1, 2, 0.5)}


@pytest.mark.parametrize("learned", [{"center": 0.3, "scale": 0.2}, EACH])
def test_what_was_normalized_is_seen_again(learned):
    """By one center for all channels, or by one for each."""
    schema = Schema((Field("picture", "picture", (3, 4, 5), white=1.0, **learned),))
    levels = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    shown = pictures.decode(normalize(schema, levels), schema)
    assert np.array_equal(shown, (levels.permute(0, 2, 3, 1).double().numpy() * 255).round().astype(np.uint8))
