"""Data that is not what it seems: copies, leaks, labels that contradict each other, scales, shifts.

What flatters its own test rows has no headline here (`metric=""`): the honest remedy makes the figure worse.
"""

import datetime

import material
import numpy as np
import polars as pl
from case import Between, Chance, Family, Fitted

from gipi.data.dataset import Dataset

TEXT = {"text": ("text",), "target": ("opinion",), "system": "bow", "epochs": 4}


def copies(chance: Chance, kind: str = "table", share: float = 0.3) -> Fitted:
    """Rows that came twice: collected from two places, say, and shuffled."""
    if kind == "text":
        frame = material.reviews(chance, 400)
        again = frame[chance.integers(0, len(frame), int(share * len(frame)))]
        frame = pl.concat([frame, again]).sample(fraction=1.0, shuffle=True, seed=int(chance.integers(1000)))
        return Fitted(frame, TEXT, metric="")
    is_picture = kind == "pictures"
    x, y = material.shapes(chance, 300) if is_picture else material.classes(chance, 500, noise=0.3)
    again = chance.integers(0, len(x), int(share * len(x)))
    order = chance.permutation(len(x) + len(again))
    x, y = np.concatenate([x, x[again]])[order], np.concatenate([y, y[again]])[order]
    options = {"system": "convnet", "width": 8, "steps": 60} if is_picture else {"system": "mlp", "steps": 300}
    return Fitted((x, y), options, metric="")


def identifier(chance: Chance, kind: str = "sorted", rows: int = 500) -> Fitted:
    """A number that names the row, and is learned from."""
    frame = material.table(chance, rows, noise=0.5)
    if kind == "sorted":  # the file was put together class by class, and then numbered
        frame = frame.sort("outcome")
        number = 10_000 + 3 * np.arange(rows) + chance.integers(0, 3, rows)
    elif kind == "random":  # an account's number
        number = chance.choice(10**8, rows, replace=False) + 10**8
    else:  # as it is written on a card
        number = np.array([f"K{value:06d}" for value in chance.choice(10**6, rows, replace=False)])
    frame = frame.with_columns(customer_id=pl.Series(number))
    return Fitted(
        frame.sample(fraction=1.0, shuffle=True, seed=1), {"target": ("outcome",), "system": "mlp", "steps": 200}, ""
    )


def answer_in_disguise(chance: Chance, kind: str = "code", noise: float = 0.0) -> Fitted:
    """A column that is only known when the answer is."""
    if kind == "regress":
        x, y = material.numbers(chance, 500, r2=0.6)
        frame = pl.DataFrame({f"x{n}": x[:, n] for n in range(x.shape[1])})
        frame = frame.with_columns(
            paid=pl.Series(1.19 * y + noise * y.std() * chance.normal(size=len(y))), y=pl.Series(y)
        )
        return Fitted(frame, {"target": ("y",), "system": "mlp", "steps": 300}, "")
    frame = material.table(chance, 500, noise=0.5)
    is_yes = (frame["outcome"] == "yes").to_numpy()
    is_yes = is_yes ^ (chance.random(500) < noise)
    if kind == "code":
        column = np.where(is_yes, "closed", "open")
    else:
        column = np.where(is_yes, chance.uniform(5, 9, 500), chance.uniform(0, 4, 500)).round(2)
    return Fitted(
        frame.with_columns(status=pl.Series(column)), {"target": ("outcome",), "system": "mlp", "steps": 200}, ""
    )


def shuffled_time(chance: Chance, rows: int = 700, smooth: float = 0.995, has_date: bool = True) -> Fitted:
    """A series whose neighbours are alike, split at random: the test days lie between training days."""
    walk = np.zeros((rows, 4))
    for day in range(1, rows):
        walk[day] = smooth * walk[day - 1] + chance.normal(size=4)
    walk = (walk - walk.mean(0)) / walk.std(0)
    target = 50 + 10 * walk[:, 3] + 0.5 * chance.normal(size=rows)
    days = [datetime.date(2019, 1, 1) + datetime.timedelta(days=n) for n in range(rows)]
    frame = pl.DataFrame(
        {"date": days, "demand": walk[:, 0], "index": walk[:, 1], "price": walk[:, 2], "sales": target}
    )
    if not has_date:
        frame = frame.with_columns(date=pl.Series([day.isoformat() for day in days]))
    return Fitted(frame, {"target": ("sales",), "system": "mlp", "steps": 600}, "")


def shared_groups(chance: Chance, groups: int = 50, each: int = 10, spread: float = 0.2) -> Fitted:
    """Several rows of each patient, in training and in test; who it is can be told by the columns, and tells all."""
    signature = chance.normal(size=(groups, 6))
    ill = chance.random(groups) < 0.5
    who = chance.permutation(np.repeat(np.arange(groups), each))
    x = signature[who] + spread * chance.normal(size=(len(who), 6))
    frame = pl.DataFrame({f"measure_{n}": x[:, n] for n in range(6)})
    frame = frame.with_columns(
        patient=pl.Series([f"patient {n:03d}" for n in who]), ill=pl.Series(np.where(ill[who], "yes", "no"))
    )
    return Fitted(frame, {"target": ("ill",), "system": "mlp", "steps": 300}, "")


def contradictions(chance: Chance, kind: str = "table", share: float = 0.3) -> Fitted:
    """Equal inputs whose labels differ."""
    if kind == "pictures":
        x, y = material.shapes(chance, 200)
        x, y = np.concatenate([x, x[:80]]), np.concatenate([y, (y[:80] + chance.integers(1, 4, 80)) % 4])
        return Fitted((x, y), {"system": "convnet", "width": 8, "steps": 60})
    rows = 600
    sort, size, colour = (chance.integers(0, n, rows) for n in (5, 6, 7))
    y = (sort + 2 * size + colour) % 3
    wrong = chance.random(rows) < share
    y[wrong] = chance.integers(0, 3, wrong.sum())
    frame = pl.DataFrame(
        {
            "sort": [f"s{n}" for n in sort],
            "size": [f"z{n}" for n in size],
            "colour": [f"c{n}" for n in colour],
            "grade": [f"g{n}" for n in y],
        }
    )
    return Fitted(frame, {"target": ("grade",), "system": "mlp", "steps": 300})


def rare_class(chance: Chance, kind: str = "table", share: float = 0.02) -> Fitted:
    """One class is hardly there, so a model that never says it looks good."""
    if kind == "pictures":
        x, y = material.shapes(chance, 1400)
        kept = (y == 0) | ((y == 1) & (chance.random(len(y)) < 4 * share))
        return Fitted((x[kept], y[kept] == 1), {"system": "convnet", "width": 8, "steps": 60}, "balanced_accuracy")
    x, _y = material.classes(chance, 1500)
    score = x[:, 0] + x[:, 1] - x[:, 2] + chance.normal(size=1500)
    return Fitted((x, score > np.quantile(score, 1 - share)), {"system": "mlp", "steps": 300}, "balanced_accuracy")


def no_information(chance: Chance, kind: str = "constant") -> Fitted:
    """A column that says nothing: one value, or hardly any."""
    frame = material.table(chance, 500)
    if kind == "constant":
        column = pl.Series(["euro"] * 500)
    elif kind == "number":
        column = pl.Series([2024] * 500)
    else:
        column = pl.Series([None if chance.random() < 0.97 else float(chance.normal()) for _row in range(500)])
    return Fitted(frame.with_columns(extra=column), {"target": ("outcome",), "system": "mlp", "steps": 200})


def far_targets(chance: Chance, share: float = 0.01, factor: float = 300.0, kind: str = "units") -> Fitted:
    """Some answers are far beyond all others: in another unit, or a code for what is missing."""
    x, y = material.numbers(chance, 600)
    is_far = chance.random(600) < share
    is_far[:2] = True
    y[is_far] = y[is_far] * factor if kind == "units" else -99_999.0
    return Fitted((x, y), {"system": "mlp", "steps": 400}, "mae")


def unscaled(chance: Chance, system: str = "mlp", factor: float = 1e4, offset: float = 0.0) -> Fitted:
    """Columns of very different sizes, and nobody brings them to one."""
    x, y = material.classes(chance, 600)
    x = x * np.where(np.arange(x.shape[1]) % 3 == 0, factor, 1.0) + offset
    options = {"scale": "none", "system": system, "steps": 300}
    return Fitted((x, y), {**options, "optimizer": "sgd", "lr": 0.01} if system == "linear" else options)


def few_rows(chance: Chance, rows: int = 40, columns: int = 300) -> Fitted:
    """Far more to be learned than there are rows to learn it from."""
    x, y = material.classes(chance, rows, columns, 2)
    return Fitted((x, y), {"system": "mlp", "steps": 200})


def other_test(chance: Chance, kind: str = "table", by: float = 1.5) -> Fitted:
    """The test rows come from elsewhere: another hospital, another camera."""
    if kind == "pictures":
        x, y = material.shapes(chance, 500)
        x[400:] = (255 - x[400:].astype(float) / by).clip(0, 255).astype(np.uint8)
        data = Dataset("shapes", pl.DataFrame({"label": y}), target=("label",), pictures=x[..., None])
        options = {"system": "convnet", "width": 8, "steps": 60}
    else:
        x, y = material.classes(chance, 600)
        x[480:, :4] += by
        frame = pl.DataFrame({**{f"x{n}": x[:, n] for n in range(8)}, "label": [f"c{n}" for n in y]})
        data, options = Dataset("visits", frame, target=("label",)), {"system": "mlp", "steps": 300}
    count = len(y)
    data.parts = {"train": np.arange(count - 120), "test": np.arange(count - 120, count)}
    return Fitted(data, options)


def broken(chance: Chance, kind: str = "black", share: float = 0.3) -> Fitted:
    """Pictures that show nothing, or texts in another language than the rest."""
    if kind == "text":
        frame = material.reviews(chance, 400)
        texts = [
            " ".join(chance.choice(material.KOREAN, 10)) if chance.random() < share else text
            for text in frame["text"].to_list()
        ]
        return Fitted(frame.with_columns(text=pl.Series(texts)), TEXT)
    x, y = material.shapes(chance, 400)
    bad = chance.random(400) < share
    if kind == "black":
        x[bad] = 0
    elif kind == "alike":  # a placeholder: picture not found
        x[bad] = chance.integers(0, 255, x.shape[1:]).astype(np.uint8)
    else:  # the lower part did not arrive
        x[bad, 2:] = 128
    return Fitted((x, y), {"system": "convnet", "width": 8, "steps": 60})


FAMILIES = [
    Family(
        "duplicate-rows",
        ("duplicate-rows",),
        copies,
        ({"kind": "table"}, {"kind": "pictures", "share": 0.2}, {"kind": "text"}),
        {"kind": ("table", "pictures", "text"), "share": Between(0.1, 0.5)},
    ),
    Family(
        "identifier-column",
        ("identifier-column",),
        identifier,
        ({"kind": "sorted"}, {"kind": "random"}, {"kind": "card"}),
        {"kind": ("sorted", "random", "card"), "rows": Between(300, 900)},
    ),
    Family(
        "target-leak",
        ("target-leak",),
        answer_in_disguise,
        ({"kind": "code"}, {"kind": "number", "noise": 0.01}, {"kind": "regress", "noise": 0.02}),
        {"kind": ("code", "number", "regress"), "noise": Between(0.0, 0.02)},
    ),
    Family(
        "careless-leak",  # written down with errors, of a twentieth to a tenth of the rows
        ("target-leak",),
        answer_in_disguise,
        ({"kind": "code", "noise": 0.05}, {"kind": "code", "noise": 0.1}, {"kind": "number", "noise": 0.07}),
        {"kind": ("code", "number"), "noise": Between(0.05, 0.1)},
    ),
    Family(
        "time-leak",
        ("time-leak",),
        shuffled_time,
        ({}, {"smooth": 0.98, "has_date": False}),
        {"rows": Between(400, 1200), "smooth": Between(0.98, 0.999), "has_date": (True, False)},
    ),
    Family(
        "group-leak",
        ("group-leak",),
        shared_groups,
        ({}, {"groups": 30, "each": 20, "spread": 0.4}),
        {"groups": Between(25, 80), "each": Between(6, 20), "spread": Between(0.05, 0.4)},
    ),
    Family(
        "contradictory-labels",
        ("contradictory-labels",),
        contradictions,
        ({"kind": "table"}, {"kind": "pictures"}),
        {"kind": ("table", "pictures"), "share": Between(0.15, 0.5)},
    ),
    Family(
        "class-imbalance",
        ("class-imbalance",),
        rare_class,
        ({"kind": "table"}, {"kind": "pictures", "share": 0.02}),
        {"kind": ("table", "pictures"), "share": Between(0.01, 0.03)},
    ),
    Family(
        "constant-column",
        ("constant-column",),
        no_information,
        ({"kind": "constant"}, {"kind": "empty"}),
        {"kind": ("constant", "number", "empty")},
    ),
    Family(
        "outlier-target",
        ("outlier-target",),
        far_targets,
        ({}, {"kind": "code", "share": 0.02}),
        {"kind": ("units", "code"), "share": Between(0.004, 0.03), "factor": Between(60.0, 1000.0, log=True)},
    ),
    Family(
        "unscaled-input",
        ("unscaled-input",),
        unscaled,
        ({"system": "mlp"}, {"system": "linear", "factor": 300.0}, {"system": "mlp", "factor": 1.0, "offset": 2e3}),
        {"system": ("mlp", "linear"), "factor": Between(300.0, 1e5, log=True)},
    ),
    Family(
        "too-little-data",
        ("too-little-data",),
        few_rows,
        ({}, {"rows": 24, "columns": 60}),
        {"rows": Between(20, 50), "columns": Between(100, 500)},
    ),
    Family(
        "distribution-shift",
        ("distribution-shift",),
        other_test,
        ({"kind": "table"}, {"kind": "pictures"}),
        {"kind": ("table", "pictures"), "by": Between(1.0, 2.5)},
    ),
    Family(
        "broken-inputs",
        ("broken-inputs",),
        broken,
        ({"kind": "black"}, {"kind": "alike", "share": 0.2}, {"kind": "text"}),
        {"kind": ("black", "alike", "cut", "text"), "share": Between(0.15, 0.4)},
    ),
]
