"""What the peers compute: gipi's own network with its weights, by PyTorch, its rows made ready as by a careful hand."""

import io
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, create_model

import gipi

torch.set_num_threads(1)


class Answer(BaseModel):
    label: str
    probability: float
    probabilities: dict[str, float]


class Answers(BaseModel):
    predictions: list[Answer]


class Classifier:
    """The network of a bundle, and the names of its classes."""

    def __init__(self, path: str | Path):
        model = gipi.load(path, runtime="torch")
        (self.net,) = model.members
        self.net.eval().requires_grad_(False)
        self.schema = model.schema
        self.classes = [str(value) for value in model.schema.targets[0].values]

    def answers(self, x: torch.Tensor) -> list[dict[str, Any]]:
        with torch.inference_mode():
            probabilities = self.net(x).softmax(1)
            best = probabilities.argmax(1)
        return [
            {
                "label": self.classes[place],
                "probability": row[place],
                "probabilities": dict(zip(self.classes, row, strict=True)),
            }
            for row, place in zip(probabilities.tolist(), best.tolist(), strict=True)
        ]


class Table(Classifier):
    """Rows of numbers."""

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.names = [field.name for field in self.schema.inputs]
        self.center = torch.tensor([field.center for field in self.schema.inputs])
        self.scale = torch.tensor([field.scale for field in self.schema.inputs])
        self.values = attrgetter(*self.names)

    def request(self) -> Any:
        """The pydantic model of a request."""
        fields: dict[str, Any] = dict.fromkeys(self.names, (float, ...))
        row = create_model("Row", **fields)
        return create_model("Rows", rows=(list[row], ...))

    def ready(self, rows: list[Any]) -> torch.Tensor:
        """`(B, N)` of validated rows."""
        return (torch.tensor([self.values(row) for row in rows]) - self.center) / self.scale

    def of_dicts(self, rows: list[dict[str, float]]) -> torch.Tensor:
        return (torch.tensor([[row[name] for name in self.names] for row in rows]) - self.center) / self.scale


class Picture(Classifier):
    """Picture files."""

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.net.to(memory_format=torch.channels_last)  # its convolutions take 0.7 of the time
        field = self.schema.inputs[0]
        self.center, self.scale = field.center, field.scale

    def ready(self, contents: list[bytes]) -> torch.Tensor:
        """`(B, 1, H, W)` of PNG files."""
        pictures = np.stack([np.asarray(Image.open(io.BytesIO(content)).convert("L")) for content in contents])
        return (torch.from_numpy(pictures).float()[:, None] - self.center) / self.scale
