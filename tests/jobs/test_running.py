"""The parts of running text: stretches of one text, documents drawn or given, never a sentence in two of them."""

import numpy as np
import pytest

from gipi.data.corpus import Corpus, open_corpus
from gipi.errors import DataError
from gipi.jobs.options import Fit
from gipi.jobs.running import parts_of

TEXT = "".join(f"line {number}\n" for number in range(400))


def test_one_text_is_cut_into_stretches():
    found = parts_of(Corpus("a", [TEXT[:1500], TEXT[1500:]], True), Fit())
    assert "".join("".join(found[part].texts) for part in ("train", "valid", "test")) == TEXT
    assert [round(len("".join(some.texts)) / len(TEXT), 2) for some in found.values()] == [0.64, 0.16, 0.2]


def test_documents_are_drawn():
    found = parts_of(Corpus("a", [f"{number} " + TEXT for number in range(20)], False), Fit())
    assert sorted(len(some.texts) for some in found.values()) == [3, 4, 13]
    assert len({text for some in found.values() for text in some.texts}) == 20


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("train", "test"), ("train", "valid")])
def test_parts_that_files_are_called_after(names, tmp_path):
    for name in names:
        (tmp_path / f"{name}.txt").write_text(name + "\n" + TEXT)
    found = parts_of(open_corpus(tmp_path), Fit())
    assert set(found) == {"train", "valid", "test"}
    for name in names[1:]:
        assert list(found[name].texts) == [name + "\n" + TEXT]
    assert "".join(found["train"].texts).startswith("train\n")
    joined = "".join("".join(found[part].texts) for part in ("train", "valid", "test") if part not in names[1:])
    assert joined == "train\n" + TEXT


def test_parts_of_many_documents_are_given():
    parts = {"train": np.arange(15), "test": np.arange(15, 20)}
    found = parts_of(Corpus("a", [f"{number} " + TEXT for number in range(20)], False, parts=parts), Fit())
    assert [text[:2] for text in found["test"].texts] == ["15", "16", "17", "18", "19"] and len(
        found["valid"].texts
    ) == 3


def test_little_text_is_all_for_training():
    corpus = Corpus("a", ["short"], True)
    assert parts_of(corpus, Fit()) == {"train": corpus} and corpus.notes
    with pytest.raises(DataError, match="empty"):
        parts_of(Corpus("a", [], True), Fit())
