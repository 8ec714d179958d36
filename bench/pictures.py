"""Fashion-MNIST from its files to a scored network, one epoch: gipi beside Keras, Lightning and skorch.

    GIPI_DATA=folder python bench/pictures.py [--quick] [--turns 3] [--batch 128]

The same small network (two convolutions), the same parts (48,000 rows to learn from, 12,000 to validate, 10,000 to
test), Adam, batches of the same size. Each turn is a process of its own, and its time is its whole life: imports,
reading, training, validation, test scores; with gipi also log, checkpoints, report and kept model.
With --quick the test file's 10,000 rows are all there is.
"""

import argparse
import gzip
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold

STEP_SIZE = 1e-3


def folder() -> Path:
    return Path(os.environ.get("GIPI_DATA", ".")) / "fashion_mnist"


def network(_sizes: Any = None) -> Any:
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 5 * 5, 10)),
    )


def ours(options: argparse.Namespace) -> Turn:
    def turn() -> dict[str, float]:
        import torch

        import gipi

        with tempfile.TemporaryDirectory() as run_folder:
            data: Any = "fashion-mnist"
            if options.quick:
                data = (read("t10k-images")[:, None], read("t10k-labels"))
            torch.manual_seed(0)
            run = gipi.fit(
                data,
                model=network,
                optimizer="adam",
                lr=STEP_SIZE,
                weight_decay=0.0,
                batch_size=options.batch,
                epochs=1,
                patience=0,
                threads=options.threads,
                device="cpu",
                verdict=False,
                quiet=True,
                run=f"{run_folder}/run",
            )
            return {"score": float(run.metrics["accuracy"]), "training": run.record["seconds"]["training"]}

    return turn


def read(name: str) -> Any:
    """An IDX file as an array, as every tutorial reads it."""
    import numpy as np

    kind, header = ("idx3", 16) if "images" in name else ("idx1", 8)
    with gzip.open(folder() / f"{name}-{kind}-ubyte.gz") as file:
        content = np.frombuffer(file.read(), np.uint8, offset=header)
    return content.reshape(-1, 28, 28) if kind == "idx3" else content


def raw_parts(options: argparse.Namespace) -> list[tuple[Any, Any]]:
    """Bytes and labels of the training, validation and test rows."""
    test = read("t10k-images"), read("t10k-labels").astype("int64")
    if options.quick:
        cut = (slice(0, 6400), slice(6400, 8000), slice(8000, None))
        return [(test[0][part], test[1][part]) for part in cut]
    x, y = read("train-images"), read("train-labels").astype("int64")
    return [(x[:48000], y[:48000]), (x[48000:], y[48000:]), test]


def floats(options: argparse.Namespace, axis: int) -> Any:
    """The parts in memory as numbers from 0 to 1, with an axis for the one channel."""
    import numpy as np
    from peers import Parts

    scaled = [(np.expand_dims(x, axis).astype("float32") / 255, y) for x, y in raw_parts(options)]
    return Parts(*scaled)


def keras(options: argparse.Namespace) -> Turn:
    import keras  # noqa: F401  # says at once if it is not there

    def turn() -> dict[str, float]:
        from keras import Input, layers
        from peers import keras_score

        stack = [
            *(Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D()),
            *(layers.Flatten(), layers.Dense(10)),
        ]
        return {"score": keras_score(stack, floats(options, -1), options.batch, 1)}

    return turn


def lightning(options: argparse.Namespace) -> Turn:
    """All of it in memory, in a TensorDataset."""
    import torch

    torch.set_num_threads(options.threads)

    def turn() -> dict[str, float]:
        from peers import lightning_on_tensors

        return {"score": lightning_on_tensors(network(), floats(options, 1), options.batch, 1)}

    return turn


def lightning_rows(options: argparse.Namespace) -> Turn:
    """A Dataset that makes a tensor of each picture when it is asked for, as torchvision's and the tutorials' do."""
    import torch

    torch.set_num_threads(options.threads)

    def turn() -> dict[str, float]:
        from peers import lightning_score
        from torch.utils.data import Dataset

        class Pictures(Dataset):
            def __init__(self, x: Any, y: Any):
                self.x, self.y = x, y

            def __len__(self) -> int:
                return len(self.x)

            def __getitem__(self, row: int) -> tuple[Any, int]:
                return torch.tensor(self.x[row])[None].float().div(255), int(self.y[row])

        parts = raw_parts(options)
        sets = [Pictures(*part) for part in parts]
        return {"score": lightning_score(network(), *sets, parts[2][1], options.batch, 1)}

    return turn


def skorch(options: argparse.Namespace) -> Turn:
    import torch

    torch.set_num_threads(options.threads)

    def turn() -> dict[str, float]:
        from peers import skorch_score

        return {"score": skorch_score(network(), floats(options, 1), options.batch, 1)}

    return turn


CONTENDERS = {
    "gipi": ours,
    "keras-torch": keras,
    "keras-jax": keras,
    "lightning, tensors": lightning,
    "lightning, Dataset": lightning_rows,
    "skorch": skorch,
}
FIGURES = [Figure(name, "gipi", least=3.0) for name in CONTENDERS if name != "gipi"]

if __name__ == "__main__":
    given = arguments(__doc__, turns=3, threads=2, sizes={"batch": (128, 128)})
    if not folder().is_dir():
        sys.exit("pictures: left out, GIPI_DATA names no folder with fashion_mnist in it")
    hold(Bench("pictures", CONTENDERS, FIGURES, "s", fresh=True), given)
