"""On a GPU: the small network's step, ResNet-50 and GPT-2 through gipi beside straight-line PyTorch, in one process.

    python bench/gpu.py [--tiny]        bench/gpu.sh runs it and the tests that need a GPU

Synthetic batches that lie on the device; bf16 for ResNet-50 (224 x 224, batches of 256) and GPT-2 (124 million, 1,024
tokens); the control of the small network replays a CUDA graph. GPT-2's share of the peak: six operations a weight and
token, and attention's, beside what a product of two 8192 x 8192 bf16 matrices reaches here.
`--tiny` tries whether all runs, on a CPU too.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from nets import GPT, Endless, resnet, word_loss
from torch import Tensor, nn

import gipi

Seconds = Callable[[], float]  # does its steps, and gives the seconds of one


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def ours(net: nn.Module, loss: Any, batch: tuple[Tensor, ...], steps: int, precision: str, device: str) -> Seconds:
    def turn() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                Endless(*batch),
                model=net,
                loss=loss,
                optimizer="adam",
                lr=1e-4,
                weight_decay=0.0,
                steps=steps,
                precision=precision,
                device=device,
                quiet=True,
                run=f"{folder}/run",
            )
            return run.record["seconds"]["training"] / steps

    return turn


def plain(net: nn.Module, loss: Any, batch: tuple[Tensor, ...], steps: int, precision: str, device: str) -> Seconds:
    """A plain loop with autocast and the fused Adam."""
    net = net.to(device).train()
    x, y = batch

    def turn() -> float:
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
        wait(device)
        began = time.perf_counter()
        for _step in range(steps):
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                found = loss(net(x), y)
            found.backward()
            optimizer.step()
        wait(device)
        return (time.perf_counter() - began) / steps

    return turn


def graphed(net: nn.Module, loss: Any, batch: tuple[Tensor, ...], steps: int) -> Seconds:
    """The step captured once as a CUDA graph, then replayed."""
    net = net.to("cuda")
    x, y = batch
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True, capturable=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(net(x), y).backward()
        optimizer.step()

    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _step in range(5):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def turn() -> float:
        wait("cuda")
        began = time.perf_counter()
        for _step in range(steps):
            graph.replay()
        wait("cuda")
        return (time.perf_counter() - began) / steps

    return turn


def peak(size: int, device: str) -> float:
    """Operations a second of a large bf16 product."""
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _matrix in range(2))
    times = []
    for _turn in range(10):
        wait(device)
        began = time.perf_counter()
        one @ other
        wait(device)
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)


def compare(name: str, contenders: dict[str, Seconds], turns: int) -> dict[str, float]:
    """Warm each up once, let them take turns, say the medians and the ratios; gives the medians."""
    for turn in contenders.values():
        turn()
    found: dict[str, list[float]] = {one: [] for one in contenders}
    for _turn in range(turns):
        for one, turn in contenders.items():
            found[one].append(turn())
    for one, times in found.items():
        ratios = [mine / base for mine, base in zip(times, found["torch"], strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        ratio = f"{statistics.median(ratios):.3f} times torch ({spread})"
        print(f"{name}, {one}: {statistics.median(times) * 1e6:.1f} µs a step, {ratio}", flush=True)
    return {one: statistics.median(times) for one, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="sizes of seconds, on a CPU where there is no GPU")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not options.tiny:
        raise SystemExit("there is no GPU here: nothing is measured (--tiny tries whether all runs)")
    device = "cuda" if has_gpu else "cpu"
    tiny = options.tiny
    place = torch.cuda.get_device_name() if has_gpu else "no GPU here, on the CPU; the figures mean nothing"
    print(f"{place}, torch {torch.__version__}, gipi from {Path(gipi.__file__).parent.name}/", flush=True)

    def classes(count: int, rows: int) -> Tensor:
        return torch.randint(count, (rows,), device=device)

    batch: tuple[Tensor, ...] = torch.randn(32, 20, device=device), classes(2, 32)
    steps = 5 if tiny else 2000

    def small() -> nn.Module:
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))

    runs = {
        "torch": plain(small(), F.cross_entropy, batch, steps, "float32", device),
        "gipi": ours(small(), F.cross_entropy, batch, steps, "float32", device),
    }
    if has_gpu:
        runs["CUDA graph"] = graphed(small(), F.cross_entropy, batch, steps)
    compare("MLP 20-64-2", runs, options.turns)

    rows, side, steps = (2, 32, 1) if tiny else (256, 224, 20)
    batch = torch.randn(rows, 3, side, side, device=device), classes(1000, rows)
    runs = {
        "torch": plain(resnet(50, 1000, side, "imagenet"), F.cross_entropy, batch, steps, "bf16", device),
        "gipi": ours(resnet(50, 1000, side, "imagenet"), F.cross_entropy, batch, steps, "bf16", device),
    }
    for one, seconds in compare("ResNet-50", runs, options.turns).items():
        print(f"ResNet-50, {one}: {rows / seconds:.0f} pictures a second", flush=True)
    del runs

    rows, context, width, layers = (2, 16, 48, 2) if tiny else (16, 1024, 768, 12)
    words, steps = (64, 1) if tiny else (50304, 10)
    tokens = torch.randint(words, (rows, context + 1), device=device)
    batch = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def network() -> GPT:
        return GPT(words, context, width, 12, layers)

    weights = sum(p.numel() for p in network().parameters())
    work = rows * context * (6 * weights + 12 * layers * width * context)  # operations of a step
    best = peak(64 if tiny else 8192, device)
    runs = {
        "torch": plain(network(), word_loss, batch, steps, "bf16", device),
        "gipi": ours(network(), word_loss, batch, steps, "bf16", device),
    }
    print(f"bf16 product: {best / 1e12:.3g} trillion operations a second", flush=True)
    for one, seconds in compare("GPT-2", runs, options.turns).items():
        share = work / seconds / best
        print(f"GPT-2, {one}: {rows * context / seconds:.0f} tokens a second, {share:.1%} of the peak", flush=True)


if __name__ == "__main__":
    main()
