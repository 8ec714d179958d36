"""Training loops that people write in plain PyTorch, watched by two lines: broken ones and sound ones."""

import time
from collections.abc import Iterator
from typing import Any

import material
import networks
import numpy as np
import torch
from case import Between, Chance, Family, Looped
from own_loops import Batch, Loop, Rows, adam, after, dense, loader, loop, net_of, sgd, split
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, nll_loss, softplus

import gipi

# --- broken ------------------------------------------------------------------------------------------------------


def two_softmaxes(chance: Chance, data: str = "table") -> Looped:
    return loop(chance, data, dense(data, (32,), "relu", nn.Softmax(1)))


def scores_as_logarithms(chance: Chance, data: str = "table") -> Looped:
    return loop(chance, data, dense(data), loss=nll_loss)


def cut_off(chance: Chance, data: str = "table", kind: str = "detached") -> Looped:
    part = networks.Detached if kind == "detached" else networks.Forgotten
    return loop(chance, data, lambda: nn.Sequential(nn.Flatten(), part(*net_of(data))))


def left_out(chance: Chance, data: str = "table", kind: str = "optimizer") -> Looped:
    """The first layers, as they were drawn, are not given to the optimizer."""

    def of_the_last(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam([*model.parameters()][-2:], lr=2e-3)

    def off(net: nn.Module) -> None:
        networks.linears(net)[0].requires_grad_(False)

    if kind == "optimizer":
        return loop(chance, data, dense(data), optimizer=of_the_last)
    return loop(chance, data, after(dense(data), off))


def sorted_rows(chance: Chance, data: str = "table", batch: int = 32) -> Looped:
    return loop(chance, data, dense(data), rows=loader(chance, data, shuffle=False, batch=batch))


def steps_of(chance: Chance, data: str = "table", lr: float = 0.5, optimizer: str = "adam") -> Looped:
    return loop(chance, data, dense(data), optimizer=adam(lr) if optimizer == "adam" else sgd(lr))


def negative(chance: Chance, data: str = "table", by: float = 8.0) -> Looped:
    return loop(chance, data, after(dense(data), networks.negative_biases(by)))


def flat_ends(chance: Chance, data: str = "table", act: str = "tanh", gain: float = 40.0) -> Looped:
    return loop(chance, data, dense(data, (32, 32), act, gain=gain))


def too_deep(chance: Chance, data: str = "table", depth: int = 10, gain: float = 0.3, act: str = "tanh") -> Looped:
    inputs, outputs = net_of(data)

    def made() -> nn.Module:
        return nn.Sequential(nn.Flatten(), networks.Deep(inputs, outputs, depth, gain, act))

    return loop(chance, data, made, optimizer=sgd(1e-3, 0.0) if gain > 1 else adam())


def blind(chance: Chance, data: str = "table", how: str = "mean") -> Looped:
    return loop(chance, data, lambda: nn.Sequential(nn.Flatten(), networks.Blind(*net_of(data), how=how)))


def sure_at_once(chance: Chance, data: str = "table", factor: float = 100.0) -> Looped:
    return loop(chance, data, after(dense(data), networks.large_head(factor)))


def raw(chance: Chance, factor: float = 5e3) -> Looped:
    """Columns as they came, some of them thousands of times larger."""
    x, y = material.classes(chance, 600)
    x[:, ::3] *= factor
    return loop(chance, "table", dense("table"), rows=split(x, y))


def slow_loader(chance: Chance, seconds: float = 0.01) -> Looped:
    given = loader(chance)

    def slowly() -> Iterator[Batch]:
        for batch in given.batches():
            time.sleep(seconds)
            yield batch

    return loop(chance, "table", dense("table"), rows=Rows(slowly, given.valid), epochs=6)


def falls_too_soon(chance: Chance, data: str = "table", decay: float = 0.9) -> Looped:
    """A schedule that is meant for epochs is asked after each batch: the step size is gone before much is learned."""
    return loop(chance, data, dense(data), decay=decay)


def next_letters(chance: Chance, ahead: int) -> tuple[Rows, int]:
    """Windows of a text and the letters that stand `ahead` places later; how many letters there are."""
    text = material.prose(chance, 12_000)
    letters = sorted(set(text))
    ids = np.array([letters.index(letter) for letter in text])
    starts = chance.integers(0, len(ids) - 40, 400)
    windows = starts[:, None] + np.arange(24)
    return split(ids[windows], ids[windows + ahead], 16), len(letters)


class Letters(nn.Module):
    """A small recurrent language model."""

    def __init__(self, vocabulary: int, width: int = 48):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(self.embedding(x))[0])


def flat_entropy(output: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(output.flatten(0, 1), y.flatten())


def same_letter(chance: Chance) -> Looped:
    """The shift by one was forgotten: the model is taught to say what it is shown."""
    rows, count = next_letters(chance, 0)
    return Looped(Loop(lambda: Letters(count), rows, adam(), flat_entropy, epochs=8).play)


# --- sound -------------------------------------------------------------------------------------------------------


def sound_table(chance: Chance, noise: float = 0.05, act: str = "relu", lr: float = 2e-3) -> Looped:
    return loop(chance, "table", dense("table", act=act), optimizer=adam(lr), rows=loader(chance, "table", noise=noise))


def sound_pictures(chance: Chance) -> Looped:
    def made() -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 4)),
        )

    return loop(chance, "pictures", made, optimizer=sgd(0.05), epochs=8)


def sound_logarithms(chance: Chance) -> Looped:
    """`log_softmax` at the end, and the loss that wants it."""
    return loop(chance, "table", dense("table", (32,), "relu", nn.LogSoftmax(1)), loss=nll_loss)


def sound_letters(chance: Chance) -> Looped:
    rows, count = next_letters(chance, 1)
    return Looped(Loop(lambda: Letters(count), rows, adam(5e-3), flat_entropy, epochs=8).play)


def sound_numbers(chance: Chance) -> Looped:
    return loop(chance, "numbers", dense("numbers"), optimizer=sgd(0.02))


def sound_yes_or_no(chance: Chance) -> Looped:
    """One sigmoid and binary cross-entropy."""
    x, y = material.classes(chance, 600, count=2)
    rows = split(x, y.astype(np.float32)[:, None])
    return Looped(Loop(dense("numbers", (32,), "relu", nn.Sigmoid()), rows, adam(), binary_cross_entropy).play)


def sound_transfer(chance: Chance) -> Looped:
    """A body that was trained before on rows of this kind, on purpose left as it is, and a new head."""
    rows = loader(chance, "table")

    def made() -> nn.Module:
        net = networks.dense(8, (32, 32), 3)
        optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
        for _epoch in range(8):
            for x, y in rows.batches():
                optimizer.zero_grad()
                cross_entropy(net(x), y).backward()
                optimizer.step()
        *body, head = networks.linears(net)
        head.reset_parameters()
        for layer in body:
            layer.requires_grad_(False)
        return net

    return loop(chance, "table", made, rows=rows)


def sound_game(chance: Chance) -> Looped:
    """A GAN by hand: points on a ring, two networks, two optimizers."""

    def play() -> Any:
        forger, inspector = networks.dense(4, (32, 32), 2), networks.dense(2, (32, 32), 1)
        forge = torch.optim.Adam(forger.parameters(), lr=1e-3, betas=(0.5, 0.9))
        inspect = torch.optim.Adam(inspector.parameters(), lr=1e-3, betas=(0.5, 0.9))
        doctor = gipi.doctor.watch([forger, inspector], [forge, inspect])
        angle = torch.from_numpy(chance.uniform(0, 6.28, 2000).astype(np.float32))
        ring = torch.stack([angle.cos(), angle.sin()], 1)
        for step in range(300):
            real = ring[(step * 64 + torch.arange(64)) % 2000]
            fake = forger(torch.randn(64, 4))
            inspect.zero_grad()
            told = softplus(-inspector(real)).mean() + softplus(inspector(fake.detach())).mean()
            told.backward()
            inspect.step()
            forge.zero_grad()
            deceived = softplus(-inspector(fake)).mean()
            deceived.backward()
            forge.step()
            doctor.loss(told, "inspector")
            doctor.loss(deceived, "forger")
        return doctor.findings()

    return Looped(play)


def sound_accumulation(chance: Chance) -> Looped:
    """Gradients of four small batches together make a step."""
    given = loader(chance, "table", batch=8)

    def play() -> Any:
        net = networks.dense(8, (32, 32), 3)
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
        doctor = gipi.doctor.watch(net, optimizer)
        for _epoch in range(10):
            for number, (x, y) in enumerate(given.batches()):
                loss = doctor.loss(cross_entropy(net(x), y))
                (loss / 4).backward()
                if number % 4 == 3:
                    optimizer.step()
                    optimizer.zero_grad()
        return doctor.findings()

    return Looped(play)


DATA = ("table", "pictures")
FAMILIES = [
    Family("loop-softmax-twice", ("softmax-twice",), two_softmaxes, ({},), {"data": DATA}),
    Family("loop-loss-mismatch", ("loss-mismatch",), scores_as_logarithms, ({},), {"data": DATA}),
    Family(
        "loop-no-gradient",
        ("no-gradient",),
        cut_off,
        ({}, {"kind": "forgotten"}),
        {"data": (*DATA, "numbers"), "kind": ("detached", "forgotten")},
    ),
    Family(
        "loop-frozen-layer",
        ("frozen-layer",),
        left_out,
        ({}, {"kind": "off", "data": "pictures"}),
        {"data": (*DATA, "numbers"), "kind": ("optimizer", "off")},
    ),
    Family("loop-not-shuffled", ("not-shuffled",), sorted_rows, ({},), {"data": DATA, "batch": (16, 32, 64)}),
    Family(
        "loop-step-too-large",
        ("step-too-large", "divergence"),
        steps_of,
        ({"lr": 0.5}, {"lr": 5.0, "optimizer": "sgd", "data": "pictures"}),
        {"data": (*DATA, "numbers"), "lr": Between(0.3, 3.0, log=True)},
    ),
    Family(
        "loop-step-too-small",
        ("step-too-small",),
        steps_of,
        ({"lr": 1e-6},),
        {"data": (*DATA, "numbers"), "lr": Between(1e-7, 2e-6, log=True)},
    ),
    Family(
        "loop-dead-units",
        ("dead-units",),
        negative,
        ({},),
        {"data": (*DATA, "numbers"), "by": Between(4.0, 20.0)},
    ),
    Family(
        "loop-saturated-units",
        ("saturated-units",),
        flat_ends,
        ({},),
        {"data": (*DATA, "numbers"), "act": ("tanh", "sigmoid"), "gain": Between(30.0, 150.0, log=True)},
    ),
    Family(
        "loop-vanishing-gradient",
        ("vanishing-gradient",),
        too_deep,
        ({},),
        {"data": (*DATA, "numbers"), "depth": Between(9, 16), "gain": Between(0.2, 0.35)},
    ),
    Family(
        "loop-exploding-gradient",
        ("exploding-gradient",),
        too_deep,
        ({"depth": 14, "gain": 2.5, "act": "relu"},),
        {"data": (*DATA, "numbers"), "depth": Between(10, 20), "gain": Between(2.2, 3.0), "act": ("relu",)},
    ),
    Family(
        "loop-input-ignored", ("input-ignored",), blind, ({},), {"data": (*DATA, "numbers"), "how": ("mean", "zero")}
    ),
    Family(
        "loop-initial-loss",
        ("initial-loss",),
        sure_at_once,
        ({},),
        {"data": DATA, "factor": Between(50.0, 200.0, log=True)},
    ),
    Family("loop-unscaled-input", ("unscaled-input",), raw, ({},), {"factor": Between(1e3, 1e5, log=True)}),
    Family("loop-shifted-targets", ("shifted-targets",), same_letter, ({},)),
    Family(
        "loop-plateau",
        ("plateau",),
        falls_too_soon,
        ({}, {"data": "pictures", "decay": 0.8}, {"data": "numbers", "decay": 0.5}),
        {"data": (*DATA, "numbers"), "decay": Between(0.4, 0.92)},
    ),
    Family("loop-starved-device", ("starved-device",), slow_loader, ({},), {"seconds": Between(0.006, 0.03)}),
]

HEALTHY = [
    Family("loop-table", (), sound_table, ({}, {"noise": 0.4}), {"noise": Between(0.0, 0.5), "act": ("relu", "tanh")}),
    Family("loop-pictures", (), sound_pictures),
    Family("loop-logarithms", (), sound_logarithms),
    Family("loop-letters", (), sound_letters),
    Family("loop-numbers", (), sound_numbers),
    Family("loop-yes-or-no", (), sound_yes_or_no),
    Family("loop-transfer", (), sound_transfer),
    Family("loop-game", (), sound_game),
    Family("loop-accumulation", (), sound_accumulation),
]
