"""Mistakes in a network, a loss or a loop that are there before the first step."""

from collections.abc import Iterator
from typing import Any

import material
import networks
import numpy as np
import torch
from case import Between, Chance, Family, Fitted
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

OWN = {"optimizer": "adamw", "lr": 2e-3, "steps": 300}
SGD = {"optimizer": "momentum", "lr": 0.02, "steps": 300}


def rows_of(chance: Chance, data: str) -> Any:
    """A table, pictures, or a table with a number to be told."""
    if data == "pictures":
        return material.shapes(chance, 400)
    if data == "digits":
        return "digits"
    return material.numbers(chance, 600) if data == "numbers" else material.classes(chance, 600)


def own(chance: Chance, data: str, model: Any, options: dict[str, Any] | None = None, **more: Any) -> Fitted:
    """A network of a person's own on some data."""
    metric = "rmse" if data == "numbers" else "accuracy"
    return Fitted(rows_of(chance, data), {"model": model, **(options or OWN), **more}, metric)


def large_head(chance: Chance, data: str = "table", factor: float = 80.0, bias: float = 0.0) -> Fitted:
    """The last layer begins far too large: the network is sure before it has seen anything."""
    return own(chance, data, networks.changed(networks.plain(), networks.large_head(factor, bias)))


def hopeless(chance: Chance, data: str = "table", kind: str = "noise") -> Fitted:
    """Not even one batch can be learned by heart: noise drowns the signal, or rows are mixed up."""
    if kind == "noise":
        return own(chance, data, networks.of(networks.Noisy))
    return own(chance, data, networks.of(networks.Scrambled))


def blind(chance: Chance, data: str = "table", how: str = "mean") -> Fitted:
    """The answer does not depend on the row."""
    return own(chance, data, networks.of(networks.Blind, how=how))


def softmax_twice(chance: Chance, data: str = "table", kind: str = "own") -> Fitted:
    """The network ends in a softmax, and the loss takes another."""
    if kind == "convolutions":
        return own(chance, "pictures", small_convolutions(nn.Softmax(1)))
    return own(chance, data, networks.plain((32,), "relu", lambda: nn.Softmax(1)))


def small_convolutions(*last: nn.Module) -> Any:
    """Two convolutions, a pooling, a linear layer."""

    def made(sizes: Any) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(sizes.input[0], 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(16, sizes.output),
            *last,
        )

    return made


def misfit(chance: Chance, data: str = "table", kind: str = "nll") -> Fitted:
    """What the network gives is not what the loss wants."""
    if kind == "nll":
        return own(chance, data, networks.plain(), loss=networks.nll_of_scores)
    if kind == "sigmoid":
        return own(chance, data, networks.plain((32, 32), "relu", nn.Sigmoid))
    if kind == "broadcast":
        return own(chance, "numbers", networks.plain(), loss=networks.mse_of_one_column)
    if kind == "relu":  # numbers on both sides of zero, from what is never below
        return own(chance, "numbers", networks.plain((32, 32), "relu", nn.ReLU))
    return own(chance, data, networks.plain((32, 32), "relu", nn.Tanh), loss=networks.nll_of_scores)


def summed(chance: Chance, data: str = "table", lr: float = 0.02, batch_size: int = 64) -> Fitted:
    """The loss is summed over the batch, so a step is as many times too large as the batch has rows."""
    return own(chance, data, networks.plain(), {**SGD, "lr": lr}, loss=networks.summed, batch_size=batch_size)


def shifted(chance: Chance, data: str = "table", by: int = 1) -> Fitted:
    """The answers slipped by some rows against the inputs, as when a header was cut from one file only."""
    x, y = rows_of(chance, data)
    options = {"system": "convnet", "width": 8, "steps": 80} if data == "pictures" else {"system": "mlp", "steps": 300}
    return Fitted((x, np.roll(y, by)), options, "rmse" if data == "numbers" else "accuracy")


def cut(chance: Chance, data: str = "table", kind: str = "detached") -> Fitted:
    """No gradient reaches a part of the network."""
    parts = {"detached": networks.Detached, "stepped": networks.Stepped, "forgotten": networks.Forgotten}
    return own(chance, data, networks.of(parts[kind]))


def frozen(chance: Chance, data: str = "table", kind: str = "requires_grad", width: int = 8) -> Fitted:
    """Layers at random that nobody trains: switched off, or not given to the optimizer."""

    def off(net: nn.Module) -> None:
        for layer in networks.linears(net)[:-1]:
            layer.requires_grad_(False)

    if kind == "requires_grad":
        return own(chance, data, networks.changed(networks.plain((width, width)), off))

    def of_the_last(params: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam([*params][-2:], lr=2e-3)

    return own(chance, data, networks.plain((width, width)), {"steps": 300}, optimizer=of_the_last)


class InOrder(Iterator[tuple[Tensor, ...]]):
    """Batches in the order of the file, which lies class by class: again and again."""

    def __init__(self, x: np.ndarray, y: np.ndarray, rows: int):
        order = np.argsort(y, kind="stable")
        self.x, self.y = torch.from_numpy(x[order]), torch.from_numpy(y[order].astype(np.int64))
        self.rows, self.at = rows, 0

    def __next__(self) -> tuple[Tensor, ...]:
        places = (torch.arange(self.rows) + self.at * self.rows) % len(self.x)
        self.at += 1
        return self.x[places], self.y[places]

    def state_dict(self) -> dict:
        return {"at": self.at}

    def load_state_dict(self, state: dict) -> None:
        self.at = state["at"]


def in_order(chance: Chance, rows: int = 32, count: int = 4) -> Fitted:
    """A stream of a person's own that gives one class after the other."""
    x, y = material.classes(chance, 800, count=count)
    options = {"model": networks.dense(8, (32, 32), count), "loss": cross_entropy, "steps": 300, "lr": 2e-3}
    return Fitted(InOrder(x, y, rows), options, "")


DATA = ("table", "pictures", "digits")
FAMILIES = [
    Family(
        "initial-loss",
        ("initial-loss",),
        large_head,
        ({}, {"data": "digits", "factor": 40.0}, {"data": "numbers", "factor": 1.0, "bias": 30.0}),
        {"data": (*DATA, "numbers"), "factor": Between(30.0, 200.0, log=True)},
        by_code=True,
    ),
    Family(
        "cannot-memorise",
        ("cannot-memorise",),
        hopeless,
        ({"kind": "noise"}, {"kind": "scrambled", "data": "digits"}, {"kind": "noise", "data": "numbers"}),
        {"data": ("table", "digits", "numbers"), "kind": ("noise", "scrambled")},
        by_code=True,
    ),
    Family(
        "input-ignored",
        ("input-ignored",),
        blind,
        ({"how": "mean"}, {"how": "zero", "data": "digits"}, {"how": "norm", "data": "numbers"}),
        {"data": (*DATA, "numbers"), "how": ("mean", "zero", "norm")},
        by_code=True,
    ),
    Family(
        "softmax-twice",
        ("softmax-twice",),
        softmax_twice,
        ({"data": "table"}, {"data": "digits"}, {"kind": "convolutions"}),
        {"data": DATA, "kind": ("own", "convolutions")},
        by_code=True,
    ),
    Family(
        "loss-mismatch",
        ("loss-mismatch",),
        misfit,
        ({"kind": "nll"}, {"kind": "sigmoid", "data": "digits"}, {"kind": "broadcast"}, {"kind": "relu"}),
        {"data": DATA, "kind": ("nll", "sigmoid", "broadcast", "relu", "tanh")},
        by_code=True,
    ),
    Family(
        "loss-summed",
        ("loss-mismatch", "step-too-large", "divergence"),
        summed,
        ({},),
        {"data": ("table", "numbers"), "lr": Between(0.01, 0.1, log=True), "batch_size": (32, 64, 128)},
    ),
    Family(
        "shifted-targets",
        ("shifted-targets",),
        shifted,
        ({}, {"data": "numbers", "by": -1}, {"data": "pictures", "by": 2}),
        {"data": ("table", "numbers", "pictures"), "by": (1, -1, 2, 3)},
        by_code=True,
    ),
    Family(
        "no-gradient",
        ("no-gradient",),
        cut,
        ({}, {"kind": "stepped", "data": "digits"}, {"kind": "forgotten"}),
        {"data": (*DATA, "numbers"), "kind": ("detached", "stepped", "forgotten")},
        by_code=True,
    ),
    Family(
        "frozen-layer",
        ("frozen-layer",),
        frozen,
        ({}, {"kind": "optimizer", "data": "digits"}),
        {"data": (*DATA, "numbers"), "kind": ("requires_grad", "optimizer"), "width": Between(4, 16)},
        by_code=True,
    ),
    Family(
        "not-shuffled",
        ("not-shuffled",),
        in_order,
        ({}, {"rows": 16, "count": 3}),
        {"rows": (16, 32, 50), "count": Between(2, 6)},
        by_code=True,
    ),
]
