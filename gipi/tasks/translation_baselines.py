"""What simpler ways make of a text: the translation of the nearest text that is known, and word after word.

The first is a translation memory: TF-IDF of words and pairs of words, cosine. The second is IBM's model 1 (Brown et al.
1993, https://aclanthology.org/J93-2003, section 4.1): which word of a pair of texts stands for which, found by EM from
nothing; then each word becomes its most probable translation, in the order of the source.

P words of a pair of texts taken together, one by one: all that could stand for each other
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gipi.messages import _
from gipi.tasks.bleu import bleu_counts, counts_of, words_of
from gipi.tasks.compared import Way
from gipi.tasks.intervals import Array

ROUNDS = 8  # of EM: the most probable word hardly changes any more
MOST_TEXTS = 200_000  # that are remembered
MOST_PAIRS = 4_000_000  # P, for each second that EM may take
Pairs = tuple[list[str], list[str]]  # texts and their translations
BLOCK = 256  # texts that are compared with all others at once
NULL = ""  # stands for target words that no source word stands for


def translation_baselines(
    known: Pairs,
    asked: Sequence[str],
    wanted: Sequence[str],
    seconds: float,
    seed: int = 0,
) -> list[Way]:
    """The two ways, with BLEU's counts `(n, 10)` of each text that is asked.

    Args:
        known: Sources and targets to learn from.
        asked: Sources to be translated.
        wanted: Their translations.
        seconds: That each way may take, about.
        seed: Which texts are taken where there are too many.
    """
    found = []
    ways = (("memory", _("the nearest text that is known"), nearest), ("words", _("word by word"), word_by_word))
    for name, title, way in ways:
        began = time.perf_counter()
        said, settings = way(known, asked, seconds, seed)
        took = time.perf_counter() - began
        found.append(Way(name, title, counts_of(said, wanted, bleu_counts), took, None, settings))
    return found


def chosen(count: int, most: int, seed: int) -> Array:
    """Numbers of at most so many texts."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, *b"texts"]).choice(count, most, replace=False))


def nearest(known: Pairs, asked: Sequence[str], seconds: float = 10.0, seed: int = 0) -> tuple[list[str], str]:
    """For each text the translation of the one that is most like it, and how it was found."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = chosen(len(known[0]), MOST_TEXTS, seed)
    options: dict[str, Any] = {"tokenizer": words_of, "token_pattern": None}
    reader = TfidfVectorizer(**options, ngram_range=(1, 2), sublinear_tf=True)
    settings = _("TF-IDF of words and pairs of words, {texts} texts", texts=len(rows))
    try:
        remembered = reader.fit_transform([known[0][row] for row in rows])
    except ValueError:  # no text has a word
        return [known[1][rows[0]] if len(rows) else "" for _text in asked], settings
    turned = remembered.T.tocsr()
    best: list[int] = []
    for start in range(0, len(asked), BLOCK):
        near = reader.transform(asked[start : start + BLOCK]) @ turned
        best += near.toarray().argmax(1).tolist()
    return [known[1][rows[place]] for place in best], settings


def word_by_word(known: Pairs, asked: Sequence[str], seconds: float = 10.0, seed: int = 0) -> tuple[list[str], str]:
    """Each word as what it most probably stands for, and how that was found; an unknown word stays as it is."""
    sources, targets = ([words_of(text) for text in texts] for texts in known)
    sizes = np.array([(len(source) + 1) * len(target) for source, target in zip(sources, targets, strict=True)])
    order = np.random.default_rng([seed, *b"pairs"]).permutation(len(sizes))
    rows = order[np.cumsum(sizes[order]) <= MOST_PAIRS * max(seconds, 1.0)]
    table = dictionary([sources[row] for row in rows], [targets[row] for row in rows])
    said = [" ".join(table.get(word, word) for word in words_of(text)) for text in asked]
    return said, _("IBM model 1, {rounds} rounds of EM, {texts} texts", rounds=ROUNDS, texts=len(rows))


def dictionary(sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> dict[str, str]:
    """What each word of the source most probably stands for.

    Example:
        >>> dictionary([["das", "Haus"], ["das", "Buch"], ["ein", "Buch"]],
        ...            [["the", "house"], ["the", "book"], ["a", "book"]])
        {'Buch': 'book', 'Haus': 'house', 'das': 'the', 'ein': 'a'}
    """
    names, codes = np.unique([NULL, *(word for text in sources for word in text)], return_inverse=True)
    theirs, spoken = np.unique([word for text in targets for word in text], return_inverse=True)
    if not len(theirs):
        return {}
    source_starts = np.cumsum([1, *map(len, sources)])
    target_starts = np.cumsum([0, *map(len, targets)])
    firsts, seconds, places = [], [], []  # P each: source word, target word, which word of all targets that is
    ends = zip(pairwise(source_starts), pairwise(target_starts), strict=True)
    for (begin, end), (start, stop) in ends:
        words = np.append(codes[begin:end], codes[0])
        firsts.append(np.tile(words, stop - start))
        places.append(np.repeat(np.arange(start, stop), len(words)))
        seconds.append(spoken[places[-1]])
    first, place = np.concatenate(firsts), np.concatenate(places)
    kinds, pair = np.unique(first * len(theirs) + np.concatenate(seconds), return_inverse=True)
    of_source = kinds // len(theirs)
    share = np.full(len(kinds), 1.0)  # t(target | source)
    for _round in range(ROUNDS):
        weight = share[pair]
        weight /= np.bincount(place, weight, len(spoken))[place]
        count = np.bincount(pair, weight, len(kinds))
        share = count / np.bincount(of_source, count, len(names))[of_source]
    order = np.lexsort((-share, of_source))
    words, begins = np.unique(of_source[order], return_index=True)
    best = kinds[order[begins]] % len(theirs)
    return {str(names[w]): str(theirs[b]) for w, b in zip(words, best, strict=True) if names[w] != NULL}
