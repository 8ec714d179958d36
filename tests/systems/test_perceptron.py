"""The perceptron separates what planes can separate, to the last row, and says so where they cannot."""

import numpy as np
import polars as pl
import torch

import gipi
from gipi.data.schema import Sizes
from gipi.systems.perceptron import Config, Net, players


def test_it_separates_iris_setosa_exactly(tmp_path):
    run = gipi.fit("iris", system="perceptron", positive="setosa", run=tmp_path / "run", quiet=True, verdict=False)
    assert run.metrics["accuracy"] == 1.0
    assert any("without a mistake" in note for note in run.notes)
    assert run.record["stopped"] == ["zero-loss"]


def test_it_says_so_where_no_plane_separates(tmp_path):
    random = np.random.default_rng(0)
    a, b = random.uniform(-1, 1, (2, 200))
    frame = pl.DataFrame({"a": a, "b": b, "same": np.where(a * b > 0, "yes", "no")})
    run = gipi.fit(
        frame, target="same", system="perceptron", epochs=20, run=tmp_path / "run", quiet=True, verdict=False
    )
    assert any("wrong side" in note for note in run.notes)


def test_its_rule_is_rosenblatts():
    """Against the rule written for one row at a time in plain Python."""
    random = np.random.default_rng(1)
    x = random.normal(size=(60, 3)).astype(np.float32)
    y = random.integers(0, 3, 60)
    net = Net(Sizes((3,), 3), Config())
    (player,) = players(net, Config(), None, None).values()
    weights, biases = np.zeros((3, 3)), np.zeros(3)
    for step, (row, label) in enumerate(zip(x, y, strict=True)):
        mistakes = player.play((torch.from_numpy(row[None]), torch.tensor([label])), step)
        scores = weights @ row + biases
        rivals = [k for k in range(3) if k != label]
        taken = max(rivals, key=lambda k: scores[k])
        is_wrong = scores[taken] >= scores[label]
        assert float(mistakes) == is_wrong
        if is_wrong:
            weights[label] += row
            biases[label] += 1
            weights[taken] -= row
            biases[taken] -= 1
    np.testing.assert_allclose(net.line.weight, weights, atol=1e-4)
    np.testing.assert_allclose(net.line.bias, biases)
