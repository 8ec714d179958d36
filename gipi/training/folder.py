"""A run is a folder: its configuration, its numbers, its checkpoints, its model, its report. Nothing needs a server.

    runs/digits-convnet-1/
        run.json          the whole configuration, seeds, hashes of data and split, versions, hardware, results
        metrics.jsonl     every step's and epoch's numbers
        checkpoints/      last two, the best, and the finished members; a copy of run.json
        model.gipi        what is kept
        report.html       what there is to see

One process at a time holds a run folder; a second one is told who.
"""

import hashlib
import json
import os
import shutil
import socket
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from gipi.errors import DamageWarning, RunError, cannot_write, nearest
from gipi.messages import _
from gipi.training import checkpoint
from gipi.training.lock import lock, take
from gipi.training.log_file import is_log_whole, parsed_line, sum_of
from gipi.training.sealed import seal, unseal
from gipi.training.tensors import bytes_of
from gipi.training.writer import Writer, staged

RUNS = Path("runs")
LOCK = "run.lock"
COPY = "run.json"  # under checkpoints/: what is used if the other one is damaged
PIECE = 1 << 20  # bytes read at once
LARGE = 4 << 20  # bytes of a state from which on a thread costs less than writing at once


class Folder:
    """A run's folder on the disk, held by this process from `create` or `open` until `close`."""

    def __init__(self, path: Path):
        self.path = path
        self.record: dict[str, Any] = {}  # run.json
        self.lock: IO | None = None
        self.log: IO[bytes] | None = None
        self.log_sum: Any = hashlib.sha256()  # of what the log holds, as far as it was written or found
        self.is_log_whole = True
        self.writer = Writer()

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

    def is_written(self) -> bool:
        """Whether it says of itself what run it is, so that it can be gone on with."""
        return (self.path / "run.json").exists()

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
            file = open(self.path / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  # held: closing it would let go
            try:
                take(file)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "?"
                file.close()
                raise RunError(_("the run {path} is in use by {holder}", path=self.path, holder=holder)) from error
            except OSError:
                file.close()
                raise
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            self.lock = file
            for folder in (self.path, self.checkpoints):
                checkpoint.remove_unfinished(folder)

    def close(self) -> None:
        """Let go of the folder, once nothing is being written to it.

        What the log or a write still holds back after an error has been said by that error.
        """
        try:
            with suppress(RunError):
                self.writer.wait()
        finally:
            for file in (self.log, self.lock):
                with suppress(OSError):
                    if file:
                        file.close()
            self.log = self.lock = None

    # --- writing

    def write_record(self, **changes: Any) -> None:
        """Change run.json, atomically, and its copy; what was being written beside training is there before.

        Of a run that has ended it says what its log must hold.
        """
        self.writer.wait()
        record = {**self.record, **changes}
        record.pop("log", None)
        if record.get("status") != "running" and self.log_path.exists():
            record["log"] = self.log_state()
        content = seal(record)
        for path in (self.path / "run.json", self.checkpoints / COPY):
            checkpoint.write_atomically(path, content)
        self.record = record

    def append(self, lines: list[str]) -> None:
        """Add lines to metrics.jsonl."""
        with _said(self.log_path):
            if self.log is None:
                self.log = open(self.log_path, "ab")  # noqa: SIM115  # open for as long as the run is held
                checkpoint.flush_folder(self.path)
                self.log_sum = sum_of(self.log_path)
                if not self.is_log_whole:
                    self.log_sum.update(b"damaged")  # what is wrong with it does not become right by going on
            content = "".join(f"{line}\n" for line in lines).encode()
            self.log.write(content)
            self.log_sum.update(content)

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
            return os.fstat(self.log.fileno()).st_size

    def log_state(self) -> dict[str, Any]:
        """The size of the log, and the checksum that it has up to there."""
        return {"log": self.log_size(), "log_sum": self.log_sum.hexdigest()}

    def cut_log(self, size: int) -> list[str]:
        """Forget what was logged after a checkpoint; the resumed run says it again. Gives remarks."""
        with _said(self.log_path):
            if self.log:
                self.log.close()
                self.log = None
            there = self.log_path.stat().st_size if self.log_path.exists() else 0
            if there > size:
                os.truncate(self.log_path, size)
        if there < size:
            self.is_log_whole = False
            return [_("{path} is shorter than it was: numbers are lost", path=self.log_path)]
        return []

    def check_log(self, state: Mapping[str, Any]) -> list[str]:
        """Whether the log is, up to a checkpoint, what it was then; gives remarks."""
        if not self.is_log_whole or is_log_whole(self.path, state):
            return []
        self.is_log_whole = False
        return [_("{path} is damaged: do not trust each of its numbers; the training is whole", path=self.log_path)]

    def log_place(self) -> int:
        """Where the next line will begin, in bytes; the disk is not waited for."""
        self.append([])
        assert self.log
        self.flush()
        return os.fstat(self.log.fileno()).st_size

    def end_in_log(self, member: int) -> int:
        """Where the last line on this member ends, in bytes."""
        end = place = 0
        with _said(self.log_path), open(self.log_path, "rb") as lines:
            for line in lines:
                place += len(line)
                if (parsed := parsed_line(line)) and parsed.get("member", 0) == member:
                    end = place
        return end

    # --- checkpoints

    def save(self, name: str, tensors: Mapping[str, Tensor], state: dict | str) -> None:
        """Write `checkpoints/NAME.ckpt`."""
        checkpoint.write(self.checkpoints / f"{name}.ckpt", tensors, state)

    def keep(self, files: list[tuple[str, Mapping[str, Tensor], dict]], needed: set[str]) -> None:
        """Write checkpoints, then delete all that is not needed any more; if they are large, while training goes on.

        Raises:
            RunError: These cannot be written, or those before could not.
        """
        self.writer.wait()

        def write(files: list, needed: set[str] = needed) -> None:
            for name, tensors, state in files:
                self.save(name, tensors, state)
            self.prune(needed)

        if sum(bytes_of(tensors) for _name, tensors, _state in files) < LARGE:
            write(files)
        else:
            copies = staged([(name, tensors, json.dumps(state)) for name, tensors, state in files])
            self.writer.begin(lambda: write(copies))

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
    for place in (path, RUNS / path):
        if (place / LOCK).is_file():
            text = _(
                "there is nothing to go on with in {path}: its process ended before the first step. Begin again:"
                " gipi fit DATA --run {path}",
                path=place,
            )
            raise RunError(text)
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
    """A run's run.json; where it is damaged, its copy, and it is said.

    Raises:
        RunError: Neither can be read.
    """
    first, copy = path / "run.json", path / "checkpoints" / COPY
    try:
        record = unseal(first.read_bytes())
    except (OSError, ValueError) as error:
        try:
            record = unseal(copy.read_bytes())
        except (OSError, ValueError):
            raise RunError(_("{path} is not a run: its run.json cannot be read", path=path)) from error
        warnings.warn(
            DamageWarning(_("{path} is damaged; its copy is used, {copy}", path=first, copy=copy)), stacklevel=3
        )
    check_record(record, path, ())
    return record


def check_record(record: Any, path: Path, needed: Iterable[str]) -> None:
    """Whether run.json says these things of the run."""
    if not isinstance(record, dict) or not set(needed) <= record.keys():
        raise RunError(_("{path} is not a run: its run.json lacks what a run says of itself", path=path))


def is_held(path: Path) -> bool:
    """Whether a process has this run at this moment; of a run that says "running" and is not held, the process died."""
    try:
        with open(path / LOCK, encoding="utf-8") as file:
            lock(file, is_shared=True)
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
        raise cannot_write(path, error) from error


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
