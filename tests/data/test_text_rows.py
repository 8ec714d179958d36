"""Texts as rows of tokens: begun, ended, cut where they are too long, and padded with what is no token."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gipi.data.dataset import Dataset
from gipi.data.schema import Field
from gipi.data.text_rows import ENDED, joined, lengths_of, padded, text_rows, texts_of
from gipi.data.tokenizers import BEGIN, END, train
from gipi.errors import DataError

TOKENIZER = train(["abcdef 가나다"], "characters", 300)


def of(*columns, most=8):
    frame = pl.DataFrame({f"text{place}": column for place, column in enumerate(columns)})
    fields = [Field(name, "text", (most,), tokenizer=TOKENIZER.to_json()) for name in frame.columns]
    return text_rows(fields, Dataset("texts", frame, text=tuple(frame.columns)))


def test_a_text_begins_and_ends_and_is_padded():
    x = of(["ab", "", "abc"])
    a, b, c = TOKENIZER.encode("abc")
    assert x.tolist() == [
        [BEGIN, a, b, END, ENDED],
        [BEGIN, END, ENDED, ENDED, ENDED],
        [BEGIN, a, b, c, END],
    ]
    assert lengths_of(x).tolist() == [4, 2, 5] and x.dtype == np.int32


def test_a_pair_stands_in_one_row():
    a, b, c = TOKENIZER.encode("abc")
    assert of(["ab"], ["c"]).tolist() == [[BEGIN, a, b, END, c, END]]


def test_a_missing_text_says_nothing():
    assert of([None, "a"]).tolist()[0] == [BEGIN, END, ENDED]


def test_a_number_is_the_text_that_it_is_written_as():
    frame = pl.DataFrame({"text": [12, 3]})
    assert texts_of(Dataset("numbers", frame, text=("text",)), "text") == ["12", "3"]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(3, 20))
def test_the_longer_of_a_pair_is_cut_first(one, other, most):
    row = joined([[7] * one, [8] * other], TOKENIZER, most)
    kept, room = (row.count(7), row.count(8)), most - 3
    assert len(row) <= most and row[0] == BEGIN and row[-1] == END and row.count(END) == 2
    assert sum(kept) == min(one + other, room)
    if one + other > room:
        assert min(kept) >= min(one, other, room // 2)


@given(st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=9))
def test_padding_keeps_every_token(rows):
    x = padded(rows)
    assert [row[row != ENDED].tolist() for row in x] == rows
    assert x.shape == (len(rows), max([1, *map(len, rows)]))


def test_a_column_that_is_not_there_is_named():
    data = Dataset("texts", pl.DataFrame({"review": ["a"]}), text=("review",))
    with pytest.raises(DataError, match=r"document.*review"):
        texts_of(data, "document")


def test_a_column_of_lists_holds_no_texts():
    data = Dataset("texts", pl.DataFrame({"words": [["a", "b"]]}), text=("words",))
    with pytest.raises(DataError, match="words"):
        texts_of(data, "words")
