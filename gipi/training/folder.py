"""A run is a folder: its configuration, its numbers, its checkpoints, its model, its report. Nothing needs a server.

    runs/digits-convnet-1/
        run.json          the whole configuration, seeds, hashes of data and split, versions, hardware, results
        metrics.jsonl     every step's and epoch's numbers
        checkpoints/      last two, the best, and the finished members
        model.gipi        what is kept
        report.html       what there is to see

One process at a time holds a run folder; a second one is told who.
"""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from gipi.errors import RunError, nearest
from gipi.messages import _
from gipi.training import checkpoint

RUNS = Path("runs")


class Folder:
    """A run's folder on the disk, held by this process from `create` or `open` until `close`."""

    def __init__(self, path: Path):
        self.path = path
        self.record: dict[str, Any] = {}  # run.json
        self.lock: IO | None = None
        self.log: IO[bytes] | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    # --- making, opening, closing

    @staticmethod
    def create(path: Path | None, name: str) -> "Folder":
        """A new run folder: this path, or the next free number `runs/name-1`, `runs/name-2` ...

        Raises:
            RunError: The path holds something already, or cannot be written.
        """
        try:
            if path is None:
                path = _next_free(RUNS, name)
            else:
                path.mkdir(parents=True, exist_ok=True)
                if any(path.iterdir()):
                    hint = _("give another --run, or continue it with: gipi resume {path}", path=path)
                    raise RunError(_("the run folder {path} is not empty; {hint}", path=path, hint=hint))
            folder = Folder(path)
            folder.checkpoints.mkdir()
            folder.hold()
        except OSError as error:
            reason = error.strerror or str(error)
            text = _("the run folder {path} cannot be written: {reason}", path=path, reason=reason)
            raise RunError(text) from error
        return folder

    @staticmethod
    def open(run: str | Path) -> "Folder":
        """An existing run, to be continued: held by this process, its configuration read."""
        folder = Folder(find(run))
        folder.hold()
        folder.record = read_record(folder.path)
        return folder

    def hold(self) -> None:
        """Take the folder's lock, or say who has it. It is let go of when the process ends, however it ends."""
        lock = open(self.path / "run.lock", "a+")  # noqa: SIM115  # held open: closing it would let go
        try:
            _lock(lock)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            lock.close()
            raise RunError(_("the run {path} is in use by {holder}", path=self.path, holder=holder)) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        self.lock = lock

    def close(self) -> None:
        """Let go of the folder."""
        for file in (self.log, self.lock):
            if file:
                file.close()
        self.log = self.lock = None

    # --- writing

    def write_record(self, **changes: Any) -> None:
        """Change run.json, atomically."""
        self.record.update(changes)
        text = json.dumps(self.record, indent=1, ensure_ascii=False, allow_nan=True)
        checkpoint.write_atomically(self.path / "run.json", text.encode())

    def append(self, lines: list[str]) -> None:
        """Add lines to metrics.jsonl."""
        if self.log is None:
            self.log = open(self.path / "metrics.jsonl", "ab")  # noqa: SIM115  # open for as long as the run is held
        try:
            self.log.write("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            text = _("cannot write {path}: {reason}", path=self.log.name, reason=error.strerror or error)
            raise RunError(text) from error

    def log_size(self) -> int:
        """Bytes of metrics.jsonl that are on the disk now: a checkpoint remembers it, a resumed run cuts there."""
        self.append([])
        assert self.log
        self.log.flush()
        os.fsync(self.log.fileno())
        return self.log.tell()

    def cut_log(self, size: int) -> None:
        """Forget what was logged after a checkpoint; the resumed run says it again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            os.truncate(path, min(size, path.stat().st_size))

    # --- checkpoints

    def save(self, name: str, tensors: Mapping[str, Tensor], state: dict) -> None:
        """Write `checkpoints/NAME.ckpt`."""
        checkpoint.write(self.checkpoints / f"{name}.ckpt", tensors, state)

    def prune(self, keep: set[str]) -> None:
        """Delete checkpoints of the member in progress that nothing refers to any more."""
        for path in self.checkpoints.glob("*.ckpt"):
            if path.stem not in keep and not path.stem.startswith("member-"):
                path.unlink(missing_ok=True)


def find(run: str | Path) -> Path:
    """The folder of a run: a path, a name under runs/, or `last`.

    Raises:
        RunError: There is none; names the nearest.
    """
    path = Path(run)
    if (path / "run.json").is_file():
        return path
    if (RUNS / path / "run.json").is_file():
        return RUNS / path
    names = [folder.name for folder in all_runs()]
    if str(run) == "last" and names:
        return all_runs()[-1]
    if not names:
        raise RunError(
            _("no run '{run}': there is no run under {folder} yet; gipi fit makes one", run=run, folder=RUNS)
        )
    close = nearest(str(run), names)
    raise RunError(_("no run '{run}' here or under {folder}.", run=run, folder=RUNS) + close)


def all_runs(folder: Path = RUNS) -> list[Path]:
    """Run folders, the oldest first."""
    found = [path.parent for path in folder.glob("*/run.json")]
    return sorted(found, key=lambda path: (path.joinpath("run.json").stat().st_mtime_ns, path.name))


def read_record(path: Path) -> dict[str, Any]:
    """A run's run.json."""
    try:
        return json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(_("{path} is not a run: its run.json cannot be read", path=path)) from error


def read_log(path: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl; a last line that a kill cut short is left out."""
    log = path / "metrics.jsonl"
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def _next_free(runs: Path, name: str) -> Path:
    runs.mkdir(parents=True, exist_ok=True)
    taken = [int(end) for p in runs.glob(f"{name}-*") if (end := p.name[len(name) + 1 :]).isdigit()]
    number = 1 + max(taken, default=0)
    while True:
        path = runs / f"{name}-{number}"
        try:
            path.mkdir()  # two processes at once get two numbers
        except FileExistsError:
            number += 1
        else:
            return path


def _lock(file: IO) -> None:
    """Lock a file without waiting; raises OSError if another process has it."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
