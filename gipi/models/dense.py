"""Parts of networks whose layers see everything: the entry for tables, and a linear layer with its activation.

B rows, N numeric features, K category columns, V categories in all columns together
"""

import torch
from torch import Tensor, nn

from gipi.data.schema import Sizes
from gipi.models.activations import Maxout, activation, check, expansion, initialize
from gipi.models.normalization import normalization


class Expand(nn.Module):
    """The rows of a table or picture as plain features: numbers as they are, each category one-hot.

    `(B, N + K)` to `(B, N + V)`; an unseen category (code 0) is all zeros. Pictures `(B, C, H, W)` become `(B, C H W)`.
    Rows that are `(B, N + V)` already stay as they are. (Should V be K, each category has one value, and its code, 0 or
    1, is its one-hot feature.)

    Attributes:
        outputs: How many features come out.

    Example:
        >>> expand = Expand(Sizes(input=(1,), output=1, categories=(2, 3)))
        >>> expand(torch.tensor([[0.5, 2, 0]]))
        tensor([[0.5000, 0.0000, 1.0000, 0.0000, 0.0000, 0.0000]])
    """

    columns: Tensor
    codes: Tensor

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.numeric = torch.Size(sizes.input).numel()
        self.categories = tuple(sizes.categories)
        self.outputs = self.numeric + sum(self.categories)
        # for each one-hot feature: which column of x it looks at, and for which code
        columns = [self.numeric + k for k, count in enumerate(self.categories) for _code in range(count)]
        codes = [code + 1 for count in self.categories for code in range(count)]
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.register_buffer("codes", torch.tensor(codes, dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.categories:
            return x.flatten(1)
        if x.shape[1] == self.outputs:
            return x
        one_hot = x[:, self.columns] == self.codes  # (B, V)
        return torch.cat([x[:, : self.numeric], one_hot.to(x.dtype)], 1)


def expanded(net: nn.Module, x: Tensor, most: int) -> Tensor:
    """All rows `(B, N + K)` as `(B, N + V)`, for a network that would do this first, and again at each step.

    Where it does something else, or the features would be more than `most` numbers, the rows stay as they are.
    """
    first = next(part for part in net.modules() if not any(True for _child in part.children()))
    if not isinstance(first, Expand) or len(x) * first.outputs > most:
        return x
    return first(x)


class AgainstZero(nn.Module):
    """`(B, 1)` scores of the second of two classes to `(B, 2)` scores of both: the first one's is 0."""

    def forward(self, scores: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(scores), scores], 1)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A last layer: weights by Glorot, biases 0."""
    layer = nn.Linear(inputs, outputs)
    initialize(layer, "identity")
    return layer


def hidden_layer(inputs: int, outputs: int, name: str = "relu", norm: str = "none") -> nn.Sequential:
    """A linear layer and its activation, its weights drawn for it; `(..., inputs)` to `(..., outputs)`.

    Maxout takes the largest of several linear pieces, so its linear layer is that many times as wide. A normalisation
    (none, batch or layer) stands between the sums and the activation.
    """
    check(name)
    wide = outputs * expansion(name)
    normalize = normalization(norm, wide)
    layer = nn.Linear(inputs, wide, bias=normalize is None)
    initialize(layer, name)
    bend = Maxout(axis=-1) if name == "maxout" else activation(name)
    return nn.Sequential(*[part for part in (layer, normalize, bend) if part is not None])
