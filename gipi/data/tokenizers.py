"""Tokenizers: how text becomes the numbers that a network reads, and the numbers text again, to the byte.

Five kinds can be trained on a person's texts: characters, words, bpe (byte pair encoding), wordpiece and unigram. Below
each lie the 256 bytes, so there is no text that one cannot say. They are kept as JSON, which is read as if a stranger
had written it: it travels in bundles.
"""

import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from os import PathLike
from typing import Any

from gipi.data import learned_tokens, own_tokens
from gipi.data.learned_tokens import MOST_TOKENS, Learned, checked, damaged, train_learned
from gipi.data.own_tokens import FORMAT, Characters, Words, train_characters, train_words
from gipi.data.tokens import BEGIN, END, MASK, Tokenizer, Writer, whole
from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _

__all__ = ["BEGIN", "END", "KINDS", "MASK", "Tokenizer", "Writer", "open_tokenizer", "tokenizer_of", "train"]

KINDS = ("characters", "words", "bpe", "wordpiece", "unigram")
LARGEST = 1 << 24  # characters of JSON
MOST_LEARNED = 1 << 27  # characters that a tokenizer is trained on; more change it little and take minutes
LOOKED_AT = 100  # texts that say how long they all are
MOST_SIGNS = 1 << 20  # commas and brackets: each may become an object
FEWEST = {**own_tokens.FEWEST, **learned_tokens.FEWEST}


def train(texts: Iterable[str], kind: str, size: int) -> Tokenizer:
    """A tokenizer for texts like these; the same texts give the same one, to the byte.

    Args:
        texts: Training texts only: what is tested on may not have a say. Of a sequence of more than 134 million
            characters, texts at even steps are learned from.
        kind: characters, words, bpe, wordpiece or unigram.
        size: How many ids there may be; fewer where the texts have no more to offer.

    Raises:
        UsageError: There is no such kind, it cannot be that small or large, or it needs a package.

    Example:
        >>> tokenizer = train(["the cat sat on the mat"], "words", 1000)
        >>> [tokenizer.shown(id) for id in tokenizer.encode("the cat!")]
        ['the', 'cat', '!']
        >>> tokenizer.decode(tokenizer.encode("고양이!"))
        '고양이!'
    """
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise UsageError(
            _("There is no kind of tokenizer '{kind}'; there are {known}.", kind=kind, known=known)
            + nearest(kind, [*KINDS])
        )
    if not FEWEST[kind] <= size <= MOST_TOKENS:
        raise UsageError(
            _(
                "A vocabulary of {size} is not possible for {kind}: expected {fewest} (256 bytes and what marks the "
                "beginning and the end) to {most}.",
                size=size,
                kind=kind,
                fewest=FEWEST[kind],
                most=MOST_TOKENS,
            )
        )
    texts = _enough(texts)
    if kind == "characters":
        return train_characters(texts, size)
    return train_words(texts, size) if kind == "words" else train_learned(texts, kind, size)


def _enough(texts: Iterable[str]) -> Iterable[str]:
    """All texts, or at even steps as many as are learned from."""
    if not isinstance(texts, Sequence) or not len(texts):
        return texts
    some = range(0, len(texts), math.ceil(len(texts) / LOOKED_AT))
    step = sum(len(texts[place]) for place in some) / len(some) * len(texts) / MOST_LEARNED
    return texts if step <= 1 else (texts[place] for place in range(0, len(texts), math.ceil(step)))


@lru_cache(maxsize=8)
def tokenizer_of(text: str) -> Tokenizer:
    """The tokenizer of a `to_json()`; asked again, the same one.

    Raises:
        DataError: It is damaged or too large; says in what way.
        UsageError: It needs a package that is not installed.

    Example:
        >>> tokenizer = tokenizer_of(train(["abc"], "characters", 300).to_json())
        >>> tokenizer.kind, tokenizer.size
        ('characters', 259)
    """
    if len(text) > LARGEST:
        raise DataError(
            _("The tokenizer is too large: {size} characters, at most {most}.", size=len(text), most=LARGEST)
        )
    if sum(map(text.count, ",[{")) > MOST_SIGNS:
        raise damaged(_("its tokens are not a list of texts, or too many"))
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(_("it is not JSON")) from error
    if not isinstance(said, dict) or said.get("gipi tokenizer") != FORMAT or said.get("kind") not in KINDS:
        raise damaged(_("it does not say its kind"))
    if said["kind"] == "characters":
        return Characters(_symbols(said.get("symbols"), is_text=True))
    if said["kind"] == "words":
        words, marks = _symbols(said.get("words")), _symbols(said.get("marks"))
        _symbols([*words, *marks])
        return Words(words, marks)
    return Learned(checked(said))


def open_tokenizer(path: str | PathLike) -> Tokenizer:
    """A tokenizer from a file, the folder of a published model, or a run or kept model of gipi.

    Args:
        path: tokenizer.json; vocab.txt of BERT; vocab.json or merges.txt of GPT-2, side by side; a folder that has
            them; a run's folder; a .gipi file.

    Raises:
        UsageError: There is no such file, or a folder has none of these.
        DataError: It is damaged, or of a kind that is not read; says what.

    Example:
        >>> open_tokenizer("runs/reviews-1")                                # doctest: +SKIP
    """
    from gipi.data.published_tokens import published

    return published(path)


def _symbols(value: Any, is_text: bool = False) -> list[str]:
    """A list of different symbols, or the characters of a text."""
    if not isinstance(value, str if is_text else list) or len(value) > MOST_TOKENS:
        raise damaged(_("its tokens are not a list of texts, or too many"))
    symbols = [*value]
    longest = learned_tokens.LONGEST_TOKEN
    if any(not isinstance(symbol, str) or not 0 < len(symbol) <= longest for symbol in symbols):
        raise damaged(_("a token is empty, too long or there twice"))
    if len(set(symbols)) < len(symbols) or any(whole(symbol) != symbol for symbol in symbols):
        raise damaged(_("a token is empty, too long or there twice"))
    return symbols
