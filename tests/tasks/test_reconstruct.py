"""Compress and denoise: the classical ways beside scikit-learn's and slow ones, the noise, the verdict."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from gipi.data.schema import Field, Schema
from gipi.tasks import compress, denoise, pictures, scored
from gipi.tasks.intervals import Metric

SCHEMA = Schema((Field("picture", "picture", (1, 8, 8), center=80.0, scale=90.0),))


def digits(rows=400):
    return (load_digits().images[:rows] * 15.9).astype(np.uint8)[:, :, :, None]


@pytest.mark.parametrize("wide", [2000, 10])
def test_principal_components_are_scikit_learns(wide, monkeypatch):
    """By the covariance, and (of many columns) by the randomised search."""
    monkeypatch.setattr(compress, "WIDE", wide)
    train, test = digits()[:300], digits()[300:]
    pca, mean = compress.rivals(train, test, 6)
    theirs = PCA(6).fit(train.reshape(300, -1).astype(float))
    made = theirs.inverse_transform(theirs.transform(test.reshape(100, -1))).reshape(test.shape)
    expected = pictures.scores(made.round().clip(0, 255).astype(np.uint8), test)
    assert pca.scores is not None and mean.scores is not None
    for name in pictures.NAMES:
        assert pca.scores[name] == pytest.approx(expected[name], abs=0.03 if wide == 10 else 1e-4)
    flat = np.broadcast_to(train.mean(0).round().astype(np.uint8), test.shape)
    assert mean.scores["mse"] == pytest.approx(pictures.mse(flat, test), abs=1e-4)
    assert pca.scores["mse"].mean() < mean.scores["mse"].mean()
    assert pca.title == "6 principal components"


def test_no_more_components_than_pictures():
    (pca, _mean) = compress.rivals(digits(5), digits(), 32)
    assert pca.title == "5 principal components"


def test_filters_are_the_slow_ones_and_the_best_is_chosen_on_training_pictures():
    clean = torch.from_numpy(digits().transpose(0, 3, 1, 2).copy())
    noisy = pictures.as_bytes(denoise.noisy(clean, range(400), 0.3, SCHEMA, 0), SCHEMA)
    truth = digits()
    rivals = denoise.rivals((noisy[:200], truth[:200]), (noisy[200:], truth[200:]))
    found = {one.name: one.scores or {} for one in rivals}
    settings = {one.name: one.settings for one in rivals}
    assert found["untouched"]["mse"] == pytest.approx(pictures.mse(noisy[200:], truth[200:]))
    slow = []
    for side in (3, 5):
        reach = side // 2
        padded = np.pad(noisy, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        windows = [padded[:, i : i + 8, j : j + 8] for i in range(side) for j in range(side)]
        slow.append(pictures.psnr(np.median(np.stack(windows), 0).astype(np.uint8), truth))
    best = int(np.argmax([one[:200].mean() for one in slow]))
    assert found["median"]["psnr"] == pytest.approx(slow[best][200:])
    assert f"{(3, 5)[best]} x {(3, 5)[best]}" in settings["median"]
    tried = {
        s: pictures.psnr(np.stack([ndimage.gaussian_filter(p[:, :, 0], s)[:, :, None] for p in noisy]), truth)
        for s in denoise.SPREADS
    }
    best = max(tried, key=lambda s: tried[s][:200].mean())
    assert found["gaussian"]["psnr"] == pytest.approx(tried[best][200:])
    assert str(best) in settings["gaussian"]


def test_a_row_keeps_its_noise():
    x = torch.full((4, 1, 8, 8), 100, dtype=torch.uint8)
    whole = denoise.noisy(x, range(4), 0.1, SCHEMA, 0)
    assert torch.equal(denoise.noisy(x[:2], [3, 1], 0.1, SCHEMA, 0), whole[[3, 1]])
    assert not torch.equal(denoise.noisy(x, range(4), 0.1, SCHEMA, 1), whole)
    assert (whole - 100).std().item() == pytest.approx(25.5, rel=0.15)


def test_answers_are_the_code_and_the_picture():
    picture = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    (said,) = compress.decode(torch.cat([torch.tensor([[1.5, -2.0]]), picture.flatten(1)], 1), None, SCHEMA)
    assert said["code"] == [1.5, -2.0]
    assert np.array_equal(said["picture"], pictures.decode(picture, SCHEMA)[0])
    assert np.array_equal(denoise.decode(picture, None, SCHEMA)[0]["picture"], said["picture"])


def test_the_verdict_is_by_pairs():
    """A small steady lead is seen where the intervals of both overlap; its interval is that of the differences."""
    random = np.random.default_rng(0)
    theirs = random.normal(20, 5, 300)
    lead = random.normal(0.2, 0.5, 300)
    rivals = [
        scored.Rival("far", "one that is far", {"psnr": theirs - 3}),
        scored.Rival("near", "one that is near", {"psnr": theirs}),
        scored.Rival("gone", "left out", None, settings="no time"),
    ]
    verdict = scored.judge_scores("net", {"psnr": theirs + lead}, 5.0, rivals, "psnr")
    assert (verdict.winner, verdict.rival, verdict.worth_it) == ("net", "near", True)
    assert "one that is near" in verdict.sentence
    spread = lead.std() / np.sqrt(300)
    gap = verdict.difference
    assert gap is not None and gap.low is not None and gap.high is not None
    assert float(gap) == pytest.approx(lead.mean())
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * spread, rel=0.1)
    ours, near = verdict.models[0].figure, verdict.models[2].figure
    assert isinstance(ours, Metric) and isinstance(near, Metric) and ours.low is not None and ours.high is not None
    assert ours.low < near < ours.high
    assert verdict.models[3].figure is None
    errors = {"mse": np.abs(theirs)}
    lost = scored.judge_scores("net", {"mse": errors["mse"] + 1}, 5.0, [scored.Rival("pca", "pca", errors)], "mse")
    assert (lost.winner, lost.worth_it) == ("pca", False) and "Not worth it" in lost.sentence
