"""Blank pictures, codes for missing values, foreign and empty texts are found; healthy inputs are left alone."""

import numpy as np
import polars as pl
import pytest

import gipi
from gipi.doctor import View
from gipi.doctor.checks.broken_inputs import check
from gipi.doctor.languages import damaged, language_of

RANDOM = np.random.default_rng(0)
PARTS = {"train": np.arange(200), "test": np.arange(200, 300)}


def pictures() -> np.ndarray:
    return RANDOM.integers(0, 256, (300, 1, 10, 10), np.uint8)


@pytest.mark.parametrize(("count", "severity"), [(1, "note"), (15, "warning"), (90, "problem")])
def test_blank_and_repeated_pictures(count, severity):
    x = pictures()
    x[:count] = 0
    found = check(View(x, None, PARTS))
    assert found and found.severity == severity and found.evidence["one_colour"] == count and found.plot
    x = pictures()
    x[: max(3, count)] = x[50]
    found = check(View(x, None, PARTS))
    assert found and found.evidence["alike"] >= count


def test_healthy_pictures():
    x = pictures()
    x[:, :, 2:, :] = 0  # drawings on much paper
    assert check(View(pictures(), None, PARTS)) is None and check(View(x, None, PARTS)) is None
    nan = pictures().astype(np.float32)
    nan[3, 0, 0, 0] = np.nan
    found = check(View(nan, None, PARTS))
    assert found and found.severity == "problem"


def run_of(tmp_path, frame: pl.DataFrame, **options):
    own = {"target": "y", "system": "linear", "steps": 2, "verdict": False, "quiet": True, **options}
    run = gipi.fit(frame, run=tmp_path / "run", **own)
    return next((one for one in run.doctor() if one.name == "broken-inputs"), None)


@pytest.mark.parametrize(("share", "severity"), [(0.05, "problem"), (0.4, "problem")])
def test_a_code_for_missing_values(tmp_path, share, severity):
    x = RANDOM.normal(size=(300, 2))
    y = np.where(x[:, 0] > 0, "a", "b")
    assert run_of(tmp_path / "fine", pl.DataFrame({"p": x[:, 0], "q": x[:, 1], "y": y})) is None
    q = np.where(RANDOM.random(300) < share, -999.0, x[:, 1])
    found = run_of(tmp_path / "code", pl.DataFrame({"p": x[:, 0], "q": q, "y": y}))
    assert found and found.severity == severity and "'q' are -999" in found.cause


def test_honest_edges_are_no_codes(tmp_path):
    zeros = np.where(RANDOM.random(300) < 0.4, 0.0, RANDOM.exponential(size=300))  # rain
    grades = RANDOM.integers(1, 6, 300).astype(float)
    y = np.where(zeros + RANDOM.normal(size=300) > 0.5, "a", "b")
    assert run_of(tmp_path, pl.DataFrame({"rain": zeros, "grade": grades, "y": y})) is None


def texts(count: int) -> list[str]:
    words = ["the", "film", "was", "good", "and", "story", "of", "a", "man", "that", "is", "not", "it", "for", "me"]
    return [" ".join(RANDOM.choice(words, RANDOM.integers(8, 20))) for _n in range(count)]


def test_texts(tmp_path):
    y = ["a", "b"] * 150
    options = {"text": "said", "system": "bow"}
    plain = texts(300)
    assert run_of(tmp_path / "0", pl.DataFrame({"said": plain, "y": y}), **options) is None
    foreign = [f"정말 재미있는 영화 {n}" if n % 10 == 0 else text for n, text in enumerate(plain)]
    found = run_of(tmp_path / "1", pl.DataFrame({"said": foreign, "y": y}), **options)
    assert found and found.severity == "warning" and found.evidence["languages"]["korean"] == 30
    empty = ["" if n % 3 == 0 else text for n, text in enumerate(plain)]
    found = run_of(tmp_path / "2", pl.DataFrame({"said": empty, "y": y}), **options)
    assert found and found.severity == "problem" and "are empty" in found.cause


def test_languages():
    assert language_of("the cat and the dog are in the garden") == "english"
    assert language_of("der Hund und die Katze sind nicht in dem Haus, das ist es") == "german"
    assert language_of("오늘 날씨가 좋다") == "korean" and language_of("これはペンです、私の") == "japanese"
    assert language_of("Берлин большой город") == "cyrillic" and language_of("!!! 10") == ""
    assert language_of("rosebud") == ""
    assert damaged("caf" + "\ufffd") and damaged("schÃ¶n") and not damaged("schön, São Paulo, Ã")
