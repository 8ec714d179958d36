"""What a bundle costs: opening it, its first answer, answers to many rows; by its networks and by its program.

    python bench/bundle.py [--quick]

Each figure is the median of several, the ways in turns in one process, one thread. Opening is measured in fresh
processes too, imports and all: a server that starts anew pays that.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SINGLE = """
import json, sys, time
begin = time.perf_counter()
import gipi
model = gipi.load(sys.argv[1], runtime=sys.argv[2])
model.predict(json.loads(sys.argv[3]))
print(time.perf_counter() - begin)
"""


def median(work, turns: int) -> float:
    took = []
    for _turn in range(turns):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def fresh(path: Path, runtime: str, row: str, turns: int) -> float:
    """Seconds from the start of a process's own code to its first answer."""
    command = [sys.executable, "-c", SINGLE, str(path), runtime, row]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(turns)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    turns = 3 if parser.parse_args().quick else 9
    import torch

    import gipi

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    quiet = {"quiet": True, "verdict": False, "doctor": False, "epochs": 2, "threads": 1}
    table = gipi.fit("breast-cancer", system="mlp", run=folder / "table", **quiet)
    digits = gipi.fit("digits", system="convnet", run=folder / "digits", **quiet)
    names = [field.name for field in table.model.schema.inputs]
    rows = [dict(zip(names, map(float, row), strict=True)) for row in np.random.default_rng(0).normal(size=(2000, 30))]
    pictures = list(np.random.default_rng(0).integers(0, 256, (2000, 8, 8), dtype=np.uint8))
    given = {
        "table": (table, rows, json.dumps(rows[0])),
        "digits": (digits, pictures, json.dumps([[0] * 8] * 8)),
    }
    for name, (run, many, one) in given.items():
        begin = time.perf_counter()
        path = run.save(folder / name)
        print(
            f"{name}: kept with its program in {time.perf_counter() - begin:.2f} s, {path.stat().st_size / 1e3:.0f} kB"
        )
        models = {runtime: gipi.load(path, runtime=runtime) for runtime in ("torch", "onnx")}
        for runtime, model in models.items():
            opened = median(lambda path=path, runtime=runtime: gipi.load(path, runtime=runtime), turns)
            single = median(lambda model=model, many=many: model.predict([many[0]]), 30 * turns)
            whole = median(lambda model=model, many=many: model.predict(many), turns)
            begun = fresh(path, runtime, one, min(turns, 5))
            print(
                f"  {runtime:5}: opened in {1e3 * opened:.0f} ms, one row {1e6 * single:.0f} us, "
                f"{len(many)} rows {1e3 * whole:.1f} ms; a fresh process to its first answer {begun:.2f} s"
            )


if __name__ == "__main__":
    main()
