"""Layers that nobody moves are found: frozen, not given to the optimizer, or unknown to the network."""

from functools import partial

import torch
from torch import nn
from trained import X, Y, dense, finding

import gipi
from gipi.doctor import View
from gipi.doctor.checks.frozen_layer import check

found = partial(finding, "frozen-layer")


class Listed(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers, self.head = [nn.Linear(sizes.input[0], 16)], nn.Linear(16, sizes.output)

    def forward(self, x):
        return self.head(self.layers[0](x).relu())


def half_frozen(sizes):
    net = dense()(sizes)
    net[0].requires_grad_(False)
    return net


def test_a_layer_that_is_frozen_as_it_was_drawn(tmp_path):
    one = found(tmp_path, model=half_frozen, steps=20)
    assert one and one.severity == "problem" and one.evidence["frozen"] == ["0.weight", "0.bias"]
    assert "drawn at random" in one.cause


def test_a_layer_that_was_trained_before(tmp_path):
    before = gipi.fit((X, Y), model=dense(), steps=300, lr=0.02, quiet=True, verdict=False, run=tmp_path / "before")
    weights = [one.clone() for one in before.model.members[0].parameters()]

    def made(sizes):
        net = half_frozen(sizes)
        with torch.no_grad():
            for param, weight in zip(net[0].parameters(), weights, strict=False):
                param.copy_(weight)
        return net

    one = found(tmp_path, model=made, steps=20)
    assert one and one.severity == "warning"


def last_only(params):
    return torch.optim.SGD([*params][-2:], 0.1)


def all_of_them(params):
    return torch.optim.SGD(params, 0.1)


def test_a_layer_that_no_optimizer_has(tmp_path):
    one = found(tmp_path, model=dense(), optimizer=last_only, steps=20, lr=None)
    assert one and one.evidence["left"] == ["0.weight", "0.bias"]


def test_a_layer_in_a_list(tmp_path):
    one = found(tmp_path, model=Listed, steps=20)
    assert one and one.severity == "problem" and one.evidence["outside"] == ["layers"]


def test_sound_networks(tmp_path):
    assert found(tmp_path, model=dense(), steps=20) is None
    assert found(tmp_path / "sgd", model=dense(), optimizer=all_of_them, steps=20, lr=None) is None
    assert found(tmp_path / "tabm", system="tabm", steps=20) is None


def test_by_looks_into_a_loop():
    def look(weight, learns, gradient, update):
        one = {"count": 10, "weight": weight, "gradient": gradient, "update": update, "still": 0.0, "learns": learns}
        return {"step": 2, "parameters": {"a": one}, "layers": {}}

    assert check(View(visits=[look(1.0, False, None, None)] * 3)).evidence["frozen"] == ["a"]
    assert check(View(visits=[look(1.0, False, 0.3, None)] * 3)).evidence["left"] == ["a"]
    assert check(View(visits=[look(1.0, True, 0.3, 0.0)] * 3)).evidence["left"] == ["a"]
    assert check(View(visits=[look(1.0, True, 0.3, 0.01)] * 3)) is None
    average = [look(weight, False, None, None) for weight in (1.0, 1.1, 1.2)]  # moved by hand
    assert check(View(visits=average)) is None
    assert check(View(visits=[look(1.0, False, None, None)] * 3, options={"freeze": True})) is None
