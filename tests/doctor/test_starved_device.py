"""A device that waits for its data most of the time is said, if that costs anybody a second."""

import time

import torch
from trained import found_in, look, view

from gipi.doctor.checks.starved_device import check


class Slow:
    """A stream whose batches take longer than a step."""

    def __init__(self, seconds: float):
        self.seconds, self.position = seconds, 0

    def __iter__(self):
        return self

    def __next__(self):
        time.sleep(self.seconds)
        self.position += 1
        draw = torch.Generator().manual_seed(self.position)
        x = torch.randn(8, 10, generator=draw)
        return x, (x[:, 0] > 0).long()

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def test_slow_and_quick_batches(tmp_path):
    options = {"model": torch.nn.Linear(10, 2), "loss": torch.nn.functional.cross_entropy, "epochs": None}
    found = found_in(tmp_path / "slow", Slow(0.04), **options, steps=40)
    assert found["starved-device"].evidence["share"] > 0.5 and found["starved-device"].evidence["seconds"] > 1
    assert "starved-device" not in found_in(tmp_path / "quick", Slow(0.0), **options, steps=40)


def test_what_it_takes():
    def looks(wait, seconds):
        return [look(step, wait=wait, seconds=seconds) for step in (3, 50, 99)]

    assert check(view(visits=looks(0.8, 0.1)))
    assert check(view(visits=looks(0.85, 0.01)))  # 0.85 seconds in all, of a run of one
    assert check(view(visits=looks(0.4, 0.1))) is None
    assert check(view(visits=looks(0.8, 1e-4))) is None  # ten milliseconds in all
    assert check(view(visits=looks(0.8, 0.1)[:1])) is None
