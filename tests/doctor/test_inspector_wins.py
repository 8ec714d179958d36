"""An inspector that is always right is found; a game that goes to and fro is left alone."""

import types
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import gipi
from gipi import systems
from gipi.algorithms.optimizers import make
from gipi.doctor import View
from gipi.doctor.checks.inspector_wins import check
from gipi.training.player import Player

DIGITS: Any = load_digits()
PICTURES = (DIGITS.images * 15.9).astype(np.uint8)[:600]


def curve(losses):
    losses = np.asarray(losses, float)
    return np.stack([np.arange(len(losses)), losses, np.full(len(losses), 0.1)], 1)


def view(inspector, forger, **changes):
    held = {"curve": {"inspector": curve(inspector), "forger": curve(forger)}, "options": {"lr": 0.02}}
    return View(**{**held, **changes})


def found(folder, system, **options):
    run = gipi.fit(
        PICTURES,
        task="generate",
        system=system,
        steps=80,
        run=folder / "run",
        quiet=True,
        verdict=False,
        threads=1,
        batch_size=32,
        device="cpu",
        **options,
    )
    return {finding.name: finding for finding in run.doctor()}


def with_players(change):
    """The system gan with other players."""
    gan, own = systems.load("gan"), types.ModuleType("own_gan")
    vars(own).update({name: value for name, value in vars(gan).items() if not name.startswith("__")})

    def players(net, config, loss, schedule):
        made = gan.players(net, config, loss, schedule)
        change(made, net, schedule(config.lr))
        return made

    own.players = players  # type: ignore[attr-defined]
    return own


def slow_forger(players, net, size_of):
    params = list(net.forger.parameters())
    optimizer = make("rmsprop", params, lambda step: size_of(step) / 100)
    players["forger"] = Player(params, players["forger"].objective, optimizer, splittable=False)


def test_the_inspector_is_always_right():
    one = check(view(np.geomspace(1.4, 0.01, 40), np.linspace(0.7, 6, 40)))
    assert one and one.name == "inspector-wins" and one.severity == "problem"
    assert one.evidence["inspector"] < 0.1 and one.remedies[0].changes == {"lr": 0.002}
    assert one.plot and {len(line) for line in one.plot.lines.values()} == {40}
    # the other loss of the paper: what the forger wants to be large is how surely it is taken for forged
    assert check(view(np.geomspace(1.4, 0.01, 40), np.linspace(-0.7, -0.01, 40)))


def test_the_forgers_gradient_is_told():
    visits = [
        {"step": 2, "parameters": {"forger.a": {"gradient": 0.5, "count": 4}, "inspector.a": {"gradient": 9.0}}},
        {"step": 3, "failed": "x"},
        {"step": 4, "parameters": {"forger.a": {"gradient": 0.1, "count": 4}, "forger.b": {"gradient": None}}},
    ]
    one = check(view(np.geomspace(1.4, 0.01, 40), np.linspace(0.7, 6, 40), visits=visits))
    assert one and one.evidence["gradient"] == [0.5, 0.1]


@pytest.mark.parametrize(
    ("inspector", "forger"),
    [
        (np.full(40, 1.25), np.full(40, 0.8)),
        (np.geomspace(1.4, 0.4, 40), np.linspace(0.7, 2.5, 40)),  # ahead, but not always right
        (
            np.r_[np.full(20, 0.05), np.full(20, 1.0)],
            np.r_[np.full(20, 4.0), np.full(20, 1.0)],
        ),  # it was caught up with
        (-np.geomspace(1.4, 0.01, 40), np.linspace(0.7, 6, 40)),  # a critic's loss is no logarithm
        ([0.01, 0.01], [5.0, 6.0]),
        (np.full(40, np.nan), np.full(40, 1.0)),
    ],
)
def test_other_games_are_left_alone(inspector, forger):
    assert check(view(inspector, forger)) is None


def test_runs_without_two_players_are_left_alone():
    assert check(View()) is None
    assert check(View(curve={"learner": curve(np.zeros(40))})) is None


def test_a_forger_that_is_far_too_slow(tmp_path):
    assert found(tmp_path, with_players(slow_forger))["inspector-wins"].severity == "problem"


def test_a_far_too_large_step(tmp_path):
    one = found(tmp_path, "gan", lr=0.5)
    assert {"inspector-wins", "mode-collapse"} & {*one}


@pytest.mark.parametrize("options", [{}, {"lr": 0.01}, {"width": 4}])
def test_sound_games_are_left_alone(tmp_path, options):
    assert "inspector-wins" not in found(tmp_path, "gan", **options)
