"""A disk that fails while a run writes: whichever file it is, the old one is whole or there is none.

Every write, fsync and rename of a run is refused in turn, the n-th for every n: the error says which file and how much
room there is, the exit code is 1, and once the disk is well `gipi resume` comes to the same bits.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from disks import REASONS, Disk, check_whole
from kept import outcome
from kills import readied, told

from gipi.cli.main import main
from gipi.training.folder import read_record
from gipi.training.sealed import seal

LINE = ["fit", "iris", "--system", "mlp", "--hidden", "8", "--steps", "1", "--batch-size", "48", "--dropout", "0.2"]
LINE += ["--threads", "1", "--no-verdict", "--quiet"]
KEPT = {"run.json", "checkpoints/run.json", "metrics.jsonl", "model.gipi", "report.html"}


@pytest.fixture
def often(monkeypatch):
    """A checkpoint at each step."""
    monkeypatch.setattr("gipi.training.log.SHORTEST_PAUSE", -1.0)
    monkeypatch.setattr("gipi.training.log.SHARE", 1e9)


def check_said(said: str, folder: Path, reason: int) -> None:
    """One sentence, with a path of the run, the system's reason and the room there is."""
    assert said.startswith("gipi: cannot write ") and "Traceback" not in said
    assert str(folder) in said and os.strerror(reason) in said, said
    assert re.search(r"free there: [\d,.]+ MB", said), said


def go_on(folder: Path) -> None:
    """As a person does: resume, or where nothing was kept the same line again."""
    line = ["resume", str(folder), "--quiet"] if (folder / "run.json").exists() else [*LINE, "--run", str(folder)]
    assert main(line) == 0


def test_whichever_call_fails_every_file_is_whole_and_the_run_goes_on(often, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        disk = Disk(patched)
        assert main([*LINE, "--run", str(tmp_path / "whole")]) == 0
    expected = outcome(tmp_path / "whole")
    assert check_whole(tmp_path / "whole") >= KEPT
    files = {name.split(".")[1 if name.startswith(".") else 0] for name in disk.asked}
    assert files >= {"run", "metrics", "model", "report", "step-000-0000000001", "member-000", "fsync"}
    for number in range(1, disk.count + 1):
        reason, for_ever = REASONS[number % len(REASONS)]
        folder = tmp_path / "cut"
        with monkeypatch.context() as patched:
            Disk(patched, number, for_ever, reason)
            capsys.readouterr()
            assert main([*LINE, "--run", str(folder)]) == 1, number
        check_said(capsys.readouterr().err, folder, reason)
        check_whole(folder)
        go_on(folder)
        assert outcome(folder) == expected, number
        shutil.rmtree(folder)


def test_whichever_call_fails_the_files_of_before_stay(tmp_path, monkeypatch, capsys):
    """Results are written over older ones, as when a run that was interrupted in a notebook goes on."""
    whole = tmp_path / "whole"
    assert main([*LINE, "--run", str(whole)]) == 0
    record = read_record(whole)
    record |= {"status": "interrupted"}
    del record["log"]
    for path in (whole / "run.json", whole / "checkpoints" / "run.json"):
        path.write_bytes(seal(record))
    expected = outcome(whole)
    before = {name: (whole / name).read_bytes() for name in KEPT}

    def again(fails: int | None = None, for_ever: bool = False, reason: int = 0) -> tuple[int, Disk]:
        shutil.copytree(whole, tmp_path / "cut")
        with monkeypatch.context() as patched:
            disk = Disk(patched, fails, for_ever, reason)
            return main(["resume", str(tmp_path / "cut"), "--quiet"]), disk

    code, disk = again()
    assert code == 0
    after = {name: (tmp_path / "cut" / name).read_bytes() for name in KEPT}
    for number in range(1, disk.count + 1):
        shutil.rmtree(tmp_path / "cut")
        reason, for_ever = REASONS[number % len(REASONS)]
        capsys.readouterr()
        code, _disk = again(number, for_ever, reason)
        assert code == 1, number
        check_said(capsys.readouterr().err, tmp_path / "cut", reason)
        assert check_whole(tmp_path / "cut") >= KEPT
        for name in ("model.gipi", "metrics.jsonl"):  # which a second time come to the same bytes
            assert (tmp_path / "cut" / name).read_bytes() in (before[name], after[name]), (number, name)
        go_on(tmp_path / "cut")
        assert outcome(tmp_path / "cut")["weights"] == expected["weights"], number


# --- real disks


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A process that forks a child for each line; and the file with what the children complain of."""
    with open(tmp_path_factory.mktemp("errors") / "errors", "w+", encoding="utf-8") as errors:
        process = readied((-1.0, 1e9), errors)
        yield process, Path(errors.name)
        process.stdin.close()
        process.wait(30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_file_that_may_not_grow_so_large_is_the_same_error(ready, often, tmp_path):
    """The system's own limit (ulimit -f); a write beyond it is refused by half, and SIGXFSZ must not end the process.

    In a child, for whoever runs the tests writes files too.
    """
    process, errors = ready
    large = ["--hidden", "64"]
    assert main([*LINE, *large, "--run", str(tmp_path / "whole")]) == 0
    expected, found = outcome(tmp_path / "whole"), []
    for limit in (300, 12_000):
        folder = tmp_path / str(limit)
        line = [*LINE, *large, "--run", str(folder)]
        errors.write_text("")
        assert told(process, ["main", line, {"limit": limit}]) == 1
        said = errors.read_text().replace("\0", "")
        assert said.startswith("gipi: cannot write ") and said.count("\n") == 1, said
        assert "File too large; free there: " in said and "ulimit -f" in said, said
        found.append(Path(said.partition("cannot write ")[2].partition(":")[0]).name.partition("-")[0])
        check_whole(folder)
        assert told(process, ["main", ["resume", str(folder)] if (folder / "run.json").exists() else line, {}]) == 0
        assert outcome(folder) == expected
    assert len(set(found)) == 2, found  # different files were too large


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of so many kilobytes, where this process may make one."""
    made = []

    def make(size: int) -> Path:
        place = tmp_path / f"disk-{size}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"a small disk cannot be made here: {done.stderr.strip()}")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount here")
@pytest.mark.parametrize("size", [16, 64])
def test_a_disk_that_is_full(size, often, small_disk, tmp_path, capsys):
    assert main([*LINE, "--run", str(tmp_path / "whole")]) == 0
    disk = small_disk(size)
    capsys.readouterr()
    assert main([*LINE, "--run", str(disk / "run")]) == 1
    said = capsys.readouterr().err
    assert "No space left on device; free there: 0." in said and "Make room" in said, said
    check_whole(disk / "run")
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)  # room is made
    go_on(disk / "run")
    assert outcome(disk / "run") == outcome(tmp_path / "whole")
