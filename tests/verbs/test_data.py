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
from gipi.verbs.data import COLUMNS, EPOCHS, draw


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
