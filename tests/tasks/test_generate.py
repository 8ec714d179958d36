"""The figures of generated pictures agree with independent formulas, and tell what they claim to tell."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gipi.data.encode import normalize
from gipi.data.schema import Field, Schema
from gipi.errors import UsageError
from gipi.tasks import generate
from gipi.tasks.pictures import picture_grid

DRAW = np.random.default_rng(0)


def cloud(rows=300, shift=0.0, seed=0):
    """Pictures `(rows, 4, 4, 1)` that differ along all axes."""
    draw = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(16, 16))
    return (draw.normal(size=(rows, 16)) @ mix + shift).reshape(rows, 4, 4, 1)


def by_eigenvalues(a, b):
    """The trace of (C1 C2)^1/2 is the sum of the roots of the eigenvalues of C1 C2, which is not symmetric."""
    one, other = np.cov(a.T, bias=True), np.cov(b.T, bias=True)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(one @ other).real, 0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * roots


def test_frechet_agrees_with_an_independent_formula():
    a, b = cloud(200).reshape(200, -1), cloud(150, 0.3, seed=1).reshape(150, -1) * 1.1
    found = generate.frechet(a.mean(0), np.cov(a.T, bias=True), b.mean(0), np.cov(b.T, bias=True))
    assert found == pytest.approx(by_eigenvalues(a, b), rel=1e-10)


def test_frechet_of_commuting_covariances_in_closed_form():
    mean, other = np.array([1.0, 2.0]), np.array([0.0, 4.0])
    found = generate.frechet(mean, np.diag([4.0, 9.0]), other, np.diag([1.0, 0.0]))
    assert found == pytest.approx(5 + (2 - 1) ** 2 + 9, rel=1e-12)


def test_frechet_metric_along_the_leading_axes():
    made, real = cloud(200, 2.0, seed=1), cloud()
    axes = generate.leading_axes(real.reshape(300, -1))
    assert np.allclose(axes.T @ axes, np.eye(axes.shape[1]))
    flat = [(rows.reshape(len(rows), -1)) for rows in (made, real)]
    held = (flat[1] - flat[1].mean(0)) @ axes
    assert held.var(0).sum() / flat[1].var(0).sum() > generate.SHARE
    found = generate.metrics(made, real)["frechet"]
    expected = by_eigenvalues(flat[0] @ axes, flat[1] @ axes) / flat[1].var(0).sum()
    assert found == pytest.approx(expected, rel=1e-8)
    assert found.low <= found <= found.high
    assert found.high - found.low < found


def test_the_same_pictures_have_distance_zero_and_the_mean_picture_one():
    real = cloud()
    assert generate.metrics(real, real, intervals=False)["frechet"] == pytest.approx(0, abs=1e-9)
    mean = np.broadcast_to(real.mean(0), real.shape)
    found = generate.metrics(mean, real, intervals=False)
    assert generate.SHARE <= found["frechet"] <= 1  # the leading axes hold at least this share of the variance
    assert found["variety"] == pytest.approx(0, abs=1e-6)


def test_interval_of_frechet_holds_the_distance_of_the_distributions():
    """Two normal clouds one unit apart, in units of a variance of 4."""
    distances = []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        real, made = draw.normal(size=(2, 400, 2, 2, 1))
        found = generate.metrics(made + 0.5, real)["frechet"]
        distances.append(found.low <= 0.25 <= found.high)
    assert np.mean(distances) >= 0.7  # the figure itself is a little too large, see `frechet_metric`


def test_variety_is_the_ratio_of_distances_between_pairs():
    made, real = cloud(40, seed=1) * 0.7, cloud(50)

    def pairs(pictures):
        flat = pictures.reshape(len(pictures), -1)
        square = ((flat[:, None] - flat) ** 2).sum(-1)
        return np.sqrt(square.sum() / (len(flat) * (len(flat) - 1)))

    found = generate.metrics(made, real)["variety"]
    assert found == pytest.approx(pairs(made) / pairs(real), rel=1e-10)
    assert found.low < found < found.high


def test_neighbours_tell_apart_what_moments_do_not():
    """Ones and minus ones have the moments of a normal cloud; every neighbour tells them apart."""
    signs = np.sign(DRAW.normal(size=(400, 4, 4, 1)))
    normal = DRAW.normal(size=(400, 4, 4, 1))
    found = generate.metrics(signs, normal, intervals=False)
    assert found["frechet"] < 0.15
    assert found["told_apart"] > 0.6


def test_neighbours_cannot_tell_apart_the_same_distribution_and_find_copies():
    found = generate.told_apart(cloud(seed=1).reshape(300, -1), cloud().reshape(300, -1))
    assert found.low < 0.5 < found.high
    assert not found.higher_is_better
    real = cloud().reshape(300, -1)
    assert generate.told_apart(real + 1e-6, real) == 0
    assert generate.told_apart(real + 100, real) == 1


def schema(white=255.0):
    return Schema((Field("picture", "picture", (1, 4, 4), center=100.0, scale=50.0, white=white),))


def test_decode_undoes_normalize():
    pictures = DRAW.integers(0, 256, (5, 4, 4, 1)).astype(np.uint8)
    x = normalize(schema(), torch.from_numpy(pictures).permute(0, 3, 1, 2))
    assert np.array_equal(generate.decode(x, schema()), pictures)
    bounds = generate.decode(torch.tensor([-100.0, 100.0]).reshape(2, 1, 1, 1), schema())
    assert bounds.ravel().tolist() == [0, 255]


def test_decode_brings_white_to_255():
    white = torch.full((1, 1, 4, 4), (16.0 - 100) / 50)
    assert (generate.decode(white, schema(white=16.0)) == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_each_picture(channels):
    pictures = DRAW.integers(0, 256, (5, 4, 6, channels)).astype(np.uint8)
    sheet = picture_grid(pictures, columns=2, side=12)
    assert sheet.shape == (3 * (8 + 2) + 2, 2 * (12 + 2) + 2, 3)
    third = sheet[12 + 0 : 12 + 8, 2 : 2 + 12]  # second row, first column
    assert np.array_equal(third[::2, ::2], np.broadcast_to(pictures[2], (4, 6, 3)))


class Painter(torch.nn.Module):
    """Says who it is."""

    def __init__(self, level):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(float(level)))

    def forward(self, z):
        return self.level * torch.ones(len(z), 1, 4, 4)


def test_predict_gives_as_many_pictures_as_asked_and_members_take_turns():
    model = SimpleNamespace(members=[Painter(-1), Painter(1)], schema=schema(), config={"latent": 3})
    said = generate.predict(model, 3)
    assert [row["picture"][0, 0, 0] for row in said] == [50, 150, 50]
    assert said[0]["picture"].shape == (4, 4, 1)
    assert len(generate.predict(model, 1)) == 1
    assert [row["picture"][0, 0, 0] for row in generate.predict(model, np.zeros((2, 3)))] == [50, 150]


@pytest.mark.parametrize("count", [0, -1, True, "many", 1.5])
def test_predict_wants_a_number(count):
    with pytest.raises(UsageError, match="a number of pictures was expected"):
        generate.predict(SimpleNamespace(members=[Painter(0)], schema=schema(), config={"latent": 3}), count)
