"""Translation: seq2seq and the transformer on Multi30k (German to English) and Korean to English, judged by sacreBLEU.

Multi30k's validation part is set aside as the test part; validation is cut from its training part. `--gpu` takes sizes
for a GPU, and asks for 28 BLEU of the GRU with attention and 36 of the transformer, as `--long` does in some ten
minutes of a small machine; without them the runs are shorter and asked for 15. Each line has the figure of gipi and
that of sacreBLEU itself, which must be one.

    GIPI_DATA=FOLDER python bench/translate.py OUT.json [--data multi30k korean] [--systems seq2seq] [--long] [--gpu]
"""

import argparse
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

SMALL: dict[str, dict[str, Any]] = {"seq2seq": {"epochs": 3}, "transformer": {"epochs": 3}}
LONG: dict[str, dict[str, Any]] = {
    "seq2seq": {"epochs": 3},
    "transformer": {"epochs": 11, "dropout": 0.2, "averaging": "ema"},
}
LARGE: dict[str, dict[str, Any]] = {
    "seq2seq": {"epochs": 12, "width": 512, "dropout": 0.4, "batch_size": 128, "vocabulary": 8000},
    "transformer": {
        "epochs": 40,
        "size": "small",
        "dropout": 0.3,
        "batch_size": 128,
        "vocabulary": 8000,
        "lr": 1e-3,
        "averaging": "ema",
    },
}
ASKED = {"seq2seq": (15, 28), "transformer": (15, 36)}


def multi30k(folder: Path) -> tuple[Any, dict[str, Any]]:
    """29,000 captions of pictures to learn from, 1,014 to be tested on."""
    train, test = (
        ",".join(str(folder / f"multi30k/{part}.{side}.gz") for side in ("de", "en")) for part in ("train", "val")
    )
    return train, {"test": test, "target": "en"}


def korean(folder: Path) -> tuple[Any, dict[str, Any]]:
    """1,720 sentences of a school book and of news: too few to learn a language from."""
    place = folder / "korean_english_dev"
    rows = {side: (place / f"jhe-koen-dev.{side}").read_text(encoding="utf-8").splitlines() for side in ("ko", "en")}
    with tarfile.open(place / "korean-english-park.dev.tar.gz") as packed:
        for member in packed.getmembers():
            file = packed.extractfile(member)
            if file is not None:
                rows[Path(member.name).suffix[1:]] += file.read().decode("utf-8").splitlines()
    return rows, {"text": ("ko",), "target": "en"}


DATA = {"multi30k": multi30k, "korean": korean}


def measured(data: str, system: str, options: dict[str, Any]) -> dict[str, Any]:
    """One run: BLEU and chrF with their intervals, sacreBLEU's own figures, and the simpler ways."""
    import sacrebleu

    import gipi

    source, own = DATA[data](Path(os.environ["GIPI_DATA"]))
    with tempfile.TemporaryDirectory() as folder:
        run = gipi.fit(source, task="translate", system=system, run=f"{folder}/run", doctor=False, **own, **options)
        found = run.metrics
        line = {
            "data": data,
            "system": system,
            "options": options,
            **{name: [float(found[name]), found[name].low, found[name].high] for name in ("bleu", "chrf")},
            "rivals": {row.name: float(row.figure) for row in run.verdict.models if not row.is_ours},
            "seconds": next(row for row in run.verdict.models if row.is_ours).seconds_fit,
        }
        if data == "multi30k":
            from gipi.data.texts import open_rows

            test = open_rows(own["test"], ("de",), ("en",))
            said = [answer["text"] for answer in run.predict(test.frame["de"].to_list())]
            wanted = [test.frame["en"].to_list()]
            line["sacrebleu"] = [sacrebleu.corpus_bleu(said, wanted).score, sacrebleu.corpus_chrf(said, wanted).score]
    return line


def said(line: dict[str, Any], asked: float | None) -> str:
    value, low, high = line["bleu"]
    rivals = "  ".join(f"{name} {value:.1f}" for name, value in line["rivals"].items())
    judge = f"  sacreBLEU {line['sacrebleu'][0]:.2f}" if "sacrebleu" in line else ""
    reached = "" if asked is None else f"  asked {asked}: {'yes' if value >= asked else 'NO'}"
    return (
        f"{line['data']} {line['system']}: BLEU {value:.2f} ({low:.2f} to {high:.2f}){judge}  "
        f"chrF {line['chrf'][0]:.1f}  {rivals}  {line['seconds']:.0f} s{reached}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", choices=DATA, default=["multi30k"])
    parser.add_argument("--systems", nargs="+", choices=ASKED, default=list(ASKED))
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--long", action="store_true")
    asked = parser.parse_args()
    if "GIPI_DATA" not in os.environ:
        sys.exit("GIPI_DATA must name the folder of the data sets")
    over = {name: getattr(asked, name) for name in ("epochs", "steps", "threads") if getattr(asked, name)}
    lines = []
    for data in asked.data:
        for system in asked.systems:
            options = {**(LARGE if asked.gpu else LONG if asked.long else SMALL)[system], **over}
            lines.append(measured(data, system, options))
            print(said(lines[-1], ASKED[system][asked.gpu or asked.long] if data == "multi30k" else None), flush=True)
            asked.out.write_text(json.dumps(lines, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
