"""Small pictures and large ones; and pieces that are cut out of both at the same place."""

import numpy as np
import pytest
import torch
from PIL import Image

from gipi.data.canvas import Item, laid_out, tensors
from gipi.data.crops import PLACE, pieces, turn
from gipi.data.enlarged import _pair, enlarged, open_enlarged, shrunk
from gipi.errors import DataError


def smooth(n, height=48, width=64):
    down, right = np.mgrid[:height, :width]
    grey = 127 + 60 * np.sin(down / (5 + n)) + 60 * np.cos(right / (4 + n))
    return np.stack([grey, grey[::-1], grey[:, ::-1]], 2).clip(0, 255).astype(np.uint8)


def test_the_small_picture_is_pillows_bicubic(tmp_path):
    for n in range(3):
        Image.fromarray(smooth(n)).save(tmp_path / f"{n}.png")
    data = open_enlarged(tmp_path, 2)
    expected = np.asarray(Image.fromarray(smooth(1)).resize((32, 24), Image.Resampling.BICUBIC))
    assert data.pictures.shape == (3, 24, 32, 3) and data.answers.shape == (3, 48, 64, 3)
    assert (data.pictures[1] == expected).all()
    assert (data.answers[1] == smooth(1)).all()


def test_sides_that_the_factor_does_not_divide_and_two_orientations():
    pictures = [smooth(0, 50, 65), smooth(1, 65, 50)]
    items = [_pair(Item(str(n), "", None, one), 3, 1024) for n, one in enumerate(pictures)]
    assert [item.answer.shape[:2] for item in items] == [(48, 63), (63, 48)]
    data = laid_out("two", items, [], None, 3)
    x, y, sizes = tensors(data, 3)
    assert x.shape == (2, 3, 21, 21) and y.shape == (2, 3, 63, 63)
    assert sizes.tolist() == [[16, 21], [21, 16]]
    assert (items[0].picture == shrunk(items[0].answer, 3)).all()


def test_pairs_of_folders(tmp_path):
    for n in range(3):
        for folder, picture, name in (("HR", smooth(n), f"{n}.png"), ("LR", shrunk(smooth(n), 2), f"{n}x2.png")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / folder / name)
    data = open_enlarged(tmp_path, 2)
    assert (data.pictures[2] == shrunk(smooth(2), 2)).all() and (data.answers[2] == smooth(2)).all()
    with pytest.raises(DataError, match=r"--factor 3"):
        open_enlarged(tmp_path, 3)
    (tmp_path / "LR" / "1x2.png").unlink()
    assert any("1 pictures have no counterpart" in note for note in open_enlarged(tmp_path, 2).notes)


def test_of_a_large_picture_the_middle_is_taken():
    data = open_enlarged(np.stack([smooth(n, 80, 120) for n in range(2)]), 2, 60)
    assert data.answers.shape == (2, 60, 60, 3)
    assert (data.answers[0] == smooth(0, 80, 120)[10:70, 30:90]).all()
    assert any("middle" in note for note in data.notes)


def test_too_few_and_too_small():
    assert len(open_enlarged(smooth(0)[None], 2)) == 1  # enough to be tested on; what is learned from is two at least
    with pytest.raises(DataError, match="less than 16 pixels"):
        open_enlarged(np.zeros((3, 20, 20), np.uint8), 2)


def test_enlarging_keeps_what_is_flat():
    flat = np.full((5, 6, 3), 77, np.uint8)
    assert (enlarged(flat, 3) == 77).all() and enlarged(flat, 3).shape == (15, 18, 3)


def test_pieces_of_both_are_of_the_same_place_and_within_the_picture():
    small = torch.arange(2 * 8 * 10).reshape(2, 1, 8, 10)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)  # each element says which small one it came from
    sizes = torch.tensor([[8, 10], [5, 6]])
    rows = torch.arange(2).repeat(200)
    draws = torch.rand(400, PLACE, generator=torch.Generator().manual_seed(0))
    one, other = pieces(small, rows, sizes, draws, (4, 5)), pieces(large, rows, sizes, draws, (4, 5), 2)
    assert (other[:, :, ::2, ::2] == one).all() and other.shape == (400, 1, 8, 10)
    within = small[1, 0, :5, :6].flatten().tolist()
    assert set(one[rows == 1].flatten().tolist()) <= set(within), "what is beside a picture is never seen"
    assert len({tuple(piece.flatten().tolist()) for piece in one[rows == 1]}) == 2 * 2, "each place is seen"


def test_turning_makes_eight_ways_alike_for_both():
    square = torch.arange(9).reshape(1, 1, 3, 3).expand(64, 1, 3, 3)
    draws = torch.rand(64, 3, generator=torch.Generator().manual_seed(1))
    seen = {tuple(one.flatten().tolist()) for one in turn(square, draws)}
    assert len(seen) == 8
    assert (turn(square * 10, draws) == turn(square, draws) * 10).all()
    assert turn(torch.zeros(2, 1, 3, 4), draws[:2]).shape == (2, 1, 3, 4)
