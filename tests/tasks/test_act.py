"""Act: episodes played side by side are the same as one after another, and what is reported did not choose."""

import numpy as np
import pytest
import torch
from torch import nn

from gipi.data import environments
from gipi.data.schema import sizes
from gipi.errors import UsageError
from gipi.tasks import act

CARTPOLE = "gym:CartPole-v1"


class Count:
    """Pays 1 for action 1; an episode has as many moves as its seed says."""

    name, features, actions = "count", 1, 2

    def reset(self, seed):
        self.left = 1 + seed % 7
        return np.array([self.left], np.float32)

    def step(self, action):
        self.left -= 1
        return np.array([self.left], np.float32), float(action), self.left == 0, False


def always(action):
    """A net that finds this action best."""
    net = nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.copy_(torch.tensor([1.0 - action, float(action)]))
    return net


def test_returns_of_episodes_of_different_lengths():
    seeds = [environments.episode_seed(3, "test", episode) for episode in range(20)]
    assert act.evaluate(always(1), Count, 20, seed=3).tolist() == [1 + seed % 7 for seed in seeds]
    assert act.evaluate(always(0), Count, 20, seed=3).tolist() == [0] * 20
    mean = act.evaluate_random(Count, 200, seed=3).mean()
    assert mean == pytest.approx(act.evaluate(always(1), Count, 200, seed=3).mean() / 2, rel=0.15)


def test_evaluation_draws_nothing_and_leaves_the_mode():
    net = nn.Sequential(always(1), nn.Dropout(0.5)).train()
    state = torch.get_rng_state()
    act.evaluate(net, Count, 3, seed=0)
    assert net.training
    assert torch.equal(state, torch.get_rng_state())


def test_parts_share_no_episode():
    seeds = {
        part: {environments.episode_seed(seed, part, n) for seed in range(20) for n in range(100)}
        for part in environments.PARTS
    }
    assert all(len(found) > 1990 for found in seeds.values())
    assert len(set.union(*seeds.values())) == sum(map(len, seeds.values()))
    assert max(map(max, seeds.values())) < 2**31


def test_metrics_have_an_interval():
    returns = np.array([10.0, 20.0, 30.0, 40.0])
    found = act.metrics(returns)
    assert found["return"] == 25
    assert 10 < found["return"].low < 25 < found["return"].high < 40
    assert found["worst_return"] == 10


def test_schema_and_answers():
    schema = act.schema(Count())
    assert sizes(schema, act.output(schema)).input == (1,)
    worth = [torch.tensor([[1.0, 2.0], [4.0, 3.0]]), torch.tensor([[1.0, 4.0], [4.0, 3.0]])]
    alone, nothing = act.combine([act.answer(worth[0], schema)], schema)
    assert act.decode(alone, nothing, schema) == [
        {"action": 1, "worth": {"0": 1.0, "1": 2.0}},
        {"action": 0, "worth": {"0": 4.0, "1": 3.0}},
    ]
    said = act.decode(*act.combine(worth, schema), schema)
    assert [row["action"] for row in said] == [1, 0]
    assert [row["disagreement"] for row in said] == [1.0, 0.0]


def test_cartpole_side_by_side_is_cartpole_one_by_one():
    gymnasium = pytest.importorskip("gymnasium")
    torch.manual_seed(0)
    net = nn.Linear(4, 2)
    found = act.evaluate(net, CARTPOLE, 5, seed=0)
    world = gymnasium.make("CartPole-v1")
    for episode, together in enumerate(found):
        seen, _info = world.reset(seed=environments.episode_seed(0, "test", episode))
        total, is_over = 0.0, False
        while not is_over:
            action = int(net(torch.from_numpy(seen)[None]).argmax())
            seen, reward, has_ended, is_cut, _info = world.step(action)
            total, is_over = total + reward, has_ended or is_cut
        assert together == total


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gym:CartPole-v9", "CartPole-v1"),
        ("gym:CartPoll-v1", "Did you mean 'CartPole-v1'"),
        ("gym:Pendulum-v1", "a choice of actions is needed"),
        ("gym:FrozenLake-v1", "a vector of numbers is needed"),
        ("CartPole-v1", "write for example gym:CartPole-v1"),
    ],
)
def test_what_cannot_be_played_is_said(name, said):
    pytest.importorskip("gymnasium")
    with pytest.raises(UsageError, match=said):
        environments.open_environment(name)


def test_a_missing_gymnasium_names_its_pip_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnasium", None)
    with pytest.raises(UsageError, match=r"pip install 'gipi\[rl\]'"):
        environments.open_environment(CARTPOLE)


def test_what_is_an_environment():
    assert environments.is_environment(CARTPOLE)
    assert environments.is_environment(Count)
    assert not environments.is_environment("digits")
    assert not environments.is_environment([[1, 2]])
