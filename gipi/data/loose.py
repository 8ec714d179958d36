"""Pictures of any size that somebody hands in, as they are: for models that take whole pictures.

h w a picture, C channels
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gipi.data.images import SUFFIXES, plain_array, read_picture
from gipi.errors import DataError
from gipi.messages import _

Array = np.ndarray


def loose(rows: Any, channels: int) -> list[tuple[str | None, Array]]:
    """Pictures of any size that somebody hands in: the file's name (None where there is none) and `(h, w, C)` uint8.

    Args:
        rows: A file, a folder, the bytes of a file, a Pillow image, an array `(h, w)`, `(h, w, C)`, or several of them.
        channels: C.

    Raises:
        DataError: Nothing came, or a picture cannot be read; names which.
    """
    if isinstance(rows, str | Path) and Path(rows).is_dir():
        folder = Path(rows)
        rows = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        if not rows:
            raise DataError(_("no picture is in the folder {path}", path=folder))
    if hasattr(rows, "detach"):
        rows = plain_array(rows)
    if isinstance(rows, np.ndarray):
        is_first = rows.shape[0] == 1 or rows.shape[0] == channels == 3  # channels stand first, or last
        is_one = rows.ndim == 2 or (rows.ndim == 3 and (rows.shape[2] in (1, 3, 4) or is_first))
        rows = [rows] if is_one else [*rows]
    elif isinstance(rows, Mapping | int | float):
        raise DataError(_("a picture was expected, as a file or an array; {came} came", came=repr(rows)[:60]))
    elif not isinstance(rows, Sequence) or isinstance(rows, str | bytes | bytearray):
        rows = [rows]
    elif rows and isinstance(rows[0], list | int | float):  # nested lists, as JSON has them
        rows = [np.asarray(plain_array(rows), np.uint8)]
    found = []
    for number, row in enumerate(rows):
        is_file = isinstance(row, str | Path)
        name = None if is_file else _("picture {number}", number=number + 1)
        picture = read_picture(row, None, 255.0, name)
        if picture.shape[2] != channels:
            picture = read_picture(picture, (channels, *picture.shape[:2]))
        found.append((str(row) if is_file else None, picture))
    return found


def fitting_size(height: int, width: int, most: int) -> tuple[int, int]:
    """The size with the same proportions whose longer side is at most so long."""
    part = min(1.0, most / max(height, width))
    return max(1, round(height * part)), max(1, round(width * part))
