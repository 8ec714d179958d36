"""The doctor beside each system, on each kind of data it takes: it breaks nothing, changes nothing, cries no wolf.

The data is small but sound, so nothing of severity "problem" may be said of it. Runs are too short to be good: findings
on too little training are looked at elsewhere.
"""

import dataclasses
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits

import gipi
from gipi import systems, tasks
from gipi.errors import DoctorWarning
from gipi.training.log_file import read_visits

SMALL = {
    "hidden": (8, 6),
    "width": 8,
    "size": "mini",
    "patch": 4,
    "latent": 16,
    "code": 8,
    "first_moves": 200,
    "moves": 32,
    "batches": 8,
    "copy_every": 8,
    "explore_moves": 400,
    "memory": 2000,
    "layers": 1,
    "heads": 2,
    "crop": 16,
    "blocks": 1,
    "buckets": 512,
    "dimension": 8,
    "min_count": 1,
    "members": 4,
    "projection": 8,
}
OF_SYSTEM = {
    "bert": {"size": "tiny", "width": 16},
    "gpt": {"size": "tiny", "width": 16},
    "resnet": {"layers": 18, "width": 4},
    "unet": {"depth": 2},
    "seq2seq": {"layers": 1},
}
QUICK = {"quiet": True, "verdict": False, "threads": 1, "device": "cpu", "seed": 1}
STEPS = 12
BY_RULES = ("perceptron", "word2vec")  # no gradients, or not on so few steps
WORDS = ("river", "stone", "lantern", "winter", "garden", "copper", "silent", "morning", "harbour", "window", "thunder")
IN_THE_END = ("underfitting", "step-too-small", "plateau")  # too few steps to be judged by
DIGITS: Any = load_digits()
PICTURES = (DIGITS.images[:240] * 15.9).astype(np.uint8)


class Corridor:
    """Eight places; only the last one pays."""

    name, features, actions = "corridor", 8, 2

    def reset(self, seed: int) -> np.ndarray:
        self.moves, self.place = 0, int(np.random.default_rng(seed).integers(6))
        return np.eye(8, dtype=np.float32)[self.place]

    def step(self, action: int):
        self.moves += 1
        self.place = max(0, min(7, self.place + (1 if action else -1)))
        return np.eye(8, dtype=np.float32)[self.place], float(self.place == 7), self.place == 7, self.moves >= 30


def cases():
    """Each system with each task and kind of data; the quick ones are a case of each system, and of each task."""
    found, seen = [], set()
    for name in systems.names():
        described = systems.describe(name)
        for task in described.tasks:
            for kind in described.kinds:
                if kind in tasks.load(task).default:
                    is_new = not {name, (task, kind)} <= seen
                    seen |= {name, (task, kind)}
                    found.append(pytest.param(name, task, kind, marks=() if is_new else pytest.mark.slow))
    return found


def table(rows=240):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 3))
    worth = x[:, 0] - x[:, 1] + 0.3 * random.normal(size=rows)
    kind = random.choice(["red", "blue"], rows)
    frame = {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "colour": kind}
    return pl.DataFrame(frame), np.where(worth > 0, "up", "down"), worth


def sentences(count, seed=0):
    """Sentences of words drawn at random, no two of them the same."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(6, 10))) for _number in range(count)]


def pictures_with_answers(task):
    random = np.random.default_rng(0)
    x = random.normal(120, 20, (24, 32, 32))
    y = np.zeros((24, 32, 32), np.uint8)
    for n, (top, left) in enumerate(random.integers(2, 18, (24, 2))):
        x[n, top : top + 12, left : left + 12] += 80
        y[n, top : top + 12, left : left + 12] = 1
    x = x.clip(0, 255).astype(np.uint8)
    return (x, y) if task == "segment" else x


def tagged(folder):
    """Words and their tags, sentence by sentence."""
    lines = []
    for sentence in sentences(120):
        lines.append("\n".join(f"{word}\t{'B-WT' if word in WORDS[:4] else 'O'}" for word in sentence.split()))
    (folder / "tagged.tsv").write_text("\n\n".join(lines) + "\n")
    return folder / "tagged.tsv"


def data_of(name, task, kind, folder):
    """Small and sound data for a task, and the options that go with it."""
    if kind == "environment":
        return Corridor, {}
    if task == "cluster":
        return table()[0], {"no_target": True}
    if kind == "table":
        frame, label, worth = table()
        return frame.with_columns(target=pl.Series(label if task == "classify" else worth)), {"target": "target"}
    if task in ("segment", "upscale"):
        return pictures_with_answers(task), {}
    if kind == "picture" and task in ("classify", "regress"):
        times = 4 if name in ("alexnet", "googlenet") else 2  # they need 32 pixels
        x = np.kron(PICTURES[: 160 // times], np.ones((1, times, times), np.uint8))
        ink = x.mean((1, 2)).astype(np.float64)
        return (x, np.where(ink > np.median(ink), "dark", "light") if task == "classify" else ink), {}
    if kind == "picture":
        return PICTURES, {}
    return data_of_text(task, folder)


def data_of_text(task, folder):
    if task in ("write", "fill", "relate"):
        (folder / "text.txt").write_text(".\n".join(sentences(400)) + "\n")
        more = {} if task == "relate" else {"context": 32}
        return folder / "text.txt", {"tokenizer": "words", **more} if task != "relate" else {}
    if task == "tag":
        return tagged(folder), {"tokenizer": "words"}
    ours = sentences(100)
    if task == "chat":
        frame = pl.DataFrame({"asked": ours, "said": sentences(100, 1)})
        return frame, {"text": ("asked",), "target": "said", "tokenizer": "words", "context": 32}
    if task == "translate":
        frame = pl.DataFrame({"en": ours, "other": [" ".join(word[::-1] for word in one.split()) for one in ours]})
        return frame, {"text": ("en",), "target": "other", "tokenizer": "words"}
    count = np.array([sum(word in WORDS[:5] for word in one.split()) for one in ours])
    y = np.where(count > np.median(count), "many", "few") if task == "classify" else count + 0.5
    return pl.DataFrame({"said": ours, "target": y}), {"target": "target", "text": ("said",)}


def fitted(name, task, kind, folder, doctor):
    system = systems.load(name)
    known = {field.name for field in dataclasses.fields(system.Config)}
    chosen = {**SMALL, **OF_SYSTEM.get(name, {})}
    if name == "vit":
        chosen |= {"width": 16}
    data, options = data_of(name, task, kind, folder)
    options |= {"lr": 1e-3, "steps": 5} if name in ("alexnet", "googlenet") else {"steps": STEPS}
    options |= {option: value for option, value in chosen.items() if option in known}
    place = folder / ("with" if doctor else "without")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DoctorWarning)
        run = gipi.fit(data, task=task, system=name, run=place, doctor=doctor, **QUICK, **options)
    return run


@pytest.mark.parametrize(("name", "task", "kind"), cases())
def test_it_looks_and_changes_nothing(name, task, kind, tmp_path):
    with_it, without = (fitted(name, task, kind, tmp_path, doctor) for doctor in (True, False))
    visits = read_visits(with_it.path)
    assert visits or name in BY_RULES
    assert not [visit for visit in visits if "failed" in visit]
    wrong = [one for one in with_it.doctor() if one.severity == "problem" and one.name not in IN_THE_END]
    assert not wrong, "\n".join(f"{one.name}: {one} {dict(one.evidence)}" for one in wrong)
    assert without.doctor() == []
    for net, other in zip(with_it.model.members, without.model.members, strict=True):
        mine, theirs = net.state_dict(), other.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
