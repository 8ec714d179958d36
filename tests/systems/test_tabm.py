"""TabM: its members against networks written by hand, their losses, their common answer, and its way through a file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softmax

import gipi
from gipi import losses
from gipi.data.schema import Schema, Sizes
from gipi.errors import UsageError
from gipi.models.activations import ACTIVATIONS
from gipi.release.bundle import read_bundle
from gipi.systems import tabm

EDGES = ((-1.0, 0.0, 1.0, 2.0), (-2.0, 2.0), ())
SIZES = Sizes((3,), 3, (2, 4), is_class=True, edges=EDGES)
SMALL = tabm.Config(members=5, hidden=(7, 6), embedding=4, dropout=0.0)


def rows(count: int = 9) -> torch.Tensor:
    draw = torch.Generator().manual_seed(3)
    codes = [torch.randint(0, most + 1, (count, 1), generator=draw) for most in SIZES.categories]
    return torch.cat([torch.randn(count, 3, generator=draw), *codes], 1)


def net_of(sizes: Sizes = SIZES, config: tabm.Config = SMALL) -> tabm.Net:
    torch.manual_seed(0)
    net = tabm.Net(sizes, config)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) / 5)  # the embedding's weights begin at zero
    return net


def member(net: tabm.Net, number: int, x: torch.Tensor) -> torch.Tensor:
    """One member as the plain perceptron that it stands for: its view times the features, then layers."""
    features = net.embed(x) * net.views.views[number]
    hidden = (features @ net.views.shared.T + net.views.bias).relu()
    for layer in net.shared:
        if isinstance(layer, nn.Linear):
            hidden = (hidden @ layer.weight.T + layer.bias).relu()
    return hidden @ net.heads.weight[number] + net.heads.bias[number]


def test_each_member_is_a_perceptron_of_its_own():
    net, x = net_of(), rows()
    said = net.members(x)
    assert said.shape == (9, 5, 3)
    for number in range(5):
        torch.testing.assert_close(said[:, number], member(net, number, x), rtol=1e-4, atol=1e-5)
    assert said.std(1).min() > 1e-3, "members differ"


def test_classes_are_answered_by_the_mean_of_probabilities():
    net, x = net_of().eval(), rows()
    expected = torch.stack([softmax(member(net, number, x), 1) for number in range(5)]).mean(0)
    torch.testing.assert_close(softmax(net(x), 1), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(net(x).exp(), expected, rtol=1e-4, atol=1e-6)  # the scores are its logarithms


def test_labels_are_answered_by_the_mean_of_probabilities():
    net, x = net_of(Sizes((3,), 3, (2, 4), is_labels=True, edges=EDGES)).eval(), rows()
    expected = torch.stack([member(net, number, x).sigmoid() for number in range(5)]).mean(0)
    torch.testing.assert_close(net(x).sigmoid(), expected, rtol=1e-4, atol=1e-6)


def test_numbers_are_answered_by_the_mean():
    net, x = net_of(Sizes((3,), 3, (2, 4), edges=EDGES)).eval(), rows()
    torch.testing.assert_close(net(x), torch.stack([member(net, number, x) for number in range(5)]).mean(0))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_mean_of_the_members_losses(weighted):
    net, x, y = net_of(), rows(), torch.arange(9) % 3
    weights = (torch.arange(9) + 1.0,) if weighted else ()
    learner = tabm.players(net, SMALL, losses.cross_entropy, lambda lr: lr)["learner"]
    own = [losses.cross_entropy(member(net, number, x), y, *weights) for number in range(5)]
    torch.testing.assert_close(learner.objective((x, y, *weights)), torch.stack(own).mean())
    assert not torch.isclose(learner.objective((x, y)), losses.cross_entropy(net(x), y)), "not that of the mean"


def test_bend_is_relu_and_dropout():
    bend, x = tabm.Bend(0.25).double(), torch.randn(1001, 211, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    out = bend(x)
    kept = out[x > 0] != 0
    assert kept.double().mean().item() == pytest.approx(0.75, abs=0.005)
    torch.testing.assert_close(out, torch.where(out > 0, x / 0.75, 0.0))
    (slope,) = torch.autograd.grad((out * x.detach()).sum(), x)
    torch.testing.assert_close(slope, torch.where(out > 0, x / 0.75, 0.0))
    torch.manual_seed(0)
    assert torch.equal(bend(x), out), "the same seed switches off the same"
    assert torch.equal(bend.eval()(x), x.relu())
    assert torch.equal(tabm.Bend(0.0)(x), x.relu())


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation(name):
    net, x = net_of(config=replace(SMALL, activation=name, dropout=0.2)), rows()
    learner = tabm.players(net, SMALL, losses.cross_entropy, lambda lr: lr)["learner"]
    before = learner.objective((x, torch.arange(9) % 3)).item()
    for step in range(30):
        learner.play((x, torch.arange(9) % 3), step)
    assert learner.objective((x, torch.arange(9) % 3)).item() < before
    assert net.eval()(x).shape == (9, 3)


def test_views_begin_alike_within_a_column():
    net = tabm.Net(SIZES, SMALL)
    views = net.views.views.detach()  # (5, 4 + 4 + 1 + 2 + 4)
    for part in views.split(net.embed.chunks, 1):
        assert torch.equal(part, part[:, :1].expand_as(part))
    signs = tabm.Net(Sizes((3,), 1), SMALL).views.views
    assert set(signs.detach().unique().tolist()) == {-1.0, 1.0}


def test_it_learns_what_a_bin_says(tmp_path):
    """A spike that is no wider than a bin: a perceptron of the same size misses it."""
    draw = np.random.default_rng(0)
    x = draw.uniform(0, 1, (900, 3))
    y = 3.0 * (np.abs(x[:, 0] - 0.3) < 0.02) + np.sin(40 * x[:, 1])
    options = {"hidden": (32, 32), "epochs": 30, "quiet": True, "verdict": False, "threads": 1}
    ours = gipi.fit((x, y), members=8, run=tmp_path / "tabm", **options)
    plain = gipi.fit((x, y), system="mlp", run=tmp_path / "mlp", **options)
    assert ours.record["system"] == "tabm"
    assert ours.metrics["r2"] > 0.6 > plain.metrics["r2"]


def test_bundle_keeps_the_edges_and_the_answers(tmp_path):
    import polars as pl

    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"a": draw.exponential(size=200), "b": draw.choice(["u", "v"], 200), "flag": draw.random(200) < 0.5}
    )
    frame = frame.with_columns(
        pl.when(pl.arange(0, 200) % 9 == 0).then(None).otherwise(pl.col("a")).alias("a"), y=pl.col("a") + pl.col("flag")
    )
    run = gipi.fit(
        frame,
        target="y",
        task="regress",
        bins=6,
        members=4,
        hidden=(8,),
        epochs=2,
        quiet=True,
        verdict=False,
        run=tmp_path / "run",
    )
    kept = read_bundle(run.save(tmp_path / "kept.gipi"))
    by_name = {field.name: field for field in kept.schema.inputs}
    assert len(by_name["a"].edges) == 7 and by_name["a"].has_missing
    assert not by_name["b"].edges and not by_name["flag"].edges
    assert [len(edges) for edges in kept.sizes.edges] == [7, 0, 0], "a, a is missing, flag"
    assert kept.predict(frame[:5].drop("y")) == run.predict(frame[:5].drop("y"))
    assert Schema.from_json(kept.schema.to_json()) == kept.schema


def test_same_seed_same_answers(tmp_path):
    options = {"members": 4, "hidden": (8,), "epochs": 2, "quiet": True, "verdict": False, "threads": 1}
    one = gipi.fit("iris", run=tmp_path / "one", seed=3, **options)
    other = gipi.fit("iris", run=tmp_path / "other", seed=3, **options)
    assert one.metrics == other.metrics
    row = {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2}
    assert one.predict(row) == other.predict(row)


def test_without_a_hidden_layer_it_is_refused():
    with pytest.raises(UsageError, match="hidden"):
        tabm.Net(SIZES, tabm.Config(hidden=()))
