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
    """Numbers `(B, F)` to features `(B, F, E)`: a line along the column, and what each bin that is passed adds to it.

    Args:
        edges: Of each column, ascending, two or more.
        width: E.
    """

    starts: Tensor
    slopes: Tensor
    lowest: Tensor
    highest: Tensor
    bins: Tensor

    def __init__(self, edges: list[tuple[float, ...]], width: int):
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
        held = {"starts": starts, "slopes": slopes, "lowest": lowest, "highest": highest, "bins": torch.tensor(counts)}
        for name, tensor in held.items():  # not kept with the weights: the edges stand in the schema
            self.register_buffer(name, tensor.to(torch.get_default_dtype()), persistent=False)
        reach = width**-0.5
        self.slope = nn.Parameter(torch.empty(len(edges), width).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(len(edges), width).uniform_(-reach, reach))
        self.weight = nn.Parameter(torch.zeros(len(edges), max(counts), width))  # (F, T, E)

    def code(self, x: Tensor) -> Tensor:
        """`(B, F, T)`: 1 for each bin that a number has passed, a share for the bin that it lies in, then 0.

        Example:
            >>> PiecewiseLinear([(0.0, 1.0, 3.0, 4.0)], width=1).code(torch.tensor([[2.0]]))
            tensor([[[1.0000, 0.5000, 0.0000]]])
        """
        return ((x[:, :, None] - self.starts) * self.slopes).clamp(self.lowest, self.highest)

    def rank(self, code: Tensor) -> Tensor:
        """The share of bins that a number has passed, `(B, F)`, centered and scaled as if evenly spread."""
        return (code.sum(-1) / self.bins * 2 - 1) * math.sqrt(3)

    def forward(self, x: Tensor) -> Tensor:
        code = self.code(x)
        line = torch.addcmul(self.bias, self.rank(code)[:, :, None], self.slope)  # (B, F, E)
        return line + torch.einsum("bft,fte->bfe", code, self.weight)


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
        self.numbers = PiecewiseLinear([edges[place] for place in seen], width) if seen else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.expand(x)  # (B, N + V)
        if self.numbers is None:
            return x
        return torch.cat([self.numbers(x[:, self.seen]).flatten(1), x[:, self.plain]], 1)
