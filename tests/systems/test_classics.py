"""alexnet, googlenet, resnet and vit by themselves: any picture, any stem, helpers, bf16, and that they learn.

That they are torchvision's is in test_published.py.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity, cross_entropy

import gipi
from gipi import systems
from gipi.data.schema import Sizes
from gipi.errors import UsageError

CLASSICS = {
    "alexnet": {"width": 4},
    "googlenet": {"width": 8},
    "resnet": {"width": 4},
    "vit": {"size": "mini"},
}
every_classic = pytest.mark.parametrize("name", CLASSICS)


def built(name: str, shape: tuple[int, ...] = (3, 32, 32), outputs: int = 5, **options):
    """A small network, its system and its Config."""
    system = systems.load(name)
    config = system.Config(**{**CLASSICS[name], **options})
    torch.manual_seed(0)
    return system.Net(Sizes(shape, outputs), config), system, config


def first_of(net: nn.Module) -> nn.Conv2d:
    return next(part for part in net.modules() if isinstance(part, nn.Conv2d))


@every_classic
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 9), (1, 1, 1), (4, 33, 47), (3, 96, 96), (3, 100, 65)])
def test_any_picture(name, shape):
    net, *_rest = built(name, shape)
    assert net.eval()(torch.randn(2, *shape)).shape == (2, 5)
    assert first_of(net).in_channels == shape[0]


@pytest.mark.parametrize(("name", "small", "large"), [("alexnet", 5, 11), ("googlenet", 3, 7), ("resnet", 3, 7)])
def test_stem_follows_from_the_picture(name, small, large):
    kernels = [
        first_of(built(name, shape, stem=stem)[0]).kernel_size[0]
        for shape, stem in [
            ((3, 95, 300), "auto"),
            ((3, 96, 96), "auto"),
            ((3, 64, 64), "imagenet"),
            ((3, 224, 224), "cifar"),
        ]
    ]
    assert kernels == [small, large, large, small]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("resnet", {"stem": "cifr"}, "cifar"),
        ("resnet", {"layers": 20}, "18, 34, 50, 101, 152"),
        ("vit", {"size": "larg"}, "large"),
        ("alexnet", {"stem": "imagenet"}, "63 x 63"),
    ],
)
def test_what_there_is_not_is_said(name, options, said):
    with pytest.raises(UsageError, match=said):
        built(name, **options)


@pytest.mark.parametrize("layers", [18, 34, 50])
def test_depths_of_resnet_and_their_blocks(layers):
    net, *_rest = built("resnet", layers=layers)
    places = [p for name, p in net.named_modules() if isinstance(p, nn.Conv2d) and "downsample" not in name]
    assert len(places) + 1 == layers  # and the last one
    assert isinstance(net.layer1[0].downsample, nn.Sequential) == (layers == 50)  # four times as many channels


@pytest.mark.parametrize("layers", [18, 50])
def test_blocks_of_resnet_begin_as_if_they_were_not_there(layers):
    x = torch.rand(2, 16 if layers == 50 else 4, 8, 8)
    quiet = built("resnet", layers=layers)[0].layer1[1]
    loud = built("resnet", layers=layers, zero_init=False)[0].layer1[1]
    assert torch.equal(quiet(x), x)
    assert not torch.equal(loud(x), x)


def test_helpers_of_googlenet_count_while_it_learns_and_are_silent_after():
    net, system, config = built("googlenet", dropout=0.0)
    x, y = torch.randn(6, 3, 32, 32), torch.arange(6) % 5
    net.aux1.dropout.p = net.aux2.dropout.p = 0.0
    said, early, late = net(x, with_helpers=True)
    player = system.players(net, config, cross_entropy, lambda lr: lr)["learner"]
    wanted = cross_entropy(said, y) + 0.3 * cross_entropy(early, y) + 0.3 * cross_entropy(late, y)
    assert player.objective((x, y)).item() == pytest.approx(wanted.item(), rel=1e-5)
    with torch.no_grad():
        answer = net.eval()(x)
        net.aux1.fc2.weight.zero_()
        net.aux2.conv.conv.weight.zero_()
        assert torch.equal(net(x), answer)
    plain, system, config = built("googlenet", helpers=False, dropout=0.0)
    alone = system.players(plain, config, cross_entropy, lambda lr: lr)["learner"].objective((x, y))
    assert alone.item() == pytest.approx(cross_entropy(plain(x), y).item(), rel=1e-5)
    assert not [key for key in plain.state_dict() if key.startswith("aux")]


def test_patches_of_vit_follow_from_the_picture():
    patches = {side: built("vit", (3, side, side))[0].conv_proj.kernel_size[0] for side in (8, 28, 32, 37, 48, 64)}
    assert patches == {8: 1, 28: 4, 32: 4, 37: 5, 48: 6, 64: 8}
    assert built("vit", (3, 224, 224))[0].conv_proj.kernel_size == (16, 16)
    assert built("vit", (3, 32, 32), patch=8)[0].encoder.pos_embedding.shape == (1, 17, 128)


def test_vit_sees_the_edge_of_a_picture_that_patches_do_not_fill():
    """What is padded changes nothing, and what it stands beside is seen."""
    net, *_rest = built("vit", (3, 30, 31), patch=8)
    nn.init.normal_(net.heads.head.weight)
    x = torch.randn(2, 3, 30, 31)
    other = x.clone()
    other[:, :, -1, -1] += 1
    with torch.no_grad():
        assert net.eval()(x).isfinite().all()
        assert (net(x) - net(other)).abs().max() > 1e-6


@every_classic
def test_the_order_of_rows_and_of_memory_changes_nothing(name):
    """Channels last gives the same, and a row's answer does not depend on its neighbours."""
    net, *_rest = built(name)
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        for part in net.parameters():  # a head that begins at 0 would answer 0
            part.add_(torch.randn_like(part), alpha=0.02)
        usual = net.eval()(x)
        assert torch.allclose(net(x.flip(0)).flip(0), usual, atol=1e-5)
        assert torch.allclose(net(x[1:2]), usual[1:2], atol=1e-5)
        last = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        assert torch.allclose(last, usual, atol=1e-4)


@every_classic
def test_bf16_goes_the_same_way(name):
    """Loss and gradient of a batch, as gipi/jobs/settle.py compares them."""
    net, system, config = built(name)
    if name == "vit":
        nn.init.normal_(net.heads.head.weight, std=0.1)  # a head at 0 hides the layers before it
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    player = system.players(net, config, cross_entropy, lambda lr: lr)["learner"]
    batch = torch.randn(8, 3, 32, 32), torch.arange(8) % 5
    loss, *slope = player.differentiate(batch)
    with torch.autocast("cpu", torch.bfloat16):
        near, *tilted = player.differentiate(batch)
    assert near.item() == pytest.approx(loss.item(), rel=0.02)
    flat, bent = (torch.cat([one.flatten().double() for one in gradients]) for gradients in (slope, tilted))
    # googlenet's gradient of few rows turns with the last bits of its many norms; settle.py then stays with float32
    assert cosine_similarity(flat, bent, dim=0) > (0.5 if name == "googlenet" else 0.98)


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("resnet", {"width": 8}, 80),
        pytest.param("alexnet", {"width": 16}, 120, marks=pytest.mark.slow),
        pytest.param("googlenet", {"width": 8}, 80, marks=pytest.mark.slow),
        pytest.param("vit", {"size": "mini", "patch": 4}, 100, marks=pytest.mark.slow),
    ],
)
def test_it_learns_the_digits(name, options, steps, tmp_path):
    """In so few steps that chance (10 %) is far, not in so many that it is good."""
    more = {"steps": steps, "augment": ("none",), "threads": 1, "quiet": True, "verdict": False, **options}
    run = gipi.fit("digits", system=name, run=tmp_path / "run", **more)
    assert run.metrics["accuracy"].low > 0.4
