"""DQN: a stream that acts, on the one loop; it goes on exactly where it was cut, and learns CartPole."""

import copy
import json

import numpy as np
import pytest
import torch

from gipi.data.environments import open_environment
from gipi.data.schema import Sizes
from gipi.data.stream import generator
from gipi.systems import dqn
from gipi.tasks import act
from gipi.training.loop import fit

CARTPOLE = "gym:CartPole-v1"
SMALL = dqn.Config(hidden=(16,), memory=150, first_moves=40, moves=12, batches=6, copy_every=10, explore_moves=100)


class Walk:
    """A tiny world: go right to the end of a corridor and be paid; every move costs. The clock cuts it short."""

    name, features, actions = "walk", 2, 2
    length, clock = 5, 20

    def reset(self, seed):
        self.place, self.moves = seed % 2, 0
        return self.seen()

    def seen(self):
        return np.array([self.place / self.length, 1.0], np.float32)

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        self.moves += 1
        has_ended = self.place == self.length
        return self.seen(), 1.0 if has_ended else -0.1, has_ended, self.moves == self.clock


def constant(lr):
    return lambda step: lr


def begin(config=SMALL, environment=None, batch_size=8, seed=0):
    environment = environment or Walk()
    torch.manual_seed(seed)
    net = dqn.Net(Sizes((environment.features,), environment.actions), config)
    return net, dqn.players(net, config, None, constant), dqn.stream(environment, net, config, batch_size, seed)


def run(net, players, stream, steps, start=0, config=SMALL):
    for _step, _losses in fit(players, stream, steps, dqn.after(net, config), start):
        pass


def kept(net, players, stream):
    """What a checkpoint holds, as it comes back from one."""
    tensors = net.state_dict() | stream.tensors() | players["player"].optimizer.tensors()
    return copy.deepcopy(tensors), json.loads(json.dumps(stream.state_dict()))


def restore(saved, net, players, stream):
    tensors, state = saved
    for name, tensor in (net.state_dict() | stream.tensors() | players["player"].optimizer.tensors()).items():
        tensor.copy_(tensors[name])
    stream.load_state_dict(state)


def differing(one, other):
    return [name for name, tensor in one.items() if not torch.equal(tensor, other[name])]


@pytest.mark.parametrize("cut", [1, 6, 17, 42])  # in a stretch, at its end, after the memory has gone round
@pytest.mark.parametrize("name", ["walk", CARTPOLE])
def test_a_cut_run_goes_on_to_the_same_weights(cut, name):
    if name == CARTPOLE:
        pytest.importorskip("gymnasium")

    def fresh():
        return begin(environment=Walk() if name == "walk" else open_environment(name))

    whole = fresh()
    run(*whole, 60)
    first = fresh()
    run(*first, cut)
    saved = kept(*first)
    second = fresh()
    restore(saved, *second)
    run(*second, 60, start=cut)
    ours, theirs = kept(*second), kept(*whole)
    assert differing(ours[0], theirs[0]) == []
    assert ours[1] == theirs[1]
    assert second[2].notes == []


def test_a_world_that_cannot_be_played_again_is_continued_and_says_so():
    class Fickle(Walk):
        chance = np.random.default_rng(0)

        def seen(self):
            return self.chance.random(2).astype(np.float32)

    first = begin(environment=Fickle())
    run(*first, 9)
    second = begin(environment=Fickle())
    restore(kept(*first), *second)
    (said,) = second[2].notes
    assert said.startswith("continued, not exactly: walk")
    assert second[2].episode == first[2].episode + 1
    run(*second, 20, start=9)


def test_a_world_that_ends_earlier_when_played_again_is_not_played_beyond_its_end():
    first = begin()
    run(*first, 9)
    tensors, state = kept(*first)
    assert state["actions"]
    second = begin()
    restore((tensors, state | {"actions": [1] * 19}), *second)
    assert len(second[2].notes) == 1


def test_it_remembers_what_happened():
    """The clock's cut is no end: what was still to come counts."""
    config = dqn.Config(hidden=(4,), memory=100, first_moves=90, moves=10, batches=5, explore_moves=10**9)
    _net, _players, stream = begin(config)
    batch = next(stream)
    assert [tuple(part.shape) for part in batch] == [(8, 2), (8,), (8,), (8, 2), (8,)]
    seen, action, reward, then, ended = stream.tensors().values()
    place, after = (torch.round(part[:, 0] * Walk.length) for part in (seen, then))
    assert torch.equal(after, (place + action * 2 - 1).clamp(min=0))
    assert torch.equal(ended, (after == Walk.length).float())
    assert torch.equal(reward, torch.where(ended == 1, 1.0, -0.1))
    assert stream.episode > ended.sum() > 0  # some were cut short, and are not marked as ended
    assert set(action.tolist()) == {0, 1}


def test_memory_forgets_the_oldest():
    config = dqn.Config(hidden=(4,), memory=30, first_moves=100, moves=10, batches=1)
    _net, _players, stream = begin(config)
    for _time in range(4):
        next(stream)
    assert stream.moves == 140
    assert stream.tensors()["then"].shape == (30, 2)
    assert (stream.tensors()["then"][:, 1] == 1).all()


def test_exploration_is_a_function_of_the_move():
    config = dqn.Config(explore=1.0, explore_last=0.1, explore_moves=100)
    assert [round(dqn.exploration(move, config), 9) for move in (0, 50, 100, 5000)] == [1.0, 0.55, 0.1, 0.1]


def test_the_goal_is_that_of_double_dqn():
    """van Hasselt 2015, equation 4, and Huber's loss, in NumPy float64."""
    net, players, _stream = begin()
    net.double()
    with torch.no_grad():
        for param in net.judge.parameters():
            param.copy_(torch.randn(param.shape, generator=generator(0, "judge")))
    draw = np.random.default_rng(0)
    seen, then = draw.normal(size=(2, 5, 2))
    action, reward, ended = draw.integers(2, size=5), draw.normal(size=5) * 3, np.array([0.0, 1, 0, 0, 1])

    def layers(part, x):
        first, last = (part[place] for place in (0, 2))
        hidden = np.maximum(x @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
        return hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()

    rows = np.arange(5)
    goal = reward + SMALL.discount * (1 - ended) * layers(net.judge, then)[rows, layers(net.worth, then).argmax(1)]
    error = np.abs(layers(net.worth, seen)[rows, action] - goal)
    expected = np.where(error < 1, error**2 / 2, error - 0.5).mean()
    batch = tuple(torch.as_tensor(part) for part in (seen, action, reward, then, ended))
    loss, gradients = players["player"].evaluate(batch)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert len(gradients) == len(list(net.worth.parameters()))


def test_the_judge_stands_still_between_copies():
    net, players, stream = begin()
    start = copy.deepcopy(net.judge.state_dict())
    run(net, players, stream, 9)
    assert differing(net.judge.state_dict(), start) == []
    run(net, players, stream, 10, start=9)
    assert differing(net.judge.state_dict(), net.worth.state_dict()) == []
    assert differing(net.judge.state_dict(), start) != []


def test_it_learns_a_tiny_world_exactly():
    config = dqn.Config(hidden=(32,), lr=3e-3, first_moves=100, moves=10, batches=10, copy_every=20, explore_moves=500)
    net, players, stream = begin(config, batch_size=32)
    run(net, players, stream, 300, config=config)
    returns = act.evaluate(net, Walk, episodes=10, seed=0)
    best = [1.0 - 0.1 * (Walk.length - 1 - seed % 2) for seed in (0, 1)]
    assert all(min(abs(value - wanted) for wanted in best) < 1e-9 for value in returns)


def learn_cartpole(seed, steps, config, batch_size, look_every, episodes=20):
    """Returns of 100 test episodes with the weights that were best on validation episodes, and the test by chance."""
    torch.manual_seed(seed)
    environment = open_environment(CARTPOLE)
    net, players, stream = begin(config, environment, batch_size, seed)
    best, weights = -np.inf, net.state_dict()
    for step, _losses in fit(players, stream, steps, dqn.after(net, config)):
        if (step + 1) % look_every == 0:
            score = act.evaluate(net, CARTPOLE, episodes, seed, "valid").mean()
            if score > best:
                best, weights = score, copy.deepcopy(net.state_dict())
    net.load_state_dict(weights)
    return act.evaluate(net, CARTPOLE, 100, seed, "test")


def test_a_short_run_is_better_than_chance():
    pytest.importorskip("gymnasium")
    returns = learn_cartpole(0, 1_000, dqn.Config(), 64, 500, episodes=10)
    chance = act.evaluate_random(CARTPOLE, 100, 0)
    assert 15 < chance.mean() < 30  # 22 is what is known of it
    assert act.metrics(returns)["return"].low > 2 * act.metrics(chance)["return"].high


@pytest.mark.slow
def test_it_solves_cartpole():
    """Mean return of at least 475, over five seeds, each with the weights that were best on other episodes."""
    pytest.importorskip("gymnasium")
    means = []
    for seed in range(5):
        returns = learn_cartpole(seed, dqn.defaults["steps"], dqn.Config(), dqn.defaults["batch_size"], 1_000)
        means.append(returns.mean())
    assert np.mean(means) >= 475, means
