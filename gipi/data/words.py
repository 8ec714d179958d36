"""Words of running text or of documents, as numbers, and which of them are known: what word vectors are learned from.

A word is a run of letters, digits and underscores between whatever else stands there, in any script: Korean words end
at blanks. A line is as far as neighbours go. The words of a text larger than memory would not fit either: each takes
four bytes here.

n words, L lines, V words that are known
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from gipi.messages import _

WORD = re.compile(r"\w+")
LONGEST = 100  # letters of a word; what is longer is no word of a language

Array = np.ndarray
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Text:
    """What was read.

    Attributes:
        words: `(n,)` int32, a number for each word, by the order in which they were seen first.
        lengths: `(L,)` words of each line; lines without a word are left out.
        documents: `(L,)` which document each line is of.
        names: The word of each number.
    """

    words: Array
    lengths: Array
    documents: Array
    names: list[str]


def read_words(texts: Sequence[str], is_running: bool, lower: bool, progress: Progress | None = None) -> Text:
    """The words of all texts.

    Args:
        texts: Documents; or pieces of one running text, which may be cut anywhere.
        is_running: They are such pieces.
        lower: Capital letters are made small.
        progress: Told how many texts were read.

    Example:
        >>> text = read_words(["The cat saw", " the dog.\\nIt ran"], is_running=True, lower=True)
        >>> text.names, text.words.tolist(), text.lengths.tolist()
        (['the', 'cat', 'saw', 'dog', 'it', 'ran'], [0, 1, 2, 0, 3, 4, 5], [5, 2])
    """
    numbers: dict[str, int] = {}
    words, lengths, documents = array("i"), array("i"), array("i")
    for document, line in _lines(texts, is_running, progress):
        found = [word for word in WORD.findall(line.lower() if lower else line) if len(word) <= LONGEST]
        if found:
            words.extend([numbers.setdefault(word, len(numbers)) for word in found])
            lengths.append(len(found))
            documents.append(document)
    return Text(*(np.array(one, np.int32) for one in (words, lengths, documents)), names=list(numbers))


def _lines(texts: Sequence[str], is_running: bool, progress: Progress | None) -> Iterator[tuple[int, str]]:
    """Each line with the number of its document; of a running text also those that go from one piece to the next."""
    kept: list[str] = []
    for number, text in enumerate(texts):
        if progress is not None:
            progress(_("reading words"), number, len(texts))
        if not is_running:
            yield from zip(repeat(number), text.splitlines())
            continue
        head, end, rest = text.rpartition("\n")
        if not end:
            kept.append(rest)
        else:
            yield from zip(repeat(0), ("".join(kept) + head).splitlines())
            kept = [rest]
    yield 0, "".join(kept)


def known_words(words: Array, names: list[str], min_count: int, most: int | None) -> tuple[list[str], Array, Array]:
    """The words that are known, the most frequent first; how often each is there; and the new number of each old one.

    Args:
        words: `(n,)` old numbers of the training text.
        names: Of the old numbers.
        min_count: Words that are there less often are not known.
        most: So many at most.

    Returns:
        Names `(V,)`, counts `(V,)`, new numbers by old ones, -1 for words that are not known.
    """
    counts = np.bincount(words, minlength=len(names))
    order = np.argsort(-counts, kind="stable")  # of words as frequent as each other the first comes first
    order = order[counts[order] >= max(1, min_count)][:most]
    numbers = np.full(len(names), -1, np.int32)
    numbers[order] = np.arange(len(order))
    return [names[place] for place in order], counts[order], numbers


def known_only(words: Array, lengths: Array, numbers: Array) -> tuple[Array, Array]:
    """New numbers of the words that are known, `(n,)`, and the line of each; the others are left out."""
    lines = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    found = numbers[words]
    return found[found >= 0], lines[found >= 0]


def apart(text: Text, share: float, is_running: bool, order: Iterable[int]) -> tuple[Array, Array]:
    """Which lines are learned from and which are held out, `(L,)` each: about this share of the words.

    Args:
        text: The words.
        share: Of the words, that is held out.
        is_running: The last lines are; else whole documents, the first of this order.
        order: Numbers of documents in an order that was drawn.
    """
    wanted = share * len(text.words)
    if is_running:
        held = len(text.words) - np.cumsum(text.lengths) + text.lengths <= wanted
        return ~held, held
    sizes = np.bincount(text.documents, text.lengths)
    taken, chosen = 0.0, np.zeros(len(sizes), bool)
    for document in order:
        if document < len(sizes) and taken + sizes[document] <= wanted:
            chosen[document], taken = True, taken + sizes[document]
    held = chosen[text.documents]
    return ~held, held
