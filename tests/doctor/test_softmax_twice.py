"""A softmax of a softmax is found, whoever takes it; each of the sound ways to take one is left alone."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from trained import dense, finding

from gipi.doctor import View
from gipi.doctor.checks.softmax_twice import check

found = partial(finding, "softmax-twice")


def test_a_network_that_ends_in_one(tmp_path):
    one = found(tmp_path, model=dense(nn.Softmax(1)))
    assert one and one.severity == "problem" and one.evidence["network_ends_in_softmax"]
    assert abs(one.evidence["floor"] - 0.5514) < 1e-3  # log(e + 2) - 1


def test_a_loss_that_takes_one(tmp_path):
    one = found(tmp_path, model=dense(), loss=lambda output, y: F.cross_entropy(output.softmax(1), y))
    assert one and not one.evidence["network_ends_in_softmax"]


def test_sound_ways(tmp_path):
    def brier(output, y):
        return (output.softmax(1) - F.one_hot(y, 3)).square().sum(1).mean()

    def of_probabilities(output, y):
        return F.nll_loss(output.clamp_min(1e-9).log(), y)

    def smooth(output, y):
        return F.cross_entropy(output, y, label_smoothing=0.3)

    sound = [
        {"model": dense()},
        {"model": dense(), "loss": smooth},
        {"model": dense(nn.LogSoftmax(1)), "loss": F.nll_loss},
        {"model": dense(nn.LogSoftmax(1))},  # once more changes nothing
        {"model": dense(nn.Softmax(1)), "loss": of_probabilities},
        {"model": dense(), "loss": brier},
        {"model": dense(), "loss": lambda output, y: F.cross_entropy(output, y, torch.tensor([1.0, 5.0, 0.2]))},
    ]
    for number, options in enumerate(sound):
        assert found(tmp_path / str(number), steps=30, **options) is None, number


def test_by_a_loss_that_was_only_seen():
    ends = [{"step": 2, "output": {"shape": [32, 4], "is_distribution": True}}] * 3
    assert check(View(probes={"recognised": "cross_entropy"}, visits=ends)).severity == "problem"
    scores = [{"step": 2, "output": {"shape": [32, 4], "is_distribution": False}}] * 3
    assert check(View(probes={"recognised": "cross_entropy of softmax"}, visits=scores))
    assert check(View(probes={"recognised": "cross_entropy"}, visits=scores)) is None
    assert check(View(probes={"wanted": {"failed": "x"}})) is None
