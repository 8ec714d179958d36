"""Pictures are decoded once: what is kept is what decoding gives, is found by its content, and survives a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gipi
from gipi.cli.main import main
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


def test_it_is_the_content_that_counts(folder, monkeypatch, tmp_path):
    """Other dates, another place: the same pictures. The same length and date, but another pixel: other pictures."""
    for path in folder.rglob("*.png"):
        Image.open(path).save(path, "BMP")  # whatever it is called; not packed, so that a pixel changes no length
    monkeypatch.setattr(picture_store, "SETTLED", 0.0)
    first = open_data(folder)
    seen = _decodes(monkeypatch)
    time.sleep(0.05)
    for path in folder.rglob("*.png"):
        os.utime(path, ns=(0, 10**18))
    shutil.copytree(folder, tmp_path / "copy")
    for again in (folder, tmp_path / "copy", folder):
        assert (open_data(again).pictures == first.pictures).all() and not seen
    changed, before = folder / "b" / "01.png", (folder / "b" / "01.png").stat()
    pixels = bytearray(changed.read_bytes())
    pixels[-1] ^= 255
    changed.write_bytes(bytes(pixels))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    now = changed.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert (open_data(folder).pictures != first.pictures).any() and len(seen) == 40


def test_unchanged_files_are_not_even_read(folder, monkeypatch):
    monkeypatch.setattr(picture_store, "SETTLED", -60.0)
    open_data(folder)
    monkeypatch.setattr(picture_store, "_bytes_of", lambda _path: pytest.fail("read"))
    assert len(open_data(folder)) == 40


def test_files_that_just_changed_are_read_again(folder, monkeypatch):
    """A change within the clock's last step leaves the times as they were."""
    open_data(folder)
    read = []
    bytes_of = picture_store._bytes_of
    monkeypatch.setattr(picture_store, "_bytes_of", lambda path: read.append(path) or bytes_of(path))
    open_data(folder)
    assert len(read) == 40


def test_pictures_that_change_while_they_are_read_are_not_kept(folder, monkeypatch, tmp_path):
    decoded = picture_sets.decoded

    def meanwhile(source, name, shape):
        Image.new("RGB", (8, 9), "red").save(folder / "a" / "38.png")
        return decoded(source, name, shape)

    monkeypatch.setattr(picture_sets, "decoded", meanwhile)
    with pytest.raises(DataError, match="changed while they were read"):
        open_data(folder)
    assert not [*(tmp_path / "cache" / "gipi" / "pictures").glob("*/")]


@pytest.mark.parametrize("damage", ["a bit", "cut off", "gone", "no list"])
def test_damage_to_what_is_kept_is_noticed(folder, monkeypatch, tmp_path, damage):
    first = open_data(folder)
    (kept,) = (tmp_path / "cache" / "gipi" / "pictures").glob("*/")
    file = kept / ("set.json" if damage == "no list" else picture_store.FILE)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data) if damage == "a bit" else bytes(data[:-1]))
    if damage == "gone":
        file.unlink()
    seen = _decodes(monkeypatch)
    assert (open_data(folder).pictures == first.pictures).all() and len(seen) == 40


@pytest.mark.parametrize("trouble", ["no folder", "full", "full meanwhile"])
def test_a_cache_that_cannot_be_written_costs_time_only(folder, monkeypatch, tmp_path, trouble):
    expected = _in_memory(folder, monkeypatch)
    if trouble == "no folder":
        (tmp_path / "cache").write_text("a file is where the folder should be")
    elif trouble == "full":
        monkeypatch.setattr("gipi.data.kept.shutil.disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, 0))
    else:
        monkeypatch.setattr(picture_store, "FILE", "/dev/full")  # each write to it finds no room
    for _time in range(2):
        found = open_data(folder)
        assert (found.pictures == expected.pictures).all()
        assert found.notes[:-1] == expected.notes and "decoded for this run alone" in found.notes[-1]
    monkeypatch.setattr(budget, "available", lambda: 0)
    with pytest.raises(DataError, match="cache"):
        open_data(folder)


def test_a_whole_set_in_a_cache_that_may_only_be_read_is_used(folder, monkeypatch):
    first = open_data(folder)
    seen = _decodes(monkeypatch)

    def denied(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gipi.data.kept.alone", denied)
    assert (open_data(folder).pictures == first.pictures).all() and not seen


BUILD = """
import sys, time
from pathlib import Path
from gipi.data import picture_sets
from gipi.data.sources import open_data
picture_sets.FEWEST, picture_sets.AT_ONCE = 40, 7
decoded = picture_sets.decoded
def slowly(source, name, shape):
    with open(sys.argv[2], "a") as seen:
        print(name, file=seen)
    time.sleep(float(sys.argv[3]))
    return decoded(source, name, shape)
picture_sets.decoded = slowly
print(int(open_data(sys.argv[1]).pictures.sum()))
"""


def _builder(folder: Path, seen: Path, pause: float) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILD, str(folder), str(seen), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_builder_that_is_killed_leaves_nothing_that_is_taken_for_whole(folder, tmp_path, monkeypatch):
    seen, home = tmp_path / "seen", tmp_path / "cache" / "gipi" / "pictures"
    process = _builder(folder, seen, 0.2)
    while not (seen.exists() and len(seen.read_text().splitlines()) > 20):  # it is in the middle of writing
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len([*home.glob("*.part-*")]) == 1 and not [*home.glob("*/set.json")]
    expected = _in_memory(folder, monkeypatch)
    assert (open_data(folder).pictures == expected.pictures).all()
    assert len([*home.glob("*/")]) == 1  # what the dead one left is gone


def test_two_builders_at_once_decode_once(folder, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    builders = [_builder(folder, seen, 0.01) for _number in range(2)]
    sums = [int(builder.communicate(timeout=60)[0]) for builder in builders]
    assert sums == [int(_in_memory(folder, monkeypatch).pictures.sum())] * 2
    assert len(seen.read_text().splitlines()) == 40


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


def test_what_is_kept_can_be_cleared(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(picture_store, "SETTLED", -60.0)
    cache = tmp_path / "cache" / "gipi"
    (cache / "data").mkdir(parents=True)
    (cache / "data" / "fetched.csv").write_text("x")
    array = open_data(folder).pictures
    assert array is not None and [*cache.glob("pictures/*.key")]
    assert main(["data", "--clear-cache", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["folder"] == str(cache) and said["freed"] >= array.nbytes
    assert [path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == ["fetched.csv"]
    seen = _decodes(monkeypatch)
    assert (open_data(folder).pictures == array).all() and len(seen) == 40
