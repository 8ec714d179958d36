"""CIFAR-10 and CIFAR-100 in their own binary version: rows of a label or two, then red, green and blue planes.

In a folder, in a zip, or in the archive that they are published as, which is read without unpacking it to disk. Names
of classes are those of the text files beside the batches, or the published ones. The other version that is published,
Python pickles, runs code when it is read: it is refused, and the sentence says which to get instead.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, https://www.cs.toronto.edu/~kriz/cifar.html

N pictures
"""

import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.errors import DataError
from gipi.messages import _

PIXELS = 3 * 32 * 32  # of a row: 32 x 32 red, then green, then blue
TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_OF_TEN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
BATCH = re.compile(r"data_batch_\d+\.bin|test_batch\.bin")
NAMES_OF_TEN, NAMES_OF_COARSE, NAMES_OF_FINE = "batches.meta.txt", "coarse_label_names.txt", "fine_label_names.txt"
OF_HUNDRED = ("train.bin", "test.bin")
PICKLES = re.compile(r"(data_batch_\d+|test_batch|batches\.meta)")
MOST_BYTES = 1 << 30  # of one file; the largest that is published has 154 MB

Files = Mapping[str, Callable[[], bytes]]  # a file's name -> what gives its bytes


def is_cifar(names: Iterable[str]) -> bool:
    """Whether files of these names are CIFAR's batches, or pickles of them, which are refused later."""
    found = set(names)
    has_hundred = found & set(OF_HUNDRED) and found & {NAMES_OF_FINE, NAMES_OF_COARSE}
    return bool(has_hundred) or are_pickles(found) or any(BATCH.fullmatch(name) for name in found)


def are_pickles(names: Iterable[str]) -> bool:
    found = set(names)
    return any(PICKLES.fullmatch(name) for name in found) or {"train", "test", "meta"} <= found


def pictures_of_cifar(files: Files, shown: str) -> Dataset:
    """The pictures and labels of these batches; CIFAR-100 has its 20 coarse classes in the column `coarse`.

    Args:
        files: The batches, and the lists of names if they are there.
        shown: What errors call the place that they are in.

    Raises:
        DataError: They are pickles, a file is no batch, or a label has no name.
    """
    if are_pickles(files):
        raise pickled(shown)
    batches = sorted(name for name in files if BATCH.fullmatch(name))
    if batches:
        classes = _names(files, NAMES_OF_TEN) or TEN
        return _pictures(files, shown, "cifar10", batches, {"label": classes})
    fine = _names(files, NAMES_OF_FINE) or tuple(map(str, range(100)))
    coarse = _names(files, NAMES_OF_COARSE) or tuple(map(str, range(20)))
    batches = [name for name in OF_HUNDRED if name in files]
    return _pictures(files, shown, "cifar100", batches, {"coarse": coarse, "label": fine})


def pictures_of_cifar_folder(path: Path, only: str | None = None) -> Dataset:
    """The batches in a folder; or one of them, with the names that lie beside it."""
    names = {NAMES_OF_TEN, NAMES_OF_FINE, NAMES_OF_COARSE}
    there = {file.name: file for file in sorted(path.iterdir()) if file.is_file()}
    wanted = {name: file for name, file in there.items() if only in (None, name) or name in names}
    data = pictures_of_cifar({name: file.read_bytes for name, file in wanted.items()}, str(path))
    data.origin = str((path / only if only else path).resolve())
    return data


def pictures_of_cifar_archive(path: Path) -> Dataset:
    """CIFAR from the `.tar.gz` that it is published as.

    Raises:
        DataError: The archive is damaged, is that of the pickles, or holds no batch.
    """
    held: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                name = Path(member.name).name
                if not member.isfile():
                    continue
                if are_pickles([name]):
                    raise pickled(str(path))
                if not (BATCH.fullmatch(name) or name in (*OF_HUNDRED, NAMES_OF_TEN, NAMES_OF_FINE, NAMES_OF_COARSE)):
                    continue
                if member.size > MOST_BYTES:
                    raise _odd_size(str(path), name, member.size, 0)
                file = archive.extractfile(member)
                assert file is not None
                held[name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            _("{path}: the archive is damaged or cut off ({what}); get it again.", path=path, what=error)
        ) from None
    if not is_cifar(held):
        raise DataError(
            _(
                "{path}: the archive has no data_batch_1.bin; expected the binary version of CIFAR. "
                "Unpack any other archive, or make it a zip.",
                path=path,
            )
        )
    data = pictures_of_cifar({name: lambda name=name: held[name] for name in held}, str(path))
    data.origin = str(path.resolve())
    return data


def pickled(shown: str) -> DataError:
    hundred = "100" in Path(shown).name
    return DataError(
        _(
            "{path} holds CIFAR as Python pickles, which run code when they are read, and is not read. Get the binary "
            "version, {name}, from https://www.cs.toronto.edu/~kriz/cifar.html; gipi reads it as it comes.",
            path=shown,
            name=f"cifar-{100 if hundred else 10}-binary.tar.gz",
        )
    )


def _pictures(
    files: Files, shown: str, name: str, batches: list[str], classes: Mapping[str, tuple[str, ...]]
) -> Dataset:
    """The rows of the batches, training ones first; `classes` has a list of names for each label of a row, in order."""
    rows = {batch: _rows(files[batch](), shown, batch, len(classes)) for batch in batches}
    train = [batch for batch in batches if not batch.startswith("test")]
    test = [batch for batch in batches if batch.startswith("test")]
    together = np.concatenate([rows[batch] for batch in (*train, *test)])
    pictures = np.ascontiguousarray(together[:, len(classes) :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    columns = [_labels(together[:, n], column, classes[column], shown) for n, column in enumerate(classes)]
    parts = {}
    if train and test:
        num_train = sum(len(rows[batch]) for batch in train)
        parts = {"train": np.arange(num_train), "test": np.arange(num_train, len(together))}
    notes = []
    missing = [batch for batch in TRAIN_OF_TEN if name == "cifar10" and train and batch not in rows]
    if missing and len(batches) > 1:
        notes.append(_("Of CIFAR-10's five training batches these are not there: {names}.", names=", ".join(missing)))
    return Dataset(name, pl.DataFrame(columns), pictures, ("label",), notes, parts)


def _rows(data: bytes, shown: str, name: str, labels: int) -> np.ndarray:
    """`(N, labels + 3072)` bytes of a batch."""
    width = labels + PIXELS
    if not data or len(data) % width or len(data) > MOST_BYTES:
        raise _odd_size(shown, name, len(data), width)
    return np.frombuffer(data, np.uint8).reshape(-1, width)


def _odd_size(shown: str, name: str, size: int, width: int) -> DataError:
    return DataError(
        _(
            "{path}: {name} has {size} bytes; expected a multiple of {width}, the bytes of a picture with its label. "
            "Get it again.",
            path=shown,
            name=name,
            size=size,
            width=width or 1 + PIXELS,
        )
    )


def _names(files: Files, name: str) -> tuple[str, ...]:
    """The lines of a list of names; none where it is not there."""
    if name not in files:
        return ()
    lines = files[name]().decode("utf-8", "replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _labels(codes: np.ndarray, column: str, classes: tuple[str, ...], shown: str) -> pl.Series:
    if codes.max() >= len(classes):
        raise DataError(
            _("{path}: a label is {code}; expected 0 .. {last}.", path=shown, code=codes.max(), last=len(classes) - 1)
        )
    return pl.Series(column, np.array(classes, dtype=object)[codes].tolist(), dtype=pl.String)
