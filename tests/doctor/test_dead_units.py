"""ReLUs that are silent on all that was seen are dead; those that are now and then are not."""

import torch
from torch import nn
from trained import blobs, curve, found_in, layer, look, view

from gipi.doctor.checks.dead_units import check


def network(dead: int) -> nn.Module:
    net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    with torch.no_grad():
        net[0].get_parameter("bias")[:dead] = -50.0
    return net


def test_units_that_were_born_dead(tmp_path):
    found = found_in(tmp_path / "all", blobs(), model=network(64))
    assert next(iter(found)) == "dead-units" and found["dead-units"].severity == "problem"
    found = found_in(tmp_path / "most", blobs(), model=network(48))
    assert found["dead-units"].severity == "warning" and found["dead-units"].evidence["share"] == 0.75


def test_sound_networks(tmp_path):
    assert "dead-units" not in found_in(tmp_path / "own", blobs(), model=network(4))
    assert "dead-units" not in found_in(tmp_path / "one", blobs(200), system="mlp", batch_size=1, epochs=3)


def test_what_it_takes():
    def looks(*silent, kind="relu"):
        return [look(step, layers={"1": layer(kind, one)}) for step, one in enumerate(silent)]

    assert check(view(visits=looks("0xff", "0xff", "0xff"))).evidence["share"] == 1  # type: ignore[union-attr]
    assert check(view(visits=looks("0xf0", "0x0f", "0xf0", "0x0f"))) is None  # others each time
    assert check(view(visits=looks("0xff"))) is None  # seen once
    assert check(view(visits=looks("0xff", "0xff", kind="tanh"))) is None
    stuck = check(view(visits=looks("0xff", "0xff", "0xff"), curve=curve(0.7, 0.7)))
    assert stuck and stuck.severity == "problem"
    assert [dict(remedy.changes) for remedy in stuck.remedies] == [
        {"lr": 0.001},
        {"activation": "leaky_relu"},
        {"norm": "batch"},
    ]
