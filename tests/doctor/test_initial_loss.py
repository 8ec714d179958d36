"""A network that is sure before it has learned anything is found; one that begins as is usual is not."""

from functools import partial

import torch
from trained import X, Y, dense, finding

from gipi.doctor import View
from gipi.doctor.checks.initial_loss import check

found = partial(finding, "initial-loss")


def changed(factor=1.0, bias=0.0):
    def made(sizes):
        net = dense()(sizes)
        with torch.no_grad():
            net[2].weight.mul_(factor)
            net[2].bias[0] += bias
        return net

    return made


def test_weights_that_begin_too_large(tmp_path):
    one = found(tmp_path, model=changed(100.0))
    assert one and one.evidence["loss"] > 2.5 * one.evidence["expected"] and one.evidence["expected"] > 1.09
    assert "guessing costs 1.1" in one.cause and one.remedies and one.plot


def test_a_bias_that_begins_far_off(tmp_path):
    one = found(tmp_path, data=(X, X[:, 0] * 2), model=changed(bias=30.0))
    assert one and one.severity == "problem"  # in 120 steps it does not come back


def test_inputs_that_are_not_scaled(tmp_path):
    one = found(tmp_path, data=(X * 1000, Y), model=dense(), scale="none")
    assert one and "inputs of size" in one.cause and one.remedies[0].changes == {"scale": "standard"}


def test_usual_beginnings(tmp_path):
    assert found(tmp_path, model=dense()) is None
    assert found(tmp_path / "he", system="mlp", activation="relu", lr=1e-3) is None
    assert found(tmp_path / "numbers", data=(X, X[:, 0] * 1000 + 5000), model=dense()) is None
    rare = (X[:, 0] > 1.6).astype(int)
    assert found(tmp_path / "rare", data=(X, rare), model=dense()) is None


def test_it_is_no_more_than_a_warning_where_the_run_has_learned():
    first = {"loss": 40.0, "expected": 2.303, "constant": 2.3, "kind": "class", "rows": 64, "scale": 1.0}
    first["classes"] = 10
    history = [{"epoch": 1, "step": 9, "train": {"learner": 0.1}}]
    assert check(View(probes={"first": first})).severity == "problem"
    assert check(View(probes={"first": first}, history=history)).severity == "warning"
    assert check(View(probes={"first": first}, options={"weights": "other"})) is None
    for broken in ({}, {"failed": "x"}, {"loss": None, "expected": 1.0}, {"loss": float("nan"), "expected": 1.0}):
        assert check(View(probes={"first": broken})) is None
    assert check(View(probes={"first": {**first, "loss": 3.9}})).severity == "note"
    large = {**first, "loss": 13.5, "expected": 10.82, "classes": 50_000}  # two nats are little there
    assert check(View(probes={"first": {**first, "expected": 0.01}})) is None  # a loss of another kind
    assert check(View(probes={"first": large})) is None
