"""Running text cut into its parts before anything is learned from it, its tokenizer neither.

Of one text the parts are stretches: training first, then validation, then test, so that no sentence is in two of them.
Of separate documents the parts are documents drawn at random, unless the source says which.
"""

from collections.abc import Iterator, Sequence
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
    lengths = np.array([len(text) for text in corpus.texts])
    total = int(lengths.sum())
    if not total:
        raise DataError(_("{name} is empty: there is no text to learn from", name=corpus.name))
    if total < FEWEST:
        corpus.notes.append(_("{count} characters are too few to set any aside: all are for training", count=total))
        return {"train": corpus}
    if not corpus.is_running and len(corpus.texts) >= 10:
        shares = {"test": options.test_share, "valid": options.valid_share}
        rows = split(len(corpus.texts), options.seed, given=corpus.parts, **shares)
        return {part: _of(corpus, part, [corpus.texts[row] for row in some]) for part, some in rows.items()}
    test = round(total * options.test_share)
    valid = round((total - test) * options.valid_share)
    cuts = {
        "train": (0, total - test - valid),
        "valid": (total - test - valid, total - test),
        "test": (total - test, total),
    }
    found = {part: _of(corpus, part, list(_between(corpus.texts, lengths, *cut))) for part, cut in cuts.items()}
    return {part: some for part, some in found.items() if some.texts}


def _of(corpus: Corpus, part: str, texts: Sequence[str]) -> Corpus:
    return replace(corpus, name=f"{corpus.name} {part}", texts=texts, parts={})


def _between(texts: Sequence[str], lengths: np.ndarray, start: int, stop: int) -> Iterator[str]:
    """What of the texts lies between two places of all their characters."""
    ends = np.cumsum(lengths)
    for number in range(len(texts)):
        begin = int(ends[number] - lengths[number])
        if begin < stop and ends[number] > start:
            piece = texts[number][max(0, start - begin) : stop - begin]
            if piece:
                yield piece
