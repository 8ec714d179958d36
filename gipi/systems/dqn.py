"""DQN: learn what each action is worth by playing, remember what happened, and learn from the memory.

Mnih et al., "Human-level control through deep reinforcement learning", 2015, https://doi.org/10.1038/nature14236
Ours differs: it sees a vector, not frames, so its layers are dense; the network chooses and its older copy judges
(van Hasselt 2015, Double DQN, https://arxiv.org/abs/1509.06461); Adam; it plays a stretch, then learns a stretch, with
the settings of rl-baselines3-zoo for CartPole; an episode cut short by the clock still has a future.

B batch, N numbers in an observation, A actions
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from gipi.algorithms.optimizers import make
from gipi.data.environments import Environment, episode_seed, fingerprint
from gipi.data.schema import Sizes
from gipi.data.stream import generator
from gipi.messages import _
from gipi.training.player import Player

tasks = ("act",)
kinds = ("environment",)
defaults = {"steps": 25_000, "batch_size": 64}


@dataclass(frozen=True)
class Config:
    hidden: tuple[int, ...] = (256, 256)  # neurons of each hidden layer
    lr: float = 2.3e-3  # step size
    discount: float = 0.99  # what a reward is worth one move later
    memory: int = 100_000  # moves remembered; the oldest are forgotten
    first_moves: int = 1_000  # moves played before the first step
    moves: int = 256  # moves played in a stretch
    batches: int = 128  # steps learned from memory after each stretch
    copy_every: int = 128  # steps after which the judging copy catches up
    explore: float = 1.0  # share of random moves at first
    explore_last: float = 0.04  # share of random moves at last
    explore_moves: int = 8_000  # moves until the share of random moves has fallen


class Net(nn.Module):
    """What each action is worth, and an older copy of the same that judges."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.worth = worth(sizes, config)
        self.judge = worth(sizes, config).requires_grad_(False)
        self.judge.load_state_dict(self.worth.state_dict())

    def forward(self, x: Tensor) -> Tensor:  # (B, N) -> (B, A)
        return self.worth(x)


def worth(sizes: Sizes, config: Config) -> nn.Sequential:
    """`(B, N)` to `(B, A)`; weights as torch draws them, which the settings above were found with."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((*sizes.input, *config.hidden, sizes.output)):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def players(net: Net, config: Config, loss, schedule) -> dict[str, Player]:
    """It wants to be surprised as little as possible by what a move brought and what is then still to come."""

    def surprise(batch: tuple[Tensor, ...]) -> Tensor:
        seen, action, reward, then, ended = batch  # (B, N), (B,), (B,), (B, N), (B,)
        with torch.no_grad():
            choice = net.worth(then).argmax(1, keepdim=True)  # (B, 1)
            future = net.judge(then).gather(1, choice)[:, 0]  # (B,)
            goal = reward + config.discount * (1 - ended) * future
        return smooth_l1_loss(net.worth(seen).gather(1, action[:, None])[:, 0], goal)

    params: list[Tensor] = list(net.worth.parameters())
    return {"player": Player(params, surprise, make("adam", params, schedule(config.lr)))}


def after(net: Net, config: Config) -> Callable[[int], None]:
    """Now and then the judging copy catches up: a goal that moves with every step is never reached."""
    pairs = list(zip(net.judge.parameters(), net.worth.parameters(), strict=True))

    def catch_up(step: int) -> None:
        if (step + 1) % config.copy_every == 0:
            with torch.no_grad():
                for judge, worth in pairs:
                    judge.copy_(worth)

    return catch_up


def exploration(move: int, config: Config) -> float:
    """The share of random moves, a pure function of the moves played so far."""
    return max(
        config.explore_last, config.explore + (config.explore_last - config.explore) * move / config.explore_moves
    )


def stream(environment: Environment, net: Net, config: Config, batch_size: int, seed: int) -> "Experience":
    """Plays as the net is at that moment, and gives batches of what it remembers."""
    return Experience(environment, net, config, batch_size, seed)


class Experience:
    """Batches `(seen, action, reward, then, ended)` of remembered moves, from a stream that acts.

    Its position is (batches given, moves played, episode, actions in this episode), and its chances are functions of
    the seed and of that position; so it goes on where it was cut, by playing the episode's actions again.
    """

    def __init__(self, environment: Environment, net: Net, config: Config, batch_size: int, seed: int):
        self.environment, self.net, self.config, self.batch_size, self.seed = environment, net, config, batch_size, seed
        self.notes: list[str] = []  # what a person should be told
        self.like = next(net.parameters())  # on which device the net is, and how exact
        make = partial(torch.zeros, dtype=self.like.dtype, device=self.like.device)
        self.memory = {
            "seen": make(config.memory, environment.features),
            "action": make(config.memory, dtype=torch.int64),
            "reward": make(config.memory),
            "then": make(config.memory, environment.features),
            "ended": make(config.memory),
        }
        self.given = 0  # batches
        self.moves = 0  # of all episodes
        self.stretch = -1  # the stretch that `batches` belong to
        self.batches: list[tuple[Tensor, ...]] = []
        self.chances = np.empty((0, 2))
        self._begin(0)

    def __next__(self) -> tuple[Tensor, ...]:
        stretch, batch = divmod(self.given, self.config.batches)
        if batch == 0:
            self._play(self.config.moves + (self.config.first_moves if stretch == 0 else 0))
        if stretch != self.stretch:
            self._recall(stretch)
        self.given += 1
        return self.batches[batch]

    def _begin(self, episode: int) -> None:
        self.episode = episode
        self.actions: list[int] = []
        self.observation = self.environment.reset(episode_seed(self.seed, "train", episode))

    def _play(self, moves: int) -> None:
        """Play on, and remember each move; the memory is written once, so a device is not asked for every move."""
        seen, action, reward, then, ended = [], [], [], [], []
        for move in range(self.moves, self.moves + moves):
            chosen = self._choose(move)
            observation, gain, has_ended, is_cut = self.environment.step(chosen)
            seen.append(self.observation)
            action.append(chosen)
            reward.append(gain)
            then.append(observation)
            ended.append(float(has_ended))
            self.observation = observation
            self.actions.append(chosen)
            if has_ended or is_cut:
                self._begin(self.episode + 1)
        self.moves += moves
        kept = min(moves, self.config.memory)
        place = torch.arange(self.moves - kept, self.moves) % self.config.memory
        for held, new in zip(self.memory.values(), (seen, action, reward, then, ended), strict=True):
            held[place.to(held.device)] = torch.as_tensor(np.asarray(new[-kept:])).to(held)

    @torch.no_grad()
    def _choose(self, move: int) -> int:
        block, place = divmod(move, 1_024)
        if place == 0 or len(self.chances) == 0:
            self.chances = torch.rand(1_024, 2, generator=generator(self.seed, "explore", block)).numpy()
        chance, which = self.chances[place]
        if chance < exploration(move, self.config):
            return int(which * self.environment.actions)
        return int(self.net(torch.from_numpy(self.observation).to(self.like)[None]).argmax())

    def _recall(self, stretch: int) -> None:
        """Batches for a whole stretch, drawn from the memory as it stands."""
        shape = (self.config.batches, self.batch_size)
        held = min(self.moves, self.config.memory)
        draws = torch.randint(held, shape, generator=generator(self.seed, "recall", stretch))
        columns = [tensor[draws.to(tensor.device)] for tensor in self.memory.values()]
        self.batches = list(zip(*(column.unbind() for column in columns), strict=True))
        self.stretch = stretch

    def state_dict(self) -> dict:
        return {
            "given": self.given,
            "moves": self.moves,
            "episode": self.episode,
            "actions": list(self.actions),
            "observation": fingerprint(self.observation),
        }

    def load_state_dict(self, state: dict) -> None:
        self.given, self.moves, self.stretch = state["given"], state["moves"], -1
        self.chances = np.empty((0, 2))
        self._begin(state["episode"])
        is_over = False
        for action in state["actions"]:
            self.observation, _reward, has_ended, is_cut = self.environment.step(action)
            self.actions.append(action)
            if is_over := has_ended or is_cut:
                break
        if is_over or fingerprint(self.observation) != state["observation"]:
            self.notes.append(
                _(
                    "continued, not exactly: {name} did not come to the same place when episode {episode} was played "
                    "again, so a new episode begins",
                    name=self.environment.name,
                    episode=state["episode"],
                )
            )
            self._begin(state["episode"] + 1)

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.memory)
