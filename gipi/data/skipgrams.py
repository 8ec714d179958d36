"""Words with their neighbours: batches for word2vec, cut from running text, functions of (seed, position) alone.

An epoch goes through pieces of the text in a new order. Of each piece the frequent words are left out at times
(subsampling), each word that stays draws how far it looks, and noise words are drawn by how frequent words are. What
comes out is short running texts with their surroundings, so that whoever learns can take their spans for matrices.

A batch is `(texts, reach, noise)`: `texts (U, n + 2 W)` numbers of n words that follow one another, with W on either
side; `reach (U, n)` how many places left and right of each belong to it, as `left * (W + 1) + right`, 0 where there is
no word; `noise (U, P, K)`, K words for each span of S = n / P words. U updates, that follow one another.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gipi.data.prefetch import Ahead
from gipi.data.stream import generator

SPAN = 32  # S: longer ones waste products on words that are no neighbours, shorter ones are many small matrices
NOISE = 32  # K, by default
MOST = 512  # words of an update: with more, the vectors are moved too far from one place
OFTEN = 1.0  # step size times how often a word is moved in an update, at most (measured: at 4 it diverges)
DEPTH = 4  # batches that are made ahead
POWER = 0.75  # of a word's frequency, as noise (Mikolov et al. 2013, section 2.2)


def keeping(counts: np.ndarray, sample: float) -> np.ndarray:
    """With which probability a word of each kind stays, `(V,)`; 1 where `sample` is 0.

    (sqrt(f / t) + 1) t / f of a word's share f of the text, as the authors' program has it, not as the paper does.
    """
    if sample <= 0:
        return np.ones(len(counts))
    share = counts / counts.sum()
    return np.minimum(1.0, (np.sqrt(share / sample) + 1) * sample / share)


def noise_shares(counts: np.ndarray) -> np.ndarray:
    """How often each word is noise, `(V,)`, which sums up to 1."""
    raised = np.asarray(counts, np.float64) ** POWER
    return raised / raised.sum()


def update_size(counts: np.ndarray, sample: float, window: int, lr: float) -> int:
    """How many words may move together: so many that even the most frequent one is not moved too often at once."""
    kept = counts * keeping(counts, sample)
    most = max(
        1e-9, float(kept.max() / kept.sum()) * (window + 1) * lr
    )  # step size times pairs of the most frequent, for a word
    return int(min(MOST, max(1, OFTEN / most)))


def evenly_drawn(until: np.ndarray, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Numbers with given probabilities, each as often as it should be but for one, in any order: systematic sampling.

    Each by itself is drawn as it should be; together they vary far less than draws that do not know of each other.
    Noise that many words share needs that: analogies are a point better with it (3 million words, CBOW).

    Args:
        until: `(V,)` float64, the sum of the probabilities up to each number.
        shape: Of what is wanted.
        random: Where it comes from.

    Example:
        >>> drawn = evenly_drawn(np.array([0.25, 1.0]), (8,), torch.Generator().manual_seed(0))
        >>> drawn.bincount().tolist()
        [2, 6]
    """
    count = math.prod(shape)
    begin = float(torch.rand(1, generator=random, dtype=torch.float64))
    found = until.searchsorted((np.arange(count) + begin) / count)
    mixed = torch.from_numpy(found).clamp_(max=len(until) - 1)[torch.randperm(count, generator=random)]
    return mixed.view(shape)


class Skipgrams(Iterator[tuple[Tensor, ...]]):
    """Batches for ever; see above.

    Args:
        words: `(n,)` numbers of words, in the order of the text.
        lines: `(n,)` number of the line that each stands in: neighbours are of one line.
        counts: `(V,)` how often each word is there.
        batch_size: Words of the text that a batch goes through, those left out among them.
        window: W.
        sample: See `keeping`.
        update: Words that are moved together.
        seed: Decides all that is drawn.
        share: K, noise words that the words of a span share.
        workers: Threads that make batches ahead; the batches do not depend on it.
        device: Where batches go.

    Example:
        >>> words = np.arange(1000, dtype=np.int32) % 50
        >>> stream = Skipgrams(words, words // 50, np.full(50, 20), 500, 2, 0, 64, seed=0)
        >>> [tuple(part.shape) for part in next(stream)]
        [(8, 68), (8, 64), (8, 2, 32)]
    """

    def __init__(
        self,
        words: np.ndarray,
        lines: np.ndarray,
        counts: np.ndarray,
        batch_size: int,
        window: int,
        sample: float,
        update: int,
        seed: int,
        share: int = NOISE,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ):
        assert len(words) == len(lines) > 0 and batch_size > 0
        self.words, self.lines, self.window, self.seed, self.device = words, lines, window, seed, device
        self.share = share  # K
        self.batches = -(-len(words) // batch_size)
        self.cuts = np.arange(self.batches + 1) * len(words) // self.batches
        self.span = min(SPAN, update)  # S
        self.spans = max(1, update // self.span)  # P
        self.keep = keeping(counts, sample).astype(np.float32)
        self.until = np.cumsum(noise_shares(counts))
        self.position = 0  # batches consumed since the beginning
        self.order: tuple[int, list[int]] = (-1, [])  # an epoch, and its pieces in order
        self.ahead = Ahead(self._made, workers, DEPTH)

    def __next__(self) -> tuple[Tensor, ...]:
        self.position += 1
        return self.ahead.take(self.position - 1)

    def _made(self, position: int) -> tuple[Tensor, ...]:
        epoch, batch = divmod(position, self.batches)
        known, order = self.order  # read and written at once: threads may be in two epochs
        if known != epoch:
            order = torch.randperm(self.batches, generator=generator(self.seed, "order", epoch)).tolist()
            self.order = (epoch, order)
        return self.piece(epoch, order[batch])

    def piece(self, epoch: int, number: int) -> tuple[Tensor, ...]:
        """The batch of this piece of the text in this epoch."""
        random = generator(self.seed, "words", epoch, number)
        low, high = int(self.cuts[number]), int(self.cuts[number + 1])
        words = self.words[low:high]
        stays = np.flatnonzero(torch.rand(len(words), generator=random).numpy() < self.keep.take(words))
        words, lines = words.take(stays), self.lines[low:high].take(stays)
        count, size = len(words), self.spans * self.span  # n
        updates = max(1, -(-count // size))
        reach = torch.zeros(updates * size, dtype=torch.int64)
        reach[:count] = torch.from_numpy(self._reach(lines, random))
        padded = torch.zeros(updates * size + 2 * self.window, dtype=torch.int64)
        padded[self.window : self.window + count] = torch.from_numpy(words)
        texts = padded.unfold(0, size + 2 * self.window, size).contiguous()
        noise = evenly_drawn(self.until, (updates, self.spans, self.share), random)
        return tuple(part.to(self.device) for part in (texts, reach.view(updates, size), noise))

    def _reach(self, lines: np.ndarray, random: torch.Generator) -> np.ndarray:
        """How far each word looks, no further than its line goes: `left * (W + 1) + right`."""
        count = len(lines)
        wanted = torch.randint(1, self.window + 1, (count,), generator=random).numpy()
        starts = np.append(0, np.flatnonzero(lines[1:] != lines[:-1]) + 1)
        lengths = np.diff(starts, append=count)
        before = np.arange(count) - starts.repeat(lengths)  # words of its line before it
        after = lengths.repeat(lengths) - 1 - before
        return np.minimum(wanted, before) * (self.window + 1) + np.minimum(wanted, after)

    def state_dict(self) -> dict:
        return {"position": self.position}

    def load_state_dict(self, state: dict) -> None:
        self.position = state["position"]


def held_out_pairs(
    words: np.ndarray, lines: np.ndarray, counts: np.ndarray, window: int, sample: float, most: int, seed: int
) -> np.ndarray:
    """Words, a neighbour of each, and a word from elsewhere: `(pairs, 3)`, at most so many, from text held out.

    Neighbours and words from elsewhere are as frequent as each other: both are words of this text, frequent ones left
    out as in training.

    Args:
        words: `(n,)` numbers.
        lines: `(n,)` the line of each.
        counts: `(V,)` of the training text.
        window: Places that neighbours may be away.
        sample: See `keeping`.
        most: Pairs.
        seed: Decides them.
    """
    random = np.random.default_rng([seed, *b"pairs"])
    stays = random.random(len(words)) < keeping(counts, sample)[words]
    words, lines = words[stays], lines[stays]
    if len(words) < 2:
        return np.empty((0, 3), np.int64)
    own = random.permutation(len(words))
    beside = own + random.integers(1, window + 1, len(own)) * random.choice((-1, 1), len(own))
    is_there = (beside >= 0) & (beside < len(words))
    own, beside = own[is_there], beside[is_there]
    fits = (lines[own] == lines[beside]) & (words[own] != words[beside])
    own, beside = own[fits][:most], beside[fits][:most]
    elsewhere = random.integers(0, len(words), len(own))
    return np.stack([words[own], words[beside], words[elsewhere]], 1).astype(np.int64)
