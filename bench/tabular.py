"""Tables: tabm and mlp as they come, and histogram gradient boosting, on the same test rows of six data sets.

Boosting is the verdict's: scikit-learn's defaults, 100 rounds, on all rows but the test part; the networks keep a fifth
of those for early stopping. G1 and G2 of students are kept, casual and registered of bike-sharing (hours) are not. A
difference is said to be real by the verdict's paired comparison (p < 0.05).

    GIPI_DATA=FOLDER python bench/tabular.py OUT.json [--data adult titanic] [--seeds 0 1 2]
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

DATA = ("students", "titanic", "wine-quality", "bike-sharing", "california-housing", "adult")
SYSTEMS = ("tabm", "mlp")
SECONDS = 600.0  # for the classical models: none is cut down
SURE = 0.05


def measured(data: str, seed: int) -> dict[str, Any]:
    """One data set and seed: the headline metric and seconds of each model, and boosting's p beside each network."""
    import gipi

    line: dict[str, Any] = {"data": data, "seed": seed}
    for system in SYSTEMS:
        with tempfile.TemporaryDirectory() as folder:
            run = gipi.fit(
                data,
                system=system,
                seed=seed,
                run=f"{folder}/run",
                threads=1,
                quiet=True,
                doctor=False,
                verdict_seconds=SECONDS,
            )
            verdict, epochs = run.verdict, len(run.history)
        rows = {row.name: row for row in verdict.models}
        line |= {"metric": verdict.metric, "rows": verdict.rows}
        line[system] = {
            "figure": float(rows[system].figure),
            "seconds": rows[system].seconds_fit,
            "epochs": epochs,
            "p_against_boosting": rows["boosting"].p_value,
        }
        line["boosting"] = {"figure": float(rows["boosting"].figure), "seconds": rows["boosting"].seconds_fit}
    return line


def better(line: dict[str, Any], one: str, other: str) -> bool:
    sign = -1 if line["metric"] == "rmse" else 1
    return sign * line[one]["figure"] > sign * line[other]["figure"]


def said(line: dict[str, Any]) -> str:
    figures = "  ".join(
        f"{name} {line[name]['figure']:.5g} ({line[name]['seconds']:.1f} s)" for name in (*SYSTEMS, "boosting")
    )
    p = line["tabm"]["p_against_boosting"]
    return f"{line['data']} seed {line['seed']}: {line['metric']}  {figures}  p(tabm, boosting) {p:.3f}"


def summary(lines: list[dict[str, Any]]) -> list[str]:
    """A line for each data set: means over seeds, and how often boosting was really better."""
    told = []
    for data in dict.fromkeys(line["data"] for line in lines):
        own = [line for line in lines if line["data"] == data]
        means = "  ".join(
            f"{name} {statistics.mean(line[name]['figure'] for line in own):.5g}" for name in (*SYSTEMS, "boosting")
        )
        sure = [line for line in own if line["tabm"]["p_against_boosting"] < SURE]
        won = sum(better(line, "tabm", "boosting") for line in sure)
        told.append(
            f"{data}: {own[0]['metric']}  {means}  tabm better than mlp in {sum(better(x, 'tabm', 'mlp') for x in own)}"
            f" of {len(own)}; beside boosting really better in {won}, really worse in {len(sure) - won}"
        )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", default=DATA)
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    options = parser.parse_args()
    lines = []
    for data in options.data:
        for seed in options.seeds:
            lines.append(measured(data, seed))
            print(said(lines[-1]), flush=True)
            options.out.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    print("\n".join(summary(lines)), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
