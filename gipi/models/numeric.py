"""Numbers seen finely: each becomes a piecewise-linear code over the bins of its column, and then a few features.

Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022, section 3.2,
https://arxiv.org/abs/2203.05556; a learned embedding beside a linear one that begins alone, as in TabM (2024).
Ours differs: beyond the outermost edges the code goes on for one bin and no further, so no outlier gets out of hand;
and what the linear embedding sees is the mean of the code, the column's distribution function: it needs no scaling.

B rows, N numeric features, F of them with edges, T bins at most, E features that each becomes, K category columns,
V categories in all columns together
"""

import math

import torch
from torch import Tensor, nn

from gipi.data.schema import Sizes
from gipi.models.dense import Expand


class PiecewiseLinear(nn.Module):
    """`(B, F)` numbers to `(B, F, T)`: 1 for each bin that is passed, a share for the bin that it lies in, then 0.

    Args:
        edges: Of each column, ascending, two or more. A column with fewer bins than T has zeros behind them.

    Example:
        >>> PiecewiseLinear([(0.0, 1.0, 3.0, 4.0)])(torch.tensor([[2.0]]))
        tensor([[[1.0000, 0.5000, 0.0000]]])
    """

    starts: Tensor
    slopes: Tensor
    lowest: Tensor
    highest: Tensor
    bins: Tensor

    def __init__(self, edges: list[tuple[float, ...]]):
        super().__init__()
        counts = [len(column) - 1 for column in edges]
        starts = torch.zeros(len(edges), max(counts), dtype=torch.float64)  # (F, T)
        slopes, lowest, highest = torch.zeros_like(starts), torch.zeros_like(starts), torch.ones_like(starts)
        for row, (column, count) in enumerate(zip(edges, counts, strict=True)):
            ends = torch.tensor(column, dtype=torch.float64)
            starts[row, :count] = ends[:-1]
            slopes[row, :count] = 1 / ends.diff()
            lowest[row, 0] = -1
            highest[row, count - 1] = 2
        for name, tensor in (("starts", starts), ("slopes", slopes), ("lowest", lowest), ("highest", highest)):
            self.register_buffer(name, tensor.to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("bins", torch.tensor(counts, dtype=torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return ((x[:, :, None] - self.starts) * self.slopes).clamp(self.lowest, self.highest)  # (B, F, T)

    def rank(self, code: Tensor) -> Tensor:
        """The share of bins that a number has passed, `(B, F)`, centered and scaled as if evenly spread."""
        return (code.sum(-1) / self.bins * 2 - 1) * math.sqrt(3)


class Embedding(nn.Module):
    """The rows of a table as features: numbers with edges embedded, other numbers as they are, categories one-hot.

    `(B, N + K)` to `(B, F E + (N - F) + V)`.

    Args:
        sizes: Its `edges` say which numbers have bins.
        width: E.

    Attributes:
        outputs: How many features come out.
        chunks: How many of them, one after another, come from the same column.
    """

    seen: Tensor
    plain: Tensor

    def __init__(self, sizes: Sizes, width: int):
        super().__init__()
        self.expand = Expand(sizes)
        edges = sizes.edges or ((),) * sizes.input[0]
        seen = [place for place, column in enumerate(edges) if column]
        plain = [place for place in range(self.expand.outputs) if place not in set(seen)]
        self.register_buffer("seen", torch.tensor(seen, dtype=torch.int64), persistent=False)
        self.register_buffer("plain", torch.tensor(plain, dtype=torch.int64), persistent=False)
        self.chunks = [width] * len(seen) + [1] * (len(edges) - len(seen)) + list(sizes.categories)
        self.outputs = sum(self.chunks)
        self.code = PiecewiseLinear([edges[place] for place in seen]) if seen else None
        if self.code is not None:
            reach = width**-0.5
            self.slope = nn.Parameter(torch.empty(len(seen), width).uniform_(-reach, reach))
            self.bias = nn.Parameter(torch.empty(len(seen), width).uniform_(-reach, reach))
            self.weight = nn.Parameter(torch.zeros(len(seen), self.code.starts.shape[1], width))  # (F, T, E)

    def forward(self, x: Tensor) -> Tensor:
        x = self.expand(x)  # (B, N + V)
        if self.code is None:
            return x
        code = self.code(x[:, self.seen])  # (B, F, T)
        line = torch.addcmul(self.bias, self.code.rank(code)[:, :, None], self.slope)  # (B, F, E)
        bent = torch.einsum("bft,fte->bfe", code, self.weight)
        return torch.cat([(line + bent).flatten(1), x[:, self.plain]], 1)
