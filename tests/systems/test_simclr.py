"""SimCLR and BYOL: the losses are the papers', and the backbone is the classifier's."""

import math

import pytest
import torch

from gipi.data.schema import Sizes
from gipi.data.stream import generator
from gipi.errors import UsageError
from gipi.systems import convnet, simclr
from gipi.training.loop import fit

SIZES = Sizes((1, 8, 8), 1)


def build(config, seed=0):
    torch.manual_seed(seed)
    return simclr.Net(SIZES, config)


def views(rows=6):
    x = torch.randn(2, rows, 1, 8, 8, generator=generator(0, "views"))
    return x[0], x[1]


def test_the_loss_is_equation_1_over_all_pairs():
    one, other = torch.randn(2, 5, 4, generator=generator(0, "z"), dtype=torch.float64)
    z = [row / row.norm() for row in (*one, *other)]
    losses = []
    for i in range(10):
        partner = (i + 5) % 10
        others = sum(math.exp(float(z[i] @ z[k]) / 0.3) for k in range(10) if k != i)
        losses.append(-math.log(math.exp(float(z[i] @ z[partner]) / 0.3) / others))
    assert simclr.nt_xent(one, other, 0.3).item() == pytest.approx(sum(losses) / 10, rel=1e-12)


def test_views_that_agree_cost_less():
    one, other = torch.randn(2, 8, 16, generator=generator(0, "z"))
    assert simclr.nt_xent(one, one, 0.5) < simclr.nt_xent(one, other, 0.5)


def test_the_backbone_is_the_classifiers_but_for_its_last_layer():
    net = build(simclr.Config())
    theirs = {name: one.shape for name, one in convnet.Net(Sizes((1, 8, 8), 10), convnet.Config()).state_dict().items()}
    ours = {
        name.removeprefix("model."): one.shape for name, one in net.state_dict().items() if name.startswith("model.")
    }
    missing = {name for name in theirs if name not in ours}
    assert ours == {name: shape for name, shape in theirs.items() if name not in missing}
    assert {name.rpartition(".")[2] for name in missing} == {"weight", "bias"} and len(missing) == 2
    assert net.eval()(views()[0]).shape == (6, net.features)


@pytest.mark.parametrize("name", ["tabm", "gan", "simclr"])
def test_a_backbone_is_a_system_that_classifies_pictures(name):
    with pytest.raises(UsageError, match=r"these are: .*convnet"):
        simclr.backbone(name, SIZES)


def test_an_unknown_backbone_is_named():
    with pytest.raises(UsageError, match=r"'alex' is no system for pictures.*convnet"):
        build(simclr.Config(backbone="alex"))


def test_byol_is_the_papers_loss_and_its_slow_copy_follows():
    config = simclr.Config(variant="byol", momentum_share=0.9)
    net = build(config).eval()
    one, other = views()

    def unit(x):
        return x / x.norm(dim=1, keepdim=True)

    def half(view, target):
        said = unit(net.predict(net.project(net(view))))
        wanted = unit(net.slow[1](net.slow[0](target).flatten(1)))
        return ((said - wanted) ** 2).sum(1).mean()

    expected = (half(one, other) + half(other, one)) / 2
    assert net.contrast(one, other, 0.5).item() == pytest.approx(expected.item(), rel=1e-5)

    net = build(config)
    players = simclr.players(net, config, None, lambda lr: lambda step: lr)
    slow = {id(p) for p in net.slow.parameters()}
    assert not slow & {id(p) for p in players["learner"].params}
    before = [p.clone() for p in net.slow.parameters()]
    follow = simclr.after(net, config)
    players["learner"].play(views(), 0)
    assert all(torch.equal(p, old) for p, old in zip(net.slow.parameters(), before, strict=True))
    follow(0)
    fast = [*net.model.parameters(), *net.project.parameters()]
    for p, old, new in zip(net.slow.parameters(), before, fast, strict=True):
        assert torch.allclose(p, 0.9 * old + 0.1 * new, atol=1e-7)


@pytest.mark.parametrize("variant", ["simclr", "byol"])
def test_it_learns_to_tell_pictures_apart(variant):
    """Two noisy views of 16 pictures: after some steps each finds its own."""
    config = simclr.Config(variant=variant, temperature=0.2)
    net = build(config)
    x = torch.randn(16, 1, 8, 8, generator=generator(0, "x"))
    noise = generator(0, "noise")

    def batch():
        return tuple(x + 0.5 * torch.randn(x.shape, generator=noise) for _view in range(2))

    def found():
        with torch.no_grad():
            one, other = (torch.nn.functional.normalize(net.eval().project(net(view))) for view in batch())
        net.train()
        near = one @ other.T
        return near.diagonal().mean().item() - near.mean().item()

    before = found()
    players = simclr.players(net, config, None, lambda lr: lambda step: lr)
    for _step, _losses in fit(players, iter(batch, None), 12, simclr.after(net, config)):
        pass
    assert found() > before + 0.1
