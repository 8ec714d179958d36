"""What a step of ResNet-18 costs through `gipi.fit(model=...)` beside plain PyTorch: 32 x 32 pictures, batches of 64.

    python bench/resnet.py [--quick] [--turns 3] [--steps 8] [--batch 64]

At the same precision, and at what gipi does when nothing is said, beside plain PyTorch in float32. The network is the
system's, given as a plain module (bench/nets.py, the stem for small pictures), the batch synthetic, SGD with momentum.
The time is that of the steps; what gipi does once around them (a report, a folder) is not in it.
"""

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold, timed

STEP_SIZE, MOMENTUM = 0.01, 0.9
SIDE = 32  # of the pictures: the stem without the early halvings
LONG_ENOUGH = 50  # steps, before which gipi does not try anything


def batch(options: argparse.Namespace) -> tuple[Any, Any]:
    import torch

    draw = torch.Generator().manual_seed(0)
    x = torch.randn(options.batch, 3, SIDE, SIDE, generator=draw)
    return x, torch.randint(10, (options.batch,), generator=draw)


def network() -> Any:
    import torch
    from nets import resnet

    torch.manual_seed(0)
    return resnet(18, 10, SIDE)


def ours(**precision: str) -> Callable[[argparse.Namespace], Turn]:
    def make(options: argparse.Namespace) -> Turn:
        import torch
        from nets import Endless

        import gipi

        stream = Endless(*batch(options))

        def fit(steps: int) -> dict[str, float]:
            with tempfile.TemporaryDirectory() as folder:
                run = gipi.fit(
                    stream,
                    model=network(),
                    loss=torch.nn.functional.cross_entropy,
                    optimizer="momentum",
                    lr=STEP_SIZE,
                    momentum=MOMENTUM,
                    weight_decay=0.0,
                    steps=steps,
                    threads=options.threads,
                    device="cpu",
                    quiet=True,
                    run=f"{folder}/run",
                    **precision,
                )
                return {"time": run.record["seconds"]["training"] / steps, "loss": run.metrics["loss"]}

        fit(1)
        return lambda: fit(options.steps)

    return make


def plain(precision: str) -> Callable[[argparse.Namespace], Turn]:
    def make(options: argparse.Namespace) -> Turn:
        import torch
        import torch.nn.functional as F

        torch.set_num_threads(options.threads)
        x, y = batch(options)

        def train(steps: int) -> float:
            net = network()
            optimizer = torch.optim.SGD(net.parameters(), lr=STEP_SIZE, momentum=MOMENTUM, fused=True)
            total = 0.0
            for _step in range(steps):
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    loss = F.cross_entropy(net(x), y)
                loss.backward()
                optimizer.step()
                total += loss.item()
            return total / steps

        def turn() -> dict[str, float]:
            seconds, loss = timed(lambda: train(options.steps))
            return {"time": seconds / options.steps, "loss": loss}

        train(1)
        return turn

    return make


def as_it_comes(options: argparse.Namespace) -> Turn:
    """Nothing is said of precision or layout, and the run is so long that gipi tries what is fastest: an epoch."""
    import torch

    import gipi

    steps = max(options.steps, LONG_ENOUGH)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(steps * options.batch, 3, SIDE, SIDE, generator=draw)
    y = torch.randint(10, (len(x),), generator=draw)

    def fit() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                (x, y),
                model=network(),
                optimizer="momentum",
                lr=STEP_SIZE,
                momentum=MOMENTUM,
                weight_decay=0.0,
                batch_size=options.batch,
                epochs=1,
                valid_share=0.0,
                test_share=0.0,
                threads=options.threads,
                device="cpu",
                quiet=True,
                run=f"{folder}/run",
            )
            print("chosen:", run.record["arithmetic"])
            return {"time": run.record["seconds"]["training"] / steps}

    return fit


CONTENDERS = {
    "torch, float32": plain("float32"),
    "gipi, float32": ours(precision="float32"),
    "torch, bf16": plain("bf16"),
    "gipi, bf16": ours(precision="bf16"),
    "gipi as it comes": as_it_comes,
}
FIGURES = [
    Figure("torch, float32", "gipi, float32", least=1.0),
    Figure("torch, bf16", "gipi, bf16", least=1.0),
    Figure("torch, float32", "gipi, bf16"),
    Figure("torch, float32", "gipi as it comes", least=1.7),
]

if __name__ == "__main__":
    given = arguments(__doc__, turns=3, threads=2, sizes={"steps": (8, 1), "batch": (64, 4)})
    hold(Bench("resnet", CONTENDERS, FIGURES, "s"), given)
