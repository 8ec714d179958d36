"""`gipi data SOURCE`: what there is to learn from, before anything is trained; pictures as a model will see them.

All is read as `gipi fit` reads it with the same options and seed: the same columns and parts, and of pictures the same
draws, so that the second row of what is drawn is what the first epoch learns from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gipi.errors import UsageError
from gipi.messages import _

COLUMNS = 10
MOST_VALUES = 3  # of a column of words that are named
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


@dataclass(frozen=True)
class Looked:
    """What data is like.

    Attributes:
        name: Of the data.
        task: What `gipi fit` would do with it.
        facts: Sentences on what was recognised, repaired or left out.
        columns: Of a table, each column: `name`, `kind` (number, category, boolean, date, text, target, or left out),
            `missing` and `distinct` (how many values), `values` (least, middle and greatest, or the most frequent).
        findings: What the doctor says of it, the most severe first.
    """

    name: str
    task: str
    facts: list[str]
    columns: list[dict[str, Any]]
    findings: list[Any]


def look(
    source: Any,
    *,
    target: Sequence[str] | str = (),
    drop: Sequence[str] | str = (),
    seed: int = 0,
    told: Any = None,
) -> Looked:
    """Say what there is to learn from, and what is wrong with it; nothing is trained and nothing kept.

    Args:
        source: Data as `gipi fit` takes it.
        target: The columns to be predicted.
        drop: Columns that nothing is learned from.
        seed: Of the run, which decides the parts.
        told: Called with what takes long, how much of it is done, of how much.

    Raises:
        DataError: The data cannot be used; names the file, row or column.

    Example:
        >>> found = look("iris")
        >>> found.task, [column["name"] for column in found.columns][-1]
        ('classify', 'species')
    """
    import torch

    from gipi.jobs.examined import examined_data
    from gipi.jobs.options import Fit
    from gipi.jobs.request import Request, make_job
    from gipi.jobs.target import NoTargetError

    request = Request(source, Fit(target=target, drop=drop, seed=seed), progress=told)  # type: ignore[arg-type]
    missing = []
    try:
        job = make_job(request, torch.device("cpu"))
    except NoTargetError:
        request.options = replace(request.options, no_target=True)
        job = make_job(request, torch.device("cpu"))
        missing = [_("nothing is said to be the target: --target COLUMN")]
    view = job.view()
    columns = [] if view.frame is None else [_column(view.frame[name], view) for name in view.frame.columns]
    return Looked(job.name, job.record["task"], [*job.facts, *missing], columns, examined_data(job))


def _column(values: Any, view: Any) -> dict[str, Any]:
    kind = "target" if values.name in view.target else view.used.get(values.name, "left out")
    present = values.drop_nulls()
    found = {"name": values.name, "kind": kind, "missing": values.null_count(), "distinct": present.n_unique()}
    if values.dtype.is_nested() or not len(present):
        return {**found, "values": []}
    if values.dtype.is_numeric() or values.dtype.is_temporal():
        return {**found, "values": [present.min(), present.median(), present.max()]}
    counts = present.value_counts(sort=True)
    return {**found, "values": counts[values.name].cast(str).to_list()[:MOST_VALUES]}


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
