"""Pictures of every kind become grey or RGB bytes, damaged ones are refused by name, and sets of them get one size."""

import contextlib
import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from gipi.data.idx import pictures_of_idx, read_idx
from gipi.data.images import read_header, read_picture
from gipi.data.picture_sets import folder_of_pictures, pictures_of_arrays
from gipi.errors import DataError

UNREADABLE = {
    "broken.png",
    "broken_data_stream.png",
    "decompression_bomb.gif",
    "truncated_image.png",
    "truncated_jpeg.jpg",
    "unknown_compression_method.png",
    "zero_width.gif",
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path: Path, array: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_idx(path: Path, array: np.ndarray, kind: int = 8, extra: bytes = b"") -> Path:
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    body = header + array.tobytes() + extra
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


# --- one picture -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grey.png", "grey.bmp", "grey.pgm", "grey.tif"])
def test_grey_files_are_exact(tmp_path, name):
    array = noise(5, 7)
    assert np.array_equal(read_picture(save(tmp_path / name, array))[:, :, 0], array)


@pytest.mark.parametrize("name", ["colour.png", "colour.bmp", "colour.webp"])
def test_colour_files_are_exact(tmp_path, name):
    array = noise(5, 7, 3)
    path = save(tmp_path / name, array, **({"lossless": True} if name.endswith("webp") else {}))
    assert np.array_equal(read_picture(path), array)
    assert np.array_equal(read_picture(path.read_bytes()), array)
    assert np.array_equal(read_picture(Image.open(path)), array)


def test_exif_rotation_is_undone(tmp_path):
    array = np.zeros((8, 16), np.uint8)
    array[:, :8] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: the left becomes the top
    path = save(tmp_path / "turned.png", array, exif=exif)
    picture = read_picture(path)
    assert picture.shape == (16, 8, 1)
    assert picture[:8].min() == 255 and picture[8:].max() == 0
    assert (read_header(path, "x").height, read_header(path, "x").width) == (16, 8)


def test_transparency_is_laid_on_white(tmp_path):
    array = np.zeros((2, 2, 4), np.uint8)  # black, and fully transparent but for one
    array[0, 0] = (10, 20, 30, 255)
    array[1, 1] = (0, 0, 0, 128)
    picture = read_picture(save(tmp_path / "glass.png", array))
    assert picture[0, 0].tolist() == [10, 20, 30]
    assert picture[0, 1].tolist() == [255, 255, 255]
    assert picture[1, 1].tolist() == [127, 127, 127]


def test_palette_is_looked_up(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png")
    assert read_picture(tmp_path / "palette.png").tolist() == [[[255, 0, 0], [0, 0, 255]]]


def test_cmyk_becomes_rgb(tmp_path):
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    image.save(tmp_path / "print.tif")
    image.save(tmp_path / "print.jpg", quality=95)
    for name in ("print.tif", "print.jpg"):
        picture = read_picture(tmp_path / name).astype(int)
        assert picture.shape == (4, 4, 3)
        assert picture[..., 0].min() > 200 and picture[..., 1:].max() < 55


def test_16_bits_are_scaled_not_cut(tmp_path):
    deep = np.array([[0, 257, 32768, 65535]], np.uint16)
    for name in ("deep.png", "deep.tif"):
        assert read_picture(save(tmp_path / name, deep)).ravel().tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 255.0], [0, 100, 255])]
)
def test_floating_tiff_shows_its_range(tmp_path, values, expected):
    assert read_picture(save(tmp_path / "real.tif", np.array([values], np.float32))).ravel().tolist() == expected


def test_floating_tiff_of_no_known_range_is_refused(tmp_path):
    path = save(tmp_path / "odd.tif", np.array([[-1.0, 3.0]], np.float32))
    with pytest.raises(DataError, match=r"odd\.tif: the pixels lie in -1\.0"):
        read_picture(path)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "moving.gif")
    assert picture.shape == (4, 4, 1) and (picture == 10).all()
    assert read_header(tmp_path / "moving.gif", "x").frames == 2


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.bmp", "cut.tif"])
def test_cut_off_files_are_refused_by_name(tmp_path, name):
    path = save(tmp_path / name, noise(64, 64, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=name):
        read_picture(path)


@pytest.mark.parametrize("length", [1, 4, 9, 20, 40])
def test_header_only_files_are_refused(tmp_path, length):
    for kind in ("png", "jpg", "gif", "bmp", "webp", "tif", "ppm"):
        path = save(tmp_path / f"stub.{kind}", noise(16, 16, 3))
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(DataError, match="stub"):
            read_picture(path)


def test_random_damage_gives_a_picture_or_our_error(tmp_path):
    """Pillow raises all sorts of things; only DataError may come out."""
    rng = np.random.default_rng(0)
    for kind in ("png", "jpg", "gif", "bmp", "webp", "tif"):
        good = bytearray(save(tmp_path / f"x.{kind}", noise(12, 12, 3)).read_bytes())
        for _attempt in range(25):
            bad = bytearray(good)
            for place in rng.integers(0, len(bad), 6):
                bad[place] = rng.integers(256)
            with contextlib.suppress(DataError):
                assert read_picture(bytes(bad), (3, 8, 8)).shape == (8, 8, 3)


def test_empty_absent_and_folder(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.png: the file is empty"):
        read_picture(tmp_path / "empty.png")
    with pytest.raises(DataError, match=r"absent\.png: there is no such file"):
        read_picture(tmp_path / "absent.png")
    with pytest.raises(DataError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(DataError, match="not a picture"):
        read_picture(b"study,score\n9,90\n")


def test_bomb_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 10_001, 10_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(DataError, match="10001 x 10000 pixels and was not decoded"):
        read_picture(bomb)
    with pytest.raises(DataError, match="100 million"):
        read_picture(Image.new("1", (10_001, 10_000)))


def test_shape_brings_size_and_channels():
    colour = noise(20, 30, 3)
    assert read_picture(colour, (1, 10, 10)).shape == (10, 10, 1)
    assert read_picture(colour[:, :, 0], (3, 10, 10)).shape == (10, 10, 3)
    grey = read_picture(colour, (1, 20, 30))[:, :, 0].astype(float)
    assert np.abs(grey - colour @ np.array([0.299, 0.587, 0.114])).max() <= 1


def test_shrinking_averages_instead_of_aliasing():
    board = np.indices((64, 64)).sum(0) % 2 * 255  # a chess board of single pixels is grey from afar
    small = read_picture(board.astype(np.uint8), (1, 8, 8))
    assert small.min() >= 120 and small.max() <= 135


def test_white_scales_bytes_and_leaves_numbers():
    picture = np.array([[0, 255]], np.uint8)
    scaled = read_picture(picture, white=16.0)
    assert scaled.dtype == np.float32 and scaled.ravel().tolist() == [0, 16]
    assert read_picture(np.array([[0.0, 16.0]]), white=16.0).ravel().tolist() == [0, 16]
    assert read_picture(np.array([[0, 200]], np.int64)).dtype == np.uint8


def test_arrays_and_tensors_in_either_order():
    array = noise(3, 6, 5)
    assert np.array_equal(read_picture(array), array.transpose(1, 2, 0))
    assert np.array_equal(read_picture(torch.from_numpy(array)), array.transpose(1, 2, 0))
    assert read_picture(torch.rand(1, 6, 5, requires_grad=True), white=1.0).shape == (6, 5, 1)
    assert read_picture(torch.rand(1, 6, 5).bfloat16(), white=1.0).dtype == np.float32


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, np.uint8), "is no picture"),
        (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\)"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), 0.5), r"0\.5 .. 0\.5, where 0 .. 255"),
        (np.full((4, 4), 300.0), "where 0 .. 255"),
        (np.array([["a", "b"]]), "expected numbers"),
        ([[1, 2], [3]], "different lengths"),
    ],
)
def test_arrays_that_are_no_picture(array, message):
    with pytest.raises(DataError, match=message):
        read_picture(array)


def test_real_odd_files(shared_data):
    files = sorted((shared_data / "bad_images").iterdir())
    assert files
    refused = set()
    for path in files:
        try:
            picture = read_picture(path)
        except DataError as error:
            assert path.name in str(error)
            refused.add(path.name)
            continue
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] in (1, 3)
        assert path.name == "no_palette.gif" or picture.std() > 0
        assert read_picture(path, (3, 8, 8)).shape == (8, 8, 3)
    assert refused == UNREADABLE


def test_real_cmyk_jpeg_is_not_inverted(shared_data):
    picture = read_picture(shared_data / "bad_images" / "pil_sample_cmyk.jpg")
    assert picture[0, 0, 0] > 200 and picture[0, 0, 1:].max() < 60  # the red bar
    assert picture[-1, -1].max() < 30  # black


# --- folders -----------------------------------------------------------------------------------------------------


def test_folder_for_each_class(tmp_path):
    for i in range(3):
        save(tmp_path / "cat" / f"{i}.png", noise(8, 8, 3, seed=i))
        save(tmp_path / "dog" / "more" / f"{i}.png", noise(8, 8, 3, seed=9 + i))
    (tmp_path / "cat" / "readme.txt").write_text("x")
    (tmp_path / "cat" / ".DS_Store").write_text("x")
    (tmp_path / "empty").mkdir()
    data = folder_of_pictures(tmp_path)
    assert data.frame["label"].to_list() == ["cat"] * 3 + ["dog"] * 3
    assert data.pictures is not None and data.pictures.shape == (6, 8, 8, 3) and data.pictures.dtype == np.uint8
    assert np.array_equal(data.pictures[4], noise(8, 8, 3, seed=10))
    assert data.target == ("label",) and data.origin == str(tmp_path) and data.parts == {}
    assert any("1 files that are not pictures" in note for note in data.notes)
    assert any("empty" in note for note in data.notes)


@pytest.mark.parametrize("valid", ["valid", "val", "Validation"])
def test_given_parts(tmp_path, valid):
    for part, count in (("train", 3), (valid, 2), ("test", 1)):
        for label in "ab":
            for i in range(count):
                save(tmp_path / part / label / f"{i}.png", noise(4, 4))
    data = folder_of_pictures(tmp_path)
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 6, "valid": 4, "test": 2}
    assert sorted(np.concatenate(list(data.parts.values()))) == list(range(12))
    assert data.frame["label"][data.parts["test"]].to_list() == ["a", "b"]


def test_damaged_files_are_named_and_set_aside(tmp_path):
    for label in "ab":
        for i in range(3):
            save(tmp_path / label / f"{i}.png", noise(32, 32, seed=i))
    (tmp_path / "a" / "0.png").write_bytes((tmp_path / "a" / "0.png").read_bytes()[:300])
    (tmp_path / "b" / "2.png").write_bytes(b"nothing")
    data = folder_of_pictures(tmp_path)
    assert len(data) == 4 and data.frame["label"].to_list() == ["a", "a", "b", "b"]
    (note,) = [note for note in data.notes if "set aside" in note]
    assert note.startswith("2 pictures") and "a/0.png (" in note and "b/2.png (" in note and str(tmp_path) not in note


def test_mixed_sizes_become_the_median(tmp_path):
    for i, side in enumerate((16, 21, 40)):
        save(tmp_path / "a" / f"{i}.png", noise(side, side))
        save(tmp_path / "b" / f"{i}.png", noise(side, 2 * side, 3))
    data = folder_of_pictures(tmp_path)
    assert data.pictures is not None and data.pictures.shape == (6, 20, 36, 3)
    assert any("16 x 16 .. 80 x 40" in note and "36 x 20" in note for note in data.notes)
    assert any("3 of 6 pictures are grey" in note for note in data.notes)
    assert folder_of_pictures(tmp_path, size=12).pictures.shape == (6, 12, 12, 3)  # type: ignore
    assert folder_of_pictures(tmp_path, size=(8, 16)).pictures.shape == (6, 8, 16, 3)  # type: ignore


def test_large_pictures_are_kept_small_and_match_read_picture(tmp_path):
    for label in "ab":
        save(tmp_path / label / "0.jpg", np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 300, 3)))
    data = folder_of_pictures(tmp_path)
    assert data.pictures is not None and data.pictures.shape == (2, 43, 64, 1)  # grey, though stored as colour
    assert np.array_equal(data.pictures[0], read_picture(tmp_path / "a" / "0.jpg", (1, 43, 64)))


def test_animations_are_counted(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
        frames[0].save(tmp_path / label / "0.gif", save_all=True, append_images=frames[1:])
    assert any("2 files hold an animation" in note for note in folder_of_pictures(tmp_path).notes)


def test_wrapped_folder(tmp_path):
    for label in "ab":
        save(tmp_path / "flowers" / label / "0.png", noise(4, 4))
    assert folder_of_pictures(tmp_path).frame["label"].to_list() == ["a", "b"]


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="no pictures"):
        folder_of_pictures(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        folder_of_pictures(tmp_path / "absent")
    save(tmp_path / "only" / "0.png", noise(4, 4))
    with pytest.raises(DataError, match="one class, 'only'"):
        folder_of_pictures(tmp_path)
    save(tmp_path / "loose" / "0.png", noise(4, 4))
    with pytest.raises(DataError, match="1 pictures lie in the folder itself"):
        folder_of_pictures(tmp_path / "loose")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0.png").write_bytes(b"x")
    (tmp_path / "loose" / "0.png").write_bytes(b"x")
    (tmp_path / "only" / "0.png").write_bytes(b"x")
    with pytest.raises(DataError, match="None of the 3 pictures can be read"):
        folder_of_pictures(tmp_path)


# --- arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 6, 7), (5, 6, 7, 1)),
        ((5, 6, 7, 3), (5, 6, 7, 3)),
        ((5, 3, 6, 7), (5, 6, 7, 3)),
        ((5, 1, 6, 7), (5, 6, 7, 1)),
    ],
)
def test_arrays_of_pictures(shape, expected):
    data = pictures_of_arrays(noise(*shape), [0, 1, 0, 1, 2], "mine")
    assert data.pictures is not None and data.pictures.shape == expected and data.pictures.dtype == np.uint8
    assert data.frame["label"].to_list() == [0, 1, 0, 1, 2] and data.frame["label"].dtype == pl.Int64
    assert data.target == ("label",) and data.white == 255


@pytest.mark.parametrize(("top", "white"), [(1.0, 1.0), (0.4, 1.0), (15.5, 16.0), (255.0, 255.0)])
def test_numbers_say_what_white_is(top, white):
    data = pictures_of_arrays(np.linspace(0, top, 32).reshape(2, 4, 4), ["a", "b"])
    assert data.pictures is not None and data.pictures.dtype == np.float32 and data.white == white
    assert any("white" in note for note in data.notes)


def test_bytes_in_a_wider_type_are_bytes():
    data = pictures_of_arrays(noise(4, 8, 8).astype(np.int64), None)
    assert data.pictures is not None and data.pictures.dtype == np.uint8 and data.white == 255
    assert data.target == () and len(data) == 4 and len(data.rows(np.array([1, 2]))) == 2


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((4, 4)), None, r"shape \(4, 4\)"),
        (np.zeros((4, 5, 5, 2)), None, r"shape \(4, 5, 5, 2\)"),
        (np.zeros((0, 5, 5)), None, "is no pictures"),
        (np.zeros((3, 4, 4)), [1, 2], "X has 3 rows but label has 2"),
        (np.array([[["a"]]]), None, "expected numbers"),
        (np.where(np.arange(3)[:, None, None] == 1, np.nan, np.zeros((3, 4, 4))), None, r"row 1 has NaN"),
        (np.where(np.arange(3)[:, None, None] == 2, np.inf, np.zeros((3, 4, 4))), None, r"row 2 has NaN or infinite"),
    ],
)
def test_arrays_that_are_no_pictures(X, y, message):
    with pytest.raises(DataError, match=message):
        pictures_of_arrays(X, y)


# --- IDX ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder_and_file(tmp_path, suffix):
    for prefix, count in (("t10k", 2), ("train", 3)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{suffix}", noise(count, 4, 5))
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8))
    data = pictures_of_idx(tmp_path)
    assert data.pictures is not None and data.pictures.shape == (5, 4, 5, 1)
    assert data.frame["label"].to_list() == [0, 1, 2, 0, 1]
    assert {part: rows.tolist() for part, rows in data.parts.items()} == {"train": [0, 1, 2], "test": [3, 4]}
    for name in ("images-idx3", "labels-idx1"):
        assert len(pictures_of_idx(tmp_path / f"t10k-{name}-ubyte{suffix}")) == 2
    assert pictures_of_idx(tmp_path, tuple("abc")).frame["label"].to_list() == list("abcab")


def test_idx_headers_are_strict(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    write_idx(path, noise(2, 3, 3), kind=0x0D)
    with pytest.raises(DataError, match="begins with 00 00 0d"):
        read_idx(path)
    write_idx(path, noise(2, 3, 3), extra=b"x")
    with pytest.raises(DataError, match="longer than its header"):
        read_idx(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="shorter than its header"):
        read_idx(path)
    path.write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 2**31))
    with pytest.raises(DataError, match="too much"):
        read_idx(path)
    path.write_bytes(b"\0\0\x08\x03\0")
    with pytest.raises(DataError, match="cut off"):
        read_idx(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="nothing"):
        read_idx(path)
    packed = write_idx(tmp_path / "train-labels-idx1-ubyte.gz", noise(2000))
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged or cut off"):
        read_idx(packed)


def test_idx_pairs_must_fit(tmp_path):
    images = write_idx(tmp_path / "train-images-idx3-ubyte", noise(3, 4, 4))
    with pytest.raises(DataError, match="needs the file train-labels-idx1-ubyte"):
        pictures_of_idx(images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2, np.uint8))
    with pytest.raises(DataError, match="for 3 pictures"):
        pictures_of_idx(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.full(3, 7, np.uint8))
    with pytest.raises(DataError, match="a label is 7"):
        pictures_of_idx(tmp_path, ("a", "b"))


def test_real_fashion_mnist_test_pair(shared_data):
    data = pictures_of_idx(shared_data / "fashion_mnist" / "t10k-images-idx3-ubyte.gz")
    assert data.pictures is not None and data.pictures.shape == (10_000, 28, 28, 1)
    assert data.frame["label"].value_counts()["count"].to_list() == [1000] * 10
