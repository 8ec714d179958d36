"""`gipi data SOURCE --show` draws training pictures as they are read, and as the first epochs of a run see them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from gipi.cli.main import main
from gipi.data.stream import Stream
from gipi.errors import UsageError
from gipi.jobs.job import Own, Setting
from gipi.jobs.material import gather
from gipi.jobs.options import Fit
from gipi.jobs.supervised import Supervised
from gipi.report.tiles import GAP, LETTERS, tiles
from gipi.systems import convnet
from gipi.training.prepare import Arithmetic
from gipi.verbs.data import COLUMNS, EPOCHS, draw, look


def tile(sheet: np.ndarray, row: int, column: int, size: int) -> np.ndarray:
    """One tile without its frame."""
    below = (LETTERS + 2 * GAP) if row else 0
    top, left = GAP + row * (size + GAP) + below, GAP + column * (size + GAP)
    return sheet[top : top + size, left : left + size]


def test_what_is_drawn_is_what_a_run_learns_from(tmp_path):
    """The tiles of the second and third row are among the first two epochs' batches of a run with that seed."""
    x = np.random.default_rng(0).integers(0, 256, (120, 72, 72, 3)).astype(np.uint8)
    data, names = (x, np.arange(120) % 3), ("alternate", "crop", "cutout")
    drawn = draw(data, augment=names, seed=7, path=tmp_path / "drawn.png")
    sheet = np.asarray(Image.open(drawn.path))

    options = Fit(seed=7, augment=names)
    device, config = torch.device("cpu"), convnet.Config()
    setting = Setting(options, "convnet", convnet, config, Own(), device, Arithmetic())
    job = Supervised(gather(data, options), setting)
    stream = job.build(0).stream
    assert isinstance(stream, Stream)
    field = job.schema.inputs[0]
    for row in (1, 2):
        seen = set()
        for _batch in range(stream.batches):
            batch = (next(stream)[0] * field.scale + field.center).round().to(torch.uint8)
            seen |= {each.numpy().tobytes() for each in batch.permute(0, 2, 3, 1)}
        for column in range(COLUMNS):
            assert np.ascontiguousarray(tile(sheet, row, column, 72)).tobytes() in seen
    first = {each.tobytes() for each in x}
    assert all(np.ascontiguousarray(tile(sheet, 0, column, 72)).tobytes() in first for column in range(COLUMNS))
    assert drawn.augment == names and set(drawn.labels) <= {"0", "1", "2"} and drawn.epochs == EPOCHS


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "digits", "--show", "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert "after affine" in said and "digits-shown.png" in said  # as convnet has it by itself
    assert main(["data", "digits", "--show", "--augment", "none", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["augment"] == [] and len(found["labels"]) == COLUMNS
    sheet = np.asarray(Image.open(found["file"]))
    assert (tile(sheet, 0, 3, 72) == tile(sheet, 4, 3, 72)).all()


def test_refused(capsys):
    for line, said in {
        "iris --show": "pictures",
        "digits --show --augment flop": "'flip'",
        "--show": "SOURCE",
        "digits --augment flip": "--show",
    }.items():
        assert main(["data", *line.split(), "--lang", "en"]) == 2, line
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError):
        draw(([[1.0], [2.0], [3.0], [4.0]] * 10, [1, 2, 3, 4] * 10))


def test_tiles_have_a_word_below_that_fits():
    rows = [np.zeros((2, 8, 8, 1), np.uint8), np.full((2, 8, 8, 3), 255, np.uint8)]
    plain, named = tiles(rows, ["", ""]), tiles(rows, ["a word much too long for it", "고양이"])
    assert plain.size == named.size
    differ = np.argwhere((np.asarray(plain) != np.asarray(named)).any(2))
    assert (
        len(differ) and differ[:, 1].max() < GAP + 72 and GAP + 72 <= differ[:, 0].min() < GAP + 72 + LETTERS + 2 * GAP
    )


def shop(path):
    """A table with a column that gives the answer away, and one that only names the rows."""
    draw = np.random.default_rng(0)
    lines = ["order_id,visits,city,refund,kept"]
    for row in range(400):
        visits, kept = draw.integers(1, 30), draw.random() < 0.5
        city = draw.choice(["Seoul", "Busan", "Jeju"]) if row % 10 else ""
        lines.append(f"{1000 + row},{visits},{city},{0 if kept else draw.integers(1, 99)},{'yes' if kept else 'no'}")
    path.write_text("\n".join(lines))
    return str(path)


def test_what_a_table_holds_and_what_is_wrong_with_it(tmp_path):
    found = look(shop(tmp_path / "shop.csv"), target="kept")
    columns = {one["name"]: one for one in found.columns}
    assert found.task == "classify" and "400 rows" in found.facts[0]
    assert [one["kind"] for one in found.columns] == ["left out", "number", "category", "number", "target"]
    assert columns["city"]["missing"] == 40 and columns["city"]["distinct"] == 3
    assert set(columns["city"]["values"]) == {"Seoul", "Busan", "Jeju"}
    assert columns["visits"]["values"][0] == 1 and columns["visits"]["values"][2] == 29
    assert found.findings[0].name == "target-leak" and found.findings[0].evidence["column"] == "refund"
    again = look(shop(tmp_path / "shop.csv"), target="kept", drop="refund")
    assert "target-leak" not in [one.name for one in again.findings]
    assert {one["name"]: one["kind"] for one in again.columns}["refund"] == "left out"


def test_a_table_of_which_nobody_says_what_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sizes.csv").write_text("a,b\n" + "\n".join(f"{n % 7},{n % 5 / 2}" for n in range(60)))
    assert main(["data", "sizes.csv", "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert "--target COLUMN" in said and "0 … 3 … 6" in said
    assert list(tmp_path.iterdir()) == [tmp_path / "sizes.csv"]  # nothing is kept
    assert main(["data", "sizes.csv", "--target", "c", "--lang", "en"]) == 2
    assert main(["data", "sizs.csv", "--lang", "en"]) == 2
    assert "sizes.csv" in capsys.readouterr().err
    assert main(["data", "sizes.csv", "--target", "b", "--json", "--lang", "en"]) == 0
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)["columns"]] == ["number", "target"]


def test_pictures_and_texts_have_no_columns(tmp_path):
    assert look("digits").columns == []
    (tmp_path / "words.txt").write_text("To be or not.\nThat is the question here.\n" * 40)
    found = look(str(tmp_path / "words.txt"))
    assert found.columns == [] and found.task == "write"


def test_what_is_asked_of_data_that_has_a_name_is_not_passed_over(capsys):
    assert main(["data", "iris", "--target", "species", "--drop", "petal width (cm)", "--json", "--lang", "en"]) == 0
    kinds = {one["name"]: one["kind"] for one in json.loads(capsys.readouterr().out)["columns"]}
    assert kinds["species"] == "target" and kinds["petal width (cm)"] == "left out" != kinds["petal length (cm)"]
    for typed in ("iris --target kind", "--target x", "digits --show --drop x"):
        assert main(["data", *typed.split(), "--lang", "en"]) == 2, typed
