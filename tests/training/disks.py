"""A disk that fails: each write, fsync and rename of a process counted, and one of them (or all after it) refused."""

import builtins
import errno
import json
import os
from pathlib import Path

REASONS = ((errno.ENOSPC, True), (errno.EIO, False), (errno.EROFS, True), (errno.EDQUOT, False))  # and is it for ever?


class Disk:
    """A disk that refuses the n-th of its calls."""

    def __init__(self, monkeypatch, fails: int | None = None, for_ever: bool = False, reason: int = errno.ENOSPC):
        self.fails, self.for_ever, self.reason = fails, for_ever, reason
        self.count = 0
        self.asked: list[str] = []  # what each call was for
        real_open, real_fsync, real_replace = builtins.open, os.fsync, os.replace

        def opened(file, mode="r", *arguments, **options):
            if mode not in ("wb", "ab"):
                return real_open(file, mode, *arguments, **options)
            self.ask(file)
            # without a buffer of Python's each write is one of the system's, and can be counted
            return Failing(self, real_open(file, mode, buffering=0))

        def fsync(handle):
            self.ask("fsync")
            return real_fsync(handle)

        def replace(source, target):
            self.ask(target)
            return real_replace(source, target)

        monkeypatch.setattr("gipi.training.checkpoint.open", opened, raising=False)
        monkeypatch.setattr("gipi.training.folder.open", opened, raising=False)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)

    def ask(self, what) -> None:
        self.count += 1
        self.asked.append(Path(str(what)).name)
        if self.count == self.fails or (self.for_ever and self.fails and self.count > self.fails):
            raise OSError(self.reason, os.strerror(self.reason), str(what))


class Failing:
    """A file on such a disk: a write that is refused has been done by half."""

    def __init__(self, disk: Disk, file):
        self.disk, self.file = disk, file

    def write(self, content: bytes) -> None:
        try:
            self.disk.ask(self.file.name)
        except OSError:
            self.file.write(content[: len(content) // 2])
            raise
        assert self.file.write(content) == len(content)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        self.file.close()


def check_whole(run: Path) -> set[str]:
    """Every file of a run is whole or is not there; gives the names of those that are there."""
    from gipi.release.bundle import read_bundle
    from gipi.training import checkpoint
    from gipi.training.sealed import unseal

    there = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} if run.exists() else set()
    assert not {name for name in there if name.endswith(".part")}, there
    for name in there:
        path = run / name
        if path.suffix == ".ckpt":
            checkpoint.read(path)
        elif path.name == "run.json":
            unseal(path.read_bytes())
        elif path.suffix == ".gipi":
            read_bundle(path)
        elif path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            assert text.startswith("<!") and text.rstrip().endswith("</html>"), path
        elif path.suffix == ".jsonl":
            lines = path.read_bytes().split(b"\n")
            assert all(isinstance(json.loads(line), dict) for line in lines[:-1])  # the last may be cut short
    newest, remarks = checkpoint.newest(run / "checkpoints", "step-")
    assert not remarks
    if newest:  # what the checkpoint counts on is in the log
        assert (run / "metrics.jsonl").stat().st_size >= newest.state["log"]
    return there
