"""The bench of the doctor: its cases are enough and name every finding, and its table says what came of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gipi.doctor import ORDER

HERE = Path(__file__).parent.parent / "bench" / "doctor"
SABOTAGED, HEALTHY = 60, 40  # cases at least: issue 8, point 5


@pytest.fixture
def bench(monkeypatch):
    """The modules of bench/doctor: files beside each other, no package."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(HERE))
    import case
    import cases
    import run
    import summary

    yield case, cases, run, summary
    own = {path.stem for path in HERE.glob("*.py")}
    for name in own & (set(sys.modules) - before):
        del sys.modules[name]


def test_cases_are_enough_and_name_every_finding(bench):
    case, cases, _run, _summary = bench
    broken, sound = case.fixed_cases(cases.SABOTAGED, 0), case.fixed_cases(cases.HEALTHY, 0)
    assert len(broken) >= SABOTAGED and len(sound) >= HEALTHY
    assert all(one.faults for one in broken) and not any(one.faults for one in sound)
    assert {one.faults[0] for one in broken} == set(ORDER)
    assert {name for one in broken for name in one.faults} == set(ORDER)
    every = [one.name for one in [*broken, *sound]]
    assert len(set(every)) == len(every)


def test_unseen_cases_are_others_each_time(bench):
    case, cases, _run, _summary = bench
    one, same, other = (case.unseen_cases(cases.SABOTAGED, seed) for seed in (1, 1, 2))
    assert len(one) >= SABOTAGED
    assert [(c.name, c.seed, c.knobs) for c in one] == [(c.name, c.seed, c.knobs) for c in same]
    assert [c.seed for c in one] != [c.seed for c in other]
    assert [c.knobs for c in one] != [c.knobs for c in other]
    for unseen in one:
        unseen.work(unseen.seed)  # its family knows each knob, and makes something of it


def test_a_spoiled_run_and_a_sound_one(bench):
    case, cases, run, _summary = bench
    by_name = {one.name: one for one in case.fixed_cases([*cases.SABOTAGED, *cases.HEALTHY], 0)}
    spoiled = run.carried_out(by_name["duplicate-rows-1"], with_remedy=False)
    assert spoiled["findings"][0]["name"] == "duplicate-rows" and "broke" not in spoiled
    sound = run.carried_out(by_name["iris-1"], with_remedy=False)
    assert "broke" not in sound and not [one for one in sound["findings"] if one["severity"] == "problem"]
    assert sound["figure"] > 0.9
    assert json.loads(json.dumps(sound)) == sound


def test_what_diverges_has_findings_too(bench):
    case, cases, run, _summary = bench
    by_name = {one.name: one for one in case.fixed_cases(cases.SABOTAGED, 0)}
    held = run.carried_out(by_name["divergence-1"], with_remedy=False)
    assert "divergence" in [one["name"] for one in held["findings"]] and "diverged" in held["failed"]


def test_the_table_counts_places_alarms_and_remedies(bench):
    *_others, summary = bench

    def held(name, faults, *findings, **more):
        told = [{"name": one, "severity": severity} for one, severity in findings]
        return {"case": name, "faults": faults, "findings": told, **more}

    helped = {"changes": {"lr": 1}, "is_better": True, "is_clear": False}
    runs = [
        held("a-1", ["plateau"], ("plateau", "warning"), remedy=helped),
        held("a-2", ["plateau"], ("overfitting", "note"), ("plateau", "note"), remedy=helped),
        held("b-1", ["divergence", "step-too-large"], ("step-too-large", "problem")),
        held("c-1", ["repetition"], broke="ValueError: no"),
        held("h-1", [], ("overfitting", "note")),
        held("h-2", [], ("target-leak", "problem")),
    ]
    found = summary.summary(runs)
    assert (found["first"]["hits"], found["first two"]["hits"], found["first"]["of"]) == (2, 3, 4)
    assert (found["false alarms"]["hits"], found["false alarms"]["of"]) == (1, 2)
    assert (found["improved"]["hits"], found["improved"]["of"]) == (1, 1)  # of those whose fault was named first
    assert found["improved beyond its interval"]["hits"] == 0 and not found["improved, fault of code"]["of"]
    assert found["names"]["plateau"]["instead"] == {"overfitting": 1}
    assert found["names"]["repetition"]["instead"] == {"nothing": 1}
    assert found["first"]["low"] < 0.5 < found["first"]["high"]
    text = "\n".join(summary.lines(runs))
    assert "4 sabotaged runs, 2 healthy ones" in text and "target-leak" in text and "ValueError: no" in text


def test_help():
    done = subprocess.run([sys.executable, HERE / "run.py", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--unseen" in done.stdout, done.stderr
