"""`gipi data SOURCE --show`: what a model will see of pictures: as they are read, and in the first epochs of a run.

The pictures, their parts and their draws are those of `gipi fit` with the same options and seed, so the second row is
what the first epoch learns from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gipi.errors import UsageError
from gipi.messages import _

COLUMNS = 10
EPOCHS = 4


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        path: The PNG file.
        labels: Of the pictures, from left to right.
        augment: What they went through.
        epochs: Rows below the first.
        notes: What was noticed about the data.
    """

    path: Path
    labels: list[str]
    augment: tuple[str, ...]
    epochs: int = EPOCHS
    notes: list[str] = field(default_factory=list)


def draw(
    source: Any,
    *,
    augment: Sequence[str] | None = None,
    picture_size: int | None = None,
    target: Sequence[str] | None = None,
    seed: int = 0,
    path: str | Path | None = None,
) -> Drawn:
    """Draw some training pictures as they are read, and as they come out of the augmentation, into one PNG file.

    Args:
        source: Pictures, as `gipi fit` takes them.
        augment: Names of augmentations; None: those of the system that `gipi fit` would choose.
        picture_size: Height and width that pictures are brought to.
        target: The columns to be predicted.
        seed: Of the run.
        path: Of the PNG; None: after the data, where one stands.

    Raises:
        UsageError: There are no pictures, or there is no such augmentation.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     draw("digits", augment=["crop"], path=folder + "/digits.png").path.name
        'digits.png'
    """
    import numpy as np
    import torch

    from gipi import systems, tasks
    from gipi.data.augment import alternating, compose
    from gipi.data.learning import learn
    from gipi.data.stream import drawn
    from gipi.jobs.checks import checked
    from gipi.jobs.material import gather
    from gipi.jobs.options import Fit
    from gipi.report.tiles import tiles

    names = None if augment is None else tuple(augment)
    options = checked(Fit(target=tuple(target or ()), augment=names, picture_size=picture_size, seed=seed))
    material = gather(source, options)
    data = material.data
    if data.pictures is None:
        raise UsageError(_("--show is for pictures; {name} is a table", name=data.name))
    if names is None:
        names = systems.describe(tasks.load(material.task).default["picture"]).defaults.get("augment", ())
    names = tuple(name for name in names if name != "none")
    train = material.parts["train"]
    places = np.unique(np.linspace(0, len(train) - 1, COLUMNS).astype(int))
    rows = train[places]
    picture = learn(data, {}, rows=train).inputs[0]
    change, count = compose(names, picture.white, picture.center)
    x = torch.from_numpy(np.ascontiguousarray(data.pictures[rows].transpose(0, 3, 1, 2)))  # (N, C, H, W)
    shown = [x]
    for epoch in range(EPOCHS):
        draws = drawn(
            len(train), count, seed * 1000, epoch, alternating(names)
        )  # as the first member's stream has them
        shown.append(change(x, draws[torch.from_numpy(places)]))
    bytes_of = [(each.float() * (255 / picture.white)).round().clamp(0, 255).to(torch.uint8) for each in shown]
    labels = [""] * len(rows)
    if data.target:
        labels = [str(value) for value in data.frame[data.target[0]].gather(rows).to_list()]
    written = Path(path) if path is not None else Path(f"{data.name}-shown.png")
    tiles([each.permute(0, 2, 3, 1).numpy() for each in bytes_of], labels).save(written)
    return Drawn(written, labels, names, notes=material.notes)
