"""Runs in which nothing is wrong, most of them hard in one way or another: no problem may be named in any of them."""

import os
from pathlib import Path
from typing import Any

import material
import networks
import numpy as np
import polars as pl
from case import Between, Chance, Family, Fitted
from setup_faults import own, small_convolutions
from torch import nn

from gipi.data.corpus import Corpus

SHARED = os.environ.get("GIPI_DATA")  # where tests have real data sets, too; without it those cases are made by code


def mlp(chance: Chance, **options: Any) -> Fitted:
    noise = options.pop("noise", 0.05)
    rows = options.pop("rows", 600)
    return Fitted(material.classes(chance, rows, noise=noise), {"system": "mlp", "steps": 400, **options})


def named(chance: Chance, name: str = "iris", **options: Any) -> Fitted:
    """One of the sets that come with gipi."""
    return Fitted(name, options, "rmse" if name == "diabetes" else "accuracy")


def tiny(chance: Chance, rows: int = 60) -> Fitted:
    """Few rows, and a model that is no larger than they allow."""
    x, y = material.classes(chance, rows, 3, 2, noise=0.0)
    return Fitted((x, y), {"system": "linear"})


def imbalanced(chance: Chance, share: float = 0.06, class_weight: str = "balanced") -> Fitted:
    """A rare class that is learned all the same."""
    x, _y = material.classes(chance, 1500)
    score = x[:, 0] + x[:, 1] + 0.3 * chance.normal(size=1500)
    options = {"system": "mlp", "steps": 400, "class_weight": class_weight}
    return Fitted((x, score > np.quantile(score, 1 - share)), options)


def regression(chance: Chance, r2: float = 0.1, rows: int = 1000, **options: Any) -> Fitted:
    """A number of which little can be known."""
    return Fitted(material.numbers(chance, rows, r2=r2), {"system": "mlp", "steps": 300, **options}, "rmse")


def skewed(chance: Chance) -> Fitted:
    """Prices: most are small, some are large, and all are true."""
    x, y = material.numbers(chance, 800, r2=0.8)
    y = np.exp((y - y.mean()) / y.std() + 11)
    return Fitted((x, y.astype(np.float32)), {"system": "mlp", "steps": 400}, "rmse")


def parity(chance: Chance, bits: int = 3) -> Fitted:
    """A long time nothing is learned, and then all of it."""
    x = chance.normal(size=(800, 12))
    x += np.sign(x)
    y = (x[:, :bits].prod(1) > 0).astype(int)
    options = {"hidden": (64, 64), "dropout": 0.0, "steps": 1200, "lr": 1e-3, "optimizer": "adamw", "patience": 0}
    return Fitted((x.astype(np.float32), y), {"system": "mlp", **options})


def many_categories(chance: Chance, count: int = 120) -> Fitted:
    """A category with many values, each of which is seen several times."""
    rows = 1500
    town = chance.integers(0, count, rows)
    worth = chance.normal(size=count)
    x = chance.normal(size=rows)
    score = worth[town] + x + 0.5 * chance.normal(size=rows)
    frame = pl.DataFrame(
        {"town": [f"town {n}" for n in town], "size": x, "sold": np.where(score > 0, "yes", "no").tolist()}
    )
    return Fitted(frame, {"target": ("sold",), "system": "mlp", "steps": 300})


def strong_column(chance: Chance, share: float = 0.95) -> Fitted:
    """One column tells nearly all, and it is known before the answer is: a measurement, not a leak."""
    rows = 800
    x = chance.normal(size=(rows, 6))
    y = 3 * x[:, 0] + 0.4 * x[:, 1] - 0.3 * x[:, 2]
    y = y / y.std() * np.sqrt(share) + np.sqrt(1 - share) * chance.normal(size=rows)
    frame = pl.DataFrame({**{f"x{n}": x[:, n] for n in range(6)}, "y": y})
    return Fitted(frame, {"target": ("y",), "system": "mlp", "steps": 400}, "rmse")


def few_values(chance: Chance) -> Fitted:
    """Four columns with three values each: equal rows are bound to be in several parts."""
    rows = 700
    x = chance.integers(0, 3, (rows, 4))
    score = x.sum(1) - 4 + chance.logistic(0, 0.7, rows)
    frame = pl.DataFrame({f"answer_{n}": [("no", "some", "yes")[v] for v in x[:, n]] for n in range(4)})
    frame = frame.with_columns(buys=pl.Series(np.where(score > 0, "yes", "no")))
    return Fitted(frame, {"target": ("buys",), "system": "mlp", "steps": 300})


def with_gaps(chance: Chance) -> Fitted:
    """A table as tables are: gaps, a category, a skewed column."""
    frame = material.table(chance, 700, noise=0.3)
    age = [None if chance.random() < 0.15 else value for value in frame["age"].to_list()]
    return Fitted(frame.with_columns(age=pl.Series(age)), {"target": ("outcome",), "system": "mlp", "steps": 300})


def by_time(chance: Chance) -> Fitted:
    """A series that is split as it should be: the latest rows are the test."""
    import datetime

    rows = 700
    x = chance.normal(size=(rows, 3))
    y = 5 + x[:, 0] - 0.5 * x[:, 1] + 0.5 * chance.normal(size=rows)
    days = [datetime.date(2021, 1, 1) + datetime.timedelta(days=n) for n in range(rows)]
    frame = pl.DataFrame({"day": days, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "sales": y})
    return Fitted(frame, {"target": ("sales",), "time": "day", "system": "mlp", "steps": 300}, "rmse")


def by_group(chance: Chance) -> Fitted:
    """Several rows of each patient, and all of one patient in one part."""
    who = np.repeat(np.arange(60), 10)
    x = chance.normal(size=(60, 5))[who] * 0.7 + chance.normal(size=(600, 5))
    y = x[:, 0] - x[:, 1] + 0.5 * chance.normal(size=600) > 0
    frame = pl.DataFrame({f"x{n}": x[:, n] for n in range(5)})
    frame = frame.with_columns(patient=pl.Series([f"p{n}" for n in who]), ill=pl.Series(np.where(y, "yes", "no")))
    return Fitted(frame, {"target": ("ill",), "group": "patient", "system": "mlp", "steps": 300})


def pictures(chance: Chance, system: str = "convnet", count: int = 4, noise: float = 0.15, **options: Any) -> Fitted:
    more = {"convnet": {"width": 8}, "resnet": {"width": 8}}.get(system, {})
    return Fitted(material.shapes(chance, 400, count=count, noise=noise), {"system": system, **more, **options})


def texts(chance: Chance, system: str = "bow", noise: float = 0.05, **options: Any) -> Fitted:
    frame = material.reviews(chance, 500, noise=noise)
    return Fitted(frame, {"text": ("text",), "target": ("opinion",), "system": system, **options})


def writing(chance: Chance, system: str = "gpt", **options: Any) -> Fitted:
    corpus = Corpus("prose", [material.prose(chance, 6_000)], True)
    return Fitted(corpus, {"task": "write", "system": system, "context": 48, **options}, "loss")


def playing(chance: Chance) -> Fitted:
    """The first moments of DQN in CartPole, with gipi's own settings but for its size."""
    options = {"hidden": (64, 64), "steps": 500, "first_moves": 300, "explore_moves": 600, "moves": 128, "batches": 64}
    return Fitted("gym:CartPole-v1", options, "return")


def game(chance: Chance, steps: int = 400) -> Fitted:
    return Fitted("digits", {"task": "generate", "system": "gan", "width": 8, "steps": steps}, "frechet")


def compressing(chance: Chance) -> Fitted:
    options = {"task": "compress", "code": 8, "steps": 150}
    return Fitted(material.shapes(chance, 300)[0], options, "mse")


def own_sound(chance: Chance, kind: str = "logarithms", data: str = "table") -> Fitted:
    """A network or loss of a person's own that is unusual, and right."""
    if kind == "logarithms":  # log_softmax twice is log_softmax
        return own(chance, data, networks.plain((32,), "relu", lambda: nn.LogSoftmax(1)))
    if kind == "brier":
        return own(chance, data, networks.plain(), loss=networks.brier)
    if kind == "nll":
        return own(chance, data, networks.plain(), loss=networks.nll_of_logarithms)
    if kind == "convolutions":
        return own(chance, "pictures", small_convolutions(), lr=5e-3, steps=200)
    return own(chance, "numbers", networks.plain((64, 64), "gelu"))


def real(chance: Chance, file: str, target: str, metric: str = "accuracy") -> Fitted:
    """A data set that people use, if it is there; a table made by code if not."""
    path = Path(SHARED or "", file)
    if not SHARED or not path.exists():
        return with_gaps(chance)
    frame = pl.read_csv(path)
    frame = frame.sample(min(1500, len(frame)), seed=int(chance.integers(10**6)))
    return Fitted(frame, {"target": (target,), "system": "mlp", "steps": 400}, metric)


FAMILIES = [
    Family("iris", (), named, ({"name": "iris", "system": "linear"}, {"name": "iris", "steps": 300})),
    Family("wine", (), named, ({"name": "wine", "steps": 300, "system": "mlp"},)),
    Family("breast-cancer", (), named, ({"name": "breast-cancer", "steps": 300, "system": "mlp"},)),
    Family("diabetes", (), named, ({"name": "diabetes", "steps": 300, "system": "mlp"},)),
    Family("digits", (), named, ({"name": "digits", "system": "convnet", "width": 8, "steps": 150},)),
    Family("noisy-labels", (), mlp, ({"noise": 0.4},), {"noise": Between(0.3, 0.6)}),
    Family("tiny", (), tiny, ({},), {"rows": Between(50, 90)}),
    Family("imbalanced", (), imbalanced, ({}, {"class_weight": "none"}), {"share": Between(0.04, 0.12)}),
    Family("little-to-know", (), regression, ({}, {"system": "linear"}), {"r2": Between(0.08, 0.2)}),
    Family("skewed", (), skewed, ({},), {}),
    Family(
        "deep",
        (),
        mlp,
        ({"hidden": (32,) * 8, "norm": "batch", "dropout": 0.0}, {"hidden": (48,) * 5, "dropout": 0.0}),
        {"hidden": ((32,) * 8, (64,) * 6), "norm": ("batch", "layer"), "dropout": (0.0,)},
    ),
    Family(
        "large-step-with-schedule",
        (),
        mlp,
        ({"optimizer": "momentum", "lr": 0.2, "schedule": "one-cycle", "warmup": 0.3},),
        {"optimizer": ("momentum",), "lr": Between(0.1, 0.3), "schedule": ("one-cycle",), "warmup": (0.3,)},
    ),
    Family("dropout", (), mlp, ({"dropout": 0.5},), {"dropout": Between(0.3, 0.5)}),
    Family("sigmoid", (), mlp, ({"activation": "sigmoid", "hidden": (32,), "lr": 0.01},), {}),
    Family("tanh", (), mlp, ({"activation": "tanh", "hidden": (64, 64)},), {}),
    Family("smoothed", (), mlp, ({"label_smoothing": 0.1, "averaging": "swa"},), {"label_smoothing": (0.1, 0.2)}),
    Family("ensemble", (), mlp, ({"ensemble": 3, "steps": 200},), {}),
    Family("long-plateau", (), parity, ({},), {"bits": (2, 3)}),
    Family("many-categories", (), many_categories, ({},), {"count": Between(50, 200)}),
    Family("strong-column", (), strong_column, ({}, {"share": 0.98}), {"share": Between(0.9, 0.985)}),
    Family("few-values", (), few_values),
    Family("gaps", (), with_gaps),
    Family("by-time", (), by_time),
    Family("by-group", (), by_group),
    Family("pictures", (), pictures, ({"steps": 120}, {"system": "resnet", "steps": 120}), {"steps": (100, 150)}),
    Family("texts", (), texts, ({"epochs": 8}, {"system": "lstm", "width": 32, "steps": 100}), {"epochs": (6, 10)}),
    Family(
        "writing",
        (),
        writing,
        ({"size": "mini", "steps": 150}, {"system": "lstm", "width": 64, "steps": 120}),
        {"size": ("mini",), "steps": (120, 200)},
    ),
    Family("playing", (), playing),
    Family("game", (), game),
    Family("compressing", (), compressing),
    Family(
        "own",
        (),
        own_sound,
        ({"kind": "logarithms"}, {"kind": "brier"}, {"kind": "convolutions"}, {"kind": "numbers"}),
        {"kind": ("logarithms", "brier", "nll", "convolutions", "numbers")},
    ),
    Family("titanic", (), real, ({"file": "titanic/train.csv", "target": "Survived"},)),
    Family(
        "california",
        (),
        real,
        ({"file": "california_housing/housing.csv", "target": "median_house_value", "metric": "rmse"},),
    ),
]
