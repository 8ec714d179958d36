"""One picture, from whatever it is kept in, as rows of pixels; Pillow decodes, and what is damaged is refused by name.

Whatever the file holds becomes grey or RGB: EXIF rotation is undone, palettes are looked up, transparency is laid on
white paper, CMYK and other colour spaces become RGB, greys of 12 or 16 bits are scaled to 8, and of an animation or
of many pages the first is taken. Sizes change by a bicubic filter that averages when it shrinks, so nothing aliases;
a different aspect ratio is stretched, so that nothing is cut off.

H W height and width, C channels: 1 grey or 3 red, green, blue
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from gipi.errors import DataError
from gipi.messages import _

MOST_PIXELS = 100_000_000  # a picture of more is refused before it is decoded: 300 MB as RGB, and a few kB may claim it
SUFFIXES = frozenset(
    f".{kind}"
    for kind in ("png", "jpg", "jpeg", "jpe", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pnm", "jp2", "avif")
)
# Pillow's other formats are left out: some start other programs (EPS runs Ghostscript), none is a usual picture
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA")
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 swap height and width
BITS_PER_SAMPLE = 258  # the TIFF tag


class OversizedError(DataError):
    """A picture that claims more pixels than are read."""


@dataclass(frozen=True)
class Bounds:
    """What is read of files.

    Attributes:
        pixels: No more.
        formats: These of Pillow's formats; None: all that `FORMATS` has.
        heavy: No more pixels with opacity, or of WebP: one takes up to 30 bytes while it is decoded.
    """

    pixels: int = MOST_PIXELS
    formats: tuple[str, ...] | None = None
    heavy: int = MOST_PIXELS


USUAL = Bounds()


@dataclass(frozen=True, slots=True)  # there may be millions
class Header:
    """What a picture file says of itself before it is decoded: `(height, width)` as seen, and whether it is grey."""

    height: int
    width: int
    is_grey: bool
    frames: int


def read_picture(
    source: Any, shape: tuple[int, int, int] | None = None, white: float = 255.0, name: str | None = None
) -> np.ndarray:
    """A picture as `(H, W, C)`, uint8 if white is 255, else float32 in units of `white`.

    Args:
        source: A path, the bytes of a file, a Pillow image, or an array or tensor `(H, W)`, `(H, W, C)` or `(C, H, W)`.
            Elements of a uint8 array are 0..255; those of any other array are taken to be in units of `white` already.
        shape: `(C, H, W)` to bring it to; None: as it is.
        white: The value of a white element.
        name: What errors call it; a path has its own name.

    Raises:
        DataError: It cannot be read; names the file and what is wrong with it.

    Example:
        >>> read_picture(np.zeros((4, 6), np.uint8), shape=(3, 2, 2)).shape
        (2, 2, 3)
    """
    if shape is not None and white == 255 and _is_like(source, shape):
        return source
    name = name or (str(source) if isinstance(source, str | PathLike) else _("the picture"))
    with quiet():
        if isinstance(source, str | PathLike | bytes | bytearray | memoryview | Image.Image):
            picture = decoded(source, name, shape)
            return picture.copy() if white == 255 else picture.astype(np.float32) * np.float32(white / 255)
        return _of_array(plain_array(source), name, shape, white)


def _is_like(source: Any, shape: tuple[int, int, int]) -> bool:
    """Whether it is an array that is a picture of this shape already."""
    return type(source) is np.ndarray and source.dtype == np.uint8 and source.shape == (*shape[1:], shape[0])


def read_header(source: str | PathLike | bytes, name: str) -> Header:
    """The size and kind of a picture file, without decoding it."""
    with _opened(source, name) as image:
        height, width = image.height, image.width
        if _orientation(image) >= 5:
            height, width = width, height
        return Header(height, width, _is_grey(image), _frames(image))


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow's own warnings are not for the person: what matters of them is said in our errors and notes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def plain_array(values: Any) -> np.ndarray:
    """A NumPy array of whatever holds numbers: arrays, nested lists, tensors on any device, gradient or not."""
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = values.detach().cpu()
        if str(getattr(values, "dtype", "")) == "torch.bfloat16":  # NumPy has no such kind
            values = values.float()
        return np.asarray(values.numpy())
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(
            _("The rows of the array have different lengths; expected a rectangular array of numbers.")
        ) from None


def channels_last(pictures: np.ndarray) -> np.ndarray | None:
    """`(..., H, W, C)` of `(..., H, W, C)` or `(..., C, H, W)`, by which is 1 or 3 (4: with opacity) long."""
    if pictures.shape[-1] in (1, 3):
        return pictures
    if pictures.shape[-3] in (1, 3):
        return np.moveaxis(pictures, -3, -1)
    return pictures if pictures.shape[-1] == 4 else None


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """`(H, W, C)` to `(height, width, C)`, uint8 or float32; floats stay within the range they had."""
    if picture.shape[:2] == (height, width):
        return picture
    if picture.dtype == np.uint8:
        image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
        shrunk = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(shrunk).reshape(height, width, -1)
    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC))
        for channel in np.moveaxis(picture.astype(np.float32), -1, 0)
    ]
    return np.stack(channels, axis=-1).clip(picture.min(), picture.max())  # bicubic may overshoot at edges


# --- files -------------------------------------------------------------------------------------------------------


def decoded(source: Any, name: str, shape: tuple[int, int, int] | None, bounds: Bounds = USUAL) -> np.ndarray:
    """`read_picture` of a path, bytes or a Pillow image; for many threads, within one `quiet()` around them all."""
    with _opened(source, name, bounds) as image:
        try:
            if shape and image.format == "JPEG":  # decode at a lower resolution, still at least twice what is wanted
                image.draft(None, (2 * max(shape[1:]), 2 * max(shape[1:])))
            image.load()
            upright = ImageOps.exif_transpose(image) if _orientation(image) > 1 else image
            assert upright is not None
            picture = _grey_or_colour(upright, _bits(image), name)
        except DataError:
            raise
        except Exception as error:  # Pillow's decoders raise all sorts of things on damaged bytes
            raise _damaged(name, error) from error
    return picture if shape is None else _shaped(picture, name, shape)


@contextmanager
def _opened(source: Any, name: str, bounds: Bounds = USUAL) -> Iterator[Image.Image]:
    """The image, its header read and its size within bounds, its pixels not decoded yet."""
    if isinstance(source, Image.Image):
        _check_size(source, name, bounds)
        yield source
        return
    where = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    try:
        image = Image.open(where, formats=bounds.formats or _formats())
    except FileNotFoundError:
        raise DataError(_("{name}: there is no such file.", name=name)) from None
    except IsADirectoryError:
        raise DataError(_("{name} is a folder; expected a picture file.", name=name)) from None
    except PermissionError:
        raise DataError(_("{name}: reading this file is not permitted.", name=name)) from None
    except Image.DecompressionBombError:
        raise _too_large(name, "> 178956970", bounds.pixels) from None  # Pillow's own limit, found before ours
    except Image.UnidentifiedImageError:
        raise _not_a_picture(source, name, bounds) from None
    except Exception as error:  # as above: a damaged header
        raise _damaged(name, error) from error
    with image:
        _check_size(image, name, bounds)
        yield image


@cache
def _formats() -> tuple[str, ...]:
    """Those that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_size(image: Image.Image, name: str, bounds: Bounds) -> None:
    is_heavy = bounds.heavy < bounds.pixels and (image.format == "WEBP" or image.has_transparency_data)
    most = bounds.heavy if is_heavy else bounds.pixels
    if image.width * image.height > most:
        raise _too_large(name, f"{image.width} x {image.height}", most)
    if image.width * image.height == 0:
        size = f"{image.width} x {image.height}"
        raise DataError(_("{name}: the picture is {size}, it has no pixel.", name=name, size=size))


def _too_large(name: str, size: str, most: int) -> OversizedError:
    return OversizedError(
        _(
            "{name}: the picture claims {size} pixels and was not decoded: the most is {most} million. Shrink it.",
            name=name,
            size=size,
            most=round(most / 1e6, 2) if most % 1_000_000 else most // 1_000_000,
        )
    )


def _not_a_picture(source: Any, name: str, bounds: Bounds) -> DataError:
    in_memory = isinstance(source, bytes | bytearray | memoryview)
    if (len(source) if in_memory else Path(source).stat().st_size) == 0:
        return DataError(_("{name}: the file is empty.", name=name))
    return DataError(
        _(
            "{name}: this is not a picture that can be read, or its header is damaged; expected {formats}.",
            name=name,
            formats=", ".join(bounds.formats or ("PNG", "JPEG", "GIF", "BMP", "WebP", "TIFF", "PNM")),
        )
    )


def _damaged(name: str, error: Exception) -> DataError:
    what = str(error) or type(error).__name__
    return DataError(
        _("{name}: the picture is damaged or cut off ({what}); replace or remove it.", name=name, what=what)
    )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or it makes no sense."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data does not make the picture unreadable
        return 1
    return value if value in range(1, 9) else 1


def _frames(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # something after the first frame is damaged; the first is the one that is used
        return 1


def _bits(image: Image.Image) -> int:
    """How many bits a 16-bit grey really uses: 12-bit scanners store in 16."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
    return int(bits[0] if isinstance(bits, tuple) else bits)


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in GREY_MODES or image.mode.startswith("I;")


def _grey_or_colour(image: Image.Image, bits: int, name: str) -> np.ndarray:
    """`(H, W, 1)` or `(H, W, 3)` uint8 of an image in any of Pillow's modes."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(np.asarray(image), bits if image.mode.startswith("I;") else 0, name)[:, :, None]
    mode = "L" if _is_grey(image) else "RGB"
    if image.has_transparency_data:  # an alpha channel, or one colour or palette entry that is transparent
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels[:, :, None] if mode == "L" else pixels


def _deep_grey(pixels: np.ndarray, bits: int, name: str) -> np.ndarray:
    """`(H, W)` uint8 of whole numbers of `bits` bits, or of numbers whose range shows what white is (bits 0)."""
    if not np.isfinite(pixels).all():
        raise DataError(_("{name}: the picture has pixels that are not numbers.", name=name))
    low, high = float(pixels.min()), float(pixels.max())
    if bits:
        white = float(2**bits - 1) if high < 2**bits else 65535.0
    elif pixels.dtype.kind == "f" and high <= 1:
        white = 1.0
    else:
        white = 255.0 if high <= 255 else 65535.0
    if low < 0 or high > white:
        raise DataError(
            _(
                "{name}: the pixels lie in {low} .. {high}; expected 0 .. 1, 0 .. 255 or 0 .. 65535.",
                name=name,
                low=low,
                high=high,
            )
        )
    return (pixels.astype(np.float64) * (255 / white) + 0.5).astype(np.uint8)


# --- arrays ------------------------------------------------------------------------------------------------------


def _of_array(array: np.ndarray, name: str, shape: tuple[int, int, int] | None, white: float) -> np.ndarray:
    if array.dtype.kind not in "uifb":
        raise DataError(
            _("{name}: an array of {dtype} is no picture; expected numbers.", name=name, dtype=str(array.dtype))
        )
    while array.ndim > 3 and array.shape[0] == 1:  # a batch of one
        array = array[0]
    picture = array[:, :, None] if array.ndim == 2 else channels_last(array) if array.ndim == 3 else None
    if picture is None or picture.size == 0:
        raise DataError(
            _(
                "{name}: an array of shape {shape} is no picture; expected (H, W), (H, W, C) or (C, H, W), C 1 or 3.",
                name=name,
                shape=array.shape,
            )
        )
    if picture.dtype == np.uint8:
        if picture.shape[2] == 4:
            picture = _grey_or_colour(Image.fromarray(np.ascontiguousarray(picture)), 16, name)
        if shape is not None:
            picture = _shaped(picture, name, shape)
        return picture if white == 255 else picture.astype(np.float32) * np.float32(white / 255)
    return _of_numbers(picture.astype(np.float32), name, shape, white)


def _of_numbers(picture: np.ndarray, name: str, shape: tuple[int, int, int] | None, white: float) -> np.ndarray:
    """`(H, W, C)` float in units of `white`: shaped, and rounded to uint8 where white is 255."""
    if not np.isfinite(picture).all():
        raise DataError(_("{name}: the picture has NaN or infinite elements; expected finite numbers.", name=name))
    if picture.shape[2] == 4:
        opacity = picture[:, :, 3:] / max(white, 1e-30)
        picture = picture[:, :, :3] * opacity + white * (1 - opacity)
    low, high = float(picture.min()), float(picture.max())
    if white == 255 and (low < 0 or high > 255 or (0 < high <= 1 and (picture % 1).any())):
        raise DataError(
            _(
                "{name}: the elements lie in {low} .. {high}, where 0 .. 255 was expected; scale them first.",
                name=name,
                low=f"{low:.3g}",
                high=f"{high:.3g}",
            )
        )
    if shape is not None:
        picture = _shaped(picture, name, shape)
    return (picture + 0.5).astype(np.uint8) if white == 255 else np.ascontiguousarray(picture)


def _shaped(picture: np.ndarray, name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """The channels, then the size, that `shape` `(C, H, W)` asks for."""
    channels, height, width = shape
    assert channels in (1, 3)
    if picture.shape[2] == 3 and channels == 1:
        if picture.dtype == np.uint8:
            picture = np.asarray(Image.fromarray(np.ascontiguousarray(picture)).convert("L"))[:, :, None]
        else:
            picture = picture @ np.array(
                [[0.299], [0.587], [0.114]], np.float32
            )  # luma, ITU-R BT.601, as Pillow does for bytes
    picture = resized(np.ascontiguousarray(picture), height, width)
    return np.repeat(picture, channels, axis=2) if picture.shape[2] < channels else picture
