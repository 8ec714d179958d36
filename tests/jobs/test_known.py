"""What jobs without labels tell the doctor of their data: so copies are found in pictures, lines and pairs too."""

import numpy as np
import polars as pl
import pytest
import torch

import gipi
from gipi.data.tokenizers import train
from gipi.jobs.known import COPIED, WIDE, lines_of, of_pictures, of_rows

WORDS = ("river", "stone", "lantern", "winter", "garden", "copper", "silent", "morning", "harbour", "window", "thunder")
QUICK = {"quiet": True, "verdict": False, "threads": 1, "device": "cpu"}


def lines(count, words=14, seed=0):
    """Lines of about 90 letters, no two of them the same."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, words)) for _number in range(count)]


def found(data, folder, **options):
    run = gipi.fit(data, run=folder / "run", **{**QUICK, "steps": 4, **options})
    return {finding.name: finding for finding in run.doctor()}


def test_long_lines_are_cut_out_of_tokens():
    tokenizer = train(["abc\n"], "characters", 300)
    text = "a" * 10 + "\n" + "b" * 60 + "\n" + "c" * 200 + "\n" + "a" * (COPIED - 1)
    rows = lines_of(np.array(tokenizer.encode(text), np.uint16), tokenizer)
    assert [tokenizer.decode(row.tolist()) for row in rows] == ["b" * 60 + "\n", "c" * WIDE]
    assert lines_of(np.array(tokenizer.encode("a" * 500), np.uint16), tokenizer) == []  # nothing says where one ends
    ended = [*tokenizer.encode("ab" * 30), tokenizer.end, *tokenizer.encode("ba" * 30)]
    assert len(lines_of(np.array(ended, np.uint16), tokenizer)) == 2


def test_rows_of_parts():
    view = of_rows({"train": [np.arange(3), np.arange(5)], "valid": [], "test": [np.arange(90)]})
    assert view.x is not None and view.x.shape == (3, WIDE) and view.x[0, 3] == -1
    assert {part: rows.tolist() for part, rows in view.parts.items()} == {"train": [0, 1], "test": [2]}
    assert of_rows({"train": []}).x is None


def test_of_mapped_pictures_a_sample():
    x = torch.zeros(60, 1, 4, 4, dtype=torch.uint8)
    parts = {"train": np.arange(40), "test": np.arange(40, 60)}
    names = [str(n) for n in range(60)]
    whole, some = (of_pictures(x, parts, names, mapped, 0) for mapped in (False, True))
    assert whole.x is not None and whole.x.base is not None  # no copy
    assert some.x is not None and len(some.x) == 60 and [*some.names] == names
    assert {part: len(rows) for part, rows in some.parts.items()} == {"train": 40, "test": 20}


@pytest.mark.parametrize("task", ["write", "fill", "relate"])
def test_lines_that_stand_in_training_and_in_the_test_part(task, tmp_path):
    small = {"write": {"system": "lstm", "tokenizer": "characters", "context": 16, "width": 8, "layers": 1}}
    small["fill"] = {"size": "tiny", "width": 8, "layers": 1, "heads": 2, "tokenizer": "characters", "context": 16}
    small["relate"] = {"min_count": 1, "dimension": 8}
    words = 60 if task == "relate" else 14
    sound, copied = lines(150, words), lines(120, words)
    (tmp_path / "sound.txt").write_text("\n".join(sound) + "\n")
    (tmp_path / "copied.txt").write_text("\n".join([*copied, *copied[:30]]) + "\n")
    for name, is_found in (("sound", False), ("copied", True)):
        one = found(tmp_path / f"{name}.txt", tmp_path / name, task=task, **small[task]).get("duplicate-rows")
        assert (one is not None and one.severity == "problem") == is_found


def test_pairs_that_stand_in_training_and_in_the_test_part(tmp_path):
    asked, said = lines(60), lines(60, seed=1)
    options = {"text": ("asked",), "target": "said", "tokenizer": "words"}
    options |= {"system": "lstm", "width": 8, "layers": 1, "context": 32, "task": "chat"}
    for name, copies, is_found in (("sound", 0, False), ("copied", 40, True)):
        frame = pl.DataFrame({"asked": [*asked, *asked[:copies]], "said": [*said, *said[:copies]]})
        assert ("duplicate-rows" in found(frame, tmp_path / name, **options)) == is_found


@pytest.mark.parametrize("task", ["generate", "compress", "embed"])
def test_pictures_that_stand_in_training_and_in_the_test_part(task, tmp_path):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (80, 8, 8), np.uint8)
    small = {"generate": {"width": 4}, "compress": {"width": 4, "code": 4}, "embed": {"batch_size": 8}}
    for name, some in (("sound", x), ("copied", np.concatenate([x[:50], x[:30]]))):
        one = found(some, tmp_path / name, task=task, **small[task]).get("duplicate-rows")
        assert (one is not None) == (name == "copied")


def test_what_is_grouped_has_no_part_that_is_held_out(tmp_path):
    """Equal rows belong into one cluster: they flatter nothing."""
    random = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{n}": random.integers(0, 3, 120).astype(float) for n in range(3)})
    assert "duplicate-rows" not in found(frame, tmp_path, no_target=True)
