"""Augmentation is a pure function of the batch and its draws, and does what its name says."""

import numpy as np
import pytest
import torch

from gipi.data.augment import AUGMENTATIONS, affine, compose, flip, shift
from gipi.errors import UsageError


def pictures(kind=torch.uint8):
    return torch.arange(2 * 1 * 8 * 8).view(2, 1, 8, 8).remainder(251).to(kind)


def test_flip_exchanges_left_and_right_where_the_draw_is_low():
    x = pictures()
    out = flip(x, torch.tensor([[0.2], [0.8]]))
    assert torch.equal(out[0], x[0].flip(2))
    assert torch.equal(out[1], x[1])


def test_shift_moves_by_whole_elements_and_repeats_the_edge():
    x = pictures()
    still = shift(x, torch.full((2, 2), 0.5))
    assert torch.equal(still, x)
    moved = shift(x, torch.tensor([[0.0, 0.5], [0.5, 0.99]]))  # one up by -1, one right by +1
    assert torch.equal(moved[0, 0, 1:], x[0, 0, :-1])
    assert torch.equal(moved[0, 0, 0], x[0, 0, 0])
    assert torch.equal(moved[1, 0, :, :-1], x[1, 0, :, 1:])


def test_affine_in_the_middle_of_its_draws_changes_nothing():
    x = pictures(torch.float32)
    torch.testing.assert_close(affine(x, torch.full((2, 5), 0.5)), x, atol=1e-3, rtol=0)


def test_affine_turns():
    """A quarter of the largest turn moves a point near the edge about as far as the sine says."""
    x = torch.zeros(1, 1, 33, 33)
    x[0, 0, 16, 30] = 1.0
    draws = torch.full((1, 5), 0.5)
    draws[0, 0] = 1.0
    place = np.unravel_index(int(affine(x, draws)[0, 0].argmax()), (33, 33))
    assert abs(abs(place[0] - 16) - 14 * np.sin(np.radians(10))) <= 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_row_has_its_own_draws_and_stays_in_range(name):
    augment, count = compose((name,))
    x = pictures()
    draws = torch.rand(2, count, generator=torch.Generator().manual_seed(0))
    both = augment(x, draws)
    alone = torch.cat([augment(x[:1], draws[:1]), augment(x[1:], draws[1:])])
    torch.testing.assert_close(both, alone)
    assert both.min() >= 0 and both.max() <= 255


def test_several_use_draws_of_their_own():
    augment, count = compose(("flip", "shift"))
    assert count == 3
    x = pictures()
    draws = torch.tensor([[0.1, 0.5, 0.5], [0.9, 0.5, 0.5]])
    assert torch.equal(augment(x, draws)[0], x[0].flip(2))


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="flip"):
        compose(("flop",))
