"""Text classification: gipi's systems on the same test rows as TF-IDF with a linear model, each with its verdict.

The classical models learn from all rows but the test part; the networks keep a fifth of those for early stopping, but
for `--folds`, where every row is learned from. p is of the verdict's paired comparison with the better of the two.

    GIPI_DATA=FOLDER python bench/text_classify.py OUT.json [--data nsmc polarity] [--systems bow lstm] [--seeds 0 1 2]
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

SYSTEMS = ("bow", "textcnn", "lstm", "transformer", "bert")
SECONDS = 600.0  # for the classical models: none is cut down
RIVALS = ("tfidf_words", "tfidf_characters")


def nsmc(folder: Path) -> tuple[Any, dict[str, Any]]:
    """20,000 Korean film reviews, good or bad."""
    return folder / "nsmc_sample/ratings_train.txt", {"text": "document", "target": "label", "task": "classify"}


def polarity(folder: Path) -> tuple[Any, dict[str, Any]]:
    """10,662 English sentences of film reviews, good or bad."""
    rows: dict[str, list[str]] = {"text": [], "label": []}
    with zipfile.ZipFile(folder / "sentence_polarity/sentence_polarity.zip") as held:
        for label in ("neg", "pos"):
            lines = held.read(f"sentence_polarity/rt-polarity.{label}").decode("latin-1").strip().split("\n")
            rows["text"] += [line.strip() for line in lines]
            rows["label"] += [label] * len(lines)
    return rows, {"text": "text", "target": "label"}


def news(folder: Path) -> tuple[Any, dict[str, Any]]:
    """5,000 pieces of English news of four kinds; title and beginning together."""
    with open(folder / "ag_news/ag_news.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    rows = {"text": [f"{title}. {text}" for _kind, title, text in lines], "kind": [f"kind {line[0]}" for line in lines]}
    return rows, {"text": "text", "target": "kind"}


def korsts(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Pairs of Korean sentences, and how alike they are, 0 to 5."""
    rows: dict[str, list[Any]] = {"one": [], "other": [], "score": []}
    for line in (folder / "korsts_train/sts-train.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) >= 7:
            for name, cell in zip(rows, (cells[5], cells[6], float(cells[4])), strict=True):
                rows[name].append(cell)
    return rows, {"text": ("one", "other"), "target": "score", "task": "regress"}


DATA = {"nsmc": nsmc, "polarity": polarity, "news": news, "korsts": korsts}


def measured(data: str, system: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """One run: the headline figure with its interval, those of the classical models, and p beside the best of them."""
    import gipi

    source, own = DATA[data](Path(os.environ["GIPI_DATA"]))
    with tempfile.TemporaryDirectory() as folder:
        run = gipi.fit(
            source,
            system=system,
            seed=seed,
            run=f"{folder}/run",
            threads=1,
            quiet=True,
            doctor=False,
            verdict_seconds=SECONDS,
            **own,
            **options,
        )
        verdict = run.verdict
    ours = next(row for row in verdict.models if row.is_ours)
    rivals = {row.name: float(row.figure) for row in verdict.models if row.name in RIVALS}
    best = next(row for row in verdict.models if row.name == verdict.rival)
    figure = ours.figure
    return {
        "data": data,
        "system": system,
        "seed": seed,
        "options": options,
        "metric": verdict.metric,
        "rows": verdict.rows,
        "figure": [float(figure), figure.low, figure.high],
        **rivals,
        "rival": verdict.rival,
        "p": best.p_value,
        "seconds": ours.seconds_fit,
        "seconds_rival": best.seconds_fit,
    }


def said(line: dict[str, Any]) -> str:
    value, low, high = line["figure"]
    rivals = "  ".join(f"{name} {line[name]:.4f}" for name in RIVALS)
    return (
        f"{line['data']} {line['system']} seed {line['seed']}: {line['metric']} {value:.4f} ({low:.4f} to {high:.4f})  "
        f"{rivals}  p {line['p']:.3f}  {line['seconds']:.0f} s, rival {line['seconds_rival']:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--ensemble", type=int, default=1)
    asked = parser.parse_args()
    if "GIPI_DATA" not in os.environ:
        sys.exit("GIPI_DATA must name the folder of the data sets")
    options = {name: value for name, value in (("folds", asked.folds), ("ensemble", asked.ensemble)) if value > 1}
    lines = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else []
    for data in asked.data:
        for system in asked.systems:
            for seed in asked.seeds:
                lines.append(measured(data, system, seed, options))
                print(said(lines[-1]), flush=True)
                asked.out.write_text(json.dumps(lines, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
