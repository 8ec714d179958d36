"""The picture files of a folder or of a zip archive, by their names in it; what they hold is read when it is wanted.

A folder in which there is nothing but archives is looked at through them, so that a set can be used as it was fetched.
"""

import re
import zipfile
from pathlib import Path, PurePosixPath

from gipi.data.images import SUFFIXES
from gipi.errors import DataError
from gipi.messages import _

LARGEST = 1 << 28  # bytes of one file; a damaged archive may claim anything
TABLES = (".txt", ".csv")


class PictureFiles:
    """Names and contents.

    Args:
        path: A folder or a zip archive.

    Raises:
        DataError: There is no such thing, or it cannot be read.

    Attributes:
        path: As it was given.
        pictures: Names inside it, with slashes, in natural order (2 before 10).
        texts: The names of text files and tables.
    """

    def __init__(self, path: Path):
        self.path = path
        self.place: dict[str, tuple[Path, str]] = {}  # name -> (file or archive, name in the archive or "")
        if not path.exists():
            raise DataError(_("{path}: there is no such file or folder.", path=path))
        if path.is_dir():
            for file in path.rglob("*"):
                if file.is_file():
                    self._add(file.relative_to(path).as_posix(), file, "")
            if not any(_is_picture(name) for name in self.place):
                for archive in sorted(path.glob("*.zip")):
                    self._add_archive(archive)
        elif zipfile.is_zipfile(path):
            self._add_archive(path)
        else:
            raise DataError(_("{path}: expected a folder of pictures, or a zip archive of them.", path=path))
        names = sorted(self.place, key=natural)
        self.pictures = [name for name in names if _is_picture(name)]
        self.texts = [name for name in names if PurePosixPath(name).suffix.lower() in TABLES]

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            DataError: It cannot be read, or is too large to be what it should.
        """
        file, member = self.place[name]
        try:
            if not member:
                return file.read_bytes()
            with zipfile.ZipFile(file) as archive:
                if archive.getinfo(member).file_size > LARGEST:
                    raise DataError(_("{name}: more than {most} MB for one file.", name=name, most=LARGEST >> 20))
                return archive.read(member)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise DataError(_("{name}: cannot be read ({reason}).", name=name, reason=error)) from error

    def text(self, name: str) -> str:
        """A text file's letters; what is no UTF-8 is left out."""
        return self.read(name).decode("utf-8-sig", "replace")

    def _add(self, name: str, file: Path, member: str) -> None:
        if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts):
            self.place[name] = (file, member)

    def _add_archive(self, archive: Path) -> None:
        try:
            with zipfile.ZipFile(archive) as opened:
                for info in opened.infolist():
                    if not info.is_dir():
                        self._add(info.filename, archive, info.filename)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(_("{name}: cannot be read ({reason}).", name=archive, reason=error)) from error


def natural(name: str) -> tuple:
    """A key by which numbers in names sort as numbers.

    Example:
        >>> sorted(["10.png", "9.png", "b.png"], key=natural)
        ['9.png', '10.png', 'b.png']
    """
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def few(names: list[str], most: int = 5) -> str:
    """The first names, and how many more."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (", " + _("and {count} more", count=rest) if rest > 0 else "")


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES
