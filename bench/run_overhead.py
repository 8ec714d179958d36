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


def now() -> tuple[float, float]:
    """Seconds by the clock, and seconds of the processor, which others on a busy machine disturb less."""
    return time.perf_counter(), time.process_time()


def raw(x: torch.Tensor, y: torch.Tensor, steps: int) -> tuple[float, float]:
    """Seconds a step of the control, on one batch that lies ready."""
    step = control(x[:BATCH], y[:BATCH])
    clock(step, 50)
    began = now()
    clock(step, steps)
    return since(began, steps)


def ours(x: torch.Tensor, y: torch.Tensor, epochs: int, folder: Path) -> tuple[tuple[float, float], float, int]:
    """Seconds a step of the whole fit, of training alone (by the clock), and how many steps."""
    began = now()
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
    steps = run.history[-1]["step"]
    return since(began, steps), run.record["seconds"]["training"] / steps, steps


def since(began: tuple[float, float], steps: int) -> tuple[float, float]:
    """Seconds a step since then, by both."""
    clock_now, processor_now = now()
    return (clock_now - began[0]) / steps, (processor_now - began[1]) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=4000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = data(options.rows)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        ours(x, y, 2, Path(folder) / "warm")
        for turn in range(options.turns):
            before = raw(x, y, 1000)
            whole, training, steps = ours(x, y, options.epochs, Path(folder) / str(turn))
            bare = [(one + other) / 2 for one, other in zip(before, raw(x, y, 1000), strict=True)]
            ratios.append((training / bare[0], whole[0] / bare[0], whole[1] / bare[1]))
    training, whole, processor = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"ratios to the raw control, median of {options.turns} turns of {steps} steps:")
    print(f"training {training:.2f}, whole fit (data, scores, report) {whole:.2f}, in processor time {processor:.2f}")


if __name__ == "__main__":
    main()
