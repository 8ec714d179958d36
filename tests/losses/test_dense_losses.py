"""Losses for masks: against slow loops in float64, where nothing counts, in parts, and by finite differences."""

import numpy as np
import pytest
import torch

from gipi.losses import dense

B, K, H, W = 3, 4, 5, 6


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    output = torch.randn(B, K, H, W, generator=draw, dtype=torch.float64)
    y = torch.randint(0, K, (B, H, W), generator=draw)
    y[0, :2] = dense.IGNORED
    y[1][y[1] == 2] = 0  # a class that one picture lacks
    return output, y


def slowly(output, y, weight=None):
    """Cross-entropy and Dice of each picture, pixel by pixel: (sum of losses, sum of weights), dice."""
    found = []
    for b in range(len(y)):
        scores = output[b].numpy()
        p = np.exp(scores) / np.exp(scores).sum(0)
        sums, weights = 0.0, 0.0
        both, said, true = np.zeros(K), np.zeros(K), np.zeros(K)
        for i in range(H):
            for j in range(W):
                c = int(y[b, i, j])
                if c == 255:
                    continue
                w = 1.0 if weight is None else float(weight[c])
                sums, weights = sums - w * np.log(p[c, i, j]), weights + w
                both[c] += p[c, i, j]
                true[c] += 1
                said += p[:, i, j]
        dice = np.mean([1 - 2 * both[c] / (said[c] + true[c]) for c in range(K) if true[c]]) if true.any() else None
        found.append((sums, weights, dice))
    return found


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)])
def test_cross_entropy_is_the_mean_over_pixels_that_count(batch, weight):
    output, y = batch
    each = slowly(output, y, weight)
    expected = sum(one[0] for one in each) / sum(one[1] for one in each)
    assert dense.pixel_cross_entropy(output, y, weight).item() == pytest.approx(expected, rel=1e-12)


def test_dice_is_the_mean_over_classes_then_pictures(batch):
    output, y = batch
    expected = np.mean([one[2] for one in slowly(output, y)])
    assert dense.soft_dice(output, y).item() == pytest.approx(expected, rel=1e-12)


def test_both_is_their_sum_picture_by_picture(batch):
    output, y = batch
    expected = np.mean([one[0] / one[1] + one[2] for one in slowly(output, y)])
    assert dense.cross_entropy_and_dice(output, y).item() == pytest.approx(expected, rel=1e-12)


def test_a_picture_in_which_nothing_counts_changes_nothing(batch):
    output, y = batch
    more = torch.cat([y, torch.full((1, H, W), dense.IGNORED)])
    wide = torch.cat([output, output[:1]])
    for loss in (dense.pixel_cross_entropy, dense.soft_dice, dense.cross_entropy_and_dice):
        assert loss(wide, more).item() == pytest.approx(loss(output, y).item(), rel=1e-12)
        assert loss(output[:1], more[3:]).item() == 0
    assert dense.pictures((wide, more)) == 3
    assert dense.pixels((wide, more)) == B * H * W - 2 * W


@pytest.mark.parametrize("loss", [dense.pixel_cross_entropy, dense.soft_dice, dense.cross_entropy_and_dice])
def test_gradients(batch, loss):
    output, y = batch
    small = output.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda out: loss(out, y), small)


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (dense.pixel_cross_entropy, dense.pixels),
        (dense.soft_dice, dense.pictures),
        (dense.cross_entropy_and_dice, dense.pictures),
    ],
)
def test_parts_weighted_by_count_give_the_whole(batch, loss, count):
    output, y = batch
    parts = [(output[:1], y[:1]), (output[1:], y[1:])]
    counts = [count(part) for part in parts]
    together = sum(loss(*part) * n for part, n in zip(parts, counts, strict=True)) / sum(counts)
    assert together.item() == pytest.approx(loss(output, y).item(), rel=1e-12)


def test_a_perfect_answer_has_no_loss():
    y = torch.tensor([[[0, 1], [1, 0]]])
    sure = torch.stack([(y == 0), (y == 1)], 1).double() * 200
    assert dense.soft_dice(sure, y).item() == pytest.approx(0, abs=1e-12)
    assert dense.pixel_cross_entropy(sure, y).item() == pytest.approx(0, abs=1e-12)
