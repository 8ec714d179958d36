"""Pictures of different sizes as one array: each lies at the top left of a canvas that the largest fills.

What is beside a picture repeats its edge, and is never counted: `height` and `width` of a row say how far it reaches.

N pictures, H W the canvas, C channels
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image
from torch import Tensor

from gipi.data.dataset import Dataset
from gipi.data.images import decoded, read_picture, resized
from gipi.data.loose import fitting_size
from gipi.data.picture_files import few
from gipi.errors import DataError
from gipi.messages import _

MOST_BYTES = 4 << 30  # all canvases together
MOST_PAGES = 10_000  # of one file
MASK = "mask"  # the target of pictures whose answers are masks


@dataclass(frozen=True)
class Item:
    """A picture `(H, W, C)` uint8, what belongs to it (a mask, a larger picture), its name, the part it is put in."""

    name: str
    part: str
    picture: np.ndarray
    answer: Any = None


def pages_of(content: bytes, name: str) -> list[np.ndarray]:
    """Each page of a picture file, `(H, W, C)` uint8; most have one."""
    first = decoded(content, name, None)
    try:
        image = Image.open(io.BytesIO(content))
        count = min(getattr(image, "n_frames", 1), MOST_PAGES) if image.format == "TIFF" else 1
        pages = [first]
        for page in range(1, count):
            image.seek(page)
            pages.append(decoded(image.copy(), f"{name} {page + 1}", None))
        return pages
    except DataError:
        raise
    except Exception as error:  # a page behind the first one is damaged
        raise DataError(_("{name}: a page cannot be read ({reason}).", name=name, reason=error)) from error


def picture_of(array: np.ndarray, number: int) -> np.ndarray:
    """A picture of an array, `(H, W)` or `(H, W, C)`: bytes as they are, numbers up to 1 as shares of white."""
    name = _("picture {number}", number=number + 1)
    if array.dtype != np.uint8 and array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        array = (array * 255 + 0.5).astype(np.uint8)
    return read_picture(array, None, 255.0, name)


def check_count(items: Sequence[Item], damaged: Sequence[str], notes: list[str]) -> None:
    """Whether there are pictures; those that cannot be read are set aside, and said."""
    if damaged:
        notes.append(
            _(
                "{count} pictures cannot be read and were set aside: {names}",
                count=len(damaged),
                names=few([*damaged], 3),
            )
        )
    if not items:
        raise DataError(notes[-1] if damaged else _("there are no pictures"))


def scaled(items: list[Item], size: int | None, usual: int, notes: list[str]) -> list[Item]:
    """No side longer than `size`, or than `usual` if nothing was asked for; masks by their nearest pixel."""
    most = size or usual
    longest = max(max(item.picture.shape[:2]) for item in items)
    if longest <= most:
        return items
    notes.append(
        _(
            "Pictures of up to {longest} pixels a side were brought to {most}; --picture-size chooses another.",
            longest=longest,
            most=most,
        )
    )
    return [_scaled(item, most) for item in items]


def _scaled(item: Item, most: int) -> Item:
    height, width = fitting_size(item.picture.shape[0], item.picture.shape[1], most)
    mask = Image.fromarray(item.answer[:, :, 0]).resize((width, height), Image.Resampling.NEAREST)
    return replace(item, picture=resized(item.picture, height, width), answer=np.asarray(mask)[:, :, None])


def laid_out(
    name: str, items: list[Item], notes: list[str], origin: str | None, factor: int = 1, padding: int | None = None
) -> Dataset:
    """The pictures and what belongs to them on canvases, as a Dataset.

    Args:
        name: What a person calls it.
        items: At least one; an answer is `factor` times as high and wide as its picture.
        notes: For a person.
        origin: Where it came from.
        factor: See `items`.
        padding: What the canvas of an answer holds beside it; None: its edge, repeated.
    """
    sizes = np.array([item.picture.shape[:2] for item in items])
    height, width = sizes.max(0).tolist()
    channels = 1 if all(_is_grey(item.picture) for item in items) else 3
    wide = items[0].answer.shape[2] if padding is not None else channels
    _check_size(len(items), height, width, channels + wide * factor**2)
    pictures = np.stack([_padded(_with_channels(item.picture, channels), height, width) for item in items])
    answers = np.stack(
        [
            _padded(
                item.answer if padding is not None else _with_channels(item.answer, channels),
                factor * height,
                factor * width,
                padding,
            )
            for item in items
        ]
    )
    frame = pl.DataFrame({"file": [item.name for item in items], "height": sizes[:, 0], "width": sizes[:, 1]})
    named = {item.part for item in items} - {""}
    parts = {part: np.flatnonzero([item.part == part for item in items]) for part in named} if named - {"train"} else {}
    target = () if padding is None else (MASK,)
    return Dataset(name, frame, pictures, target, notes, parts, origin, answers=answers)


def on_one_canvas(sets: Sequence[Dataset], padding: int | None = None) -> list[Dataset]:
    """Sets that were laid out by themselves, on canvases as large as the largest, in the channels of the first.

    Args:
        sets: Each with pictures and answers.
        padding: As `laid_out` has it.

    Example:
        >>> pictures = [np.zeros((side, 3, 1), np.uint8) for side in (2, 4)]
        >>> sets = [laid_out("set", [Item("a", "", picture, picture)], [], None) for picture in pictures]
        >>> [one.pictures.shape for one in on_one_canvas(sets)]
        [(1, 4, 3, 1), (1, 4, 3, 1)]
    """
    held = [(data.pictures, data.answers) for data in sets]
    sizes = np.array([pictures.shape for pictures, _answers in held if pictures is not None])
    (height, width), channels = sizes[:, 1:3].max(0).tolist(), int(sizes[0, 3])
    found, factor, wide = [], 1, 1
    for data, (pictures, answers) in zip(sets, held, strict=True):
        assert pictures is not None and answers is not None
        factor = answers.shape[1] // pictures.shape[1]
        pictures = _in_channels(pictures, channels)
        answers = answers if padding is not None else _in_channels(answers, channels)
        wide = answers.shape[3]
        found.append(replace(data, pictures=pictures, answers=answers))
    _check_size(int(sizes[:, 0].sum()), height, width, channels + wide * factor**2)
    for data in found:
        data.pictures = np.stack([_padded(one, height, width) for one in data.pictures])
        data.answers = np.stack([_padded(one, factor * height, factor * width, padding) for one in data.answers])
    return found


def _check_size(count: int, height: int, width: int, bytes_each: int) -> None:
    """Whether so many canvases can be held, of so many bytes for each pixel of a picture."""
    needed = count * height * width * bytes_each
    if needed > MOST_BYTES:
        raise DataError(
            _(
                "{count} pictures of up to {width} x {height} take {size} GB; ask for a smaller --picture-size.",
                count=count,
                width=width,
                height=height,
                size=f"{needed / 1e9:.1f}",
            )
        )


def _is_grey(picture: np.ndarray) -> bool:
    return picture.shape[2] == 1 or bool((picture == picture[:, :, :1]).all())


def _with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    return picture[:, :, :1] if channels == 1 else np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture


def _padded(picture: np.ndarray, height: int, width: int, value: int | None = None) -> np.ndarray:
    reach = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
    if value is None:
        return np.pad(picture, reach, "edge")
    return np.pad(picture, reach, constant_values=value)


def tensors(data: Dataset, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures `(N, C, H, W)` and answers, masks `(N, H, W)` or pictures `(N, C, H', W')`, uint8; sizes `(N, 2)` int64.

    `channels` is C, which a model may know already.
    """
    assert data.pictures is not None and data.answers is not None
    is_mask = MASK in data.target
    x = _in_channels(data.pictures, channels)
    y = data.answers if is_mask else _in_channels(data.answers, channels)
    pictures = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    answers = torch.from_numpy(np.ascontiguousarray(y[..., 0] if is_mask else y.transpose(0, 3, 1, 2)))
    sizes = torch.from_numpy(data.frame.select("height", "width").to_numpy().astype(np.int64))
    return pictures, answers, sizes


def _in_channels(pictures: np.ndarray, channels: int) -> np.ndarray:
    """Grey pictures as RGB, or the other way, `(N, H, W, C)`; as they are where they have so many channels."""
    if pictures.shape[3] == channels:
        return pictures
    shape = (channels, *pictures.shape[1:3])
    return np.stack([read_picture(picture, shape) for picture in pictures])
