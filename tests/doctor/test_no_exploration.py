"""A player that does not try anything is found; one that explores, or that rightly does the same, is left alone."""

import types

import numpy as np
import pytest
import torch

import gipi
from gipi.doctor import View
from gipi.doctor.checks.no_exploration import check
from gipi.jobs.act import remembered

USUAL = {
    "explore": 1.0,
    "explore_last": 0.04,
    "explore_moves": 8_000,
    "first_moves": 1_000,
    "moves": 256,
    "lr": 2.3e-3,
}
BAD = {"mean": 9.0, "low": 8.5, "high": 9.5, "chance": 21.0}
GOOD = {"mean": 90.0, "low": 80.0, "high": 99.0, "chance": 21.0}


def view(shares, returns, **options):
    return View(
        task="act",
        options={**USUAL, **options},
        evidence={"actions": {"moves": 5000, "shares": shares}, "returns": returns},
    )


@pytest.mark.parametrize(
    "options",
    [
        {"explore": 0.0, "explore_last": 0.0},
        {"explore": 0.05, "explore_last": 0.01},
        {"explore_moves": 1},
        {"explore_moves": 0},
    ],
)
def test_a_schedule_without_random_moves(options):
    one = check(view([0.7, 0.3], BAD, **options))
    assert one and one.severity == "problem" and one.evidence["random"] < 0.1
    (remedy,) = one.remedies
    assert remedy.changes["explore"] == 1.0
    assert check(View(task="act", options={**USUAL, **options, **remedy.changes})) is None
    lucky = check(view([0.5, 0.5], GOOD, **options))
    assert lucky and lucky.severity == "warning"  # the network's own changes were tries enough


def test_one_action_and_no_returns():
    one = check(view([0.99, 0.01], BAD))
    assert one and one.severity == "warning" and one.evidence["most"] == 0.99 and one.plot
    assert check(view([0.99, 0.01], GOOD)) is None  # it is what brings rewards


@pytest.mark.parametrize(
    "sound", [view([0.5, 0.5], BAD), view([0.6, 0.4], GOOD), view([1.0], BAD), View(task="act"), View()]
)
def test_sound_players_are_left_alone(sound):
    assert check(sound) is None


def test_a_player_without_such_options_is_judged_by_what_it_did():
    bad = View(task="act", evidence={"actions": {"shares": [0.0, 1.0, 0.0]}, "returns": BAD})
    one = check(bad)
    assert one and not one.remedies[0].changes
    assert check(View(task="act", evidence={"actions": {}, "returns": {}})) is None


def test_what_a_stream_remembers():
    held = types.SimpleNamespace(memory={"action": torch.tensor([0, 0, 1, 2, 0, 0])}, moves=4)
    assert remembered(held, 3) == {"moves": 4, "shares": [0.5, 0.25, 0.25]}
    assert remembered(object(), 3) == {} and remembered(None, 3) == {}


class Corridor:
    """Eight places; a step to the right costs a little, and only the last place pays."""

    name, features, actions = "corridor", 8, 2

    def reset(self, seed: int) -> np.ndarray:
        self.moves, self.place = 0, 0
        return self._seen()

    def _seen(self) -> np.ndarray:
        return np.eye(8, dtype=np.float32)[self.place]

    def step(self, action: int):
        self.moves += 1
        self.place = max(0, min(7, self.place + (1 if action else -1)))
        has_ended = self.place == 7
        return self._seen(), 10.0 if has_ended else -0.1 * action, has_ended, self.moves >= 40


def found(folder, **options):
    small = {"hidden": (16,), "first_moves": 400, "moves": 64, "memory": 4000, "explore_moves": 1500, "steps": 300}
    run = gipi.fit(
        Corridor, system="dqn", run=folder / "run", quiet=True, verdict=False, threads=1, **{**small, **options}
    )
    return {finding.name: finding for finding in run.doctor()}


def test_a_run_without_random_moves(tmp_path):
    one = found(tmp_path, explore=0.0, explore_last=0.0)["no-exploration"]
    assert one.severity == "problem" and one.evidence["better_than_chance"] is False
    assert one.remedies[0].changes == {"explore": 1.0, "explore_last": 0.04, "explore_moves": 8000}  # as it comes
    assert sum(one.plot.lines["share"]) == pytest.approx(1)


def test_a_sound_run_is_left_alone(tmp_path):
    assert "no-exploration" not in found(tmp_path)
