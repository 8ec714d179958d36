"""A corpus as one row of tokens: in memory and on disk the same, kept by content, made anew when damaged."""

import numpy as np
import pytest

from gipi.data import kept, token_files
from gipi.data.corpus import Corpus
from gipi.data.fetch import cache_folder
from gipi.data.mapped import is_mapped
from gipi.data.token_files import tokens_and_starts, tokens_of
from gipi.data.tokenizers import train

TEXTS = ["the cat sat\n", "on the mat, 가나다\n", "😀 and\n"] * 20


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(token_files, "is_large", lambda size: True)
    monkeypatch.setattr(token_files, "AT_ONCE", 50)
    return tmp_path


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_running_text_comes_back(kind):
    corpus, tokenizer = Corpus("a", TEXTS, True), train(TEXTS, kind, 400)
    tokens = tokens_of(corpus, tokenizer)
    assert tokens.dtype == np.uint16 and not is_mapped(tokens)
    assert tokenizer.decode(tokens) == "".join(TEXTS)


def test_documents_have_an_end_between_them():
    corpus, tokenizer = Corpus("a", ["the cat", "", "a"], False), train(TEXTS, "characters", 300)
    tokens, starts = tokens_and_starts(corpus, tokenizer)
    assert (tokens == tokenizer.end).sum() == 2 and tokens[-1] != tokenizer.end
    assert starts.tolist() == [0, 8, 9, 10]
    assert tokenizer.decode(tokens[starts[0] : starts[1]]) == "the cat"


@pytest.mark.parametrize("is_running", [True, False])
def test_on_disk_it_is_the_same(is_running, on_disk, monkeypatch):
    corpus, tokenizer = Corpus("a", TEXTS, is_running), train(TEXTS, "words", 400)
    said = []
    tokens, starts = tokens_and_starts(corpus, tokenizer, lambda *told: said.append(told))
    assert is_mapped(tokens) and said[-1][1:] == (60, 60)
    monkeypatch.setattr(token_files, "is_large", lambda size: False)
    held, held_starts = tokens_and_starts(corpus, tokenizer)
    assert held.dtype == tokens.dtype and np.array_equal(held, tokens) and np.array_equal(held_starts, starts)


def test_it_is_found_again_by_content(on_disk, monkeypatch):
    tokenizer = train(TEXTS, "words", 400)
    first = np.array(tokens_of(Corpus("a", TEXTS, True), tokenizer))
    monkeypatch.setattr(token_files, "_tokens", None)  # nothing is cut into tokens
    assert np.array_equal(tokens_of(Corpus("b", tuple(TEXTS), True), tokenizer), first)
    for other, how in (([*TEXTS[:-1], "x"], tokenizer), (TEXTS, train(TEXTS, "characters", 300))):
        with pytest.raises(TypeError):  # another text, another tokenizer
            tokens_of(Corpus("a", other, True), how)
    with pytest.raises(TypeError):
        tokens_of(Corpus("a", TEXTS, False), tokenizer)


def test_a_damaged_file_is_made_anew(on_disk):
    corpus, tokenizer = Corpus("a", TEXTS, True), train(TEXTS, "words", 400)
    first = np.array(tokens_of(corpus, tokenizer))
    (path,) = cache_folder().glob("tokens/*/tokens")
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    assert np.array_equal(tokens_of(corpus, tokenizer), first)
    path.write_bytes(content[:-2])
    assert np.array_equal(tokens_of(corpus, tokenizer), first)
    assert kept.clear() > 0 and not [*cache_folder().glob("tokens/*/tokens")]


def test_many_tokens_take_four_bytes(on_disk):
    class Many:
        size, end = 70_000, 1

        def encode_all(self, texts):
            return [[69_999] for _text in texts]

        def to_json(self):
            return "{}"

    tokens = tokens_of(Corpus("a", TEXTS, True), Many())  # type: ignore[arg-type]
    assert tokens.dtype == np.uint32 and set(tokens.tolist()) == {69_999}


def test_no_room_on_the_disk_is_said(on_disk, monkeypatch):
    from gipi.errors import DataError

    monkeypatch.setattr(kept, "MARGIN", 1 << 62)
    with pytest.raises(DataError, match="too little room"):
        tokens_of(Corpus("a", TEXTS, True), train(TEXTS, "words", 400))


def test_nothing_gives_no_tokens():
    assert tokens_of(Corpus("a", [], True), train(TEXTS, "words", 400)).shape == (0,)
