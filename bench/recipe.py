"""The speed recipe on CIFAR-10 (`--recipe speed`) beside a straight-line script of the same published recipe.

    GIPI_DATA=folder python bench/recipe.py [--quick] [--turns 3] [--epochs 8] [--rows 50000] [--width 64]

Both are given the same pictures (CIFAR-10 as JPEG, decoded once before the turns), 2,000 at a step, and take turns in
processes of their own. The time is that of training: reading and judging are not in it, and neither is gipi's trying
beforehand of what is fastest; `whole` has all that a person waits for. With fewer rows, a multiple of 2,000 is cut into
the same batches by both.
"""

import argparse
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold, timed

ARCHIVE = Path(os.environ.get("GIPI_DATA", ".")) / "cifar10_jpeg" / "cifar10-jpeg.tar.xz"
DECODED = Path(tempfile.gettempdir()) / "gipi-bench-cifar10.npz"


def decode() -> None:
    """The archive as arrays, in its own order; kept from one measurement to the next."""
    import io

    import numpy as np
    from PIL import Image

    found: dict[str, tuple[list[Any], list[str]]] = {"train": ([], []), "test": ([], [])}
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                part, label, _name = member.name.split("/")[-3:]
                content = archive.extractfile(member)
                assert content
                found[part][0].append(np.asarray(Image.open(io.BytesIO(content.read()))))
                found[part][1].append(label)
    names = sorted(set(found["train"][1]))
    arrays = {}
    for part, (pictures, labels) in found.items():
        order = np.random.default_rng(0).permutation(len(labels))  # they lie class by class
        arrays[part] = np.stack(pictures)[order]
        arrays[f"{part}_y"] = np.array([names.index(label) for label in labels])[order]
    temporary = DECODED.with_suffix(".part.npz")
    np.savez(temporary, **arrays)
    temporary.replace(DECODED)


def parts(options: argparse.Namespace) -> tuple[Any, Any, Any, Any]:
    """Training pictures `(N, H, W, 3)` and labels, test pictures and labels."""
    import numpy as np

    with np.load(DECODED) as held:
        train, y, test, truth = (held[name] for name in ("train", "train_y", "test", "test_y"))
    return train[: options.rows], y[: options.rows], test[: options.tests], truth[: options.tests]


def ours(options: argparse.Namespace) -> Turn:
    import numpy as np
    import polars as pl

    import gipi
    from gipi.data.dataset import Dataset

    train, y, test, truth = parts(options)
    labels = pl.DataFrame({"label": np.concatenate([y, truth])})
    rows = {"train": np.arange(len(y)), "test": np.arange(len(y), len(y) + len(truth))}
    data = Dataset("cifar10", labels, np.concatenate([train, test]), ("label",), parts=rows)
    seeds = iter(range(1000))

    def fit() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                data,
                task="classify",
                recipe="speed",
                epochs=options.epochs,
                width=options.width,
                seed=next(seeds),
                threads=options.threads,
                verdict=False,
                doctor=False,
                quiet=True,
                run=f"{folder}/run",
            )
            print("chosen:", run.record["arithmetic"])
            return {"time": run.record["seconds"]["training"], "accuracy": float(run.metrics["accuracy"])}

    def turn() -> dict[str, float]:
        whole, found = timed(fit)
        return {**found, "whole": whole}

    return turn


def control(options: argparse.Namespace) -> Turn:
    import recipe_control
    import torch

    from gipi.training.prepare import choose_device, has_bf16

    torch.set_num_threads(options.threads)
    device = choose_device("auto")
    train, y, test, truth = (torch.from_numpy(part).to(device) for part in parts(options))
    train, test = train.permute(0, 3, 1, 2), test.permute(0, 3, 1, 2)
    seeds = iter(range(1000))

    def run() -> dict[str, float]:
        return recipe_control.run(train, y, test, truth, next(seeds), options.epochs, options.width, has_bf16(device))

    def turn() -> dict[str, float]:
        whole, found = timed(run)
        return {"time": found["time"], "accuracy": found["accuracy"], "whole": whole}

    return turn


CONTENDERS = {"control": control, "gipi": ours}
FIGURES = [
    Figure("gipi", "control", most=1.02),
    Figure("gipi", "control", name="accuracy"),
]

if __name__ == "__main__":
    sizes = {"epochs": (8, 1), "rows": (50000, 400), "tests": (10000, 200), "width": (64, 4)}
    given = arguments(__doc__, turns=3, threads=2, sizes=sizes)
    if not ARCHIVE.is_file():
        sys.exit("recipe: left out, GIPI_DATA names no folder with cifar10_jpeg in it")
    if not given.worker and not DECODED.is_file():
        decode()
    hold(Bench("recipe", CONTENDERS, FIGURES, "s"), given)
