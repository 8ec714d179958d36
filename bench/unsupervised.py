"""The figures of learning without labels: `python bench/unsupervised.py [denoise] [compress] [embed] [--full]`.

Each line is what was reached beside what was to be reached, on test pictures of Fashion-MNIST. Short by default, on
some of the pictures; `--full` takes them all and gipi's own number of steps.
"""

import argparse
import tempfile
from typing import Any

import numpy as np

TRAIN, TEST = 6_000, 1_000  # pictures of a short run


def data(full: bool, train: int = TRAIN, test: int = TEST) -> Any:
    """Fashion-MNIST's own training and test pictures with their labels: some of each, or all."""
    from gipi.data.sources import open_data

    found = open_data("fashion_mnist")
    if full:
        return found, {}
    rows = np.concatenate([found.parts["train"][:train], found.parts["test"][:test]])
    some = found.rows(rows)
    some.parts = {"train": np.arange(train), "test": np.arange(train, train + test)}
    return some, {}


def fitted(source: Any, **options: Any) -> Any:
    import gipi

    with tempfile.TemporaryDirectory() as folder:
        run = gipi.fit(source, run=f"{folder}/run", quiet=True, **options)
        return run.verdict, run.metrics


def denoise(full: bool) -> None:
    source, options = data(full)
    verdict, metrics = fitted(source, task="denoise", noise=0.3, **options, **({} if full else {"steps": 250}))
    found = {row.name: float(row.figure) for row in verdict.models}
    print(f"denoise: {float(metrics['psnr']):.2f} dB; {found}", flush=True)
    print(f"  over the median filter: {float(metrics['psnr']) - found['median']:.2f} dB, goal 2", flush=True)


def compress(full: bool) -> None:
    source, options = data(full)
    for variational in (False, True) if full else (False,):
        steps = {} if full else {"steps": 450}
        verdict, metrics = fitted(source, task="compress", code=32, variational=variational, **options, **steps)
        found = {row.name: float(row.figure) for row in verdict.models}
        name = "compress --variational" if variational else "compress"
        goal = "" if variational else ", goal: below pca"
        print(f"{name}: mse {float(metrics['mse']):.5f}; {found}{goal}", flush=True)


def embed(full: bool) -> None:
    source, options = data(full)
    verdict, metrics = fitted(source, task="embed", **options, **({} if full else {"steps": 600}))
    found = {row.name: round(float(row.figure), 4) for row in verdict.models}
    print(f"embed: { ({name: round(float(value), 4) for name, value in metrics.items()}) }", flush=True)
    print(f"  linear probes: {found}, goal: above random_network and tenth", flush=True)


PARTS = {"denoise": denoise, "compress": compress, "embed": embed}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--full", action="store_true", help="all pictures, and as many steps as gipi takes by itself")
    given = parser.parse_args()
    for part in given.parts or PARTS:
        PARTS[part](given.full)
