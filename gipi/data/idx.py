"""Pictures in IDX, the binary format of MNIST and its kin: files of pictures, each with a file of labels.

It is read strictly: a header or a length that is not exactly as defined is an error, never a guess, and no more is
unpacked than the header announces. The files may lie in a zip.

IDX: http://yann.lecun.com/exdb/mnist/

N pictures, H W height and width
"""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.errors import DataError
from gipi.messages import _

MOST_BYTES = 4 << 30  # of one unpacked file
UNSIGNED_BYTES = 0x08  # the only kind of element that pictures and labels come in
File = Path | zipfile.Path  # a path on disk or in a zip
PARTS = {"train": "train", "t10k": "test", "test": "test", "valid": "valid", "validation": "valid", "val": "valid"}


def is_idx(path: File) -> bool:
    """Whether a file's name says IDX: train-images-idx3-ubyte.gz, train-labels.idx1-ubyte ..."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith("-ubyte") and ("idx1" in name or "idx3" in name)


def read_idx(path: File) -> np.ndarray:
    """The array of bytes that an IDX file holds, `.gz` or plain.

    Raises:
        DataError: The header is not an IDX header of bytes, or the file is shorter or longer than it says.
    """
    try:
        raw = path.open("rb")
        with raw, gzip.open(raw) if path.name.endswith(".gz") else raw as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTES or magic[3] not in (1, 2, 3, 4):
                raise DataError(
                    _(
                        "{path}: the file begins with {found}; expected IDX, which begins with 00 00 08.",
                        path=path,
                        found=magic.hex(" ") or _("nothing"),
                    )
                )
            sizes = file.read(4 * magic[3])
            if len(sizes) < 4 * magic[3]:
                raise DataError(_("{path}: the IDX header is cut off.", path=path))
            shape = struct.unpack(f">{magic[3]}I", sizes)
            length = int(np.prod(shape, dtype=object))
            if length > MOST_BYTES:
                raise DataError(
                    _("{path}: the header announces {length} bytes, which is too much.", path=path, length=length)
                )
            data = file.read(length + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            _("{path}: the compressed file is damaged or cut off ({what}); get it again.", path=path, what=error)
        ) from None
    except (OSError, zipfile.BadZipFile) as error:
        what = getattr(error, "strerror", None) or error
        raise DataError(_("{path}: cannot be read ({what}).", path=path, what=what)) from None
    if len(data) != length:
        message = _("shorter") if len(data) < length else _("longer")
        raise DataError(
            _(
                "{path}: the file is {message} than its header says, {shape}; get it again.",
                path=path,
                message=message,
                shape=" x ".join(map(str, shape)),
            )
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def pictures_of_idx(path: File, classes: Sequence[str] = ()) -> Dataset:
    """Pictures and labels in IDX files: all pairs in a folder, or the pair that a file belongs to.

    Args:
        path: A folder, or either file of a pair `...images...idx3-ubyte`, `...labels...idx1-ubyte` (`.gz` or not).
        classes: The names of the labels 0, 1 ...; none: labels stay numbers.
    """
    data = pictures_of_pairs(_pairs(path), classes)
    if isinstance(path, Path):
        data.name = (path if path.is_dir() else path.parent).resolve().name
        data.origin = str(path.resolve())
    return data


def pictures_of_pairs(pairs: list[tuple[File, File]], classes: Sequence[str] = ()) -> Dataset:
    """Pictures and labels in pairs of IDX files; the names of two or more say which part each is."""
    pictures, labels, parts, start = [], [], {}, 0
    for images_file, labels_file in pairs:
        image, label = read_idx(images_file), read_idx(labels_file)
        if image.ndim != 3 or image.size == 0:
            raise DataError(
                _(
                    "{path}: an array of shape {shape}; expected pictures, N x H x W.",
                    path=images_file,
                    shape=image.shape,
                )
            )
        if label.shape != image.shape[:1]:
            raise DataError(
                _(
                    "{path}: labels of shape {labels} for {count} pictures; expected one for each.",
                    path=labels_file,
                    labels=label.shape,
                    count=len(image),
                )
            )
        if pictures and image.shape[1:] != pictures[0].shape[1:]:
            raise DataError(
                _(
                    "{path}: pictures of {found} pixels, but others are {expected}.",
                    path=images_file,
                    found=image.shape[1:],
                    expected=pictures[0].shape[1:],
                )
            )
        part = PARTS.get(images_file.name.lower().split("-")[0])
        if part and len(pairs) > 1:
            parts[part] = np.arange(start, start + len(image))
        pictures.append(image)
        labels.append(label)
        start += len(image)
    frame = pl.DataFrame([_labels(np.concatenate(labels), classes, pairs[0][1])])
    return Dataset("pictures", frame, np.concatenate(pictures)[:, :, :, None], ("label",), parts=parts)


def _labels(codes: np.ndarray, classes: Sequence[str], path: File) -> pl.Series:
    """Numbers, or the names of the classes."""
    if not classes:
        return pl.Series("label", codes.astype(np.int64))
    if len(codes) and codes.max() >= len(classes):
        raise DataError(
            _(
                "{path}: a label is {code}; expected 0 .. {last}.",
                path=path,
                code=int(codes.max()),
                last=len(classes) - 1,
            )
        )
    return pl.Series("label", np.array(classes, dtype=object)[codes].tolist(), dtype=pl.String)


def _pairs(path: File) -> list[tuple[File, File]]:
    """The files of pictures, each with its file of labels; training pictures first."""
    if path.is_dir():
        images = sorted(
            (file for file in path.iterdir() if is_idx(file) and "idx3" in file.name.lower()), key=_training_first
        )
        if not images:
            raise DataError(_("{path}: there is no IDX file of pictures (...images-idx3-ubyte) here.", path=path))
        kept = {file.name.lower().removesuffix(".gz"): file for file in reversed(images)}  # packed and unpacked: once
        return [(file, _partner(file)) for file in reversed(kept.values())]
    if "idx1" in path.name.lower():
        return [(_partner(path), path)]
    return [(path, _partner(path))]


def _training_first(file: File) -> tuple[int, str]:
    order = ("train", "valid", "test", None)
    return order.index(PARTS.get(file.name.lower().split("-")[0])), file.name


def _partner(file: File) -> File:
    """The labels of pictures, the pictures of labels."""
    plain = file.name.removesuffix(".gz")
    for here, there in (("images", "labels"), ("labels", "images")):
        if here in plain:
            wanted = plain.replace(here, there)
            wanted = wanted.replace("idx3", "idx1") if there == "labels" else wanted.replace("idx1", "idx3")
            for suffix in (".gz", "") if file.name.endswith(".gz") else ("", ".gz"):
                partner = file.parent / (wanted + suffix)  # type: ignore[operator]  # in a zip too it is a zipfile.Path
                if partner.is_file():
                    return partner
            raise DataError(_("{path} needs the file {wanted} beside it.", path=file, wanted=wanted))
    raise DataError(_("{path}: expected a name such as train-images-idx3-ubyte.gz.", path=file))
