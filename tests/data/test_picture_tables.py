"""A table that names pictures: where its files are sought, and what is said of what has no partner."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gipi.data.sources import open_data
from gipi.errors import DataError


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path)
    return path


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 4), np.uint8)


@pytest.fixture
def six(tmp_path) -> Path:
    for number in range(6):
        save(tmp_path / "pictures" / f"{number}.png", number)
    return tmp_path


def test_labels_without_pictures_and_pictures_without_labels(six):
    rows = [f"pictures/{n}.png,{'xy'[n % 2]},{n}" for n in (0, 1, 2, 3)]
    table = six / "labels.csv"
    table.write_text("\n".join(["file,kind,age", *rows, "pictures/lost.png,x,9", ",y,9"]) + "\n")
    (six / "pictures" / "3.png").write_bytes(b"no picture")
    data = open_data(table, target="kind")
    assert data.frame["kind"].to_list() == ["x", "y", "x"] and data.frame.columns == ["kind", "age"]
    assert data.pictures is not None and np.array_equal(data.pictures[1][:, :, 0], pixels(1))
    assert data.names == [f"pictures/{n}.png" for n in (0, 1, 2)]
    said = "\n".join(data.notes)
    assert "2 labels have no picture and were left out: pictures/lost.png, row 6." in said
    assert "2 pictures have no label and were left out: pictures/4.png, pictures/5.png." in said
    assert "1 pictures cannot be read and were set aside: pictures/3.png (" in said


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_names_are_sought_in_the_folders_beside_the_table(six, kind):
    (six / "other").mkdir()
    rows = [{"file": f"{n}.png", "label": "ab"[n % 2]} for n in range(6)]
    table = six / f"labels.{kind}"
    lines = [f"{row['file']},{row['label']}" for row in rows] if kind == "csv" else [json.dumps(row) for row in rows]
    table.write_text("\n".join((["file,label"] if kind == "csv" else []) + lines) + "\n")
    for source in (table, six):  # the folder holds one table and no classes: that table is meant
        data = open_data(source)
        assert data.target == ("label",) and data.frame["label"].to_list() == list("ababab")
        assert not any("no label" in note or "no picture" in note for note in data.notes)


def test_files_elsewhere(six):
    elsewhere = six / "tables" / "labels.csv"
    elsewhere.parent.mkdir()
    rows = [f"../pictures/{n}.png,{'ab'[n % 2]}" for n in range(3)]
    rows += [f"{six / 'pictures' / f'{n}.png'},{'ab'[n % 2]}" for n in range(3, 6)]
    elsewhere.write_text("\n".join(["file,label", *rows]) + "\n")
    data = open_data(elsewhere)
    assert data.pictures is not None and [row.tolist() for row in data.pictures[:, :, :, 0]] == [
        pixels(n).tolist() for n in range(6)
    ]


def test_no_picture_is_there(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.png,x\nb.png,y\n")
    assert open_data(table).kind == "table"  # then it is a table of names


def test_nothing_but_damaged_pictures(six):
    table = six / "labels.csv"
    table.write_text("file,label\npictures/0.png,x\npictures/1.png,y\n")
    for number in (0, 1):
        (six / "pictures" / f"{number}.png").write_bytes(b"x")
    with pytest.raises(DataError, match="None of the 2 pictures can be read"):
        open_data(table)
