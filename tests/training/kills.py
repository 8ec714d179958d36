"""Runs of every kind, killed with -9 at random instants until each has ended, and compared with the same run unkilled.

    python tests/training/kills.py --kills 500 [--seed 0] [--folder DIR]

After each kill every checkpoint that is there must be whole, and none may be lost; at the end weights, numbers and
results must be those of the whole run, to the bit. Starting Python and torch takes seconds, so one process holds
everything ready and forks each child that is to die.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READY = """
import json, os, sys
import torch, polars, sklearn.ensemble
import gipi, gipi.jobs.carry, gipi.jobs.supervised, gipi.tasks.baselines, gipi.verbs.resume
from gipi.signals import stoppable
from gipi.training import log
sys.path.insert(0, sys.argv[2])
import signals
from test_resume import RUNS
log.SHORTEST_PAUSE, log.SHARE = json.loads(sys.argv[1])
torch.set_num_threads(1)
for line in sys.stdin:
    verb, argument, options = json.loads(line)
    kind, mark, limit = (options.pop(name, None) for name in ("kind", "mark", "limit"))
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        from gipi.jobs import act, generate
        act.LOOKS, act.CHOSEN_BY, act.REPORTED, generate.LOOKS, generate.COMPARED = 4, 2, 5, 0.01, 20
        if kind:
            data, own = RUNS[kind]
            own = own if verb == "fit" else {name: value for name, value in own.items() if callable(value)}
            options = {**options, **own}
            if verb == "fit":
                argument = data
            elif not isinstance(data, str):
                options["data"] = data
        if limit:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            if verb == "main":
                from gipi.cli.main import main
                os._exit(main(argument))
            with stoppable():  # as `gipi` on a command line has it around every verb
                if mark:
                    signals.mark(*mark)
                getattr(gipi, verb)(argument, **options)
            os._exit(0)
        except KeyboardInterrupt as stop:
            os._exit(128 + getattr(stop, "signal_number", 2))  # polars tells of Ctrl-C in its own way
        except BaseException as error:
            import traceback
            traceback.print_exc()
            os._exit(1)
    print(child, flush=True)
    _child, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}


def readied(often: tuple[float, float] = (0.0, 1.0), errors=None) -> subprocess.Popen:
    """A process that has imported everything and forks a child for each line; how often a run saves."""
    return subprocess.Popen(
        [sys.executable, "-c", READY, json.dumps(often), str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=environment(),
    )


def told(ready, line: list, watch=lambda child: None) -> int:
    """A child does this; `watch` may kill it. Gives its exit code."""
    ready.stdin.write(json.dumps(line) + "\n")
    ready.stdin.flush()
    watch(int(ready.stdout.readline()))
    return int(ready.stdout.readline())


def is_alive(child: int) -> bool:
    state = Path(f"/proc/{child}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def wholeness(folder: Path) -> tuple[int, int]:
    """The newest (member, step) that is kept whole; a damaged checkpoint is a failure."""
    from gipi.training import checkpoint

    newest = (-1, -1)
    for path in folder.glob("checkpoints/*.ckpt"):
        _tensors, state = checkpoint.read(path)
        if "members" in state:
            newest = max(newest, (state["members"][0], state["step"]))
        elif "member" in state:
            newest = max(newest, (state["member"], 1 << 40))
    return newest


def killed_often(ready, kind: str, folder: Path, kills: int, draw: random.Random) -> int:
    """One run of this kind killed so often, or until it ends, and finished; gives how often it died."""
    from kept import outcome

    options = {"kind": kind, "threads": 1, "verdict": False, "quiet": True}
    whole, cut = folder / "whole", folder / "cut"
    began = time.perf_counter()
    assert told(ready, ["fit", None, {**options, "run": str(whole)}]) == 0, kind
    seconds = time.perf_counter() - began
    died, before = 0, (-1, -1)
    line = ["fit", None, {**options, "run": str(cut)}]
    while died < kills:
        aims_at_a_write = draw.random() < 0.3
        pause = draw.uniform(0, seconds * draw.choice((0.1, 0.5, 1.0)))

        def kill(child: int, pause=pause, aims=aims_at_a_write) -> None:
            time.sleep(pause)
            while aims and is_alive(child) and not [*cut.rglob(".*.part")]:
                pass
            if is_alive(child):
                os.kill(child, signal.SIGKILL)

        code = told(ready, line, kill)
        assert code in (-signal.SIGKILL, 0), (kind, code)
        now = wholeness(cut)
        assert now >= before, f"{kind}: {before} was there, and now {now}"
        before = now
        if (cut / "run.json").exists():
            line = ["resume", str(cut), {"kind": kind, "quiet": True}]
        if code == 0:
            break
        died += 1
    assert told(ready, line) == 0, kind
    assert outcome(cut) == outcome(whole), f"{kind}: not the same bits"
    assert not [*cut.rglob(".*.part")]
    return died


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where runs are made; a temporary folder if not given")
    chosen = parser.parse_args()
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]
    from test_resume import RUNS

    draw, total, runs = random.Random(chosen.seed), 0, 0
    ready = readied((-1.0, 1e9))
    by_kind = dict.fromkeys(RUNS, 0)
    while total < chosen.kills:
        kind = min(by_kind, key=lambda name: by_kind[name])
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            died = killed_often(ready, kind, Path(folder), min(25, chosen.kills - total), draw)
        total, runs, by_kind[kind] = total + died, runs + 1, by_kind[kind] + max(died, 1)
        print(f"{kind}: {died} kills, the same bits; {total} in {runs} runs", flush=True)
    ready.stdin.close()
    ready.wait(30)
    print(f"{total} kills in {runs} runs of {len(RUNS)} kinds: no checkpoint lost or damaged, each the same to the bit")


if __name__ == "__main__":
    main()
