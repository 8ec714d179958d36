"""Noise: normal, the same for a row wherever it stands, different from row to row and place to place."""

import numpy as np
import torch
from scipy import stats

from gipi.data.noise import add_noise, normal
from gipi.data.stream import generator


def drawn(rows, seed=0):
    return torch.rand(rows, 2, generator=generator(seed, "test"))


def test_it_is_normal():
    found = normal(drawn(400), 501).numpy()
    assert found.shape == (400, 501)
    assert stats.kstest(found.ravel(), "norm").pvalue > 0.01
    assert abs(found.mean()) < 0.01 and abs(found.std() - 1) < 0.01
    assert abs(stats.kurtosis(found.ravel())) < 0.05


def test_rows_and_places_have_nothing_in_common():
    found = normal(drawn(300), 300).numpy()
    for table in (found, found.T, found[:, ::2]):
        off = np.corrcoef(table)[np.triu_indices(len(table), 1)]
        assert abs(off.mean()) < 0.002
        assert off.std() < 1.15 / np.sqrt(table.shape[1])
    rows = torch.stack([torch.full((50,), 0.5), torch.arange(50) / 2**24], 1)  # draws that differ in the last bit only
    assert abs(np.corrcoef(normal(rows, 2000).numpy())[np.triu_indices(50, 1)]).max() < 0.12


def test_it_is_the_published_mixer():
    """SplitMix64 from 0 gives 0xE220A8397B1DCDAF first: the value of Vigna's reference code."""
    from gipi.data.noise import STRIDE, _mixed

    assert int(_mixed(torch.tensor([STRIDE]))) & (2**64 - 1) == 0xE220A8397B1DCDAF


def test_a_row_has_its_noise_in_any_batch():
    draws = drawn(10)
    whole = normal(draws, 37)
    assert torch.equal(normal(draws[[7, 2]], 37), whole[[7, 2]])
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(normal(drawn(10, seed=1), 37), whole)


def test_pictures_stay_within_what_a_file_can_hold():
    x = torch.full((50, 1, 20, 20), 128, dtype=torch.uint8)
    noisy = add_noise(x, drawn(50), 0.1, 255.0)
    assert noisy.dtype == torch.float32 and noisy.min() >= 0 and noisy.max() <= 255
    assert abs((noisy - 128).std().item() - 25.5) < 0.3
    dark = add_noise(torch.zeros(50, 1, 20, 20), drawn(50), 0.3, 1.0)
    assert abs((dark == 0).float().mean().item() - 0.5) < 0.01 and dark.max() <= 1
