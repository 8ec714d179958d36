"""Real processes, really killed: kill -9 at random moments, and signals that are heard.

Starting Python and torch takes seconds, so one process holds everything ready and forks each child that is to die.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kept import outcome
from kills import environment, is_alive, killed_often, readied, told
from signals import disturbed

import gipi
from gipi.errors import RunError
from gipi.run import Run
from gipi.training.log_file import read_log

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

KILLS = 20
RUN = {
    "system": "convnet",
    "width": 4,
    "epochs": 5,
    "patience": 0,
    "batch_size": 48,
    "dropout": 0.2,
    "augment": ["shift", "affine"],
    "averaging": "ema",
    "schedule": "cosine",
    "threads": 1,
    "quiet": True,
    "verdict_seconds": 0.2,
}
FOLDS = {
    "system": "mlp",
    "folds": 2,
    "ensemble": 2,
    "epochs": 40,
    "patience": 0,
    "norm": "batch",  # which keeps them from being trained at once
    "dropout": 0.2,
    "threads": 1,
    "quiet": True,
}


@pytest.fixture(scope="module", name="environment")
def environment_of_a_terminal():
    return environment()


@pytest.fixture(scope="module")
def ready():
    """A process that has imported everything and forks a child for each line."""
    process = readied()
    yield process
    process.stdin.close()
    process.wait(30)


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("checkpoints/*.ckpt")}


def position(folder: Path, steps: int) -> int:
    """How far a run has come by its checkpoints, in steps of all its members; each has so many."""
    found = [0]
    for name in checkpoints(folder):
        kind, member, *step = name.removesuffix(".ckpt").split("-")
        if kind == "member":
            found.append((int(member) + 1) * steps)
        elif kind == "step":
            found.append(int(member) * steps + int(step[0]))
    return max(found)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether a child lives is asked of /proc")
@pytest.mark.parametrize(("data", "options", "kills"), [("digits", RUN, KILLS), ("iris", FOLDS, 12)])
def test_killed_at_random_moments_it_comes_to_the_same_bits(data, options, kills, ready, tmp_path):
    """At random steps, anywhere in a step or in the writing of a checkpoint; and a few times when all are done."""
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    assert told(ready, ["fit", data, {**options, "run": str(whole)}]) == 0
    members = Run(whole).record["members"]
    total = sum(1 for line in read_log(whole) if "epoch" not in line)
    steps = total // members
    moments = [*sorted(draw.randrange(total) for _kill in range(kills - 2)), total, total]
    line = ["fit", data, {**options, "run": str(folder)}]
    deaths = []
    for moment in moments:

        def kill(child: int, moment=moment) -> None:
            while position(folder, steps) < moment and is_alive(child):
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)

        code = told(ready, line, kill)
        assert code in (-signal.SIGKILL, 0), seed
        if code == 0:
            break
        deaths.append(position(folder, steps))
        if (folder / "run.json").exists():
            line = ["resume", str(folder), {"quiet": True}]
            assert Run(folder).status in ("interrupted", "done"), seed
    assert told(ready, line) == 0
    print(f"seed {seed}: killed at {deaths} of {total} steps")
    assert len(deaths) >= kills - 2 and len(set(deaths)) >= kills // 3, f"seed {seed}: {deaths}"
    assert outcome(folder) == outcome(whole), seed
    assert not list(folder.rglob("*.part"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether a child lives is asked of /proc")
def test_no_checkpoint_is_lost_or_damaged_by_a_kill(often_saving, tmp_path):
    """What the script of 500 kills does, a little of it: also in the writing of a checkpoint."""
    for kind in ("mlp", "folds"):
        killed_often(often_saving, kind, tmp_path / kind, 5, random.Random(1))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether a child lives is asked of /proc")
@pytest.mark.parametrize(
    ("kind", "stages"),
    [
        ("mlp", ("reading", "first step")),
        ("convnet", ("saving", "writing")),
        ("folds", ("saving", "judging")),
        ("perceptron", ("model", "report")),
        ("own draws", ("anywhere", "writing")),
        ("folds at once", ("saving", "writing")),
    ],
)
def test_asked_to_end_at_random_moments_it_comes_to_the_same_bits(kind, stages, often_saving, tmp_path):
    """What the script of hundreds of signals does, a little of it."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    heard = disturbed(often_saving, kind, tmp_path, 2, random.Random(seed), stages)
    assert heard, seed


@pytest.fixture(scope="module")
def often_saving():
    process = readied((-1.0, 1e9))
    yield process
    process.stdin.close()
    process.wait(30)


# --- the command line


def start(arguments: list[str], environment) -> subprocess.Popen:
    """`python -m gipi`, with signals as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "gipi", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGTERM)],
    )


OPTIONS = {"system": "mlp", "steps": 4000, "batch_size": 8, "patience": 0, "threads": 1, "averaging": "ema"}
FLAGS = [word for name, value in OPTIONS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
LINE = ["fit", "iris", "--no-verdict", *FLAGS]


@pytest.fixture(scope="module")
def whole(ready, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    options = {**OPTIONS, "verdict": False, "quiet": True, "run": str(folder)}
    assert told(ready, ["fit", "iris", options]) == 0
    return outcome(folder)


def wait_for(condition) -> None:
    for _attempt in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_heard_all_saved_and_the_way_on_said(number, code, whole, ready, environment, tmp_path):
    folder = tmp_path / "run"
    process = start([*LINE, "--run", str(folder)], environment)
    wait_for(lambda: (folder / "metrics.jsonl").exists() or process.poll() is not None)
    process.send_signal(number)
    said, _errors = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"gipi resume {folder}" in re.sub(r"\s*\n\s*", " ", said)
    assert "Traceback" not in said
    run = Run(folder)
    assert run.record["status"] == "interrupted"
    assert f"step-000-{len(run.steps):010d}.ckpt" in checkpoints(folder)  # the very last step is saved
    assert len(run.steps) < whole["lines"]
    assert told(ready, ["resume", str(folder), {"quiet": True}]) == 0
    assert outcome(folder) == whole


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_all_is_imported_and_read_has_its_code(number, code, environment, tmp_path):
    folder = tmp_path / "run"
    process = start([*LINE, "--run", str(folder)], environment)
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: not maps.exists() or "_multiarray" in maps.read_text() or process.poll() is not None)
    process.send_signal(number)
    said, _errors = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "interrupted" in said and "Traceback" not in said
    assert not folder.exists()


def test_a_second_process_is_told_who_has_the_run(whole, ready, environment, tmp_path):
    folder = tmp_path / "run"
    process = start(
        [
            *LINE,
            "--run",
            str(folder),
        ],
        environment,
    )
    try:
        wait_for(lambda: (folder / "metrics.jsonl").exists() or process.poll() is not None)
        process.send_signal(signal.SIGSTOP)  # it holds the run, and does not end meanwhile
        assert Run(folder).status == "running"
        holder = f"in use by process {process.pid} on {re.escape(socket.gethostname())}"
        with pytest.raises(RunError, match=holder):
            gipi.resume(folder)
        with pytest.raises(RunError, match=holder):
            gipi.fit("iris", system="mlp", run=folder, quiet=True)
        second = start(["resume", str(folder)], environment)
        said, _errors = second.communicate(timeout=60)
        assert second.returncode == 1 and re.search(holder, said.replace("\n", " ")), said
    finally:
        process.kill()
        process.communicate()
    assert Run(folder).status == "interrupted"
    assert told(ready, ["resume", str(folder), {"quiet": True}]) == 0  # no lock is in the way
    assert outcome(folder) == whole
