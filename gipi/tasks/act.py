"""Act: a vector of numbers in, a choice of action out, scored by the rewards that whole episodes bring.

The weights are chosen on validation episodes and reported on test episodes; their seeds are never the same. Episodes
are played side by side: one pass of the network answers for all that are still going on.

B episodes still going on, N numbers in an observation, A actions
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi.data.environments import Environment, episode_seed, opener
from gipi.data.schema import Field, Schema
from gipi.tasks.intervals import Metric, Resample
from gipi.tasks.said import of_actions

default = {"environment": "dqn"}
loss = None  # the system has its own
Source = str | Callable[[], Environment]  # a name, or a function that opens a fresh one


def schema(environment: Environment) -> Schema:
    """Numbers in, one of the actions out: as a table's, so a kept player predicts and serves alike."""
    seen = tuple(Field(f"observation {index}", "number") for index in range(environment.features))
    return Schema(seen, (Field("action", "class", values=tuple(range(environment.actions))),))


def output(schema: Schema) -> int:
    """The worth of each action."""
    return len(schema.targets[0].values)


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "return"


def metrics(returns: np.ndarray, intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """The mean return of these episodes, `(episodes,)`, its interval by bootstrap; and the worst episode's."""
    resample = Resample(len(returns), 1_000 if intervals else 0, seed)
    sums = resample.sums(np.stack([returns, np.ones(len(returns))], 1))
    return {"return": resample.metric(sums, lambda s: s[:, 0] / s[:, 1]), "worst_return": Metric(returns.min())}


def answer(output: Tensor, schema: Schema) -> Tensor:
    """What each action is worth, `(B, A)`: the network says it as it is."""
    return output


def combine(answers: list[Tensor], schema: Schema) -> tuple[Tensor, Tensor | None]:
    """The members' mean worth `(B, A)`, and how far they disagree on the chosen action's `(B,)`."""
    if len(answers) == 1:
        return answers[0], None
    stacked = torch.stack(answers)  # (members, B, A)
    mean = stacked.mean(0)
    return mean, stacked.std(0, unbiased=False).gather(1, mean.argmax(1, keepdim=True))[:, 0]


def decode(answers: Tensor, disagreement: Tensor | None, schema: Schema) -> list[dict[str, Any]]:
    """One answer per row: `{"action", "worth"}`, the worth of each action: the rewards to come that it expects."""
    return of_actions(answers, disagreement, schema)


def evaluate(net: nn.Module, environment: Source, episodes: int, seed: int, part: str = "test") -> np.ndarray:
    """The return of each episode, `(episodes,)`, when the net always takes the action that it finds best.

    Args:
        net: `(B, N) -> (B, A)`.
        environment: A name, or a function that opens a fresh environment.
        episodes: How many.
        seed: With `part`, decides the episodes.
        part: "valid" where weights are chosen, "test" where they are reported; they share no episode.

    Draws no random number of its own, and leaves the net in the mode that it found.
    """
    like = next(net.parameters())

    def best(seen: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(seen).to(like)).argmax(1).cpu().numpy()

    mode = net.training
    net.eval()
    try:
        with torch.no_grad():
            return play(best, environment, [episode_seed(seed, part, episode) for episode in range(episodes)])
    finally:
        net.train(mode)


def evaluate_random(environment: Source, episodes: int, seed: int, part: str = "test") -> np.ndarray:
    """The return of each episode, `(episodes,)`, by chance: what a player must be better than."""
    actions = opener(environment)().actions
    chance = np.random.default_rng(episode_seed(seed, "random", 0))
    seeds = [episode_seed(seed, part, episode) for episode in range(episodes)]
    return play(lambda seen: chance.integers(actions, size=len(seen)), environment, seeds)


def play(choose: Callable[[np.ndarray], np.ndarray], environment: Source, seeds: list[int]) -> np.ndarray:
    """The return of each of these episodes, `(len(seeds),)`; `choose` gives an action `(B,)` for each row `(B, N)`."""
    make = opener(environment)
    worlds = [make() for _seed in seeds]
    returns = np.zeros(len(seeds))
    seen = [world.reset(seed) for world, seed in zip(worlds, seeds, strict=True)]
    going = list(range(len(seeds)))
    while going:
        still = []
        for index, action in zip(going, choose(np.stack([seen[i] for i in going])).tolist(), strict=True):
            seen[index], reward, has_ended, is_cut = worlds[index].step(action)
            returns[index] += reward
            if not (has_ended or is_cut):
                still.append(index)
        going = still
    return returns
