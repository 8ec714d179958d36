"""Several labels in a cell become columns of 0 and 1, in tables and beside pictures, now and later."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import gipi
from gipi.data.dataset import Dataset
from gipi.data.several import spread
from gipi.data.sources import open_data
from gipi.errors import DataError, UsageError

CELLS = ["sea; sun", "sea", "sun", "", "sun;sea;", "hill"]


@pytest.mark.parametrize("mark", [";", "|"])
def test_marks_between_labels(mark):
    frame = pl.DataFrame({"x": range(6), "tags": [cell.replace(";", mark) for cell in CELLS]})
    data = open_data(frame, target="tags")
    assert data.target == ("hill", "sea", "sun") and data.frame.columns == ["x", "hill", "sea", "sun"]
    assert data.frame.rows()[:3] == [(0, 0, 1, 1), (1, 0, 1, 0), (2, 0, 0, 1)]
    assert data.frame.row(3) == (3, None, None, None) and data.frame.row(4) == (4, 0, 1, 1)
    assert any("'tags' holds several labels in a cell" in note and "hill, sea, sun" in note for note in data.notes)


@pytest.mark.parametrize(
    "cells",
    [
        ["Seoul;Korea", "Busan;Japan", "Daegu;China"],  # names with a mark in them
        ["a", "b", "a"],
        ["1;5", "2;5", "1;6", "2;6"][:2],
    ],
)
def test_what_is_one_label(cells):
    data = Dataset("x", pl.DataFrame({"y": cells}), target=("y",))
    assert spread(data) is data


def test_lists_in_json_lines_and_in_memory(tmp_path):
    rows = [{"x": n, "tags": tags} for n, tags in enumerate([["a", "b"], [], ["b"], None])]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    for source in (path, rows, {"x": range(4), "tags": [row["tags"] for row in rows]}, pl.DataFrame(rows)):
        data = open_data(source, target="tags")
        assert data.frame.rows() == [(0, 1, 1), (1, 0, 0), (2, 0, 1), (3, None, None)]  # [] says: none of them
        other = open_data(source, target="x")
        assert other.frame.columns == ["x"] and any("lists: tags" in note for note in other.notes)
    numbers = tmp_path / "n.jsonl"
    numbers.write_text("\n".join(json.dumps({"x": n, "tags": [n % 2, 7]}) for n in range(3)))
    assert open_data(numbers, target="tags").target == ("0", "1", "7")


def test_rows_that_come_later(tmp_path):
    for text in ("x,tags\n1,a\n2,b\n", "x,tags\n1,a;b\n2,b\n"):
        path = tmp_path / "later.csv"
        path.write_text(text)
        found = open_data(path, target=("a", "b", "c")).frame
        assert found.columns == ["x", "a", "b", "c"] and found["b"][1] == 1 and found["c"].sum() == 0
    path.write_text("x,tags\n1,a;z\n2,b\n")
    with pytest.raises(DataError, match="'z' in column 'tags' is not known; known are: a, b, c"):
        open_data(path, target=("a", "b", "c"))


def test_labels_that_cannot_be_columns():
    frame = pl.DataFrame({"sea": [1, 2, 3], "tags": ["sea;sun", "sea", "sun"]})
    with pytest.raises(DataError, match="'sea' in column 'tags' is also the name of a column"):
        open_data(frame, target="tags")
    many = pl.DataFrame({"tags": [[f"l{n}", f"l{n + 1}"] for n in range(1001)]})
    with pytest.raises(DataError, match="1002 different labels"):
        open_data(many, target="tags")
    with pytest.raises(UsageError, match="no column 'tag'"):
        open_data(frame, target="tag")


def pictures(folder: Path, form: str) -> Path:
    """Eighty pictures: a bright left half is `left`, a bright top half `top`; both, one or none."""
    random, rows = np.random.default_rng(0), []
    for number in range(80):
        left, top = number % 2, number // 2 % 2
        pixels = random.integers(0, 60, (8, 8)) + 0
        pixels[:, :4] += 120 * left
        pixels[:4] += 70 * top
        (folder / "files").mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "files" / f"{number}.png")
        labels = [name for name, there in (("left", left), ("top", top)) if there]
        rows.append((f"files/{number}.png", labels, left, top))
    path = folder / ("labels.jsonl" if form == "lists" else "labels.csv")
    if form == "lists":
        path.write_text("\n".join(json.dumps({"file": file, "labels": labels}) for file, labels, *_rest in rows))
    elif form == "columns":
        path.write_text("file,left,top\n" + "".join(f"{file},{left},{top}\n" for file, _l, left, top in rows))
    else:
        path.write_text("file,label\n" + "".join(f"{f},{';'.join(labels)}\n" for f, labels, *_rest in rows if labels))
    return path


@pytest.mark.parametrize("form", ["lists", "columns", "marks"])
def test_pictures_with_several_labels_are_learned_and_judged(tmp_path, form):
    path = pictures(tmp_path, form)
    how = {} if form != "lists" else {"target": "labels"}
    run = gipi.fit(
        path,
        **how,
        system="linear",
        epochs=60,
        lr=0.1,
        run=tmp_path / "run",
        quiet=True,
        verdict=False,
        threads=1,
    )
    assert run.record["schema"]["targets"][0]["kind"] == "labels"
    assert run.record["schema"]["targets"][0]["values"] in (["left", "top"], ("left", "top"))
    found = gipi.evaluate(run, path)
    assert float(next(iter(found.values()))) > 0.8, found
    answers = run.predict([tmp_path / "files" / "3.png", tmp_path / "files" / "2.png"])
    assert len(answers) == 2
