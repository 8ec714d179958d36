"""The published recipe of the speed record on CIFAR-10 as a straight line of PyTorch: gipi's is measured against it.

Jordan, https://github.com/KellerJordan/cifar10-airbench, airbench94_muon.py (2024): network, initialisation, step
sizes, decay, augmentation, evaluation as there. Written anew for any device: half precision is bf16 autocast, where the
machine has it, over weights in float32; nothing is compiled.

B batch, C channels, H W height and width
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
BATCH = 2000
EPOCHS = 8
BIAS_LR, HEAD_LR, MUON_LR = 0.053, 0.67, 0.24
DECAY = 2e-6 * BATCH
SMOOTHING = 0.2


# --- the network -------------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
        self.norm1 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding="same", bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight.data[: conv.in_channels])
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad = False

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Network(nn.Module):
    def __init__(self, width: int = 64, classes: int = 10):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        self.blocks = nn.Sequential(Block(24, width), Block(width, 4 * width), Block(4 * width, 4 * width))
        self.head = nn.Linear(4 * width, classes, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def whiten_by(self, x: Tensor) -> None:
        patches = x.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
        self.whiten.weight.data[:] = torch.cat([filters, -filters])

    def forward(self, x: Tensor, learns_bias: bool = True) -> Tensor:
        bias = self.whiten.bias
        assert bias is not None
        bias = bias if learns_bias else bias.detach()
        x = F.gelu(F.conv2d(x, self.whiten.weight, bias))
        x = F.max_pool2d(self.blocks(x), 3).flatten(1)
        return self.head(x) / x.shape[1]


# --- how it moves ------------------------------------------------------------------------------------------------


def orthogonal(gradient: Tensor) -> Tensor:
    x = gradient.bfloat16() if gradient.is_cuda else gradient
    x = x / (x.norm() + 1e-7)
    is_tall = len(x) > x.shape[1]
    x = x.T if is_tall else x
    for _step in range(3):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if is_tall else x


@torch.no_grad()
def muon(filters: Sequence[Tensor], momenta: Sequence[Tensor], lr: float) -> None:
    for param, momentum in zip(filters, momenta, strict=True):
        assert param.grad is not None
        momentum.mul_(0.6).add_(param.grad)
        direction = param.grad.add(momentum, alpha=0.6)
        param.mul_(math.sqrt(len(param)) / param.norm())
        param.add_(orthogonal(direction.flatten(1)).reshape(param.shape).to(param.dtype), alpha=-lr)


# --- the data ----------------------------------------------------------------------------------------------------


def normalized(pictures: Tensor) -> Tensor:
    """Bytes `(N, 3, H, W)` as numbers, channels last."""
    mean, std = (torch.tensor(values, device=pictures.device).view(3, 1, 1) for values in (MEAN, STD))
    return ((pictures.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def cropped(padded: Tensor, size: int) -> Tensor:
    """Each picture from a place of its own in what was padded by two elements: one copy for each of the 25 places."""
    shifts = torch.randint(0, 5, (len(padded), 2), device=padded.device)
    out = torch.empty(len(padded), 3, size, size, device=padded.device).contiguous(memory_format=torch.channels_last)
    for down in range(5):
        for across in range(5):
            chosen = (shifts[:, 0] == down) & (shifts[:, 1] == across)
            out[chosen] = padded[chosen, :, down : down + size, across : across + size]
    return out


def batches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For ever: flipped at random once, then all in every other epoch; moved; in a new order each epoch."""
    flipped = torch.where((torch.rand(len(x), device=x.device) < 0.5).view(-1, 1, 1, 1), x.flip(3), x)
    padded = F.pad(flipped, (2, 2, 2, 2), "reflect")
    epoch = 0
    while True:
        moved = cropped(padded, x.shape[2])
        moved = moved.flip(3) if epoch % 2 else moved
        order = torch.randperm(len(x), device=x.device)
        for start in range(0, len(x) // size * size, size):
            rows = order[start : start + size]
            yield moved[rows], y[rows]
        epoch += 1


# --- training and judging ----------------------------------------------------------------------------------------


def train(net: Network, stream: Iterator[tuple[Tensor, Tensor]], steps: int, bf16: bool, stop: int = 0) -> list[Tensor]:
    """The mean loss of each step. `stop`: after so many steps, in a run that is planned for `steps`."""
    whitening_steps = math.ceil(steps * 3 / 8)
    filters = [p for p in net.blocks.parameters() if p.ndim == 4]
    momenta = [torch.zeros_like(p) for p in filters]
    biases = [p for name, p in net.named_parameters() if "norm" in name and p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [net.whiten.bias], "lr": BIAS_LR, "weight_decay": DECAY / BIAS_LR},
        {"params": biases, "lr": BIAS_LR, "weight_decay": DECAY / BIAS_LR},
        {"params": [net.head.weight], "lr": HEAD_LR, "weight_decay": DECAY / HEAD_LR},
    ]
    sgd = torch.optim.SGD(groups, momentum=0.85, nesterov=True, fused=True)
    largest = [group["lr"] for group in sgd.param_groups]
    device = net.head.weight.device.type
    net.train()
    losses = []
    for step in range(stop or steps):
        x, y = next(stream)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            output = net(x, learns_bias=step < whitening_steps)
            loss = F.cross_entropy(output, y, label_smoothing=SMOOTHING, reduction="sum")
        loss.backward()
        left = 1 - step / steps
        for group, lr in zip(sgd.param_groups, largest, strict=True):
            group["lr"] = lr * left
        sgd.param_groups[0]["lr"] = largest[0] * max(0.0, 1 - step / whitening_steps)
        sgd.step()
        muon(filters, momenta, MUON_LR * left)
        net.zero_grad(set_to_none=True)
        losses.append(loss.detach() / len(y))
    return losses


@torch.no_grad()
def answers(net: Network, x: Tensor, bf16: bool) -> Tensor:
    """The mean over a picture and both ways of moving it by one element, each with its mirror image."""
    net.eval()

    def mirrored(x: Tensor) -> Tensor:
        return (net(x) + net(x.flip(3))) / 2

    found = []
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        for some in x.split(BATCH):
            size = some.shape[2]
            padded = F.pad(some, (1, 1, 1, 1), "reflect")
            moved = (mirrored(padded[:, :, :size, :size]) + mirrored(padded[:, :, 2:, 2:])) / 2
            found.append((mirrored(some) + moved) / 2)
    return torch.cat(found)


def run(
    pictures: Tensor, labels: Tensor, test: Tensor, truth: Tensor, seed: int, epochs: int, width: int, bf16: bool
) -> dict[str, float]:
    """All of it: seconds of training (whitening and augmentation in it), and the accuracy on the test pictures."""
    torch.manual_seed(seed)
    net = Network(width, int(labels.max()) + 1).to(pictures.device)
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    size = min(BATCH, len(pictures))

    def wait() -> float:
        if pictures.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    began = wait()
    x = normalized(pictures)
    net.whiten_by(x[torch.randperm(len(x), device=x.device)[:5000]])
    losses = train(net, batches(x, labels, size), epochs * (len(x) // size), bf16)
    seconds = wait() - began
    accuracy = (answers(net, normalized(test), bf16).argmax(1) == truth).float().mean().item()
    return {"time": seconds, "accuracy": accuracy, "loss": torch.stack(losses[-5:]).mean().item()}
