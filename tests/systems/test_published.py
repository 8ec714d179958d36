"""gipi's classic networks are torchvision's: the same names and shapes, the same outputs, the same gradients.

Compared with the numbers that make_reference.py has kept, and where torchvision imports with torchvision itself.
"""

import re

import make_reference as reference
import pytest
import torch
from torch import Tensor

from gipi import systems
from gipi.data.schema import Sizes
from gipi.release import published

CLOSE = 1e-4  # of the largest: float32 against float32
EQUAL = 1e-8  # float64 against float64


def ours(name: str, side: int, classes: int = reference.CLASSES, channels: int = 3) -> torch.nn.Module:
    """gipi's network of a published name, without weights that were drawn: they come from the rule."""
    system, options = published.network_of(name) if name != "vit_mini" else ("vit", {"size": "mini", "patch": 4})
    module = systems.load(system)
    with torch.device("meta"):
        net = module.Net(Sizes((channels, side, side), classes), module.Config(**options))
    return net.to_empty(device="cpu")


def close(found: dict, expected: dict) -> bool:
    """Outputs that differ by so little that no answer differs."""
    one, other = torch.tensor(found["some"]), torch.tensor(expected["some"])
    gap = (one - other).abs().max().item()
    return gap <= CLOSE * other.abs().max().item() and abs(found["norm"] / expected["norm"] - 1) <= CLOSE


@pytest.mark.parametrize("name", reference.NAMES)
def test_names_and_shapes(name):
    module, options = published.network_of(name)
    system = systems.load(module)
    with torch.device("meta"):
        net = system.Net(Sizes((3, 224, 224), reference.CLASSES), system.Config(**options))
    assert reference.shapes(net) == reference.kept("names")[name]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in reference.LARGE else ()) for n in reference.NAMES]
)
def test_outputs(name):
    side = reference.SIDES.get(name, reference.SIDE)
    found = reference.sentence_of(reference.outputs(ours(name, side), side))
    assert close(found, reference.kept("outputs")[name])


def test_a_wrong_network_is_noticed():
    """That a comparison can fail: an activation too much, a norm whose epsilon is another."""
    net = ours("resnet18", reference.SIDE)
    net.layer2[1].downsample = torch.nn.ReLU6()
    assert not close(reference.sentence_of(reference.outputs(net)), reference.kept("outputs")["resnet18"])
    net = ours("googlenet", reference.SIDE)
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eps = 1e-5
    assert not close(reference.sentence_of(reference.outputs(net)), reference.kept("outputs")["googlenet"])


@pytest.mark.parametrize("name", reference.SLOPES)
def test_gradients_of_a_step(name):
    """Through the loss that training has: of googlenet, with its helpers' parts."""
    side = 32 if name == "vit_mini" else reference.SIDE
    net = ours(name, side, 10).double()

    def say(x: Tensor) -> tuple[Tensor, ...]:
        return net(x, with_helpers=True) if name == "googlenet" else (net(x),)

    found, expected = reference.gradients(net, say, side), reference.kept("gradients")[name]
    assert found.keys() == expected.keys()
    for place, (norm, part) in expected.items():
        assert found[place] == pytest.approx([norm, part], abs=EQUAL * norm), place


def test_helpers_count_in_the_loss_that_googlenet_trains_with():
    """The loss and the gradients of its player are those of torchvision's three outputs."""
    system, side = systems.load("googlenet"), reference.SIDE
    net = ours("googlenet", side, 10).double()
    player = system.players(net, system.Config(stem="imagenet"), reference.loss, lambda lr: lr)["learner"]
    expected = reference.kept("gradients")["googlenet"]
    reference.prepared(net)
    loss, *gradients = player.differentiate((reference.pictures(4, side),))
    assert loss.item() == pytest.approx(expected["loss"][0] * (1 if loss > 0 else -1), rel=EQUAL)
    for (place, _param), gradient in zip(net.named_parameters(), gradients, strict=True):
        assert reference.summary(gradient) == pytest.approx(expected[place], abs=EQUAL * expected[place][0]), place


@pytest.mark.parametrize("name", [name for name in reference.NAMES if name not in reference.LARGE])
def test_torchvision_itself(name):
    """What is kept is what this torchvision gives."""
    try:
        import torchvision  # noqa: F401
    except Exception as error:  # one that does not fit this torch raises RuntimeError
        pytest.skip(f"torchvision does not import here: {type(error).__name__}")
    assert reference.names_of(name) == reference.kept("names")[name]
    assert close(reference.outputs_of(name), reference.kept("outputs")[name])
    if name in reference.SLOPES:
        found, expected = reference.gradients_of(name), reference.kept("gradients")[name]
        assert all(found[place] == pytest.approx(pair, abs=EQUAL * pair[0]) for place, pair in expected.items())


# --- the list of published weights -------------------------------------------------------------------------------


def test_addresses_carry_their_checksums():
    for name, (address, start, side, mean, std) in published.published.items():
        assert re.fullmatch(rf"https://\S+-{start}\.pth", address), name
        assert re.fullmatch(r"[0-9a-f]{8}", start)
        assert side >= 224 and len(mean) == len(std) == 3


def test_every_published_name_has_its_network():
    found = {name: published.network_of(name) for name in published.published}
    assert {system for system, _options in found.values()} == {"alexnet", "googlenet", "resnet", "vit"}
    assert found["resnet101_v1"] == ("resnet", {"layers": 101, "stem": "imagenet"})
    assert found["vit_b_16_lc_swag"][1] == {"size": "base", "patch": 16}
