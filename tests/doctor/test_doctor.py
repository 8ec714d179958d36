"""Each check finds what it is for, and stays quiet where nothing is wrong."""

import numpy as np

import gipi
from gipi.doctor import View, examine

PARTS = {"train": np.arange(60), "valid": np.arange(60, 80), "test": np.arange(80, 100)}


def healthy(**changes):
    random = np.random.default_rng(0)
    parts = {
        "x": random.normal(size=(100, 3)).astype(np.float32),
        "y": np.arange(100) % 2,
        "parts": PARTS,
        "target_kind": "class",
        "labels": ("a", "b"),
    }
    return View(**{**parts, **changes})


def names(view):
    return [finding.name for finding in examine(view) if finding.name != "too-little-data"]  # 20 test rows are few


def test_nothing_is_found_where_nothing_is_wrong():
    assert names(healthy()) == []


def test_copies_of_test_rows_in_training():
    x = np.array(healthy().x)
    x[80:90] = x[:10]
    (finding,) = [f for f in examine(healthy(x=x)) if f.name == "duplicate-rows"]
    assert finding.evidence["copies"] == 10
    assert finding.severity == "problem"


def test_equal_rows_with_different_labels():
    x = np.array(healthy().x)
    x[1] = x[0]
    (finding,) = [f for f in examine(healthy(x=x)) if f.name == "contradictory-labels"]
    assert finding.evidence["rows"] == 2


def test_rare_classes():
    y = np.zeros(100, int)
    y[:3] = 1
    (finding,) = [f for f in examine(healthy(y=y)) if f.name == "class-imbalance"]
    assert finding.evidence["rarest"] == "b"


def test_overfitting_and_divergence():
    def look(epoch, train, valid):
        return {"epoch": epoch, "train": {"learner": train}, "valid": {"loss": valid}}

    history = [look(n, 1 / n, 0.5 + abs(n - 4) * 0.1) for n in range(1, 20)]
    assert names(healthy(history=history)) == ["overfitting"]
    fine = [look(n, 1 / n, 1 / n) for n in range(1, 20)]
    assert names(healthy(history=fine)) == []
    assert names(healthy(error="the loss is nan")) == ["step-too-large", "divergence"]


def test_a_run_keeps_its_findings(tmp_path):
    random = np.random.default_rng(1)
    x = np.tile(random.normal(size=(60, 2)), (2, 1))
    y = np.tile(random.integers(0, 2, 60), 2)
    run = gipi.fit((x, y), system="linear", run=tmp_path / "run", quiet=True, verdict=False)
    found = run.doctor()
    assert found[0].name in ("duplicate-rows", "contradictory-labels")
    assert found[0].severity == "problem"
    assert found[0].remedies
    off = gipi.fit((x, y), system="linear", run=tmp_path / "off", quiet=True, verdict=False, doctor=False)
    assert off.doctor() == []
    assert off.metrics == run.metrics
