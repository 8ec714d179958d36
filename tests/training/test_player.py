"""A player's gradients are those of its own parameters and nobody else's."""

import pytest
import torch
from torch import nn

from gipi.algorithms.optimizers import make
from gipi.training.player import Player, clipped, learner


def test_an_unused_parameter_gets_zeros_and_all_unused_is_an_error():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    player = Player([used, unused], lambda batch: (used * batch).sum(), make("sgd", [used, unused], 0.1))
    _loss, gradients = player.evaluate(torch.ones(2))
    assert gradients[1].tolist() == [0, 0, 0]
    lost = Player([unused], lambda batch: (used * batch).sum(), make("sgd", [unused], 0.1))
    with pytest.raises(ValueError, match="none of the player's parameters"):
        lost.evaluate(torch.ones(2))


def test_nobody_elses_grad_is_touched():
    net, other = nn.Linear(3, 1), nn.Linear(3, 3)
    players = learner(net, lambda output, y: ((output - y) ** 2).mean(), lambda params: make("adam", params, 0.1))
    before = [p.clone() for p in other.parameters()]
    players["learner"].play((other(torch.ones(4, 3)), torch.zeros(4, 1)), 0)
    assert all(p.grad is None for p in [*other.parameters(), *net.parameters()])
    assert all(torch.equal(p, q) for p, q in zip(other.parameters(), before, strict=True))


def test_clipping_limits_the_global_norm_also_where_gradients_share_memory():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    gradients = list(torch.autograd.grad(((a + b) * torch.tensor([30.0, 40.0])).sum(), [a, b]))
    out = clipped(gradients, 1.0)
    assert torch.stack([g.norm() for g in out]).norm() == pytest.approx(1.0, rel=1e-4)
    small = [torch.tensor([0.1])]
    torch.testing.assert_close(clipped(small, 1.0)[0], small[0])


def test_batch_norm_couples_rows():
    coupled = learner(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), lambda o, y: o.sum(), lambda p: make("sgd", p))
    free = learner(nn.Linear(2, 2), lambda o, y: o.sum(), lambda p: make("sgd", p))
    assert not coupled["learner"].splittable
    assert free["learner"].splittable
