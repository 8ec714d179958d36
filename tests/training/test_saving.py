"""When a run saves: by the clock, at most 2 % of the time, with a clock of the test's own."""

import os
from itertools import pairwise
from types import SimpleNamespace

import pytest
from kept import Watching
from test_checkpoint import member

from gipi.training import log as logs
from gipi.training.folder import Folder
from gipi.training.group import alone
from gipi.training.log import SHARE, SHORTEST_PAUSE, Log
from gipi.training.member import Plan
from gipi.training.train import train

STEP = 0.03  # seconds


class Clock:
    """Time passes by what is done, and by nothing else."""

    def __init__(self, monkeypatch, cost: float, is_beside: bool):
        self.now, self.cost, self.saves = 0.0, cost, []
        real = Folder.keep

        def keep(folder, files, needed) -> None:
            self.saves.append(self.now)
            self.now += 0.0 if is_beside else cost
            real(folder, files, needed)
            folder.writer.wait()

        monkeypatch.setattr(Folder, "keep", keep)
        monkeypatch.setattr(logs, "time", SimpleNamespace(perf_counter=lambda: self.now))
        if is_beside:  # the thread's share of the machine
            monkeypatch.setattr("gipi.training.folder.LARGE", 0)
            thread_time = SimpleNamespace(thread_time=lambda: cost * (os.cpu_count() or 1))
            monkeypatch.setattr("gipi.training.writer.time", thread_time)

    def step(self) -> None:
        self.now += STEP


def trained(folder, every: int, steps: int, clock: Clock) -> None:
    one = member()
    one.plan = Plan(steps, every)
    group, log = alone(one), Log(folder)
    log.restore(group)
    train(group, Watching(dict.fromkeys(range(1, steps + 1), clock.step)), log)


@pytest.mark.parametrize("is_beside", [False, True])
@pytest.mark.parametrize("every", [20, 700])  # a look is near, or far
@pytest.mark.parametrize("cost", [0.001, 0.2])
def test_saving_takes_two_percent_and_one_save_at_most(cost, every, is_beside, tmp_path, monkeypatch):
    folder = Folder.create(tmp_path / "run", "run")
    clock = Clock(monkeypatch, cost, is_beside)
    steps = 1200
    trained(folder, every, steps, clock)
    folder.close()
    *by_the_clock, _end = clock.saves  # the end is written whatever it costs
    total = steps * STEP
    assert len(by_the_clock) * cost <= SHARE * total + cost
    pause = max(SHORTEST_PAUSE, cost / SHARE)
    farthest = pause + (every * STEP if every < 100 else pause)  # it waits for a look, or twice as long
    assert len(by_the_clock) >= total // (farthest + cost + 3 * STEP)
    gaps = [later - before for before, later in pairwise(by_the_clock)]
    assert all(gap >= pause - STEP for gap in gaps)


def test_a_first_save_is_reckoned_by_its_size(tmp_path, monkeypatch):
    """Nobody knows yet what a save costs: a large state is not written after a second all the same."""
    folder = Folder.create(tmp_path / "run", "run")
    clock = Clock(monkeypatch, 0.5, False)
    one = member()
    size = sum(tensor.nbytes for tensor in alone(one).tensors().values())
    monkeypatch.setattr(logs, "SPEED", size / 0.5)
    trained(folder, 20, 800, clock)
    folder.close()
    assert len(clock.saves) == 1, "24 seconds are too few for a save of half a second"


def test_a_save_that_falls_on_a_look_holds_one_state(tmp_path, monkeypatch):
    """Beside a look there are two: where the run stands, and what a fault would go back to."""
    from gipi.training import checkpoint

    for every, holds_two in ((20, False), (3000, True)):
        folder = Folder.create(tmp_path / str(every), "run")
        with monkeypatch.context() as patched:
            trained(folder, every, 200, Clock(patched, 0.01, False))
        folder.close()
        newest, _remarks = checkpoint.newest(folder.checkpoints, "step-")
        assert newest and (newest.state["good"] is not None) is holds_two
        assert any(name.startswith("good.") for name in newest.tensors) is holds_two
