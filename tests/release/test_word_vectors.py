"""Files of word vectors, read back by gensim and by a reader of our own that shares nothing with what writes them."""

import struct

import numpy as np
import pytest

import gipi
from gipi.data.schema import Field, Schema, Sizes
from gipi.errors import UsageError
from gipi.release.model import Model
from gipi.systems import word2vec

WORDS = ("the", "영화", "naïve", "_", "42", "x" * 100)


@pytest.fixture
def model() -> Model:
    import torch

    torch.manual_seed(0)
    schema = Schema((Field("word", "text", (1,), values=WORDS),))
    sizes = Sizes((1,), 0, vocabulary=len(WORDS))
    net = word2vec.Net(sizes, word2vec.Config(dimension=7))
    net.words[1, 0], net.words[1, 1], net.words[2, 0] = 1e-38, -3.0e38, 0.0
    return Model("relate", "word2vec", schema, sizes, {}, [net])


def read_binary(content: bytes):
    head, _end, rest = content.partition(b"\n")
    count, size = map(int, head.split())
    words, vectors = [], []
    for _word in range(count):
        name, _blank, rest = rest.partition(b" ")
        words.append(name.lstrip(b"\n").decode())
        vectors.append(struct.unpack(f"<{size}f", rest[: 4 * size]))
        rest = rest[4 * size :]
    assert rest == b"\n"
    return words, np.array(vectors, np.float32)


def read_text(content: bytes):
    head, *lines = content.decode().splitlines()
    rows = [line.split(" ") for line in lines]
    assert head == f"{len(rows)} {len(rows[0]) - 1}"
    return [row[0] for row in rows], np.array([[float(n) for n in row[1:]] for row in rows], np.float32)


@pytest.mark.parametrize(("to", "suffix", "read"), [("text", ".txt", read_text), ("binary", ".bin", read_binary)])
def test_words_and_numbers_come_back_to_the_bit(model, to, suffix, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = gipi.export(model, tmp_path / "words", to=f"word2vec-{to}") if hasattr(gipi, "export") else None
    if found is None:
        from gipi.verbs.export import export

        found = export(model, tmp_path / "words", to=f"word2vec-{to}")  # type: ignore[arg-type]
    (path,) = found.files
    assert path.name == f"words{suffix}"
    words, vectors = read(path.read_bytes())
    expected = model.members[0].words.detach().numpy()
    assert words == [*WORDS] and np.array_equal(vectors, expected)
    keyed = pytest.importorskip("gensim.models").KeyedVectors.load_word2vec_format(str(path), binary=to == "binary")
    assert keyed.index_to_key == [*WORDS] and np.array_equal(keyed.vectors, expected)
    scope: dict = {}
    exec(found.usage, scope)  # what a person is told to type
    assert scope["words"].index_to_key == [*WORDS]


def test_other_models_have_no_words(model, tmp_path):
    from gipi.release.word_vectors import write_words

    model.task = "classify"
    with pytest.raises(UsageError, match="has no words"):
        write_words(model, tmp_path / "x.txt", is_binary=False)
