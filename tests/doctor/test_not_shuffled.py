"""Batches in the order of their labels, or always in the same order, are found; random ones are not."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from trained import X, Y, finding

from gipi.doctor import View
from gipi.doctor.checks.not_shuffled import check

random = np.random.default_rng(1)
found = partial(finding, "not-shuffled")


class Batches:
    def __init__(self, order, at_random=False):
        self.x, self.y, self.at = torch.from_numpy(X[order]), torch.from_numpy(Y[order]), 0
        self.draw = torch.Generator().manual_seed(0) if at_random else None

    def __next__(self):
        places = (torch.arange(25) + 25 * self.at) % len(self.x)
        if self.draw is not None:
            places = torch.randint(0, len(self.x), (25,), generator=self.draw)
        self.at += 1
        return self.x[places], self.y[places]


def streamed(tmp_path, batches, steps=60):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return found(tmp_path, data=batches, model=model, loss=F.cross_entropy, steps=steps)


def test_rows_class_by_class(tmp_path):
    one = streamed(tmp_path, Batches(np.argsort(Y, kind="stable")))
    assert one and one.severity == "problem" and one.evidence["share"] > 0.5 and one.plot


def test_always_the_same_order(tmp_path):
    one = streamed(tmp_path, Batches(np.arange(400)))
    assert one and one.severity == "warning" and one.evidence["period"] == 16


def test_random_batches(tmp_path):
    assert streamed(tmp_path, Batches(np.arange(400), at_random=True)) is None
    assert found(tmp_path / "mlp", system="mlp", steps=20) is None


def test_by_chance_it_is_hardly_ever_found():
    from gipi.doctor.alignment import order

    for seed in range(50):
        draw = np.random.default_rng(seed)
        labels = draw.choice(10, 1000, p=[0.55, *[0.05] * 9])
        assert check(View(probes={"order": order(np.split(labels, 20))})) is None
        assert check(View(probes={"order": order(np.split(draw.normal(size=1000), 20))})) is None


def test_numbers_in_their_order():
    from gipi.doctor.alignment import order

    assert check(View(probes={"order": order(np.split(np.sort(random.normal(size=1000)), 20))})).severity == "problem"
    assert order([np.zeros(10)] * 10) is None and order([]) is None
