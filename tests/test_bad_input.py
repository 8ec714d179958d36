"""Whatever a person hands in: one clear sentence, before the first step, and nothing left behind; or a right answer."""

import gzip
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import gipi
from gipi.cli.main import main
from gipi.errors import DataError, RunError, UsageError
from gipi.release.stored import packed

QUICK = ("--quiet", "--steps", "2", "--no-verdict", "--no-doctor", "--threads", "1")
FAST = {"quiet": True, "steps": 2, "verdict": False, "doctor": False, "threads": 1}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(capsys):
    """A line on the command line: its exit code, and what it said on standard output and on standard error."""

    def ask(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return ask


@pytest.fixture
def refused(ask):
    """A line that is refused in one sentence that says all this, and leaves no run behind."""

    def refused(*words, code, says, verb="fit"):
        before = {path.name for path in Path("runs").glob("*")}
        options = QUICK if verb == "fit" else ()
        came, output, error = ask(verb, *words[:1], *options, *words[1:]) if words else ask(verb)
        assert came == code, error
        assert error.startswith("gipi: ") and error.count("\n") == 1, error
        assert "Traceback" not in error and len(error) < 700
        for said in (says,) if isinstance(says, str) else says:
            assert said in error
        assert not output.strip() or "--json" in words
        assert {path.name for path in Path("runs").glob("*")} == before
        assert before or not Path("runs").exists()
        return error

    return refused


def write(name, text, encoding="utf-8"):
    Path(name).write_bytes(text.encode(encoding))
    return name


def table(name="t.csv", rows=60, **columns):
    """Numbers a and b, words c, classes kind and a number y."""
    random = np.random.default_rng(0)
    a = random.normal(size=rows).round(3)
    made = {
        "a": a,
        "b": random.normal(size=rows).round(3),
        "c": ["uv"[n % 2] for n in range(rows)],
        "kind": ["xyz"[n % 3] for n in range(rows)],
        "y": (2 * a + np.arange(rows) % 3).round(3),
    }
    pl.DataFrame({**made, **columns}, strict=False).write_csv(name)
    return name


def columns(rows, **of):
    """Text of a CSV: each column a function of the row's number."""
    lines = [",".join(str(cell(n)) for cell in of.values()) for n in range(rows)]
    return "\n".join([",".join(of), *lines]) + "\n"


# --- table files


BROKEN = {
    "empty": ("", (), 1, "t.csv is empty"),
    "blank": ("\n \n\n", (), 1, "t.csv is empty"),
    "header only": ("a,b,y\n", (), 1, ("t.csv", "no rows")),
    "only separators": ("a,b\n,\n,\n", (), 1, ("t.csv", "no rows")),
    "one row": ("a,y\n1,2\n", ("--target", "y"), 1, "one row"),
    "duplicate header": ("a,a,y\n1,2,3\n2,3,4\n", (), 1, ("t.csv, line 1", "'a'")),
    "ragged": ("a,b,y\n1,2,3\n2,3,4,5\n3,4,5\n", (), 1, ("t.csv, line 3", "4 cells")),
    "wildcard": ("*,y\n1,2\n2,3\n", ("--target", "y"), 1, ("'*'", "rename")),
    "pattern": ("^a$,y\n1,2\n2,3\n", ("--target", "y"), 1, ("'^a$'", "rename")),
    "no such target": (columns(40, a=int, price=float), ("--target", "prise"), 2, ("'prise'", "'price'")),
    "target missing": ("a,y\n" + "1,\n2,\n" * 20, ("--target", "y"), 1, ("'y'", "missing in every row")),
    "one target value": (columns(40, a=int, y=lambda n: "" if n else 3), ("--target", "y"), 1, "one row"),
    "one class": (columns(40, a=int, y=lambda n: "u"), ("--target", "y"), 1, ("'y'", "one class only, u")),
    "one number": (columns(40, a=int, y=lambda n: 7), ("--target", "y"), 1, ("'y'", "7 in every row")),
    "one number as class": (
        columns(40, a=int, y=lambda n: 7),
        ("--target", "y", "--task", "classify"),
        1,
        "one class only, 7:",
    ),
    "infinity": ("a,y\n" + "1,2\ninf,3\n2,2\n" * 20, ("--target", "y"), 1, ("column 'a'", "line 3 of t.csv", "'inf'")),
    "infinite target": ("a,y\n" + "1,2\n2,-inf\n" * 20, ("--target", "y"), 1, ("'y'", "line 3 of t.csv", "'-inf'")),
    "infinity below rows without target": (
        "a,y\n1,\n1,\n" + "1,2\n2,3\n" * 20 + "inf,3\n",
        ("--target", "y"),
        1,
        ("line 44 of t.csv"),
    ),
    "a word among numbers": (
        "a,y\n" + "1,2\n2,3\n" * 20 + "hello,3\n",
        ("--target", "y"),
        1,
        ("column 'a'", "line 42 of t.csv", "'hello'"),
    ),
    "too large": (
        columns(40, a=lambda n: n if n else "1e308", y=lambda n: n % 7),
        ("--target", "y", "--scale", "none"),
        1,
        ("'a'", "row 1", "1e+308"),
    ),
    "text as target": (
        columns(50, a=int, y=lambda n: f"this is a rather long sentence number {n} with words."),
        ("--target", "y"),
        1,
        ("'y'", "free text"),
    ),
    "date as target": (columns(28, a=int, y=lambda n: f"2024-02-{n + 1:02d}"), ("--target", "y"), 1, ("'y'", "date")),
    "unique target": (columns(50, a=int, y=lambda n: f"name{n}"), ("--target", "y"), 1, ("'y'", "50 different")),
    "unique numbers as classes": (
        columns(50, a=int, y=int),
        ("--target", "y", "--task", "classify"),
        1,
        "50 different",
    ),
    "words regressed": (
        columns(40, a=int, y=lambda n: "uv"[n % 2]),
        ("--target", "y", "--task", "regress"),
        2,
        ("'y'", "classify"),
    ),
    "labels of three": (
        columns(40, a=int, p=lambda n: n % 2, q=lambda n: n % 3),
        ("--target", "p", "q", "--task", "classify"),
        1,
        ("'q'", "0.0, 1.0, 2.0"),
    ),
    "constants only": (columns(40, a=lambda n: 5, y=int), ("--target", "y"), 1, ("t", "left to learn from: a")),
    "target only": ("y\n" + "1\n2\n" * 20, ("--target", "y"), 1, "no column beside the target"),
    "no target": (columns(40, a=int, b=float), (), 2, ("--target", "--no-target", "a, b")),
    "two targets named alike": (columns(40, a=int, y=float), ("--target", "y", "y"), 2, "twice"),
    "target and no target": (columns(40, a=int, y=float), ("--target", "y", "--no-target"), 2, "exclude each other"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_table_that_cannot_be_learned_from(refused, case):
    text, options, code, says = BROKEN[case]
    refused(write("t.csv", text), *options, code=code, says=says)


def test_bytes_that_are_no_text(refused):
    Path("t.csv").write_bytes(b"a,y\n1,\xff\xfe\x81\n" + b"1,2\n" * 9)
    refused("t.csv", "--target", "y", code=1, says=("t.csv, line 2", "UTF-8"))
    Path("t.csv.gz").write_bytes(gzip.compress(b"a,y\n1,2\n" * 99)[:-9])
    refused("t.csv.gz", "--target", "y", code=1, says=("t.csv.gz", "cut off"))
    Path("t.parquet").write_bytes(b"PAR1 and nothing else")
    refused("t.parquet", "--target", "y", code=1, says="t.parquet")


def test_gaps_and_markers_are_values_that_are_missing(ask):
    write("t.csv", "a,c,y\n" + "1,u,2\nnan,,3\nNA,v,4\n,u,2.5\n" * 10)
    code, _output, error = ask("fit", "t.csv", "--target", "y", *QUICK)
    assert code == 0, error
    assert any("missing values" in note for note in gipi.Run("last").notes)


def test_very_many_categories_are_learned_from_and_predicted(ask):
    write("t.csv", columns(1200, a=lambda n: f"c{n % 250}", y=lambda n: f"label{n % 220}"))
    assert ask("fit", "t.csv", "--target", "y", *QUICK)[0] == 0
    run = gipi.Run("last")
    assert any("very many values" in note for note in run.notes)
    assert len(run.predict({"a": ["c1", "never seen", None]})) == 3


def test_a_rare_class_never_falls_to_the_test_part(ask):
    write("t.csv", columns(200, a=int, y=lambda n: "rare" if n == 3 else f"k{n % 60}"))
    assert ask("fit", "t.csv", "--target", "y", *QUICK)[0] == 0


# --- parts


def test_labels_that_only_a_part_has(refused):
    table()
    for part in ("test", "valid"):
        write("p.csv", "a,b,c,kind,y\n1,2,u,x,1\n1,2,u,q,1\n")
        refused("t.csv", "--target", "kind", f"--{part}", "p.csv", code=1, says=("'q'", "line 3 of p.csv", f"'{part}'"))


def test_parts_whose_columns_differ(refused):
    table()
    write("p.csv", "a,c,kind,y\n1,u,x,1\n")
    refused("t.csv", "--target", "kind", "--test", "p.csv", code=1, says=("'test'", "b"))
    write("p.csv", "a,b,c,y\n1,2,u,1\n")
    refused("t.csv", "--target", "kind", "--test", "p.csv", code=2, says=("'kind'", "p"))
    write("p.csv", "a,b,c,kind,y\n1,2,u,x,1\n1,hello,u,x,1\n")
    refused("t.csv", "--target", "kind", "--valid", "p.csv", code=1, says=("'b'", "line 3 of p.csv", "'hello'"))
    refused("t.csv", "--target", "kind", "--test", "gone.csv", code=2, says="gone.csv")
    refused("t.csv", "--target", "kind", "--valid", "t.csv", "--folds", "3", code=2, says=("--valid", "--folds"))


def test_parts_may_have_more_columns_and_unseen_categories(ask):
    table()
    write("p.csv", "z,y,kind,c,b,a\n9,1,x,new,2,1\n9,2,y,u,,3\n")
    code, _output, error = ask("fit", "t.csv", "--target", "kind", "--test", "p.csv", *QUICK)
    assert code == 0, error
    assert gipi.Run("last").record["rows"] == {"train": 48, "valid": 12, "test": 2}


FOLDS = {
    "more than rows": (("--folds", "1000"), 1, "1000 folds of 48 rows"),
    "one": (("--folds", "1"), 2, ("--folds", "at least 2")),
    "negative": (("--folds", "-2"), 2, "--folds"),
    "groups": (("--folds", "3", "--group", "c"), 1, "groups cannot make 3 folds"),
    "groups without folds": (("--group", "c"), 1, ("2 groups", "keep groups apart")),
}


@pytest.mark.parametrize("case", FOLDS)
def test_folds_that_cannot_be_made(refused, case):
    options, code, says = FOLDS[case]
    refused(table(), "--target", "kind", *options, code=code, says=says)


def test_a_class_that_only_one_fold_has(refused, ask):
    write("t.csv", columns(60, a=int, y=lambda n: "rare" if n == 3 else "uv"[n % 2]))
    refused("t.csv", "--target", "y", "--folds", "3", code=1, says=("'rare'", "folds"))
    write("t.csv", columns(60, a=int, y=lambda n: "rare" if n < 5 else "uv"[n % 2]))
    assert ask("fit", "t.csv", "--target", "y", "--folds", "6", *QUICK)[0] == 0
    assert any("rare (4)" in note for note in gipi.Run("last").notes)


ASIDE = {
    "no such column": (("--weight", "sise"), 2, ("--weight", "'sise'", "'size'")),
    "negative weight": (("--weight", "w"), 1, ("'w'", "line 4 of t.csv", "-1")),
    "missing weight": (("--weight", "gap"), 1, ("'gap'", "line 3 of t.csv", "missing")),
    "no positive weight": (("--weight", "zero"), 1, ("'zero'", "0 in every training row")),
    "weights of words": (("--weight", "c"), 1, ("--weight", "'c'")),
    "target as weight": (("--weight", "y"), 2, ("--weight", "'y' is the target")),
    "one group": (("--group", "one"), 1, "1 groups"),
    "time of words": (("--time", "c"), 1, ("--time", "'c'", "'u'")),
    "no such time": (("--time", "whenn"), 2, "--time"),
    "group and time": (("--group", "c", "--time", "size"), 2, ("--group", "--time")),
    "shares": (("--test-share", "1"), 2, ("--test-share", "below 1")),
    "nothing left": (("--test-share", "0.999"), 1, "too few to split"),
}


@pytest.mark.parametrize("case", ASIDE)
def test_columns_beside_the_inputs(refused, case):
    options, code, says = ASIDE[case]
    table(w=[1.0, 2.0, -1.0] * 20, gap=[1.0, None, 2.0] * 20, zero=[0.0] * 60, one=["g"] * 60, size=range(60))
    refused("t.csv", "--target", "y", *options, code=code, says=says)


def test_time_is_read_as_time_even_where_it_names_rows(ask):
    """A column that counts the rows is left out of the inputs, yet 10 comes after 9."""
    write("t.csv", columns(60, id=lambda n: 59 - n, a=lambda n: n % 7, y=lambda n: n * 0.37))
    assert ask("fit", "t.csv", "--target", "y", "--time", "id", *QUICK)[0] == 0
    record = gipi.Run("last").record
    names = [field["name"] for field in record["schema"]["inputs"]]
    assert names == ["a"] and record["rows"]["test"] == 12


def test_equal_weights_are_weights(ask):
    table(w=[2] * 60)
    assert ask("fit", "t.csv", "--target", "y", "--weight", "w", *QUICK)[0] == 0
    assert "w" not in [field["name"] for field in gipi.Run("last").record["schema"]["inputs"]]


# --- options


OPTIONS = {
    "--epochs -1": ("--epochs", "at least 1", "-1"),
    "--epochs 0": ("--epochs", "at least 1"),
    "--epochs ten": ("--epochs", "'ten'"),
    "--steps -5": ("--steps", "at least 1"),
    "--batch-size -3": ("--batch-size", "at least 0"),
    "--lr 0": ("--lr", "above 0"),
    "--lr -1": ("--lr", "above 0"),
    "--lr nan": ("--lr", "above 0"),
    "--lr fast": ("--lr", "a number or auto", "'fast'"),
    "--lr": ("--lr needs a value",),
    "--dropout 2": ("--dropout", "below 1"),
    "--dropout -0.1": ("--dropout", "from 0"),
    "--hidden 0": ("--hidden", "at least 1"),
    "--hidden 8 -8": ("--hidden", "-8"),
    "--hidden wide": ("--hidden", "'wide'"),
    "--weight-decay -1": ("--weight-decay", "at least 0"),
    "--momentum 1": ("--momentum", "below 1"),
    "--optimizer adm": ("'adm'", "'adam'"),
    "--activation rellu": ("'rellu'", "'relu'"),
    "--system mlp --norm btch": ("'btch'", "'batch'"),
    "--schedule cosin": ("'cosin'", "'cosine'"),
    "--loss crossentropy": ("'crossentropy'", "'cross_entropy'"),
    "--loss mse": ("'mse' does not fit classify",),
    "--averaging emma": ("'emma'", "'ema'"),
    "--device cpuu": ("'cpuu'", "cpu"),
    "--precision float23": ("--precision", "'float32'"),
    "--scale standart": ("--scale", "'standard'"),
    "--warmup 2": ("--warmup", "from 0 to 1"),
    "--clip 0": ("--clip", "above 0"),
    "--patience -1": ("--patience", "at least 0"),
    "--label-smoothing 1": ("--label-smoothing", "below 1"),
    "--label-smoothing 0.1 --loss hinge": ("--label-smoothing", "hinge"),
    "--mixup -1": ("--mixup", "at least 0"),
    "--ensemble 0": ("--ensemble", "at least 1"),
    "--threads 0": ("--threads",),
    "--threads 100000": ("--threads",),
    "--seed -1": ("--seed",),
    "--seed 99999999999999999999": ("--seed",),
    "--verdict-seconds -1": ("--verdict-seconds",),
    "--clusters 3": ("--clusters", "classify"),
    "--distribution normal": ("--distribution", "classify"),
    "--augment flip": ("--augment", "pictures"),
    "--picture-size 8": ("--picture-size", "table"),
    "--separator ab": ("separator", "'ab'"),
    "--class-weight fair": ("--class-weight", "balanced"),
    "--positive w": ("'w'", "x, y, z"),
    "--task clasify": ("'clasify'", "'classify'"),
    "--task act": ("act", "environment"),
    "--task stream": ("stream", "__next__"),
    "--system mpl": ("'mpl'", "'mlp'"),
    "--system convnet": ("convnet", "table", "mlp"),
    "--system gan": ("generate (gan)", "table"),
    "--system linear --hidden 4": ("--hidden", "linear", "mlp"),
    "--hiden 4": ("--hiden", "'hidden'"),
    "--epoch 4": ("--epoch", "'epochs'"),
    "--no-such": ("--no-such",),
    "--seed 1 2": ("2",),
    "--lang fr": ("'fr'", "en, ko"),
}


@pytest.mark.parametrize("typed", OPTIONS)
def test_an_option_that_cannot_be_meant(refused, typed):
    refused(table(), "--target", "kind", *typed.split(), code=2, says=OPTIONS[typed])


def test_options_that_have_no_use_for_a_task(refused):
    table()
    for typed in ("--class-weight balanced", "--label-smoothing 0.1"):
        refused("t.csv", "--target", "y", *typed.split(), code=2, says=typed.split()[0])
    for typed in ("--mixup 0.2", "--loss mse", "--folds 3", "--weight a", "--precision float64"):
        refused("t.csv", "--no-target", *typed.split(), code=2, says=(typed.split()[0], "cluster"))
    for typed in ("--loss hinge", "--class-weight balanced", "--mixup 0.2", "--schedule cosine"):
        typed += " --system perceptron"
        refused("t.csv", "--target", "kind", *typed.split(), code=2, says=(typed.split()[0], "perceptron"))
    for typed in ("--target y", "--epochs 3", "--test t.csv", "--mixup 0.1"):
        refused("gym:CartPole-v1", *typed.split(), code=2, says=(typed.split()[0], "act"))


def test_weights_to_begin_with(refused):
    table()
    refused("t.csv", "--target", "kind", "--from", "nobody", code=1, says="'nobody'")
    Path("x.gipi").write_bytes(b"no bundle")
    refused("t.csv", "--target", "kind", "--from", "x.gipi", code=1, says="x.gipi")


def test_run_folders_that_cannot_be_used(refused):
    table()
    write("file", "in the way")
    refused("t.csv", "--target", "kind", "--run", "file", code=1, says="file")
    refused("t.csv", "--target", "kind", "--run", "file/below", code=1, says="file/below")
    Path("full").mkdir()
    write("full/diary.txt", "dear diary")
    refused("t.csv", "--target", "kind", "--run", "full", code=1, says=("full", "not empty"))
    assert [path.name for path in Path("full").iterdir()] == ["diary.txt"]
    refused("t.csv", "--target", "kind", "--run", "/proc/nobody/run", code=1, says="/proc/nobody/run")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(refused):
    table()
    Path("locked").mkdir(mode=0o500)
    refused("t.csv", "--target", "kind", "--run", "locked/run", code=1, says="locked/run")


def test_more_clusters_than_rows(refused):
    refused(table(), "--no-target", "--clusters", "300", code=2, says="2 to 60 clusters")
    write("t.csv", columns(40, a=lambda n: n % 2, b=lambda n: n % 2))
    refused("t.csv", "--no-target", code=1, says="at least three different rows")


@pytest.mark.parametrize("content", ["{", "[]", "{}", "5"])
def test_a_run_whose_record_is_damaged(ask, refused, content):
    table()
    assert ask("fit", "t.csv", "--target", "kind", *QUICK, "--run", "runs/good")[0] == 0
    Path("runs/bad").mkdir()
    write("runs/bad/run.json", content)
    for verb in ("show", "resume"):
        refused("runs/bad", verb=verb, code=1, says=("runs/bad", "run.json"))
    code, output, _error = ask("runs")
    assert code == 0 and "good" in output and ("damaged" in output or content == "{}")


# --- lines


LINES = {
    "fit": (2, "gipi fit DATA"),
    "fit a b": (2, "gipi fit DATA"),
    "fit gone.csv": (2, "gone.csv"),
    "fit irs": (2, "'iris'"),
    "fit https://example.org/x.csv": (2, "address"),
    "fit gym:CartPole-v9": (2, "CartPole"),
    "fti iris": (2, "'fit'"),
    "evaluate": (2, "gipi evaluate RUN"),
    "evaluate nobody": (1, "'nobody'"),
    "predict last": (2, "gipi predict RUN INPUT"),
    "predict nobody 3": (1, "'nobody'"),
    "predict gone.gipi 3": (1, "gone.gipi"),
    "resume nobody": (1, "'nobody'"),
    "show nobody": (1, "'nobody'"),
    "compare a": (2, "gipi compare RUN RUN"),
    "compare a b": (1, "'a'"),
    "save a": (2, "gipi save RUN FILE"),
    "runs x": (2, "gipi runs"),
    "runs --all": (2, "--all"),
    "systems mpl": (2, "'mlp'"),
    "data irs": (2, "'iris'"),
    "show --lang fr": (2, "'fr'"),
    "show --lang": (2, "--lang needs a value"),
}


@pytest.mark.parametrize("typed", LINES)
@pytest.mark.parametrize("wants_json", [False, True])
def test_a_line_that_cannot_be_meant(ask, typed, wants_json):
    code, says = LINES[typed]
    came, output, error = ask(*typed.split(), *["--json"] * wants_json)
    assert came == code and says in error and error.count("\n") == 1 and not Path("runs").exists()
    if wants_json:
        said = json.loads(output.strip().splitlines()[-1])
        assert f"gipi: {said['error']}\n" == error
    else:
        assert not output


def test_names_that_no_disk_has(refused):
    long = "x" * 5000
    refused(f"{long}.csv", "--target", "y", code=1, says="File name too long")
    refused("t\0.csv", code=2, says="t")
    assert table() and Path("t.csv").exists()
    refused("t.csv", "--target", "kind", "--run", long[:300], code=1, says="File name too long")


# --- pictures


def folder(name, classes=("cat", "dog"), each=8, size=(8, 8)):
    random = np.random.default_rng(0)
    for label in classes:
        Path(name, label).mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(0, 255, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(Path(name, label, f"{number}.png"))
    return name


SMALL = ("--system", "convnet", "--width", "4", "--picture-size", "8")


def fitted(ask, name, *options):
    code, _output, error = ask("fit", name, *QUICK, *SMALL, *options)
    assert code == 0, error
    return gipi.Run("last")


def test_pictures_that_are_set_aside_are_named(ask):
    folder("pets")
    whole = Path("pets/cat/0.png").read_bytes()
    Path("pets/cat/cut.png").write_bytes(whole[: len(whole) // 2])
    write("pets/dog/words.png", "no picture")
    notes = " ".join(fitted(ask, "pets").notes)
    assert "cut.png" in notes and "words.png" in notes and "2 pictures cannot be read" in notes


def test_pictures_of_all_kinds_are_read(ask):
    folder("pets")
    Image.new("CMYK", (8, 8), (1, 2, 3, 4)).save("pets/cat/print.jpg")
    Image.fromarray((np.arange(64).reshape(8, 8) * 1000).astype(np.uint16)).save("pets/cat/deep.png")
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 255)]
    frames[0].save("pets/dog/moving.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (9, 13)).save("pets/dog/other.png")
    notes = " ".join(fitted(ask, "pets").notes)
    assert "animation" in notes and "20 rows" in notes


def test_folders_that_cannot_be_learned_from(refused):
    folder("one", classes=("cat",))
    refused("one", code=1, says=("one", "'cat'"))
    Path("void").mkdir()
    refused("void", code=1, says=("void", "no pictures"))
    Path("hollow/cat").mkdir(parents=True)
    Path("hollow/dog").mkdir()
    refused("hollow", code=1, says="hollow")
    folder("pets")
    refused("pets/cat/0.png", code=1, says=("0.png", "one picture"))
    refused("pets", "--target", "labl", code=2, says=("'labl'", "'label'"))
    refused("pets", "--task", "regress", code=2, says="'label' is not a number")
    refused("pets", "--no-target", code=2, says="tables")
    refused("pets", "--picture-size", "0", code=2, says="--picture-size")
    refused("pets", "--augment", "flp", code=2, says=("'flp'", "'flip'"))
    folder("broken", each=2)
    for path in Path("broken").rglob("*.png"):
        path.write_bytes(b"no picture")
    refused("broken", code=1, says="None of the 4 pictures")


def test_a_table_where_pictures_are_expected_and_the_other_way_round(refused):
    folder("pets")
    table()
    refused("pets", "--test", "t.csv", code=2, says=("'label'", "t"))
    refused("t.csv", "--target", "kind", "--test", "pets", code=2, says=("'kind'", "pets"))
    table("l.csv", label=["cat"] * 60)
    refused("pets", "--test", "l.csv", code=1, says=("'test'", "a table", "pictures"))


def test_a_part_of_another_picture_size_is_brought_to_the_datas(ask):
    folder("pets")
    folder("more", each=3, size=(16, 12))
    run = fitted(ask, "pets", "--test", "more")
    assert run.record["rows"]["test"] == 6


# --- a kept model


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Models that are only asked: of a table, of numbers alone, of pictures."""
    place = tmp_path_factory.mktemp("kept")
    before = os.getcwd()
    os.chdir(place)
    try:
        table()
        folder("pets")
        gipi.fit("t.csv", target="kind", **FAST).save("kinds")
        gipi.fit("t.csv", target="y", **FAST).save("y")
        gipi.fit("grades", system="linear", **FAST).save("grades")
        gipi.fit("pets", width=4, picture_size=8, **FAST).save("pets")
    finally:
        os.chdir(before)
    return place


ROW = {"a": 1, "b": 2, "c": "u", "y": 3}
MISFITS = {
    "no json": ("{bad json", 2, ("'{bad json'", "not JSON")),
    "cut json": ('{"a": 1, "b": 2', 2, "not JSON"),
    "missing columns": ('{"a": 1}', 1, ("columns are missing: b, c, y", "came: a")),
    "a word in a number": ('{"a": "hello", "b": 2, "c": "u", "y": 3}', 1, ("'a'", "row 1", "'hello'")),
    "infinity": ('{"a": 1, "b": Infinity, "c": "u", "y": 3}', 1, ("'b'", "row 1", "inf")),
    "a list in a cell": ('{"a": [1, 2], "b": [1], "c": ["u", "v"], "y": [3, 3]}', 1, "different lengths: [1, 2]"),
    "a record in a cell": ('{"a": {"q": 1}, "b": 1, "c": "u", "y": 1}', 1, ("'a', row 1", "one value")),
    "a number among records": ('[{"a": 1, "b": 1, "c": "u", "y": 1}, 5]', 1, "row 2 is 5"),
    "too few cells": ("[1, 2]", 1, ("(1, 2)", "(rows, 4)", "a, b, c, y")),
    "uneven rows": ('[[1, 2, "u", 3], [1, 2]]', 1, "different lengths: [2, 4]"),
    "too deep": ("[[[1, 2, 3, 4]]]", 1, "(rows, 4)"),
    "a list among cells": ('[[1, 2, "u", [3]]]', 1, ("'y', row 1", "one value was expected")),
    "a number": ("5", 1, "(rows, 4)"),
    "a word": ("hello", 2, "'hello'"),
    "no such file": ("gone.csv", 2, "gone.csv"),
    "a picture": ("pets/cat/0.png", 1, "one picture"),
    "a folder of pictures": ("pets", 1, ("pets", "a, b, c, y")),
    "nothing": ("", 2, "data set ''"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_rows_that_a_model_cannot_take(refused, kept, monkeypatch, case):
    monkeypatch.chdir(kept)
    text, code, says = MISFITS[case]
    before = len(list((kept / "runs").iterdir()))
    refused("kinds.gipi", text, verb="predict", code=code, says=says)
    assert len(list((kept / "runs").iterdir())) == before


FILES = {
    "missing": ("a,b,c\n1,2,u\n", "missing: y"),
    "words": ("a,b,c,y\n1,2,u,3\n4,hello,u,3\n", "line 3 of rows.csv"),
    "header only": ("a,b,c,y\n", "no rows"),
    "empty": ("", "rows.csv is empty"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_a_model_cannot_take(refused, kept, case):
    text, says = FILES[case]
    write("rows.csv", text)
    refused(kept / "kinds.gipi", "rows.csv", verb="predict", code=1, says=says)


def test_rows_that_are_answered(kept):
    model = gipi.load(kept / "kinds.gipi")
    (plain,) = model.predict(ROW)
    assert model.predict({**ROW, "more": {"of": "this"}, "*": 1}) == [plain]  # further columns do not matter
    assert model.predict({name: str(value) for name, value in ROW.items()}) == [plain]
    assert model.predict([[1, 2, "u", 3]]) == [plain]
    assert model.predict([np.float32(1), np.int8(2), "u", torch.tensor(3)]) == [plain]
    for gaps in ({"a": None}, {"a": float("nan")}, {"c": None}, {"c": "never seen"}, {"c": 5}, {"a": True}):
        assert len(model.predict({**ROW, **gaps})) == 1
    assert model.predict([]) == [] and model.predict(pl.DataFrame(ROW).clear()) == []
    assert [a["label"] for a in model.predict([ROW, {**ROW, "a": -3}])] == [
        model.predict(row)[0]["label"] for row in (ROW, {**ROW, "a": -3})
    ]


def test_a_single_column_takes_a_list_of_numbers(kept):
    model = gipi.load(kept / "grades.gipi")
    assert len(model.predict([7, 8, 9])) == 3 and len(model.predict(np.array([7.0]))) == 1


def test_long_lines_of_json(ask, kept):
    """Longer than any name of a file may be."""
    rows = json.dumps([ROW] * 300)
    code, output, error = ask("predict", kept / "kinds.gipi", rows, "--json")
    assert code == 0, error
    assert len(json.loads(output)["predictions"]) == 300


PICTURES = {
    "one picture": ((8, 8, 3), 1),
    "channels first": ((3, 8, 8), 1),
    "grey": ((8, 8), 1),
    "larger": ((16, 20, 3), 1),
    "several": ((5, 8, 8, 3), 5),
    "several, channels first": ((5, 3, 8, 8), 5),
    "several grey": ((5, 8, 8), 5),
    "none": ((0, 8, 8, 3), 0),
}


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_as_arrays(kept, case):
    shape, count = PICTURES[case]
    assert len(gipi.load(kept / "pets.gipi").predict(np.zeros(shape, np.uint8))) == count


def test_things_that_are_no_pictures(kept, refused):
    model = gipi.load(kept / "pets.gipi")
    for odd in (np.zeros(4), np.full((2, 8, 8, 3), np.nan), np.full((8, 8), 0.5), {"a": 1}, b"no picture", None):
        with pytest.raises(DataError):
            model.predict(odd)
    whole = (kept / "pets/cat/0.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    table()
    for name, says in (("cut.png", "cut off"), ("t.csv", "not a picture"), ("gone.png", "no such file")):
        refused(kept / "pets.gipi", name, verb="predict", code=1, says=(name, says))
    Path("void").mkdir()
    refused(kept / "pets.gipi", "void", verb="predict", code=1, says="void")


EVALUATED = {
    "without the target": ("kinds", "a,b,c,y\n1,2,u,3\n", 2, "'kind'"),
    "without an input": ("kinds", "a,b,c,kind\n1,2,u,x\n", 1, "missing: y"),
    "an unknown label": ("kinds", "a,b,c,y,kind\n1,2,u,3,q\n", 1, ("row 1", "'q'", "x, y, z")),
    "a missing label": ("kinds", "a,b,c,y,kind\n1,2,u,3,x\n1,2,u,3,\n", 1, ("row 2", "'kind'")),
    "a missing number": ("y", "a,b,c,y,kind\n1,2,u,,x\n1,2,u,3,x\n", 1, ("row 1", "'y'")),
    "a word as number": ("y", "a,b,c,y,kind\n1,2,u,1,x\n1,2,u,much,x\n", 1, ("line 3 of e.csv", "'much'")),
    "nothing": ("y", "", 1, "e.csv is empty"),
}


@pytest.mark.parametrize("case", EVALUATED)
def test_data_that_a_model_cannot_be_judged_on(refused, kept, case):
    model, text, code, says = EVALUATED[case]
    write("e.csv", text)
    refused(kept / f"{model}.gipi", "e.csv", verb="evaluate", code=code, says=says)


def test_a_model_of_pictures_is_judged_on_pictures_of_any_size(refused, kept, ask):
    folder("large", each=3, size=(20, 16))
    assert ask("evaluate", kept / "pets.gipi", "large")[0] == 0
    folder("birds", classes=("cat", "bird"), each=2)
    refused(kept / "pets.gipi", "birds", verb="evaluate", code=1, says=("'bird'", "cat, dog"))
    refused(kept / "pets.gipi", table(), verb="evaluate", code=2, says="'label'")


def resealed(source, path, **changes):
    """The bundle with other contents, in a zip that is whole, with the checksum that it has then."""
    with zipfile.ZipFile(source) as old:
        held = {name: changes.get(name.split(".")[0], lambda held: held)(old.read(name)) for name in old.namelist()}
    pieces = packed([(name, [content]) for name, content in held.items() if content is not None])
    Path(path).write_bytes(b"".join(bytes(piece) for piece in pieces))


def described(**changes):
    return {"bundle": lambda held: json.dumps({**json.loads(held), **changes}).encode()}


BUNDLES = {
    "newer": (described(format=99), "format 99"),
    "no weights": ({"weights": lambda held: None}, "damaged"),
    "cut weights": ({"weights": lambda held: held[:50]}, "damaged"),
    "a list": ({"bundle": lambda held: b"[]"}, "damaged"),
    "no json": ({"bundle": lambda held: b"{"}, "damaged"),
    "no examples": ({"examples": lambda held: b"{}"}, "damaged"),
    "unknown task": (described(task="nope"), "'nope'"),
    "unknown system": (described(system="nope"), "nope"),
    "unknown type": (described(dtype="save"), "damaged"),
    "no member": (described(members=0), "members"),
    "many members": (described(members=10**9), "members"),
    "a huge network": (described(config={"hidden": [10**12]}), "damaged"),
    "another schema": (described(schema={"inputs": [], "targets": []}), "damaged"),
    "other answers": (
        {"examples": lambda held: held.replace(b'"probability": ', b'"probability": 1')},
        "does not give the answers",
    ),
}


@pytest.mark.parametrize("case", BUNDLES)
def test_bundles_that_are_not_right(refused, kept, case):
    changes, says = BUNDLES[case]
    resealed(kept / "kinds.gipi", "x.gipi", **changes)
    refused("x.gipi", json.dumps(ROW), verb="predict", code=1, says=says)


def test_bundles_that_are_damaged(refused, kept):
    whole = (kept / "kinds.gipi").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("words", b"no bundle"), ("nothing", b"")):
        Path(f"{name}.gipi").write_bytes(content)
        refused(f"{name}.gipi", json.dumps(ROW), verb="predict", code=1, says=f"{name}.gipi")
    Path("folder.gipi").mkdir()
    refused("folder.gipi", json.dumps(ROW), verb="predict", code=1, says="folder.gipi")


def test_no_flipped_bit_changes_an_answer(kept):
    whole = (kept / "kinds.gipi").read_bytes()
    right = gipi.load(kept / "kinds.gipi").predict(ROW)
    places = np.random.default_rng(0).integers(0, len(whole), 60).tolist()
    places += [*range(60), *range(len(whole) - 320, len(whole), 2)]  # the zip's own book-keeping
    refusals = 0
    for number, place in enumerate(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << number % 8
        Path("x.gipi").write_bytes(flipped)
        try:
            assert gipi.load("x.gipi").predict(ROW) == right
        except RunError as error:
            assert "x.gipi" in str(error)
            refusals += 1
    assert refusals > len(places) / 2


# --- in Python


X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ [1.0, 2.0, 3.0]


def changed(values, value):
    values = values.copy()
    values[3, ...] = value
    return values


ARRAYS = {
    "infinite x": (lambda: (changed(X, np.inf), Y), DataError, "row 3"),
    "infinite y": (lambda: (X, changed(Y, -np.inf)), DataError, "'y'"),
    "lengths": (lambda: (X, Y[:5]), DataError, "40 rows but y has 5"),
    "no rows": (lambda: (X[:0], Y[:0]), DataError, "0 samples"),
    "no columns": (lambda: (X[:, :0], Y), DataError, "no columns"),
    "no y": (lambda: X, UsageError, "x1, x2, x3"),
    "complex": (lambda: (X.astype(complex), Y), DataError, "[Cc]omplex"),
    "all y missing": (lambda: (X, np.full(40, np.nan)), DataError, "missing in every row"),
    "a number": (lambda: 5, UsageError, "int"),
    "nothing": (lambda: None, UsageError, "NoneType"),
    "an empty list": (list, DataError, "empty list"),
    "an empty dict": (dict, DataError, "no columns"),
    "an object": (object, UsageError, "object"),
    "a wildcard": (lambda: {"*": [1.0, 2.0], "y": [1.0, 2.0]}, DataError, "rename"),
    "a pattern": (lambda: {"^a$": [1.0, 2.0], "y": [1.0, 2.0]}, DataError, "rename"),
    "NaN in pictures": (lambda: (np.full((9, 8, 8), np.nan), Y[:9]), DataError, "NaN"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_cannot_be_learned_from(case):
    made, error, says = ARRAYS[case]
    with pytest.raises(error, match=says):
        gipi.fit(made(), **FAST)
    assert not Path("runs").exists()


def test_gaps_in_arrays_are_gaps():
    run = gipi.fit((changed(X, np.nan), changed(Y, np.nan)), **FAST)
    assert any("1 rows without a target" in note for note in run.notes)
    assert len(run.predict(changed(X, np.nan))) == 40


KEYWORDS = {
    "epochs='ten'": {"epochs": "ten"},
    "epochs=2.5": {"epochs": 2.5},
    "batch_size=True": {"batch_size": True},
    "lr='0.1'": {"lr": "0.1"},
    "lr=True": {"lr": True},
    "hidden='x'": {"hidden": "x"},
    "hidden=[4.5]": {"hidden": [4.5]},
    "hidden=0": {"hidden": 0},
    "dropout=1.5": {"dropout": 1.5},
    "folds='5'": {"folds": "5"},
    "seed=1.5": {"seed": 1.5},
    "precision='half'": {"precision": "half"},
    "verdict='no'": {"verdict": "no"},
    "target=5": {"target": 5},
    "loss=5": {"loss": 5},
    "optimizer=5": {"optimizer": 5},
    "model='mlp'": {"model": "mlp"},
    "run=5": {"run": 5},
    "test=arrays": {"test": (X, Y)},
    "lang='fr'": {"lang": "fr"},
    "nonsense=1": {"nonsense": 1},
}


@pytest.mark.parametrize("case", KEYWORDS)
def test_keywords_that_cannot_be_meant(case):
    name = case.partition("=")[0].replace("_", "-")
    with pytest.raises(UsageError, match=name):
        gipi.fit((X, Y), **{**FAST, **KEYWORDS[case]})
    assert not Path("runs").exists()


def test_numbers_of_numpy_are_numbers():
    run = gipi.fit((X, Y), **{**FAST, "steps": np.int64(2), "lr": np.float32(0.01), "hidden": np.array([4, 3])})
    assert run.record["options"]["steps"] == 2 and run.record["config"]["hidden"] == [4, 3]
    assert gipi.fit((X, Y), **FAST, hidden=5, epochs=None).record["config"]["hidden"] == [5]


# --- files from the world


def test_bad_tables_from_the_world(shared_data, ask):
    for path in sorted((shared_data / "bad_csv").iterdir()):
        code, _output, error = ask("fit", path, *QUICK)
        assert code in (0, 1, 2) and "Traceback" not in error
        assert bool(code) == bool(error) and error.count("\n") <= 1, error


def test_bad_pictures_from_the_world(shared_data, kept, ask):
    codes = {}
    for path in sorted((shared_data / "bad_images").iterdir()):
        codes[path.name], output, error = ask("predict", kept / "pets.gipi", path)
        assert codes[path.name] in (0, 1) and "Traceback" not in error
        assert (path.name in error and error.count("\n") == 1) if codes[path.name] else output
    assert codes["truncated_jpeg.jpg"] == 1 and codes["pil_sample_cmyk.jpg"] == 0 and codes["hopper_gray.jpg"] == 0


def test_memory_that_ran_out_is_said_in_a_sentence(monkeypatch, ask):
    """torch has no type of its own for it, and its words are of files of its own."""
    from gipi.cli import commands

    def large(line):
        torch.empty(1 << 46, dtype=torch.uint8)

    monkeypatch.setattr(commands, "evaluate", large)
    code, said, complaint = ask("evaluate", "some-run")
    assert code == 1 and not said and complaint == "gipi: the memory of this machine is too small for that\n"
