"""Contenders take turns at the same work, each in a process of its own, and ratios are taken turn by turn.

A worker is the script itself, started again and told whom it stands for. One works while all others wait, in the order
A B C A B C, so that a busy machine disturbs them alike; a figure is the median of the turns' ratios, beside the lowest
and the highest. All have the same processor cores and as many threads. What is not installed is left out, and said.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
PEERS = ("torch", "numpy", "keras", "jax", "lightning", "skorch", "scikit-learn", "onnxruntime", "pandas")
PEERS += ("fastapi", "litserve", "pydantic", "uvicorn", "uvloop")
Turn = Callable[[], dict[str, float]]  # does the work once: {"time": in the bench's unit, and what else it measured}


@dataclass(frozen=True)
class Figure:
    """What was to be reached: the median ratio of two contenders' times, at most or at least so much.

    Attributes:
        of: The contender above the line.
        beside: The one below it; "": the number itself is meant, in its own unit.
        most: The ratio may be so large.
        least: The ratio must be so large.
        name: What is compared: `time`, or another of the numbers of a turn.
    """

    of: str
    beside: str = ""
    most: float | None = None
    least: float | None = None
    name: str = "time"


@dataclass(frozen=True)
class Bench:
    """One measurement.

    Attributes:
        name: Of its script.
        contenders: Name -> what makes it ready and gives its turn.
        figures: What was to be reached.
        unit: Of the times.
        fresh: A process for each turn: its whole life is the time, from its start to its end, imports included.
    """

    name: str
    contenders: dict[str, Callable[[argparse.Namespace], Turn]]
    figures: Sequence[Figure]
    unit: str
    fresh: bool = False


def arguments(story: str | None, turns: int, threads: int, sizes: dict[str, tuple[int, int]]) -> argparse.Namespace:
    """The command line: sizes are given as (usual, with --quick)."""
    parser = argparse.ArgumentParser(description=story, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="sizes of seconds: whether all runs, not how fast")
    parser.add_argument("--turns", type=int, help=f"of each contender ({turns})")
    parser.add_argument(
        "--threads", type=int, default=threads, help="cores and threads of each contender (%(default)s)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these contenders alone; nothing is written then")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    for name, (usual, _quick) in sizes.items():
        parser.add_argument(f"--{name}", type=int, help=f"({usual})")
    options = parser.parse_args()
    options.turns = options.turns or (1 if options.quick else turns)
    for name, (usual, quick) in sizes.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
    options.sizes = {name: getattr(options, name) for name in sizes}
    return options


def hold(bench: Bench, options: argparse.Namespace) -> None:
    """Let the contenders take turns, say what came out, and write it into bench/results; in a worker: do its work."""
    if options.worker:
        _work(bench, options)
        return
    names = [name for name in bench.contenders if not options.only or name in options.only]
    found: dict[str, list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            try:
                workers[name] = stack.enter_context(Worker(bench, name, options))
                found[name] = []
            except Missing as missing:
                print(f"{name}: left out, {missing}", flush=True)
        for number in range(options.turns):
            for name, worker in workers.items():
                found[name].append(worker.turn())
                shown = ", ".join(f"{what} {value:.5g}" for what, value in found[name][-1].items())
                print(f"turn {number + 1} {name}: {shown}", flush=True)
    section = summary(bench, options, found)
    say(section)
    if not options.only:
        print(f"written to {write(bench.name, section)}")


# --- a worker ----------------------------------------------------------------------------------------------------


class Missing(Exception):  # noqa: N818  # says what is the matter
    """A package that a contender needs is not installed here."""


class Worker:
    """A contender's process, from its start to its end; where each turn has a fresh one, only the turn's."""

    def __init__(self, bench: Bench, name: str, options: argparse.Namespace):
        self.bench = bench
        self.name = name
        self.options = options
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Worker":
        if not self.bench.fresh:
            self._start()
            self._answer()
        return self

    def __exit__(self, *_error: Any) -> None:
        if self.process:
            self.process.communicate()
        self.errors.close()

    def turn(self) -> dict[str, float]:
        if not self.bench.fresh:
            return self._ask()
        began = time.perf_counter()
        self._start()
        self._answer()
        answer = self._ask()
        assert self.process
        self.process.communicate()
        return {**answer, "time": time.perf_counter() - began}

    def _start(self) -> None:
        command = [sys.executable, sys.argv[0], *sys.argv[1:], "--worker", self.name]
        environment = environment_of(self.name, self.options.threads)
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def _ask(self) -> dict[str, float]:
        assert self.process and self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self.process and self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            sys.exit(f"{self.name} failed:\n" + self.errors.read()[-4000:])
        answer = json.loads(line)
        if "missing" in answer:
            raise Missing(answer["missing"])
        return answer


def environment_of(name: str, threads: int) -> dict[str, str]:
    """The same number of threads for every library; Keras takes its backend from here, and all of them this gipi."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NPROC")
    held = {**os.environ, **dict.fromkeys(counts, str(threads)), "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    if name.startswith("keras"):
        held["KERAS_BACKEND"] = re.split(r"[ ,-]", name)[1]
    return held


def _work(bench: Bench, options: argparse.Namespace) -> None:
    """Be a contender: make ready, then a turn for each line that comes in. What libraries print goes elsewhere."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])

    def answer(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        turn = bench.contenders[options.worker](options)
    except ModuleNotFoundError as error:
        answer({"missing": f"{error.name} is not installed (make bench has an environment with all of them)"})
        return
    answer({})
    for _line in sys.stdin:
        answer({**turn(), "memory": peak_memory()})
        if bench.fresh:
            break


def peak_memory() -> float:
    """MB that this process held at most."""
    with contextlib.suppress(OSError, AttributeError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) / 1024  # type: ignore[index]
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it took, and what it gave."""
    began = time.perf_counter()
    given = work()
    return time.perf_counter() - began, given


# --- results -----------------------------------------------------------------------------------------------------


def summary(bench: Bench, options: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """What is kept of a measurement: median, lowest and highest of each number, and of each figure's ratio."""
    contenders = {
        name: {what: spread([turn[what] for turn in turns]) for what in turns[0]} for name, turns in found.items()
    }
    figures = []
    for figure in bench.figures:
        if figure.of in found and not figure.beside:
            figures.append({**asdict(figure), "reached": spread([turn[figure.name] for turn in found[figure.of]])})
        elif figure.of in found and figure.beside in found:
            pairs = zip(found[figure.of], found[figure.beside], strict=True)
            figures.append({**asdict(figure), "reached": spread([a[figure.name] / b[figure.name] for a, b in pairs])})
    return {
        "command": f"python bench/{bench.name}.py",
        "date": datetime.date.today().isoformat(),
        "quick": options.quick,
        "sizes": {**options.sizes, "turns": options.turns, "threads": options.threads},
        "unit": bench.unit,
        "versions": versions(),
        "contenders": contenders,
        "figures": figures,
    }


def spread(values: list[float]) -> dict[str, float]:
    return {
        name: float(f"{take(values):.4g}")
        for name, take in (("median", statistics.median), ("low", min), ("high", max))
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PEERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def machine() -> dict[str, Any]:
    """The kind of machine, nothing that says whose."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, AttributeError):
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        model = found[1].strip()  # type: ignore[index]
    return {"processor": model, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def write(name: str, section: dict[str, Any]) -> Path:
    """Put a section into the file of this machine; those of other benches stay. Quick ones have a file of their own."""
    this = machine()
    stem = re.sub(r"[^a-z0-9]+", "-", f"{this['processor']} {this['cores']} cores".lower()).strip("-")
    path = RESULTS / f"{'quick-' if section['quick'] else ''}{stem}.json"
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"machine": this, "sections": {}}
    held["sections"][name] = section
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path.relative_to(ROOT)


def is_reached(figure: dict[str, Any]) -> bool:
    reached = figure["reached"]["median"]
    return (figure["most"] is None or reached <= figure["most"]) and (
        figure["least"] is None or reached >= figure["least"]
    )


def say(section: dict[str, Any]) -> None:
    """The medians and the figures, on the terminal."""
    for name, numbers in section["contenders"].items():
        more = ", ".join(f"{what} {held['median']:.4g}" for what, held in numbers.items() if what != "time")
        time_of = numbers["time"]
        low_to_high = f"{time_of['low']:.4g} to {time_of['high']:.4g}"
        print(f"{name:28} {time_of['median']:10.4g} {section['unit']}  ({low_to_high}; {more})")
    for figure in section["figures"]:
        wanted = ""
        if figure["most"] is not None or figure["least"] is not None:
            limit = f"<= {figure['most']}" if figure["most"] is not None else f">= {figure['least']}"
            wanted = f", asked {limit}: {'reached' if is_reached(figure) else 'NOT reached'}"
        held = figure["reached"]
        print(
            f"{' / '.join(filter(None, (figure['of'], figure['beside'])))}"
            f"{'' if figure['name'] == 'time' else ', ' + figure['name']}: "
            f"{held['median']:.3g} ({held['low']:.3g} to {held['high']:.3g}){wanted}"
        )
