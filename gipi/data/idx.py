"""Pictures in the two binary formats that the classic sets come in: IDX (MNIST and its kin) and CIFAR-10's own.

Both are read strictly: a header or a length that is not exactly as defined is an error, never a guess, and no more is
unpacked than the header announces. CIFAR's other form, Python pickles, runs code when it is read, and is not.

IDX: http://yann.lecun.com/exdb/mnist/ ; CIFAR-10: https://www.cs.toronto.edu/~kriz/cifar.html

N pictures, H W height and width
"""

import gzip
import struct
import tarfile
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
PARTS = {"train": "train", "t10k": "test", "test": "test", "valid": "valid", "validation": "valid", "val": "valid"}

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR_TEST = ("test_batch.bin",)
CIFAR_ROWS = 10_000  # in each file
CIFAR_BYTES = 1 + 3 * 32 * 32  # of a row: the label, then red, green and blue planes


def is_idx(path: Path) -> bool:
    """Whether a file's name says IDX: train-images-idx3-ubyte.gz, train-labels.idx1-ubyte ..."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith("-ubyte") and ("idx1" in name or "idx3" in name)


def read_idx(path: Path) -> np.ndarray:
    """The array of bytes that an IDX file holds, `.gz` or plain.

    Raises:
        DataError: The header is not an IDX header of bytes, or the file is shorter or longer than it says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
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
    except OSError as error:
        raise DataError(_("{path}: cannot be read ({what}).", path=path, what=error.strerror or error)) from None
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


def pictures_of_idx(path: Path, classes: Sequence[str] = ()) -> Dataset:
    """Pictures and labels in IDX files: all pairs in a folder, or the pair that a file belongs to.

    Args:
        path: A folder, or either file of a pair `...images...idx3-ubyte`, `...labels...idx1-ubyte` (`.gz` or not).
        classes: The names of the labels 0, 1 ...; none: labels stay numbers.
    """
    data = pictures_of_pairs(_pairs(path), classes)
    data.name = (path if path.is_dir() else path.parent).resolve().name
    data.origin = str(path.resolve())
    return data


def pictures_of_pairs(pairs: list[tuple[Path, Path]], classes: Sequence[str] = ()) -> Dataset:
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


def pictures_of_cifar10(path: Path) -> Dataset:
    """CIFAR-10 from its binary version's archive (`cifar-10-binary.tar.gz`), read without unpacking it to disk."""
    found: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                name = Path(member.name).name
                if name not in CIFAR_TRAIN + CIFAR_TEST or not member.isfile():
                    continue
                if member.size != CIFAR_ROWS * CIFAR_BYTES:
                    raise DataError(
                        _(
                            "{path}: {name} has {size} bytes; expected {expected}.",
                            path=path,
                            name=name,
                            size=member.size,
                            expected=CIFAR_ROWS * CIFAR_BYTES,
                        )
                    )
                file = archive.extractfile(member)
                assert file is not None
                found[name] = np.frombuffer(file.read(), np.uint8).reshape(CIFAR_ROWS, CIFAR_BYTES)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            _("{path}: the archive is damaged or cut off ({what}); get it again.", path=path, what=error)
        ) from None
    missing = [name for name in CIFAR_TRAIN + CIFAR_TEST if name not in found]
    if missing:
        raise DataError(_("{path}: the archive has no {names}; get it again.", path=path, names=", ".join(missing)))
    rows = np.concatenate([found[name] for name in CIFAR_TRAIN + CIFAR_TEST])
    pictures = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    frame = pl.DataFrame([_labels(rows[:, 0], CIFAR_CLASSES, path)])
    num_train = CIFAR_ROWS * len(CIFAR_TRAIN)
    parts = {"train": np.arange(num_train), "test": np.arange(num_train, len(rows))}
    return Dataset("cifar10", frame, pictures, ("label",), [], parts, str(path.resolve()))


def _labels(codes: np.ndarray, classes: Sequence[str], path: Path) -> pl.Series:
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


def _pairs(path: Path) -> list[tuple[Path, Path]]:
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


def _training_first(file: Path) -> tuple[int, str]:
    order = ("train", "valid", "test", None)
    return order.index(PARTS.get(file.name.lower().split("-")[0])), file.name


def _partner(file: Path) -> Path:
    """The labels of pictures, the pictures of labels."""
    plain = file.name.removesuffix(".gz")
    for here, there in (("images", "labels"), ("labels", "images")):
        if here in plain:
            wanted = plain.replace(here, there)
            wanted = wanted.replace("idx3", "idx1") if there == "labels" else wanted.replace("idx1", "idx3")
            for suffix in (".gz", "") if file.suffix == ".gz" else ("", ".gz"):
                if (file.parent / (wanted + suffix)).is_file():
                    return file.parent / (wanted + suffix)
            raise DataError(_("{path} needs the file {wanted} beside it.", path=file, wanted=wanted))
    raise DataError(_("{path}: expected a name such as train-images-idx3-ubyte.gz.", path=file))
