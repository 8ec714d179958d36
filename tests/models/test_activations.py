"""Every activation against its equation in NumPy float64, by gradcheck, and as the weights before it are drawn."""

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn

from gipi.errors import UsageError
from gipi.models.activations import ACTIVATIONS, Maxout, activation, expansion, initialize

EQUATIONS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "prelu": lambda z: np.where(z > 0, z, 0.25 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "maxout": lambda z: np.stack([z[:, 0::2], z[:, 1::2]]).max(0),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "identity": lambda z: z,
}


def signals(rows=9, features=6):
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2


def test_every_activation_is_proven():
    assert set(EQUATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_its_equation(name):
    z = signals()
    got = activation(name).double()(z).detach()
    np.testing.assert_allclose(got.numpy(), EQUATIONS[name](z.numpy()), rtol=1e-12, atol=1e-15)
    assert got.shape[1] * expansion(name) == z.shape[1]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient(name):
    part = activation(name).double()
    assert torch.autograd.gradcheck(part, [signals().requires_grad_()])


def test_prelu_has_a_slope_for_each_channel():
    assert activation("prelu", channels=6).weight.shape == (6,)
    assert activation("prelu").weight.shape == (1,)


def test_maxout_works_on_pictures_and_last_axes():
    x = torch.randn(2, 6, 4, 5)
    assert torch.equal(Maxout(3)(x), torch.stack([x[:, 0:3].amax(1), x[:, 3:6].amax(1)], 1))
    y = torch.randn(2, 4, 6)
    assert torch.equal(Maxout(2, axis=-1)(y), torch.maximum(y[..., 0::2], y[..., 1::2]))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_signals_neither_die_nor_explode(name):
    """Ten layers deep, the spread of the signals stays in a sensible range."""
    torch.manual_seed(0)
    width = 256
    x = torch.randn(128, width)
    for _layer in range(10):
        layer = nn.Linear(width, width * expansion(name))
        initialize(layer, name)
        x = activation(name)(layer(x))
    assert 0.05 < x.std().item() < 20, x.std()


def test_weights_have_the_papers_variance():
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 64, 3)
    initialize(layer, "relu")
    assert layer.weight.var().item() == pytest.approx(2 / (16 * 9), rel=0.05) and layer.bias.abs().max() == 0
    dense = nn.Linear(300, 100)
    initialize(dense, "tanh")
    assert dense.weight.var().item() == pytest.approx(2 / 400, rel=0.05)


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'relu'"):
        activation("rellu")
