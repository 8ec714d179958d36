"""What every tokenizer is: text becomes numbers, the numbers become the same text, and a token stands somewhere in it.

A tokenizer has a table: the bytes that each id says, UTF-8 when they are joined. Tokens that are words may leave out
the blank between two of them; then the blank is said for them. So one Writer turns the ids of every tokenizer into
text, all at once or one by one as a model writes them, where a character may be complete only with its third token.
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

BEGIN, END, MASK = 0, 1, 2  # the ids of every tokenizer that is trained here
NAMES = ("<begin>", "<end>", "<mask>")  # how a person is shown them


class Tokenizer(ABC):
    """Text to ids and back; the ids are 0 to `size - 1`.

    Attributes:
        kind: characters, words, bpe, wordpiece or unigram.
        size: How many ids there are.
        begin: The id that stands before a text.
        end: The id behind a text, between the two texts of a pair and between documents.
        mask: The id in place of a word that is to be found.
        table: The bytes that each id says; nothing for the special ones.
        spaced: 1 for each id that has a blank before it, unless a text, a blank or the joiner stands there.
        special: The ids that say nothing, with their names.
        joiner: The id that takes such a blank away; -1 where there is none.
    """

    kind: str
    size: int
    begin: int
    end: int
    mask: int
    table: list[bytes]
    spaced: bytearray
    special: dict[int, str]
    joiner: int

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a text, with no special ones among them; lone surrogates count as U+FFFD."""

    @abstractmethod
    def pieces(self, text: str) -> list[tuple[int, int, int]]:
        """The same ids, each with the characters of the text, start to before stop, that it stands for.

        A blank before a word is not counted to it. Tokens that share a character each have the whole of it.
        """

    @abstractmethod
    def to_json(self) -> str:
        """What `tokenizer_of` makes it from again."""

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each of many texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[Any]) -> str:
        """The text of these ids; special ones, and negative ones, say nothing."""
        writer = self.writer()
        return "".join([writer.write(int(id)) for id in ids]) + writer.rest()

    def shown(self, id: int) -> str:
        """A token for a person: its text, its name in <>, or its bytes where it is a part of a character."""
        if id in self.special:
            return self.special[id]
        said = self.table[id]
        try:
            return said.decode()
        except UnicodeDecodeError:
            return "".join(f"<{byte:02X}>" for byte in said)

    def writer(self, after: Iterable[Any] = ()) -> "Writer":
        """Writes ids as text one by one.

        Args:
            after: The ids that the text goes on from; they are not written again.
        """
        writer = Writer(self)
        for id in after:
            writer.write(int(id))
        return writer


class Writer:
    """The text of ids that come one by one.

    Example:
        >>> from gipi.data.tokenizers import train
        >>> tokenizer = train(["abc"], "characters", 300)
        >>> writer = tokenizer.writer()
        >>> [writer.write(id) for id in tokenizer.encode("aé")]
        ['a', '', 'é']
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.is_bare = True  # at the beginning, or the last one said was a blank or the joiner

    def write(self, id: int) -> str:
        """The text that this id completes; nothing in the middle of a character. A special id ends what stood there."""
        tokenizer = self.tokenizer
        if id < 0 or id in tokenizer.special:
            left = self.rest()
            self.is_bare = True
            return left
        text = self.decoder.decode(tokenizer.table[id])
        if tokenizer.spaced[id] and not self.is_bare:
            text = " " + text
        if text:
            self.is_bare = text[-1].isspace()
        return text

    def rest(self) -> str:
        """What is left when no more ids come: U+FFFD for a character that was begun."""
        left = self.decoder.decode(b"", final=True)
        self.decoder.reset()
        return left


def whole(text: str) -> str:
    """The text with lone surrogates, which no file can hold, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
