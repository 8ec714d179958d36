"""The multi-layer perceptron and the convolutional network learn the digits; bench/figures.py has the full figures."""

import pytest

import gipi


def test_a_small_mlp_learns_the_digits(tmp_path):
    run = gipi.fit("digits", system="mlp", epochs=12, run=tmp_path / "run", quiet=True, verdict=False)
    assert run.metrics["accuracy"] > 0.95
    assert run.metrics["accuracy"].low < run.metrics["accuracy"] < run.metrics["accuracy"].high


def test_a_small_convnet_learns_the_digits(tmp_path):
    run = gipi.fit("digits", width=8, epochs=8, threads=1, run=tmp_path / "run", quiet=True, verdict=False)
    assert run.record["system"] == "convnet"
    assert run.metrics["accuracy"] > 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("system", "figure"), [("mlp", 0.975), ("convnet", 0.99)])
def test_the_digits_figures(tmp_path, system, figure):
    """The figures of the catalogue: the mean over seeds 0-4."""
    found = []
    for seed in range(5):
        run = gipi.fit("digits", system=system, seed=seed, run=tmp_path / str(seed), quiet=True, verdict=False)
        found.append(run.metrics["accuracy"])
    assert sum(found) / 5 >= figure


@pytest.mark.slow
def test_fashion_mnist(tmp_path, shared_data):
    """In about five minutes of one core's time."""
    how = {"optimizer": "muon", "augment": ("flip",), "batch_size": 128, "epochs": 9}
    run = gipi.fit("fashion-mnist", **how, run=tmp_path / "run", quiet=True, verdict=False)
    assert run.metrics["accuracy"] >= 0.925
