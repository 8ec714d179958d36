"""Run folders: made, held by one process, found, and honest about what happened."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gipi
from gipi.errors import RunError
from gipi.run import Run
from gipi.training import folder as folders
from gipi.training.folder import Folder, is_held
from gipi.training.log_file import read_log

HOLD = """
import sys, time
from pathlib import Path
from gipi.training.folder import Folder
folder = Folder(Path(sys.argv[1]))
folder.hold()
print("held", flush=True)
time.sleep(60)
"""


def made(path: Path, **record) -> Folder:
    folder = Folder.create(path, "run")
    folder.write_record(status="running", **record)
    return folder


def test_one_holds_a_run_the_second_is_told_who(tmp_path):
    folder = made(tmp_path / "run")
    assert is_held(folder.path) and Run(folder.path).status == "running"
    with pytest.raises(RunError, match=f"in use by process {os.getpid()} on "):
        Folder.open(folder.path)
    with pytest.raises(RunError, match=f"in use by process {os.getpid()} on "):
        Folder.create(folder.path, "run")
    folder.close()
    assert not is_held(folder.path) and Run(folder.path).status == "interrupted"
    Folder.open(folder.path).close()


def test_a_killed_process_holds_nothing(tmp_path):
    made(tmp_path / "run").close()
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    assert Run(tmp_path / "run").status == "running"
    with pytest.raises(RunError, match=f"in use by process {process.pid} on "):
        Folder.open(tmp_path / "run")
    process.kill()
    process.communicate()
    assert Run(tmp_path / "run").status == "interrupted"
    Folder.open(tmp_path / "run").close()


def test_asking_does_not_disturb_who_takes(tmp_path):
    made(tmp_path / "run").close()
    ask = "import sys; from pathlib import Path; from gipi.training.folder import is_held\n"
    ask += "print('asking', flush=True)\nwhile True: is_held(Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", ask, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline()
        for _attempt in range(200):
            Folder.open(tmp_path / "run").close()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("status", ["done", "diverged", "interrupted"])
def test_other_states_are_what_they_say(status, tmp_path):
    folder = made(tmp_path / "run")
    folder.write_record(status=status)
    assert Run(folder.path).status == status
    folder.close()
    assert Run(folder.path).status == status


def test_killed_before_the_first_word_the_folder_can_be_used(tmp_path):
    folder = Folder.create(tmp_path / "run", "run")
    (folder.path / ".run.json.7.part").write_bytes(b"{")
    folder.close()
    folder = Folder.create(tmp_path / "run", "run")
    assert not list(folder.path.glob("*.part")) and not list(folder.path.glob(".*.part"))
    folder.write_record(status="running")
    folder.close()
    with pytest.raises(RunError, match="not empty; give another --run, or continue it with: gipi resume"):
        Folder.create(tmp_path / "run", "run")


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(RunError, match="not empty"):
        Folder.create(tmp_path, "run")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_at_once_get_two_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "RUNS", tmp_path)
    made = [Folder.create(None, "digits") for _run in range(3)]
    assert [folder.name for folder in made] == ["digits-1", "digits-2", "digits-3"]
    for folder in made:
        folder.close()


@pytest.mark.parametrize("problem", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("part", ["mkdir", "lock", "record"])
def test_a_folder_that_cannot_be_written_is_named(problem, part, tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(problem, os.strerror(problem))

    where = {
        "mkdir": lambda: monkeypatch.setattr(Path, "mkdir", refuse),
        "lock": lambda: monkeypatch.setattr(folders, "open", refuse, raising=False),
        "record": lambda: monkeypatch.setattr(os, "replace", refuse),
    }
    where[part]()
    with pytest.raises(RunError) as said:
        gipi.fit("grades", system="linear", quiet=True, run=tmp_path / "run")
    assert str(tmp_path / "run") in str(said.value) and os.strerror(problem) in str(said.value)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match=str(path)):
            gipi.fit("grades", system="linear", quiet=True, run=path)


def test_a_file_system_without_locks_is_not_called_in_use(tmp_path, monkeypatch):
    made(tmp_path / "run").close()

    def refuse(*_arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(RunError, match="No locks available"):
        Folder.open(tmp_path / "run")


def test_a_log_cut_in_the_middle_of_a_letter_is_read(tmp_path):
    lines = [json.dumps({"step": 0, "학습자": 0.5}, ensure_ascii=False), '{"step": 1, "학']
    content = "\n".join(lines).encode()
    for end in range(len(content) - 4, len(content) + 1):
        (tmp_path / "metrics.jsonl").write_bytes(content[:end])
        assert read_log(tmp_path) == [{"step": 0, "학습자": 0.5}]


def test_a_run_that_is_none_says_so(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run.json cannot be read"):
        gipi.resume(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text('{"format": 1}')
    Folder.open(tmp_path / "run").close()  # the lock was let go of
