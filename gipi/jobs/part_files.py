"""The parts of a long table that is being written, and the journal that says which of them count.

    answers.parquet             at the end, whole
    .answers.parquet.job        what is being answered, a line for each part that is finished, and how it ended
    .answers.parquet.parts/     the parts, until they are joined

A part is written whole or not at all, and then its line; a part without a line is written again. So whatever stops the
process, the next one goes on behind the last line, and no row is lost or doubled. The journal is locked by who writes.
"""

import json
import os
import shutil
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import polars as pl

from gipi.data.row_files import Place
from gipi.errors import RunError, UsageError, cannot_write
from gipi.messages import _
from gipi.training.checkpoint import UNFINISHED, flush_folder, write_atomically
from gipi.training.lock import take

FORMAT = 1  # of parts and journal; others are not gone on with
SUFFIXES = (".parquet", ".csv", ".jsonl")


@dataclass(frozen=True)
class Part:
    """A part that is finished.

    Attributes:
        file: Its name.
        sum: CRC-32 of its bytes.
        rows: In it.
        empty: Rows without any value that were left out.
        end: Where the next part begins in what is answered.
        kinds: A letter for each column of text: what all its cells are; see jobs/batch.py.
    """

    file: str
    sum: int
    rows: int
    empty: int
    end: Place
    kinds: str


class Parts:
    """What is there of an output, held by this process from `open` to `close`.

    Args:
        out: The file that is to be.
        job: Names what is answered by what.

    Attributes:
        parts: Those that are finished, in order.
        is_done: The output was written, by this very job.
        is_changed: There were parts of another job; they were removed.
    """

    def __init__(self, out: Path, job: str):
        self.out = out
        self.job = job
        self.journal = out.with_name(f".{out.name}.job")
        self.folder = out.with_name(f".{out.name}.parts")
        self.parts: list[Part] = []
        self.is_done = self.is_changed = False
        self.file: IO[bytes] | None = None

    def __enter__(self) -> "Parts":
        with said_of(self.out):
            self._hold()
            try:
                self._open()
            except BaseException:
                self._close()
                raise
        return self

    def __exit__(self, *trouble: object) -> None:
        self._close()

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def empty(self) -> int:
        return sum(part.empty for part in self.parts)

    @property
    def end(self) -> Place:
        return self.parts[-1].end if self.parts else Place()

    def add(self, frame: pl.DataFrame, end: Place, empty: int, kinds: str) -> None:
        """Write the next part, and that it counts.

        Raises:
            RunError: The disk is full or cannot be written; the parts before are untouched.
        """
        held = BytesIO()
        frame.write_parquet(held, compression="lz4", statistics=False)
        data = held.getbuffer()
        name = f"{len(self.parts):08d}.parquet"
        write_atomically(self.folder / name, data)
        part = Part(name, zlib.crc32(data), frame.height, empty, end, kinds)
        self._say({"part": asdict(part)})
        self.parts.append(part)

    def files(self) -> list[Path]:
        """The parts, in order."""
        return [self.folder / part.file for part in self.parts]

    def publish(self, whole: Path) -> None:
        """The joined file, whole on the disk, takes its place; then the parts are removed.

        Raises:
            RunError: Somebody else has written the output meanwhile.
        """
        with said_of(self.out):
            self._say({"joined": _stamp(whole)})
            if self.out.exists():
                raise _exists(self.out)
            os.replace(whole, self.out)
            flush_folder(self.out.parent)
            self.is_done = True
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- the journal

    def _hold(self) -> None:
        """Take the journal's lock, or say who has it."""
        while True:
            self.file = open(self.journal, "a+b", buffering=0)  # noqa: SIM115  # held: closing it would let go
            try:
                take(self.file)
                if os.path.samestat(os.fstat(self.file.fileno()), os.stat(self.journal)):
                    return
            except FileNotFoundError:  # who had it has removed it: a new one is made
                pass
            except BlockingIOError as error:
                lines = self._lines()
                self.file.close()
                holder = next((line["by"] for line, _end in reversed(lines) if "by" in line), "?")
                raise RunError(_("{path} is being written by {holder}", path=self.out, holder=holder)) from error
            self.file.close()

    def _open(self) -> None:
        assert self.file is not None
        lines = self._lines()
        stamps = [line["joined"] for line, _end in lines if "joined" in line]
        is_ours = bool(lines) and lines[0][0] == self._head()
        if self.out.exists():
            if not is_ours or not stamps or stamps[-1] != _stamp(self.out):
                raise _exists(self.out)
            self.is_done = True
            self.parts = [_part(line["part"]) for line, _end in lines if "part" in line]
            shutil.rmtree(self.folder, ignore_errors=True)  # of a kill after the last rename
            return
        if is_ours and (self.folder.exists() or not stamps):
            self._find(lines)
        else:  # nothing yet, another job, or this one, whose output was removed
            self.is_changed = not is_ours and not stamps and any("part" in line for line, _end in lines)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.file.truncate(0)
            self._say(self._head())
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob(UNFINISHED):
            left.unlink(missing_ok=True)
        flush_folder(self.out.parent)
        self._say({"by": _("process {number} on {machine}", number=os.getpid(), machine=socket.gethostname())})

    def _close(self) -> None:
        """Let go of the journal; where nothing was begun nothing is left behind."""
        assert self.file is not None
        lines = self._lines()
        if not any("part" in line or "joined" in line for line, _end in lines):
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # Windows keeps it
                self.journal.unlink()
        self.file.close()

    def _head(self) -> dict[str, Any]:
        return {"gipi predict": FORMAT, "job": self.job}

    def _lines(self) -> list[tuple[dict[str, Any], int]]:
        """What the journal says, up to a line that was torn, and where each line ends."""
        assert self.file is not None
        self.file.seek(0)
        lines, end = [], 0
        for line in self.file.read().split(b"\n")[:-1]:
            end += len(line) + 1
            try:
                lines.append((json.loads(line), end))
            except ValueError:
                break
        return lines

    def _find(self, lines: list[tuple[dict[str, Any], int]]) -> None:
        """The parts that the journal names and that are whole, up to the first that is not; the journal ends there."""
        assert self.file is not None
        kept = lines[0][1]
        for line, end in lines:
            if "part" in line:
                part = _part(line["part"])
                path = self.folder / part.file
                if not path.is_file() or zlib.crc32(path.read_bytes()) != part.sum:
                    break
                self.parts.append(part)
            kept = end
        self.file.truncate(kept)

    def _say(self, line: dict[str, Any]) -> None:
        assert self.file is not None
        with said_of(self.journal):
            self.file.write(json.dumps(line).encode() + b"\n")
            os.fsync(self.file.fileno())


def check_out(out: Path, sources: list[Path]) -> None:
    """Whether the output can be: of a known kind, in a folder that is there, and none of the sources.

    Raises:
        UsageError: It cannot; says why, and what could be.
    """
    if out.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UsageError(_("--out {path} ends in none of {known}, which can be written", path=out, known=known))
    if out.is_dir():
        raise UsageError(_("--out {path} is a folder; name a file in it", path=out))
    if not out.parent.is_dir():
        raise UsageError(_("--out {path}: there is no folder {folder}; make it first", path=out, folder=out.parent))
    for source in sources:
        if out.exists() and source.exists() and os.path.samefile(out, source):
            raise UsageError(_("--out {path} is the file that is read; name another", path=out))


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """What the system refuses becomes a sentence with the path."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def _part(said: dict[str, Any]) -> Part:
    return Part(**{**said, "end": Place(*said["end"])})


def _stamp(path: Path) -> list[int]:
    """What a file is known by that was written here."""
    known = path.stat()
    return [known.st_size, known.st_mtime_ns]


def _exists(path: Path) -> RunError:
    text = _(
        "{path} is there already, and holds no answers of this model to this input; remove it, or name another --out",
        path=path,
    )
    return RunError(text)
