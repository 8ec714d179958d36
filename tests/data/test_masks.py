"""Pictures with masks: the layouts and the kinds of masks that there are, and what is said of those that do not fit."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from gipi.data.masks import Classes, open_masks
from gipi.errors import DataError, UsageError

H, W = 20, 30


def picture(seed=0, size=(H, W)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def mask(seed=0, values=(0, 1, 2), size=(H, W)):
    found = np.random.default_rng(seed).choice(np.array(values, np.uint8), size)
    found.flat[: len(values)] = values  # each of them
    return found


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def a_set(root, images="images", masks="masks", count=4, suffix="", values=(0, 1, 2)):
    for n in range(count):
        write(root / images / f"{n}.png", picture(n))
        write(root / masks / f"{n}{suffix}.png", mask(n, values))
    return root


# --- layouts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "masks", "suffix"),
    [
        ("images", "masks", ""),
        ("image", "label", ""),
        ("imgs", "annotations", "_mask"),
        ("images", "labels", "_P"),
        ("701_StillsRaw_full", "LabeledApproved_full", "_L"),
        ("train", "trainannot", ""),
        ("data/membrane/train/image", "data/membrane/train/label", ""),
        ("JPEGImages", "SegmentationClass", ""),
        (".", ".", "_L"),
        ("both", "both", "-mask"),
    ],
)
def test_masks_are_found_by_the_names_of_pictures(tmp_path, images, masks, suffix):
    data, classes = open_masks(a_set(tmp_path / "set", images, masks, suffix=suffix))
    assert len(data) == 4 and classes.names == ("0", "1", "2")
    assert not data.parts, "all in one folder train: nothing is set aside by it"
    for n in range(4):
        assert (data.pictures[n] == picture(n)).all()
        assert (data.answers[n, :, :, 0] == mask(n)).all()


@pytest.mark.parametrize("layout", ["{part}/images {part}/masks", "images/{part} masks/{part}", "{part} {part}_masks"])
def test_parts_by_folders(tmp_path, layout):
    images, masks = layout.split()
    for number, part in enumerate(("train", "val", "test")):
        a_set(tmp_path, images.format(part=part), masks.format(part=part), count=3 - number)
    data, _classes = open_masks(tmp_path)
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 3, "valid": 2, "test": 1}
    assert all("test" in name for name in data.frame["file"][data.parts["test"].tolist()])


def test_parts_by_lists(tmp_path):
    a_set(tmp_path, count=5)
    (tmp_path / "valid.txt").write_text("1.png\n")
    (tmp_path / "test.txt").write_text("/somewhere/else/3.png /somewhere/masks/3.png\n")
    data, _classes = open_masks(tmp_path)
    assert {part: rows.tolist() for part, rows in data.parts.items()} == {"train": [0, 2, 4], "valid": [1], "test": [3]}


def test_an_archive_is_read_as_it_is(tmp_path):
    a_set(tmp_path / "loose")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted((tmp_path / "loose").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path / "loose"))
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "set.zip").rename(kept / "set.zip")
    one, other = open_masks(kept)[0], open_masks(kept / "set.zip")[0]
    assert (one.pictures == other.pictures).all() and (one.pictures == open_masks(tmp_path / "loose")[0].pictures).all()


def test_pages_of_a_stack(tmp_path):
    pages = [Image.fromarray(picture(n)[:, :, 0]) for n in range(4)]
    masks = [Image.fromarray(mask(n, (0, 255))) for n in range(4)]
    pages[0].save(tmp_path / "train-volume.tif", save_all=True, append_images=pages[1:])
    masks[0].save(tmp_path / "train-labels.tif", save_all=True, append_images=masks[1:])
    data, classes = open_masks(tmp_path)
    assert data.pictures.shape == (4, H, W, 1) and classes.values == (0, 255)
    assert (data.answers[3, :, :, 0] == (mask(3, (0, 255)) == 255)).all()


def test_pictures_of_different_sizes_lie_on_canvases(tmp_path):
    for n, size in enumerate([(20, 30), (40, 10)]):
        write(tmp_path / "images" / f"{n}.png", picture(n, size))
        write(tmp_path / "masks" / f"{n}.png", mask(n, size=size))
    data, _classes = open_masks(tmp_path)
    assert data.pictures.shape == (2, 40, 30, 3)
    assert data.frame.select("height", "width").rows() == [(20, 30), (40, 10)]
    assert (data.answers[0, 20:] == 255).all() and (data.answers[1, :, 10:] == 255).all()


def test_large_pictures_are_made_smaller_and_it_is_said(tmp_path):
    data, _classes = open_masks(a_set(tmp_path), size=15)
    assert data.pictures.shape == (4, 10, 15, 3) and data.answers.shape == (4, 10, 15, 1)
    assert set(np.unique(data.answers)) <= {0, 1, 2}, "a mask has no shades in between"
    assert any("--picture-size" in note for note in data.notes)


# --- what the values stand for -----------------------------------------------------------------------------------


def test_two_values_and_void(tmp_path):
    _data, classes = open_masks(a_set(tmp_path / "two", values=(0, 255)))
    assert (classes.values, classes.ignored) == ((0, 255), ())
    data, classes = open_masks(a_set(tmp_path / "void", values=(0, 1, 255)))
    assert (classes.values, classes.ignored) == ((0, 1), (255,))
    assert 255 in data.answers


def test_palettes_are_numbers(tmp_path):
    for n in range(3):
        write(tmp_path / "images" / f"{n}.png", picture(n))
        image = Image.fromarray(mask(n, (0, 1, 15)))
        image.putpalette([255 - part for part in range(48)])
        image.save_all = False
        (tmp_path / "masks").mkdir(exist_ok=True)
        image.convert("P").save(tmp_path / "masks" / f"{n}.png")
    assert open_masks(tmp_path)[1].values == (0, 1, 15)


def coloured(root, table=None):
    colours = np.array([[0, 0, 0], [64, 128, 64], [192, 0, 128]], np.uint8)
    for n in range(3):
        write(root / "images" / f"{n}.png", picture(n))
        write(root / "masks" / f"{n}.png", colours[mask(n)])
    if table:
        (root / "label_colors.txt").write_text(table)
    return root


def test_colours_are_learned_or_looked_up(tmp_path):
    data, classes = open_masks(coloured(tmp_path / "seen"))
    assert classes.names == ("#000000", "#408040", "#c00080") and classes.colours[1] == (64, 128, 64)
    assert (data.answers[2, :, :, 0] == mask(2)).all()
    data, classes = open_masks(coloured(tmp_path / "named", "0 0 0\tVoid\n64 128 64\tAnimal\n192 0 128\tArch way\n"))
    assert classes.names == ("Animal", "Arch way") and classes.ignored == (0,)
    expected = np.where(mask(2) == 0, 255, mask(2).astype(int) - 1)
    assert (data.answers[2, :, :, 0] == expected).all()
    with pytest.raises(DataError, match=r"#c00080.*Animal"):
        open_masks(coloured(tmp_path / "odd", "0 0 0 Void\n64 128 64 Animal\n1 2 3 Car\n"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.txt", "sky\nroad\ncar\n"),
        ("codes.txt", "0: sky\n1: road\n2: car\n"),
        ("class_dict.csv", "name,r,g,b\nsky,1,2,3\nroad,4,5,6\ncar,7,8,9\n"),
    ],
)
def test_names_come_from_a_file(tmp_path, file, text):
    (tmp_path / file).write_text(text)
    _data, classes = open_masks(a_set(tmp_path))
    assert classes.names == ("sky", "road", "car")
    assert Classes.from_json(classes.json()) == classes


def test_some_classes_are_not_counted(tmp_path):
    data, classes = open_masks(a_set(tmp_path), ignore=("1",))
    assert classes.names == ("0", "2") and classes.ignored == (1,)
    assert (data.answers[0, :, :, 0] == np.array([0, 255, 1])[mask(0)]).all()
    with pytest.raises(UsageError, match=r"--ignore.*'7'"):
        open_masks(tmp_path, ignore=("7",))


def test_known_classes_are_those_of_the_model(tmp_path):
    _data, classes = open_masks(a_set(tmp_path / "old"))
    data, again = open_masks(a_set(tmp_path / "new", values=(0, 2)), known=classes)
    assert again == classes and set(np.unique(data.answers)) == {0, 2}
    with pytest.raises(DataError, match=r"value 9 .*no class"):
        open_masks(a_set(tmp_path / "odd", values=(0, 9)), known=classes)


# --- what does not fit -------------------------------------------------------------------------------------------


def test_a_mask_of_another_size(tmp_path):
    a_set(tmp_path)
    write(tmp_path / "masks" / "2.png", mask(2, size=(H, W + 1)))
    with pytest.raises(DataError, match=r"1 masks .*images/2.png.*\(20, 30\).*\(20, 31\)"):
        open_masks(tmp_path)


def test_pictures_without_masks_and_masks_without_pictures(tmp_path):
    a_set(tmp_path)
    write(tmp_path / "images" / "lonely.png", picture())
    write(tmp_path / "masks" / "left.png", mask())
    data, _classes = open_masks(tmp_path)
    assert len(data) == 4
    said = " ".join(data.notes)
    assert "1 pictures have no mask" in said and "images/lonely.png" in said
    assert "1 masks have no picture" in said and "masks/left.png" in said


def test_nothing_that_fits_together(tmp_path):
    write(tmp_path / "images" / "a.png", picture())
    with pytest.raises(DataError, match="1 pictures and 0 masks"):
        open_masks(tmp_path)
    write(tmp_path / "masks" / "b.png", mask())
    with pytest.raises(DataError, match=r"a\.png.*b\.png"):
        open_masks(tmp_path)
    with pytest.raises(DataError, match="no such"):
        open_masks(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        open_masks(tmp_path / "empty")


def test_values_outside_the_classes(tmp_path):
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(DataError, match=r"value 2 .*sky, road"):
        open_masks(a_set(tmp_path))


def test_one_class_only(tmp_path):
    with pytest.raises(DataError, match="nothing to tell apart"):
        open_masks(a_set(tmp_path, values=(3,)))


def test_shades_are_no_classes(tmp_path):
    with pytest.raises(DataError, match="JPEG"):
        open_masks(a_set(tmp_path, values=tuple(range(0, 200, 2))))


def test_damaged_files_are_set_aside(tmp_path):
    a_set(tmp_path)
    (tmp_path / "masks" / "1.png").write_bytes(b"nothing")
    (tmp_path / "images" / "2.png").write_bytes((tmp_path / "images" / "2.png").read_bytes()[:300])
    data, _classes = open_masks(tmp_path)
    assert len(data) == 2
    assert any("2 pictures cannot be read" in note and "masks/1.png" in note for note in data.notes)


def test_arrays():
    x, y = np.stack([picture(n) for n in range(3)]), np.stack([mask(n) for n in range(3)])
    data, _classes = open_masks((x, y.astype(np.int64)))
    assert (data.pictures == x).all() and (data.answers[..., 0] == y).all()
    assert (open_masks((x / 255, y))[0].pictures == x).all()
    with pytest.raises(DataError, match="shapes"):
        open_masks((x, y[:2]))
    with pytest.raises(DataError, match="fractions"):
        open_masks((x, y + 0.5))
    with pytest.raises(DataError, match="-1"):
        open_masks((x, y.astype(int) - 1))
    with pytest.raises(UsageError, match="masks"):
        open_masks({"a": [1]})


def test_real_sets(shared_data):
    data, classes = open_masks(shared_data / "camvid_subset", ignore=("11",))
    assert data.pictures.shape == (36, 360, 480, 3) and len(classes.names) == 11
    data, classes = open_masks(shared_data / "isbi_membrane")
    assert data.pictures.shape == (30, 512, 512, 1) and classes.names == ("0", "255")
