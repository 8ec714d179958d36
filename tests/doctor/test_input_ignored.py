"""A network that answers alike whatever it is given is found; one that looks at its inputs is not."""

from functools import partial

import numpy as np
from torch import nn
from trained import X, Y, dense, finding

from gipi.doctor import View
from gipi.doctor.checks.input_ignored import check

random = np.random.default_rng(1)
found = partial(finding, "input-ignored")


class Blind(nn.Module):
    def __init__(self, sizes, how="mean"):
        super().__init__()
        self.body, self.head, self.how = nn.Linear(sizes.input[0], 16), nn.Linear(16, sizes.output), how

    def forward(self, x):
        h = self.body(x).relu()
        return self.head(h.mean(0, keepdim=True).expand_as(h) if self.how == "mean" else h * 0)


def test_rows_that_become_alike(tmp_path):
    one = found(tmp_path, model=Blind)
    assert one and one.severity == "problem" and one.evidence["apart"] < 1e-6
    assert found(tmp_path / "zero", model=lambda sizes: Blind(sizes, "zero")).severity == "problem"


def test_inputs_that_say_nothing(tmp_path):
    """Nothing is broken there: it is no problem, and at most a warning."""
    one = found(tmp_path, data=(X, random.permutation(Y)), model=dense(), weight_decay=0.5)
    assert one is None or one.severity == "warning"


def test_a_network_that_looks(tmp_path):
    assert found(tmp_path, model=dense()) is None
    assert found(tmp_path / "mlp", system="mlp") is None


def test_a_last_layer_of_zeros_is_no_fault(tmp_path):
    def made(sizes):
        net = dense()(sizes)
        nn.init.zeros_(net[2].weight)
        return net

    assert found(tmp_path, model=made) is None


def test_by_numbers():
    exchanged = {"plain": 1.1, "shuffled": 1.1, "error": 1e-3, "apart": 0.5, "rows": 200}
    assert check(View(probes={"shuffled": exchanged})).severity == "warning"
    assert check(View(probes={"shuffled": {**exchanged, "error": 0.1}})) is None  # too few rows to be sure
    assert check(View(probes={"shuffled": {**exchanged, "shuffled": 2.0}})) is None
    alike = {"shape": [32, 3], "spread": 0.0, "size": 0.4}
    loop = [{"step": step, "output": alike} for step in (2, 20, 40)] + [{"step": 60, "failed": "x"}]
    assert check(View(visits=loop)).severity == "problem"
    assert check(View(visits=[{"step": 2, "output": {**alike, "shape": [1, 3]}}] * 3)) is None  # a batch of one row
