"""The doctor examined: runs that were spoiled on purpose, and sound ones; is the true cause named, and nothing else?

    python bench/doctor/run.py                  all fixed cases: some minutes on two cores
    python bench/doctor/run.py --unseen         cases drawn at random, by --seed
    python bench/doctor/run.py --only overfitting --seed 3
    python bench/doctor/run.py --remedies       the first finding's remedy is tried, too: is the figure better?

What was cut short goes on where it was, unless the doctor or the cases have changed since.
"""

import argparse
import contextlib
import hashlib
import json
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE.parent / "results" / "doctor"
LONGEST = 90  # seconds of a case; none should take a tenth of it

for place in (HERE, ROOT):  # this checkout's own gipi; and the cases beside this file, also in other processes
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))


def chosen(options: argparse.Namespace) -> list[Any]:
    """The cases that were asked for."""
    from case import fixed_cases, unseen_cases
    from cases import HEALTHY, SABOTAGED

    families = [*SABOTAGED, *HEALTHY]
    if options.only:
        families = [one for one in families if any(part in one.name for part in options.only)]
    made = unseen_cases if options.unseen else fixed_cases
    found = made(families, options.seed)
    if options.quick:
        found = [one for one in found if one.name.endswith("-1")]
    return found


def carried_out(case: Any, with_remedy: bool) -> dict[str, Any]:
    """Run a case and write down what was found; in a process of its own."""
    import torch

    torch.set_num_threads(1)
    began = time.perf_counter()
    held: dict[str, Any] = {
        "case": case.name,
        "family": case.family.name,
        "faults": list(case.faults),
        "by_code": case.family.by_code,
        "seed": case.seed,
        "knobs": dict(case.knobs),
        "findings": [],
    }
    with limited(LONGEST):
        try:
            work = case.work(case.seed)
            seen = work.seen(case.seed)
            failed = (seen.failed or "").partition(" The curve is in")[0]  # no folder of this machine
            held |= {"figure": seen.figure, "metric": seen.name, "failed": failed}
            held["findings"] = [
                {"name": one.name, "severity": one.severity, "evidence": one.json()["evidence"], "cause": one.cause}
                for one in seen.findings
            ]
            if with_remedy and case.faults and seen.findings and getattr(work, "metric", ""):
                held["remedy"] = tried(work, seen, case.seed)
        except Exception as error:
            held["broke"] = f"{type(error).__name__}: {error}"[:500]
    held["seconds"] = round(time.perf_counter() - began, 2)
    return json.loads(json.dumps(held, default=str))


def tried(work: Any, seen: Any, seed: int) -> dict[str, Any] | None:
    """The same run with the first remedy of the first finding that changes options; None where there is none."""
    from case import HIGHER

    remedy = next((one for one in seen.findings[0].remedies if one.changes), None)
    if remedy is None or seen.figure is None:
        return None
    held: dict[str, Any] = {"changes": dict(remedy.changes)}
    try:
        after = work.seen(seed, remedy.changes)
    except Exception as error:
        return {**held, "broke": f"{type(error).__name__}: {error}"[:300], "is_better": False, "is_clear": False}
    sign = 1 if seen.name in HIGHER else -1
    figure = after.figure if after.figure is not None and not math.isnan(after.figure) else -sign * math.inf
    before = -sign * math.inf if math.isnan(seen.figure) else seen.figure
    is_better = sign * figure > sign * before
    is_clear = is_better and (seen.end is None or sign * figure > sign * seen.end)
    return {**held, "figure": figure, "is_better": is_better, "is_clear": is_clear}


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """What takes longer is ended with an error."""
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def by_name(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The work of another process: it makes the list of cases again, as functions do not travel."""
    case = next(one for one in chosen(options) if one.name == name)
    return carried_out(case, options.remedies)


# --- what is kept ------------------------------------------------------------------------------------------------


def state_of_code() -> str:
    """A hash of the doctor, of the cases and of all that gipi trains by."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "gipi").rglob("*.py"), *HERE.glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def kept(path: Path, code: str) -> dict[str, dict[str, Any]]:
    """Runs of the same code that a bench before this one has finished."""
    if not path.exists():
        return {}
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {run["case"]: run for run in found if run["code"] == code}


def progress(done: int, of: int, began: float, last: str) -> None:
    """A bar on a terminal; a line now and then elsewhere."""
    filled = 30 * done // max(1, of)
    line = f"[{'#' * filled}{'.' * (30 - filled)}] {done}/{of} {time.perf_counter() - began:4.0f} s {last:32.32}"
    if sys.stderr.isatty():
        print(f"\r{line}", end="" if done < of else "\n", file=sys.stderr, flush=True)
    elif done % 10 == 0 or done == of:
        print(line, file=sys.stderr, flush=True)


def all_runs(cases: Sequence[Any], options: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    """Every case in turn, `--jobs` at a time, each written down as soon as it is done."""
    code = state_of_code()
    found = {} if options.again else kept(path, code)
    wanted = [one.name for one in cases if one.name not in found or (options.remedies and not found[one.name]["tried"])]
    began = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are begun here
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")])
    with ProcessPoolExecutor(options.jobs, context) as pool, path.open("a", encoding="utf-8") as log:
        waiting = [pool.submit(by_name, name, options) for name in wanted]
        for number, one in enumerate(as_completed(waiting), 1):
            run = one.result() | {"code": code, "tried": options.remedies}
            log.write(json.dumps(run) + "\n")
            log.flush()
            found[run["case"]] = run
            progress(number, len(waiting), began, run["case"])
    return [found[one.name] for one in cases]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unseen", action="store_true", help="cases that are drawn at random, by --seed")
    parser.add_argument("--seed", type=int, default=0, help="of data, networks and what is drawn (%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="families with this in their name")
    parser.add_argument("--quick", action="store_true", help="one case of each family")
    parser.add_argument("--remedies", action="store_true", help="try what the first finding says would help")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--show", action="store_true", help="each run with its findings, too")
    return parser.parse_args(given)


def shown(run: dict[str, Any]) -> str:
    """A run in a line."""
    named = ", ".join(f"{one['name']} ({one['severity'][0]})" for one in run["findings"]) or "nothing"
    figure = "" if run.get("figure") is None else f" {run['metric']} {run['figure']:.3g}"
    end = run.get("broke") or run.get("failed") or ""
    remedy = run.get("remedy")
    helped = f" | {remedy['changes']} -> {remedy.get('figure', remedy.get('broke'))}" if remedy else ""
    return f"{run['case']:28} {run['seconds']:5.1f} s{figure}: {named}{helped} {end[:90]}"


def main() -> None:
    from summary import lines, summary

    options = arguments()
    kind = f"unseen-{options.seed}" if options.unseen else f"fixed-{options.seed}"
    cases = chosen(options)
    began = time.perf_counter()
    runs = all_runs(cases, options, RESULTS / f"{kind}.jsonl")
    if options.show:
        print(*map(shown, runs), sep="\n", end="\n\n")
    print(*lines(runs), sep="\n")
    if options.only or options.quick:
        return
    held = {"set": kind, "date": time.strftime("%Y-%m-%d"), "seconds": round(time.perf_counter() - began)}
    held |= {"summary": summary(runs), "runs": [{k: v for k, v in run.items() if k != "code"} for run in runs]}
    (RESULTS / f"{kind}.json").write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULTS / kind}.json")


if __name__ == "__main__":
    main()
