"""What jobs share that learn from rows without answers: their stream, their record, what the figures are of."""

from typing import Any

import numpy as np
from torch import Tensor

from gipi.data.large_frames import sample
from gipi.data.mapped import Chosen
from gipi.data.mapped_stream import MappedStream
from gipi.data.schema import Schema
from gipi.data.split import fingerprint
from gipi.data.stream import Prepare, Stream
from gipi.doctor.finding import View
from gipi.jobs import judge
from gipi.jobs.job import Setting
from gipi.jobs.known import of_pictures
from gipi.jobs.material import Material
from gipi.messages import _


def record_of(task: str, material: Material, schema: Schema, x: Tensor) -> dict[str, Any]:
    """What run.json must hold to be sure, on resume, that all is as it was."""
    return {
        "task": task,
        "split": fingerprint(material.parts),
        "data": judge.fingerprint_of(x),
        "schema": schema.to_json(),
        "rows": {name: len(rows) for name, rows in material.parts.items()},
    }


def facts_of(material: Material, shape: tuple) -> list[str]:
    """Lines on the pictures, for a person."""
    return [_("{rows} pictures of {shape}", rows=len(material.data), shape=shape), *material.notes]


def stream_of(
    material: Material, setting: Setting, x: Tensor, batch_size: int, prepare: Prepare, draws: int = 0
) -> Stream | MappedStream:
    """Batches of the training rows; gathered from the disk where they are larger than memory.

    Args:
        material: Its training part is given.
        setting: Seed, workers and device.
        x: All rows, encoded.
        batch_size: Rows in a batch.
        prepare: As `Stream` has it.
        draws: Random numbers that it needs for each row.
    """
    rows, options, device = material.parts["train"], setting.options, setting.device
    if material.data.mapped:
        sources = [Chosen(x.numpy(), rows)]
        return MappedStream(sources, batch_size, options.seed, prepare, draws, options.workers, device)
    return Stream((x[rows].to(device),), batch_size, options.seed, prepare, draws)


def some_of(material: Material, setting: Setting, x: Tensor, rows: np.ndarray) -> np.ndarray:
    """These rows; of data larger than memory as many as can be looked at together."""
    return sample(rows, x[0].numel(), setting.options.seed) if material.data.mapped else rows


def tested_of(material: Material) -> tuple[str, str]:
    """The part that the figures are of, and what a person calls it."""
    if "test" in material.parts:
        return "test", _("test part")
    return "train", _("training rows (nothing was set aside)")


def view_of(material: Material, setting: Setting, x: Tensor) -> View:
    """What the doctor may look at."""
    data = material.data
    return of_pictures(x, material.parts, data.names, data.mapped, setting.options.seed)
