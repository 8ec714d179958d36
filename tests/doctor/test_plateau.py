"""A loss that has not moved for half of the training is said; one that still falls, or is near zero, is not."""

import warnings
from dataclasses import replace

import numpy as np
import torch
from trained import curve, found_in, layer, look, view

import gipi
from gipi.doctor.checks.plateau import check
from gipi.doctor.checks.underfitting import check as underfitting


def test_what_cannot_be_learned_better(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3)).astype(np.float32)
    y = (draw.random(600) < 0.5 + 0.35 * np.sign(x[:, 0])).astype(int)
    found = found_in(tmp_path, (x, y), system="mlp", hidden=(8,), epochs=40, patience=0, optimizer="sgd", lr=0.05)
    assert found["plateau"].severity == "note"
    assert {"schedule": "cosine"} in [remedy.changes for remedy in found["plateau"].remedies]


def test_what_it_takes():
    found = check(view(curve=curve(0.7, 0.4, 0.4, 0.4)))
    assert found and found.remedies[2].changes == {"epochs": 5}
    assert check(view(curve=curve(0.7, 0.6, 0.5, 0.4, 0.3))) is None
    assert check(view(curve=curve(0.7, 0.01, 0.01, 0.01))) is None  # near zero
    assert check(view(curve=curve(0.7, 0.7, 0.7, 0.7))) is None  # has learned nothing: underfitting
    assert check(view(curve=curve(0.7, 0.4, 0.4, 0.4), task="act")) is None
    assert check(view()) is None and check(view(curve={"learner": np.empty((0, 3))})) is None


def falling(factor: float, steps: int = 80) -> np.ndarray:
    return np.stack([np.arange(steps), 0.01 * factor ** np.arange(steps)], 1)


def test_a_step_size_that_falls_too_soon():
    found = check(view(curve=curve(0.7, 0.69, 0.69, 0.69), step_sizes=falling(0.8)))
    assert found and found.severity == "problem" and 15 < found.evidence["stopped_at"] < 25
    assert underfitting(view(curve=curve(0.7, 0.69, 0.69, 0.69), step_sizes=falling(0.8))) is None
    found = check(view(curve=curve(0.7, 0.4, 0.4, 0.4), step_sizes=falling(0.8)))
    assert found and found.severity == "warning"
    assert check(view(curve=curve(0.7, 0.6, 0.5, 0.4, 0.3), step_sizes=falling(0.99))) is None
    assert check(view(curve=curve(0.7, 0.69, 0.69, 0.69), step_sizes=falling(0.99))) is None
    reduced = np.stack([np.arange(600), np.where(np.arange(600) < 250, 0.01, 1e-5)], 1)
    settled = curve(0.7, *[0.4] * 29)  # long after the loss had stopped to fall
    assert check(view(curve=settled, step_sizes=reduced)).severity == "note"  # type: ignore[union-attr]
    history = [{"step": step, "step_size": size, "train": {}} for step, size in falling(0.8)[::4].tolist()]
    assert check(view(curve=curve(0.7, 0.69, 0.69, 0.69), history=history)).severity == "problem"  # type: ignore[union-attr]


def test_at_chance_though_rows_are_learned_by_heart():
    learned = {"memorised": {"expected": 0.69, "floor": 0.0, "last": 0.1, "sizes": [[1, 2, 3]]}}
    looks = [look(step, 1e-2, layers={"1": layer("relu")}) for step in (3, 40, 79)]
    known = {"curve": curve(0.7, 0.69, 0.69, 0.69), "probes": learned, "visits": looks}
    assert check(view(**known)).severity == "note" and underfitting(view(**known)) is None  # type: ignore[union-attr]
    small = {"memorised": {**learned["memorised"], "last": 0.6}}
    straight = [look(step, 1e-2) for step in (3, 40, 79)]
    resting = [{**one, "layers": looks[0]["layers"]} for one in (look(3, 1e-5), look(79, 1e-5))]
    for change in ({"probes": small}, {"visits": straight}, {"visits": resting}, {"probes": {}}):
        changed = view(**{**known, **change})
        assert check(changed) is None and underfitting(changed)
    held = view(**known)
    held = replace(held, options={**held.options, "dropout": 0.9})
    assert check(held) is None and underfitting(held)


def test_a_loop_whose_schedule_counts_batches():
    torch.manual_seed(0)
    x = torch.randn(256, 10)
    y = (x[:, 0] > 0).long()

    def found(decay):
        net = torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
        optimizer = torch.optim.Adam(net.parameters(), 2e-3)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with gipi.doctor.watch(net, optimizer) as doctor:
                for step in range(120):
                    rows = slice(step % 8 * 32, step % 8 * 32 + 32)
                    loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                    doctor.loss(loss)
        return {one.name: one for one in doctor.findings()}

    assert found(0.8)["plateau"].evidence["stopped_at"] < 30
    assert "plateau" not in found(1.0)
