"""Every kind of file that a run keeps, damaged at random: nothing damaged is taken for whole, and it is said.

    python tests/training/mutations.py --mutations 10000 [--seed 0]

A flipped bit, a lost end, a lost piece, a piece of zeros as a full disk leaves it, garbage at the end. What is read
back must be an error or a warning that names the file, or, where there is something older or a copy, that, and it is
said.
"""

import argparse
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A flipped bit, a lost end, a lost piece, a piece of zeros as a full disk leaves it, or garbage at the end."""
    place = draw.randrange(len(content))
    kind = draw.randrange(5)
    if kind == 0:
        flipped = content[place] ^ (1 << draw.randrange(8))
        return content[:place] + bytes([flipped]) + content[place + 1 :]
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + content[place + draw.randint(1, 64) :]
    if kind == 3:
        length = draw.randint(1, 512)
        return content[:place] + bytes(min(length, len(content) - place)) + content[place + length :]
    return content + draw.randbytes(draw.randint(1, 64))


def made(folder: Path) -> Path:
    """A run that was cut and finished, with all the files that there are."""
    import gipi
    from gipi.training import log

    before = log.SHORTEST_PAUSE, log.SHARE
    log.SHORTEST_PAUSE, log.SHARE = -1.0, 1e9
    try:
        options = {"system": "mlp", "hidden": (8,), "epochs": 3, "threads": 1, "verdict": False, "quiet": True}
        gipi.fit("iris", **options, run=folder)
    finally:
        log.SHORTEST_PAUSE, log.SHARE = before
    return folder


def said_of(path: Path, work: Callable[[], object]) -> bool:
    """Whether reading was refused, or warned of, by the name of the file."""
    from gipi.errors import DamageWarning, RunError

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            work()
        except RunError as error:
            return str(path) in str(error) or str(path.parent) in str(error)
    return any(isinstance(one.message, DamageWarning) and str(path) in str(one.message) for one in heard)


def silent_loads(run: Path, mutations: int, seed: int) -> tuple[Counter, list[str]]:
    """So many mutations over all kinds of files; gives how many of each, and each that was not noticed."""
    from gipi.release.bundle import read_bundle
    from gipi.run import Run
    from gipi.training import checkpoint
    from gipi.training.folder import Folder

    def resumed_log() -> None:
        """The log of a run that goes on: what its newest checkpoint says of it."""
        folder = Folder(run)
        found, _remarks = checkpoint.newest(run / "checkpoints", "step-")
        assert found
        if remarks := folder.cut_log(found.state["log"]) + folder.check_log(found.state):
            from gipi.errors import RunError

            raise RunError(remarks[0])

    def newest() -> None:
        """The one before is used, and it is said."""
        from gipi.errors import RunError

        found, remarks = checkpoint.newest(run / "checkpoints", "step-")
        assert found and found.path == steps[0]
        raise RunError(remarks[0])

    steps = sorted(run.glob("checkpoints/step-*.ckpt"))
    (best,), (member,) = run.glob("checkpoints/best-*.ckpt"), run.glob("checkpoints/member-*.ckpt")
    logged = checkpoint.read(steps[1])[1]["log"]
    readers: dict[str, tuple[Path, Callable[[], object]]] = {
        "checkpoint": (steps[1], newest),
        "best": (best, lambda: checkpoint.read(best)),
        "member": (member, lambda: checkpoint.read(member)),
        "model.gipi": (run / "model.gipi", lambda: read_bundle(run / "model.gipi")),
        "run.json": (run / "run.json", lambda: Run(run).record),
        "metrics.jsonl": (run / "metrics.jsonl", lambda: Run(run).steps),
        "metrics.jsonl, resumed": (run / "metrics.jsonl", resumed_log),
    }
    draw = random.Random(seed)
    tried, silent = Counter(), []
    while sum(tried.values()) < mutations:
        name = draw.choice([*readers])
        path, work = readers[name]
        content = path.read_bytes()
        damaged = mutated(content, draw)
        if damaged == content or (name == "metrics.jsonl, resumed" and damaged[:logged] == content[:logged]):
            continue  # zeros over zeros; or in what a resumed run cuts off
        tried[name] += 1
        path.write_bytes(damaged)
        try:
            if not said_of(path, work):
                silent.append(f"{name}: mutation {sum(tried.values())} of seed {seed}")
        finally:
            path.write_bytes(content)
    return tried, silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        tried, silent = silent_loads(made(folder / "run"), chosen.mutations, chosen.seed)
    finally:
        shutil.rmtree(folder)
    for name, count in sorted(tried.items()):
        print(f"{name}: {count} mutations")
    print(*silent, sep="\n", end="\n" if silent else "")
    print(f"{sum(tried.values())} mutations, {len(silent)} silent loads")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))
    main()
