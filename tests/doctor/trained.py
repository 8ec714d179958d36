"""What tests of checks on training share: small data, a short training and what is found in it, views that are made."""

from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
from torch import nn

import gipi
from gipi.doctor import Finding, View, visits
from gipi.errors import TrainingError
from gipi.run import Run

X = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
Y = (X @ np.random.default_rng(1).normal(size=(6, 3))).argmax(1)  # three classes that a line can tell apart


def blobs(rows: int = 600, classes: int = 4, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Clouds of points that overlap a little."""
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(classes, 10)) * 1.5
    y = draw.integers(0, classes, rows)
    return (centers[y] + noise * draw.normal(size=(rows, 10))).astype(np.float32), y


def found_in(folder: Any, data: Any, **options: Any) -> dict[str, Finding]:
    """The findings of a short training, by name."""
    given = {"verdict": False, "quiet": True, "threads": 1, "epochs": 15, **options}
    with patch.object(visits, "HEAD_START", 5.0):  # as many looks on a busy machine as on an idle one
        try:
            run = gipi.fit(data, **given, run=folder / "run")
        except TrainingError:
            run = Run(folder / "run")
    return {finding.name: finding for finding in run.doctor()}


def finding(name: str, folder: Any, data: Any = (X, Y), **options: Any) -> Finding | None:
    """The finding of this name of a short training; None where there is none."""
    return found_in(folder, data, **{"epochs": None, "steps": 120, "lr": 5e-3, **options}).get(name)


def dense(*last: nn.Module, width: int = 16) -> Any:
    """What makes a network of one hidden layer, with more parts at its end."""
    return lambda sizes: nn.Sequential(
        nn.Linear(sizes.input[0], width), nn.ReLU(), nn.Linear(width, sizes.output), *last
    )


def deep(layers: int, width: int, bend: type[nn.Module], times: float = 1.0, inputs: int = 10) -> nn.Sequential:
    """A deep network, its weights so many times as large as torch draws them."""
    parts: list[nn.Module] = [nn.Linear(inputs, width), bend()]
    for _layer in range(layers - 1):
        parts += [nn.Linear(width, width), bend()]
    net = nn.Sequential(*parts, nn.Linear(width, 4))
    for part in net:
        if isinstance(part, nn.Linear):
            part.weight.data *= times
    return net


def curve(*losses: float, player: str = "learner") -> dict[str, np.ndarray]:
    """A curve that goes from one loss to the next, 20 points each, with a little noise."""
    draw = np.random.default_rng(0)
    ends = [*losses, losses[-1]]
    line = np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(ends)])
    line *= 1 + 0.01 * draw.normal(size=len(line))
    return {player: np.stack([np.arange(len(line)), line, np.zeros(len(line))], 1)}


def look(step: int, ratio: float = 1e-3, gradients: tuple[float, ...] = (0.1, 0.1), **others: Any) -> dict[str, Any]:
    """A look at layers of 100 weights of size 0.1 each."""
    layers = {
        f"{number}.weight": {
            "count": 100,
            "shape": [10, 10],
            "weight": 0.1,
            "gradient": gradient,
            "update": 0.1 * ratio,
            "still": 0.0,
            "learns": True,
        }
        for number, gradient in enumerate(gradients)
    }
    order = [name.removesuffix(".weight") for name in layers]
    seen = {"step": step, "rows": 32, "parameters": layers, "layers": {}, "norms": {}, "order": order}
    return {**seen, "agreement": None, "wait": 0.0, "seconds": 0.001, **others}


def layer(kind: str, silent: str = "0x0", saturated: float = 0.0, last: bool = False) -> dict[str, Any]:
    """What a look sees of a layer of 8 units."""
    dead = int(silent, 16).bit_count() / 8
    seen = {"kind": kind, "dead": dead, "silent": silent, "units": 8, "samples": 64, "zeros": 0.5}
    return {**seen, "saturated": saturated, "spread": 1.0, "size": 1.0, "last": last}


def view(**known: Any) -> View:
    """Of a network with the usual options, two classes, and the chance of log 2."""
    options = {"lr": 0.01, "clip": None, "epochs": 10, "batch_size": 32, "warmup": 0.0, "activation": "relu"}
    options |= {"norm": "none", "scale": "standard", "schedule": None, "patience": None, "dropout": 0.1}
    parts = {"train": np.arange(60), "valid": np.arange(60, 80)}
    given = {"y": np.arange(80) % 2, "parts": parts, "target_kind": "class", "labels": (0, 1), "steps": 100}
    return View(**{**given, "options": options, **known})
