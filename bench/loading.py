"""Pictures from files to batches, from the second epoch on: gipi's stream beside a PyTorch DataLoader with Pillow.

    GIPI_DATA=folder python bench/loading.py [--quick] [--turns 3] [--batch 64]

Both give shuffled batches of float pictures, centered, scaled and flipped at random. gipi decodes once and keeps the
pictures at the size of training; an epoch then reads none. The DataLoader does for each picture, each epoch, what every
tutorial does: open it with Pillow, convert, resize, flip, make a tensor; with no workers and with two, and the better
of both counts. Fashion-MNIST comes from its arrays on both sides (28 x 28), the flowers as JPEG files (64 x 64). Times
are of one epoch, after one that is not counted.
"""

import argparse
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold, timed

SIDE = 64  # of the flowers
MEAN, SPREAD = 0.3, 0.3  # that pictures are centered and scaled with


def home() -> Path:
    return Path(os.environ.get("GIPI_DATA", "."))


def fashion(options: argparse.Namespace) -> tuple[Any, Any]:
    """`(N, 28, 28)` bytes and labels."""
    from gipi.data.idx import read_idx

    folder = home() / "fashion_mnist"
    pictures, labels = (read_idx(folder / f"train-{name}-ubyte.gz") for name in ("images-idx3", "labels-idx1"))
    return pictures[: options.rows], labels[: options.rows].astype("int64")


def flowers(folder: Path) -> list[tuple[Path, int]]:
    """The files, unpacked: a DataLoader reads no zip; and their labels."""
    with zipfile.ZipFile(home() / "flower_photos" / "flower_photos.zip") as archive:
        archive.extractall(folder)
    files = sorted(folder.rglob("*.jpg"))
    classes = sorted({file.parent.name for file in files})
    return [(file, classes.index(file.parent.name)) for file in files]


def epoch_of(batches: Iterable[Any]) -> int:
    """Take an epoch; how many pictures it had."""
    return sum(len(batch[0]) for batch in batches)


def turn_of(count: int, epoch: Callable[[], int]) -> Turn:
    assert epoch() == count  # the first epoch: decodes, warms caches

    def turn() -> dict[str, float]:
        seconds, found = timed(epoch)
        assert found == count
        return {"time": seconds, "pictures per second": count / seconds}

    return turn


def ours(what: str) -> Callable[[argparse.Namespace], Turn]:
    def ready(options: argparse.Namespace) -> Turn:
        import torch

        from gipi.data.augment import compose
        from gipi.data.sources import open_data
        from gipi.data.stream import Stream

        torch.set_num_threads(options.threads)
        if what == "fashion":
            pictures, labels = fashion(options)
            x, y = torch.from_numpy(pictures)[:, None], torch.from_numpy(labels)
        else:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
                flowers(Path(folder) / "files")
                found = open_data(Path(folder) / "files", picture_size=SIDE).pictures
                assert found is not None
                x, y = torch.from_numpy(found.transpose(0, 3, 1, 2).copy()), torch.zeros(len(found))
        augment, draws = compose(("flip",))

        def prepare(batch: tuple[Any, ...], drawn: Any) -> tuple[Any, ...]:
            return (augment(batch[0], drawn).float().div_(255).sub_(MEAN).div_(SPREAD), batch[1])

        stream = Stream((x, y), options.batch, 0, prepare, draws)
        return turn_of(len(x), lambda: epoch_of(next(stream) for _batch in range(stream.batches)))

    return ready


def loader(what: str, workers: int) -> Callable[[argparse.Namespace], Turn]:
    def ready(options: argparse.Namespace) -> Turn:
        import numpy as np
        import torch
        from PIL import Image
        from torch.utils.data import DataLoader, Dataset

        torch.set_num_threads(options.threads)
        unpacked = tempfile.TemporaryDirectory()  # goes with the process
        rows = list(zip(*fashion(options), strict=True)) if what == "fashion" else flowers(Path(unpacked.name))

        class Pictures(Dataset):
            def __init__(self) -> None:
                self.unpacked = unpacked

            def __len__(self) -> int:
                return len(rows)

            def __getitem__(self, number: int) -> tuple[Any, int]:
                source, label = rows[number]
                if what == "fashion":
                    image = Image.fromarray(source)
                else:
                    with Image.open(source) as file:
                        image = file.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                if torch.rand(()) < 0.5:
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                array = np.array(image)  # a copy that may be written to
                x = torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
                return x.float().div_(255).sub_(MEAN).div_(SPREAD), int(label)

        batches = DataLoader(
            Pictures(), options.batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        return turn_of(len(rows), lambda: epoch_of(batches))

    return ready


SETS = {"fashion": 5.0, "flowers": 3.0}  # and how many times as many pictures a second were asked for
CONTENDERS = {
    f"{name}, {what}": make
    for what in SETS
    for name, make in (
        ("gipi", ours(what)),
        ("DataLoader", loader(what, 0)),
        ("DataLoader with 2 workers", loader(what, 2)),
    )
}
FIGURES = [
    Figure(f"{name}, {what}", f"gipi, {what}", least=least)
    for what, least in SETS.items()
    for name in ("DataLoader", "DataLoader with 2 workers")
]

if __name__ == "__main__":
    given = arguments(__doc__, turns=3, threads=2, sizes={"batch": (64, 64), "rows": (60_000, 3000)})
    if not (home() / "flower_photos").is_dir() or not (home() / "fashion_mnist").is_dir():
        sys.exit("loading: left out, GIPI_DATA names no folder with fashion_mnist and flower_photos in it")
    hold(Bench("loading", CONTENDERS, FIGURES, "s"), given)
