"""Small pictures with the large ones that they should become: any folder of pictures, or pairs of folders.

Of a folder of pictures each is a large one, and the small one is made of it by Pillow's bicubic filter, which averages
over what it shrinks (it is antialiased), as the sets of papers are made with MATLAB's. Where there are folders of small
and of large pictures (`LR` and `HR`, `low` and `high`), the small ones are taken as they are.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from gipi.data.canvas import Item, check_count, laid_out, pages_of, picture_of
from gipi.data.dataset import Dataset
from gipi.data.images import plain_array, quiet
from gipi.data.layout import PARTS
from gipi.data.picture_files import PictureFiles, few
from gipi.errors import DataError
from gipi.messages import _

LONGEST_SIDE = 1024  # pixels of a large picture, unless a size is asked for; of a larger one the middle is taken
SMALLEST = 16  # pixels of a small picture's side
LOW = re.compile(r"lr|low|lowres|small|inputs?|lr[ _-]\w+|\w+[ _-]lr([ _-]\w+)?", re.I)
HIGH = re.compile(r"hr|high|highres|large|targets?|gt|original|\w+[ _-]hr", re.I)


def open_enlarged(source: Any, factor: int, size: int | None = None, progress: Any = None) -> Dataset:
    """Small pictures, and as `answers` the large ones, `factor` times as high and wide.

    Args:
        source: A folder, a zip archive, or arrays: large pictures `(N, H, W)` or `(N, H, W, C)`, or (small, large).
        factor: See above.
        size: The longest side of a large picture, of which the middle is taken then.
        progress: Told how far reading is.

    Raises:
        DataError: There are too few pictures, or pairs are of other sizes than the factor says; names the file.
    """
    notes: list[str] = []
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        name, origin, items = path.resolve().name, str(path.resolve()), _of_files(path, notes, progress)
    else:
        name, origin, items = "pictures", None, _of_arrays(source)
    check_count(items, [], notes)
    most = size or LONGEST_SIDE
    if cut := sum(max(item.answer.shape[:2]) > most for item in items):
        notes.append(_("Of {count} pictures the middle was taken, {most} pixels a side.", count=cut, most=most))
    items = [_pair(item, factor, most) for item in items]
    small = [item.name for item in items if min(item.picture.shape[:2]) < SMALLEST]
    if small:
        notes.append(
            _(
                "{count} pictures have less than {least} pixels a side once made small, and were set aside: {names}.",
                count=len(small),
                least=SMALLEST,
                names=few(small),
            )
        )
        items = [item for item in items if item.name not in small]
        if not items:
            raise DataError(notes[-1])
    return laid_out(name, items, notes, origin, factor)


def shrunk(picture: np.ndarray, factor: int) -> np.ndarray:
    """`(H, W, C)` uint8 to `(H / factor, W / factor, C)`, by the bicubic filter of Pillow."""
    return _resized(picture, picture.shape[0] // factor, picture.shape[1] // factor, Image.Resampling.BICUBIC)


def enlarged(picture: np.ndarray, factor: int, way: str = "bicubic") -> np.ndarray:
    """`(H, W, C)` uint8 to `(factor H, factor W, C)`: bicubic, or by the nearest pixel."""
    filters = {"bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}
    return _resized(picture, picture.shape[0] * factor, picture.shape[1] * factor, filters[way])


def _resized(picture: np.ndarray, height: int, width: int, way: Image.Resampling) -> np.ndarray:
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    return np.asarray(image.resize((width, height), way)).reshape(height, width, -1)


def _of_files(path: Path, notes: list[str], progress: Any) -> list[Item]:
    files = PictureFiles(path)
    if not files.pictures:
        raise DataError(_("{path}: there are no pictures in this folder.", path=path))
    low = [name for name in files.pictures if _is_in(name, LOW)]
    high = [name for name in files.pictures if _is_in(name, HIGH) and name not in low]
    names: list[tuple[str, str | None]] = [(name, None) for name in files.pictures]
    if low and high:
        names = _matched(low, high, notes)
    items: list[Item] = []
    damaged: list[str] = []
    with quiet():
        for place, (large, small) in enumerate(names):
            try:
                answers = pages_of(files.read(large), large)
                pictures = pages_of(files.read(small), small) if small else [None] * len(answers)
            except DataError as error:
                damaged.append(str(error))
                continue
            items += [Item(large, _part(large), x, y) for x, y in zip(pictures, answers, strict=False)]  # type: ignore[arg-type]
            if progress and len(names) > 50:
                progress(_("reading pictures"), place + 1, len(names))
    check_count(items, damaged, notes)
    return items


def _matched(low: list[str], high: list[str], notes: list[str]) -> list[tuple[str, str | None]]:
    small = {re.sub(r"x\d+$", "", PurePosixPath(name).stem): name for name in low}
    pairs: list[tuple[str, str | None]] = []
    alone = []
    for name in high:
        found = small.pop(PurePosixPath(name).stem, None)
        if found is None:
            alone.append(name)
        else:
            pairs.append((name, found))
    if not pairs:
        raise DataError(
            _(
                "no small picture has the name of a large one; small: {low}; large: {high}.",
                low=few(low, 3),
                high=few(high, 3),
            )
        )
    if left := [*alone, *small.values()]:
        notes.append(
            _("{count} pictures have no counterpart and were set aside: {names}.", count=len(left), names=few(left))
        )
    return pairs


def _is_in(name: str, role: re.Pattern) -> bool:
    return any(role.fullmatch(folder) for folder in PurePosixPath(name).parts[:-1])


def _part(name: str) -> str:
    """The part that one of the folders names, alone or before another word: `train`, `DIV2K_valid_HR`."""
    for folder in PurePosixPath(name).parts[:-1]:
        for word in re.split(r"[ _-]", folder.lower()):
            if word in PARTS:
                return PARTS[word]
    return ""


def _of_arrays(source: Any) -> list[Item]:
    if isinstance(source, tuple | list) and len(source) == 2 and getattr(source[0], "ndim", 0) >= 3:
        small, large = (plain_array(part) for part in source)
    else:
        small, large = None, plain_array(source)
    if large.ndim not in (3, 4) or (small is not None and len(small) != len(large)):
        raise DataError(
            _("an array of shape {shape} came; expected pictures (N, H, W) or (N, H, W, C)", shape=large.shape)
        )
    return [
        Item(f"{n + 1}", "", picture_of(small[n], n) if small is not None else None, picture_of(y, n))  # type: ignore[arg-type]
        for n, y in enumerate(large)
    ]


def _pair(item: Item, factor: int, most: int) -> Item:
    """The small picture and the large one, of which the middle was taken, `factor` times as large."""
    large = item.answer
    if item.picture is not None:
        height, width = item.picture.shape[:2]
        if large.shape[:2] != (height * factor, width * factor):
            raise DataError(
                _(
                    "{name}: the large picture is {large}, the small one {small} (height, width); with --factor "
                    "{factor} the large one must be exactly {factor} times as high and wide.",
                    name=item.name,
                    large=large.shape[:2],
                    small=(height, width),
                    factor=factor,
                )
            )
    height, width = (min(side, most) // factor * factor for side in large.shape[:2])
    top, left = (
        (side - kept) // 2 // factor * factor for side, kept in zip(large.shape, (height, width), strict=False)
    )
    large = np.ascontiguousarray(large[top : top + height, left : left + width])
    if min(height, width) < factor:
        raise DataError(
            _("{name}: the picture is too small to be made {factor} times smaller", name=item.name, factor=factor)
        )
    if item.picture is None:
        small = shrunk(large, factor)
    else:
        small = item.picture[top // factor :, left // factor :][: height // factor, : width // factor]
        if small.shape[2] != large.shape[2]:
            large = np.repeat(large, 3, 2)[:, :, :3] if large.shape[2] == 1 else large
    return Item(item.name, item.part, small, large)
