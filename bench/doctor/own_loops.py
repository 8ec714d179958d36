"""A training that a person wrote in plain PyTorch, with the lines that `gipi.doctor.watch` asks for, and its parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import material
import networks
import numpy as np
import torch
from case import Chance, Looped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

import gipi

Batch = tuple[Tensor, Tensor]


@dataclass
class Rows:
    """What is learned from, and what is set aside."""

    batches: Callable[[], Iterator[Batch]]  # of one epoch, again for each
    valid: Batch


@dataclass
class Loop:
    """A training by hand.

    Attributes:
        model: Makes the network.
        rows: To learn from, and to look at after each epoch.
        optimizer: Of a model.
        loss: Of what comes out, and the target.
        epochs: How often the rows are gone through.
        decay: What the step size is multiplied by after each step.
    """

    model: Callable[[], nn.Module]
    rows: Rows
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    epochs: int = 12
    decay: float = 1.0

    def play(self) -> Any:
        model = self.model()
        optimizer = self.optimizer(model)
        falling = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.decay)
        doctor = gipi.doctor.watch(model, optimizer, self.loss)
        for _epoch in range(self.epochs):
            for x, y in self.rows.batches():
                optimizer.zero_grad()
                loss = self.loss(model(x), y)
                loss.backward()
                optimizer.step()
                falling.step()
                doctor.loss(loss)
                doctor.batch((x, y))
            self.look(model, doctor)
        return doctor.findings()

    def look(self, model: nn.Module, doctor: Any) -> None:
        """After an epoch: loss and accuracy on what was set aside."""
        model.eval()
        with torch.no_grad():
            x, y = self.rows.valid
            output = model(x)
            doctor.batch((x, y), part="valid")
            doctor.loss(self.loss(output, y), part="valid")
            if not y.is_floating_point():
                doctor.metric((output.argmax(-1) == y).float().mean(), "accuracy")
        model.train()


def loader(
    chance: Chance, data: str = "table", rows: int = 600, shuffle: bool = True, noise: float = 0.05, batch: int = 32
) -> Rows:
    """Batches as a DataLoader of PyTorch gives them; a fifth of the rows is set aside."""
    if data == "pictures":
        x, y = material.shapes(chance, rows)
        x = x[:, None].astype(np.float32) / 255 - 0.3
    elif data == "numbers":
        x, y = material.numbers(chance, rows)
        y = ((y - y.mean()) / y.std())[:, None]
    else:
        x, y = material.classes(chance, rows, noise=noise)
    return split(x, y, batch, shuffle)


def split(x: np.ndarray, y: np.ndarray, batch: int = 32, shuffle: bool = True) -> Rows:
    """The last fifth is set aside; of what is not shuffled the rest lies class by class."""
    y = y if y.dtype == np.float32 else y.astype(np.int64)
    cut = len(x) * 4 // 5
    order = np.arange(cut) if shuffle else np.argsort(y[:cut], kind="stable")
    tensors = torch.from_numpy(x[:cut][order]), torch.from_numpy(y[:cut][order])
    valid = torch.from_numpy(x[cut:]), torch.from_numpy(y[cut:])
    return Rows(lambda: iter(DataLoader(TensorDataset(*tensors), batch, shuffle=shuffle)), valid)


def net_of(data: str) -> tuple[int, int]:
    """Numbers of a row, and outputs."""
    return {"table": (8, 3), "pictures": (144, 4), "numbers": (8, 1)}[data]


def adam(lr: float = 2e-3) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)


def sgd(lr: float = 0.05, momentum: float = 0.9) -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def loop(chance: Chance, data: str, model: Callable[[], nn.Module], **changes: Any) -> Looped:
    """A loop on some data with some parts changed."""
    loss = mse_loss if data == "numbers" else cross_entropy
    parts: dict[str, Any] = {"optimizer": adam(), "loss": loss, "rows": loader(chance, data)}
    return Looped(Loop(model, **{**parts, **changes}).play)


def dense(data: str, widths: tuple[int, ...] = (32, 32), act: str = "relu", *last: nn.Module, gain: float = 1.0) -> Any:
    inputs, outputs = net_of(data)
    return lambda: networks.dense(inputs, widths, outputs, act, *last, gain=gain)


def after(make: Callable[[], nn.Module], change: Callable[[nn.Module], None]) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        net = make()
        with torch.no_grad():
            change(net)
        return net

    return made
