"""Networks that cannot learn eight rows by heart are found; slow, deep or regularised ones that can are not."""

from functools import partial

import numpy as np
import torch
from torch import nn
from trained import X, Y, dense, finding

from gipi.doctor import View
from gipi.doctor.checks.cannot_memorise import check

random = np.random.default_rng(1)
found = partial(finding, "cannot-memorise")


class Blind(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.body, self.head = nn.Linear(sizes.input[0], 16), nn.Linear(16, sizes.output)

    def forward(self, x):
        return self.head(self.mixed(self.body(x).relu()))

    def mixed(self, h):
        return h * 0


class Scrambled(Blind):
    def mixed(self, h):
        return h.t().reshape(h.shape)


class Noisy(Blind):
    def mixed(self, h):
        return h + 20 * torch.randn_like(h)


def test_an_input_that_never_arrives(tmp_path):
    one = found(tmp_path, model=Blind)
    assert one and one.severity == "problem" and one.evidence["last"] > 0.95 * one.evidence["expected"]
    assert one.plot and len(one.plot.labels) == 5  # three step sizes between guessing and right answers


def test_rows_that_are_mixed_up(tmp_path):
    one = found(tmp_path, model=Scrambled, steps=60)
    assert one and "mixes rows up" in one.cause


def test_noise(tmp_path):
    one = found(tmp_path, model=Noisy)
    assert one and "drowns" in one.cause


def test_dropout_that_leaves_nothing(tmp_path):
    model = lambda sizes: nn.Sequential(nn.Dropout(0.98), dense()(sizes))  # noqa: E731
    one = found(tmp_path, model=model)
    assert one and "dropout" in one.cause
    half = lambda sizes: nn.Sequential(*dense()(sizes)[:2], nn.Dropout(0.5), nn.Linear(16, 3))  # noqa: E731
    assert found(tmp_path / "half", model=half) is None


def test_a_bad_step_size_is_no_broken_model(tmp_path):
    assert found(tmp_path, model=dense(), lr=1e-9) is None
    assert found(tmp_path / "large", model=dense(), lr=30.0) is None


def test_labels_at_random_can_be_learned_by_heart(tmp_path):
    assert found(tmp_path, data=(X, random.permutation(Y)), model=dense()) is None


def test_what_has_learned_can_learn():
    tried = {"last": 1.0, "expected": 1.1, "floor": 0.0, "rows": 8, "steps": 60, "sizes": [[0.003, 1.0, 60]]}
    first = {"loss": 1.1, "constant": 1.1, "expected": 1.1}
    probes = {"memorised": tried, "first": first}
    assert check(View(probes=probes)).name == "cannot-memorise"
    assert check(View(probes=probes, history=[{"epoch": 1, "train": {"learner": 0.5}}])) is None
    assert check(View(probes={"memorised": {"skipped": "too large"}})) is None
    lost = {**tried, "last": None, "sizes": [[0.003, None, 60]]}
    assert check(View(probes={"memorised": lost})).evidence["last"] is None


def test_what_begins_far_off_is_coming_back():
    tried = {"first": 900.0, "last": 795.0, "expected": 1.0, "floor": 0.0, "sizes": [[0.03, 795.0, 60]]}
    assert check(View(probes={"memorised": tried})) is None
    assert check(View(probes={"memorised": {**tried, "random": 1.0}}))
