"""A loss that falls beside an accuracy that does not is said; a metric that rises a little is enough."""

import numpy as np
from trained import blobs, found_in, view

from gipi.doctor.checks.loss_without_metric import check


def test_only_the_frequencies_are_learned(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(1500, 6)).astype(np.float32)
    y = (draw.random(1500) < 0.03 + 0.04 * (x[:, 0] > 0)).astype(int)
    found = found_in(tmp_path, (x, y), system="mlp", epochs=8)
    assert found["loss-without-metric"].remedies[0].changes == {"class_weight": "balanced"}


def test_rare_classes_that_are_learned(tmp_path):
    x, y = blobs(1500, classes=2)
    keep = (y == 0) | (np.arange(1500) % 15 == 0)
    assert "loss-without-metric" not in found_in(tmp_path, (x[keep], y[keep]), system="mlp", epochs=8)


def test_what_it_takes():
    def looks(losses, right):
        return [
            {"epoch": n, "train": {"learner": loss}, "valid": {"loss": loss, "accuracy": one}}
            for n, (loss, one) in enumerate(zip(losses, right, strict=True))
        ]

    falling = [0.7, 0.5, 0.3, 0.2, 0.19]
    rare = {"y": (np.arange(80) % 20 == 0).astype(int)}
    assert check(view(**rare, history=looks(falling, [0.95] * 5)))
    assert check(view(**rare, history=looks(falling, [0.95, 0.95, 0.96, 0.97, 0.98]))) is None
    assert check(view(**rare, history=looks([0.7] * 5, [0.95] * 5))) is None  # the loss does not fall either
    assert check(view(**rare, history=looks(falling[:2], [0.95] * 2))) is None
    assert check(view(y=np.zeros(80, int), labels=(0,), history=looks(falling, [1.0] * 5))) is None  # one class
    assert check(view(history=looks([float("nan")] * 5, [0.5] * 5))) is None
