"""The one zip that a bundle may be: parts stored as they are, each header the one that we would have written.

    local header, name, payload | ... | one directory entry a part | end record | sha256 of all before it, in letters

A zip says everything twice, and two programs can read two things in one file. So nothing is looked up here: the file is
read once, from its first byte to its last; of each part the name, checksum and size are taken, and all else must be,
byte for byte, what `packed` writes for them. What `packed` writes is what Python's zipfile writes (APPNOTE.TXT 6.3.10
of PKWARE gives the fields), with zipfile's rule for where the long fields of ZIP64 begin.
"""

import hashlib
import os
import stat
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack, unpack_from
from typing import IO

import numpy as np

from gipi.messages import _
from gipi.release.refused import Refused

NAMES = ("bundle.json", "weights.safetensors", "program.onnx", "examples.json")  # and in this order
SUM = 64  # bytes of a sha256 in letters
PIECE = 1 << 20  # bytes read at once: what was read is hashed while the processor still has it
ALIGNED = 64  # bytes: the start of a part in memory, so that tensors in it lie as kernels like them

LONG = (1 << 31) - 1  # past this zipfile writes ZIP64's fields, of 8 bytes
ALMOST_LONG = 1.05  # a local header is written before the size is sure, so zipfile leaves room from here on
FULL = 0xFFFFFFFF  # in a field of 4 bytes: see the one of 8 bytes
PLAIN, ZIP64 = 20, 45  # the version of the format that is needed
DATE = 1 << 5 | 1  # 1 January 1980: the same bundle has the same bytes, whenever it is written
UNIX = 3
MODE = 0o600 << 16
HEAD = 30  # bytes of a local header, before the name


@dataclass(frozen=True)
class _Part:
    name: str
    crc: int
    size: int
    start: int  # of its local header


def packed(parts: Sequence[tuple[str, Sequence[bytes | memoryview]]]) -> list[bytes | memoryview]:
    """The pieces of a whole bundle, one after the other; large payloads are neither copied nor joined.

    Args:
        parts: Name and payload of each part, the payload in pieces; names as in `NAMES` and in their order.

    Example:
        >>> pieces = packed([("bundle.json", [b"{}"])])
        >>> len(pieces[-1])
        64
    """
    names = [name for name, _payload in parts]
    assert names == [name for name in NAMES if name in names], names
    pieces: list[bytes | memoryview] = []
    known: list[_Part] = []
    place = 0
    for name, payload in parts:
        crc, size = 0, 0
        for piece in payload:
            crc, size = zlib.crc32(piece, crc), size + memoryview(piece).nbytes
        part = _Part(name, crc, size, place)
        header = _header(part)
        known.append(part)
        pieces += [header, *payload]
        place += len(header) + size
    pieces.append(_directory(known, place))
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return [*pieces, digest.hexdigest().encode()]


def read(path: str | Path, largest: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The parts of a bundle, after one pass over it in which everything is checked.

    Args:
        path: The file; nothing else is opened.
        largest: For each part that is wanted, how many bytes it may have at most. Other parts are checked and not kept.

    Returns:
        The bytes of each part that is there and wanted, uint8 `(size,)`, its start aligned to 64 bytes.

    Raises:
        Refused: It is not a bundle as `packed` writes it, or its checksum does not hold.
        OSError: It cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     place = Path(folder) / "a.gipi"
        ...     _ = place.write_bytes(b"".join(packed([("bundle.json", [b"{}"])])))
        ...     bytes(read(place, {"bundle.json": 100})["bundle.json"])
        b'{}'
    """
    with _opened(path) as file:
        return _File(file).parts(largest)


def _opened(path: str | Path) -> IO[bytes]:
    """The file, if it is one: a pipe or a device would keep us waiting, or give without end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused(_("it is not a file"))
        return os.fdopen(handle, "rb", buffering=0)
    except BaseException:
        os.close(handle)
        raise


class _File:
    """A file that is read once, from start to end, and hashed on the way."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.place = 0
        self.digest = hashlib.sha256()

    def parts(self, largest: Mapping[str, int]) -> dict[str, np.ndarray]:
        known: list[_Part] = []
        kept: dict[str, np.ndarray] = {}
        while (start := self.taken(4)) == b"PK\3\4":
            part = self.part(start, NAMES[1 + NAMES.index(known[-1].name) :] if known else NAMES)
            known.append(part)
            if part.name not in largest:
                self.payload(part, None)
            elif part.size > largest[part.name]:
                raise Refused(_("{part} is too large: {size} bytes", part=part.name, size=part.size))
            else:
                kept[part.name] = _aligned(part.size)
                self.payload(part, kept[part.name])
        end = _directory(known, self.place - len(start))
        if self.size != self.place - len(start) + len(end) + SUM or start + self.taken(len(end) - len(start)) != end:
            raise Refused(_("it is no zip as gipi writes it"))
        written = self.digest.hexdigest().encode()
        if self.taken(SUM) != written or self.file.read(1):
            raise Refused(_("its checksum does not hold"))
        return kept

    def part(self, start: bytes, names: tuple[str, ...]) -> _Part:
        """What a local header says, if it is written as we would write it and names a part that may come now."""
        place = self.place - len(start)
        head = start + self.taken(HEAD - len(start))
        crc, _stored, size, length, more = unpack_from("<IIIHH", head, 14)
        if length > max(map(len, NAMES)) or more not in (0, 20):
            raise Refused(_("it is no zip as gipi writes it"))
        said, extra = self.taken(length), self.taken(more)
        if more:
            size = unpack_from("<Q", extra, 4)[0]
        name = next((name for name in names if name.encode() == said), None)
        if name is None:
            came = said.decode("ascii", "replace")
            raise Refused(_("it has a part that does not belong there: {name}", name=ascii(came)))
        part = _Part(name, crc, size, place)
        if head + said + extra != _header(part):
            raise Refused(_("it is no zip as gipi writes it"))
        if size > self.size - self.place:
            raise Refused(_("{part} is cut short", part=name))
        return part

    def payload(self, part: _Part, into: np.ndarray | None) -> None:
        """The bytes of a part, where they are wanted, or only looked at."""
        room = memoryview(bytearray(min(PIECE, part.size)) if into is None else into)  # type: ignore[arg-type]
        crc, left = 0, part.size
        while left:
            begin = 0 if into is None else part.size - left
            piece = room[begin : begin + min(PIECE, left)]
            self.fill(piece)
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
        if crc != part.crc:
            raise Refused(_("{part} is damaged", part=part.name))

    def taken(self, count: int) -> bytes:
        room = bytearray(count)
        self.fill(memoryview(room))
        return bytes(room)

    def fill(self, room: memoryview) -> None:
        """Exactly as many bytes as there is room for."""
        done = 0
        while done < len(room):
            came = self.file.readinto(room[done:])  # type: ignore[attr-defined]  # files have it
            if not came:
                raise Refused(_("it is cut short"))
            done += came
        self.place += done
        self.digest.update(room)


def _aligned(size: int) -> np.ndarray:
    """Room for a part; no page of it is touched before it is read."""
    try:
        room = np.empty(size + ALIGNED, np.uint8)
    except MemoryError as error:
        raise Refused(_("it needs more memory than there is: {size} bytes", size=size)) from error
    begin = -room.ctypes.data % ALIGNED
    return room[begin : begin + size]


def _header(part: _Part) -> bytes:
    """The local header of a part, with its name."""
    is_long = part.size * ALMOST_LONG > LONG
    extra = pack("<HHQQ", 1, 16, part.size, part.size) if is_long else b""
    size = FULL if is_long else part.size
    name = part.name.encode()
    version = ZIP64 if is_long else PLAIN
    fields = (version, 0, 0, 0, DATE, part.crc, size, size, len(name), len(extra))  # no flags, stored, midnight
    return pack("<4s5H3I2H", b"PK\3\4", *fields) + name + extra


def _directory(parts: Iterable[_Part], start: int) -> bytes:
    """All that stands between the last payload, which ends at `start`, and the checksum."""
    entries = [_entry(part) for part in parts]
    content = b"".join(entries)
    count, size = len(entries), len(content)
    if start > LONG:
        content += pack("<4sQ2H2I4Q", b"PK\6\6", 44, ZIP64, ZIP64, 0, 0, count, count, size, start)
        content += pack("<4sIQI", b"PK\6\7", 0, start + size, 1)
    return content + pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, min(start, FULL), SUM)


def _entry(part: _Part) -> bytes:
    """A part's line in the directory."""
    is_long, is_far = part.size > LONG, part.start > LONG
    long = [part.size, part.size] * is_long + [part.start] * is_far
    extra = pack(f"<HH{len(long)}Q", 1, 8 * len(long), *long) if long else b""
    size, start = FULL if is_long else part.size, FULL if is_far else part.start
    name = part.name.encode()
    version = ZIP64 if long or part.size * ALMOST_LONG > LONG else PLAIN
    fields = (UNIX << 8 | version, version, 0, 0, 0, DATE, part.crc, size, size, len(name), len(extra), 0, 0, 0, MODE)
    return pack("<4s6H3I5H2I", b"PK\1\2", *fields, start) + name + extra
