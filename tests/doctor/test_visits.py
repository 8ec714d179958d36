"""Looks into a training change nothing, see what is there, and break no run, whatever the network does."""

import hashlib
import json
import random
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import gipi
from gipi.doctor import visits
from gipi.doctor.statistics import TooLarge, looking, of_parameters, of_units, sampled, untouched
from gipi.training.log_file import read_visits

QUIET = {"verdict": False, "quiet": True, "threads": 1}


@pytest.fixture
def always(monkeypatch):
    """A look at every second step, whatever it costs."""
    monkeypatch.setattr(visits, "SHARE", 1e9)
    monkeypatch.setattr(visits, "SHARE_OF_SMALL", 1e9)


def table(rows=120, columns=6, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, columns)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(int)


def pictures(rows=40, side=8):
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (rows, 3, side, side), np.uint8), np.arange(rows) % 2


def weights(run):
    with zipfile.ZipFile(run.path / "model.gipi") as bundle:
        return hashlib.sha256(bundle.read("weights.safetensors")).hexdigest()


class Counting(nn.Module):
    """Batch norm, dropout, counters of its own, and draws from all that a program can draw from."""

    def __init__(self, inputs=6, outputs=2):
        super().__init__()
        self.first = nn.Linear(inputs, 16)
        self.norm = nn.BatchNorm1d(16)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(16, outputs)
        self.register_buffer("mean", torch.zeros(16))
        self.calls, self.seen, self.state = 0, [], {"calls": 0}

    def forward(self, x):
        x = self.drop(torch.relu(self.norm(self.first(x))))
        if self.training:
            self.calls += 1
            self.seen.append(self.calls)
            self.state["calls"] += 1
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)  # another tensor each time
            shift = random.random() + np.random.random() + torch.rand(()).item()
            x = x + 1e-3 * shift + 1e-4 * self.calls + 1e-4 * len(self.seen) + 1e-3 * self.mean
        return self.last(x)


class Sharing(nn.Module):
    """One layer under two names, and used twice."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(6, 6)
        self.again = self.shared
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.again(torch.relu(self.shared(x)))))


RUNS = {
    "mlp": (table(), {"system": "mlp", "steps": 30}),
    "dropout and batch norm": (table(), {"system": "mlp", "steps": 30, "norm": "batch", "dropout": 0.3}),
    "own, with counters": (table(), {"model": Counting(), "steps": 30}),
    "shared parameters": (table(), {"model": Sharing(), "steps": 30}),
    "stacked members": (table(), {"system": "mlp", "steps": 24, "ensemble": 4}),
    "folds": (table(), {"system": "tabm", "steps": 12, "folds": 2}),
    "gan": (pictures(40, 16)[0], {"system": "gan", "task": "generate", "steps": 8}),
    "pictures": (pictures(), {"system": "convnet", "steps": 12}),
    "lbfgs": (table(), {"system": "linear", "steps": 12}),
    "in parts": (table(), {"system": "mlp", "steps": 12, "parts": 2, "clip": 1.0}),
    "averaged": (table(), {"system": "mlp", "steps": 12, "averaging": "ema"}),
    "bf16": (table(), {"model": Counting(), "steps": 8, "precision": "bf16"}),
}


@pytest.mark.parametrize("name", RUNS)
def test_on_or_off_the_weights_are_the_same(name, always, tmp_path):
    data, options = RUNS[name]
    seen = gipi.fit(data, **options, **QUIET, run=tmp_path / "seen")
    plain = gipi.fit(data, **options, **QUIET, run=tmp_path / "plain", doctor=False)
    assert weights(seen) == weights(plain)
    found = read_visits(seen.path)
    assert len(found) >= 2 and not [visit["failed"] for visit in found if "failed" in visit]
    assert read_visits(plain.path) == []
    for visit in found:
        json.dumps(visit, allow_nan=True)
        assert visit["parameters"] and visit["seconds"] > 0


def test_looks_are_seldom_and_the_last_steps_are_seen(tmp_path):
    run = gipi.fit(table(2000), system="mlp", epochs=20, patience=0, **QUIET, run=tmp_path / "run")
    found = [visit["step"] for visit in read_visits(run.path)]
    assert 2 <= len(found) <= 60 and found[0] == 3 and found[-1] == 20 * 40 - 1


def test_what_a_look_sees(always, tmp_path):
    run = gipi.fit(table(), model=Counting(), steps=12, **QUIET, run=tmp_path / "run")
    visit = read_visits(run.path)[-1]
    assert visit["norms"] == {"norm": {"rows": visit["rows"], "values": visit["rows"]}}
    assert visit["order"] == ["first", "last"]
    assert visit["parameters"]["first.weight"]["shape"] == [16, 6]
    assert visit["parameters"]["first.weight"]["update"] > 0


def test_what_no_layer_comes_after_is_output():
    """A forger's picture is meant to lie at the ends of its tanh."""
    net = nn.ModuleDict(
        {
            "forger": nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh()),
            "inspector": nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()),
        }
    )
    for scopes, last in ((["forger", "inspector"], {"forger.3", "inspector.3"}), ([], {"inspector.3"})):
        with looking(net, scopes) as seen:
            net["inspector"](net["forger"](torch.randn(8, 4)))
        assert {name for name, layer in seen.layers.items() if layer["last"]} == last


# --- hard networks -----------------------------------------------------------------------------------------------


class Failing(nn.Module):
    """Falls over when somebody else calls it: it counts its calls in training."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        if self.training and self.last.weight.grad_fn is None and any(hook for hook in self._forward_hooks.values()):
            raise RuntimeError("I am being watched")
        return self.last(x)


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        return self.net(x)


def hooked():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    net[1].register_forward_hook(lambda part, inputs, output: output.mul(1.5))  # type: ignore[union-attr]
    net[0].register_forward_pre_hook(lambda part, inputs: (inputs[0] + 1,))
    return net


def large_buffer():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    net.register_buffer("queue", torch.zeros(3_000_000))
    return net


def other_numbers():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    net[2].codes = nn.Parameter(torch.arange(5), requires_grad=False)
    net[2].register_parameter("waves", nn.Parameter(torch.ones(3, dtype=torch.complex64), requires_grad=False))
    return net


@pytest.mark.parametrize("model", [Failing, Lazy, hooked, large_buffer, other_numbers], ids=lambda one: one.__name__)
def test_no_network_is_broken_by_being_looked_at(model, always, tmp_path):
    runs = []
    for doctor in (True, False):
        torch.manual_seed(0)
        try:
            runs.append(gipi.fit(table(), model=model(), steps=8, doctor=doctor, **QUIET, run=tmp_path / str(doctor)))
        except gipi.errors.TrainingError as error:
            runs.append(str(error).replace(str(tmp_path / str(doctor)), ""))
    if isinstance(runs[0], str):
        assert runs[0] == runs[1]  # it cannot be trained at all: the doctor makes no difference
        return
    assert weights(runs[0]) == weights(runs[1])
    found = read_visits(runs[0].path)
    assert found and all("parameters" in visit or visit["failed"] for visit in found)
    if model is Failing:
        assert "I am being watched" in found[0]["failed"]
    if model is large_buffer:
        assert "12000000 bytes" in found[0]["skipped"] and found[0]["parameters"]


def test_untouched_gives_everything_back():
    net = Counting().train()
    net(torch.randn(8, 6))
    net.eval()
    net.norm.train()
    generator = torch.Generator().manual_seed(5)
    vars(net)["generator"] = generator
    before = [one.clone() for one in net.buffers()]
    held, drawn = net.mean, (torch.get_rng_state(), random.getstate(), generator.get_state())
    with untouched(net):
        net.train()
        net(torch.randn(8, 6))
        torch.rand(1, generator=generator)
        vars(net)["extra"] = 3
        random.random()
    assert net.mean is held and not hasattr(net, "extra")
    assert not net.training and net.norm.training
    assert (net.calls, net.seen, net.state) == (1, [1], {"calls": 1})
    assert all(torch.equal(one, other) for one, other in zip(before, net.buffers(), strict=True))
    assert torch.equal(drawn[0], torch.get_rng_state()) and drawn[1] == random.getstate()
    assert torch.equal(drawn[2], generator.get_state())
    with pytest.raises(TooLarge), untouched(large_buffer()):
        pass


def test_samples_of_any_tensor():
    x = torch.arange(10_000.0).view(100, 100)
    assert len(sampled(x)) <= 4096 and len(sampled(x)) > 2000
    assert sampled(x).untyped_storage().data_ptr() == x.untyped_storage().data_ptr()  # no copy
    assert torch.equal(sampled(x.t()), sampled(x))
    assert len(sampled(x[:, ::3])) <= 4096 and set(sampled(x[:, ::3]).tolist()) <= set(x[:, ::3].flatten().tolist())
    assert len(sampled(torch.zeros(()).expand(100, 200))) <= 4096
    assert len(sampled(torch.ones(5, dtype=torch.complex64))) == 10
    assert sampled(torch.eye(4).to_sparse()).tolist() == [1, 1, 1, 1]
    assert sampled(torch.empty(0, 3)).numel() == 0


def test_parameters_of_any_kind():
    embedding = nn.Embedding(10, 4, sparse=True)
    embedding(torch.tensor([1, 2])).sum().backward()
    weights = {
        "sparse": embedding.weight,
        "half": nn.Parameter(torch.full((4,), 2.0, dtype=torch.bfloat16)),
        "codes": nn.Parameter(torch.arange(3), requires_grad=False),
        "lazy": nn.LazyLinear(3).weight,
        "empty": nn.Parameter(torch.empty(0)),
        "odd": nn.Parameter(torch.tensor([float("nan"), 1.0])),
    }
    found = of_parameters(weights, {"sparse": embedding.weight.grad}, {}, {"sparse", "half"})
    assert set(found) == {"sparse", "half", "codes", "empty", "odd"}
    assert found["sparse"]["gradient"] == pytest.approx((8 / 40) ** 0.5)
    assert found["sparse"]["still"] == pytest.approx(0.8)
    assert found["half"]["weight"] == 2 and found["half"]["gradient"] is None and found["half"]["still"] == 1


def test_functions_are_seen_as_modules_are():
    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.three, self.four = (nn.Linear(8, 8) for _ in range(4))

        def forward(self, x):
            x = nn.functional.dropout(torch.relu(self.one(x)), 0.5)
            x = torch.sigmoid(self.two(x))
            return self.four(torch.tanh(self.three(x)) * 1.0)

    net = Functions()
    with torch.no_grad():
        net.one.bias.fill_(-100)
        net.two.bias.fill_(100)
    with looking(net) as seen:
        net(torch.randn(16, 8))
    assert {name: layer["kind"] for name, layer in seen.layers.items()} == {
        "before two": "relu",
        "before three": "sigmoid",
        "before four": "tanh",
    }
    assert seen.layers["before two"]["dead"] == 1 and seen.layers["before two"]["silent"] == "0xff"
    assert seen.layers["before three"]["saturated"] == 1
    assert seen.order == ["one", "two", "three", "four"]
    with looking(nn.Sequential(nn.Linear(8, 8), nn.Sigmoid())) as seen:
        pass
    assert seen.layers == {}


def test_units_of_pictures_are_their_channels():
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(32, 2))
    with torch.no_grad():
        net[0].get_parameter("bias")[1] = -100
    with looking(net) as seen:
        net(torch.rand(6, 1, 4, 4))
    assert seen.layers["1"]["units"] == 4 and int(seen.layers["1"]["silent"], 16) & 4
    assert of_units("relu", torch.rand(5, 7, 300))["units"] <= 64
