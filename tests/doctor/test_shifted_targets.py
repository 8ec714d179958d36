"""Targets that slipped by rows, places or classes are found; what is only alike in time is not."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from trained import X, Y, dense, finding

from gipi.doctor import View
from gipi.doctor.checks.shifted_targets import check

random = np.random.default_rng(1)
found = partial(finding, "shifted-targets")


Z = X @ np.arange(6, dtype=np.float32)


def test_labels_that_slipped_by_a_row(tmp_path):
    one = found(tmp_path, data=(X, np.roll(Y, 1)), system="mlp", steps=30)
    assert one and one.severity == "problem" and one.evidence["by"] == 1
    assert found(tmp_path / "numbers", data=(X, np.roll(Z, -2)), system="mlp", steps=30).evidence["by"] == -2


def test_pictures_whose_labels_slipped(tmp_path):
    y = np.arange(300) * 7 % 3
    pictures = random.integers(0, 60, (300, 8, 8, 1), dtype=np.uint8)
    for row, label in enumerate(y):
        pictures[row, 2 * label : 2 * label + 3] += 150
    y = random.permutation(300)
    labels = (np.arange(300) * 7 % 3)[y]
    shown = pictures[y]
    assert found(tmp_path, data=(shown, np.roll(labels, 1)), system="linear", steps=10)
    assert found(tmp_path / "right", data=(shown, labels), system="linear", steps=10) is None


def test_classes_that_are_counted_from_one(tmp_path):
    one = found(tmp_path, model=dense(), loss=lambda output, y: F.cross_entropy(output, (y + 1) % 3), steps=30)
    assert one and one.evidence["what"] == "classes" and "off by one" in one.cause

    def own_loop(counts, outputs=4):
        return check(View(y=np.repeat(np.arange(4), counts), target_kind="class", labels=range(outputs)))

    assert own_loop([0, 40, 35, 38]).name == "shifted-targets"
    assert own_loop([3, 40, 35, 38]) is None
    assert own_loop([0, 40, 35, 38], outputs=9) is None  # outputs are left at the end too: something else
    assert own_loop([0, 90, 1, 1]) is None  # rare, perhaps


def test_what_is_alike_in_time_has_not_slipped(tmp_path):
    walk = np.cumsum(random.normal(size=405))
    lags = np.stack([walk[k : 400 + k] for k in range(5)], 1)
    assert found(tmp_path, data=(lags[:, :4], lags[:, 4]), system="mlp", steps=20) is None
    noise = random.normal(size=405)  # what is to come cannot be told, what was stands in the columns
    lags = np.stack([noise[k : 400 + k] for k in range(5)], 1)
    assert found(tmp_path / "noise", data=(lags[:, :4], lags[:, 4]), system="mlp", steps=20) is None
    assert found(tmp_path / "sorted", data=(X[np.argsort(Y)], np.sort(Y)), system="mlp", steps=20) is None


def test_labels_at_random(tmp_path):
    for seed in range(3):
        y = np.random.default_rng(seed).integers(0, 4, 400)
        assert found(tmp_path / str(seed), data=(X, y), system="linear", steps=10) is None


class Letters:
    """A stream of windows, and what stands so many places on."""

    def __init__(self, ahead):
        text = torch.randint(0, 9, (2000,), generator=torch.Generator().manual_seed(0))
        self.text, self.ahead, self.draw = text, ahead, torch.Generator().manual_seed(1)

    def __next__(self):
        starts = torch.randint(0, 1900, (16, 1), generator=self.draw)
        places = starts + torch.arange(12)
        return self.text[places], self.text[places + self.ahead]


def test_texts(tmp_path):
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    loss = lambda output, y: F.cross_entropy(output.flatten(0, 1), y.flatten())  # noqa: E731
    for ahead in (0, 1, 2):
        one = found(tmp_path / str(ahead), data=Letters(ahead), model=model, loss=loss, steps=8)
        assert (one is None) == (ahead == 1)
