"""Whatever a person has opens as a Dataset: paths by kind, names, frames, arrays, tensors; the rest says why not."""

import datetime
import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Subset, TensorDataset

from gipi.data.dataset import Dataset
from gipi.data.sources import open_data
from gipi.errors import DataError, UsageError


def picture(path, shade=0, shape=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, shade, np.uint8)).save(path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- paths and names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grades.csv", "grades.csv.gz", "grades.tsv", "grades.parquet"])
def test_table_files(here, name):
    text = "study,score\n9,90\n8,80\n".replace(",", "\t" if name.endswith("tsv") else ",")
    if name.endswith("gz"):
        (here / name).write_bytes(gzip.compress(text.encode()))
    elif name.endswith("parquet"):
        pl.DataFrame({"study": [9, 8], "score": [90, 80]}).write_parquet(here / name)
    else:
        (here / name).write_text(text)
    for source in (name, here / name):
        data = open_data(source, target="score")
        assert data.name == "grades" and data.frame.columns == ["study", "score"] and len(data) == 2
        assert data.target == ("score",) and data.origin == str(here / name)


def test_separator_is_passed_on(here):
    (here / "odd.txt").write_text("a|b;c\n1|2\n3|4\n")
    assert open_data("odd.txt", separator="|").frame.columns == ["a", "b;c"]


@pytest.mark.parametrize(
    ("columns", "expected"), [("a,Target", ("Target",)), ("y,label", ()), ("a,b", ()), ("a,y", ("y",))]
)
def test_target_is_guessed_only_where_it_is_plain(here, columns, expected):
    (here / "t.csv").write_text(columns + "\n1,2\n3,4\n")
    assert open_data("t.csv").target == expected
    assert open_data({name: [1, 2] for name in columns.split(",")}).target == expected


def test_target_that_is_not_there(here):
    (here / "t.csv").write_text("study,score\n1,2\n3,4\n")
    with pytest.raises(
        UsageError, match=r"no column 'scores' in t\. Did you mean 'score'\? Its columns are: study, score"
    ):
        open_data("t.csv", target="scores")
    with pytest.raises(UsageError, match="twice"):
        open_data("t.csv", target=["score", "score"])
    assert open_data("t.csv", target=["score", "study"]).target == ("score", "study")


def test_name_and_path_of_the_same_name(here):
    (here / "digits").mkdir()
    data = open_data("digits")
    assert len(data) == 1797 and any("type ./digits" in note for note in data.notes)
    for label in "ab":
        picture(here / "digits" / label / "0.png")
    for source in ("./digits", here / "digits", "digits/"):
        assert len(open_data(source)) == 2


def test_names(here):
    assert open_data("grades").target == ("score",)
    assert open_data("grades", target="study").target == ("study",)
    assert open_data("iris", name="flowers").name == "flowers"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digit", "Did you mean 'digits'"),
        ("grades.cvs", r"no file or folder grades\.cvs\. Did you mean 'grades\.csv'"),
        ("nowhere/at/all.csv", "no folder nowhere/at either"),
        ("https://example.org/a.csv", "download the file first"),
        ("", "no data set ''"),
    ],
)
def test_what_is_not_there(here, source, message):
    (here / "grades.csv").write_text("study,score\n9,90\n")
    with pytest.raises(UsageError, match=message):
        open_data(source)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flowers.zip", "not a zip"),
        ("flowers.tar.gz", "archive of a kind that is not read; unpack"),
        ("model.pkl", r"not read.*gipi\.fit\(\(X, y\)\)"),
        ("one.png", "is one picture"),
        ("empty.csv", "empty"),
    ],
)
def test_files_that_are_no_data(here, name, message):
    (here / name).write_bytes(b"")
    with pytest.raises(DataError, match=message):
        open_data(name)


def test_folders_that_are_no_data(here):
    (here / "things").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        open_data(here / "things")
    (here / "things" / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"Perhaps you mean the table .*a\.csv"):
        open_data(here / "things")
    (here / "things" / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="is a run"):
        open_data(here / "things")


def test_table_of_pictures(here):
    for i in range(3):
        picture(here / "files" / f"{i}.png", shade=i)
    (here / "list.csv").write_text("file,kind\n" + "".join(f"files/{i}.png,{'ab'[i % 2]}\n" for i in range(3)))
    data = open_data("list.csv")
    assert data.kind == "picture" and data.target == ("kind",) and data.name == "list"
    assert data.pictures is not None and data.pictures[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert open_data("list.csv", picture_size=2).pictures.shape == (3, 2, 2, 1)  # type: ignore


def test_idx_folder(shared_data):
    data = open_data(shared_data / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz")
    assert data.kind == "picture" and len(data) == 10_000 and data.target == ("label",)


def test_real_table(shared_data):
    data = open_data(shared_data / "student_mat" / "student-mat.uci-semicolon.csv", target="G3")
    assert data.frame.shape == (395, 33)


# --- frames, dicts, lists ----------------------------------------------------------------------------------------


def test_polars_frame():
    frame = pl.DataFrame({"a": [1.0, float("nan"), None], "b": ["x", "y", None]})
    for source in (frame, frame.lazy()):
        data = open_data(source, target="b")
        assert data.frame.to_dict(as_series=False) == {"a": [1.0, None, None], "b": ["x", "y", None]}
        assert data.name == "data" and data.origin is None


def test_pandas_frame():
    frame = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "real": [1.5, np.nan, 3.0],
            "text": ["a", None, "c"],
            "flag": [True, False, True],
            "kind": pd.Categorical(["x", "y", "x"]),
            "maybe": pd.array([1, None, 3], dtype="Int64"),
            "day": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "zoned": pd.to_datetime(["2020-01-01T09:00+09:00"] * 3),
            7: [0.1, 0.2, 0.3],
        },
        index=[5, 6, 7],
    )
    got = open_data(frame).frame
    assert got.columns == ["whole", "real", "text", "flag", "kind", "maybe", "day", "zoned", "7"]
    assert got["whole"].dtype == pl.Int64 and got["flag"].dtype == pl.Boolean and got["maybe"].dtype == pl.Int64
    assert got["real"].to_list() == [1.5, None, 3.0] and got["maybe"].to_list() == [1, None, 3]
    assert got["text"].to_list() == ["a", None, "c"] and got["kind"].to_list() == ["x", "y", "x"]
    assert got["day"].to_list() == [datetime.datetime(2020, 1, 1), None, datetime.datetime(2020, 1, 3)]
    assert got["zoned"][0] == datetime.datetime(2020, 1, 1)


def test_pandas_frame_and_series():
    data = open_data((pd.DataFrame({"a": [1, 2], "b": [3, 4]}), pd.Series([0, 1], name="passed")))
    assert data.frame.columns == ["a", "b", "passed"] and data.target == ("passed",)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pl.DataFrame({"a": [1.0, float("inf")]}), r"Column 'a' has an infinite value in row 1"),
        ({"a": [1.0, 2.0], "b": [1.0, -np.inf]}, r"Column 'b' has an infinite value in row 1"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' appears more than once"),
        ({"a": [1, 2], "b": [1]}, r"Column 'b' has 1 rows but 'a' has 2"),
        ({"a": [1 + 2j]}, "Complex data not supported"),
        ({"a": [[1, 2], [3]]}, r"Column 'a' has a list in row 0"),
        ({"a": "text"}, "single value"),
        ({"a": np.zeros((2, 2))}, r"shape \(2, 2\)"),
        ({"a": []}, "no row"),
        ({}, "no columns"),
        (pl.DataFrame(), "no columns"),
        ([], "empty list"),
    ],
)
def test_tables_in_memory_that_cannot_be_used(source, message):
    with pytest.raises(DataError, match=message):
        open_data(source)


def test_dict_of_columns_keeps_kinds():
    got = open_data(
        {
            "number": [1, 2.5, None],
            "mixed": [1, "two", None],
            "flag": [True, None, False],
            "day": [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 2)],
            "array": np.array([1, 2, 3], np.uint8),
            "tensor": torch.tensor([1.0, float("nan"), 2.0]),
            "words": np.array(["a", "b", "c"]),
            "half": np.array([1, 2, 3], np.float16),
        }
    ).frame
    assert got["number"].to_list() == [1.0, 2.5, None] and got["mixed"].to_list() == ["1", "two", None]
    assert got["flag"].dtype == pl.Boolean and got["day"].dtype == pl.Date and got["array"].dtype == pl.UInt8
    assert got["tensor"].to_list() == [1.0, None, 2.0] and got["words"].to_list() == ["a", "b", "c"]
    assert got["half"].dtype == pl.Float32


def test_list_of_dicts():
    got = open_data([{"a": 1, "b": "x"}, {"b": "y", "c": 2.0}]).frame
    assert got.to_dict(as_series=False) == {"a": [1, None], "b": ["x", "y"], "c": [None, 2.0]}


# --- arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [np.array, torch.tensor, list], ids=["numpy", "torch", "list"])
def test_pair_of_arrays(convert):
    data = open_data((convert([[9.0, 1.0], [8.0, 2.0], [4.0, 3.0]]), convert([90, 80, 40])))
    assert data.frame.columns == ["x1", "x2", "y"] and data.target == ("y",)
    assert data.frame.row(1) == (8.0, 2.0, 80) and data.frame["y"].dtype == pl.Int64


def test_shapes_of_y():
    X = np.zeros((3, 2))
    assert open_data((X, np.zeros((3, 1)))).target == ("y",)
    assert open_data((X, np.zeros((3, 2)))).target == ("y1", "y2")
    assert open_data((X, ["a", "b", "a"])).frame["y"].to_list() == ["a", "b", "a"]
    assert open_data((X, None)).target == ()
    assert open_data((X, np.zeros((3, 2))), target="y2").target == ("y2",)
    assert open_data(([9, 8, 4], [90, 80, 40])).frame.columns == ["x1", "y"]


def test_bare_array():
    assert open_data(np.zeros((3, 2))).frame.columns == ["x1", "x2"]
    assert open_data(torch.zeros(5, 3, 8, 8)).kind == "picture"
    assert open_data([[1, 2], [3, 4]]).frame.row(1) == (3, 4)


def test_arrays_of_pictures():
    data = open_data((np.zeros((5, 8, 8), np.uint8), [0, 1, 0, 1, 0]))
    assert data.kind == "picture" and data.target == ("label",) and data.frame["label"].to_list() == [0, 1, 0, 1, 0]


def test_missing_values_of_an_array_are_gaps():
    X = np.array([[1.0, np.nan], [3.0, 4.0]])
    assert open_data((X, [0, 1])).frame["x2"].to_list() == [None, 4.0]


def test_array_of_objects():
    X = np.array([[1, "red"], [2.5, "blue"], [None, "red"]], dtype=object)
    frame = open_data((X, [0, 1, 0])).frame
    assert frame["x1"].to_list() == [1.0, 2.5, None] and frame["x2"].to_list() == ["red", "blue", "red"]


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2)), [1, 2], "X has 3 rows but y has 2"),
        (np.zeros((0, 2)), [], "0 samples"),
        (np.zeros((3, 0)), [1, 2, 3], "no columns"),
        ([[1, 2], [3]], [1, 2], "different lengths"),
        (np.array([[1.0], [np.inf]]), [1, 2], r"Column 'x1' has an infinite value in row 1"),
        (np.zeros((2, 1)), [1.0, np.inf], r"Column 'y' has an infinite value in row 1"),
        (np.zeros((2, 1), complex), [1, 2], "Complex data not supported"),
        (np.zeros(()), [1, 2], r"Reshape your data"),
        (np.zeros((2, 1, 1, 1, 1)), [1, 2], r"Reshape your data"),
        (np.full((2, 4, 4), np.nan), [1, 2], "row 0 has NaN"),
        (pd.DataFrame({"y": [1, 2]}), [1, 2], "has a column 'y' already"),
    ],
)
def test_arrays_that_cannot_be_used(X, y, message):
    with pytest.raises(DataError, match=message):
        open_data((X, y))


# --- data sets ---------------------------------------------------------------------------------------------------


def test_dataset_is_passed_through_unchanged():
    given = Dataset("mine", pl.DataFrame({"a": [1, 2], "b": [3, 4]}), notes=["said"])
    data = open_data(given, target="b")
    data.notes.append("more")
    assert data.target == ("b",) and given.target == () and given.notes == ["said"]
    assert open_data(data).target == ("b",)


def test_tensor_dataset():
    X, y = torch.rand(6, 3), torch.arange(6)
    assert open_data(TensorDataset(X, y)).frame["y"].to_list() == list(range(6))
    assert open_data(Subset(TensorDataset(X, y), [4, 2])).frame["y"].to_list() == [4, 2]
    assert open_data(TensorDataset(torch.rand(6, 1, 8, 8), y)).kind == "picture"


class Items(TorchDataset):
    """A data set of these items."""

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def test_pytorch_pictures():
    images = [Image.new("RGB", (6, 4), (shade, 0, 0)) for shade in (10, 20, 30)]
    data = open_data(Items(*zip(images, (0, 1, 0), strict=True)))
    assert (
        data.pictures is not None and data.pictures.shape == (3, 4, 6, 3) and data.frame["label"].to_list() == [0, 1, 0]
    )
    assert data.pictures[:, 0, 0, 0].tolist() == [10, 20, 30] and data.name == "Items"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((), "has 0 items"),
        ((3,), r"Item 0 of the PyTorch data set is a int; expected a pair"),
        (((torch.zeros(2), 0), (torch.zeros(3), 1)), r"Item 1 .* has shape \(3,\), item 0 has \(2,\)"),
    ],
)
def test_pytorch_data_sets_that_cannot_be_used(items, message):
    with pytest.raises(DataError, match=message):
        open_data(Items(*items))


@pytest.mark.parametrize("source", [None, 3, object(), iter([1])])
def test_what_is_no_data(source):
    with pytest.raises(UsageError, match="is not data that can be opened"):
        open_data(source)
