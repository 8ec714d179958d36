"""Pictures with a mask each: what every pixel shows. Masks of grey numbers, palettes, two values or colours.

A class is a value of the masks: a number, or a colour. A file of classes beside the pictures (`classes.txt`,
`label_colors.txt`, `class_dict.csv` ...) gives names, and the colours that stand for them; without one the classes are
the values that are seen. Value 255 beside others, and classes named void or unlabelled, are not counted.

N pictures, H W height and width
"""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from gipi.data.canvas import Item, check_count, laid_out, pages_of, picture_of, scaled
from gipi.data.dataset import Dataset
from gipi.data.images import FORMATS, MOST_PIXELS, plain_array, quiet
from gipi.data.pairs import paired
from gipi.data.picture_files import PictureFiles
from gipi.errors import DataError, UsageError
from gipi.messages import _

IGNORED = 255  # the class number of what is not counted
MOST_CLASSES = 64  # values of masks; more are no classes but shades
LONGEST_SIDE = 512  # pixels, unless a size is asked for
VOID = re.compile(r"void|ignored?|unlabell?ed|unknown|don'?t[ _-]?care", re.I)
COLOURS = ((0, 0, 0), (230, 25, 75), (60, 180, 75), (67, 99, 216), (255, 225, 25), (245, 130, 49), (145, 30, 180))
COLOURS += ((70, 240, 240), (240, 50, 230), (188, 246, 12), (0, 128, 128), (154, 99, 36), (128, 0, 0), (128, 128, 0))


@dataclass(frozen=True)
class Classes:
    """What the values of masks stand for; JSON, in the bundle.

    Attributes:
        names: Of the classes, in the order of their numbers.
        values: The value of each in a mask: a grey number, or red, green, blue as one number; () until masks were seen.
        ignored: Values that are not counted.
        colours: `(K)` of red, green, blue, to be shown in.
        is_colour: The values are colours.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...]
    colours: tuple[tuple[int, int, int], ...]
    is_colour: bool = False

    def json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @staticmethod
    def from_json(held: dict[str, Any]) -> "Classes":
        colours = tuple(tuple(one) for one in held["colours"])
        return Classes(tuple(held["names"]), tuple(held["values"]), tuple(held["ignored"]), colours, held["is_colour"])


def open_masks(
    source: Any,
    size: int | None = None,
    ignore: Sequence[str] = (),
    known: Classes | None = None,
    progress: Any = None,
) -> tuple[Dataset, Classes]:
    """Pictures and masks as a Dataset (`answers` are class numbers, 255 where nothing counts), and the classes.

    Args:
        source: A folder, a zip archive, or arrays: pictures `(N, H, W)` or `(N, H, W, C)`, and masks `(N, H, W)`.
        size: The longest side that pictures are brought to, masks by their nearest pixel; None: at most 512.
        ignore: Names, numbers or colours (`#rrggbb`) of classes that are not counted.
        known: The classes of a model; None: they are found out.
        progress: Told how far reading is.

    Raises:
        DataError: Pictures and masks do not fit together, or a mask holds what is no class; names the file.
    """
    notes: list[str] = []
    if isinstance(source, str | Path):
        name, origin, items, table = _of_files(Path(source).expanduser(), notes, progress)
    else:
        name, origin, items, table = "pictures", None, _of_arrays(source), None
    classes = known or _classes(items, table, notes)
    items = [replace(item, answer=_coded(item, classes)) for item in items]
    if known is None:
        classes, items = _without(classes, items, ignore)
        _check_several(classes, items)
    items = scaled(items, size, LONGEST_SIDE, notes)
    data = laid_out(name, items, notes, origin, padding=IGNORED)
    return data, classes


# --- what lies in files ------------------------------------------------------------------------------------------


def _of_files(path: Path, notes: list[str], progress: Any):
    files = PictureFiles(path)
    pairs = paired(files, notes)
    items: list[Item] = []
    damaged: list[str] = []
    with quiet():
        for place, pair in enumerate(pairs):
            try:
                pictures = pages_of(files.read(pair.picture), pair.picture)
                masks = _pages(files.read(pair.mask), pair.mask)
            except DataError as error:
                damaged.append(str(error))
                continue
            if len(pictures) != len(masks):
                raise DataError(
                    _(
                        "{picture} has {pictures} pages and {mask} {masks}; expected a mask for each.",
                        picture=pair.picture,
                        pictures=len(pictures),
                        mask=pair.mask,
                        masks=len(masks),
                    )
                )
            for page, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
                said = pair.picture if len(pictures) == 1 else f"{pair.picture} {page + 1}"
                items.append(Item(said, pair.part, picture, mask))
            if progress and len(pairs) > 50:
                progress(_("reading pictures"), place + 1, len(pairs))
    check_count(items, damaged, notes)
    _check_sizes(items)
    return path.resolve().name, str(path.resolve()), items, _table_of(files)


def _check_sizes(items: list[Item]) -> None:
    odd = [item for item in items if item.answer.shape[:2] != item.picture.shape[:2]]
    if odd:
        first = odd[0]
        raise DataError(
            _(
                "{count} masks have another size than their picture; the first is that of {name}: the picture is "
                "{picture}, its mask {mask} (height, width).",
                count=len(odd),
                name=first.name,
                picture=first.picture.shape[:2],
                mask=first.answer.shape[:2],
            )
        )


def _pages(content: bytes, name: str) -> list[np.ndarray]:
    """Each page of a mask: `(H, W)` numbers as they are in the file, or `(H, W, 3)` colours."""
    try:
        image = Image.open(io.BytesIO(content), formats=[one for one in FORMATS if one in Image.OPEN])
        if image.width * image.height > MOST_PIXELS:
            raise DataError(_("{name}: the mask claims more than {most} pixels.", name=name, most=MOST_PIXELS))
        pages = []
        for page in range(getattr(image, "n_frames", 1)):
            if page:
                image.seek(page)
            pages.append(_values(image))
        return pages
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise all sorts of things on damaged bytes
        raise DataError(_("{name}: the mask cannot be read ({reason}).", name=name, reason=error)) from error


def _values(image: Image.Image) -> np.ndarray:
    """Numbers of a palette stay numbers: they are the classes, its colours only show them."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * 255
    if image.mode in ("P", "L", "I", "F") or image.mode.startswith("I;"):
        return np.asarray(image)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[:, :, 0]
    colours = np.asarray(image.convert("RGB"))
    is_grey = (colours == colours[:, :, :1]).all()
    return colours[:, :, 0] if is_grey else colours


def _of_arrays(source: Any) -> list[Item]:
    if not (isinstance(source, tuple | list) and len(source) == 2):
        raise UsageError(
            _(
                "pictures with masks were expected: a folder, a zip archive, or arrays (X, Y); {came} came",
                came=type(source).__name__,
            )
        )
    pictures, masks = (plain_array(part) for part in source)
    if masks.ndim == 4 and masks.shape[3] == 1:
        masks = masks[:, :, :, 0]
    if masks.ndim < 3 or pictures.ndim < 3 or len(pictures) != len(masks):
        raise DataError(
            _(
                "arrays of shapes {pictures} and {masks} came; expected (N, H, W) or (N, H, W, C), and (N, H, W).",
                pictures=pictures.shape,
                masks=masks.shape,
            )
        )
    items = [Item(f"{n + 1}", "", picture_of(x, n), y) for n, (x, y) in enumerate(zip(pictures, masks, strict=True))]
    check_count(items, [], [])
    _check_sizes(items)
    return items


# --- what the values stand for -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """A file of classes: names in order, and their colours where it has them."""

    file: str
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]


def _table_of(files: PictureFiles) -> _Table | None:
    known = re.compile(r"(classes|codes|label_?colou?rs?|class_dict|labels|label_names|colou?r_?map|names)$", re.I)
    for name in files.texts:
        if known.match(PurePosixPath(name).stem):
            names, colours = _lines_of(files.text(name))
            if len(names) > 1:
                return _Table(name, tuple(names), tuple(colours) if len(colours) == len(names) else ())
    return None


def _lines_of(text: str) -> tuple[list[str], list[tuple[int, int, int]]]:
    """`64 128 64 Animal`, `Animal,64,128,64`, `0: Animal` or `Animal`, a line each; a heading is none."""
    names: list[str] = []
    colours: list[tuple[int, int, int]] = []
    for line in text.splitlines():
        cells = [cell for cell in re.split(r"[,;\t]+|(?<=\d)[ :]+|[ ]+(?=\d)", line.strip()) if cell.strip()]
        numbers = [int(cell) for cell in cells if cell.strip().isdecimal()]
        words = [cell.strip() for cell in cells if not cell.strip().isdecimal()]
        if not cells or line.lstrip().startswith("#") or {word.lower() for word in words} & {"r", "red", "name"}:
            continue
        names.append(" ".join(words) or str(numbers[0]))
        if len(numbers) >= 3:
            red, green, blue = numbers[-3:] if words and cells[0].strip() == words[0] else numbers[:3]
            colours.append((red, green, blue))
    return names, colours


def _classes(items: list[Item], table: _Table | None, notes: list[str]) -> Classes:
    is_colour = any(item.answer.ndim == 3 for item in items)
    seen: Counter[int] = Counter()
    for item in items:
        values, counts = np.unique(_numbers(item.answer, is_colour, item.name), return_counts=True)
        seen.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        if len(seen) > MOST_CLASSES and not (table and table.colours):
            raise DataError(
                _(
                    "{name}: the masks hold more than {most} different values; a value of a mask is a class. Masks "
                    "that were kept as JPEG, or made smaller smoothly, have shades in between: keep them as PNG.",
                    name=item.name,
                    most=MOST_CLASSES,
                )
            )
    if table:
        return _named(table, seen, is_colour, items, notes)
    values = sorted(seen)
    ignored = (IGNORED,) if not is_colour and IGNORED in seen and len(seen) > 2 else ()
    values = [value for value in values if value not in ignored]
    names = [f"#{value:06x}" if is_colour else str(value) for value in values]
    notes.append(_("The classes are the values of the masks: {names}.", names=", ".join(names[:20])))
    if ignored:
        notes.append(_("The value 255 is not counted."))
    colours = [_rgb(value) for value in values] if is_colour else [_shown(place) for place in range(len(values))]
    return Classes(tuple(names), tuple(values), ignored, tuple(colours), is_colour)


def _named(table: _Table, seen: Counter, is_colour: bool, items: list[Item], notes: list[str]) -> Classes:
    """The classes of a file; a value that is none of them is an error."""
    if is_colour and not table.colours:
        raise DataError(_("{file}: the masks are of colours; expected lines such as: 64 128 64 name.", file=table.file))
    count = len(table.names)
    if is_colour:
        values = [red << 16 | green << 8 | blue for red, green, blue in table.colours]
    else:
        values = [0, 255] if count == 2 and set(seen) <= {0, 255} else list(range(count))
    voids = [value for value, name in zip(values, table.names, strict=True) if VOID.fullmatch(name)]
    if not is_colour and IGNORED not in values:
        voids.append(IGNORED)
    kept = [place for place, value in enumerate(values) if value not in voids]
    colours = [table.colours[place] if table.colours else _shown(place) for place in kept]
    notes.append(_("The classes are those of {file}.", file=table.file))
    return Classes(
        tuple(table.names[place] for place in kept),
        tuple(values[place] for place in kept),
        tuple(voids),
        tuple(colours),
        is_colour,
    )


def _numbers(mask: np.ndarray, is_colour: bool, name: str) -> np.ndarray:
    """`(H, W)` values, of colours red << 16 | green << 8 | blue."""
    if is_colour:
        colours = (mask if mask.ndim == 3 else np.repeat(mask[:, :, None], 3, 2)).astype(np.int64)
        return colours[:, :, 0] << 16 | colours[:, :, 1] << 8 | colours[:, :, 2]
    if mask.dtype.kind == "f" and not (np.isfinite(mask).all() and (mask % 1 == 0).all()):
        raise DataError(_("{name}: the mask holds fractions; expected whole numbers of classes.", name=name))
    numbers = mask.astype(np.int64)
    if (numbers < 0).any():
        raise DataError(
            _("{name}: the mask holds the value {value}; classes begin at 0.", name=name, value=numbers.min())
        )
    return numbers


def _coded(item: Item, classes: Classes) -> np.ndarray:
    """`(H, W, 1)` uint8 class numbers, 255 for what is not counted."""
    numbers = _numbers(item.answer, classes.is_colour, item.name)
    order = np.argsort(np.array([*classes.values, *classes.ignored]))
    values = np.array([*classes.values, *classes.ignored])[order]
    codes = np.array([*range(len(classes.values)), *[IGNORED] * len(classes.ignored)], np.uint8)[order]
    place = np.searchsorted(values, numbers).clip(max=len(values) - 1)
    is_odd = values[place] != numbers
    if is_odd.any():
        value = int(numbers[is_odd][0])
        raise DataError(
            _(
                "{name}: the mask holds the value {value} ({count} pixels), which is no class; classes: {known}.",
                name=item.name,
                value=f"#{value:06x}" if classes.is_colour else value,
                count=int(is_odd.sum()),
                known=", ".join(classes.names[:20]),
            )
        )
    return codes[place][:, :, None]


def _without(classes: Classes, items: list[Item], ignore: Sequence[str]) -> tuple[Classes, list[Item]]:
    """`--ignore`: these classes are not counted any more."""
    odd = [name for name in ignore if name not in classes.names]
    if odd:
        known = ", ".join(classes.names)
        raise UsageError(_("--ignore: there is no class '{name}'; the classes are {known}", name=odd[0], known=known))
    if not ignore:
        return classes, items
    kept = [place for place, name in enumerate(classes.names) if name not in ignore]
    code = np.full(256, IGNORED, np.uint8)
    code[kept] = np.arange(len(kept), dtype=np.uint8)
    gone = tuple(value for name, value in zip(classes.names, classes.values, strict=True) if name in ignore)
    fewer = Classes(
        tuple(classes.names[place] for place in kept),
        tuple(classes.values[place] for place in kept),
        (*classes.ignored, *gone),
        tuple(classes.colours[place] for place in kept),
        classes.is_colour,
    )
    return fewer, [replace(item, answer=code[item.answer]) for item in items]


def _check_several(classes: Classes, items: list[Item]) -> None:
    counts = np.zeros(256, np.int64)
    for item in items:
        counts += np.bincount(item.answer.reshape(-1), minlength=256)
    present = [name for name, count in zip(classes.names, counts, strict=False) if count]
    if len(present) < 2:
        what = present[0] if present else _("not counted")
        raise DataError(
            _(
                "every pixel of the {count} masks is '{name}': there is nothing to tell apart.",
                count=len(items),
                name=what,
            )
        )


def _rgb(value: int) -> tuple[int, int, int]:
    return value >> 16 & 255, value >> 8 & 255, value & 255


def _shown(place: int) -> tuple[int, int, int]:
    """A colour for a class that has none: 14 that are far apart, then others by the golden section."""
    if place < len(COLOURS):
        return COLOURS[place]
    hue = place * 0.618034 % 1 * 6
    rising = int(255 * (hue % 1))
    way = [(255, rising, 0), (255 - rising, 255, 0), (0, 255, rising), (0, 255 - rising, 255), (rising, 0, 255)]
    return (*way, (255, 0, 255 - rising))[int(hue)]
