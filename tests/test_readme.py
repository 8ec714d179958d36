"""The README's commands and examples run, in order, in a folder of their own.

A block is run if the line before it is `<!-- test -->`, or `<!-- test: WORDS -->` with words that each `gipi fit` in it
gets in addition: small settings, so that this takes seconds. Of the output that is shown, each line that begins with a
word and a colon (`data:`, `verdict:`) must begin a line of what was really printed.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import gipi
from gipi.cli.main import main

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"<!-- test(?:: (?P<words>[^>]*?))? -->\n```(?P<kind>\w+)\n(?P<text>.*?)```", re.S)


def blocks(name: str) -> list[tuple[str, str, str]]:
    """(kind, words for each fit, text) of each block that is marked."""
    return [(m["kind"], m["words"] or "", m["text"]) for m in BLOCK.finditer((ROOT / name).read_text(encoding="utf-8"))]


def write_students(path: Path, rows: int) -> None:
    """A table like the pupils': a grade that follows from earlier grades."""
    draw = np.random.default_rng(rows)
    lines = ["school,sex,age,studytime,failures,G1,G2,G3"]
    for _row in range(rows):
        first = draw.integers(3, 19)
        second = np.clip(first + draw.integers(-2, 3), 0, 20)
        cells = [draw.choice(["GP", "MS"]), draw.choice(["F", "M"]), draw.integers(15, 20), draw.integers(1, 5)]
        cells += [draw.integers(0, 3), first, second, np.clip(second + draw.integers(-1, 2), 0, 20)]
        lines.append(",".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_picture(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)).save(path)


def write_texts(folder: Path) -> None:
    """Reviews with what they say of a film, and a text to go on with."""
    said = [(f"a {word} film, number {number}", word) for number in range(40) for word in ("good", "bad")]
    rows = "".join(f'"{text}",{word}\n' for text, word in said)
    (folder / "reviews.csv").write_text("review,sentiment\n" + rows, encoding="utf-8")
    script = "".join(f"GUARD:\n{'Halt, ' * (number % 3)}who goes there?\n\n" for number in range(40))
    (folder / "script.txt").write_text(script, encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_readme_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_students(tmp_path / "students.csv", 150)
    write_students(tmp_path / "new.csv", 40)
    write_picture(tmp_path / "picture.png")
    write_texts(tmp_path)
    namespace: dict = {}
    found = blocks(name)
    assert {kind for kind, _words, _text in found} >= {"console", "python"}
    for kind, words, text in found:
        if kind == "console":
            run_console(text, words, capsys)
        else:
            with monkeypatch.context() as small:
                small.setattr(gipi, "fit", with_small_settings(gipi.fit), raising=False)
                exec(compile(text, name, "exec"), namespace)


def run_console(text: str, words: str, capsys) -> None:
    """Each line after a `$`, in this process; what is shown below it must be what it prints."""
    printed = ""
    for line in text.splitlines():
        if line.startswith("$ "):
            said = shlex.split(line[2:], comments=True)
            said = ["gipi", "fit", "digits"] if said == ["make", "fit"] else said
            assert said[0] == "gipi", line
            capsys.readouterr()
            code = main([*said[1:], *(shlex.split(words) if said[1] == "fit" else [])])
            told = capsys.readouterr()
            assert code == 0, f"{line}\n{told.err}"
            printed = told.out
            assert printed.strip(), line
        elif label := re.match(r"[a-z]+: ", line):
            assert any(one.startswith(label[0]) for one in printed.splitlines()), f"{label[0]!r} is not printed"


def with_small_settings(fit):
    def small(data, **options):
        return fit(data, **{"epochs": 2, "verdict_seconds": 1.0, "quiet": True, "threads": 1, **options})

    return small


def test_make_fit_is_what_the_readme_says():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "gipi fit $(DATA) $(ARGS)" in makefile
    assert "DATA ?= digits" in makefile


@pytest.mark.parametrize("name", ["README.md", "README.ko.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_tree_names_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (ROOT / "gipi").iterdir() if path.is_dir() and not path.name.startswith("_")]
    missing = [room for room in rooms if f"  {room}/" not in text]
    assert not missing
