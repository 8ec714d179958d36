"""Transfer: does a convnet that has seen small pictures of ten other things tell flowers apart better than a new one?

A convnet learns 10,000 pictures of CIFAR-10 (32 x 32), once. For each seed flower_photos (270 pictures of five flowers,
brought to the same size; two fifths are for the test) is then learned from scratch and from those weights: the whole
network, with the trunk slowed down, and with the trunk frozen. Parts, steps and everything else are the same, so a
seed's runs are a pair; the difference of accuracies has a 95 % interval (Student's t over seeds).

    GIPI_DATA=FOLDER python bench/transfer.py OUT.json [--seeds 0 1 2] [--quick]
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

SIDE = 32
WAYS: dict[str, dict[str, Any]] = {
    "from scratch": {"picture_size": SIDE},
    "whole": {},
    "trunk slow": {"trunk_lr": 0.1},
    "trunk frozen": {"freeze": True},
}
QUIET = {"quiet": True, "verdict": False, "doctor": False, "threads": 1, "system": "convnet"}


def unpacked(archive: str, into: Path, parts: tuple[str, ...]) -> Path:
    """The pictures of an archive `.../PART/CLASS/NAME`, those of all parts together, in a folder for each class."""
    with zipfile.ZipFile(Path(os.environ["GIPI_DATA"]) / archive) as packed:
        for name in packed.namelist():
            *_above, part, label, file = f"//{name}".split("/")
            if part in parts and file.lower().endswith(".jpg"):
                (into / label).mkdir(parents=True, exist_ok=True)
                (into / label / f"{part}-{file}").write_bytes(packed.read(name))
    return into


def measured(flowers: Path, weights: Path, seed: int, steps: int) -> dict[str, Any]:
    """The accuracies of a seed, on the same test pictures, by each way."""
    import gipi

    line: dict[str, Any] = {"seed": seed}
    for way, options in WAYS.items():
        begun = {} if "picture_size" in options else {"weights": weights}
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                flowers, run=f"{folder}/run", seed=seed, steps=steps, test_share=0.4, **begun, **options, **QUIET
            )
            line[way] = float(run.metrics["accuracy"])
            line["split"] = line.get("split", run.record["split"])
            assert run.record["split"] == line["split"], "not the same test pictures"
    return line


def difference(lines: list[dict[str, Any]], way: str) -> dict[str, float]:
    """The mean of the seeds' differences to training from scratch, with its 95 % interval."""
    from scipy.stats import t

    gains = [line[way] - line["from scratch"] for line in lines]
    mean = statistics.mean(gains)
    reach = 0.0
    if len(gains) > 1:
        reach = float(t.ppf(0.975, len(gains) - 1)) * statistics.stdev(gains) / math.sqrt(len(gains))
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="where the numbers go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*range(6)])
    parser.add_argument("--quick", action="store_true", help="a few steps: whether all runs, not how well")
    options = parser.parse_args()
    steps = {"cifar": 1500, "flowers": 150} if not options.quick else {"cifar": 10, "flowers": 5}
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import gipi

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        pictures = unpacked("cifar10_subset/cifar10_subset.zip", Path(place) / "cifar", ("train",))
        flowers = unpacked("flower_photos/flower_photos.zip", Path(place) / "flowers", ("train", "val"))
        trunk = gipi.fit(pictures, run=f"{place}/trunk", steps=steps["cifar"], test_share=0.1, **QUIET)
        weights = trunk.save(Path(place) / "trunk")
        known = float(trunk.metrics["accuracy"])
        print(f"CIFAR-10: accuracy {known:.3f} after {time.perf_counter() - began:.0f} s", flush=True)
        lines = []
        for seed in options.seeds:
            lines.append(measured(flowers, weights, seed, steps["flowers"]))
            print("  ".join(f"{way} {lines[-1][way]:.3f}" for way in WAYS), flush=True)
    found = {way: difference(lines, way) for way in WAYS if way != "from scratch"}
    for way, gain in found.items():
        print(f"{way} - from scratch: {gain['mean']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})")
    print(f"{time.perf_counter() - began:.0f} s in all")
    kept = {"steps": steps, "cifar10_accuracy": known, "seeds": lines, "differences": found}
    options.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
