"""Settings that spoil a training: step size, depth, starts, batches, too much and too little."""

import time
from collections.abc import Iterator
from typing import Any

import material
import networks
import numpy as np
import torch
from case import Between, Chance, Family, Fitted
from setup_faults import own, rows_of, small_convolutions
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def fitted(chance: Chance, data: str, **options: Any) -> Fitted:
    """One of gipi's own systems on some data."""
    metric = "rmse" if data == "numbers" else "accuracy"
    return Fitted(rows_of(chance, data), options, metric)


def large_steps(chance: Chance, data: str = "table", optimizer: str = "adamw", lr: float = 0.3) -> Fitted:
    """Steps so large that they jump over what they look for; or out of all numbers."""
    if data == "pictures":
        more = {"system": "convnet", "width": 8, "steps": 100, "schedule": "constant", "averaging": "none"}
    else:
        more = {"system": "mlp", "steps": 400}
    return fitted(chance, data, optimizer=optimizer, lr=lr, **more)


def small_steps(chance: Chance, data: str = "table", optimizer: str = "adamw", lr: float = 1e-6) -> Fitted:
    """Steps so small that nothing happens."""
    if data == "text":
        frame = material.reviews(chance, 400)
        options = {"text": ("text",), "target": ("opinion",), "system": "bow", "epochs": 8}
        return Fitted(frame, {**options, "optimizer": optimizer, "lr": lr})
    if data == "pictures":
        return fitted(chance, data, system="convnet", width=8, steps=100, optimizer=optimizer, lr=lr)
    return fitted(chance, data, system="mlp", steps=400, optimizer=optimizer, lr=lr)


def vanishing(chance: Chance, data: str = "table", kind: str = "sigmoid", depth: int = 10) -> Fitted:
    """Deep, and each layer hands on less of the gradient than it got."""
    if kind == "sigmoid":
        return own(chance, data, networks.plain((32,) * depth, "sigmoid"))
    return own(chance, data, networks.of(networks.Deep, times=depth, gain=0.3))


def exploding(chance: Chance, data: str = "table", depth: int = 12, gain: float = 2.5, act: str = "relu") -> Fitted:
    """Deep, and each layer hands on more of the gradient than it got; a tanh keeps at least what is seen bounded."""
    model = networks.of(networks.Deep, times=depth, gain=gain, act=act)
    lr = 1e-3 if act == "relu" else 0.02  # small enough not to leave the numbers, no smaller
    return own(chance, data, model, {"optimizer": "sgd", "lr": lr, "steps": 300})


def dead(chance: Chance, data: str = "table", kind: str = "start", by: float = 6.0) -> Fitted:
    """Relus that are zero for every row, and so never learn again."""
    if kind == "start":
        return own(chance, data, networks.changed(networks.plain((64, 32)), networks.negative_biases(by)))

    def change(net: nn.Module) -> None:
        first = next(part for part in net.modules() if isinstance(part, nn.Conv2d))
        first.bias[:] -= by  # type: ignore[index]

    return own(chance, "pictures", networks.changed(small_convolutions(), change), lr=2e-3, steps=120)


def saturated(chance: Chance, data: str = "table", act: str = "tanh", gain: float = 30.0) -> Fitted:
    """Weights so large that a tanh or sigmoid lies at its flat ends from the start."""
    return own(chance, data, networks.plain((32, 32), act, gain=gain))


def still(chance: Chance, kind: str = "parity", bits: int = 8) -> Fitted:
    """The loss stands still for nearly all of the run."""
    if kind == "parity":  # each bit alone says nothing of the answer
        x = chance.normal(size=(600, 20))
        x += np.sign(x)
        y = (x[:, :bits].prod(1) > 0).astype(int)
        options = {"optimizer": "sgd", "lr": 0.02, "steps": 400, "hidden": (32,), "dropout": 0.0, "patience": 0}
        return Fitted((x.astype(np.float32), y), {"system": "mlp", **options})
    if kind == "alike":  # all units of a layer begin the same, and stay so
        return own(chance, "digits", networks.changed(networks.plain((32, 32)), networks.alike), patience=0)
    x, y = material.numbers(chance, 400, 4, r2=0.5)  # learned after a tenth of the time, then nothing for the rest
    return Fitted((x, y), {"system": "mlp", "hidden": (8,), "steps": 2500, "patience": 0, "weight_decay": 0.1}, "rmse")


def by_heart(chance: Chance, data: str = "table", rows: int = 150, noise: float = 0.4) -> Fitted:
    """A large network, few rows with wrong labels among them, and time enough to learn them by heart."""
    options = {"hidden": (256, 256), "dropout": 0.0, "weight_decay": 0.0, "patience": 0, "steps": 800}
    if data == "numbers":
        return Fitted(material.numbers(chance, rows, 10, r2=1 - noise), {"system": "mlp", **options}, "rmse")
    if data == "text":
        frame = material.reviews(chance, rows, noise=noise)
        more = {"steps": 300, "patience": 0, "dropout": 0.0, "word_dropout": 0.0, "weight_decay": 0.0, "lr": 0.01}
        return Fitted(frame, {"text": ("text",), "target": ("opinion",), "system": "bow", **more})
    return Fitted(material.classes(chance, rows, 10, noise=noise), {"system": "mlp", **options})


def too_little(chance: Chance, data: str = "digits", kind: str = "narrow") -> Fitted:
    """A model that cannot, or may not, learn what is there to be learned."""
    if kind == "narrow":
        return fitted(chance, data, system="mlp", hidden=(1,), dropout=0.0, steps=600)
    if kind == "decay":
        return fitted(chance, data, system="mlp", weight_decay=100.0, steps=500)
    x = chance.uniform(-3, 3, (800, 2))  # a wave, and a line to follow it
    y = np.sin(3 * x[:, 0]) * np.cos(2 * x[:, 1])
    return Fitted((x.astype(np.float32), y.astype(np.float32)), {"system": "linear"}, "rmse")


def much_dropout(chance: Chance, data: str = "digits", dropout: float = 0.9) -> Fitted:
    """So many units are switched off at each step that hardly anything arrives."""
    return fitted(chance, data, system="mlp", hidden=(16, 16), dropout=dropout, steps=500)


def beside_the_point(chance: Chance, data: str = "table", share: float = 0.001) -> Fitted:
    """The loss falls, and what is wanted does not get better: it measures something else."""
    return own(chance, data, networks.plain(), loss=networks.calming(share))


def next_class(chance: Chance, data: str = "digits") -> Fitted:
    """Each class is taught as the next one: counted from one where it should be from zero."""
    return own(chance, data, networks.plain(), loss=networks.next_class)


def noisy(
    chance: Chance, data: str = "table", batch_size: int = 1, lr: float = 0.02, optimizer: str = "momentum"
) -> Fitted:
    """Single rows with noisy answers: each step goes somewhere else. With batches of 64 the same settings do well."""
    x, y = material.numbers(chance, 500, r2=0.4) if data == "numbers" else material.classes(chance, 500, noise=0.4)
    options = {"batch_size": batch_size, "optimizer": optimizer, "lr": lr, "steps": 1200, "dropout": 0.0}
    return Fitted((x, y), {"system": "mlp", **options}, "rmse" if data == "numbers" else "accuracy")


def norm_of_few(chance: Chance, data: str = "table", batch_size: int = 2) -> Fitted:
    """Batch normalisation by the mean and spread of two rows."""
    if data == "pictures":
        return fitted(chance, data, system="convnet", width=8, batch_size=batch_size, steps=250)
    return fitted(chance, data, system="mlp", norm="batch", batch_size=batch_size, steps=600)


def not_a_number(chance: Chance, kind: str = "logarithm") -> Fitted:
    """The loss leaves the numbers: the logarithm of what has none, a step beyond all bounds."""
    if kind == "logarithm":
        return own(chance, "numbers", networks.plain(), loss=networks.logarithmic_error)
    data = "numbers" if kind == "numbers" else "table"
    return fitted(chance, data, system="mlp", optimizer="sgd", lr=1e4, steps=200)


class Slow(Iterator[tuple[Tensor, ...]]):
    """A stream that takes its time for each batch, as a slow disk or decoding does."""

    def __init__(self, x: np.ndarray, y: np.ndarray, seconds: float, seed: int):
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
        self.seconds, self.generator = seconds, torch.Generator().manual_seed(seed)

    def __next__(self) -> tuple[Tensor, ...]:
        time.sleep(self.seconds)
        places = torch.randint(len(self.x), (32,), generator=self.generator)
        return self.x[places], self.y[places]


def waiting(chance: Chance, seconds: float = 0.01, steps: int = 120) -> Fitted:
    """The arithmetic waits for its batches."""
    x, y = material.classes(chance, 800)
    stream = Slow(x, y, seconds, int(chance.integers(1000)))
    options = {"model": networks.dense(8, (32, 32), 3), "loss": cross_entropy, "steps": steps, "lr": 2e-3}
    return Fitted(stream, options, "")


FAMILIES = [
    Family(
        "step-too-large",
        ("step-too-large", "divergence"),
        large_steps,
        (
            {"lr": 0.5},
            {"data": "digits", "optimizer": "momentum", "lr": 3.0},
            {"data": "numbers", "lr": 0.3},
            {"data": "pictures", "lr": 0.5},
        ),
        {
            "data": ("table", "digits", "numbers", "pictures"),
            "optimizer": ("adamw", "adam", "rmsprop"),
            "lr": Between(0.2, 2.0, log=True),
        },
    ),
    Family(
        "step-too-small",
        ("step-too-small",),
        small_steps,
        (
            {"lr": 1e-6},
            {"data": "digits", "optimizer": "sgd", "lr": 1e-4},
            {"data": "pictures", "lr": 1e-6},
            {"data": "text", "lr": 1e-7},
        ),
        {"data": ("table", "digits", "numbers", "pictures", "text"), "lr": Between(1e-7, 3e-6, log=True)},
    ),
    Family(
        "vanishing-gradient",
        ("vanishing-gradient",),
        vanishing,
        ({}, {"data": "digits", "kind": "small", "depth": 14}),
        {"data": ("table", "digits", "numbers"), "kind": ("sigmoid", "small"), "depth": Between(9, 16)},
        by_code=True,
    ),
    Family(
        "exploding-gradient",
        ("exploding-gradient",),
        exploding,
        ({}, {"data": "digits", "depth": 20, "gain": 2.2}, {"act": "tanh", "depth": 20, "gain": 3.0}),
        {
            "data": ("table", "digits", "numbers"),
            "depth": Between(14, 20),
            "gain": Between(2.4, 3.0),
            "act": ("relu", "tanh"),
        },
        by_code=True,
    ),
    Family(
        "dead-units",
        ("dead-units",),
        dead,
        ({}, {"data": "digits", "by": 10.0}, {"kind": "convolutions"}),
        {"data": ("table", "digits", "numbers"), "kind": ("start", "convolutions"), "by": Between(4.0, 20.0)},
        by_code=True,
    ),
    Family(
        "saturated-units",
        ("saturated-units",),
        saturated,
        ({}, {"data": "digits", "act": "sigmoid", "gain": 60.0}),
        {"data": ("table", "digits", "numbers"), "act": ("tanh", "sigmoid"), "gain": Between(30.0, 150.0, log=True)},
        by_code=True,
    ),
    Family(
        "plateau",
        ("plateau",),
        still,
        ({"kind": "parity"}, {"kind": "alike"}, {"kind": "long"}),
        {"kind": ("parity", "alike", "long"), "bits": Between(5, 9)},
    ),
    Family(
        "overfitting",
        ("overfitting",),
        by_heart,
        ({}, {"data": "numbers"}, {"data": "text"}),
        {"data": ("table", "numbers", "text"), "rows": Between(100, 250), "noise": Between(0.3, 0.6)},
    ),
    Family(
        "underfitting",
        ("underfitting",),
        too_little,
        ({"kind": "narrow"}, {"kind": "decay", "data": "table"}, {"kind": "line"}),
        {"data": ("digits", "table"), "kind": ("narrow", "decay", "line")},
    ),
    Family(
        "much-dropout",
        ("underfitting", "cannot-memorise"),  # what is switched off is missing for one batch as it is for all
        much_dropout,
        ({}, {"data": "numbers", "dropout": 0.95}),
        {"data": ("digits", "table", "numbers"), "dropout": Between(0.88, 0.97)},
    ),
    Family(
        "loss-without-metric",
        ("loss-without-metric", "loss-mismatch"),
        beside_the_point,
        ({}, {"data": "digits", "share": 3e-4}),
        {"data": ("table", "digits", "pictures"), "share": Between(1e-4, 2e-3, log=True)},
        by_code=True,
    ),
    Family(
        "next-class",
        ("loss-without-metric", "loss-mismatch", "shifted-targets"),  # the numbers of classes are shifted by one
        next_class,
        ({},),
        {"data": ("table", "digits", "pictures")},
        by_code=True,
    ),
    Family(
        "noisy-gradient",
        ("noisy-gradient", "step-too-large"),  # the noise of SGD goes by step size over batch size (Smith et al. 2018)
        noisy,
        ({}, {"data": "numbers", "batch_size": 1, "lr": 0.01, "optimizer": "adamw"}),
        {"batch_size": (1, 2), "lr": Between(0.01, 0.03, log=True)},
    ),
    Family(
        "small-batch-norm",
        ("small-batch-norm",),
        norm_of_few,
        ({}, {"data": "pictures"}),
        {"data": ("table", "digits", "pictures"), "batch_size": (2, 3)},
    ),
    Family(
        "divergence",
        ("divergence", "step-too-large"),
        not_a_number,
        ({"kind": "table"}, {"kind": "numbers"}),
        {"kind": ("table", "numbers")},
    ),
    Family(
        "divergence-of-a-loss",
        ("divergence", "loss-mismatch"),
        not_a_number,
        ({"kind": "logarithm"},),
        {"kind": ("logarithm",)},
        by_code=True,
    ),
    Family(
        "starved-device",
        ("starved-device",),
        waiting,
        ({}, {"seconds": 0.02, "steps": 60}),
        {"seconds": Between(0.006, 0.03), "steps": Between(60, 120)},
        by_code=True,
    ),
]
