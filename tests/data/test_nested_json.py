"""Records inside the records of JSON: their values are columns too."""

import json

import polars as pl
import pytest

from gipi.data.tables import open_table, opened

RECORDS = [
    {"one": "a b", "labels": {"label": 4.9, "binary-label": 1, "more": {"sure": True}}},
    {"one": "c d", "labels": {"label": 1.4, "binary-label": 0, "more": {"sure": False}}},
]


@pytest.mark.parametrize("form", ["list", "lines"])
def test_values_of_inner_records_are_columns(form, tmp_path):
    path = tmp_path / "sts.json"
    text = json.dumps(RECORDS) if form == "list" else "\n".join(map(json.dumps, RECORDS))
    path.write_text(text)
    table = open_table(path)
    assert table.frame.columns == ["one", "labels.label", "labels.binary-label", "labels.more.sure"]
    assert table.frame["labels.label"].to_list() == [4.9, 1.4]
    assert table.frame.schema["labels.binary-label"] == pl.Int64
    assert table.frame["labels.more.sure"].to_list() == [True, False]


def test_what_stays_as_it_is():
    many = {"a": {str(number): number for number in range(21)}}
    assert opened(many) == many
    assert opened({"a": {}}) == {"a": {}}
    assert opened({"a": {"b": 1}, "a.b": 2}) == {"a.b": 2}
    deep: dict = {"leaf": 1}
    for _level in range(50):
        deep = {"x": deep}
    (name,) = opened(deep)
    assert name == "x.x.x.x.x"


def test_klue_sts_can_be_opened(shared_data):
    frame = open_table(shared_data / "klue_sts_ner" / "klue-sts-v1.1_dev.json").frame
    assert frame.height == 519
    assert {"sentence1", "sentence2", "labels.label", "labels.real-label", "labels.binary-label"} <= {*frame.columns}
    assert frame["labels.binary-label"].sum() == sum(label >= 3 for label in frame["labels.label"])
