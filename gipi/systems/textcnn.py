"""Text convolution: filters that look for phrases of three, four or five tokens anywhere, and keep their best find.

Kim, "Convolutional Neural Networks for Sentence Classification", 2014, https://arxiv.org/abs/1408.5882: its CNN-rand.
Ours differs: whole tokens are left out now and then beside the dropout before the last layer; windows may hang over
either end of a text, so a text shorter than a filter is seen too; AdamW in place of Adadelta with a limit on the norm.

B rows, T tokens, D width, C channels, K outputs
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.dense import linear
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("text",)
defaults = {"epochs": 20, "batch_size": 64, "patience": 2, "tokenizer": "bpe", "vocabulary": 4096}


@dataclass(frozen=True)
class Config:
    width: int = 128  # numbers that a token is
    channels: int = 100  # filters of each length
    lengths: tuple[int, ...] = (3, 4, 5)  # of filters, in tokens
    word_dropout: float = 0.1  # share of tokens that is left out at each step
    dropout: float = 0.5  # share of features that is switched off before the last layer
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 1e-3  # step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


class Net(nn.Module):
    """Tokens as vectors, filters of each length over them, the largest answer of each filter, one linear layer."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        if not config.lengths or min(config.lengths) < 1:
            raise UsageError(_("textcnn needs filters of one token or more: --lengths 3 4 5, for example"))
        self.word_dropout = config.word_dropout
        self.tokens = nn.Embedding(sizes.vocabulary, config.width)
        nn.init.normal_(self.tokens.weight, std=0.1)
        self.filters = nn.ModuleList(
            nn.Conv1d(config.width, config.channels, length, padding=length - 1) for length in config.lengths
        )
        self.lengths = config.lengths
        self.drop = nn.Dropout(config.dropout)
        self.head = linear(config.channels * len(config.lengths), sizes.output)

    def forward(self, x: Tensor) -> Tensor:
        there = (x >= 0).to(self.tokens.weight.dtype)  # (B, T)
        kept = dropout(there, self.word_dropout, self.training)
        tokens = (self.tokens(x.clamp(min=0)) * kept[..., None]).transpose(1, 2)  # (B, D, T), 0 where the text ended
        found = [_best(one(tokens), there, length) for one, length in zip(self.filters, self.lengths, strict=True)]
        return self.head(self.drop(torch.cat(found, 1)))


def _best(answers: Tensor, there: Tensor, length: int) -> Tensor:
    """The largest answer of each filter among the windows that hold a token, `(B, C)`; below 0 nothing is found.

    Args:
        answers: `(B, C, T + length - 1)`.
        there: `(B, T)`, 1 where a token is.
        length: Of the filters.
    """
    length_of_text = there.sum(1, keepdim=True)  # (B, 1)
    last = torch.where(length_of_text > 0, length_of_text + length - 1, 0)  # behind the last window with a token
    holds = torch.arange(answers.shape[2], device=answers.device) < last  # (B, T + length - 1)
    return answers.masked_fill(~holds[:, None], float("-inf")).amax(2).relu()


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""
    return learner(net, loss, from_config(config, schedule))
