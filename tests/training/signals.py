"""Runs of every kind, asked to end by SIGTERM and Ctrl-C at random moments until each has ended, and compared.

    python tests/training/signals.py --signals 300 [--seed 0] [--folder DIR]

A moment is anywhere, or just when a stage begins: data is read, the first step, a checkpoint is written, the model is
judged, model.gipi or the report is written; a third of the wishes come twice. Each run must end with its own code, 128
and the signal's number, have its last step saved, and come to the bits of the run that nobody disturbed.
"""

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kills import is_alive, readied, told, wholeness

STAGES = {
    "anywhere": ("gipi.jobs.carry", "Clock"),
    "reading": ("gipi.jobs.carry", "make_job"),
    "first step": ("gipi.training.train", "fit"),
    "saving": ("gipi.training.folder", "Folder.keep"),
    "writing": ("gipi.training.checkpoint", "os.replace"),
    "judging": ("gipi.jobs.carry", "_finish"),
    "model": ("gipi.jobs.carry", "write_bundle"),
    "report": ("gipi.jobs.carry", "_write_report"),
}
ONCE_ONLY = ("anywhere", "reading", "first step", "judging", "model", "report")
LATE = 0.02  # seconds after a stage has begun
AT_MOST = 12  # wishes to one run


def mark(stage: str, call: int, marker: str, hold: float) -> None:
    """In the child: leave a file when this stage begins for that time, and hold on so many seconds."""
    module, name = STAGES[stage]
    *way, last = name.split(".")
    place: Any = importlib.import_module(module)
    for part in way:
        place = getattr(place, part)
    real, calls = getattr(place, last), 0

    def marked(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.close(os.open(marker, os.O_CREAT | os.O_WRONLY))
            time.sleep(hold)
        return real(*arguments, **options)

    setattr(place, last, marked)


def logged(folder: Path) -> int:
    """Steps of the member in training that the log has."""
    from gipi.training.log_file import read_log

    steps = [line["step"] + 1 for line in read_log(folder) if "epoch" not in line and "fault" not in line]
    return steps[-1] if steps else 0


def disturbed(ready, kind: str, folder: Path, signals: int, draw: random.Random, stages=tuple(STAGES)) -> Counter:
    """One run of this kind, asked to end so often, or until it ends, and finished; gives how often it was, by stage."""
    from kept import outcome

    from gipi.run import Run

    options = {"kind": kind, "threads": 1, "verdict": False, "quiet": True}
    whole, cut, marker = folder / "whole", folder / "cut", folder / "marker"
    began = time.perf_counter()
    assert told(ready, ["fit", None, {**options, "run": str(whole)}]) == 0, kind
    seconds = time.perf_counter() - began
    first = line = ["fit", None, {**options, "run": str(cut)}]
    heard = Counter()
    while heard.total() < min(signals, AT_MOST):
        number = draw.choice((signal.SIGTERM, signal.SIGINT))
        stage = draw.choice(stages)
        call = 1 if stage in ONCE_ONLY else draw.randint(1, 6)
        hold = draw.choice((0, LATE))
        pause = draw.uniform(0, seconds if stage == "anywhere" else LATE) * draw.choice((0, 0.1, 1))
        again = draw.uniform(0, LATE) if draw.random() < 0.33 else None
        marker.unlink(missing_ok=True)

        def ask(child: int, number=number, pause=pause, again=again) -> None:
            while not marker.exists() and is_alive(child):
                time.sleep(0.0002)
            time.sleep(pause)
            for wait in (None,) if again is None else (None, again):
                time.sleep(wait or 0)
                if is_alive(child):
                    os.kill(child, number)

        verb, argument, chosen = line
        code = told(ready, [verb, argument, {**chosen, "mark": [stage, call, str(marker), hold]}], ask)
        assert code in (128 + number, 0), f"{kind}, {stage}: code {code} after signal {number}, again {again}"
        if (cut / "run.json").exists():
            line = ["resume", str(cut), {"kind": kind, "quiet": True}]
        if code == 0:
            assert Run(cut).status == "done", kind
            if heard:
                break
            shutil.rmtree(cut)  # it had ended before it heard anything
            line = first
            continue
        heard[stage] += 1
        newest = wholeness(cut)
        if newest[1] < 1 << 40:  # else a member has ended, and the next has saved nothing
            assert logged(cut) == max(newest[1], 0), f"{kind}, {stage}: the last step is not saved"
        if Run(cut).status == "done" if (cut / "run.json").exists() else False:
            break
    assert told(ready, line) == 0, kind
    assert outcome(cut) == outcome(whole), f"{kind}: not the same bits"
    assert not [*cut.rglob(".*.part")]
    return heard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where runs are made; a temporary folder if not given")
    chosen = parser.parse_args()
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]
    from test_resume import RUNS

    draw, total, runs, heard = random.Random(chosen.seed), 0, 0, Counter()
    ready = readied((-1.0, 1e9))
    by_kind = dict.fromkeys(RUNS, 0)
    while total < chosen.signals:
        kind = min(by_kind, key=lambda name: by_kind[name])
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            found = disturbed(ready, kind, Path(folder), chosen.signals - total, draw)
        heard += found
        total, runs, by_kind[kind] = heard.total(), runs + 1, by_kind[kind] + max(found.total(), 1)
        print(f"{kind}: {found.total()} signals, the same bits; {total} in {runs} runs", flush=True)
    ready.stdin.close()
    ready.wait(30)
    print(", ".join(f"{stage} {count}" for stage, count in sorted(heard.items())))
    print(f"{total} signals in {runs} runs of {len(RUNS)} kinds: each ended with its code and came to the same bits")


if __name__ == "__main__":
    main()
