"""Tokenizers that need no package: characters and words, and 256 bytes for all that they do not know.

Both know the symbols that their training texts have most often. An ASCII character is its own byte; any other symbol
that is not known is spelled in UTF-8, a token a byte, so every text can be said and comes back as it was.

The one blank before a word is not spelled: between `the` and `cat` stands nothing, and where there is no blank, a
joiner is spelled instead, as in `(cat`. So a sentence of ten words is ten ids and not nineteen.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

from gipi.data.tokens import BEGIN, END, MASK, NAMES, Tokenizer, whole

FORMAT = 1  # of to_json
BYTE = 3  # the id of byte 0
JOINER = BYTE + 256
FEWEST = {"characters": JOINER, "words": JOINER + 1}  # ids that there are in any case
REMEMBERED = 1 << 18  # cuts of text whose ids are kept at hand
LONGEST_REMEMBERED = 64  # characters; a longer cut hardly comes again
MOST_COUNTED = 1 << 22  # different cuts of text; beyond, those that were seen once are let go

_BYTES = [bytes([byte]) for byte in range(256)]


class Characters(Tokenizer):
    """Each character is a token; one that is not known is spelled in bytes."""

    def __init__(self, symbols: Sequence[str]):
        self.kind = "characters"
        self.begin, self.end, self.mask = BEGIN, END, MASK
        self.special, self.joiner = dict(enumerate(NAMES)), -1
        self.symbols = symbols
        self.table = [b"", b"", b"", *_BYTES, *(symbol.encode() for symbol in symbols)]
        self.size = len(self.table)
        self.spaced = bytearray(self.size)
        self._ids = _CharacterIds({symbol: (JOINER + place,) for place, symbol in enumerate(symbols)})

    def encode(self, text: str) -> list[int]:
        return [*chain.from_iterable(map(self._ids.__getitem__, whole(text)))]

    def pieces(self, text: str) -> list[tuple[int, int, int]]:
        return [(id, at, at + 1) for at, character in enumerate(whole(text)) for id in self._ids[character]]

    def to_json(self) -> str:
        return said_shortly({"gipi tokenizer": FORMAT, "kind": self.kind, "symbols": "".join(self.symbols)})


class Words(Tokenizer):
    """Each word is a token, and each mark; one that is not known is spelled in bytes."""

    def __init__(self, words: Sequence[str], marks: Sequence[str]):
        self.kind = "words"
        self.begin, self.end, self.mask = BEGIN, END, MASK
        self.special, self.joiner = {**dict(enumerate(NAMES)), JOINER: "<joined>"}, JOINER
        self.words, self.marks = words, marks
        known = [*words, *marks]
        self.table = [b"", b"", b"", *_BYTES, b"", *(symbol.encode() for symbol in known)]
        self.size = len(self.table)
        self.spaced = bytearray(self.size)
        self.spaced[JOINER + 1 : JOINER + 1 + len(words)] = b"\1" * len(words)
        self._known = {symbol: JOINER + 1 + place for place, symbol in enumerate(known)}
        self._ids = _CutIds(self)

    def encode(self, text: str) -> list[int]:
        cuts = _cutter().findall(whole(text))
        first = [id for id, _start, _stop in self.spelled(cuts[0], is_first=True)] if cuts else []
        return [*first, *chain.from_iterable(map(self._ids.__getitem__, cuts[1:]))]

    def pieces(self, text: str) -> list[tuple[int, int, int]]:
        return [
            (id, cut.start() + start, cut.start() + stop)
            for cut in _cutter().finditer(whole(text))
            for id, start, stop in self.spelled(cut[0], is_first=cut.start() == 0)
        ]

    def spelled(self, cut: str, is_first: bool) -> list[tuple[int, int, int]]:
        """The ids of a word or mark with all blanks before it, and where in the cut they stand."""
        core = cut.lstrip()
        at = len(cut) - len(core)
        known = self._known.get(core, -1)
        if known < 0:
            return _in_bytes(cut)
        here = (known, at, len(cut))
        if not self.spaced[known] or cut[:at] not in ("", " ") or (at and is_first):
            return [*_in_bytes(cut[:at]), here]
        return [here] if at or is_first else [(JOINER, 0, 0), here]

    def to_json(self) -> str:
        said = {"gipi tokenizer": FORMAT, "kind": self.kind, "words": [*self.words], "marks": [*self.marks]}
        return said_shortly(said)


def said_shortly(said: dict[str, Any]) -> str:
    """As JSON with no blanks; letters stay letters, as the text will be escaped once more inside a bundle's JSON."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


class _CharacterIds(dict):
    """Ids of each character; of an unknown one when it comes."""

    def __missing__(self, character: str) -> tuple[int, ...]:
        self[character] = ids = tuple(id for id, _start, _stop in _in_bytes(character))
        return ids


class _CutIds(dict):
    """Ids of each cut that came before."""

    def __init__(self, words: Words):
        self.words = words

    def __missing__(self, cut: str) -> tuple[int, ...]:
        ids = tuple([id for id, _start, _stop in self.words.spelled(cut, is_first=False)])
        if len(cut) <= LONGEST_REMEMBERED:
            if len(self) >= REMEMBERED:
                self.clear()
            self[cut] = ids
        return ids


def _in_bytes(text: str) -> list[tuple[int, int, int]]:
    return [(BYTE + byte, at, at + 1) for at, character in enumerate(text) for byte in character.encode()]


# --- training ----------------------------------------------------------------------------------------------------


def train_characters(texts: Iterable[str], size: int) -> Characters:
    """The characters beyond ASCII that these texts have most often, as many as there is room for."""
    counts = counted(texts, whole)
    for character in [*counts]:
        if character.isascii():
            del counts[character]
    return Characters(sorted(most_often(counts, size - FEWEST["characters"])))


def train_words(texts: Iterable[str], size: int) -> Words:
    """The words and the marks beyond ASCII that these texts have most often, as many as there is room for."""
    cuts: Counter[str] = Counter()
    for cut, count in counted(texts, lambda text: _cutter().findall(whole(text))).items():
        cuts[cut.lstrip()] += count
    is_word = _word().fullmatch
    for core in [*cuts]:
        if not core or len(core) > LONGEST_REMEMBERED or (core.isascii() and not is_word(core)):
            del cuts[core]
    kept = most_often(cuts, size - FEWEST["words"])
    return Words([core for core in kept if is_word(core)], [core for core in kept if not is_word(core)])


def counted(texts: Iterable[str], cut) -> Counter[str]:
    """How often each cut comes; of too many different ones, those that were seen once are let go on the way."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(cut(text))
        if len(counts) > MOST_COUNTED:
            counts = Counter({cut: count for cut, count in counts.items() if count > 1})
    return counts


def most_often(counts: Counter[str], many: int) -> list[str]:
    """So many symbols, the most frequent first; of equally frequent ones the first in the order of Unicode."""
    return sorted(counts, key=lambda symbol: (-counts[symbol], symbol))[: max(0, many)]


# --- where words end ---------------------------------------------------------------------------------------------


@cache
def _word() -> re.Pattern[str]:
    """Letters, digits, their accents and vowel signs, and apostrophes within."""
    signs = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
    return re.compile(f"[\\w{signs}]+(?:['’][\\w{signs}]+)*")


@cache
def _cutter() -> re.Pattern[str]:
    """A word or mark with all blanks before it; at the end, blanks. The cuts of a text, joined, are the text."""
    return re.compile(rf"\s*(?:{_word().pattern}|\S)|\s+")
