"""Running text cut into its parts before anything is learned from it, its tokenizer neither.

Of one text the parts are stretches: training first, then validation, then test, so that no sentence is in two of them.
Of separate documents the parts are documents drawn at random, unless the source says which.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gipi.data.corpus import Corpus
from gipi.data.split import split
from gipi.errors import DataError
from gipi.jobs.options import Fit
from gipi.messages import _

FEWEST = 1000  # characters; of less nothing is set aside


def parts_of(corpus: Corpus, options: Fit) -> dict[str, Corpus]:
    """The texts of train, valid and test.

    Raises:
        DataError: There is nothing in the texts.
    """
    total = sum(map(len, corpus.texts))
    if not total:
        raise DataError(_("{name} is empty: there is no text to learn from", name=corpus.name))
    if total < FEWEST:
        corpus.notes.append(_("{count} characters are too few to set any aside: all are for training", count=total))
        return {"train": corpus}
    shares = options.test_share, options.valid_share
    if not corpus.is_running and len(corpus.texts) >= 10:
        rows = split(len(corpus.texts), options.seed, given=corpus.parts, test=shares[0], valid=shares[1])
        return {part: _of(corpus, part, [str(corpus.texts[row]) for row in some]) for part, some in rows.items()}
    if "train" not in corpus.parts:
        return _stretches(corpus, *shares)
    given = {part: _of(corpus, part, [str(corpus.texts[row]) for row in some]) for part, some in corpus.parts.items()}
    left = [0.0 if part in given else share for part, share in zip(("test", "valid"), shares, strict=True)]
    return {**given, **_stretches(given["train"], *left)}


def _stretches(corpus: Corpus, test_share: float, valid_share: float) -> dict[str, Corpus]:
    """The parts of one text, one behind the other."""
    lengths = np.array([len(text) for text in corpus.texts])
    total = int(lengths.sum())
    test = round(total * test_share)
    valid = round((total - test) * valid_share)
    cuts = {
        "train": (0, total - test - valid),
        "valid": (total - test - valid, total - test),
        "test": (total - test, total),
    }
    cuts = {part: cut for part, cut in cuts.items() if cut[0] < cut[1]}
    return {part: _of(corpus, part, _between(corpus.texts, lengths, *cut)) for part, cut in cuts.items()}


def _of(corpus: Corpus, part: str, texts: Sequence[str]) -> Corpus:
    return replace(corpus, name=f"{corpus.name} {part}", texts=texts, parts={})


def _between(texts: Sequence[str], lengths: np.ndarray, start: int, stop: int) -> Sequence[str]:
    """What of the texts lies between two places of all their characters; of a large file read when it is asked for."""
    ends = np.cumsum(lengths)
    inside = np.flatnonzero((ends - lengths < stop) & (ends > start))
    begins = ends - lengths
    pieces = [(int(n), max(0, start - int(begins[n])), min(stop, int(ends[n])) - int(begins[n])) for n in inside]
    found = Stretch(texts, pieces)
    return list(found) if isinstance(texts, list) else found


class Stretch(Sequence):
    """Some of the pieces of a text, read when they are asked for; the first and the last may be cut.

    Args:
        texts: All pieces.
        pieces: Number, first character and the one behind the last, of each.
    """

    def __init__(self, texts: Sequence[str], pieces: list[tuple[int, int, int]]):
        self.texts = texts
        self.pieces = pieces

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, number):
        if isinstance(number, slice):
            return Stretch(self.texts, self.pieces[number])
        which, start, stop = self.pieces[number]
        return self.texts[which][start:stop]
