"""Which pieces a Unigram tokenizer has: those that make the training text most likely, each word being cut at random.

Kudo, "Subword Regularization", 2018, https://arxiv.org/abs/1804.10959, section 3.2: begin with too many pieces, learn
their probabilities by expectation and maximisation, drop those that cost the least to do without, and so on.
Ours differs: pieces are whole characters, so no piece ends within one; an expected count loses one half, which is what
the digamma function of SentencePiece does to all but the rarest; what a piece is worth is its count times what its best
other cut would cost. The trainer of the `tokenizers` package is not used: it adds up in the order of a hash table, so
the same text gives it another tokenizer each time. Here all sums have one order.

W words, L longest word in characters, E edges: a piece that stands somewhere in a word
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gipi.data.own_tokens import most_often

MOST_WORDS = 200_000  # the most frequent words are learned from
LONGEST_WORD = 24  # characters: a longer one is cut into several
LONGEST_PIECE = 16
SEEDS_FOR_EACH = 10  # pieces to begin with, for each one wanted
FEWEST_SEEDS = 20_000
STEPS = 2  # of expectation and maximisation between two cuts
KEPT = 0.75  # of the pieces, at each cut
SPARE = 1.1  # times the wanted pieces are left for the last choice


def train_pieces(counts: Counter[str], many: int) -> list[tuple[str, float]]:
    """At most so many pieces that are not single ASCII characters, and all of those that occur, with their log
    probabilities, the likeliest first."""
    words = _words(counts)
    singles = sorted(set().union(*words)) if words else []
    pieces = [*singles, *_seeds(words, max(SEEDS_FOR_EACH * many, FEWEST_SEEDS))]
    if not pieces:
        return []
    weights = np.array([*words.values()], float)
    edges, parts = _edges([*words], pieces), _edges(pieces, pieces)
    parts = parts.only(parts.piece != parts.word)  # how else a piece could be cut
    there = np.ones(len(pieces), bool)
    expected = np.bincount(edges.piece, weights[edges.word], len(pieces))
    ascii_there = sum(single.isascii() for single in singles)
    last = int(SPARE * many) + ascii_there
    while True:
        for _step in range(STEPS):
            expected = _expected(edges, _probable(expected, there, len(singles)), weights)
            there &= expected >= 0.5
            there[: len(singles)] = True
            edges = edges.only(there[edges.piece])
        probability = _probable(expected, there, len(singles))
        if there.sum() <= max(last, len(singles)):
            break
        parts = parts.only(there[parts.piece] & there[parts.word])
        wanted = max(last, int(KEPT * there.sum()), len(singles))
        there = _most_needed(parts, expected, probability, there, len(singles), wanted)
        edges = edges.only(there[edges.piece])
    found = {pieces[place]: float(np.log(probability[place])) for place in np.flatnonzero(there)}
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    longer = [pair for pair in ranked if not (len(pair[0]) == 1 and pair[0].isascii())][: max(0, many)]
    chosen = {piece for piece, _score in longer}
    return [pair for pair in ranked if pair[0] in chosen or (len(pair[0]) == 1 and pair[0].isascii())]


def _words(counts: Counter[str]) -> Counter[str]:
    """The most frequent words, long ones cut, in an order that depends on nothing else."""
    words: Counter[str] = Counter()
    for word in most_often(counts, MOST_WORDS):
        for at in range(0, len(word), LONGEST_WORD):
            words[word[at : at + LONGEST_WORD]] += counts[word]
    return words


def _seeds(words: Counter[str], many: int) -> list[str]:
    """Parts of words that come more than once; those first that stand for most of the text."""
    parts: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word) - 1):
            for stop in range(start + 2, min(len(word), start + LONGEST_PIECE) + 1):
                parts[word[start:stop]] += count
    often = [part for part, count in parts.items() if count > 1]
    return sorted(often, key=lambda part: (-parts[part] * len(part), part))[:many]


@dataclass
class _Edges:
    """Where pieces stand in words, in the order of where they stop."""

    lengths: np.ndarray  # (W,)
    word: np.ndarray  # (E,)
    start: np.ndarray
    stop: np.ndarray
    piece: np.ndarray

    def only(self, chosen: np.ndarray) -> "_Edges":
        own = (self.word[chosen], self.start[chosen], self.stop[chosen], self.piece[chosen])
        return _Edges(self.lengths, *own)

    def at(self, places: np.ndarray) -> list[np.ndarray | slice]:
        """For each place 0 .. L the edges whose stop (or start) it is; `places` is sorted."""
        bounds = np.searchsorted(places, np.arange(self.lengths.max(initial=0) + 2))
        return [slice(low, high) for low, high in pairwise(bounds)]


def _edges(words: list[str], pieces: list[str]) -> _Edges:
    number = {piece: place for place, piece in enumerate(pieces)}
    found: list[tuple[int, int, int, int]] = []
    columns: list[np.ndarray] = []
    for place, word in enumerate(words):
        for start in range(len(word)):
            for stop in range(start + 1, min(len(word), start + LONGEST_PIECE) + 1):
                piece = number.get(word[start:stop], -1)
                if piece >= 0:
                    found.append((place, start, stop, piece))
        if len(found) > 1 << 18:  # a tuple takes ten times the room of its row
            columns.append(np.array(found, np.int32))
            found = []
    columns.append(np.array(found, np.int32).reshape(-1, 4))
    table = np.concatenate(columns)
    table = table[np.argsort(table[:, 2], kind="stable")]
    return _Edges(np.array([len(word) for word in words]), *np.ascontiguousarray(table.T))


def _probable(expected: np.ndarray, there: np.ndarray, singles: int) -> np.ndarray:
    """The probability of each piece from its expected count; single characters are never impossible."""
    counts = np.where(there, np.maximum(expected - 0.5, 0.0), 0.0)
    counts[:singles] = np.maximum(counts[:singles], 1e-3)
    return counts / counts.sum()


def _expected(edges: _Edges, probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How often each piece is used, over all ways to cut each word: forward and backward sums."""
    rows, width = len(edges.lengths), int(edges.lengths.max(initial=0)) + 1
    chance = probability[edges.piece]  # (E,)
    forward = np.zeros((width, rows))
    forward[0] = 1.0
    for place, here in enumerate(edges.at(edges.stop)):
        if place:
            came = forward[edges.start[here], edges.word[here]] * chance[here]
            forward[place] = np.bincount(edges.word[here], came, rows)
    backward = np.zeros((width, rows))
    backward[edges.lengths, np.arange(rows)] = 1.0
    by_start = np.argsort(edges.start, kind="stable")
    for place, here in reversed([*enumerate(edges.at(edges.start[by_start]))]):
        chosen = by_start[here]
        goes = backward[edges.stop[chosen], edges.word[chosen]] * chance[chosen]
        backward[place] += np.bincount(edges.word[chosen], goes, rows)
    total = forward[edges.lengths, np.arange(rows)]  # (W,) the chance of the word
    used = forward[edges.start, edges.word] * chance * backward[edges.stop, edges.word]
    return np.bincount(edges.piece, used * (weights / total)[edges.word], len(probability))


def _most_needed(
    parts: _Edges, expected: np.ndarray, probability: np.ndarray, there: np.ndarray, singles: int, wanted: int
) -> np.ndarray:
    """Which pieces to keep: single characters, and those whose best other cut is the dearest."""
    rows, width = len(parts.lengths), int(parts.lengths.max(initial=0)) + 1
    with np.errstate(divide="ignore"):
        score = np.log(probability)
    best = np.full((width, rows), -np.inf)
    best[0] = 0.0
    for place, here in enumerate(parts.at(parts.stop)):
        if place:
            came = best[parts.start[here], parts.word[here]] + score[parts.piece[here]]
            np.maximum.at(best[place], parts.word[here], came)
    other = best[parts.lengths, np.arange(rows)]
    with np.errstate(invalid="ignore"):
        loss = np.where(there, expected * (score - other), -np.inf)
    loss[:singles] = np.inf
    kept = np.zeros(len(there), bool)
    kept[np.argsort(-loss, kind="stable")[:wanted]] = True
    return kept & there
