"""Parameters that no gradient reaches are found, and why; what merely rests is not."""

from functools import partial

from torch import nn
from trained import finding

from gipi.doctor import View
from gipi.doctor.checks.no_gradient import check

found = partial(finding, "no-gradient")


class Net(nn.Module):
    def __init__(self, sizes, cut=None):
        super().__init__()
        self.body, self.head, self.cut = nn.Linear(sizes.input[0], 16), nn.Linear(16, sizes.output), cut
        self.spare = nn.Linear(4, 4) if cut == "spare" else None

    def forward(self, x):
        h = self.body(x)
        h = {"detach": h.detach(), "data": h.data, "sign": h.sign()}.get(self.cut, h)
        return self.head(h.relu())


def test_a_gradient_that_is_cut_off(tmp_path):
    for how in ("detach", "data", "sign"):
        one = found(tmp_path / how, model=lambda sizes, how=how: Net(sizes, how), steps=20)
        assert one and one.severity == "problem" and one.evidence["cut"] == ["body.weight", "body.bias"], how


def test_a_layer_that_was_forgotten(tmp_path):
    one = found(tmp_path, model=lambda sizes: Net(sizes, "spare"), steps=20)
    assert one and one.severity == "warning" and one.evidence["unused"] == ["spare.weight", "spare.bias"]
    assert "not made from them" in one.cause


def test_sound_networks(tmp_path):
    assert found(tmp_path, model=Net, steps=20) is None
    zero = lambda sizes: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), zeroed(nn.Linear(8, sizes.output)))  # noqa: E731
    assert found(tmp_path / "zero", model=zero, steps=20) is None  # at first no gradient passes; nothing is cut
    assert found(tmp_path / "mlp", system="mlp", steps=20) is None


def zeroed(layer):
    nn.init.zeros_(layer.weight)
    return layer


def test_by_looks_into_a_loop():
    def look(gradient, still, learns=True, **layers):
        one = {"count": 10, "weight": 1.0, "gradient": gradient, "update": 0.0, "still": still, "learns": learns}
        other = {**one, "gradient": 0.5, "still": 0.0, "learns": True}
        return {"step": 2, "parameters": {"a": one, "b": other}, "layers": layers}

    assert check(View(visits=[look(None, 1.0)] * 3)).evidence["unused"] == ["a"]
    assert check(View(visits=[look(0.0, 1.0)] * 2)) is None  # too few
    assert check(View(visits=[look(0.0, 1.0)] * 2 + [look(0.1, 0.5)])) is None
    assert check(View(visits=[look(None, 1.0, learns=False)] * 3)) is None  # frozen-layer
    assert check(View(visits=[look(0.0, 1.0, relu={"dead": 1.0, "saturated": 0.0})] * 3)) is None  # dead-units
    assert check(View(visits=[look(None, 1.0)] * 3, system="dqn")) is None
