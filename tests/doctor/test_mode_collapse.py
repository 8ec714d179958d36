"""A forger that makes a few pictures only is found; one that is sound, or has hardly begun, is left alone."""

import types
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import gipi
from gipi import systems
from gipi.doctor import View
from gipi.doctor.checks.mode_collapse import check
from gipi.tasks.variety import variety_of

DIGITS: Any = load_digits()
PICTURES = (DIGITS.images * 15.9).astype(np.uint8)
REAL = PICTURES.reshape(len(PICTURES), -1).astype(float)
QUICK = {"task": "generate", "quiet": True, "verdict": False, "threads": 1, "batch_size": 32, "device": "cpu"}


def view(made, real=REAL, **changes):
    held = {"history": [{"step": 1000}], "options": {"lr": 0.5, "latent": 64, "batch_size": 32}}
    return View(evidence={"variety": variety_of(np.asarray(made, float), real)}, **{**held, **changes})


def found(folder, steps, **options):
    run = gipi.fit(PICTURES[:600], steps=steps, run=folder / "run", **{**QUICK, **options})
    return {finding.name: finding for finding in run.doctor()}


def test_the_same_picture_again_and_again():
    one = check(view(np.repeat(REAL[:1], 300, 0)))
    assert one and one.severity == "problem" and one.evidence["copies"] == 1.0
    assert one.remedies[0].changes == {"lr": 0.05} and one.plot and len(one.plot.lines) == 2


def test_five_pictures_with_a_little_noise():
    random = np.random.default_rng(0)
    one = check(view(REAL[:5].repeat(100, 0) + random.normal(size=(500, 64))))
    assert one and one.severity == "problem" and one.evidence["copies"] > 0.9


def test_only_some_kinds_although_those_vary():
    """All real pictures of two digits: none is a copy of another, and eight digits are never made."""
    one = check(view(REAL[DIGITS.target < 2]))
    assert one and one.severity == "problem" and one.evidence["copies"] < 0.2 and one.evidence["missing"] > 0.5
    assert "kinds" in one.cause


@pytest.mark.parametrize("part", [slice(0, 900), slice(900, None), slice(0, 40), slice(0, 25)])
def test_other_real_pictures_are_left_alone(part):
    order = np.random.default_rng(1).permutation(len(REAL))
    assert check(view(REAL[order[part]], REAL[order[::-1]][:800])) is None


def test_blur_and_noise_are_other_faults():
    random = np.random.default_rng(0)
    half = REAL[random.permutation(len(REAL))]
    assert check(view(half[:400] + random.normal(0, 30, (400, 64)), half[400:])) is None
    assert check(view(half.mean(0) + 0.8 * (half[:400] - half.mean(0)), half[400:])) is None


def test_what_cannot_be_judged():
    assert check(View()) is None
    assert variety_of(REAL[:5], REAL) == {} and variety_of(REAL[:50], np.zeros((50, 64))) == {}
    assert variety_of(np.full((50, 64), np.nan), REAL) == {}
    held = view(np.repeat(REAL[:1], 300, 0), history=[{"step": 3}], parts={"train": np.arange(1200)})
    assert check(held) is None  # 96 of 1,200 pictures were seen: every forger's first ones are alike


def test_too_large_a_step_in_a_run(tmp_path):
    one = found(tmp_path, 60, lr=0.5)["mode-collapse"]
    assert one.severity == "problem"
    assert [remedy.changes for remedy in one.remedies] == [{"lr": 1e-3}, {"lr": 0.05}, {"batch_size": 64}]


def test_hardly_any_noise_in_a_run(tmp_path):
    one = found(tmp_path, 60, latent=1)["mode-collapse"]
    assert one.severity == "problem" and one.remedies[0].changes == {"latent": 64}


def test_a_forger_of_ones_own_that_does_not_hear_the_noise(tmp_path):
    gan = systems.load("gan")
    own = types.ModuleType("deaf")
    vars(own).update({name: value for name, value in vars(gan).items() if not name.startswith("__")})

    class Net(gan.Net):
        def generate(self, count, generator):
            return super().generate(count, generator)[:1].expand(count, -1, -1, -1)

    own.Net = Net  # type: ignore[attr-defined]
    assert found(tmp_path, 40, system=own)["mode-collapse"].severity == "problem"


@pytest.mark.parametrize("options", [{}, {"latent": 16}, {"lr": 3e-3}])
def test_sound_runs_are_left_alone(tmp_path, options):
    assert "mode-collapse" not in found(tmp_path, 60, **options)


def test_a_run_that_has_hardly_begun_is_left_alone(tmp_path):
    assert "mode-collapse" not in found(tmp_path, 5)


def test_steps_that_are_too_short_to_have_left_the_beginning():
    """That is a step size that is too small, and no collapse."""
    visits = [{"step": 3, "parameters": {"forger.a": {"update": 1e-5, "weight": 0.1}}}, {"step": 9, "failed": "x"}]
    made = np.repeat(REAL[:1], 300, 0)
    assert check(view(made, visits=visits)) is None
    visits[0]["parameters"]["forger.a"]["update"] = 1e-3
    assert check(view(made, visits=visits))
