"""Copies of training rows in test are found: rows, texts, pictures, exact or nearly; what meets by chance is not."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

import gipi
from gipi.data.images import read_picture
from gipi.data.sources import open_data
from gipi.doctor import View, examine
from gipi.doctor.checks.duplicate_rows import check


def photos(count: int, side: int = 32, seed: int = 0) -> np.ndarray:
    """`(N, 3, H, W)` uint8: smooth random fields."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in small]
    return np.stack(large).transpose(0, 3, 1, 2)


def view(x: np.ndarray, **changes) -> View:
    cut = {"train": np.arange(60), "valid": np.arange(60, 80), "test": np.arange(80, 100)}
    return View(**{"x": x, "y": np.arange(len(x)) % 2, "parts": cut, "target_kind": "class", **changes})


def again(picture: np.ndarray, quality: int) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(picture.transpose(1, 2, 0)).save(held, "JPEG", quality=quality)
    return read_picture(held.getvalue()).transpose(2, 0, 1)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_exact_copies(kind):
    x = photos(100).astype(kind) / (1 if kind == np.uint8 else 255)
    x = x.astype(kind)
    assert check(view(x)) is None
    x[80:90], x[65] = x[:10], x[30]
    found = check(view(x))
    assert found and found.evidence == {"copies": 11, "exact": 11, "near": 0, "rows": 40}
    assert found.severity == "problem" and "so the score flatters: row 66 = row 31, row 81 = row 1" in found.cause
    assert "and 6 more" in found.cause and found.remedies
    names = [f"p{n}.png" for n in range(100)]
    assert "p80.png = p0.png" in check(view(x, names=names)).cause  # type: ignore[union-attr]
    assert [one.name for one in examine(view(x))].count("duplicate-rows") == 1  # said once


def test_copies_with_another_label_are_copies():
    x = photos(100)
    x[81] = x[0]  # 81 is odd, 0 is even
    found = check(view(x))
    assert found and found.evidence["exact"] == 1 and found.severity == "warning"


@pytest.mark.parametrize("quality", [75, 95])
def test_pictures_saved_anew(quality):
    large = photos(100, 256)
    saved = large.copy()
    saved[80:100] = [again(picture, quality) for picture in large[:20]]
    x = np.stack([read_picture(picture, (3, 32, 32)) for picture in saved]).transpose(0, 3, 1, 2)
    found = check(view(x))
    assert found and found.evidence["exact"] == 0 and found.evidence["near"] == 20


def test_pictures_that_are_merely_alike_are_no_copies():
    random = np.random.default_rng(0)
    x = np.full((100, 1, 16, 16), 200, np.uint8)
    x += random.integers(0, 3, x.shape, np.uint8)  # blank paper, each with its own dust
    assert check(view(x)) is None
    x = photos(100)
    x[80:100] = np.clip(x[:20].astype(int) + 30, 0, 255)  # taken with more light
    assert check(view(x)) is None


def test_runs_without_parts_are_not_looked_at():
    assert check(view(photos(100), parts={"train": np.arange(100)})) is None
    assert check(View()) is None


def table(columns: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(100, columns)).astype(np.float32)


def test_copies_of_rows_exact_and_nearly():
    x = table()
    assert check(view(x)) is None
    x[80:90] = x[:10]
    found = check(view(x))
    assert found and found.severity == "problem" and found.evidence["exact"] == 10 and found.evidence["near"] == 0
    x[80:90] += 1e-4 * table()[:10]
    found = check(view(x))
    assert found and found.evidence["exact"] == 0 and 8 <= found.evidence["near"] <= 10


@pytest.mark.parametrize("values", [3, 6, 30])
def test_coarse_rows_meet_by_chance(values):
    random = np.random.default_rng(values)
    x = random.integers(0, values, (600, 3)).astype(np.float32)
    y = (x.sum(1) > 1.5 * values).astype(int)
    parts = {"train": np.arange(400), "test": np.arange(400, 600)}
    found = check(view(x, y=y, parts=parts))
    assert found is None or found.severity == "note"


def test_texts_that_were_written_twice():
    random = np.random.default_rng(0)
    x = random.integers(0, 300, (600, 12)).astype(np.int32)
    x[::2, 1:] = -1  # a single word: half of the texts meet others
    parts = {"train": np.arange(400), "test": np.arange(400, 600)}
    changes = {"y": np.zeros(600, int), "parts": parts, "used": {"text": "text"}}
    assert check(view(x, **changes)) is None
    x[401:441:2] = x[1:41:2]
    found = check(view(x, **changes))
    assert found and found.severity == "problem" and abs(found.evidence["copies"] - 20) <= 2


def test_real_tables(shared_data):
    """Iris has coarse columns; a sixth of the red wines stand there twice or more, in all of their 11 fine columns."""
    for name, path in (("iris", "iris/iris.csv"), ("wine", "wine_quality_red/winequality-red.csv")):
        frame = open_data(shared_data / path).frame
        x = frame[:, : frame.width - 1].cast(pl.Float64).to_numpy()
        y = frame[:, -1].rank("dense").cast(pl.Int64).to_numpy()
        order = np.random.default_rng(0).permutation(len(x))
        parts = {"train": order[: len(x) // 2], "test": order[len(x) // 2 :]}
        found = check(view(x, y=y, parts=parts))
        assert (found is not None and found.severity == "problem") == (name == "wine")


def test_real_photographs(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    """Flower photos: two of one bush, at a glance one picture, and no others."""
    data = open_data(shared_data / "flower_photos" / "flower_photos.zip", picture_size=64)
    assert data.pictures is not None
    x = np.ascontiguousarray(data.pictures.transpose(0, 3, 1, 2))
    found = check(View(x, None, data.parts, names=data.names))
    assert found and found.evidence == {"copies": 1, "exact": 0, "near": 1, "rows": 50}
    assert "val/daisy/10994032453_ac7f8d9e2e.jpg = flower_photos/train/daisy/10466290366" in found.cause


def test_real_clothes(shared_data):
    """Fashion-MNIST: many trousers look alike; copies are few."""
    data = open_data(shared_data / "fashion_mnist" / "t10k-images-idx3-ubyte.gz")
    assert data.pictures is not None
    x, rows = np.ascontiguousarray(data.pictures.transpose(0, 3, 1, 2)), np.arange(10_000)
    found = check(View(x, None, {"train": rows[:8000], "test": rows[8000:]}))
    assert found is None or found.evidence["copies"] <= 5


def test_a_run_says_it_with_the_names_of_the_files(tmp_path):
    x = photos(80, 8)
    for number, picture in enumerate(x):
        part = "test" if number >= 60 else "train"
        if number in (60, 61):
            picture = x[number - 60]
        path = tmp_path / "set" / part / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(path)
    run = gipi.fit(tmp_path / "set", system="linear", steps=2, run=tmp_path / "run", quiet=True, verdict=False)
    (found,) = [one for one in run.doctor() if one.name == "duplicate-rows"]
    assert "test/a/60.png = train/a/0.png" in found.cause and found.evidence["exact"] == 2
