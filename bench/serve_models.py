"""The two small models that the benchmarks of the server ask: a table of 20 numbers, and grey pictures of 28 by 28.

They are trained for a moment on numbers drawn at random: what is measured is how fast they answer, not how well. Both
are kept with their program, as a person would who serves them.
"""

import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = [f"n{number}" for number in range(20)]
ROWS, PICTURES, SIDE, CLASSES = 2000, 500, 28, 10
BODIES = 64  # different ones, so that nobody can keep an answer


@dataclass(frozen=True)
class Work:
    """A model, and what it is asked.

    Attributes:
        name: table or picture.
        path: The bundle.
        kind: The content type of the bodies.
        bodies: Of requests for one row each.
        answers: What gipi answers to them without a server.
    """

    name: str
    path: Path
    kind: str
    bodies: list[bytes]
    answers: list[dict[str, Any]]

    def folder(self) -> Path:
        """The bodies as files, for wrk."""
        made = self.path.parent / f"{self.name}-bodies"
        made.mkdir(exist_ok=True)
        for number, body in enumerate(self.bodies):
            (made / str(number)).write_bytes(body)
        return made


@contextmanager
def works() -> Iterator[dict[str, Work]]:
    """Both models, in a folder that stays as long as they are held."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"table": table(Path(folder)), "picture": picture(Path(folder))}


def table(folder: Path) -> Work:
    import gipi

    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(ROWS, len(NUMBERS))).round(4)
    label = np.where(numbers[:, 0] * numbers[:, 1] + draw.normal(size=ROWS) > 0, "high", "low")
    columns = {name: numbers[:, place] for place, name in enumerate(NUMBERS)} | {"label": label}
    model = gipi.load(kept(columns, folder / "table.gipi", target="label", system="mlp", hidden=(64, 64)))
    rows = [dict(zip(NUMBERS, map(float, row), strict=True)) for row in numbers[:BODIES]]
    bodies = [json.dumps({"rows": [row]}).encode() for row in rows]
    return Work("table", folder / "table.gipi", "application/json", bodies, model.predict(rows))


def picture(folder: Path) -> Work:
    from PIL import Image

    import gipi

    draw = np.random.default_rng(0)
    label = np.arange(PICTURES) % CLASSES
    pictures = draw.integers(0, 128, (PICTURES, SIDE, SIDE), dtype=np.uint8)
    for place, which in enumerate(label):  # a bright spot, at another place for each class
        pictures[place, 4 + 2 * which : 8 + 2 * which, 8:20] += 100
    model = gipi.load(kept((pictures, label), folder / "picture.gipi", system="convnet"))
    bodies = []
    for one in pictures[:BODIES]:
        file = io.BytesIO()
        Image.fromarray(one).save(file, "PNG")
        bodies.append(file.getvalue())
    return Work("picture", folder / "picture.gipi", "image/png", bodies, model.predict([*pictures[:BODIES]]))


def kept(data: Any, path: Path, **options: Any) -> Path:
    """A bundle of a model that was trained for a moment."""
    import gipi

    quiet = {"epochs": 2, "verdict": False, "doctor": False, "quiet": True, "threads": 1}
    return gipi.fit(data, run=path.parent / f"{path.stem}-run", **options, **quiet).save(path)


def check_alike(name: str, work: Work, answers: list[dict[str, Any]]) -> None:
    """Stop where a server gives other answers than the model itself."""
    for number, (ours, theirs) in enumerate(zip(work.answers, answers, strict=True)):
        label, probability = str(ours["label"]), ours["probability"]
        if str(theirs["label"]) != label or not abs(theirs["probability"] - probability) < 1e-4:
            raise SystemExit(f"{name}, request {number}: {theirs} was answered in place of {ours}")
