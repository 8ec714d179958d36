"""What torchvision's networks are and give, kept as numbers: `python tests/systems/make_reference.py` writes them anew.

Run it where torchvision imports; the tests compare gipi's networks with what is kept, and where torchvision imports
with torchvision itself. Weights and pictures are filled by a rule that needs no random generator, so that they are the
same with every version of torch.

    torchvision_names.json      each weight's shape by its name, for 1,000 classes and pictures of the published size
    torchvision_outputs.json    some of 1,000 outputs, in float32, of pictures of 64 x 64
    torchvision_gradients.json  loss, gradients and batch norm's statistics of a step in float64, dropout off
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
CLASSES, SIDE, ROWS = 1000, 64, 2
SHOWN = slice(3, None, 97)  # of the outputs
LENGTH = 65_521  # numbers after which the table begins anew; a prime, so that it fits no layer
HELPING = 0.3  # of the loss of googlenet's helpers

NAMES = ("alexnet", "googlenet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vit_b_16", "vit_b_32")
NAMES += ("vit_l_16", "vit_l_32", "vit_h_14")
LARGE = ("vit_l_16", "vit_l_32", "vit_h_14")  # 300 million parameters and more: their outputs are a slow test
SIDES = {"vit_h_14": 56}  # where 64 is no multiple of the patch
MINI = {"image_size": 32, "patch_size": 4, "num_layers": 6, "num_heads": 4, "hidden_dim": 128, "mlp_dim": 512}
SLOPES = ("alexnet", "googlenet", "resnet18", "resnet50", "vit_mini")  # those whose gradients are kept


def table() -> np.ndarray:
    """Numbers from -1 to 1 that look like drawn ones: the hash of Steele, Lea and Flood 2014 ("SplitMix")."""
    z = np.arange(1, LENGTH + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1


TABLE = table()


def numbers(shape: Sequence[int], place: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A tensor of numbers from the table, from this place on."""
    values = np.roll(TABLE, -7919 * place).astype(np.float32 if dtype == torch.float32 else np.float64)
    return torch.from_numpy(np.resize(values, tuple(shape)))


def pictures(rows: int, side: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """`(rows, 3, side, side)`: each colour of each picture has its own brightness, so that pictures differ much."""
    return numbers((rows, 3, side, side), 1, dtype) + 2 * numbers((rows, 3, 1, 1), 4, dtype)


@torch.no_grad()
def filled(net: nn.Module) -> nn.Module:
    """The network with weights and statistics by the rule; a tensor's place is that of its name in the alphabet."""
    for place, (name, tensor) in enumerate(sorted(net.state_dict().items())):
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
            continue
        values = numbers(tensor.shape, place, tensor.dtype)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.5 * values)
        elif tensor.ndim == 1:
            tensor.copy_(0.75 + 0.25 * values if name.endswith("weight") else 0.05 * values)
        elif name.endswith(("pos_embedding", "class_token")):
            tensor.copy_(0.5 * values)
        else:
            tensor.copy_(values * (6 / tensor[0].numel()) ** 0.5)  # a variance of 2 / inputs
    return net


def outputs(net: nn.Module, side: int = SIDE) -> Tensor:
    """What a filled network gives, `(ROWS, CLASSES)` float32."""
    with torch.no_grad():
        return filled(net).eval()(pictures(ROWS, side, torch.float32))


def sentence_of(output: Tensor) -> dict[str, Any]:
    """Some of the outputs and how large all are."""
    return {"norm": output.double().norm().item(), "some": output[:, SHOWN].double().tolist()}


def gradients(
    net: nn.Module, say: Callable[[Tensor], Sequence[Tensor]], side: int, rows: int = 4
) -> dict[str, list[float]]:
    """A step of a filled network in training: of each tensor what `summary` says.

    Args:
        net: In float64.
        say: Gives the outputs for pictures: the network's own first, then those of helpers.
        side: Of the pictures.
        rows: Of them.
    """
    prepared(net)
    own, *helping = (loss(output) for output in say(pictures(rows, side)))
    whole = own + HELPING * sum(helping)
    named = dict(net.named_parameters())
    found = dict(zip(named, torch.autograd.grad(whole, list(named.values())), strict=True))
    found |= {name: tensor for name, tensor in net.named_buffers() if "running" in name}
    found["loss"] = whole
    return {name: summary(tensor.detach()) for name, tensor in sorted(found.items())}


def prepared(net: nn.Module) -> None:
    """Filled, in training, with its dropout off."""
    filled(net).train()
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0


def loss(output: Tensor, target: Tensor | None = None) -> Tensor:
    """A sum that every output has another part in; there is no target."""
    return (output * numbers(output.shape, 2)).sum() / len(output)


def summary(tensor: Tensor) -> list[float]:
    """How large it is, and the sum of its first numbers by the table."""
    first = tensor.flatten()[:LENGTH]
    return [tensor.norm().item(), (first * numbers(first.shape, 3)).sum().item()]


# --- torchvision -------------------------------------------------------------------------------------------------


def theirs(name: str, side: int, classes: int = CLASSES) -> nn.Module:
    """torchvision's network of this name, for pictures of this side, without weights."""
    from torchvision import models

    if name == "vit_mini":
        return models.VisionTransformer(**MINI, num_classes=classes)
    more: dict[str, Any] = {"init_weights": False} if name == "googlenet" else {}
    if name.startswith("vit"):
        more = {"image_size": side}
    return getattr(models, name)(num_classes=classes, **more)


def shapes(net: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in net.state_dict().items()}


def names_of(name: str) -> dict[str, list[int]]:
    with torch.device("meta"):
        return shapes(theirs(name, 224))


def outputs_of(name: str) -> dict[str, Any]:
    side = SIDES.get(name, SIDE)
    return sentence_of(outputs(theirs(name, side), side))


def gradients_of(name: str) -> dict[str, list[float]]:
    side = 32 if name == "vit_mini" else SIDE
    net = theirs(name, side, 10).double()

    def say(x: Tensor) -> list[Tensor]:
        output = net(x)  # of googlenet a tuple: the network's own, that of the later helper, that of the earlier one
        return [output] if isinstance(output, Tensor) else [output[0], output[2], output[1]]

    return gradients(net, say, side)


def kept(what: str) -> dict[str, Any]:
    return json.loads((HERE / f"torchvision_{what}.json").read_text(encoding="utf-8"))


def main() -> None:
    parts = {
        "names": {name: names_of(name) for name in NAMES},
        "outputs": {name: outputs_of(name) for name in NAMES},
        "gradients": {name: gradients_of(name) for name in SLOPES},
    }
    for what, found in parts.items():
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(one)}" for name, one in found.items())
        (HERE / f"torchvision_{what}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
