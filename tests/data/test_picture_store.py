"""Pictures are decoded once: the array that is kept is what decoding gives, and a changed folder is noticed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gipi
from gipi.data import budget, picture_sets, picture_store
from gipi.data.mapped import is_mapped
from gipi.data.sources import open_data
from gipi.errors import DataError


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Forty pictures of two classes and two sizes; so many are kept here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_sets, "FEWEST", 40)
    monkeypatch.setattr(picture_sets, "AT_ONCE", 7)
    monkeypatch.setattr(picture_store, "ELEMENTS", 500)
    random = np.random.default_rng(0)
    for number in range(40):
        place = tmp_path / "pictures" / ("ab"[number % 2]) / f"{number:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 200, (9 + number % 3, 8, 3)) + 50 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(place)
    return tmp_path / "pictures"


def _in_memory(folder: Path, monkeypatch, **how):
    with monkeypatch.context() as patch:
        patch.setattr(picture_sets, "FEWEST", 10**9)
        return open_data(folder, **how)


def _decodes(monkeypatch) -> list:
    """What is decoded from here on."""
    seen: list = []
    decoded = picture_sets.decoded

    def watching(source, name, shape):
        seen.append(name)
        return decoded(source, name, shape)

    monkeypatch.setattr(picture_sets, "decoded", watching)
    return seen


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("how", [{}, {"picture_size": 5}])
def test_what_is_kept_is_what_decoding_gives(folder, monkeypatch, is_large, how):
    monkeypatch.setattr(budget, "available", lambda: 0 if is_large else 10**12)
    expected = _in_memory(folder, monkeypatch, **how)
    for _time in range(2):
        found = open_data(folder, **how)
        assert found.mapped is is_large and is_mapped(found.pictures) is is_large and not expected.mapped
        assert (found.pictures == expected.pictures).all() and found.pictures.shape == expected.pictures.shape
        assert found.notes == expected.notes and found.frame.equals(expected.frame)


def test_the_second_time_nothing_is_decoded_until_something_changes(folder, monkeypatch):
    open_data(folder)
    seen = _decodes(monkeypatch)
    open_data(folder)
    assert not seen
    open_data(folder, picture_size=6)
    assert len(seen) == 40
    seen.clear()
    changed = folder / "a" / "00.png"
    Image.new("RGB", (8, 9), "red").save(changed)
    assert (open_data(folder).pictures[0] == (255, 0, 0)).all() and len(seen) == 40
    seen.clear()
    os.utime(changed, ns=(0, 10**18))
    open_data(folder)
    assert len(seen) == 40


def test_damaged_pictures_are_left_out_alike(folder, monkeypatch):
    (folder / "a" / "04.png").write_bytes(b"no picture")
    whole = (folder / "b" / "05.png").read_bytes()
    (folder / "b" / "05.png").write_bytes(whole[: len(whole) // 2])
    expected = _in_memory(folder, monkeypatch)
    for _time in range(2):
        found = open_data(folder)
        assert len(found) == 38 and found.notes == expected.notes
        assert (found.pictures == expected.pictures).all() and found.frame.equals(expected.frame)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="None of the 40 pictures can be read"):
        open_data(folder)


def test_greys_stored_as_colour_are_grey(folder, monkeypatch):
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").convert("RGB").save(path)
    expected = _in_memory(folder, monkeypatch)
    assert expected.pictures.shape[3] == 1
    for _time in range(2):
        assert (open_data(folder).pictures == expected.pictures).all()


def test_a_killed_decoder_leaves_no_half_set(folder, monkeypatch, tmp_path):
    decoded, seen = picture_sets.decoded, []

    def dies(source, name, shape):
        seen.append(name)
        if len(seen) == 20:
            raise MemoryError
        return decoded(source, name, shape)

    monkeypatch.setattr(picture_sets, "decoded", dies)
    with pytest.raises(MemoryError):
        open_data(folder)
    assert not [*(tmp_path / "cache" / "gipi" / "pictures").glob("*/")]
    assert len(open_data(folder)) == 40


@pytest.mark.parametrize(
    "how", [{"system": "mlp", "hidden": (8,)}, {"system": "convnet", "augment": ("flip", "shift")}]
)
def test_the_weights_are_those_of_pictures_in_memory(folder, monkeypatch, tmp_path, how):
    how = {**how, "steps": 6, "batch_size": 8, "quiet": True, "verdict_seconds": 0.5, "picture_size": 8}
    monkeypatch.setattr(budget, "available", lambda: 0)
    far = gipi.fit(folder, run=tmp_path / "far", workers=2, **how)
    monkeypatch.setattr(picture_sets, "FEWEST", 10**9)
    held = gipi.fit(folder, run=tmp_path / "held", **how)
    for key in ("data", "split", "schema"):
        assert far.record[key] == held.record[key], key
    weights = [[*gipi.load(run.path / "model.gipi").members[0].state_dict().values()] for run in (far, held)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    assert far.metrics == held.metrics


def test_pictures_are_generated_from_disk_too(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(budget, "available", lambda: 0)
    how = {"task": "generate", "steps": 2, "batch_size": 8, "quiet": True, "picture_size": 8}
    far = gipi.fit(folder, run=tmp_path / "far", **how)
    monkeypatch.setattr(picture_sets, "FEWEST", 10**9)
    held = gipi.fit(folder, run=tmp_path / "held", **how)
    weights = [[*gipi.load(run.path / "model.gipi").members[0].state_dict().values()] for run in (far, held)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
