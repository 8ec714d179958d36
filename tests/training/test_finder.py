"""The step-size finder finds a step size that learns, and leaves everything as it was."""

import torch
from torch import nn

from gipi.algorithms.optimizers import make
from gipi.data.stream import Stream
from gipi.training.finder import find_step_size
from gipi.training.loop import fit
from gipi.training.player import learner


def square(output, y):
    return ((output - y) ** 2).mean()


def test_it_finds_a_step_size_between_idle_and_divergence():
    torch.manual_seed(0)
    x = torch.randn(512, 8)
    y = x @ torch.randn(8, 1)
    net = nn.Linear(8, 1)
    stream = Stream((x, y), 32, seed=0)
    before = [p.clone() for p in net.parameters()]

    def build(schedule):
        return learner(net, square, lambda params: make("sgd", params, schedule(1.0)))

    state = torch.get_rng_state()
    found = find_step_size(net, build, stream)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert stream.state_dict() == {"position": 0}
    assert 1e-3 < found.step_size < 1.0  # with unit inputs, gradient descent diverges from about 1 on

    players = learner(net, square, lambda params: make("sgd", params, found.step_size))
    losses = [float(losses["learner"]) for _step, losses in fit(players, stream, 200)]
    assert losses[-1] < 0.01 * losses[0]
