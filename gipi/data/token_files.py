"""A corpus as tokens: one long row of numbers, in memory or in a file of the cache that is mapped.

Documents follow one another with the end token between them. Tokens take two bytes each where there are few enough
different ones, else four. What does not fit into memory is written once, and found again by the bytes of its texts and
by its tokenizer; a file that is damaged is made anew.

n tokens of the corpus
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from gipi.data.budget import is_large
from gipi.data.corpus import Corpus
from gipi.data.kept import CannotKeepError, kept_set, make_room
from gipi.data.mapped import mapped, written
from gipi.data.tokenizers import Tokenizer
from gipi.messages import _

FORMAT = 1  # of what is kept; another one is made anew
AT_ONCE = 1 << 22  # characters that are cut into tokens together
TOKENS, STARTS = "tokens", "starts"
TIMES = 3  # times that tokens are in memory: as they come, joined, and as a batch is drawn

Progress = Callable[[str, int, int | None], None]


def tokens_of(corpus: Corpus, tokenizer: Tokenizer, progress: Progress | None = None) -> np.ndarray:
    """`(n,)` uint16 or uint32: the texts' tokens, and one `tokenizer.end` between two documents.

    Args:
        corpus: What is learned from.
        tokenizer: Makes tokens of it.
        progress: Called with how many texts are done.

    Raises:
        DataError: It is larger than memory, and the disk of the cache has no room.

    Example:
        >>> from gipi.data.tokenizers import train
        >>> corpus = Corpus("two", ["ab", "a"], False)
        >>> tokens_of(corpus, train(corpus.texts, "characters", 300)).tolist()
        [100, 101, 1, 100]
    """
    return tokens_and_starts(corpus, tokenizer, progress)[0]


def tokens_and_starts(
    corpus: Corpus, tokenizer: Tokenizer, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The same, and `(texts + 1,)` int64: where the tokens of each text begin, and where the last ends.

    The end token belongs to the text before it. With it, the parts of a corpus can be told apart.
    """
    dtype = np.dtype(np.uint16 if tokenizer.size <= 1 << 16 else np.uint32)
    if isinstance(corpus.texts, list) and not is_large(TIMES * dtype.itemsize * sum(map(len, corpus.texts))):
        pieces, lengths = [], []
        for some, counts in _tokens(corpus, tokenizer, dtype, progress):
            pieces.append(some)
            lengths += counts
        return np.concatenate(pieces or [np.zeros(0, dtype)]), _starts(lengths)
    return _kept(corpus, tokenizer, dtype, progress)


def _starts(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))]).astype(np.int64)


def _tokens(
    corpus: Corpus, tokenizer: Tokenizer, dtype: np.dtype, progress: Progress | None
) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Tokens of several texts together, and how many each has."""
    last, done = len(corpus.texts) - 1, 0
    for texts in _together(corpus.texts):
        rows = tokenizer.encode_all(texts)
        if not corpus.is_running:
            rows = [row if done + place == last else [*row, tokenizer.end] for place, row in enumerate(rows)]
        done += len(texts)
        counts = [len(row) for row in rows]
        joined = np.fromiter(chain.from_iterable(rows), dtype, sum(counts))
        yield joined, counts
        if progress:
            progress(_("tokens"), done, last + 1)


def _together(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts, so many at once that the work is worth it and that memory holds them."""
    some, size = [], 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size >= AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _kept(
    corpus: Corpus, tokenizer: Tokenizer, dtype: np.dtype, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens on disk; where the cache cannot be written, in a file that goes with the process."""
    characters = 0
    digest = hashlib.sha256(repr((FORMAT, corpus.is_running, tokenizer.to_json())).encode())
    for number, text in enumerate(corpus.texts):
        content = text.encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
        characters += len(text)
        if progress:
            progress(_("looking for changes"), number + 1, len(corpus.texts))

    def make(folder: Path) -> dict:
        lengths: list[int] = []
        with (folder / TOKENS).open("wb") as file:
            for some, counts in _tokens(corpus, tokenizer, dtype, progress):
                make_room(some.nbytes)
                file.write(some.data)
                lengths += counts
        (folder / STARTS).write_bytes(_starts(lengths).tobytes())
        return {"dtype": dtype.name}

    try:
        folder, _said = kept_set("tokens", digest.hexdigest()[:32], dtype.itemsize * characters // 4, make)
    except CannotKeepError:
        counts: list[int] = []
        array = written(_counting(_tokens(corpus, tokenizer, dtype, progress), counts), 2 * characters)
        return array, _starts(counts)
    return mapped(folder / TOKENS, dtype), np.array(mapped(folder / STARTS, np.int64))


def _counting(pieces: Iterator[tuple[np.ndarray, list[int]]], counts: list[int]) -> Iterator[np.ndarray]:
    for some, more in pieces:
        counts += more
        yield some
