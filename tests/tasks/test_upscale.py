"""Enlarged pictures: the figures of the literature, and a picture cut into tiles that is as if it had not been."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gipi.data.enlarged import enlarged, shrunk
from gipi.data.schema import Field, Schema, Sizes
from gipi.systems import edsr
from gipi.tasks import pictures, upscale

PICTURE = Field("picture", "picture", (3, 32, 32), center=110.0, scale=60.0)


def smooth(height=48, width=60, seed=0):
    draw = np.random.default_rng(seed)
    grid = draw.integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return enlarged(grid, 6)


def model(factor=2, seed=0):
    torch.manual_seed(seed)
    net = edsr.Net(Sizes((3, 32, 32), 3), edsr.Config(factor=factor, width=4, blocks=2)).eval()
    schema = Schema((PICTURE,), (PICTURE,))
    return SimpleNamespace(members=[net], schema=schema, extra={"factor": factor, "longest": 1024})


def test_luma_is_that_of_bt_601():
    """Black 16, white 235, and red, green and blue by MATLAB's rgb2ycbcr."""
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert upscale.luma(colours)[0, :, 0].tolist() == [16, 235, 81, 145, 41]
    grey = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    assert upscale.luma(grey) is grey


def test_scores_leave_the_border_out():
    one = smooth()
    other = one.copy()
    other[:2] = 0
    other[:, -2:] = 0
    assert upscale.scores(other, one, 2)[0] == pictures.MOST
    assert upscale.scores(other, one, 1)[0] < 40


def test_it_begins_at_bicubic():
    """The last layer begins at zero, so the first answer is Pillow's bicubic but for rounding."""
    large = smooth()
    small = shrunk(large, 2)
    (answer,) = upscale.predict(model(), small)
    expected = enlarged(small, 2)
    assert answer["picture"].shape == large.shape
    assert np.abs(answer["picture"].astype(int) - expected).max() <= 2
    ours, bicubic = (upscale.scores(one, large, 2)[0] for one in (answer["picture"], expected))
    assert ours == pytest.approx(bicubic, abs=0.02)


@pytest.mark.parametrize("factor", [2, 3])
def test_tiles_have_no_seams(factor):
    kept = model(factor)
    for layer in kept.members[0].modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.2)
    x = torch.randint(0, 256, (1, 3, 41, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole, tiled = upscale.by_tiles(kept, x, factor, 200), upscale.by_tiles(kept, x, factor, 16)
    assert torch.allclose(tiled, whole, rtol=1e-4, atol=1e-4)
    kept.members[0].reach = 1  # a margin that is too small is seen
    assert not torch.allclose(upscale.by_tiles(kept, x, factor, 16), whole, rtol=1e-4, atol=1e-4)


def test_rivals_are_bicubic_and_nearest():
    large = [smooth(seed=n) for n in range(3)]
    bicubic, nearest = upscale.rivals([shrunk(one, 2) for one in large], large, 2)
    assert (bicubic.name, nearest.name) == ("bicubic", "nearest")
    assert (bicubic.sums[:, 0] > nearest.sums[:, 0]).all()
    assert upscale.mean_psnr(bicubic.sums.sum(0, keepdims=True))[0] == pytest.approx(bicubic.sums[:, 0].mean())


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="mae, mse, huber"):
        upscale.loss("cross_entropy")
