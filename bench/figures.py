"""The figures of the catalogue's Foundations, measured: `python bench/figures.py [digits] [dqn] [start] [fit]`.

Each line is what was reached beside what was to be reached; seeds 0 to 4, the mean.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS = range(5)


def digits() -> None:
    import gipi

    for system, goal in (("convnet", 0.99), ("mlp", 0.975)):
        found = []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                run = gipi.fit("digits", system=system, seed=seed, run=f"{folder}/run", quiet=True, verdict=False)
                found.append(float(run.metrics["accuracy"]))
        shown = " ".join(f"{value:.4f}" for value in found)
        print(f"digits {system}: mean {statistics.mean(found):.4f}, goal {goal}; seeds: {shown}", flush=True)


def dqn() -> None:
    import gipi

    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit("gym:CartPole-v1", seed=seed, run=f"{folder}/run", quiet=True)
            print(f"dqn CartPole-v1 seed {seed}: mean return {float(run.metrics['return']):.1f}, goal 475", flush=True)


def start() -> None:
    """Wall time of whole commands, the best of several: what a person waits for; and whether torch was imported."""
    commands = {
        "import gipi": ([sys.executable, "-c", "import gipi"], 0.15),
        "gipi --help": ([sys.executable, "-m", "gipi", "--help"], 0.15),
        "gipi fit --help": ([sys.executable, "-m", "gipi", "fit", "--help"], 0.35),
        "python alone": ([sys.executable, "-c", "pass"], None),
    }
    for name, (command, goal) in commands.items():
        times = []
        for _turn in range(7):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        print(f"{name}: {min(times):.3f} s" + (f", goal {goal} s" if goal else ""), flush=True)


def fit() -> None:
    """The run of `make fit`: its time and memory."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "gipi", "fit", "digits", "--profile"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env={**os.environ})
        seconds = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(done.stdout[done.stdout.index("test part") :])
    print(f"gipi fit digits: {seconds:.1f} s, goal 60 s; {used:.2f} GB at most, goal 1.5 GB")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    parts = {"start": start, "fit": fit, "digits": digits, "dqn": dqn}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all if none")
    for part in parser.parse_args().parts or parts:
        parts[part]()
