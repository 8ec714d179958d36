"""The autoencoder on pictures: down to a code and up again, variational, and from a picture to a picture."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import mse_loss

from gipi.data.schema import Sizes
from gipi.data.stream import generator
from gipi.systems import autoencoder
from gipi.training.loop import fit

SMALL = autoencoder.Config(width=4, code=3)


def build(shape, config=SMALL, wants_picture=False, seed=0):
    torch.manual_seed(seed)
    return autoencoder.Net(Sizes(shape, math.prod(shape) if wants_picture else 0), config)


def players(net, config=SMALL):
    return autoencoder.players(net, config, None, lambda lr: lambda step: lr)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 15), (1, 28, 28), (3, 32, 20), (1, 5, 4)])
def test_pictures_of_any_size_come_back_in_their_size(shape):
    x = torch.randn(3, *shape, generator=generator(0, "x"))
    net = build(shape).eval()
    said = net(x)
    assert said.shape == (3, 3 + math.prod(shape))
    assert torch.equal(said[:, :3], autoencoder.code(net, x))
    assert torch.equal(said[:, 3:].view_as(x), net.rebuild(x))
    bridged = build(shape, wants_picture=True).eval()
    assert bridged(x).shape == x.shape
    assert not hasattr(bridged, "decode")


def test_code_has_its_default_length():
    plain = autoencoder.Config()
    assert autoencoder.Net(Sizes((1, 8, 8), 0), plain).code == 32
    assert autoencoder.Net(Sizes((3,), 0), plain).code == 2


def test_what_is_beside_the_way_reaches_the_end():
    """A picture for a picture: what a code of three numbers could not say comes back after some steps."""
    net = build((1, 8, 8), wants_picture=True)
    x = torch.randn(32, 1, 8, 8, generator=generator(0, "x"))
    for _step, losses in fit(players(net), iter(lambda: (x, 0.5 * x), None), 100):
        last = losses["learner"].item()
    assert last < 0.1 < 0.2 < mse_loss(0.5 * x, x).item()


def test_variational_bound_is_the_papers():
    """Squared error of a drawn code's picture and KL, by torch's own distributions."""
    config = autoencoder.Config(width=4, code=5, variational=True, beta=0.7)
    net = build((1, 8, 8), config).eval()
    x = torch.randn(6, 1, 8, 8, generator=generator(0, "x"))
    torch.manual_seed(3)
    found = autoencoder.bound(net, x, config.beta)
    mean, log_variance = net.said(x)
    torch.manual_seed(3)
    drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    apart = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    error = ((net.decode(drawn) - x) ** 2).sum((1, 2, 3)).mean() / 2
    assert found.item() == pytest.approx(2 / 64 * (error + 0.7 * apart).item(), rel=1e-5)
    torch.manual_seed(3)
    assert players(net, config)["learner"].objective((x,)).item() == found.item()


def test_variational_makes_pictures_by_the_generator():
    net = build((3, 8, 8), autoencoder.Config(width=4, code=5, variational=True)).eval()
    made = net.generate(4, generator(0, "made"))
    assert made.shape == (4, 3, 8, 8)
    assert torch.equal(made, net.generate(4, generator(0, "made")))
    assert not torch.equal(made, net.generate(4, generator(1, "made")))


def test_variational_tables_have_codes_too():
    net = autoencoder.Net(Sizes((3,), 0, (2,)), autoencoder.Config(hidden=(8,), variational=True))
    x = torch.tensor([[0.1, 0.2, 0.3, 1.0], [1.0, 2.0, 3.0, 2.0]])
    assert net(x).shape == (2, 2) and net.rebuild(x).shape == (2, 5)
    loss = players(net, autoencoder.Config(hidden=(8,), variational=True))["learner"].objective((x,))
    assert math.isfinite(loss.item())
