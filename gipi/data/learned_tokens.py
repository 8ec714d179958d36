"""Tokenizers of the `tokenizers` package: BPE, WordPiece and Unigram over bytes, and those that others have published.

Below lie 256 symbols, one for each byte, so nothing is unknown. What is kept is our own plain JSON: the tokens in the
order of their ids, merges or scores, and how text is cut; the package's own files, which may hold patterns and programs
of many kinds, are never handed to it. The special tokens have names with a blank, which text in bytes never has, so no
text can be taken for one.

A cut of text, the blanks with the word behind them, always has the same ids: they are found once and remembered.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from gipi.data.own_tokens import FORMAT, counted, said_shortly
from gipi.data.tokens import BEGIN, END, MASK, NAMES, Tokenizer, whole
from gipi.data.unigram import train_pieces
from gipi.errors import DataError, UsageError
from gipi.messages import _

SPECIAL = ("< begin >", "< end >", "< mask >")
PREFIX = "## "  # of a WordPiece token that goes on with a word; the blank keeps it apart from a text's own ##
LONGEST_WORD = 64  # bytes that WordPiece looks at together: its time grows with their square
FEWEST = {"bpe": 3 + 256, "wordpiece": 3 + 2 * 256, "unigram": 3 + 256}
AT_ONCE = 1 << 14  # cuts
REMEMBERED = 1 << 22  # characters of cuts whose ids are kept at hand
MOST_TOKENS = 1 << 17  # more would make a bundle that takes too much memory to read; multilingual BERT has 119,547
LONGEST_TOKEN = 1024  # characters
NORMAL = ("clean", "chinese", "accents", "lower")  # what BERT does to text before it is cut

# Blanks as Unicode lists them: Python's \s has four control characters more, and then cuts would not agree.
_BLANKS = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CUTS = {"bytes": re.compile(f"[{_BLANKS}]*[^{_BLANKS}]+|[{_BLANKS}]+"), "bert": re.compile("[ \t\n\r]*[^ \t\n\r]+")}


def byte_symbols() -> list[str]:
    """The character that stands for each byte, as GPT-2 has them: itself where it can be printed."""
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printed else next(others)) for byte in range(256)]


_SYMBOLS = byte_symbols()
_BYTE_OF = {symbol: byte for byte, symbol in enumerate(_SYMBOLS)}


class Learned(Tokenizer):
    """A tokenizer whose pieces were learned; `said` is what `checked` has passed."""

    def __init__(self, said: dict[str, Any]):
        self.said, self.kind = said, said["kind"]
        tokens: list[str] = said["tokens"]
        self.size = len(tokens)
        self.begin, self.end, self.mask = said["begin"], said["end"], said["mask"]
        self.special = {id: tokens[id] for id in said["special"]}
        if self.special.get(BEGIN) == SPECIAL[BEGIN]:
            self.special |= dict(enumerate(NAMES))
        self.joiner = -1
        self.table, self.spaced = _table(said)
        self._cut = _CUTS[said["cut"]]
        self._blank_first = said["blank_first"]
        self._inner = _inner(said)
        self._known: dict[str, tuple[int, ...]] = {}
        self._remembered = 0

    def encode(self, text: str) -> list[int]:
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        cuts = [self._cut.findall(self._begun(whole(text))) for text in texts]
        different = set(chain.from_iterable(cuts))
        known = self._known
        new = sorted(different.difference(known))
        self._remembered += sum(map(len, new))
        if self._remembered > REMEMBERED:  # another dictionary, as another thread may be reading this one
            new = sorted(different)
            known = self._known = {}
            self._remembered = sum(map(len, new))
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            for cut, found in zip(some, self._inner.encode_batch_fast(some, add_special_tokens=False), strict=True):
                known[cut] = tuple(found.ids)
        return [[*chain.from_iterable(map(known.__getitem__, cut))] for cut in cuts]

    def pieces(self, text: str) -> list[tuple[int, int, int]]:
        text = whole(text)
        begun = self._begun(text)
        more = len(begun) - len(text)
        found = self._inner.encode(begun, add_special_tokens=False)
        pieces = []
        for id, (start, stop) in zip(found.ids, found.offsets, strict=True):
            start, stop = max(0, start - more), max(0, stop - more)
            while start < stop - 1 and text[start].isspace():
                start += 1
            pieces.append((id, start, stop))
        return pieces

    def to_json(self) -> str:
        return said_shortly(self.said)

    def _begun(self, text: str) -> str:
        return " " + text if self._blank_first and text and not text.startswith(" ") else text


def _table(said: dict[str, Any]) -> tuple[list[bytes], bytearray]:
    """What each id says, and which have a blank before them."""
    prefix, special, table = said.get("prefix", ""), set(said["special"]), []
    spaced = bytearray(len(said["tokens"]))
    for id, token in enumerate(said["tokens"]):
        own = token[len(prefix) :] if prefix and token.startswith(prefix) else token
        if id in special:
            table.append(b"")
        elif said["cut"] == "bytes":
            table.append(bytes([_BYTE_OF[symbol] for symbol in own]))
        else:
            table.append(own.encode())
            spaced[id] = own is token
    return table, spaced


def _inner(said: dict[str, Any]) -> Any:
    """The package's tokenizer, built part by part."""
    tokenizers = package()
    models, before = tokenizers.models, tokenizers.pre_tokenizers
    tokens: list[str] = said["tokens"]
    number = {token: id for id, token in enumerate(tokens)}
    if said["kind"] == "bpe":
        model = models.BPE(vocab=number, merges=_pairs(said))
    elif said["kind"] == "wordpiece":
        own = {"unk_token": tokens[said["unknown"]], "continuing_subword_prefix": said["prefix"]}
        model = models.WordPiece(vocab=number, max_input_chars_per_word=100, **own)
    else:
        model = models.Unigram([*zip(tokens, said["scores"], strict=True)], None, False)
    made = tokenizers.Tokenizer(model)
    if said["cut"] == "bytes":
        made.pre_tokenizer = before.ByteLevel(add_prefix_space=False, use_regex=True)
        if said["kind"] == "wordpiece":
            short = before.Split(tokenizers.Regex(f".{{1,{LONGEST_WORD}}}"), "isolated")
            made.pre_tokenizer = before.Sequence([made.pre_tokenizer, short])
        return made
    how = said["normal"]
    made.normalizer = tokenizers.normalizers.BertNormalizer(how["clean"], how["chinese"], how["accents"], how["lower"])
    made.pre_tokenizer = before.BertPreTokenizer()
    return made


def _pairs(said: dict[str, Any]) -> list[tuple[str, str]]:
    """The tokens that BPE joins, the first pair first: two ids after two ids."""
    tokens, merges = said["tokens"], said["merges"]
    return [(tokens[one], tokens[other]) for one, other in zip(merges[::2], merges[1::2], strict=True)]


def package() -> Any:
    """The `tokenizers` package.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise UsageError(
            _(
                "BPE, WordPiece and Unigram need the package tokenizers: pip install 'gipi[text]'. Characters and "
                "words need none."
            )
        ) from error
    return tokenizers


# --- training ----------------------------------------------------------------------------------------------------


def train_learned(texts: Iterable[str], kind: str, size: int) -> Learned:
    """Pieces that make these texts short, at most `size` with the bytes and the special tokens."""
    train = {"bpe": _train_bpe, "wordpiece": _train_wordpiece, "unigram": _train_unigram}[kind]
    said = {"gipi tokenizer": FORMAT, "kind": kind, "cut": "bytes", "blank_first": False}
    said |= {"begin": BEGIN, "end": END, "mask": MASK, "special": [BEGIN, END, MASK], **train(texts, size)}
    return Learned(checked(said))


def _train_bpe(texts: Iterable[str], size: int) -> dict[str, Any]:
    tokenizers = package()
    model = _trained(texts, tokenizers.models.BPE(), tokenizers.trainers.BpeTrainer, size, list(SPECIAL))
    number = model["vocab"]
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
    return {
        "tokens": sorted(number, key=number.__getitem__),
        "merges": [number[token] for pair in merges for token in pair],
    }


def _train_wordpiece(texts: Iterable[str], size: int) -> dict[str, Any]:
    tokenizers = package()
    # Named beforehand, the 256 that go on with a word are all there, and have the same ids whatever word came first
    names = [*SPECIAL, *(PREFIX + symbol for symbol in sorted(_SYMBOLS))]
    empty = tokenizers.models.WordPiece(continuing_subword_prefix=PREFIX)
    model = _trained(texts, empty, tokenizers.trainers.WordPieceTrainer, size, names, PREFIX)
    number = model["vocab"]
    return {"tokens": sorted(number, key=number.__getitem__), "prefix": PREFIX, "unknown": MASK}


def _trained(
    texts: Iterable[str], model: Any, trainer: Any, size: int, names: list[str], prefix: str | None = None
) -> dict[str, Any]:
    """The package's model, as JSON, after its trainer has seen the texts."""
    tokenizers = package()
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    own = {"continuing_subword_prefix": prefix} if prefix else {}
    how = trainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=names,
        initial_alphabet=sorted(_SYMBOLS),
        show_progress=False,
        **own,
    )
    inner.train_from_iterator(map(whole, texts), how)
    return json.loads(inner.to_str())["model"]


def _train_unigram(texts: Iterable[str], size: int) -> dict[str, Any]:
    before = package().pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    words: Counter[str] = Counter()
    for cut, count in counted(texts, lambda text: _CUTS["bytes"].findall(whole(text))).items():
        for _symbols, (start, stop) in before.pre_tokenize_str(cut):
            words[cut[start:stop]] += count
    found = train_pieces(words, size - FEWEST["unigram"])
    in_bytes = {"".join(_SYMBOLS[byte] for byte in piece.encode()): round(score, 6) for piece, score in found}
    rare = min([*in_bytes.values(), 0.0]) - 1.0
    pieces = {**in_bytes, **{symbol: in_bytes.get(symbol, rare) for symbol in sorted(_SYMBOLS)}}
    return {"tokens": [*SPECIAL, *pieces], "scores": [rare, rare, rare, *pieces.values()]}


# --- what came from elsewhere ------------------------------------------------------------------------------------


def checked(said: dict[str, Any]) -> dict[str, Any]:
    """What a learned tokenizer says of itself, if nothing in it can do harm or break.

    Raises:
        DataError: Says what is wrong.
    """
    tokens: Any = said.get("tokens")
    if not _is_list(tokens, str) or not 0 < len(tokens) <= MOST_TOKENS:
        raise damaged(_("its tokens are not a list of texts, or too many"))
    if any(not 0 < len(token) <= LONGEST_TOKEN for token in tokens) or len(set(tokens)) < len(tokens):
        raise damaged(_("a token is empty, too long or there twice"))
    if any(whole(token) != token for token in tokens):
        raise damaged(_("a token is not text"))
    size = len(tokens)
    if not _is_list(said.get("special"), int) or not all(_is_id(id, size) for id in said["special"]):
        raise damaged(_("its special tokens are not among its tokens"))
    if not all(_is_id(said.get(name), size) for name in ("begin", "end", "mask")):
        raise damaged(_("its special tokens are not among its tokens"))
    if said.get("cut") not in _CUTS or not isinstance(said.get("blank_first"), bool):
        raise damaged(_("it does not say how text is cut"))
    if said["cut"] == "bytes":
        _check_bytes(said)
    elif not _is_normal(said.get("normal")) or said["kind"] != "wordpiece":
        raise damaged(_("it does not say how text is cut"))
    _CHECKS[said["kind"]](said)
    return said


def _check_bytes(said: dict[str, Any]) -> None:
    special, prefix = set(said["special"]), said.get("prefix", "")
    own = {token for id, token in enumerate(said["tokens"]) if id not in special}
    if not own.issuperset(_SYMBOLS):
        raise damaged(_("not every byte is among its tokens"))
    if prefix and not own.issuperset(prefix + symbol for symbol in _SYMBOLS):
        raise damaged(_("not every byte is among its tokens"))
    for token in own:
        if not _BYTE_OF.keys() >= set(token.removeprefix(prefix)):
            raise damaged(_("a token is not text"))


def _check_bpe(said: dict[str, Any]) -> None:
    merges: Any = said.get("merges")
    size, known = len(said["tokens"]), set(said["tokens"])
    if not _is_list(merges, int) or len(merges) % 2 or len(merges) > 2 * MOST_TOKENS:
        raise damaged(_("its merges are not pairs of its tokens"))
    if not all(_is_id(id, size) for id in merges) or any(one + other not in known for one, other in _pairs(said)):
        raise damaged(_("its merges are not pairs of its tokens"))


def _check_wordpiece(said: dict[str, Any]) -> None:
    prefix = said.get("prefix")
    if not isinstance(prefix, str) or not 0 < len(prefix) <= 8 or not _is_id(said.get("unknown"), len(said["tokens"])):
        raise damaged(_("it does not say how a word goes on"))


def _check_unigram(said: dict[str, Any]) -> None:
    scores: Any = said.get("scores")
    is_right = _is_list(scores, (int, float)) and len(scores) == len(said["tokens"])
    if not is_right or not all(math.isfinite(score) and abs(score) < 1e6 for score in scores):
        raise damaged(_("its scores are not a number for each token"))


_CHECKS = {"bpe": _check_bpe, "wordpiece": _check_wordpiece, "unigram": _check_unigram}


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)


def _is_id(value: Any, size: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < size


def _is_normal(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != set(NORMAL):
        return False
    return all(isinstance(value[name], bool) or (name == "accents" and value[name] is None) for name in NORMAL)


def damaged(reason: str) -> DataError:
    return DataError(_("The tokenizer is damaged: {reason}.", reason=reason))
