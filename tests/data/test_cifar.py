"""CIFAR's binary batches, from a folder, a zip, or the archive that is published; its pickles are refused."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gipi.data.cifar import PIXELS, TEN
from gipi.data.sources import open_data
from gipi.errors import DataError

FOLDER = "cifar-10-batches-bin"


def batch(seed: int, labels: int = 1, classes: int = 10, rows: int = 20) -> np.ndarray:
    """Rows whose red plane is 200, green 100, blue 0; labels count up."""
    found = np.zeros((rows, labels + PIXELS), np.uint8)
    found[:, :labels] = (np.arange(rows)[:, None] + seed) % classes
    found[:, labels : labels + 1024], found[:, labels + 1024 : labels + 2048] = 200, 100
    return found


def ten() -> dict[str, bytes]:
    files = {f"data_batch_{i}.bin": batch(i).tobytes() for i in range(1, 6)}
    return {
        **files,
        "test_batch.bin": batch(0).tobytes(),
        "batches.meta.txt": b"\n".join(map(str.encode, TEN)) + b"\n\n",
    }


def hundred() -> dict[str, bytes]:
    return {
        "train.bin": batch(0, 2, 20).tobytes(),
        "test.bin": batch(1, 2, 20, 6).tobytes(),
        "fine_label_names.txt": "\n".join(f"fine{n}" for n in range(100)).encode(),
        "coarse_label_names.txt": "\n".join(f"coarse{n}" for n in range(20)).encode(),
    }


def as_folder(home: Path, files: dict[str, bytes]) -> Path:
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def as_zip(home: Path, files: dict[str, bytes]) -> Path:
    path = home / "cifar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"{FOLDER}/{name}", data)
    return path


def as_tar(home: Path, files: dict[str, bytes]) -> Path:
    path = home / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("put", [as_folder, as_zip, as_tar])
def test_ten_classes(tmp_path, put):
    path = put(tmp_path, ten())
    data = open_data(path)
    assert data.pictures is not None and data.pictures.shape == (120, 32, 32, 3)
    assert (data.pictures[0] == [200, 100, 0]).all()
    assert data.frame["label"][:3].to_list() == ["automobile", "bird", "cat"] and data.target == ("label",)
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 100, "test": 20}
    assert data.frame["label"][data.parts["test"]].to_list() == [*TEN, *TEN]
    assert data.origin == str(path) and not data.notes


@pytest.mark.parametrize("put", [as_folder, as_zip, as_tar])
def test_hundred_classes_in_twenty(tmp_path, put):
    path = put(tmp_path, hundred())
    data = open_data(path)
    assert data.frame["label"][:2].to_list() == ["fine0", "fine1"]
    assert data.frame["coarse"][:2].to_list() == ["coarse0", "coarse1"]
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 20, "test": 6}
    assert open_data(path, target="coarse").target == ("coarse",)


def test_one_batch_and_a_part_of_them(tmp_path):
    folder = as_folder(tmp_path, ten())
    one = open_data(folder / "data_batch_2.bin")
    assert len(one) == 20 and one.parts == {} and one.frame["label"][0] == "bird" and not one.notes
    (folder / "data_batch_3.bin").unlink()
    assert any("not there: data_batch_3.bin" in note for note in open_data(folder).notes)


def test_names_of_ones_own(tmp_path):
    folder = as_folder(tmp_path, {**ten(), "batches.meta.txt": "\n".join("zyxwvutsrq").encode()})
    assert open_data(folder).frame["label"][0] == "y"


@pytest.mark.parametrize("put", [as_folder, as_zip, as_tar])
def test_damaged_batches(tmp_path, put):
    files = ten()
    files["data_batch_4.bin"] = files["data_batch_4.bin"][:-1]
    with pytest.raises(DataError, match=r"data_batch_4\.bin has 61459 bytes; expected a multiple of 3073"):
        open_data(put(tmp_path, files))
    rows = batch(0)
    rows[7, 0] = 10
    with pytest.raises(DataError, match=r"a label is 10; expected 0 \.\. 9"):
        open_data(put(tmp_path, {**ten(), "data_batch_4.bin": rows.tobytes()}))


def test_archives_that_are_not_it(tmp_path):
    path = as_tar(tmp_path, ten())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="damaged or cut off"):
        open_data(path)
    with pytest.raises(DataError, match=r"no data_batch_1\.bin"):
        open_data(as_tar(tmp_path, {"readme.txt": b"x"}))


class Trap:
    """Says so if anybody unpickles it."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("put", [as_folder, as_zip, as_tar])
def test_pickles_are_refused_and_never_loaded(tmp_path, put):
    trap = pickle.dumps(Trap())
    python = {**{f"data_batch_{i}": trap for i in range(1, 6)}, "test_batch": trap, "batches.meta": trap}
    path = put(tmp_path, python)
    for source in (path, path / "data_batch_1") if path.is_dir() else (path,):
        with pytest.raises(DataError, match=r"Python pickles.*cifar-10-binary\.tar\.gz"):
            open_data(source)


def test_pickles_of_the_hundred(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"cifar-100-binary\.tar\.gz"):
        open_data(folder)
