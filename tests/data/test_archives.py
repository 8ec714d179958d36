"""A zip is read in place like the folder that was packed; one that lies, hides or bursts is refused."""

import gzip
import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gipi.data import archives, picture_sets
from gipi.data.sources import open_data
from gipi.errors import DataError


def png(seed: int, side: int = 6) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(held, "PNG")
    return held.getvalue()


def packed(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def classes(above: str = "") -> dict[str, bytes]:
    return {f"{above}{label}/{n}.png": png(n + 10 * (label == "b")) for label in "ab" for n in range(3)}


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


LAYOUTS = {
    "classes": classes(),
    "wrapped": classes("flowers/"),
    "parts": classes("train/") | classes("val/") | classes("test/"),
    "wrapped parts": classes("set/train/") | classes("set/test/"),
    "litter": classes() | {"__MACOSX/a/._0.png": b"x", "a/.DS_Store": b"x", "a/notes.txt": b"x", "readme.md": b"x"},
    "damaged": classes() | {"a/0.png": png(0)[:60], "b/1.png": b""},
    "table": {f"pictures/{n}.png": png(n) for n in range(4)}
    | {"labels.csv": b"file,label\npictures/0.png,x\npictures/1.png,y\npictures/9.png,y\n"},
    "table beside": {f"images/{n}.png": png(n) for n in range(4)}
    | {"labels.csv": b"file,label\n0.png,x\n1.png,y\n2.png,y\n"},
}


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_zip_is_what_its_folder_is(tmp_path, layout, how):
    path = packed(tmp_path / "set.zip", LAYOUTS[layout], how)
    found, expected = open_data(path), open_data(unpacked(tmp_path / "set", LAYOUTS[layout]))
    assert (found.pictures == expected.pictures).all() and found.frame.equals(expected.frame)
    assert found.target == expected.target == ("label",) and [*found.names] == [*expected.names]
    assert {p: rows.tolist() for p, rows in found.parts.items()} == {p: r.tolist() for p, r in expected.parts.items()}
    assert found.notes == expected.notes and found.origin == str(path)


def test_damaged_pictures_are_named_without_the_archive(tmp_path):
    data = open_data(packed(tmp_path / "set.zip", LAYOUTS["damaged"]))
    (note,) = [note for note in data.notes if "set aside" in note]
    assert note.startswith("2 pictures") and "a/0.png (" in note and "b/1.png (the file is empty)" in note


def test_idx_in_a_zip(tmp_path):
    images, labels = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5), np.array([2, 0, 1], np.uint8)
    files = {}
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        body = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
        files[f"raw/train-{name}-ubyte.gz"] = gzip.compress(body)
    data = open_data(packed(tmp_path / "mnist.zip", files))
    assert (data.pictures[:, :, :, 0] == images).all() and data.frame["label"].to_list() == [2, 0, 1]  # type: ignore
    assert data.name == "mnist"


def test_the_second_time_nothing_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_sets, "FEWEST", 6)
    path = packed(tmp_path / "set.zip", classes())
    first = open_data(path)
    copy = tmp_path / "copy.zip"
    copy.write_bytes(path.read_bytes())

    def never(*_what):
        raise AssertionError("decoded again")

    monkeypatch.setattr(picture_sets, "decoded", never)
    assert (open_data(path).pictures == first.pictures).all()
    assert (open_data(copy).pictures == first.pictures).all()  # it is the content that counts
    packed(path, classes() | {"a/0.png": png(99)})
    with pytest.raises(AssertionError):
        open_data(path)


def test_korean_names_of_windows(tmp_path):
    path = packed(tmp_path / "set.zip", {f"{label}/{n}.png": png(n) for label in ("AAAA", "BBBB") for n in range(2)})
    data = path.read_bytes().replace(b"AAAA", "장미".encode("cp949")).replace(b"BBBB", "국화".encode("cp949"))
    path.write_bytes(data)
    assert set(open_data(path).frame["label"]) == {"장미", "국화"}


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png", "C:\\evil.png", "..\\evil.png"])
def test_no_name_leads_out(tmp_path, name):
    home = tmp_path / "home"
    home.mkdir()
    path = packed(home / "set.zip", classes() | {name: png(1)})
    with pytest.raises(DataError, match="leads out of it"):
        open_data(path)
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["set.zip"]


def test_links_are_left_out_and_said(tmp_path):
    path = packed(tmp_path / "set.zip", classes())
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(5))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("a/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
    data = open_data(path)
    assert len(data) == 6 and any("1 links in the archive were left out: a/link.png" in note for note in data.notes)


def test_encrypted_is_refused(tmp_path):
    path = packed(tmp_path / "set.zip", classes())
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # the flag, in the directory and before each file
        start = data.find(mark)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(mark, start + 4)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"encrypted.*password"):
        open_data(path)


def test_bombs_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "HARMLESS", 1 << 22)
    bomb = packed(tmp_path / "bomb.zip", classes() | {"a/blank.bmp": bytes(1 << 24)})
    many = packed(tmp_path / "many.zip", classes())
    assert bomb.stat().st_size < 1 << 15

    def never(*_what, **_how):
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", never)
    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    with pytest.raises(DataError, match="zip bomb"):
        open_data(bomb)
    monkeypatch.setattr(archives, "MOST_FILES", 5)
    with pytest.raises(DataError, match="6 files"):
        open_data(many)


def test_a_file_larger_than_any_picture_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_OF_ONE", 1000)
    data = open_data(packed(tmp_path / "set.zip", classes() | {"a/9.png": png(1, 60)}))
    assert len(data) == 6 and any("a/9.png (0 MB when unpacked" in note for note in data.notes)


def test_a_directory_that_lies_about_sizes_unpacks_no_more(tmp_path):
    """The declared size is all that is read, and the sum of the bytes then tells that they are not what was packed."""
    path = packed(tmp_path / "set.zip", classes() | {"a/9.png": bytes(1 << 20)})
    data = bytearray(path.read_bytes())
    start = data.rfind(b"PK\x01\x02", 0, data.rfind(b"a/9.png"))
    data[start + 24 : start + 28] = struct.pack("<I", 100)
    path.write_bytes(bytes(data))
    found = open_data(path)
    assert len(found) == 6 and any("a/9.png (damaged in the archive" in note for note in found.notes)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_cut_off_archives(tmp_path, keep):
    path = packed(tmp_path / "set.zip", classes())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(DataError, match="not a zip, or damaged or cut off"):
        open_data(path)


def test_random_damage_gives_data_or_our_error(tmp_path):
    random, good = np.random.default_rng(0), packed(tmp_path / "good.zip", classes()).read_bytes()
    for _time in range(40):
        bad = bytearray(good)
        for place in random.integers(0, len(bad), 8):
            bad[place] = random.integers(256)
        path = tmp_path / "bad.zip"
        path.write_bytes(bytes(bad))
        try:
            assert len(open_data(path)) <= 6
        except DataError as error:
            assert str(error)


def test_archives_without_pictures(tmp_path):
    with pytest.raises(DataError, match=r"several classes, but grades\.csv; unpack"):
        open_data(packed(tmp_path / "a.zip", {"grades.csv": b"x,y\n1,2\n"}))
    with pytest.raises(DataError, match="several classes, but nothing"):
        open_data(packed(tmp_path / "b.zip", {}))
    with pytest.raises(DataError, match="2 pictures lie in the folder itself"):
        open_data(packed(tmp_path / "c.zip", {"0.png": png(0), "1.png": png(1)}))
    tables = {"train.csv": b"file,label\n0.png,x\n", "test.csv": b"file,label\n1.png,x\n"}
    with pytest.raises(DataError, match=r"test\.csv, train\.csv none is plainly the one"):
        open_data(packed(tmp_path / "d.zip", {"0.png": png(0), "1.png": png(1), **tables}))


def test_real_flowers(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = open_data(shared_data / "flower_photos" / "flower_photos.zip", picture_size=32)
    assert len(data) == 270 and data.frame["label"].n_unique() == 5
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 220, "valid": 50}
    assert os.listdir(tmp_path / "cache" / "gipi") == ["pictures"]  # nothing was unpacked
