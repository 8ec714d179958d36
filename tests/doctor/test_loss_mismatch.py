"""Losses that do not fit what the network gives are found, each for its own reason; sound ones are left alone."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from trained import X, Y, dense, finding

from gipi.doctor import View
from gipi.doctor.checks.loss_mismatch import check

found = partial(finding, "loss-mismatch")


Z = X @ np.arange(6, dtype=np.float32)


def said(tmp_path, **options):
    one = found(tmp_path, steps=40, **options)
    return one.cause if one else None


def test_a_sum_in_place_of_a_mean(tmp_path):
    summed = lambda output, y: F.cross_entropy(output, y, reduction="sum")  # noqa: E731
    one = found(tmp_path, model=dense(), loss=summed, optimizer="momentum", lr=1e-3)
    assert one and one.severity == "problem" and "sum of its rows" in one.cause
    assert found(tmp_path / "adam", model=dense(), loss=summed).severity == "warning"  # which forgets the scale
    twice = said(tmp_path / "twice", model=dense(), loss=lambda output, y: F.cross_entropy(output, y) / len(y))
    assert "once more" in twice


def test_columns_against_rows(tmp_path):
    cause = said(tmp_path, data=(X, Z), model=dense(), loss=lambda output, y: ((output - y[:, 0]) ** 2).mean())
    assert "(B, B)" in cause


def test_scores_for_a_loss_that_wants_logarithms(tmp_path):
    assert "falls without end" in said(tmp_path, model=dense(), loss=F.nll_loss)
    assert "falls without end" in said(tmp_path / "softmax", model=dense(nn.Softmax(1)), loss=F.nll_loss)


def test_a_sigmoid_before_a_softmax(tmp_path):
    assert "ends in a sigmoid" in said(tmp_path, model=dense(nn.Sigmoid()))
    assert "ends in a tanh" in said(tmp_path / "tanh", model=dense(nn.Tanh()))
    squeezed = said(tmp_path / "loss", model=dense(), loss=lambda output, y: F.cross_entropy(output.sigmoid(), y))
    assert "squeezes" in squeezed


def test_a_softmax_over_the_rows(tmp_path):
    assert "over the rows" in said(tmp_path, model=dense(nn.Softmax(0)))


def test_squares_of_class_numbers(tmp_path):
    def squares(output, y):
        return (output - y[:, None].float()).square().mean()

    one = found(tmp_path, model=dense(), loss=squares)
    assert "class numbers" in one.cause and one.remedies[0].changes == {"loss": "cross_entropy"}
    assert "never looks at" in said(
        tmp_path / "unseen", data=(X, Y % 2), model=dense(), loss=lambda output, y: (output[:, 1] - y).square().mean()
    )


def test_a_sign_that_is_turned(tmp_path):
    assert said(tmp_path, model=dense(), loss=lambda output, y: -F.cross_entropy(output, y).clamp(max=3))
    assert said(tmp_path / "number", data=(X, Z), model=dense(), loss=lambda o, y: (o - y).clamp(min=0).mean())


def test_an_end_that_does_not_reach_the_targets(tmp_path):
    assert "can never give" in said(tmp_path, data=(X, Z), model=dense(nn.ReLU()))
    assert "can never give" in said(tmp_path / "tanh", data=(X, Z), model=dense(nn.Tanh()))


def test_sound_losses(tmp_path):
    def brier(output, y):
        return (output.softmax(1) - F.one_hot(y, 3)).square().sum(1).mean()

    sound = [
        {"model": dense()},
        {"model": dense(), "loss": brier},
        {"model": dense(), "loss": nn.MultiMarginLoss()},
        {"model": dense(), "loss": lambda output, y: F.cross_entropy(output, y, torch.tensor([1.0, 5.0, 0.2]))},
        {"model": dense(nn.LogSoftmax(1)), "loss": F.nll_loss},
        {"model": dense(), "loss": lambda output, y: F.mse_loss(output, F.one_hot(y, 3).float())},
        {"model": dense(), "data": (X, Z)},
        {"model": dense(), "data": (X, Z), "loss": nn.SmoothL1Loss()},
        {"model": dense(), "data": (X, np.stack([Z, X[:, 0]], 1))},
        {"system": "mlp", "loss": "focal"},
    ]
    for number, options in enumerate(sound):
        assert said(tmp_path / str(number), **options) is None, number


def test_by_a_loss_that_was_only_seen():
    def named(name, **output):
        seen = [{"output": {"shape": [32, 4], "spread": 0.1, "size": 0.5, **output}}] * 3
        return check(View(probes={"recognised": name}, visits=seen))

    assert named("mse of pairs") and named("cross_entropy sum") and named("nll of scores")
    assert named("cross_entropy", in_unit=True) and named("bce", in_unit=True)
    assert named("cross_entropy") is None and named("bce") is None and named("") is None
    assert named("nll of scores", is_log_distribution=True) is None
