"""What saving costs a training: an MLP of a few kilobytes, and one whose state is some 500 MB, with saving and without.

    python bench/saving.py [--quick] [--turns 3] [--small 40000] [--large 1200] [--width 5400]

`small` and `large` are their steps. A run saves by the clock, at most 2 % of the time; without saving the clock never
says so, and only the end is written. `share`: percent of the training that saves by the clock took: what stood still
for them, and the processor time of the thread that writes, shared by all cores; `saves`: how many; `state`: MB.
"""

import argparse
import tempfile
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold, timed

ROWS, COLUMNS, CLASSES = 4000, 64, 10
BATCH = 32


class Spent:
    """Seconds that saves by the clock took, and what they held; put around gipi's own save and writer."""

    def __init__(self):
        from gipi.training.log import Log
        from gipi.training.tensors import bytes_of
        from gipi.training.writer import Writer

        self.seconds, self.saves, self.bytes = 0.0, 0, 0
        self.is_beside = False
        save, wait = Log.save, Writer.wait

        def saved(log: Any, group: Any) -> None:
            self.seconds += timed(lambda: save(log, group))[0]
            self.saves += 1
            self.bytes = bytes_of(group.tensors())
            self.is_beside = log.folder.writer.thread is not None

        def waited(writer: Any) -> None:
            wait(writer)
            self.seconds += writer.cost if self.is_beside else 0.0
            self.is_beside = False

        Log.save, Writer.wait = saved, waited


def trained(steps: str, is_large: bool, is_saving: bool) -> Any:
    def make(options: argparse.Namespace) -> Turn:
        import torch

        import gipi
        from gipi.training import log

        if not is_saving:
            log.SHORTEST_PAUSE = float("inf")
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(ROWS, COLUMNS, generator=draw)
        y = (x @ torch.randn(COLUMNS, CLASSES, generator=draw)).argmax(1)
        width = options.width if is_large else 32

        spent = Spent()

        def fit() -> dict[str, float]:
            spent.seconds, spent.saves = 0.0, 0
            with tempfile.TemporaryDirectory() as folder:
                run = gipi.fit(
                    (x, y),
                    system="mlp",
                    hidden=(width, width),
                    optimizer="adam",
                    lr=1e-4,
                    batch_size=BATCH,
                    steps=getattr(options, steps),
                    patience=0,
                    precision="float32",
                    threads=options.threads,
                    device="cpu",
                    verdict=False,
                    doctor=False,
                    quiet=True,
                    run=f"{folder}/run",
                )
                seconds = run.record["seconds"]["training"]
            share = 100 * spent.seconds / seconds
            return {"time": seconds, "share": share, "saves": spent.saves, "state": spent.bytes / 2**20}

        return fit

    return make


BENCH = Bench(
    "saving",
    {
        "small, saving": trained("small", False, True),
        "small, not saving": trained("small", False, False),
        "large, saving": trained("large", True, True),
        "large, not saving": trained("large", True, False),
    },
    [
        Figure("small, saving", "small, not saving", most=1.02),
        Figure("large, saving", "large, not saving", most=1.02),
    ],
    "s",
)

if __name__ == "__main__":
    hold(BENCH, arguments(__doc__, 3, 1, {"small": (40000, 400), "large": (1200, 8), "width": (5400, 64)}))
