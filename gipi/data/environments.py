"""Worlds to act in: episodes of observations, actions and rewards, each one played again exactly from its seed.

`gym:CartPole-v1` names an environment of gymnasium (https://gymnasium.farama.org) that shows a vector of numbers and
offers a countable choice of actions. Another world is any object with the methods of `Environment`.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

from gipi.data.stream import generator
from gipi.errors import UsageError, nearest
from gipi.messages import _

PREFIX = "gym:"
PARTS = ("train", "valid", "test", "random")


class Environment(Protocol):
    """A world: it shows `features` numbers and offers `actions` actions, 0, 1, ..."""

    name: str
    features: int
    actions: int

    def reset(self, seed: int) -> np.ndarray: ...  # the first observation of the episode with this seed, (features,)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]: ...  # observation, reward, ended, cut short


def episode_seed(seed: int, part: str, episode: int) -> int:
    """The seed of an episode; parts never share one, so nothing is reported on episodes that chose the weights."""
    digest = generator(seed, "episode", part, episode).initial_seed()
    return (digest % 2**29) * len(PARTS) + PARTS.index(part)  # below 2**31, what every environment takes


def fingerprint(observation: np.ndarray) -> str:
    """A hash of exactly these numbers: whether an episode that is played again has come to the same place."""
    return hashlib.sha256(np.ascontiguousarray(observation).tobytes()).hexdigest()[:16]


def is_environment(source: Any) -> bool:
    """Whether this names an environment, `gym:CartPole-v1`, or is a function (or class) that opens one of one's own."""
    return source.startswith(PREFIX) if isinstance(source, str) else callable(source)


def opener(source: "str | Callable[[], Environment]") -> Callable[[], Environment]:
    """A function that opens the environment afresh: several are needed to play several episodes at once."""
    return partial(open_environment, source) if isinstance(source, str) else source


def open_environment(name: str) -> Environment:
    """The environment of this name.

    Raises:
        UsageError: There is none of this name, gymnasium is not installed, or it cannot be played with a vector of
            numbers and a choice of actions.

    Example:
        >>> world = open_environment("gym:CartPole-v1")
        >>> world.features, world.actions
        (4, 2)
    """
    if not name.startswith(PREFIX):
        raise UsageError(
            _("'{name}' is not an environment; write for example {example}", name=name, example="gym:CartPole-v1")
        )
    return Gymnasium(name)


class Gymnasium:
    """An environment of gymnasium with a vector to see and a choice of actions."""

    def __init__(self, name: str):
        try:
            import gymnasium
        except Exception as problem:  # a broken installation raises anything
            advice = "pip install 'gipi[rl]'"
            raise UsageError(
                _("{name} needs gymnasium ({problem}); type: {advice}", name=name, problem=problem, advice=advice)
            ) from problem
        known = name.removeprefix(PREFIX)
        try:
            self.world = gymnasium.make(known, disable_env_checker=True)
        except gymnasium.error.UnregisteredEnv as problem:
            hint = nearest(known, list(gymnasium.registry))
            raise UsageError(_("gymnasium has no environment '{name}'.", name=known) + hint) from problem
        except gymnasium.error.Error as problem:  # a part that this environment needs is not installed, and the like
            raise UsageError(_("{name} cannot be opened: {problem}", name=name, problem=problem)) from problem
        seen, offered = self.world.observation_space, self.world.action_space
        if not isinstance(seen, gymnasium.spaces.Box) or len(seen.shape) != 1:
            raise UsageError(_("{name} shows {seen}; a vector of numbers is needed", name=name, seen=seen))
        if not isinstance(offered, gymnasium.spaces.Discrete):
            raise UsageError(_("{name} wants {offered}; a choice of actions is needed", name=name, offered=offered))
        self.name = name
        self.features = seen.shape[0]
        self.actions = int(offered.n)
        self.first = int(offered.start)  # some environments count their actions from 1 or -1
        spec = self.world.spec
        self.threshold = spec.reward_threshold if spec else None  # the mean return at which it counts as solved

    def reset(self, seed: int) -> np.ndarray:
        return np.asarray(self.world.reset(seed=seed)[0], np.float32)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        observation, reward, ended, cut, _info = self.world.step(self.first + action)
        return np.asarray(observation, np.float32), float(reward), bool(ended), bool(cut)
