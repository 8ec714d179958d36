"""Numbers through bins: the code against NumPy, its rank, and the embedding of a table's columns."""

import numpy as np
import pytest
import torch

from gipi.data.edges import edges_of
from gipi.data.schema import Sizes
from gipi.models.numeric import Embedding, PiecewiseLinear

EDGES = [(-2.0, -1.0, 0.5, 0.75, 3.0), (0.0, 1.0), (-1.5, 2.0, 2.5)]


def by_hand(value: float, edges: tuple[float, ...], length: int) -> list[float]:
    """Equation 1 of Gorishniy 2022, with its open ends closed one bin further out."""
    code = []
    last = len(edges) - 2
    for place in range(last + 1):
        share = (value - edges[place]) / (edges[place + 1] - edges[place])
        below = -1.0 if place == 0 else 0.0
        above = 2.0 if place == last else 1.0
        code.append(min(max(share, below), above))
    return code + [0.0] * (length - len(code))


def test_code_equals_the_papers_equation_inside_and_beyond_the_edges():
    draw = np.random.default_rng(0)
    x = np.concatenate([draw.normal(0, 2, (40, 3)), [[-2, 0, -1.5], [0.5, 1, 2], [3, 0.5, 2.5], [-99, 99, 1e6]]])
    expected = [[by_hand(v, e, 4) for v, e in zip(row, EDGES, strict=True)] for row in x.tolist()]
    code = PiecewiseLinear(EDGES, width=1).double().code(torch.from_numpy(x))
    np.testing.assert_allclose(code.numpy(), expected, rtol=0, atol=1e-6)
    assert code.min() == -1 and code.max() == 2


def test_rank_is_the_distribution_function():
    """Of a skewed column whose bins hold equally many rows the rank is evenly spread: mean 0, variance 1."""
    numbers = np.random.default_rng(0).exponential(size=5000) ** 3
    edges = edges_of(numbers, 48)
    layer = PiecewiseLinear([edges], width=1)
    x = torch.from_numpy(numbers).float()[:, None]
    rank = layer.rank(layer.code(x))[:, 0]
    assert rank.mean().item() == pytest.approx(0, abs=0.01)
    assert rank.var().item() == pytest.approx(1, abs=0.01)
    order = x[:, 0].argsort()
    assert (rank[order].diff() >= 0).all()


def test_embedding_puts_numbers_flags_and_categories_side_by_side():
    sizes = Sizes((3,), 1, (2,), edges=(EDGES[0], (), EDGES[2]))
    embedding = Embedding(sizes, width=2)
    assert embedding.chunks == [2, 2, 1, 2] and embedding.outputs == 7
    with torch.no_grad():
        embedding.numbers.weight.normal_()
    x = torch.tensor([[0.6, 1.0, -4.0, 2.0], [-5.0, 0.0, 2.2, 0.0]])
    got = embedding(x)
    rows, numbers = [], embedding.numbers
    for row in x.tolist():
        features = []
        for place, column in enumerate((0, 2)):
            code = torch.tensor(by_hand(row[column], EDGES[column], 4))
            rank = (code.sum() / (len(EDGES[column]) - 1) * 2 - 1) * 3**0.5
            features += (rank * numbers.slope[place] + numbers.bias[place] + code @ numbers.weight[place]).tolist()
        rows.append([*features, row[1], float(row[3] == 1), float(row[3] == 2)])
    torch.testing.assert_close(got, torch.tensor(rows))


def test_without_edges_it_is_the_plain_entry():
    embedding = Embedding(Sizes((2,), 1, (3,)), width=4)
    assert not list(embedding.parameters()) and embedding.chunks == [1, 1, 3]
    assert embedding(torch.tensor([[0.5, -1.0, 2.0]])).tolist() == [[0.5, -1.0, 0.0, 1.0, 0.0]]
