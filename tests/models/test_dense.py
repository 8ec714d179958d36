"""The parts of dense and convolutional networks: one-hot entry, hidden layers, blocks; values, gradients, copies."""

import pytest
import torch
from torch import nn

import gipi
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.jobs import supervised
from gipi.models.activations import ACTIVATIONS
from gipi.models.conv import conv_block
from gipi.models.dense import Expand, expanded, hidden_layer, linear
from gipi.models.normalization import NORMALIZATIONS, normalization


def test_expand_is_one_hot():
    expand = Expand(Sizes((2,), 1, (3, 1, 2)))
    x = torch.tensor([[0.5, -1, 1, 1, 2], [7, 8, 3, 0, 1], [0, 0, 0, 0, 0]])
    expected = [[0.5, -1, 1, 0, 0, 1, 0, 1], [7, 8, 0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0]]
    assert expand(x).tolist() == expected and expand.outputs == 8
    assert expand(x.double()).dtype == torch.float64
    assert not expand.state_dict()  # the sizes say it all


def test_expand_equals_torchs_one_hot_on_many():
    counts = (5, 200, 2, 17)
    expand = Expand(Sizes((3,), 1, counts))
    codes = torch.stack([torch.randint(0, count + 1, (64,)) for count in counts], 1)
    x = torch.cat([torch.randn(64, 3), codes.float()], 1)
    one_hot = [nn.functional.one_hot(codes[:, k], count + 1)[:, 1:] for k, count in enumerate(counts)]
    assert torch.equal(expand(x), torch.cat([x[:, :3], *[h.float() for h in one_hot]], 1))


def test_expand_without_categories_copies_nothing():
    x = torch.randn(4, 3)
    assert Expand(Sizes((3,), 1))(x).data_ptr() == x.data_ptr()
    picture = torch.randn(4, 3, 2, 2)
    expand = Expand(Sizes((3, 2, 2), 1))
    assert expand(picture).shape == (4, 12) and expand.outputs == 12


def test_expand_without_numbers():
    expand = Expand(Sizes((0,), 1, (2,)))
    assert expand(torch.tensor([[1.0], [2.0], [0.0]])).tolist() == [[1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_hidden_layer(name):
    torch.manual_seed(0)
    layer = hidden_layer(5, 7, name).double()
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert layer(x).shape == (4, 7) and layer(x[:, None]).shape == (4, 1, 7)
    assert torch.autograd.gradcheck(layer, [x])
    other = hidden_layer(5, 7, name).double()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))
    assert torch.allclose(layer(x)[:2], layer(x[:2]))


@pytest.mark.parametrize("norm", NORMALIZATIONS)
@pytest.mark.parametrize("name", ["relu", "maxout"])
def test_hidden_layer_with_normalization(name, norm):
    torch.manual_seed(0)
    layer = hidden_layer(5, 7, name, norm).double()
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert layer(x).shape == (4, 7) and (layer[0].bias is None) == (norm != "none")
    layer.eval()
    assert torch.autograd.gradcheck(layer, [x])


@pytest.mark.parametrize("norm", NORMALIZATIONS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_conv_block(name, norm):
    torch.manual_seed(0)
    block = conv_block(2, 3, name, norm=norm).double()
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert block(x).shape == (3, 3, 4, 4)
    assert conv_block(2, 3, name, stride=2, norm=norm)(x.float()).shape == (3, 3, 2, 2)
    assert (block[0].bias is None) == (norm != "none")
    block.eval()
    assert torch.autograd.gradcheck(block, [x[:1, :, :3, :3].detach().requires_grad_()])


@pytest.mark.parametrize("is_picture", [False, True])
def test_normalization(is_picture):
    x = torch.randn(16, 6, 5, 5) * 3 + 2 if is_picture else torch.randn(16, 6) * 3 + 2
    assert normalization("none", 6, is_picture) is None
    batch = normalization("batch", 6, is_picture)(x)
    rest = [axis for axis in range(x.ndim) if axis != 1]
    assert batch.mean(rest).abs().max() < 1e-5 and batch.std(rest, correction=0).sub(1).abs().max() < 1e-3
    layer = normalization("layer", 6, is_picture)(x).flatten(1)
    assert layer.mean(1).abs().max() < 1e-5 and layer.std(1, correction=0).sub(1).abs().max() < 1e-3
    with pytest.raises(UsageError, match="Did you mean 'batch'"):
        normalization("bach", 6)


def test_last_layer_begins_small():
    torch.manual_seed(0)
    layer = linear(200, 3)
    assert layer.bias.abs().max() == 0 and layer.weight.var().item() == pytest.approx(2 / 203, rel=0.2)


def test_rows_are_expanded_once_or_at_each_step_to_the_same_bits(tmp_path, monkeypatch):
    rows = [{"a": float(i % 7), "b": "xyz"[i % 3], "c": "pq"[i % 5 > 1], "y": i % 3 == 0} for i in range(120)]
    seen = []
    real = supervised.Supervised._ready

    def ready(job, net, x):
        seen.append(real(job, net, x))
        return seen[-1]

    monkeypatch.setattr(supervised.Supervised, "_ready", ready)
    options = {"target": "y", "steps": 30, "verdict": False, "quiet": True}
    for system in ("mlp", "tabm", "linear"):
        runs, widths = [], []
        for most in (1 << 20, 0):
            monkeypatch.setattr(supervised, "EXPANDED", most)
            runs.append(gipi.fit(rows, system=system, **options, run=tmp_path / f"{system}-{most}"))
            widths.append(seen[-1].shape[1])
        assert widths == [6, 3]  # a, three of b, two of c; or a and two codes
        first, second = ([line["learner"] for line in run.steps] for run in runs)
        assert first == second and runs[0].metrics == runs[1].metrics


def test_only_a_network_that_begins_so_gets_features():
    sizes = Sizes((1,), 1, (2, 3))
    x = torch.tensor([[0.5, 2, 0], [0.1, 0, 3]])
    whole = expanded(nn.Sequential(Expand(sizes), nn.Linear(6, 1)), x, 100)
    assert whole.tolist() == Expand(sizes)(x).tolist() and Expand(sizes)(whole) is whole
    assert expanded(nn.Sequential(Expand(sizes), nn.Linear(6, 1)), x, 11) is x
    assert expanded(nn.Sequential(nn.Linear(3, 3), Expand(sizes)), x, 100) is x
