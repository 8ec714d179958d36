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

A batch is `(texts, reach, noise)`, see data/skipgrams.py: U updates of n running words, `texts` with W words more on
either side; P pieces of S words with K noise words each. E = S + 2 W, w = 2 W + 1, D numbers of a vector, V words
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad, softplus

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


def places(window: int) -> Tensor:
    """Which places around a word, from W before it to W behind, are neighbours: `((W + 1)^2, w)`, 1 or 0.

    By how far the word looks: `left * (W + 1) + right`.
    """
    codes = torch.arange((window + 1) ** 2)[:, None]
    left, right = codes // (window + 1), codes % (window + 1)
    distance = torch.arange(-window, window + 1)
    return ((distance >= -left) & (distance <= right) & (distance != 0)).float()


def reaches(size: int, window: int) -> Tensor:
    """Which places of a span `(E,)` are neighbours of each of its words: `(S, (W + 1)^2, E)`, 1 or 0; see `places`."""
    near = places(window)
    found = torch.zeros(size, len(near), size + 2 * window)
    for place in range(size):
        found[place, :, place : place + 2 * window + 1] = near
    return found


def turned(near: Tensor) -> Tensor:
    """Whose neighbour each word is, from who its neighbours are: `(U, m, w)` -> `(U, m - w + 1, w)`.

    Row i says which of the words i - W ... i + W are neighbours of word i; row i - W of what comes out says of which of
    them i is one. What it has at place k stands in row i + k - W here, at place w - 1 - k: one row further, one place
    less.
    """
    updates, rows, wide = near.shape
    strides = (rows * wide, wide, wide - 1)
    return near.as_strided((updates, rows - wide + 1, wide), strides, wide - 1).contiguous()


def summed(rows: Tensor, numbers: Tensor, begins: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows, in one go through memory: `(V, D)` -> `(n, D)`.

    Args:
        rows: They.
        numbers: `(n w,)` which ones.
        begins: `(n,)` where the numbers of each sum begin.
        weights: `(n w,)` how much each counts.
    """
    return nn.functional.embedding_bag(numbers, rows, begins, mode="sum", per_sample_weights=weights)


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
        shared: Noise words of a span.
        optimizer: How far a step goes.
        weights: Tables of what weighs what, see `_tables` and `_places`.
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
        with torch.no_grad():
            play = self._skip_gram if self.architecture == "skip-gram" else self._cbow
            loss, check = play(batch, lr)
            if not (loss + check).isfinite():
                raise NotFinite(self.optimizer)
        return loss

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """The mean over a batch's pairs (cbow: words) of -log s(x) for neighbours, and of -log s(-x) for noise."""
        spans, reach, noise = (part.flatten(0, 1) for part in self._pieces(batch))
        if self.architecture == "skip-gram":
            _own, rows, columns, weights = self._pairs(spans, reach, noise)
            scores, near = torch.bmm(rows, columns.transpose(1, 2)), spans.shape[1]
            scores[:, :, near:].neg_()
            return -(logsigmoid(scores) * weights).sum() / weights[:, :, :near].sum().clamp(min=1)
        words, contexts = self.params
        texts = batch[0]
        own = texts[:, self.window : self.window + batch[1].shape[1]].reshape(reach.shape)
        _near, mean = self._places(reach)
        around = texts.unfold(1, mean.shape[1], 1).flatten()  # (U n w,)
        begins = torch.arange(0, len(around), mean.shape[1], device=around.device)
        means = summed(words, around, begins, mean[reach].flatten()).view(*reach.shape, -1)  # (U P, S, D)
        pull = torch.linalg.vecdot(means, contexts[own])
        return self._surprise(pull, torch.bmm(means, contexts[noise].transpose(1, 2)), reach)

    def _pieces(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """A batch in spans `(U, P, E)`, how far their words look `(U, P, S)`, and their noise words `(U, P, K)`."""
        texts, reach, noise = batch
        size = reach.shape[1] // noise.shape[1]
        return texts.unfold(1, size + 2 * self.window, size), reach.unflatten(1, (-1, size)), noise

    def _tables(self, reach: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """What weighs the scores of a piece; made once for each size."""
        key = (reach.shape[1], noise.shape[1], reach.device, self.params[0].dtype)
        if key not in self.weights:
            near = reaches(reach.shape[1], self.window).to(self.params[0].dtype)  # (S, codes, E)
            counts = near.sum(2, keepdim=True)
            first = (torch.arange(reach.shape[1]) * near.shape[1])[None]  # where the rows of a place begin
            noisy = counts.expand(-1, -1, noise.shape[1]) * (self.negative / noise.shape[1])
            made = (first, torch.cat([near, noisy], 2).flatten(0, 1))
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

    def _skip_gram(self, batch: tuple[Tensor, ...], lr: float) -> tuple[Tensor, Tensor]:
        loss = self.loss(tuple(part[:1] for part in batch))
        words, contexts = self.params
        for spans, reach, noise in zip(*self._pieces(batch), strict=True):
            (own, others), rows, columns, weights = self._pairs(spans, reach, noise)
            slope = torch.bmm(rows, columns.transpose(1, 2)).sigmoid_()  # (P, S, E + K)
            slope[:, :, : spans.shape[1]].sub_(1)
            slope.mul_(weights).mul_(-lr)  # here are fewest numbers: `alpha` of index_add_ takes twice its time
            words.index_add_(0, own, torch.bmm(slope, columns).flatten(0, 1))
            contexts.index_add_(0, others, torch.bmm(slope.transpose(1, 2), rows).flatten(0, 1))
        return loss, self.loss(tuple(part[-1:] for part in batch))

    # --- cbow

    def _places(self, reach: Tensor) -> tuple[Tensor, ...]:
        """How far a word looks -> its neighbours `((W + 1)^2, w)`, and what each counts in their mean; made once."""
        key = (reach.device, self.params[0].dtype)
        if key not in self.weights:
            near = places(self.window).to(*key)
            self.weights[key] = near, near / near.sum(1, keepdim=True).clamp(min=1)
        return self.weights[key]

    def _surprise(self, pull: Tensor, push: Tensor, reach: Tensor) -> Tensor:
        """The loss of a word that has neighbours, from scores: of the words `(..., S)`, of noise `(..., S, K)`."""
        noisy = softplus(push).sum(-1) * (self.negative / push.shape[-1])
        return ((softplus(-pull) + noisy) * (reach > 0)).sum() / (reach > 0).sum().clamp(min=1)

    def _asked(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Of each update: the words asked for and noise `(U, n + P K)`, and for `summed` the neighbours of each word
        `(U, n w)`, what they count in its mean, and which errors move each word of the text `(U, (n + 2 W) w)`.
        """
        texts, reach, noise = batch
        near, mean = self._places(reach)
        asked = torch.cat([texts[:, self.window : self.window + reach.shape[1]], noise.flatten(1)], 1)
        around = texts.unfold(1, near.shape[1], 1).flatten(1)
        means_of = mean.index_select(0, reach.flatten()).view(around.shape)
        fenced = pad(reach, (2 * self.window, 2 * self.window))  # nobody looks from outside
        errors_of = turned(near.index_select(0, fenced.flatten()).view(*fenced.shape, -1)).flatten(1)
        return asked, around, means_of, errors_of

    def _cbow(self, batch: tuple[Tensor, ...], lr: float) -> tuple[Tensor, Tensor]:
        """What it costs is memory and starting operations: they are few, and their buffers stay in the cache."""
        texts, reach, noise = batch
        words, contexts = self.params
        count, (pieces, drawn) = reach.shape[1], noise.shape[1:]
        row = torch.arange(texts.shape[1], device=reach.device)
        begins = row * (2 * self.window + 1)
        begins_inside = begins[:count]
        back = (row[:, None] + torch.arange(-2 * self.window, 1, device=reach.device)).clamp_(0, count - 1).flatten()
        columns = words.new_empty(count + pieces * drawn, words.shape[1])
        own, against = columns[:count], columns[count:].view(pieces, drawn, -1)  # (n, D), (P, K, D)
        error = words.new_empty(own.shape)
        error_pieces = error.view(pieces, -1, words.shape[1])  # (P, S, D)
        scores = words.new_empty(count * (1 + drawn))
        pull, push = scores[:count], scores[count:].view(pieces, -1, drawn)  # (n,), (P, S, K)
        pull_column = pull[:, None]
        against_turned, push_turned = against.transpose(1, 2), push.transpose(1, 2)
        rates, right = torch.full_like(scores, -lr * self.negative / drawn), torch.zeros_like(scores)
        rates[:count], right[:count] = -lr, lr
        loss = None
        for text, asked, around, mean_of, error_of in zip(texts, *self._asked(batch), strict=True):
            means = summed(words, around, begins_inside, mean_of)  # a mean of nothing is zero: it moves nothing
            mean_pieces = means.view(pieces, -1, words.shape[1])
            torch.index_select(contexts, 0, asked, out=columns)
            torch.sum(torch.mul(means, own, out=error), 1, out=pull)
            torch.bmm(mean_pieces, against_turned, out=push)
            if loss is None:
                loss = self._surprise(pull, push.flatten(0, 1), reach[0])
            torch.addcmul(right, scores.sigmoid_(), rates, out=scores)  # lr (1 - s(x)), of noise -lr s(x) 5 / K
            torch.mul(own, pull_column, out=error)
            error_pieces.baddbmm_(push, against)
            torch.mul(means, pull_column, out=own)
            torch.bmm(push_turned, mean_pieces, out=against)
            contexts.index_add_(0, asked, columns)
            del means, mean_pieces  # the next tensor takes their memory, which is in the cache
            words.index_add_(0, text, summed(error, back, begins, error_of))
        assert loss is not None
        return loss, columns.sum() + error.sum()

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
