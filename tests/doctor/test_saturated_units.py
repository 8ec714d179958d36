"""Sigmoids and tanhs at their flat ends are found in hidden layers; an output may be as sure as it likes."""

import numpy as np
from torch import nn
from trained import blobs, curve, deep, found_in, layer, look, view

from gipi.doctor.checks.saturated_units import check


def test_weights_that_are_too_large(tmp_path):
    found = found_in(tmp_path, blobs(), model=deep(2, 64, nn.Sigmoid, times=60.0))
    assert next(iter(found)) == "saturated-units" and found["saturated-units"].severity == "problem"


def test_inputs_that_are_too_large(tmp_path):
    x, y = blobs()
    found = found_in(tmp_path, (1000 * x, y), system="mlp", activation="tanh", scale="none")
    assert found["saturated-units"].remedies[0].changes == {"scale": "standard"}


def test_sound_networks(tmp_path):
    assert "saturated-units" not in found_in(tmp_path / "tanh", blobs(), system="mlp", activation="tanh")
    assert "saturated-units" not in found_in(tmp_path / "own", blobs(), model=deep(3, 64, nn.Sigmoid))
    pictures = np.where(np.random.default_rng(0).random((40, 1, 8, 8)) < 0.5, 0, 255).astype(np.uint8)
    assert "saturated-units" not in found_in(tmp_path / "ae", pictures, system="autoencoder", task="compress", epochs=2)


def test_what_it_takes():
    def looks(saturated, **what):
        return [look(step, layers={"1": layer(**{"kind": "tanh", "saturated": saturated, **what})}) for step in (3, 9)]

    assert check(view(visits=looks(0.95), curve=curve(0.7, 0.7))).severity == "problem"  # type: ignore[union-attr]
    assert check(view(visits=looks(0.95), curve=curve(0.7, 0.1, 0.1))).severity == "warning"  # type: ignore[union-attr]
    assert check(view(visits=looks(0.5))) is None
    assert check(view(visits=looks(0.95, last=True))) is None
    assert check(view(visits=looks(0.95, kind="other"))) is None
