"""Mixup and cutmix: shares are Beta distributed, and the mixed loss is the mixture of the two."""

import numpy as np
import torch

from gipi import losses
from gipi.algorithms.regularization import CUTMIX_DRAWS, DRAWS, beta, cutmix, mixed, mixup


def test_shares_follow_beta():
    for alpha in (0.2, 0.4, 1.0):
        draws = torch.rand(40_000, DRAWS, generator=torch.Generator().manual_seed(0))
        found = beta(draws, alpha).numpy()
        assert abs(found.mean() - 0.5) < 0.01
        assert abs(found.var() - 1 / (4 * (2 * alpha + 1))) < 0.01  # the variance of Beta(alpha, alpha)


def test_rows_are_mixed_with_their_neighbours_and_the_loss_with_them():
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(6, 3, generator=random, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    out, own, other, share = mixup(x, y, torch.rand(6, DRAWS, generator=random), 0.4)
    assert (share >= 0.5).all()
    torch.testing.assert_close(out, share[:, None] * x + (1 - share[:, None]) * x.roll(1, 0))
    scores = torch.randn(6, 3, generator=random, dtype=torch.float64)
    log = scores.log_softmax(1).numpy()
    s, rows = share.numpy(), np.arange(6)
    expected = -(s * log[rows, own] + (1 - s) * log[rows, other]).mean()
    np.testing.assert_allclose(mixed(losses.cross_entropy)(scores, own, other, share), expected, rtol=1e-9)


def test_patches_come_from_the_neighbour_and_the_share_counts_their_elements():
    random = torch.Generator().manual_seed(2)
    H, W = 10, 14
    x, y = torch.randn(50, 3, H, W, generator=random), torch.arange(50)
    draws = torch.rand(50, CUTMIX_DRAWS, generator=random)
    out, own, other, share = cutmix(x, y, draws, 1.0)
    assert torch.equal(own, y) and torch.equal(other, y.roll(1))
    sizes = (1 - beta(draws, 1.0)).sqrt()
    for n in range(50):
        tall, wide = int(sizes[n] * H), int(sizes[n] * W)
        middle = int(draws[n, DRAWS] * H), int(draws[n, DRAWS + 1] * W)
        expected, count = x[n].clone(), 0
        for i in range(H):
            for j in range(W):
                top, left = np.floor(middle[0] - tall / 2), np.floor(middle[1] - wide / 2)
                if top <= i < np.floor(middle[0] + tall / 2) and left <= j < np.floor(middle[1] + wide / 2):
                    expected[:, i, j] = x[n - 1, :, i, j]
                    count += 1
        assert torch.equal(out[n], expected)
        assert abs(share[n].item() - (1 - count / (H * W))) < 1e-6
    assert 0.3 < share.mean() < 0.85  # at the edge patches are cut off
