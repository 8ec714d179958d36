"""The bytes of a text file as text: which encoding it is in, what had to be replaced, and a piece at a time.

UTF-8 with or without its mark, UTF-16 and UTF-32 with theirs, CP949 of Korean Windows; and Latin-1, said aloud, where
it is none of these. A line in another encoding than the rest is read in that one. What no text may hold (NUL, half a
surrogate pair) becomes U+FFFD and is counted; nothing is left out. Letters are composed (NFC), lines end with LF.

A file is cut where a line ends, at a blank where a line is very long, and else between two characters; so no more than
a piece is in memory, and the pieces joined are the text.
"""

import contextlib
import gzip
import lzma
import re
import tempfile
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from gipi.data.delimited import is_korean
from gipi.data.kept import cannot_keep, scratch
from gipi.data.marks import composed
from gipi.errors import DataError, reason_of
from gipi.messages import _

PIECE = 1 << 20  # bytes
HEAD = 1 << 16  # bytes that say what a file is
UNPACKED_IN_MEMORY = 1 << 26  # bytes; more of a packed file goes to the disk
PACKER_MEMORY = 1 << 28  # bytes that unpacking .xz may take
PACKED = (".gz", ".xz")
BINARY = 0.02  # the share of control characters from which on bytes are no text; of random bytes a tenth
MARKS = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
MAGIC = (
    b"%PDF",
    b"PK\x03\x04",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x7fELF",
    b"RIFF",
    b"\xd0\xcf\x11\xe0",
    b"{\\rtf",
)
LONE = re.compile("[\0\ud800-\udfff]")

Progress = Callable[[str, int, int | None], None]


def clean(text: str) -> str:
    """The text as it is learned from: NFC, LF, and U+FFFD in place of NUL and half surrogate pairs.

    Example:
        >>> clean("cafe\\u0301\\r\\n") == "café\\n"
        True
    """
    return _cleaned(text)[0]


def _cleaned(text: str) -> tuple[str, int]:
    is_whole = "\0" not in text and (text.isascii() or not LONE.search(text))
    text, replaced = (text, 0) if is_whole else LONE.subn("\ufffd", text)
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    return (text if unicodedata.is_normalized("NFC", text) else composed(text)), replaced


@dataclass
class Noticed:
    """What was noticed in a file.

    Attributes:
        encoding: What it is in.
        replaced: How many characters became U+FFFD.
        lines: How many lines are in another encoding, for each.
    """

    encoding: str = "utf-8"
    replaced: int = 0
    lines: Counter[str] = field(default_factory=Counter)

    def notes(self, file: str) -> list[str]:
        """Sentences for a person."""
        said = []
        if self.encoding == "cp949":
            said.append(_("{file}: read as {encoding}, an encoding of Korean", file=file, encoding="CP949 (EUC-KR)"))
        if self.encoding == "cp1252":
            said.append(
                _(
                    "{file}: read as Latin-1 (Western European), because it is neither UTF-8 nor Korean; check the "
                    "letters",
                    file=file,
                )
            )
        for encoding, count in self.lines.items():
            name = {"cp949": "CP949", "cp1252": "Latin-1", "utf-8": "UTF-8"}[encoding]
            said.append(
                _(
                    "{file}: lines in another encoding than the rest, read as {encoding}: {count}",
                    file=file,
                    encoding=name,
                    count=count,
                )
            )
        if self.replaced:
            said.append(
                _(
                    "{file}: characters that no text may hold (NUL, halves of pairs, broken ones), replaced by U+FFFD: "
                    "{count}",
                    file=file,
                    count=self.replaced,
                )
            )
        return said


def opened(path: Path) -> IO[bytes]:
    """A text file, unpacked if need be, that can be read from any place.

    Raises:
        DataError: It cannot be read, is damaged, or is no text.
    """
    suffix = path.suffix.lower()
    try:
        file = path.open("rb")
        if suffix in PACKED:
            with file:
                file = _unpacked(file, path)
    except OSError as error:
        raise DataError(_("{path} cannot be read: {problem}", path=path, problem=reason_of(error))) from None
    return file


def head_of(path: Path) -> bytes:
    """How a text file begins, unpacked if need be, and no more than that.

    Raises:
        DataError: It cannot be read, or is damaged there.
    """
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if suffix not in PACKED:
                return file.read(HEAD)
            pieces = _of_gz(file) if suffix == ".gz" else _of_xz(file)
            return next(pieces, b"")[:HEAD]
    except OSError as error:
        raise DataError(_("{path} cannot be read: {problem}", path=path, problem=reason_of(error))) from None
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(_("{file} is cut off or damaged ({what}); get it again, or unpack it", file=path.name, what=error))


def _unpacked(file: IO[bytes], path: Path) -> IO[bytes]:
    """What is packed, in memory or, if it is much, in a file that has no name and goes with the process."""
    pieces = _of_gz(file) if path.suffix.lower() == ".gz" else _of_xz(file)
    out = tempfile.SpooledTemporaryFile(UNPACKED_IN_MEMORY, dir=str(scratch()))  # noqa: SIM115  # the caller's to close
    written = 0
    try:
        for piece in pieces:
            if not written:
                encoding_of(piece[:HEAD], path.name)  # a file of zeros is not unpacked to the end of the disk
            try:
                out.write(piece)
            except OSError as error:
                raise cannot_keep(error, scratch(), written + PIECE) from error
            written += len(piece)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        out.close()
        raise _damaged(path, error) from None
    out.seek(0)
    return out  # type: ignore[return-value]


def _of_gz(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as unpacking:
        while piece := unpacking.read(PIECE):
            yield piece


def _of_xz(file: IO[bytes]) -> Iterator[bytes]:
    """Streams one after the other, as xz writes them; what a file asks for of memory is bounded."""
    left = file.read(PIECE)
    while left:
        unpacking = lzma.LZMADecompressor(memlimit=PACKER_MEMORY)
        while not unpacking.eof:
            if piece := unpacking.decompress(left, PIECE):
                yield piece
            left = b"" if not unpacking.needs_input or unpacking.eof else file.read(PIECE)
            if not left and unpacking.needs_input and not unpacking.eof:
                raise EOFError("no end of the stream")
        left = unpacking.unused_data.lstrip(b"\0") or file.read(PIECE)


# --- which encoding ----------------------------------------------------------------------------------------------


def encoding_of(head: bytes, file: str) -> str:
    """What a file that begins so is written in.

    Raises:
        DataError: It is no text.
    """
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    controls = len(head) - len(head.translate(None, bytes([*range(9), *range(14, 27), *range(28, 32), 127])))
    if head.startswith(MAGIC) or controls > BINARY * len(head):
        raise DataError(
            _(
                "{file} is not text (a picture, a program, a document of an office?); save it as text in UTF-8",
                file=file,
            )
        )
    for left in range(4):  # the last character may be cut
        try:
            head[: len(head) - left].decode()
            return "utf-8"
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                break
    broken = head.decode(errors="replace").count("\ufffd")
    right = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", head.decode(errors="replace"))))
    if right > 10 * broken:
        return "utf-8"  # but for a few lines
    return "cp949" if _is_cp949(head) else "cp1252"


def _is_cp949(content: bytes) -> bool:
    text = content.decode("cp949", errors="replace")
    foreign = sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
    return text.count("\ufffd") <= (len(content) == HEAD) + foreign // 10 and is_korean(text)


def decoded(content: bytes, noticed: Noticed, is_first: bool = True) -> str:
    """Whole lines, or a piece between two blanks, as clean text; what is odd is added to what was noticed."""
    encoding = noticed.encoding
    if is_first and encoding.startswith("utf-"):
        content = content.removeprefix("\ufeff".encode(encoding))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding in ("utf-8", "cp949", "cp1252"):
            text = "".join(_line(line, noticed) for line in content.splitlines(keepends=True))
        else:
            text = content.decode(encoding, errors="replace")
            noticed.replaced += text.count("\ufffd")
    text, replaced = _cleaned(text)
    noticed.replaced += replaced
    return text


def _line(line: bytes, noticed: Noticed) -> str:
    """A line in the encoding of the rest; in another if it is in that; else with U+FFFD for what is broken."""
    with contextlib.suppress(UnicodeDecodeError):
        return line.decode(noticed.encoding)
    text = line.decode(errors="replace")
    broken = text.count("\ufffd")
    is_broken = sum(letter > "\x7f" for letter in text) > 2 * broken  # more letters are right in UTF-8 than not
    if broken and is_broken:
        noticed.replaced += broken
        return text
    encoding = "utf-8" if not broken else "cp949" if _is_cp949(line) else "cp1252"
    noticed.lines[encoding] += 1
    text = line.decode(encoding, errors="replace")
    return line.decode("latin-1") if encoding == "cp1252" and "\ufffd" in text else text


# --- in pieces ---------------------------------------------------------------------------------------------------


def cut(file: IO[bytes], encoding: str, size: int = PIECE) -> Iterator[tuple[int, bytes]]:
    """Pieces of about `size` bytes, with the place in the file where each begins."""
    file.seek(0)
    start, left = 0, b""
    while True:
        block = left + file.read(size - len(left) if len(left) < size else size)
        is_last = len(block) < size
        if not block:
            return
        stop = len(block) if is_last else _where(block, encoding)
        yield start, block[:stop]
        start, left = start + stop, block[stop:]
        if is_last:
            return


def _where(block: bytes, encoding: str) -> int:
    """Behind the last line's end in the block, or the last blank, or between two characters."""
    width = {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)
    for sign in ("\n", " "):
        found = len(block)
        encoded = sign.encode(encoding)
        while (found := block.rfind(encoded, 0, found)) >= 0:
            if found % width == 0:
                return found + width
            found += width - 1
    stop = len(block) - len(block) % width
    if encoding == "utf-8":
        while stop > len(block) - 4 and block[stop - 1] & 0xC0 == 0x80:
            stop -= 1
        stop -= block[stop - 1] >= 0xC0
    elif encoding.startswith("utf-16") and block[stop - (2 if encoding.endswith("be") else 1)] & 0xFC == 0xD8:
        stop -= 2
    elif encoding == "cp949":
        high = 0
        while high < stop and block[stop - 1 - high] >= 0x81:
            high += 1
        stop -= high % 2
    return stop - (width == 1 and stop > 1 and block[stop - 1] == 13)


class Pieces(Sequence[str]):
    """The pieces of a large file, each read when it is asked for."""

    def __init__(self, file: IO[bytes], encoding: str, places: Sequence[int]):
        self.file = file
        self.encoding = encoding
        self.places = np.asarray(places, np.int64)  # where each begins, and where the last ends

    def __len__(self) -> int:
        return len(self.places) - 1

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        self.file.seek(int(self.places[place]))
        return decoded(
            self.file.read(int(self.places[place + 1] - self.places[place])), Noticed(self.encoding), place == 0
        )


def read_text(path: Path) -> tuple[str, list[str]]:
    """A file as one clean text, and notes.

    Raises:
        DataError: It cannot be read, or is no text.
    """
    with opened(path) as file:
        return text_of(file.read(), path.name)


def text_of(content: bytes, file: str) -> tuple[str, list[str]]:
    """The bytes of a file as one clean text, and notes.

    Raises:
        DataError: It is no text.
    """
    noticed = Noticed(encoding_of(content[:HEAD], file))
    text = decoded(content, noticed)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # Macintosh before 2001
    return text, noticed.notes(file)
