"""Airbench: the control of the published recipe gives the same losses; what it whitens, sees, and learns when."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import gipi
from gipi import losses
from gipi.algorithms import updates
from gipi.algorithms.schedules import schedule
from gipi.data.schema import Sizes
from gipi.systems import airbench
from gipi.systems.airbench import Config, Net, players, prepare
from gipi.training import fit as loop
from gipi.training.group import SLOWER, alone
from gipi.training.member import Member, Plan

SIDE = 26  # of the pictures: three elements are left at the end, as of 32
CONTROL = Path(__file__).parents[2] / "bench" / "recipe_control.py"


@pytest.fixture(scope="module")
def control():
    spec = importlib.util.spec_from_file_location("recipe_control", CONTROL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def smoothed(output, y):
    return losses.cross_entropy(output, y, label_smoothing=0.2)


def network(size: int = SIDE, width: int = 4, channels: int = 3, **more) -> Net:
    torch.manual_seed(0)
    return Net(Sizes((channels, size, size), 10), Config(width=width, **more)).double()


def batches(count: int, rows: int = 8) -> list:
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(count, rows, 3, SIDE, SIDE, generator=draws, dtype=torch.float64)
    return list(zip(x, torch.randint(10, (count, rows), generator=draws), strict=True))


def as_of(net: Net, control) -> "torch.nn.Module":
    """The control's network with these weights: both have them in the same order."""
    other = control.Network(width=4).double()
    weights = [value for name, value in net.state_dict().items() if "num_batches" not in name]
    names = [name for name in other.state_dict() if "num_batches" not in name]
    other.load_state_dict(dict(zip(names, weights, strict=True)), strict=False)
    return other


def test_same_losses_and_same_answers_as_the_control(control, monkeypatch):
    """From the same weights on the same batches, over a whole run of 8 steps: the whitening's bias stops at the third.

    Muon's 1e-7 against dividing by zero weighs more in a mean than in a sum: both see gradients a million times larger.
    """
    ours, theirs = updates.orthogonal, control.orthogonal
    monkeypatch.setattr(updates, "orthogonal", lambda matrix, count: ours(matrix * 1e6, count))
    monkeypatch.setattr(control, "orthogonal", lambda matrix: theirs(matrix * 1e6))
    net, given = network(), batches(8)
    prepare(net, given[0][0])
    other = as_of(net, control)
    found = [step["learner"].item() for _n, step in loop(trained(net, 8), iter(given), 8)]
    expected = [loss.item() for loss in control.train(other, iter(given), 8, bf16=False)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert found[0] != found[-1]
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            net(given[0][0]), control.answers(other, given[0][0], bf16=False), rtol=1e-5, atol=1e-6
        )


def trained(net: Net, steps: int) -> dict:
    return players(net, Config(width=4), smoothed, schedule("linear", steps))


def test_whitening_filters(control):
    """Patches have variance one along each filter that is not held down, and the control finds the same ones."""
    net, x = network(), batches(1, rows=200)[0][0]
    x = x.cumsum(2).cumsum(3) / 30  # neighbours that have to do with each other
    prepare(net, x)
    other = control.Network(width=4).double()
    other.whiten_by(x)
    weight = net.whiten.weight.detach()
    torch.testing.assert_close(weight, other.whiten.weight, rtol=1e-6, atol=1e-9)
    said = torch.nn.functional.conv2d(x, weight)[:, :12].transpose(0, 1).flatten(1)  # (filters, patches)
    covariance = said @ said.T / said.shape[1]
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-8
    assert (covariance.diag() <= 1).all() and covariance.diag().max() > 0.99
    assert torch.equal(weight[12:], -weight[:12]) and not net.whiten.weight.requires_grad


def test_an_answer_is_the_mean_over_the_views():
    net, x = network().eval(), batches(1)[0][0]
    with torch.no_grad():
        answers = net(x)
        wide = torch.nn.functional.pad(x, (1, 1, 1, 1), "reflect")
        moved = [wide[:, :, :-2, :-2], wide[:, :, 2:, 2:]]
        both = [(net.scores(view) + net.scores(view.flip(3))) / 2 for view in (x, *moved)]
        torch.testing.assert_close(answers, both[0] / 2 + both[1] / 4 + both[2] / 4)
        net.views = "mirrored"
        torch.testing.assert_close(net(x), both[0])
        torch.testing.assert_close(net(x.flip(3)), both[0])
        net.views = "one"
        torch.testing.assert_close(net(x), net.scores(x))


def test_bias_of_the_whitening_learns_at_first_and_cut_runs_go_on_to_the_same_bits():
    given, whole = batches(8), network()
    biases = []
    for _step, _losses in loop(trained(whole, 8), iter(given), 8):
        biases.append(whole.whiten.bias.detach().clone())
    assert not torch.equal(biases[1], biases[2]) and torch.equal(biases[2], biases[7])
    for cut in (2, 5):
        first, again = network(), network()
        one, other = trained(first, 8), trained(again, 8)
        for _step, _losses in loop(one, iter(given), cut):
            pass
        again.load_state_dict(first.state_dict())
        other["learner"].load({name: tensor.clone() for name, tensor in one["learner"].tensors().items()})
        for _step, _losses in loop(other, iter(given[cut:]), 8, start=cut):
            pass
        assert all(
            torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True)
        )


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 5), (3, 64)])
def test_other_pictures(channels, size):
    net = network(size, channels=channels)
    x = torch.randn(7, channels, size, size, dtype=torch.float64)
    prepare(net, x)
    assert net(x).shape == (7, 10) and net.eval()(x).shape == (7, 10)


def test_learns_digits_and_keeps_its_whitening(tmp_path):
    """Prepared by training pictures before the first step, and not learned: a kept model has the same filters."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures, y = (digits.images[:700] * 15.9).astype(np.uint8), digits.target[:700]
    run = gipi.fit((pictures, y), system="airbench", width=4, epochs=5, verdict=False, quiet=True, run=str(tmp_path))
    assert run.metrics["accuracy"] > 0.5
    assert run.evaluate((pictures, y))["accuracy"] > 0.5
    filters = run.model.members[0].whiten.weight
    assert torch.equal(filters[4:], -filters[:4]) and filters.norm() > 0


def test_averaged_weights_get_statistics_of_plain_pictures():
    net = network().eval()
    for part in net.layers:
        if isinstance(part, torch.nn.BatchNorm2d):
            part.train()
    x = batches(1)[0][0]
    with torch.no_grad():
        before = net.scores(x)
        torch.testing.assert_close(net(x), before)
    assert airbench.recipes["speed"]["batch_size"] == airbench.ROWS


def test_what_a_gpu_finds_in_any_of_its_optimizers_is_seen_and_forgotten():
    """There a kernel writes down that a gradient was no number; here that is done by hand."""
    net = network()
    mine = trained(net, 8)
    member = Member(0, net, mine, iter(batches(8)), Plan(8, 8))
    group = alone(member)
    movers = mine["learner"].optimizer
    assert group.stuck() == ""
    for part in movers.parts:
        part.is_host = False
    movers.parts[1].bad.fill_(1)
    assert group.stuck() == "learner"
    member.progress.faults.append({})
    group.slow_down()
    assert group.stuck() == "" and movers.scale == SLOWER
    for part in movers.parts:
        part.is_host = True
    next(loop(mine, iter(batches(1)), 1))
    assert {part.scale for part in movers.parts} == {SLOWER}
