"""Simpler ways to guess a word left out: the most frequent token, and the two words beside it by counts of pairs.

The pairs: P(w | left, right) is in proportion to P(w | left) P(right | w), each mixed with how frequent tokens are as
Witten & Bell 1991 do. It also knows how masks are made: a token that is seen at the place is likely the right one.

n tokens of the training part, V vocabulary, B windows, M masks of each
"""

import time

import numpy as np
import torch

from gipi.data.masking import CHANGED, MASKED
from gipi.data.tokenizers import Tokenizer
from gipi.messages import _
from gipi.tasks.compared import Way
from gipi.tasks.fill import Masked, sums_of
from gipi.tasks.intervals import Array

AT_ONCE = 8  # windows whose masks are guessed together: each needs V numbers
LEAST = 1e-12


def fit_guessers(tokens: Array, tokenizer: Tokenizer, held: Masked) -> list[Way]:
    """What each simpler way makes of held-out windows, as sums of each window.

    Args:
        tokens: `(n,)`, of the training part.
        tokenizer: Of the tokens.
        held: The windows with their masks.
    """
    x, places, y = held
    begin = time.perf_counter()
    counts = np.bincount(tokens, minlength=tokenizer.size).astype(np.float64)
    counts[[*tokenizer.special]] = 0.0
    shares = (counts + LEAST) / (counts + LEAST).sum()
    logs = torch.from_numpy(np.log(shares)).expand(*y.shape, -1)
    often = sums_of(logs, y)
    middle = time.perf_counter()
    pairs = Pairs(tokens, tokenizer, shares)
    parts = zip(x.split(AT_ONCE), places.split(AT_ONCE), y.split(AT_ONCE), strict=True)
    both = np.concatenate([sums_of(torch.from_numpy(pairs.logs(*part[:2])), part[2]) for part in parts])
    end = time.perf_counter()
    said = tokenizer.shown(int(shares.argmax()))
    return [
        Way("frequent_token", _("most frequent token"), often, middle - begin, None, _("always '{word}'", word=said)),
        Way("both_sides", _("counts of pairs on both sides"), both, end - middle, None, _("Witten-Bell")),
    ]


class Pairs:
    """Which token follows on which, by counts.

    Args:
        tokens: `(n,)`.
        tokenizer: Of the tokens.
        shares: `(V,)`: how frequent each token is.
    """

    def __init__(self, tokens: Array, tokenizer: Tokenizer, shares: Array):
        from scipy.sparse import coo_matrix

        size = tokenizer.size
        first, second = tokens[:-1].astype(np.int64), tokens[1:].astype(np.int64)
        self.after = coo_matrix((np.ones(len(first)), (first, second)), (size, size)).tocsr()  # [left, right]
        self.before = self.after.tocsc()
        self.total = np.asarray(self.after.sum(1)).ravel()  # (V,)
        kinds = np.diff(self.after.indptr)
        self.trust = self.total / np.maximum(self.total + kinds, 1)  # in the pairs; 0: never seen
        self.shares, self.tokenizer = shares, tokenizer

    def logs(self, windows: torch.Tensor, at: torch.Tensor) -> Array:
        """Logarithms of the probabilities `(B, M, V)` at places `(B, M)` of windows `(B, T)`, as they are seen."""
        x, places = windows.numpy(), at.numpy()
        rows = np.arange(len(x))[:, None]
        left, seen, right = x[rows, places - 1].ravel(), x[rows, places].ravel(), x[rows, places + 1].ravel()
        mask = self.tokenizer.mask
        left = np.where((places.ravel() == 1) | (left == mask), -1, left)  # a window begins anywhere
        right = np.where((places.ravel() == x.shape[1] - 2) | (right == mask), -1, right)
        found = np.log(np.tile(self.shares, (len(seen), 1)))  # (B M, V)
        known = np.flatnonzero(left >= 0)
        found[known] = np.log(self._following(left[known]))
        known = np.flatnonzero(right >= 0)
        found[known] += np.log(self._leading_to(right[known]))
        kept, other = 1 - MASKED - CHANGED, CHANGED / len(self.shares)
        shown = np.flatnonzero(seen != mask)
        found[shown, seen[shown]] += np.log((kept + other) / other)
        found -= found.max(1, keepdims=True)
        found -= np.log(np.exp(found).sum(1, keepdims=True))
        return found.reshape(*places.shape, -1)

    def _following(self, left: Array) -> Array:
        """P(w | left), `(k, V)`."""
        trust = self.trust[left][:, None]
        counts = self.after[left].toarray() / np.maximum(self.total[left], 1)[:, None]
        return trust * counts + (1 - trust) * self.shares + LEAST

    def _leading_to(self, right: Array) -> Array:
        """P(right | w), `(k, V)`."""
        counts = self.before[:, right].toarray().T / np.maximum(self.total, 1)
        return self.trust * counts + (1 - self.trust) * self.shares[right][:, None] + LEAST
