"""Who hands in something wrong gets one clear sentence and an exit code; no traceback, and nothing is left behind."""

import json

import numpy as np
import pytest
from PIL import Image

from gipi.cli.main import main

GOOD = "a,b,y\n" + "".join(f"{n},{n % 7},{'yes' if n % 3 else 'no'}\n" for n in range(60))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(GOOD)
    return tmp_path


def refused(capsys, line, code=None):
    """Run a line that must fail; gives what was said."""
    try:
        found = main(line)
    except SystemExit as end:  # tyro ends a line that it cannot read by itself
        found = end.code
    said = capsys.readouterr()
    assert found in ((1, 2) if code is None else (code,)), said
    assert "Traceback" not in said.err + said.out
    return said.err + said.out


TABLES = {
    "empty": ("", "empty"),
    "header only": ("a,b,y\n", "row"),
    "duplicate header": ("a,a,y\n1,2,yes\n", "a"),
    "ragged": ("a,b,y\n1,2,yes\n1,2\n3,4,no\n", "line 3"),
    "words among numbers": (GOOD.replace("\n17,", "\nseventeen,"), "seventeen"),
    "infinity": (GOOD.replace("\n17,", "\ninf,"), "inf"),
    "one class": (GOOD.replace("no", "yes"), "one class"),
    "target missing": ("a,y\n" + "1,\n" * 50, "y"),
    "names as target": ("a,y\n" + "".join(f"{n},n{n}\n" for n in range(60)), "different values"),
    "text as target": (
        "a,y\n" + "".join(f"{n},{'some words that are long enough to be text ' * 2}{n}\n" for n in range(60)),
        "text",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table_is_refused_before_the_first_step(here, capsys, name):
    text, said = TABLES[name]
    (here / "bad.csv").write_text(text)
    assert said in refused(capsys, ["fit", "bad.csv", "--target", "y", "--epochs", "1"])
    assert not (here / "runs").exists()


LINES = {
    "no such file": (["fit", "nothing.csv"], "nothing.csv", 2),
    "no such name": (["fit", "digitz"], "digits", 2),
    "no such target": (["fit", "good.csv", "--target", "yy"], "'y'", 2),
    "no such system": (["fit", "good.csv", "--target", "y", "--system", "mpl"], "mlp", 2),
    "an option of another system": (
        ["fit", "good.csv", "--target", "y", "--system", "linear", "--dropout", ".1"],
        "belongs to",
        2,
    ),
    "an option of nobody": (["fit", "good.csv", "--target", "y", "--hiden", "3"], "hidden", 2),
    "a system for other data": (["fit", "good.csv", "--target", "y", "--system", "convnet"], "convnet", 2),
    "a system for another task": (["fit", "diabetes", "--system", "perceptron"], "perceptron", 2),
    "no such optimizer": (["fit", "good.csv", "--target", "y", "--optimizer", "addam"], "adam", 2),
    "no such activation": (["fit", "good.csv", "--target", "y", "--activation", "relo"], "relu", 2),
    "no such schedule": (["fit", "good.csv", "--target", "y", "--schedule", "cosin"], "cosine", 2),
    "no such loss": (["fit", "good.csv", "--target", "y", "--loss", "mse"], "mse", 2),
    "no such device": (["fit", "good.csv", "--target", "y", "--device", "cuda:9"], "cuda:9", 2),
    "too many folds": (["fit", "good.csv", "--target", "y", "--folds", "999"], "999", None),
    "negative epochs": (["fit", "good.csv", "--target", "y", "--epochs", "-3"], "epochs", 2),
    "a dropout of two": (["fit", "good.csv", "--target", "y", "--dropout", "2"], "dropout", 2),
    "no such verb": (["fti", "good.csv"], "fit", 2),
    "no such run": (["show", "nothing"], "nothing", 1),
    "too few words": (["compare", "one"], "compare", 2),
    "regress words": (["fit", "good.csv", "--target", "y", "--task", "regress"], "y", 2),
    "augment a table": (["fit", "good.csv", "--target", "y", "--augment", "flip"], "augment", 2),
    "no such weight column": (["fit", "good.csv", "--target", "y", "--weight", "w"], "w", 2),
}


@pytest.mark.parametrize("name", LINES)
def test_a_wrong_line_is_refused(here, capsys, name):
    line, said, code = LINES[name]
    assert said in refused(capsys, line, code)
    assert not (here / "runs").exists()


def test_errors_are_json_too(here, capsys):
    assert main(["fit", "nothing.csv", "--json"]) == 2
    assert "nothing.csv" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


def test_labels_that_only_the_test_file_has(here, capsys):
    (here / "test.csv").write_text("a,b,y\n1,2,maybe\n")
    said = refused(capsys, ["fit", "good.csv", "--target", "y", "--test", "test.csv"], 1)
    assert "maybe" in said


def test_a_test_file_without_a_column(here, capsys):
    (here / "test.csv").write_text("a,y\n1,yes\n")
    assert "b" in refused(capsys, ["fit", "good.csv", "--target", "y", "--test", "test.csv"])


def test_a_run_folder_that_is_taken_or_cannot_be_made(here, capsys):
    (here / "taken").mkdir()
    (here / "taken" / "letter.txt").write_text("mine")
    line = ["fit", "good.csv", "--target", "y", "--epochs", "1", "--no-verdict", "--run"]
    assert "taken" in refused(capsys, [*line, "taken"], 1)
    assert (here / "taken" / "letter.txt").read_text() == "mine"
    assert "good.csv" in refused(capsys, [*line, "good.csv/run"], 1)


def test_a_folder_with_one_class_and_one_with_damage(here, capsys):
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (here / "pics" / label).mkdir(parents=True)
        for n in range(20):
            Image.fromarray(random.integers(0, 255, (8 + n % 3, 8, 3), np.uint8)).save(
                here / "pics" / label / f"{n}.png"
            )
    (here / "pics" / "dog" / "torn.png").write_bytes((here / "pics" / "dog" / "1.png").read_bytes()[:60])
    assert main(["fit", "pics", "--epochs", "1", "--no-verdict"]) == 0
    assert "torn.png" in capsys.readouterr().out
    (here / "one" / "cat").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(here / "one" / "cat" / "a.png")
    assert "class" in refused(capsys, ["fit", "one"])


def test_wrong_rows_at_prediction(here, capsys):
    line = ["fit", "good.csv", "--target", "y", "--system", "linear", "--epochs", "1", "--no-verdict", "--run", "kept"]
    assert main(line) == 0
    capsys.readouterr()
    assert "b" in refused(capsys, ["predict", "kept", '{"a": 3}'], 1)
    assert "many" in refused(capsys, ["predict", "kept", '{"a": "many", "b": 2}'], 1)
    refused(capsys, ["predict", "kept", "{a: 3}"], 2)
    assert main(["predict", "kept", '{"a": 3, "b": 2, "more": "is fine"}']) == 0
    content = bytearray((here / "kept" / "model.gipi").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (here / "broken.gipi").write_bytes(bytes(content))
    refused(capsys, ["predict", "broken.gipi", '{"a": 3, "b": 2}'], 1)
    (here / "cut.gipi").write_bytes(bytes(content[: len(content) // 2]))
    refused(capsys, ["predict", "cut.gipi", '{"a": 3, "b": 2}'], 1)


def test_a_misspelt_option_of_a_verb_is_answered_with_the_one_that_was_meant(here, capsys):
    said = refused(capsys, ["predict", "x.gipi", "good.csv", "--runtme", "onnx"], 2)
    assert "Did you mean '--runtime'?" in said
