"""A run is a folder: its configuration, its numbers, its checkpoints, its model, its report. Nothing needs a server.

    runs/digits-convnet-1/
        run.json          the whole configuration, seeds, hashes of data and split, versions, hardware, results
        metrics.jsonl     every step's and epoch's numbers
        checkpoints/      last two, the best, and the finished members
        model.gipi        what is kept
        report.html       what there is to see

One process at a time holds a run folder; a second one is told who.
"""

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from gipi.errors import RunError, nearest
from gipi.messages import _
from gipi.training import checkpoint

RUNS = Path("runs")
LOCK = "run.lock"
ATTEMPTS = 5  # at a lock: whoever only asks whether a run is held has it for an instant
LOCK_PLACE = 1 << 30  # the byte that is locked on Windows, where a locked byte cannot be read


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
        with _said(path or RUNS):
            path = path or _next_free(RUNS, name)
            path.mkdir(parents=True, exist_ok=True)
            folder = Folder(path)
            if folder.is_used() and not is_held(path):
                hint = _("give another --run, or continue it with: gipi resume {path}", path=path)
                raise RunError(_("the run folder {path} is not empty; {hint}", path=path, hint=hint))
            folder.hold()
            folder.checkpoints.mkdir(exist_ok=True)
            checkpoint.flush_folder(path)
        return folder

    def is_used(self) -> bool:
        """Whether there is anything in it; what a kill before the first word leaves behind does not count."""
        parts = {path.name for path in self.path.iterdir() if not path.match(checkpoint.UNFINISHED)}
        return bool(parts - {LOCK, "checkpoints"}) or any(self.checkpoints.glob("*"))

    def has_begun(self) -> bool:
        """Whether any step or checkpoint is kept in it."""
        log = self.path / "metrics.jsonl"
        return (log.exists() and log.stat().st_size > 0) or any(self.checkpoints.glob("*.ckpt"))

    def discard(self) -> None:
        """Remove the folder, and `runs` where nothing else is in it."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            RUNS.rmdir()

    @staticmethod
    def open(run: str | Path) -> "Folder":
        """An existing run, to be continued: held by this process, its configuration read."""
        folder = Folder(find(run))
        folder.hold()
        try:
            folder.record = read_record(folder.path)
        except RunError:
            folder.close()
            raise
        return folder

    def hold(self) -> None:
        """Take the folder's lock, or say who has it. It is let go of when the process ends, however it ends.

        Raises:
            RunError: Another process has it; or the folder cannot be written.
        """
        with _said(self.path):
            lock = open(self.path / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  # held: closing it would let go
            try:
                _take(lock)
            except BlockingIOError as error:
                lock.seek(0)
                holder = lock.read().strip() or "?"
                lock.close()
                raise RunError(_("the run {path} is in use by {holder}", path=self.path, holder=holder)) from error
            except OSError:
                lock.close()
                raise
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
            self.lock = lock
            for folder in (self.path, self.checkpoints):
                for path in folder.glob(checkpoint.UNFINISHED):
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder. What the log still holds back after an error has been said by that error."""
        for file in (self.log, self.lock):
            with suppress(OSError):
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
        with _said(self.log_path):
            if self.log is None:
                self.log = open(self.log_path, "ab")  # noqa: SIM115  # open for as long as the run is held
                checkpoint.flush_folder(self.path)
            self.log.write("".join(f"{line}\n" for line in lines).encode())

    @property
    def log_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def flush(self) -> None:
        """Let others see the whole log."""
        if self.log:
            with _said(self.log_path):
                self.log.flush()

    def log_size(self) -> int:
        """Bytes of metrics.jsonl that are on the disk now: a checkpoint remembers it, a resumed run cuts there."""
        self.append([])
        assert self.log
        self.flush()
        with _said(self.log_path):
            os.fsync(self.log.fileno())
        return self.log.tell()

    def cut_log(self, size: int) -> list[str]:
        """Forget what was logged after a checkpoint; the resumed run says it again. Gives remarks."""
        there = self.log_path.stat().st_size if self.log_path.exists() else 0
        if there > size:
            with _said(self.log_path):
                os.truncate(self.log_path, size)
        return [_("{path} is shorter than it was: numbers are lost", path=self.log_path)] if there < size else []

    def log_place(self) -> int:
        """Where the next line will begin, in bytes; nothing is written."""
        self.append([])
        assert self.log
        return self.log.tell()

    def cut_back(self, place: int) -> None:
        """Forget what was logged since `log_place` gave this."""
        if self.log:
            with _said(self.log_path):
                self.log.seek(place)
                self.log.truncate()

    def end_in_log(self, member: int) -> int:
        """Where the last line on this member ends, in bytes."""
        end = place = 0
        with _said(self.log_path), open(self.log_path, "rb") as lines:
            for line in lines:
                place += len(line)
                if json.loads(line).get("member", 0) == member:
                    end = place
        return end

    # --- checkpoints

    def save(self, name: str, tensors: Mapping[str, Tensor], state: dict) -> None:
        """Write `checkpoints/NAME.ckpt`."""
        checkpoint.write(self.checkpoints / f"{name}.ckpt", tensors, state)

    def prune(self, keep: set[str]) -> None:
        """Delete checkpoints of the member in progress that nothing refers to any more."""
        for path in self.checkpoints.glob("*.ckpt"):
            if path.stem not in keep and not path.stem.startswith("member-"):
                with _said(path):
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
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(_("{path} is not a run: its run.json cannot be read", path=path)) from error
    check_record(record, path, ())
    return record


def check_record(record: Any, path: Path, needed: Iterable[str]) -> None:
    """Whether run.json says these things of the run."""
    if not isinstance(record, dict) or not set(needed) <= record.keys():
        raise RunError(_("{path} is not a run: its run.json lacks what a run says of itself", path=path))


def read_log(path: Path, epochs: bool = False) -> list[dict]:
    """The lines of a run's metrics.jsonl; a last line that a kill cut short is left out.

    Args:
        path: The run's folder.
        epochs: Only the lines on epochs: there are thousands of others, and nobody need read them then.
    """
    log = path / "metrics.jsonl"
    if not log.exists():
        return []
    lines = [line for line in log.read_bytes().split(b"\n")[:-1] if line]
    return [json.loads(line) for line in lines if not epochs or b'"epoch":' in line]


def is_held(path: Path) -> bool:
    """Whether a process has this run at this moment; of a run that says "running" and is not held, the process died."""
    try:
        with open(path / LOCK, encoding="utf-8") as file:
            _lock(file, is_shared=True)
    except BlockingIOError:
        return True
    except OSError:  # there is no lock, or it is not for us to ask
        return False
    return False


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """What the system refuses becomes a sentence with the path."""
    try:
        yield
    except OSError as error:
        text = _("cannot write {path}: {reason}", path=path, reason=error.strerror or error)
        raise RunError(text) from error


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


def _take(file: IO) -> None:
    """Lock a file; raises BlockingIOError if another process has it, not just for an instant."""
    for attempt in range(ATTEMPTS):
        try:
            return _lock(file)
        except BlockingIOError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02)


def _lock(file: IO, is_shared: bool = False) -> None:
    """Lock a file without waiting; raises BlockingIOError if another process has it."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file.fileno(), LOCK_PLACE, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK):
            raise BlockingIOError(error.errno, error.strerror) from error
        raise
