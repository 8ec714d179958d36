"""A tape gives what the recorded function gives, to the last bit, and says when there can be none."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gipi import systems
from gipi.algorithms.optimizers import make
from gipi.data.schema import Sizes
from gipi.training.player import learner
from gipi.training.tape import Tapes, Unplayable, record

SIZES = Sizes((6,), 3, (2, 4), is_class=True)
ACTIVATIONS = ("relu", "sigmoid", "tanh", "leaky_relu", "prelu", "elu", "maxout", "gelu", "silu", "softplus")


def table(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, 6, generator=draw)
    codes = torch.stack([torch.randint(0, count + 1, (rows,), generator=draw) for count in SIZES.categories], 1)
    return torch.cat([numbers, codes.float()], 1), torch.randint(0, 3, (rows,), generator=draw)


def net_of(seed: int = 0, **options) -> nn.Module:
    torch.manual_seed(seed)
    system = systems.load("mlp")
    return system.Net(SIZES, system.Config(hidden=(16, 8), **options))


def evaluation(net: nn.Module, loss=F.cross_entropy):
    params = list(net.parameters())

    def evaluate(batch):
        x, y = batch
        found = loss(net(x), y)
        return [found.detach(), *torch.autograd.grad(found, params)]

    return evaluate


@pytest.mark.parametrize(
    "options",
    [{"activation": name} for name in ACTIVATIONS]
    + [{"norm": "layer"}, {"norm": "batch"}, {"dropout": 0.0}, {"norm": "batch", "dropout": 0.5}],
)
def test_what_is_played_is_what_is_computed(options):
    """Over batches of two sizes, with dropout's draws and batch norm's statistics, while the weights move."""
    nets = [net_of(**options), net_of(**options)]
    usual, other = evaluation(nets[0]), evaluation(nets[1])
    tapes = Tapes(other, list(nets[1].buffers()))
    results = []
    for net, evaluate in zip(nets, (usual, tapes), strict=True):
        torch.manual_seed(1)
        found = []
        for step in range(8):
            loss, *gradients = evaluate(table(12 + step % 2, step))
            found += [loss, *gradients]
            with torch.no_grad():
                torch._foreach_add_(list(net.parameters()), gradients, alpha=-0.1)
        results.append([*found, *net.state_dict().values(), torch.get_rng_state()])
    assert all(map(torch.equal, *results))
    assert len(tapes.tapes) == 2 and all(tapes.tapes.values())


def test_a_tape_is_not_used_where_values_decide():
    class Choosy(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(8, 3)

        def forward(self, x):
            return self.line(x) if x.sum() > 0 else -self.line(x)

    evaluate = evaluation(Choosy())
    with pytest.raises(Unplayable, match="_local_scalar_dense"):
        record(lambda: evaluate(table(4, 0)), table(4, 0))
    tapes = Tapes(evaluate)
    for seed in range(6):
        batch = table(4, seed)
        assert all(map(torch.equal, tapes(batch), evaluate(batch)))
    assert list(tapes.tapes.values()) == [None]


def test_what_python_draws_or_counts_is_noticed():
    """A function that gives something else the second time has no tape."""
    net, count = net_of(dropout=0.0), iter(range(100))

    def loss(output, y):
        return F.cross_entropy(output, y) * (1 + next(count))

    tapes = Tapes(evaluation(net, loss))
    first, second = (tapes(table(4, 0))[0].item() for _time in range(2))
    assert list(tapes.tapes.values()) == [None] and second > first


def test_what_a_tape_does_not_know_is_not_changed():
    hidden, one = torch.zeros(3), torch.ones(3)

    def function():
        return [hidden.add_(one).sum()]

    with pytest.raises(Unplayable, match="changes"):
        record(function, [])


def test_a_tape_frees_what_is_not_needed_any_more():
    """Its table is not longer than what is alive at one time."""
    net = nn.Sequential(*[nn.Linear(4, 4) for _layer in range(20)])
    x = torch.randn(5, 4)
    _results, tape = record(lambda: [net(x)], [x])
    assert len(tape.calls) == 20
    assert len([value for value in tape.values if value is None]) <= 2
    other = torch.randn(5, 4)
    assert torch.equal(tape.play([other])[0], net(other))


def test_an_error_of_the_person_is_not_swallowed():
    def broken(batch):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Tapes(broken)(table(4, 0))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_training_is_the_same_with_tapes_and_without(precision, tmp_path, monkeypatch):
    import gipi

    options = {"system": "mlp", "epochs": 3, "precision": precision, "quiet": True, "verdict": False}
    with_tapes = gipi.fit("iris", **options, run=tmp_path / "with")
    monkeypatch.setattr("gipi.training.prepare.SMALL", 0)
    without = gipi.fit("iris", **options, run=tmp_path / "without")
    logs = [(run.path / "metrics.jsonl").read_text() for run in (with_tapes, without)]
    steps = [[line for line in log.splitlines() if "epoch" not in line] for log in logs]
    assert steps[0] == steps[1]


def test_players_of_one_file_are_recorded_too():
    """Also objectives that draw noise, and gradients of some parameters only: the GAN."""
    system = systems.load("gan")
    config = system.Config(width=4, latent=8)
    results = []
    for has_tapes in (False, True):
        torch.manual_seed(0)
        net = system.Net(Sizes((1, 8, 8), 0), config)
        players = system.players(net, config, None, lambda lr: lr)
        if has_tapes:
            for player in players.values():
                player.tapes = Tapes(player.differentiate, list(net.buffers()))
        torch.manual_seed(1)
        for step in range(3):
            for player in players.values():
                player.play((torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(step)),), step)
        results.append(list(net.state_dict().values()))
    assert all(map(torch.equal, *results))


def test_a_learner_can_be_taped():
    net = net_of()
    (player,) = learner(net, F.cross_entropy, lambda params: make("adam", params, lr=0.01)).values()
    player.tapes = Tapes(player.differentiate)
    losses = [player.play(table(16, 0), step).item() for step in range(40)]
    assert losses[-1] < losses[0] / 2
