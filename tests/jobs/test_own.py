"""Parts of a person's own in place of ours: a module, a loss, an optimizer, a whole system; kept, loaded, resumed."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import gipi
from gipi.algorithms.optimizers import make
from gipi.errors import RunError, UsageError
from gipi.training.player import learner

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X @ [1.0, -2.0, 3.0] + 5
TABLE = {"a": X[:, 0], "b": X[:, 1], "c": ["u", "v"] * 40, "y": Y}


class Line(nn.Module):
    def __init__(self, inputs=3, outputs=1):
        super().__init__()
        self.line = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.line(x)


def squares(output, y):
    return ((output - y) ** 2).mean()


def sgd(params):
    return torch.optim.SGD(params, 0.1)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(data=(X, Y), **options):
    return gipi.fit(data, **{"quiet": True, "verdict": False, "doctor": False, "threads": 1, "steps": 20, **options})


def refused(says, **options):
    with pytest.raises(UsageError, match=says):
        fit(**options)


def test_a_module_a_loss_and_an_optimizer():
    module = Line()
    before = module.line.weight.clone()
    run = fit(model=module, loss=squares, optimizer=sgd, epochs=100, steps=None)
    assert run.metrics["r2"] > 0.999
    assert torch.equal(module.line.weight, before)  # a copy is trained
    assert run.record["own"] == ["loss", "model", "optimizer"]
    assert run.predict(X[:2])[0]["value"] == pytest.approx(Y[0], abs=0.2)
    assert run.evaluate((X, Y))["r2"] > 0.999


def test_an_optimizer_of_torchs_is_torchs():
    """Its 200 steps on all rows end where those of a hand-written loop end."""
    whole = {"batch_size": 0, "scale": "none", "test_share": 0, "valid_share": 0, "steps": 200}
    run = fit(model=Line(), loss=squares, optimizer=sgd, **whole)
    net = Line()
    x, y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)[:, None]
    optimizer = sgd(net.parameters())
    for _step in range(200):
        optimizer.zero_grad()
        squares(net(x), y).backward()
        optimizer.step()
    answers = [answer["value"] for answer in run.predict(X)]
    assert answers == pytest.approx(net(x)[:, 0].tolist(), abs=1e-4)
    assert run.steps[0]["learner"] > run.steps[-1]["learner"]


def test_a_function_of_sizes():
    run = fit(TABLE, target="y", model=lambda sizes: Line(sizes.input[0] + sum(sizes.categories), sizes.output))
    rows = {"a": 1.0, "b": 2.0, "c": "u"}
    answer = run.predict(rows)
    path = run.save("own")
    by_program = gipi.load(path)  # its source is not in the file, its program is
    assert by_program.predict(rows)[0]["value"] == pytest.approx(answer[0]["value"], rel=1e-4)
    with pytest.raises(RunError, match="of the same make"):
        gipi.load(path, runtime="torch")
    with pytest.raises(RunError, match="of the same make"):
        gipi.load(run.path)  # a run keeps no program: that takes seconds
    assert gipi.load(path, model=Line(4)).predict(rows) == answer
    assert gipi.load(path, model=lambda sizes: Line(4)).predict(rows) == answer
    with pytest.raises(RunError, match=r"not of the make.*size mismatch"):
        gipi.load(path, model=Line(5))


def test_a_module_for_pictures_and_classes():
    pictures = np.random.default_rng(0).integers(0, 255, (40, 6, 6, 1), dtype=np.uint8)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    module(torch.zeros(1, 1, 6, 6))
    run = fit((pictures, np.arange(40) % 2), model=module, loss=nn.CrossEntropyLoss(), folds=2)
    assert len(run.predict(pictures)) == 40 and "disagreement" in run.predict(pictures[:1])[0]


def test_one_part_alone():
    assert fit(loss=squares).record["system"] == "tabm"
    assert fit(loss=nn.MSELoss()).status == "done"
    assert fit(system="mlp", optimizer=sgd, hidden=()).metrics["r2"] > 0.9
    assert fit(model=Line(), optimizer="nag", lr=0.01).record["config"]["optimizer"] == "nag"
    assert fit(optimizer=torch.optim.Adam, lr=0.05).steps[0]


def test_what_a_network_gives_must_fit_the_task():
    refused(r"for 2 rows the network gives \(2, 2\); the task regress needs \(2, 1\)", model=Line(3, 2))
    refused(r"shape \(2, 3\)", model=Line(4))
    refused("gives tuple", model=SimpleTuple())
    refused("Boom", model=Raising())
    refused("nothing to learn", model=nn.Sequential(nn.Flatten(), Slice()))
    refused("makes a int", model=lambda sizes: 5)
    refused("fails for Sizes", model=lambda: Line())
    refused("exclude each other", model=Line(), system="mlp")
    refused("--hidden does not apply to own", model=Line(), hidden=4)
    refused("module", model="mlp")


def test_what_a_loss_gives_must_be_one_number_of_the_output():
    refused(r"one number; it gives \(2, 1\)", loss=lambda output, y: (output - y) ** 2)
    refused("one number; it gives float", loss=lambda output, y: 5.0)
    refused("does not take", loss=lambda output: output.mean())
    refused("does not depend", loss=lambda output, y: y.mean())
    refused(
        "does not take .*weight|does not take", loss=squares, data={**TABLE, "w": np.ones(80)}, target="y", weight="w"
    )


def test_what_an_optimizer_function_gives_must_be_one():
    refused("gives a int", optimizer=lambda params: 5)
    refused("a function of parameters", optimizer=torch.optim.SGD(Line().parameters(), 0.1))


class SimpleTuple(Line):
    def forward(self, x):
        return self.line(x), x


class Raising(Line):
    def forward(self, x):
        raise KeyError("Boom")


class Slice(nn.Module):
    def forward(self, x):
        return x[:, :1]


# --- a system


@dataclass(frozen=True)
class Config:
    width: int = 4  # of the hidden layer
    lr: float = 0.05  # step size


class Net(nn.Module):
    def __init__(self, sizes, config):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(sizes.input[0], config.width), nn.Tanh(), nn.Linear(config.width, sizes.output)
        )

    def forward(self, x):
        return self.layers(x)


def players(net, config, loss, schedule):
    return learner(net, loss, lambda params: make("adam", params, schedule(config.lr)))


@pytest.fixture
def system():
    return SimpleNamespace(
        __name__="mine", tasks=("regress",), kinds=("table",), Config=Config, Net=Net, players=players
    )


def test_a_system(system):
    run = fit(system=system, width=8, epochs=60, steps=None)
    assert run.metrics["r2"] > 0.9 and run.record["system"] == "mine" and run.record["config"]["width"] == 8
    answer = run.predict(X[:3])
    path = run.save("mine")
    with pytest.raises(RunError, match="mine, is a person's own"):
        gipi.load(path)
    assert gipi.load(path, system=system).predict(X[:3]) == answer


def test_a_system_is_checked(system):
    with pytest.raises(UsageError, match="--hidden does not apply to mine"):
        fit(system=system, hidden=4)
    with pytest.raises(UsageError, match="--width must be"):
        fit(system=system, width=0)
    with pytest.raises(UsageError, match="mine does not classify"):
        fit((X, Y > 5), system=system)
    with pytest.raises(UsageError, match=r"missing: .*players"):
        fit(system=SimpleNamespace(Config=Config, Net=Net))


def test_a_system_called_like_one_of_ours_is_not_mistaken_for_it(system):
    system.__name__ = "mlp"
    run = fit(system=system)
    assert run.record["system"] != "mlp"
    with pytest.raises(RunError, match="person's own"):
        gipi.load(run.path)


class Tired:
    """A loss that fails after so many calls."""

    def __init__(self, after):
        self.left = after

    def __call__(self, output, y):
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError("tired")
        return squares(output, y)


def test_what_fails_before_it_learned_anything_leaves_nothing():
    with pytest.raises(ZeroDivisionError):
        fit(loss=Tired(after=2))
    assert not Path("runs").exists()
    Path("runs").mkdir()
    with pytest.raises(ZeroDivisionError):
        fit(loss=Tired(after=2), run="here")
    assert not Path("here").exists()


def test_what_fails_on_the_way_is_kept_and_can_go_on():
    with pytest.raises(ZeroDivisionError, match="tired"):
        fit(loss=Tired(after=150), steps=300, run="cut")
    assert gipi.Run("cut").status == "failed" and gipi.Run("cut").record["error"] == "tired"
    resumed = gipi.resume("cut", (X, Y), loss=squares)
    assert resumed.status == "done" and resumed.steps[-1]["step"] == 299
