"""Clusters: k-means, silhouettes and the adjusted Rand index against scikit-learn's; the autoencoder beside them."""

import datetime
import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import cluster as oracle
from sklearn import metrics
from sklearn.datasets import load_digits, load_iris, load_wine

from gipi.algorithms.schedules import schedule
from gipi.data.schema import Sizes
from gipi.data.stream import Stream
from gipi.errors import DataError, UsageError
from gipi.systems import autoencoder
from gipi.tasks import cluster
from gipi.training.loop import fit


def standardized(load):
    x = load().data
    return (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)


def blobs(rows=150, seed=0):
    random = np.random.default_rng(seed)
    truth = np.arange(rows) % 3
    return np.array([[0, 0], [6, 0], [0, 6]])[truth] + random.normal(size=(rows, 2)), truth


@pytest.mark.parametrize(("load", "k"), [(load_iris, 3), (load_wine, 3), (load_digits, 10)])
def test_kmeans_is_as_good_as_scikit_learns(load, k):
    x = standardized(load)
    centers, assignments, inertia = cluster.kmeans(x, k)
    expected = oracle.KMeans(k, n_init=10, random_state=0).fit(x)
    assert inertia <= expected.inertia_ * 1.01
    assert inertia == pytest.approx(((x - centers[assignments]) ** 2).sum())
    assert (cluster.nearest(x, centers) == assignments).all() and len(np.unique(assignments)) == k
    again = cluster.kmeans(x, k)
    assert (again[1] == assignments).all() and again[2] == inertia


def test_a_step_of_kmeans_is_lloyds():
    x = standardized(load_iris)
    centers, assignments, _ = cluster.kmeans(x, 4)
    expected = oracle.KMeans(4, init=centers, n_init=1, max_iter=1).fit(x)
    assert np.allclose(expected.cluster_centers_, centers) and (expected.labels_ == assignments).all()


def test_many_equal_rows():
    x = np.repeat([[0.0, 0], [1, 1], [5, 5]], [50, 1, 1], axis=0)
    _, assignments, inertia = cluster.kmeans(x, 3)
    assert inertia == pytest.approx(0, abs=1e-20) and len(np.unique(assignments)) == 3
    assert cluster.kmeans(x[:4], 4)[2] == 0  # more centers than different rows


def test_an_empty_cluster_takes_the_furthest_row():
    x = np.array([[0.0], [1.0], [9.0]])
    assert cluster._centers(x, np.array([0, 0, 0]), 2).ravel().tolist() == [10 / 3, 9.0]


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_silhouettes_and_adjusted_rand_are_scikit_learns(load):
    x, y = standardized(load), load().target
    found = cluster.kmeans(x, 4)[1]
    found[found == 3] = 2
    found[0] = 3  # alone in its cluster
    assert cluster.silhouette(x, found) == pytest.approx(metrics.silhouette_score(x, found), rel=1e-9)
    assert cluster.adjusted_rand(found, y) == pytest.approx(metrics.adjusted_rand_score(found, y), rel=1e-9)
    assert cluster.adjusted_rand(y, 2 - y) == 1
    shuffled = np.random.default_rng(0).permutation(y)
    assert cluster.adjusted_rand(shuffled, y) == pytest.approx(metrics.adjusted_rand_score(shuffled, y), rel=1e-9)


def test_a_silhouette_of_many_rows_looks_at_a_sample():
    x, truth = blobs(3500)
    assert cluster.silhouette(x, truth) == pytest.approx(metrics.silhouette_score(x, truth), abs=0.01)
    assert cluster.silhouette(x, truth * 0) == 0


def test_it_finds_the_groups_that_are_there():
    x, truth = blobs()
    found = cluster.cluster(x, Sizes((2,), 0), code=x @ [[1.0, 2], [3, -1]])
    assert found.k == 3 and found.is_chosen and found.agreement > 0.9
    assert [view.name for view in found.views] == ["inputs", "code"]
    assert cluster.adjusted_rand(found.views[0].assignments, truth) > 0.95
    assert set(found.views[0].scores) == set(range(2, 9))
    assert found.metrics["silhouette"] == found.views[0].silhouette > 0.5
    assert "3 has the best silhouette of 2 to 8." in found.sentence and "find the same groups" in found.sentence
    assert cluster.cluster(x, Sizes((2,), 0), k=5).k == 5


def test_categories_count_and_are_described_in_words():
    random = np.random.default_rng(0)
    kind = np.arange(120) % 2
    size = random.normal(kind * 8, 1)
    born = [datetime.date(2000 + 10 * int(k), 1, 1) for k in kind]
    frame = pl.DataFrame({"size": 100 + size, "color": np.array(["red", "blue"])[kind], "born": born, "noise": 1})
    x = np.stack([(size - size.mean()) / size.std(), kind + 1.0], 1)
    found = cluster.cluster(x, Sizes((1,), 0, (2,)), frame=frame)
    assert found.k == 2 and found.views[0].sizes == [60, 60]
    traits = {trait.column: trait for trait in found.views[0].traits[0]}
    first = kind[found.views[0].assignments == 0][0]
    assert traits["color"].value == ("red", "blue")[first] and traits["color"].share == 1
    assert traits["color"].overall == 0.5 and "in 100 % (all: 50 %)" in str(traits["color"])
    assert traits["size"].value == pytest.approx(100 + size[kind == first].mean())
    assert str(traits["born"]).startswith(f"born {2000 + 10 * first}-01-01") and traits["noise"].apart == 0
    assert found.views[0].traits[0][-1].column == "noise"
    assert found.sentence.startswith("2 clusters of 60, 60 rows.")
    assert json.loads(json.dumps(found.json(), allow_nan=False))["agreement"] is None
    assert "color" in str(found) and "<th>cluster</th>" in found._repr_html_()


def test_what_cannot_be_grouped_is_said():
    with pytest.raises(DataError, match="at least three different rows; there are 2"):
        cluster.cluster(np.array([[0.0], [1], [1]]), Sizes((1,), 0))
    with pytest.raises(UsageError, match="2 to 4 clusters here, not 9"):
        cluster.cluster(np.arange(4.0)[:, None], Sizes((1,), 0), k=9)
    assert cluster.cluster(np.arange(3.0)[:, None], Sizes((1,), 0)).k == 2
    noise = np.random.default_rng(0).normal(size=(200, 12))
    assert "hardly form groups" in cluster.cluster(noise, Sizes((12,), 0)).sentence


def trained(x, sizes, config, steps=300):
    torch.manual_seed(0)
    net = autoencoder.Net(sizes, config)
    players = autoencoder.players(net, config, None, schedule("cosine", steps))
    stream = Stream((x,), batch_size=32, seed=0)
    losses = [values["learner"].item() for _, values in fit(players, stream, steps)]
    return net, losses


def test_the_autoencoder_beats_two_principal_components():
    x = torch.tensor(standardized(load_wine), dtype=torch.float32)
    config = autoencoder.Config(weight_decay=0.0, hidden=(32,))
    net, _ = trained(x, Sizes((13,), 0), config, 700)
    with torch.no_grad():
        error = autoencoder.reconstruction(net, x).item()
    U, S, V = torch.linalg.svd(x, full_matrices=False)
    linear = ((U[:, :2] * S[:2] @ V[:2] - x) ** 2).mean().item()
    assert error < 0.95 * linear
    codes = autoencoder.code(net, x, rows=50)
    assert codes.shape == (178, 2) and net.training
    found = cluster.cluster(x.numpy(), Sizes((13,), 0), codes.numpy(), k=3)
    assert cluster.adjusted_rand(found.views[0].assignments, load_wine().target) > 0.8
    assert cluster.adjusted_rand(found.views[1].assignments, load_wine().target) > 0.6


def test_the_autoencoder_rebuilds_categories_and_ignores_unseen_ones():
    random = np.random.default_rng(0)
    kind = random.integers(1, 4, 200)
    x = torch.tensor(np.stack([kind - 2.0, kind, 4 - kind], 1), dtype=torch.float32)
    net, losses = trained(x, Sizes((1,), 0, (3, 3)), autoencoder.Config(hidden=(16,)), 200)
    assert np.mean(losses[-20:]) < 0.1 < losses[0]
    made = net.rebuild(x)
    assert made.shape == (200, 7) and (made[:, 1:4].argmax(1) + 1 == x[:, 1]).all()
    unseen = x[:5].clone()
    unseen[:, 1:] = 0
    expected = ((net.rebuild(unseen)[:, 0] - unseen[:, 0]) ** 2).mean() / 3
    assert autoencoder.reconstruction(net, unseen).item() == pytest.approx(expected.item(), rel=1e-5)
    objective = autoencoder.players(net, autoencoder.Config(), None, lambda lr: lambda step: lr)["learner"].objective
    assert objective((x, None)) == autoencoder.reconstruction(net, x)
