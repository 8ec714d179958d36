"""Bag of words: which words and runs of tokens a text has, wherever they stand; each is a few numbers that add up.

Joulin et al., "Bag of Tricks for Efficient Text Classification" (fastText), 2016, https://arxiv.org/abs/1607.01759:
embeddings of tokens and of n-grams, which share the rows of one table by their hash, and a linear layer on their sum.
Ours differs: of characters the n-grams go up to four, which is what Korean endings and spellings need; what stands in a
text twice counts once (Wang and Manning 2012); the sum is divided by the root of how many there are, so long texts may
be surer; n-grams begin at zero, so what training never saw says nothing; each is left out now and then (Iyyer et al.
2015); hidden layers may follow.

B rows, T tokens, D width, K outputs
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.dense import hidden_layer, linear
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("text",)
defaults = {
    "epochs": 20,
    "batch_size": 128,
    "patience": 2,
    "tokenizer": "characters",
    "vocabulary": 4096,
    "context": 512,
}

MOST_GRAMS = 16  # tokens in a row
MODULUS = (1 << 31) - 1  # a prime: a product of two numbers below it fits into 64 bits
FACTOR = 1_640_531_527  # 2^32 over the golden ratio, below the modulus (Knuth, vol. 3, 6.4)


@dataclass(frozen=True)
class Config:
    width: int = 8  # numbers that a token or an n-gram is
    grams: int = 4  # longest run of tokens that counts as one thing; 1: tokens only
    buckets: int = 262_144  # rows of the table that n-grams share
    hidden: tuple[int, ...] = ()  # width of each hidden layer; none: a linear layer on the sum
    activation: str = "relu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    word_dropout: float = 0.3  # share of tokens and n-grams that is left out at each step
    dropout: float = 0.3  # share of hidden units that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 1e-3  # step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


class Pieces(nn.Module):
    """`(B, T)` to `(B, T, D)`: what each place of a text adds, its token and its share of every n-gram over it.

    What stands in a text several times is counted where it stands first.
    """

    def __init__(self, vocabulary: int, config: Config):
        super().__init__()
        if not 1 <= config.grams <= MOST_GRAMS:
            range_ = {"low": 1, "high": MOST_GRAMS, "came": config.grams}
            raise UsageError(_("--grams must be a whole number from {low} to {high}; {came} came", **range_))
        self.word_dropout = config.word_dropout
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.grams = nn.Embedding(config.buckets, config.width) if config.grams > 1 else None
        self.longest = config.grams
        nn.init.normal_(self.tokens.weight, std=0.1)
        if self.grams is not None:
            nn.init.zeros_(self.grams.weight)

    def forward(self, x: Tensor) -> Tensor:
        is_first = firsts(x)
        found, count = self._of(self.tokens, x, is_first), is_first.sum(1)
        if self.grams is not None:
            numbers = torch.cat(ngrams(x, self.longest, self.grams.num_embeddings), 1)
            is_first = firsts(numbers)
            added = self._of(self.grams, numbers, is_first)  # one look for all: its gradient is as large as the table
            for length in range(2, self.longest + 1):
                one = added[:, (length - 2) * x.shape[1] : (length - 1) * x.shape[1]] / length  # (B, T, D)
                for place in range(length):
                    found = found + pad(one, (0, 0, place, 0))[:, : x.shape[1]]
            count = count + is_first.sum(1)
        return found / count.clamp(min=1).to(found.dtype).sqrt()[:, None, None]

    def _of(self, table: nn.Embedding, numbers: Tensor, is_counted: Tensor) -> Tensor:
        kept = dropout(is_counted.to(table.weight.dtype), self.word_dropout, self.training)
        return table(numbers.clamp(min=0)) * kept[..., None]


class Net(nn.Module):
    """The sum of what all places add, and a linear layer or a small network on it."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.pieces = Pieces(sizes.vocabulary, config)
        layers: list[nn.Module] = []
        width = config.width
        for hidden in config.hidden:
            layers += [hidden_layer(width, hidden, config.activation), nn.Dropout(config.dropout)]
            width = hidden
        self.head = nn.Sequential(*layers, linear(width, sizes.output))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pieces(x).sum(1))  # (B, K)


def firsts(numbers: Tensor) -> Tensor:
    """Where each number of a row `(B, T)` stands for the first time, `(B, T)` bool; below 0 nothing stands."""
    longest = numbers.shape[1]
    keys = (numbers + 1) * longest + torch.arange(longest, device=numbers.device)  # all different: equal ones in order
    ordered = keys.sort(dim=1).values
    which = ordered // longest
    is_new = torch.cat([which[:, :1] > 0, (which[:, 1:] != which[:, :-1]) & (which[:, 1:] > 0)], 1)
    return torch.zeros_like(is_new).scatter(1, ordered - which * longest, is_new)


def ngrams(x: Tensor, longest: int, buckets: int) -> list[Tensor]:
    """The row of the table for each run of 2, 3 ... `longest` tokens, by its first; -1 where the text is too short.

    Args:
        x: `(B, T)` numbers of tokens, -1 where the text has ended.
        longest: Tokens in a row, at most.
        buckets: Rows of the table.

    Returns:
        For each length `(B, T)`.
    """
    found = []
    run = (x + 1) % MODULUS
    for length in range(2, longest + 1):
        last = pad(x, (0, length - 1), value=-1)[:, length - 1 :]  # the token that ends the run, (B, T)
        run = (run * FACTOR + last + 1) % MODULUS
        found.append((run % buckets).masked_fill(last < 0, -1))
    return found


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""
    return learner(net, loss, from_config(config, schedule))
