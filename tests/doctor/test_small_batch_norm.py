"""Batch norm is named where its batches are too small."""

from torch import nn
from trained import blobs, found_in, look, view

from gipi.doctor.checks.small_batch_norm import check


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def test_two_rows(tmp_path):
    found = found_in(tmp_path, blobs(200), model=network(), batch_size=2, epochs=2)
    assert next(iter(found)) == "small-batch-norm" and found["small-batch-norm"].severity == "problem"
    assert found["small-batch-norm"].remedies[0].changes == {"batch_size": 32}
    few = found_in(tmp_path / "few", blobs(200), system="mlp", norm="batch", batch_size=4, epochs=2)
    assert few["small-batch-norm"].severity == "warning"
    assert few["small-batch-norm"].remedies[1].changes == {"norm": "layer"}


def test_sound_runs(tmp_path):
    assert "small-batch-norm" not in found_in(tmp_path / "own", blobs(200), model=network(), epochs=2)
    assert "small-batch-norm" not in found_in(tmp_path / "none", blobs(200), system="mlp", batch_size=2, epochs=2)


def test_what_it_takes():
    def looks(rows, values):
        return [look(3, norms={"norm": {"rows": rows, "values": values}})]

    assert check(view(visits=looks(2, 128))).severity == "warning"  # type: ignore[union-attr]  # pictures have places
    assert check(view(visits=looks(8, 8))) is None and check(view(visits=[look(3)])) is None and check(view()) is None
