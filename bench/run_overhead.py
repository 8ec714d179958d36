"""What a step of a whole `gipi.fit` costs beside the bare minimum: an MLP 20-64-2, batch 32, Adam, one thread.

The control is the loop of bench/step.py: `autograd.grad` and the raw fused kernel on batches that lie ready. Ours has
everything that a run has: shuffling, the log of each step, validation and best weights each epoch, checkpoints in a
folder; nothing is displayed. Both are timed in turns in one process, so that a busy machine disturbs them alike.

    python bench/run_overhead.py [--turns 9] [--epochs 60] [--rows 4000]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from step import clock, control

import gipi

BATCH = 32


def data(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(rows, 20, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()


def raw(x: torch.Tensor, y: torch.Tensor, steps: int) -> float:
    """Seconds a step of the control, on one batch that lies ready."""
    step = control(x[:BATCH], y[:BATCH])
    clock(step, 50)
    return clock(step, steps) / 1e6


def ours(x: torch.Tensor, y: torch.Tensor, epochs: int, folder: Path) -> tuple[float, float, int]:
    """Seconds a step of training, seconds a step of everything, and how many steps."""
    began = time.perf_counter()
    run = gipi.fit(
        (x, y),
        system="mlp",
        hidden=(64,),
        dropout=0.0,
        optimizer="adam",
        lr=1e-3,
        weight_decay=0.0,
        batch_size=BATCH,
        epochs=epochs,
        patience=0,
        threads=1,
        device="cpu",
        verdict=False,
        quiet=True,
        run=folder,
    )
    seconds = time.perf_counter() - began
    steps = run.history[-1]["step"]
    return run.record["seconds"]["training"] / steps, seconds / steps, steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=4000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = data(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        ours(x, y, 2, Path(folder) / "warm")
        times = []
        for turn in range(options.turns):
            bare = raw(x, y, 1000)
            training, everything, steps = ours(x, y, options.epochs, Path(folder) / str(turn))
            bare = (bare + raw(x, y, 1000)) / 2
            times.append((training / bare, everything / bare))
    train_ratio, whole_ratio = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"ratio to the raw control, median of {options.turns} turns of {steps} steps:")
    print(f"training {train_ratio:.2f}, the whole fit (data, scores, report) {whole_ratio:.2f}")


if __name__ == "__main__":
    main()
