"""A zip of pictures, read in place: nothing is unpacked to the disk, so no name in it can lead anywhere.

What a zip may hold is checked from its directory before a byte is unpacked: how many files, how many bytes, how many
times smaller than that the archive is. Files that are encrypted, or packed in a way that Python cannot read, are
refused; links are left out, and said. A file is read only as far as the directory says it goes.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gipi.data.layout import Place, Tree, few, is_hidden
from gipi.errors import DataError
from gipi.messages import _

MOST_FILES = 5_000_000
MOST_BYTES = 1 << 40  # of all files, unpacked
MOST_OF_ONE = 1 << 30  # bytes of one file: a picture of 100 megapixels with 16 bits for each colour is 600 MB
MOST_TIMES = 200  # that all files together may be larger than the archive; pictures and tables are 1 to 20
HARMLESS = 1 << 28  # bytes that may be packed as densely as they like: blank pictures are
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED, IS_UTF8 = 0x1, 0x800  # bits of an entry's flags


@dataclass(frozen=True, slots=True)
class Packed:
    """One file in a zip, to be read when it is needed."""

    archive: "Archive"
    place: Place

    @property
    def name(self) -> str:
        return "/".join(self.place)

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            DataError: It is damaged, or larger than any picture.
        """
        return self.archive.read(self.place)


class Archive:
    """An open zip; see `opened`.

    Attributes:
        path: Of the zip.
        notes: What was left out.
    """

    def __init__(self, path: Path, file: zipfile.ZipFile):
        self.path = path
        self.file = file
        self.notes: list[str] = []
        self.entries = self._checked()

    @cached_property
    def tree(self) -> Tree:
        """Its files and folders, those on the way to a file among them."""
        folders = {place[:depth] for place in self.entries for depth in range(1, len(place))}
        named = (_place(name) for name in _names(self.file.infolist()) if name.endswith("/"))
        folders |= {place for place in named if place and not is_hidden(place)}
        return Tree(str(self.path), sorted(self.entries), sorted(folders), lambda place: Packed(self, place))

    def read(self, place: Place) -> bytes:
        """The bytes of a file; several threads may read at once."""
        entry, name = self.entries[place], "/".join(place)
        if entry.file_size > MOST_OF_ONE:
            size, most = entry.file_size >> 20, MOST_OF_ONE >> 20
            raise DataError(
                _("{name}: {size} MB when unpacked; the most is {most} MB.", name=name, size=size, most=most)
            )
        try:
            return self.file.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise DataError(_("{name}: damaged in the archive ({what}).", name=name, what=error)) from None

    def _checked(self) -> dict[Place, zipfile.ZipInfo]:
        """The files by their places, if the directory is one that may be trusted."""
        entries = self.file.infolist()
        size, packed = sum(entry.file_size for entry in entries), self.path.stat().st_size
        if len(entries) > MOST_FILES or size > MOST_BYTES or size > max(HARMLESS, MOST_TIMES * packed):
            raise DataError(
                _(
                    "{path}: {count} files of {size} MB in an archive of {packed} kB were not unpacked: so much in so "
                    "little is a zip bomb. If it is not, unpack it and give the folder.",
                    path=self.path,
                    count=len(entries),
                    size=size >> 20,
                    packed=packed >> 10,
                )
            )
        found: dict[Place, zipfile.ZipInfo] = {}
        links: list[str] = []
        for name, entry in zip(_names(entries), entries, strict=True):
            self._check(name, entry)
            place = _place(name)
            if stat.S_ISLNK(entry.external_attr >> 16):
                links.append(name)
            elif not name.endswith("/") and place and not is_hidden(place):
                found[place] = entry  # of two with the same name the later one, as unpacking would leave it
        if links:
            self.notes.append(
                _("{count} links in the archive were left out: {names}.", count=len(links), names=few(links))
            )
        return found

    def _check(self, name: str, entry: zipfile.ZipInfo) -> None:
        steps = name.replace("\\", "/").split("/")
        if ".." in steps or name.startswith(("/", "\\")) or steps[0].endswith(":"):
            raise DataError(
                _(
                    "{path}: a file in the archive is called '{name}', which leads out of it; nothing was unpacked.",
                    path=self.path,
                    name=name,
                )
            )
        if entry.flag_bits & ENCRYPTED:
            raise DataError(
                _(
                    "{path}: the archive is encrypted ('{name}'); unpack it with its password and give the folder.",
                    path=self.path,
                    name=name,
                )
            )
        if entry.compress_type not in METHODS:
            raise DataError(
                _(
                    "{path}: '{name}' is packed by method {method}, which is not read; unpack it and give the folder.",
                    path=self.path,
                    name=name,
                    method=entry.compress_type,
                )
            )


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The zip at this path.

    Raises:
        DataError: It is no zip, damaged, encrypted, or larger inside than anything honest.
    """
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(_("{path}: not a zip, or damaged or cut off ({what}).", path=path, what=error)) from None
    except OSError as error:
        raise DataError(_("{path}: cannot be read ({what}).", path=path, what=error.strerror or error)) from None
    with file:
        yield Archive(path, file)


def _place(name: str) -> Place:
    return tuple(step for step in name.replace("\\", "/").split("/") if step not in ("", "."))


def _names(entries: list[zipfile.ZipInfo]) -> list[str]:
    """The names of the entries. Where none says its encoding, they are UTF-8 if they can be, else Korean Windows'."""
    names = [entry.filename for entry in entries]
    odd = [n for n, entry in enumerate(entries) if not entry.flag_bits & IS_UTF8 and not names[n].isascii()]
    for encoding in ("utf-8", "cp949"):
        try:
            told = {n: names[n].encode("cp437").decode(encoding) for n in odd}
        except UnicodeError:
            continue
        return [told.get(n, name) for n, name in enumerate(names)]
    return names
