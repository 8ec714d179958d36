"""A person's own module as a system: it learns like any other, and the optimizer's options are its Config."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

from torch import nn

from gipi.algorithms.optimizers import from_config
from gipi.release.own import own_net
from gipi.training.player import learner


@dataclass(frozen=True)
class Config:
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 1e-3  # step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


def players(net: nn.Module, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""
    return learner(net, loss, from_config(config, schedule))


def own_system(model: Any) -> Any:
    """The system of a module, which is copied for each member, or of a function `sizes -> module`.

    Categories reach it one-hot; what it gives is what the task wants of a network: a score for each class, a number for
    each target.
    """

    return SimpleNamespace(
        tasks=("classify", "regress", "segment", "upscale", "stream"),
        kinds=("table", "picture", "stream"),
        defaults={"epochs": 50, "batch_size": 32, "patience": 20},
        Config=Config,
        Net=lambda sizes, config: own_net(model, sizes),
        players=players,
    )
