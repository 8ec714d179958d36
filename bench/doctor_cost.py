"""What the doctor's looks into a training cost: gipi with and without it, in turns, on a small MLP and on ResNet-18.

    python bench/doctor_cost.py [--quick] [--turns 5] [--epochs 100] [--steps 60] [--batch 64]

The MLP is 20-64-2 on 4,000 rows of a table, the network ResNet-18 on 32 x 32 pictures with SGD and momentum. The time
is that of the steps, as the run's own clock has it; memory the most that the process ever held, in megabytes.
"""

import argparse
import resource
import tempfile
from collections.abc import Callable
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold

SIDE = 32  # of the pictures
ROWS = 4000  # of the table


def mlp(doctor: bool) -> Callable[[argparse.Namespace], Turn]:
    def make(options: argparse.Namespace) -> Turn:
        from control import data

        x, y = data(ROWS)
        given = {"system": "mlp", "hidden": (64,), "epochs": options.epochs, "patience": 0, "valid_share": 0.0}
        return turn((x.numpy(), y.numpy()), options.epochs * ROWS * 8 // 10 // 32, doctor, options, given)

    return make


def resnet(doctor: bool) -> Callable[[argparse.Namespace], Turn]:
    def make(options: argparse.Namespace) -> Turn:
        import torch
        from nets import Endless
        from nets import resnet as network

        draw = torch.Generator().manual_seed(0)
        x = torch.randn(options.batch, 3, SIDE, SIDE, generator=draw)
        stream = Endless(x, torch.randint(10, (options.batch,), generator=draw))
        torch.manual_seed(0)
        given = {
            "model": network(18, 10, SIDE),
            "loss": torch.nn.functional.cross_entropy,
            "optimizer": "momentum",
            "steps": options.steps,
        }
        return turn(stream, options.steps, doctor, options, given)

    return make


def turn(data: Any, steps: int, doctor: bool, options: argparse.Namespace, given: dict[str, Any]) -> Turn:
    import gipi

    def fit() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                data,
                **given,
                doctor=doctor,
                threads=options.threads,
                device="cpu",
                verdict=False,
                quiet=True,
                run=f"{folder}/run",
            )
            held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            return {"time": run.record["seconds"]["training"] / steps, "memory": held}

    return fit


CONTENDERS = {
    "mlp": mlp(doctor=False),
    "mlp, doctor": mlp(doctor=True),
    "resnet": resnet(doctor=False),
    "resnet, doctor": resnet(doctor=True),
}
FIGURES = [
    Figure("mlp, doctor", "mlp", most=1.05),
    Figure("resnet, doctor", "resnet", most=1.02),
    Figure("mlp, doctor", "mlp", most=1.03, name="memory"),  # 8 MB of some 300, most of which is torch
    Figure("resnet, doctor", "resnet", most=1.01, name="memory"),
]

if __name__ == "__main__":
    given = arguments(__doc__, turns=5, threads=1, sizes={"epochs": (100, 2), "steps": (60, 3), "batch": (64, 4)})
    hold(Bench("doctor_cost", CONTENDERS, FIGURES, "s"), given)
