"""Classes and parts told from paths alone; names that differ in case or blanks are one class, which is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gipi.data.layout import Tree, joined_classes, layout_of, tree_of_folder
from gipi.data.sources import open_data
from gipi.errors import DataError


def tree(*paths: str, empty: tuple[str, ...] = ()) -> Tree:
    files = sorted(tuple(path.split("/")) for path in paths)
    folders = {file[:depth] for file in files for depth in range(1, len(file))} | {tuple(e.split("/")) for e in empty}
    return Tree("here", files, sorted(folders), lambda place: Path(*place))


def test_deep_classes_and_what_is_left_out():
    found = layout_of(tree("a/1.png", "a/x/y/2.JPG", "b/3.webp", "b/notes.txt", "4.png", empty=("c",)))
    assert [*zip(map("/".join, found.files), found.labels, strict=True)] == [
        ("a/1.png", "a"),
        ("a/x/y/2.JPG", "a"),
        ("b/3.webp", "b"),
    ]
    assert found.notes == [
        "The folder c has no picture and was left out.",
        "1 files that are not pictures were left out.",
    ]


def test_parts_share_their_classes():
    found = layout_of(tree("Train/Cat/1.png", "Train/dog/1.png", "val/cat/1.png", "extra/x/1.png"))
    assert found.parts == ["train", "train", "valid"] and found.labels in (["Cat", "dog", "Cat"], ["cat", "dog", "cat"])
    assert any("extra" in note for note in found.notes) and any("'Cat' (1) = 'cat' (1)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["Rose", "rose", "rose"], ["rose"] * 3),
        (["tulip ", "tulip", " Tulip"], ["tulip"] * 3),
        (["A", "a"], ["A", "a"]),  # letters are classes of their own
        (["A ", "A", "b"], ["A", "A", "b"]),
        (["Straße", "STRASSE", "x"], ["Straße", "Straße", "x"]),
    ],
)
def test_names_that_differ_in_case_or_blanks(labels, expected):
    notes: list[str] = []
    assert joined_classes(labels, notes) == expected
    assert bool(notes) == (len(set(labels)) > len(set(expected)))


def test_one_class_in_two_spellings_is_one_class(tmp_path):
    for label in ("Cat", "cat "):
        (tmp_path / label).mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / label / "0.png")
    with pytest.raises(DataError, match="all pictures are in one class"):
        open_data(tmp_path)


def test_a_table_s_labels_too(tmp_path):
    rows = [("0.png", "Cat"), ("1.png", "cat"), ("2.png", "dog"), ("3.png", ""), ("4.png", "cat")]
    for file, _label in rows:
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / file)
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{file},{label}\n" for file, label in rows))
    data = open_data(tmp_path / "labels.csv")
    assert data.frame["label"].to_list() == ["cat", "cat", "dog", None, "cat"]
    assert any("'Cat' (1) = 'cat' (2)" in note for note in data.notes)


def test_links_are_followed_but_not_in_circles(tmp_path):
    for label in "ab":
        (tmp_path / "set" / label).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "set" / label / "0.png")
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "set" / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set")
    found = layout_of(tree_of_folder(tmp_path / "set"))
    assert [*map("/".join, found.files)] == ["a/0.png", "b/0.png", "c/1.png"]
