"""Rows learned by heart are told from a validation loss that goes up and down."""

import numpy as np
from trained import blobs, found_in, view

from gipi.doctor.checks.overfitting import check


def noise(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.normal(size=(rows, 20)).astype(np.float32), draw.integers(0, 2, rows)


def test_labels_that_are_noise_are_learned_by_heart(tmp_path):
    found = found_in(tmp_path / "best", noise(), system="mlp", dropout=0.0, epochs=60)
    assert found["overfitting"].severity == "note"  # the best weights are kept
    changes = [dict(remedy.changes) for remedy in found["overfitting"].remedies]
    assert changes == [{"dropout": 0.2}, {"weight_decay": 0.1}, {"hidden": [32, 32]}]
    last = found_in(tmp_path / "last", noise(), system="mlp", dropout=0.0, epochs=60, patience=0)["overfitting"]
    assert last.severity == "warning" and last.remedies[0].changes == {"patience": 20}


def test_a_sound_run(tmp_path):
    assert "overfitting" not in found_in(tmp_path, blobs(1200), system="linear", epochs=15)


def test_what_it_takes():
    def looks(valid, train):
        return [
            {"epoch": n, "train": {"learner": t}, "valid": {"loss": v}}
            for n, (v, t) in enumerate(zip(valid, train, strict=True))
        ]

    falling = np.linspace(1, 0.1, 12)
    rising = [0.7, 0.6, 0.5, *np.linspace(0.5, 0.9, 9)]
    assert check(view(history=looks(rising, falling)))
    assert check(view(history=looks(falling, falling))) is None
    assert check(view(history=looks(rising, falling[::-1]))) is None  # training gets worse too: no overfitting
    assert check(view(history=looks(rising[:6], falling[:6]))) is None  # too early to say
    assert (
        check(view(history=[{"epoch": 1, "train": {"forger": 1.0, "inspector": 1.0}, "valid": {"loss": 1.0}}])) is None
    )
