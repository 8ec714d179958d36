"""word2vec: a vector for each word, learned from the words beside it.

Mikolov, Chen, Corrado, Dean, "Efficient Estimation of Word Representations in Vector Space", 2013,
https://arxiv.org/abs/1301.3781; with negative sampling and subsampling of frequent words: Mikolov et al., "Distributed
Representations of Words and Phrases and their Compositionality", 2013, https://arxiv.org/abs/1310.4546. Skip-gram: a
word says which words stand beside it. CBOW: the mean of the words beside it says which word it is; each of them then
gets the whole of its error, as in the authors' program.
Ours differs: the words of a short piece of text share their noise words, which is weighted so that each pair has as
many as was asked for on average; a piece is then a few matrix products (Ji et al. 2016, arxiv.org/abs/1604.04661).
Noise is drawn evenly (data/skipgrams.py), or sharing would cost a point of analogies. Pieces that move the vectors
together are so few that no word is moved too often from one place.

A batch is `(spans, reach, noise)`, see data/skipgrams.py: U updates of P pieces of S words, `spans` with W words more
on either side. E = S + 2 W, K noise words of a piece, D numbers of a vector, V words
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from gipi.algorithms.optimizers import NotFinite
from gipi.data.schema import Sizes

tasks = ("relate",)
kinds = ("text",)
defaults = {"epochs": 5, "batch_size": 16384, "schedule": "linear", "patience": 0}


SHARED = {"skip-gram": 32, "cbow": 16}
STEP_SIZES = {"skip-gram": 0.025, "cbow": 0.05}  # as in the authors' program


@dataclass(frozen=True)
class Config:
    architecture: Literal["skip-gram", "cbow"] = "skip-gram"  # a word says its neighbours, or they (faster) say it
    dimension: int = 100  # numbers of a word's vector
    window: int = 5  # neighbours on either side at most; each word draws how many, from 1 on
    negative: int = 5  # noise words for each pair, on average
    shared: int | None = None  # noise words that 32 words share; few are fast and noisy; 32 for skip-gram, 16 for cbow
    sample: float = 1e-3  # words more frequent than this share of the text are left out at times; 0: never
    min_count: int = 5  # words seen less often are left out
    lower: bool = True  # capital and small letters are the same
    lr: float | None = None  # step size at the beginning; it falls to nothing; 0.025 for skip-gram, 0.05 for cbow


class Net(nn.Module):
    """Two vectors for each word: of the word itself, which is what is kept, and as somebody's neighbour."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        shape = (sizes.vocabulary, config.dimension)
        self.words = nn.Parameter(torch.empty(shape).uniform_(-1, 1).div_(config.dimension), requires_grad=False)
        self.contexts = nn.Parameter(torch.zeros(shape), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:  # (B,) or (B, 1) numbers of words -> (B, D)
        return self.words[x.flatten().long()]


def reaches(pieces: int, window: int) -> Tensor:
    """Which places of a span `(E,)` are neighbours of each word: `(S, (W + 1)^2, E)`, 1 or 0.

    By how far the word looks: `left * (W + 1) + right`.
    """
    codes = torch.arange((window + 1) ** 2)
    left, right = codes // (window + 1), codes % (window + 1)
    distance = torch.arange(pieces + 2 * window) - window - torch.arange(pieces)[:, None]  # (S, E)
    distance = distance[:, None]
    near = (distance >= -left[:, None]) & (distance <= right[:, None]) & (distance != 0)
    return near.float()


@dataclass
class Pace:
    """How far a step goes.

    Attributes:
        size: Step -> step size.
        scale: It is multiplied by this; less than 1 after training went wrong.
    """

    size: Callable[[int], float]
    scale: float = 1.0


@dataclass
class Neighbours:
    """The player: moves the vectors of words and of their neighbours, update by update, all that are in a batch.

    Attributes:
        params: The two tables.
        architecture: skip-gram or cbow.
        window: Neighbours on either side at most.
        negative: Noise words for each pair.
        shared: Noise words that a span should have.
        optimizer: How far a step goes.
        weights: Tables that weigh scores, see `_tables`.
    """

    params: list[Tensor]
    architecture: str
    window: int
    negative: int
    shared: int
    optimizer: Pace
    every: int = 1
    weights: dict[tuple, tuple[Tensor, ...]] = field(default_factory=dict, repr=False)

    def play(self, batch: tuple[Tensor, ...], step: int) -> Tensor:
        """Gives the loss of a pair in the batch's first update; of all it would take as long as to learn."""
        lr = self.optimizer.size(step) * self.optimizer.scale
        move = self._skip_gram if self.architecture == "skip-gram" else self._cbow
        with torch.no_grad():
            loss = self.loss(tuple(part[0] for part in batch))
            for spans, reach, noise in zip(*batch, strict=True):
                move(spans, reach, noise, lr)
            if not (loss + self.loss(tuple(part[-1] for part in batch))).isfinite():
                raise NotFinite(self.optimizer)
        return loss

    def loss(self, update: tuple[Tensor, ...]) -> Tensor:
        """The mean over an update's pairs (cbow: words) of -log s(x) for neighbours, and of -log s(-x) for noise."""
        spans, reach, noise = update
        if self.architecture == "skip-gram":
            _own, rows, columns, weights = self._pairs(spans, reach, noise)
            scores, near = torch.bmm(rows, columns.transpose(1, 2)), spans.shape[1]
            scores[:, :, near:].neg_()
            return -(logsigmoid(scores) * weights).sum() / weights[:, :, :near].sum().clamp(min=1)
        _own, means, columns, against = self._means(spans, reach, noise)
        share = self.negative / noise.shape[1]
        scores = logsigmoid(torch.linalg.vecdot(means, columns))
        noisy = logsigmoid(-torch.bmm(means, against.transpose(1, 2))).sum(2) * share
        return -((scores + noisy) * (reach > 0)).sum() / (reach > 0).sum().clamp(min=1)

    def _tables(self, reach: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """What weighs the scores of a piece; made once for each size."""
        key = (reach.shape[1], noise.shape[1], reach.device, self.params[0].dtype)
        if key not in self.weights:
            near = reaches(reach.shape[1], self.window).to(self.params[0].dtype)  # (S, codes, E)
            counts = near.sum(2, keepdim=True)
            first = (torch.arange(reach.shape[1]) * near.shape[1])[None]  # where the rows of a place begin
            if self.architecture == "skip-gram":
                noisy = counts.expand(-1, -1, noise.shape[1]) * (self.negative / noise.shape[1])
                made = (first, torch.cat([near, noisy], 2).flatten(0, 1))
            else:
                made = (first, (near / counts.clamp(min=1)).flatten(0, 1), near.flatten(0, 1))
            self.weights[key] = tuple(one.to(reach.device) for one in made)
        return self.weights[key]

    # --- skip-gram

    def _pairs(
        self, spans: Tensor, reach: Tensor, noise: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor, Tensor]:
        """Numbers of words and of contexts, their vectors `(P, S, D)` and `(P, E + K, D)`, weights `(P, S, E + K)`."""
        words, contexts = self.params
        first, table = self._tables(reach, noise)
        pieces, size = reach.shape
        own = spans[:, self.window : self.window + size].reshape(-1)
        others = torch.cat([spans, noise], 1).view(-1)
        rows = words.index_select(0, own).view(pieces, size, -1)
        columns = contexts.index_select(0, others).view(pieces, -1, words.shape[1])
        weights = table.index_select(0, (reach + first).view(-1)).view(pieces, size, -1)
        return (own, others), rows, columns, weights

    def _skip_gram(self, spans: Tensor, reach: Tensor, noise: Tensor, lr: float) -> None:
        words, contexts = self.params
        (own, others), rows, columns, weights = self._pairs(spans, reach, noise)
        slope = torch.bmm(rows, columns.transpose(1, 2)).sigmoid_()  # (P, S, E + K)
        slope[:, :, : spans.shape[1]].sub_(1)
        slope.mul_(weights).mul_(
            -lr
        )  # here, where there are fewest numbers: `alpha` of index_add_ takes twice its time
        words.index_add_(0, own, torch.bmm(slope, columns).flatten(0, 1))
        contexts.index_add_(0, others, torch.bmm(slope.transpose(1, 2), rows).flatten(0, 1))

    # --- cbow

    def _means(self, spans: Tensor, reach: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Numbers of the words asked for, means `(P, S, D)`, the words' columns `(P, S, D)`, noise's `(P, K, D)`."""
        words, contexts = self.params
        first, mean, _sum = self._tables(reach, noise)
        pieces, size = reach.shape
        own = spans[:, self.window : self.window + size].reshape(-1)
        weights = mean.index_select(0, (reach + first).view(-1)).view(pieces, size, -1)  # (P, S, E)
        beside = words.index_select(0, spans.reshape(-1)).view(pieces, -1, words.shape[1])  # (P, E, D)
        columns = contexts.index_select(0, own).view(pieces, size, -1)
        against = contexts.index_select(0, noise.reshape(-1)).view(pieces, -1, words.shape[1])
        return own, torch.bmm(weights, beside), columns, against

    def _cbow(self, spans: Tensor, reach: Tensor, noise: Tensor, lr: float) -> None:
        words, contexts = self.params
        own, means, columns, against = self._means(spans, reach, noise)  # a mean of nothing is zero: it moves nothing
        first, _mean, whole = self._tables(reach, noise)
        pull = torch.linalg.vecdot(means, columns).sigmoid_().sub_(1).mul_(-lr)[:, :, None]  # (P, S, 1)
        push = torch.bmm(means, against.transpose(1, 2)).sigmoid_().mul_(-lr * self.negative / noise.shape[1])
        error = torch.baddbmm(pull * columns, push, against)  # (P, S, D)
        weights = whole.index_select(0, (reach + first).view(-1)).view(*reach.shape, -1)  # (P, S, E)
        words.index_add_(0, spans.reshape(-1), torch.bmm(weights.transpose(1, 2), error).flatten(0, 1))
        contexts.index_add_(0, own, (pull * means).flatten(0, 1))
        contexts.index_add_(0, noise.reshape(-1), torch.bmm(push.transpose(1, 2), means).flatten(0, 1))

    def tensors(self) -> dict[str, Tensor]:
        return {}  # what it has learned is in the network

    def load(self, tensors: dict[str, Tensor]) -> None:
        pass


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner, which needs no loss but its own."""
    kind = config.architecture
    shared = SHARED[kind] if config.shared is None else config.shared
    pace = Pace(schedule(STEP_SIZES[kind] if config.lr is None else config.lr))
    tables: list[Tensor] = [net.words, net.contexts]
    return {"learner": Neighbours(tables, kind, config.window, config.negative, shared, pace)}
