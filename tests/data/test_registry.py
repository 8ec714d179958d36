"""Data sets that have a name hold what they say, equal scikit-learn's, and are verified wherever they lie."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from gipi.data import registry
from gipi.data.catalog import public_entries
from gipi.data.registry import entry_of, known, open_named
from gipi.errors import DataError, UsageError

SMALL = [entry for entry in public_entries() if sum(file.size for file in entry.files) < 5_000_000]
ROWS = {
    "students": 395,
    "adult": 32_561,
    "california-housing": 20_640,
    "titanic": 891,
    "wine-quality": 1_599,
    "bike-sharing": 17_379,
    "pima-diabetes": 768,
    "seattle-weather": 1_461,
}


@pytest.fixture
def loaded():
    """What scikit-learn itself loads."""
    from sklearn import datasets

    return lambda name, **options: getattr(datasets, f"load_{name}")(**options)


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer"])
def test_classes_equal_scikit_learn(name, loaded):
    theirs = loaded(name.replace("-", "_"))
    ours = open_named(name)
    assert ours.frame.columns == [*theirs.feature_names, *ours.target]
    assert np.array_equal(ours.frame[:, :-1].to_numpy(), theirs.data)
    assert ours.frame[ours.target[0]].to_list() == theirs.target_names[theirs.target].tolist()
    assert ours.origin == name and ours.kind == "table"


def test_diabetes_equals_scikit_learn_raw(loaded):
    theirs = loaded("diabetes", scaled=False)
    ours = open_named("diabetes")
    assert ours.frame.columns == [*theirs.feature_names, "progression"]
    assert np.array_equal(ours.frame[:, :-1].to_numpy(), theirs.data)
    assert np.array_equal(ours.frame["progression"].to_numpy(), theirs.target)


def test_digits_equal_scikit_learn(loaded):
    theirs = loaded("digits")
    ours = open_named("digits")
    assert ours.pictures is not None and ours.pictures.dtype == np.uint8 and ours.pictures.shape == (1797, 8, 8, 1)
    assert np.array_equal(np.round(ours.pictures[..., 0] * (16 / 255)), theirs.images)
    assert ours.frame["label"].to_list() == theirs.target.tolist() and ours.frame["label"].dtype == pl.Int64
    assert ours.target == ("label",) and any("255" in note for note in ours.notes)


def test_grades_are_the_course_s():
    data = open_named("grades")
    assert data.frame.to_dict(as_series=False) == {"study": [9, 8, 4, 2], "score": [90, 80, 40, 20]}
    assert data.target == ("score",)


def test_embedded_need_neither_torch_nor_scikit_learn_s_imports():
    code = (
        "import sys; from gipi.data.registry import known, open_named\n"
        "assert 'polars' not in sys.modules\n"
        "[open_named(entry.name) for entry in known() if entry.is_embedded]\n"
        "assert not {'torch', 'sklearn', 'pandas'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_entries_are_whole():
    names = [entry.name for entry in known()]
    assert len(names) == len(set(names)) and {"students", "adult", "mnist", "fashion-mnist", "cifar10"} <= set(names)
    for entry in known():
        of_rows = entry.task in ("classify", "regress", "translate", "chat")
        assert entry.about and entry.licence and (of_rows or entry.task in ("write", "tag"))
        assert bool(entry.target) == of_rows
        assert entry.name == entry.name.lower() and "_" not in entry.name
        assert entry.is_embedded == (not entry.files)
        for file in entry.files:
            assert file.address.startswith("https://") and len(file.sha256) == 64 and int(file.sha256, 16) and file.size
            assert file.path.count("/") == 1


@pytest.mark.parametrize("name", ["fashion_mnist", "Fashion-MNIST", "fashion-mnist"])
def test_names_are_read_generously(name):
    entry = entry_of(name)
    assert entry is not None and entry.name == "fashion-mnist"


def test_unknown_name_says_the_nearest():
    with pytest.raises(UsageError, match=r"no data set 'digit'\. Did you mean 'digits'\? Known are: digits, iris"):
        open_named("digit")


@pytest.mark.parametrize("entry", SMALL, ids=lambda entry: entry.name)
def test_public_tables_from_a_folder(entry, shared_data, monkeypatch):
    monkeypatch.setenv("GIPI_DATA", str(shared_data))
    data = open_named(entry.name)
    assert len(data) == ROWS[entry.name]
    assert data.target == entry.target and set(entry.target) <= set(data.frame.columns)
    assert not set(entry.drop) & set(data.frame.columns)
    assert data.frame[entry.target[0]].null_count() == 0 and data.origin == entry.name


def test_adult_has_its_names_and_gaps(shared_data, monkeypatch):
    monkeypatch.setenv("GIPI_DATA", str(shared_data))
    frame = open_named("adult").frame
    assert frame.width == 15 and sorted(frame["income"].unique()) == ["<=50K", ">50K"]
    assert frame["workclass"].null_count() == 1836 and not frame["sex"].str.starts_with(" ").any()


def test_fashion_mnist_from_a_folder(shared_data, monkeypatch):
    monkeypatch.setenv("GIPI_DATA", str(shared_data))
    data = open_named("fashion-mnist")
    assert data.pictures is not None and data.pictures.shape == (70_000, 28, 28, 1)
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 60_000, "test": 10_000}
    assert data.frame["label"][0] == "ankle boot" and data.frame["label"].n_unique() == 10


def test_changed_file_in_the_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GIPI_DATA", str(tmp_path))
    (tmp_path / "titanic").mkdir()
    (tmp_path / "titanic" / "train.csv").write_text("Survived\n1\n")
    with pytest.raises(DataError, match=r"train\.csv has SHA-256 .* Remove it"):
        open_named("titanic")


def test_what_is_in_no_folder_is_fetched_into_the_cache(tmp_path, monkeypatch):
    asked = []

    def pretend(address, sha256, target, progress, size):
        asked.append((address, sha256, target, size))
        target.parent.mkdir(parents=True)
        target.write_text(",".join(["5", "1", "1", "1", "1", "1", "1", "1", "0"]) + "\n")
        progress(5, 10)
        return target

    monkeypatch.delenv("GIPI_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("gipi.data.fetch.fetch", pretend)
    seen = []
    data = open_named("pima-diabetes", lambda *said: seen.append(said))
    assert len(data) == 1 and data.frame["diabetes"].to_list() == ["0"]
    entry = entry_of("pima-diabetes")
    assert entry is not None
    (file,) = entry.files
    path = registry.Path(tmp_path) / "gipi" / "data" / "pima_diabetes" / "pima-indians-diabetes.csv"
    assert asked == [(file.address, file.sha256, path, file.size)]
    assert seen == [("pima-indians-diabetes.csv", 5, 10)]
