"""What goes wrong in games, in worlds and in writing: a GAN, DQN, language models."""

from types import ModuleType, SimpleNamespace
from typing import Any

import material
import torch
from case import Between, Chance, Family, Fitted
from torch import Tensor, nn
from torch.nn.functional import softplus

from gipi.algorithms.optimizers import make
from gipi.data.corpus import Corpus
from gipi.systems import gan, gpt, lstm
from gipi.training.player import Player


def indifferent(share: float) -> type[gan.Forger]:
    """A forger that makes next to nothing of its noise: `share` of it reaches the picture."""

    class Indifferent(gan.Forger):
        def forward(self, z: Tensor) -> Tensor:
            h: Tensor = torch.ones_like(z) + share * z
            for layer in self.seed:
                if not isinstance(layer, nn.BatchNorm2d):  # it would make the noise as large as before
                    h = layer(h)
            return self.grow(h)[:, :, : self.height, : self.width]

    return Indifferent


def game(forger_lr: float = 1.0, inspector_lr: float = 1.0, every: int = 1, forger: type = gan.Forger) -> Any:
    """gipi's GAN with one of its two players held back; step sizes are factors of its own."""

    class Net(gan.Net):
        def __init__(self, sizes: Any, config: Any):
            super().__init__(sizes, config)
            if forger is not gan.Forger:
                self.forger = forger(sizes.input, config)
                self.artist = forger(sizes.input, config).requires_grad_(False)
                self.artist.load_state_dict(self.forger.state_dict())

    def players(net: Any, config: Any, loss: Any, schedule: Any) -> dict[str, Player]:
        def forge(real: Tensor) -> Tensor:
            return net.forger(torch.randn(len(real), config.latent))

        def inspect(batch: tuple[Tensor, ...]) -> Tensor:
            fake = forge(batch[0]).detach()
            return softplus(-net.inspector(batch[0])).mean() + softplus(net.inspector(fake)).mean()

        def deceive(batch: tuple[Tensor, ...]) -> Tensor:
            return softplus(-net.inspector(forge(batch[0]))).mean()

        def player(part: nn.Module, objective: Any, factor: float, every: int) -> Player:
            params: list[Tensor] = list(part.parameters())
            optimizer = make("rmsprop", params, schedule(config.lr * factor))
            return Player(params, objective, optimizer, every, splittable=False)

        return {
            "inspector": player(net.inspector, inspect, inspector_lr, every),
            "forger": player(net.forger, deceive, forger_lr, 1),
        }

    kept = {name: getattr(gan, name) for name in ("tasks", "kinds", "defaults", "Config", "after")}
    return SimpleNamespace(__name__="game", **kept, Net=Net, players=players)


def pictures_of(chance: Chance, data: str) -> Any:
    if data == "digits":
        return "digits"
    return material.shapes(chance, 400, side=8 if data == "small" else 12, noise=0.05)[0]


def collapsed(chance: Chance, data: str = "digits", kind: str = "indifferent", share: float = 0.0) -> Fitted:
    """The forger makes one and the same picture, whatever its noise is."""
    system = (
        game(forger=indifferent(share)) if kind == "indifferent" else game(forger_lr=8.0, inspector_lr=0.5, every=10)
    )
    return Fitted(
        pictures_of(chance, data), {"task": "generate", "system": system, "width": 8, "steps": 150}, "frechet"
    )


def outplayed(chance: Chance, data: str = "digits", factor: float = 1e-4, inspector: float = 2.0) -> Fitted:
    """The inspector learns and the forger hardly does: it is always right, and so teaches nothing."""
    system = game(forger_lr=factor, inspector_lr=inspector)
    return Fitted(
        pictures_of(chance, data), {"task": "generate", "system": system, "width": 8, "steps": 200}, "frechet"
    )


def unadventurous(chance: Chance, first: float = 0.0, last: float = 0.0, moves: int = 1) -> Fitted:
    """It always does what it thinks best, from the first move on, and never finds out what else there is."""
    options = {"explore": first, "explore_last": last, "explore_moves": moves, "steps": 400, "hidden": (64, 64)}
    return Fitted("gym:CartPole-v1", {**options, "first_moves": 200, "moves": 128, "batches": 64}, "return")


def parrot(base: ModuleType) -> Any:
    """A language model of gipi's that is taught to say what it was just shown: the shift by one was forgotten."""

    def players(net: Any, config: Any, loss: Any, schedule: Any) -> dict[str, Player]:
        made = base.players(net, config, loss, schedule)
        learner = made["learner"]
        right = learner.objective
        learner.objective = lambda batch: right((batch[0], batch[0]))
        return made

    kept = {name: getattr(base, name) for name in ("tasks", "kinds", "defaults", "Config", "Net")}
    return SimpleNamespace(__name__="parrot", **kept, players=players)


def circling(chance: Chance, kind: str = "parrot", context: int = 32) -> Fitted:
    """What it writes goes round in circles: it repeats its last letter, or it sees too little of what it wrote."""
    corpus = Corpus("prose", [material.prose(chance, 5_000)], True)
    options = {"task": "write", "context": context}
    if kind == "recurrent":
        return Fitted(corpus, {**options, "system": parrot(lstm), "width": 48, "steps": 250}, "")
    system = parrot(gpt) if kind == "parrot" else "gpt"
    return Fitted(
        corpus, {**options, "size": "mini", "steps": 150, "system": system}, "" if kind == "parrot" else "loss"
    )


def repeated_line(chance: Chance, system: str = "gpt", kind: str = "line", share: float = 0.8) -> Fitted:
    """The same line again and again fills the text, of training and of test alike, and so what is written."""
    text = material.prose(chance, 2_500)
    line = "All work and no play makes Jack a dull boy.\n" if kind == "line" else "=" * 60 + "\n"
    pieces = [text[start : start + 200] for start in range(0, len(text), 200)]
    times = int(share / (1 - share) * 200 / len(line))
    whole = "\n".join(piece + "\n" + line * times for piece in pieces)
    some = {"size": "mini"} if system == "gpt" else {"width": 64}
    options = {"task": "write", "system": system, "steps": 120, "context": 32, **some}
    return Fitted(Corpus("prose", [whole], True), options, "")


FAMILIES = [
    Family(
        "mode-collapse",
        ("mode-collapse",),
        collapsed,
        ({}, {"data": "small"}, {"data": "pictures", "share": 0.01}),
        {"data": ("digits", "small", "pictures"), "share": Between(0.0, 0.02)},
        by_code=True,
    ),
    Family(
        "inspector-wins",
        ("inspector-wins",),
        outplayed,
        ({}, {"data": "pictures", "factor": 1e-3, "inspector": 1.0}),
        {
            "data": ("digits", "small", "pictures"),
            "factor": Between(1e-5, 1e-3, log=True),
            "inspector": Between(1.0, 3.0),
        },
        by_code=True,
    ),
    Family(
        "no-exploration",
        ("no-exploration",),
        unadventurous,
        ({}, {"first": 0.02, "last": 0.0, "moves": 50}),
        {"first": Between(0.0, 0.02), "moves": Between(1, 60)},
    ),
    Family(
        "repetition",
        ("repetition",),
        circling,
        ({}, {"kind": "recurrent"}, {"kind": "short", "context": 4}),
        {"kind": ("parrot", "recurrent"), "context": Between(24, 48)},
    ),
    Family(
        "repeated-line",
        ("duplicate-rows", "repetition"),  # the copies of the data, and what is learned of them
        repeated_line,
        ({"kind": "rule"}, {"system": "lstm", "kind": "line", "share": 0.9}),
        {"system": ("gpt", "lstm"), "kind": ("line", "rule"), "share": Between(0.75, 0.95)},
    ),
]
