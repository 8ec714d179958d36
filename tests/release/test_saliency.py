"""Grad-CAM and integrated gradients against separate, slow ways; networks are left as they were."""

import pytest
import torch
from torch import nn

from gipi.errors import UsageError
from gipi.release.saliency import examined, grad_cam, grids, integrated_gradients, last_layer, shapes


def conv_net(in_place=False, places=8):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(inplace=in_place),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=in_place),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(6 * places * places, 3),
    ).double()


X = torch.rand(4, 2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
TARGET = torch.tensor([0, 2, 1, 1])


def slow_cam(net, x, target, layer):
    """Row by row and channel by channel: the maps, then the rest of the network on its own."""
    net.eval()
    first, rest = net[: layer + 1], net[layer + 1 :]
    found = []
    for row, wanted in zip(x, target.tolist(), strict=True):
        maps = first(row[None]).detach().clone().requires_grad_()
        rest(maps.clone())[0, wanted].backward()
        total = sum(maps.grad[0, c].mean() * maps[0, c].detach() for c in range(maps.shape[1]))
        large = nn.functional.interpolate(total.clamp(min=0)[None, None], x.shape[-2:], mode="bilinear")
        found.append(large[0, 0])
    return torch.stack(found)


@pytest.mark.parametrize(("in_place", "layer"), [(False, 0), (False, 3), (False, 5), (True, 5)])
def test_grad_cam_is_what_a_slow_way_finds(in_place, layer):
    net = conv_net(in_place)
    assert torch.allclose(grad_cam(net, X, TARGET, str(layer)), slow_cam(net, X, TARGET, layer), atol=1e-14)


def test_grad_cam_in_place_is_that_of_copies():
    for layer in ("0", "3", None):
        assert torch.equal(grad_cam(conv_net(True), X, TARGET, layer), grad_cam(conv_net(), X, TARGET, layer))


def test_networks_are_left_as_they_were_also_after_an_error():
    net = conv_net().train()
    net[0].weight.requires_grad_(False)
    net[4].eval()
    before = [part.training for part in net.modules()], [p.requires_grad for p in net.parameters()]
    grad_cam(net, X, TARGET)
    integrated_gradients(net, X, TARGET)

    class Bad(nn.Module):
        def forward(self, x):
            raise RuntimeError("no")

    net.append(Bad())
    for ask in (grad_cam, integrated_gradients, lambda *args: grad_cam(*args, "3")):
        with pytest.raises(RuntimeError, match="no"):
            ask(net, X, TARGET)
    del net[-1]
    assert ([part.training for part in net.modules()], [p.requires_grad for p in net.parameters()]) == before
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    assert all(p.grad is None for p in net.parameters())


def test_gradients_are_on_whatever_was_off():
    net = conv_net()
    with torch.no_grad():
        one = grad_cam(net, X, TARGET)
    with torch.inference_mode():
        other = integrated_gradients(net, X, TARGET).values.clone()
    assert torch.equal(one, grad_cam(net, X, TARGET))
    assert torch.equal(other, integrated_gradients(net, X, TARGET).values)


def test_linear_network_is_explained_exactly():
    line = nn.Sequential(nn.Flatten(), nn.Linear(2 * 16 * 16, 3)).double()
    baseline = torch.full((1, 2, 16, 16), 0.25, dtype=torch.float64)
    found = integrated_gradients(line, X, TARGET, baseline)
    expected = (X - baseline) * line[1].weight[TARGET].unflatten(1, (2, 16, 16)).detach()
    assert torch.allclose(found.values, expected, atol=1e-14)
    assert found.points.tolist() == [17] * 4 and found.gap.abs().max() < 1e-12


def test_integrated_gradients_are_those_of_a_fine_sum():
    net = conv_net().eval()

    def chance(x):
        return net(x).mul(20).softmax(1)  # with a steep place on the way

    found = integrated_gradients(chance, X[:2], TARGET[:2], tolerance=1e-3, most=2000)
    steps = 1000
    for row, wanted in enumerate(TARGET[:2].tolist()):  # midpoints of equal steps
        total = torch.zeros_like(X[row])
        shares = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
        for some in shares.split(250):
            here = (some.view(-1, 1, 1, 1) * X[row]).requires_grad_()
            total += torch.autograd.grad(chance(here)[:, wanted].sum(), here)[0].sum(0)
        expected = X[row] * total / steps
        assert (found.values[row] - expected).abs().max() < 0.005 * expected.abs().max()


@pytest.mark.parametrize("tolerance", [0.05, 0.01, 0.001])
def test_values_add_up_within_what_was_promised(tolerance):
    net = conv_net()

    def chance(x):
        return net(x).mul(20).softmax(1)

    with examined([net]):
        found = integrated_gradients(chance, X, TARGET, tolerance=tolerance, most=2000)
        change = (chance(X) - chance(torch.zeros_like(X))).gather(1, TARGET[:, None])[:, 0].detach()
    assert torch.allclose(found.change, change, atol=1e-12)
    assert torch.allclose(found.values.flatten(1).sum(1) - change, found.gap, atol=1e-12)
    assert (found.gap.abs() <= tolerance).all()  # the range of a probability is at most 1


def test_points_run_out_and_the_gap_is_said():
    found = integrated_gradients(lambda x: (x.flatten(1).sum(1, keepdim=True) * 50).sin(), X, 0, steps=4, most=9)
    assert (found.points == 9).all() and found.gap.abs().max() > 0.01
    assert torch.allclose(found.values.flatten(1).sum(1), found.change + found.gap)


def test_what_does_not_depend_on_the_input_adds_nothing():
    found = integrated_gradients(lambda x: x.new_ones(len(x), 1), X, 0)
    assert not found.values.any() and not found.gap.any()


# --- which layer -------------------------------------------------------------------------------------------------


def test_default_layer_is_the_last_that_is_fine_enough():
    assert last_layer(conv_net(), X, TARGET) == "6"  # 8 x 8
    coarse = nn.Sequential(conv_net()[:6], nn.MaxPool2d(4), nn.Flatten(), nn.Linear(24, 3).double())
    assert last_layer(coarse, X, TARGET) == "0"  # not the 2 x 2 behind it
    tiny = nn.Sequential(nn.Conv2d(2, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double()
    assert last_layer(tiny, X, TARGET) == "1"  # 4 x 4: the best there is
    assert last_layer(nn.Sequential(nn.Flatten(), nn.Linear(512, 3)).double(), X, TARGET) is None


class Patches(nn.Module):
    """A little transformer: patches, a class token, blocks; the answer is read off the class token."""

    def __init__(self, by_convolution, class_token=True, side=4):
        super().__init__()
        torch.manual_seed(0)
        self.cut = nn.Conv2d(2, 8, side, side) if by_convolution else nn.Unfold(side, stride=side)
        self.line = nn.Identity() if by_convolution else nn.Linear(2 * side * side, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8)) if class_token else None
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True), 2, enable_nested_tensor=False
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.line(self.cut(x).flatten(2).transpose(1, 2))
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        seen = self.blocks(tokens)
        return self.head(seen.mean(1) if self.token is None else seen[:, 0])


@pytest.mark.parametrize("by_convolution", [True, False])
@pytest.mark.parametrize("class_token", [True, False])
def test_tokens_lie_in_their_grid(by_convolution, class_token):
    net = Patches(by_convolution, class_token)
    x = X.float()
    name = last_layer(net, x, TARGET)
    assert name == ("blocks.layers.1.norm1" if class_token else "blocks")  # places that the class token has read
    cam = grad_cam(net, x, TARGET)
    grid = grids(shapes(net, x), x)[name]
    assert (grid.height, grid.width, grid.first) == (4, 4, int(class_token))
    assert cam.shape == (4, 16, 16) and cam.max() > 0


def test_grid_that_is_no_square_is_known_from_convolution_or_picture():
    for by_convolution in (True, False):
        net, x = Patches(by_convolution), torch.rand(2, 2, 12, 20)  # 15 patches; with the class token a square
        grid = grids(shapes(net, x), x)["blocks.layers.1.norm1"]
        assert (grid.height, grid.width, grid.first) == (3, 5, 1)


def test_what_has_no_places_is_refused_by_name():
    net = conv_net()
    for layer, said in (("8", "neither maps"), ("9", "there is no layer '9'; there are: 0, 1"), ("", "no layer ''")):
        with pytest.raises(UsageError, match=said):
            grad_cam(net, X, TARGET, layer)
    with pytest.raises(UsageError, match="needs a layer whose output has places"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(512, 3)).double(), X, 0)
    odd = Patches(False, class_token=False, side=4)
    with pytest.raises(UsageError, match="neither maps"):  # 3 x 6 patches, the rest of the picture cut off: no square
        grad_cam(odd, torch.rand(1, 2, 14, 26), 0, "blocks")
