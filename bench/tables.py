"""Two tables from their CSV files to a scored network, 20 epochs: gipi beside Keras, Lightning and skorch.

    GIPI_DATA=folder python bench/tables.py [--quick] [--turns 3] [--epochs 20]

`adult` (32,561 rows, two classes) and `california` (20,640 rows, a number), an MLP of 64 and 64, Adam, batches of 32
and of 256; a fifth of the rows to test, a fifth of the rest to validate after each epoch. The peers read with pandas
and prepare with scikit-learn, as is usual. Each turn is a process of its own, and its time is its whole life: imports,
reading, training, test scores; with gipi also log, checkpoints, report and kept model, but no classical models.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold

STEP_SIZE = 1e-3
HIDDEN = (64, 64)
ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
)
NAMES = {"adult": "adult", "california": "california-housing"}  # ours
FILES = {"adult": "adult_train/adult-train.csv", "california": "california_housing/housing.csv"}
TARGETS = {"adult": "income", "california": "median_house_value"}


def file_of(name: str) -> Path:
    return Path(os.environ.get("GIPI_DATA", ".")) / FILES[name]


def ours(name: str, batch: int, options: argparse.Namespace) -> Turn:
    def turn() -> dict[str, float]:
        import gipi

        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                NAMES[name],
                system="mlp",
                hidden=HIDDEN,
                dropout=0.0,
                optimizer="adam",
                lr=STEP_SIZE,
                weight_decay=0.0,
                batch_size=batch,
                epochs=options.epochs,
                patience=0,
                threads=options.threads,
                device="cpu",
                verdict=False,
                quiet=True,
                run=f"{folder}/run",
            )
            score = float(run.metrics["accuracy" if name == "adult" else "rmse"])
            return {"score": score, "training": run.record["seconds"]["training"]}

    return turn


# --- peers


def prepared(name: str) -> tuple[Any, float]:
    """The parts as arrays, and what one unit of a number's score is worth."""
    import pandas as pd
    from peers import Parts
    from sklearn.compose import ColumnTransformer, make_column_selector
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

    if name == "adult":
        frame = pd.read_csv(file_of(name), names=ADULT, skipinitialspace=True, na_values="?")
    else:
        frame = pd.read_csv(file_of(name))
    y, frame, unit = frame[TARGETS[name]].to_numpy(), frame.drop(columns=TARGETS[name]), 1.0
    is_class = name == "adult"
    if is_class:
        y = LabelEncoder().fit_transform(y)
    rest, test, y_rest, y_test = train_test_split(
        frame, y, test_size=0.2, random_state=0, stratify=y if is_class else None
    )
    train, valid, y_train, y_valid = train_test_split(
        rest, y_rest, test_size=0.2, random_state=0, stratify=y_rest if is_class else None
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    selected = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
    preprocess = ColumnTransformer([("numbers", numbers, selected[0]), ("categories", categories, selected[1])])
    xs = [preprocess.fit_transform(train), preprocess.transform(valid), preprocess.transform(test)]
    ys = [y_train, y_valid, y_test]
    if is_class:
        ys = [part.astype("int64") for part in ys]
    else:
        scaler = StandardScaler().fit(y_train[:, None])
        ys, unit = [scaler.transform(part[:, None]).astype("float32") for part in ys], float(scaler.scale_[0])
    return Parts(*((x.astype("float32"), y) for x, y in zip(xs, ys, strict=True))), unit


def network(inputs: int, outputs: int) -> Any:
    from torch import nn

    first, second = HIDDEN
    return nn.Sequential(
        nn.Linear(inputs, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, outputs)
    )


def keras(name: str, batch: int, options: argparse.Namespace) -> Turn:
    import keras  # noqa: F401  # says at once if it is not there

    def turn() -> dict[str, float]:
        from keras import Input, layers
        from peers import keras_score

        parts, unit = prepared(name)
        hidden = [layers.Dense(width, activation="relu") for width in HIDDEN]
        stack = [Input(parts.train[0].shape[1:]), *hidden, layers.Dense(1 if parts.is_regression else 2)]
        return {"score": keras_score(stack, parts, batch, options.epochs) * unit}

    return turn


def of_torch(learn: str, name: str, batch: int, options: argparse.Namespace) -> Turn:
    """Lightning or skorch, by the function of bench/peers.py."""
    import importlib

    import torch

    importlib.import_module(learn.partition("_")[0])
    torch.set_num_threads(options.threads)

    def turn() -> dict[str, float]:
        import peers

        parts, unit = prepared(name)
        net = network(parts.train[0].shape[1], 1 if parts.is_regression else 2)
        return {"score": getattr(peers, learn)(net, parts, batch, options.epochs) * unit}

    return turn


WAYS: dict[str, Callable[..., Turn]] = {
    "gipi": ours,
    "keras-torch": keras,
    "keras-jax": keras,
    "lightning": partial(of_torch, "lightning_on_tensors"),
    "skorch": partial(of_torch, "skorch_score"),
}
ASKED = {32: 6.0, 256: 3.0}  # times as fast
CASES = [(name, batch) for name in NAMES for batch in (32, 256)]
CONTENDERS = {
    f"{way}, {name}, {batch}": partial(make, name, batch) for name, batch in CASES for way, make in WAYS.items()
}
FIGURES = [
    Figure(f"{way}, {name}, {batch}", f"gipi, {name}, {batch}", least=least, name=what)
    for name, batch in CASES
    for what, least in (("time", ASKED[batch]), ("memory", 1.0))
    for way in WAYS
    if way != "gipi"
]

if __name__ == "__main__":
    given = arguments(__doc__, turns=3, threads=1, sizes={"epochs": (20, 1)})
    if not all(file_of(name).is_file() for name in NAMES):
        sys.exit("tables: left out, GIPI_DATA names no folder with adult_train and california_housing in it")
    hold(Bench("tables", CONTENDERS, FIGURES, "s", fresh=True), given)
