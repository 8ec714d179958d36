"""The writer beside training, by itself: its order, what goes wrong in it, its end, and a kill in the middle."""

import subprocess
import sys
import threading
import time
from functools import partial

import pytest
import torch

from gipi.errors import RunError
from gipi.messages import language, use
from gipi.training.writer import Writer, staged


def test_it_writes_beside_and_in_order():
    writer, done, may_go_on = Writer(), [], threading.Event()

    def work(name: str) -> None:
        may_go_on.wait(30)
        done.append((name, threading.current_thread() is threading.main_thread()))

    writer.begin(partial(work, "first"))
    assert writer.is_busy() and not done  # whoever began it goes on meanwhile
    may_go_on.set()
    writer.wait()
    writer.begin(partial(work, "second"))
    writer.wait()
    assert done == [("first", False), ("second", False)] and not writer.is_busy()
    writer.wait()  # there is nothing to wait for


def test_one_write_at_a_time():
    writer, may_go_on = Writer(), threading.Event()
    writer.begin(lambda: bool(may_go_on.wait(30)))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="one write at a time"):
        writer.begin(lambda: None)
    may_go_on.set()
    writer.wait()


@pytest.mark.parametrize("problem", [RunError("the disk is full"), MemoryError("no room"), KeyboardInterrupt()])
def test_what_goes_wrong_is_raised_once_to_whoever_waits(problem):
    writer = Writer()

    def fail() -> None:
        raise problem

    writer.begin(fail)
    with pytest.raises(type(problem)) as found:
        writer.wait()
    assert found.value is problem
    writer.wait()  # it has been said
    done = []
    writer.begin(lambda: done.append(1))  # and the next one is written
    writer.wait()
    assert done == [1]


def test_it_speaks_the_language_of_the_run():
    said = []
    use("ko")
    try:
        writer = Writer()
        writer.begin(lambda: said.append(language()))
        writer.wait()
    finally:
        use(None)
    assert said == ["ko"]


def test_it_knows_what_it_cost():
    """Its own time on a processor, shared by all of them; not the time that it slept."""
    writer = Writer()
    writer.begin(lambda: time.sleep(0.2))
    writer.wait()
    assert writer.cost < 0.1


def test_what_is_staged_does_not_change_any_more():
    shared, other = torch.zeros(3), torch.ones(2, dtype=torch.int64)
    files = staged([("one", {"a": shared, "b": other}, "{}"), ("two", {"a": shared}, "{}")])
    shared.add_(1)
    other.add_(1)
    (_one, first, _), (_two, second, _) = files
    assert first["a"].tolist() == [0, 0, 0] and first["b"].tolist() == [1, 1]
    assert second["a"] is first["a"]  # what stands in two files is copied once


PROCESS = """
import os, sys, time
from pathlib import Path
from gipi.training import checkpoint
from gipi.training.writer import Writer

def slow(handle):
    print("in the middle", flush=True)
    time.sleep(float(sys.argv[2]))

os.fsync = slow  # what was written is not yet where it belongs
Writer().begin(lambda: checkpoint.write_atomically(Path(sys.argv[1]), b"new " * 1000, b"new " * 1000))
"""


@pytest.fixture
def old(tmp_path):
    """A file that is written anew by a process of its own; and the process, when it is in the middle of that."""
    path, made = tmp_path / "file", []
    path.write_bytes(b"old")

    def begin(pause: float) -> subprocess.Popen:
        made.append(subprocess.Popen([sys.executable, "-c", PROCESS, str(path), str(pause)], stdout=subprocess.PIPE))
        assert made[0].stdout.readline() == b"in the middle\n"
        assert path.read_bytes() == b"old"
        return made[0]

    yield path, begin
    for process in made:
        process.kill()
        process.communicate()


def test_a_process_that_ends_writes_what_it_has_begun(old):
    """Nobody has waited for it: its last line is done, and the thread is still at work."""
    path, begin = old
    assert begin(0.1).wait(60) == 0
    assert path.read_bytes() == b"new " * 2000
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_process_killed_in_writing_leaves_the_old_file(old):
    path, begin = old
    process = begin(60)
    process.kill()
    assert process.wait(60) != 0
    assert path.read_bytes() == b"old"
