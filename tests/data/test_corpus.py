"""Running text and documents, from all that holds them; what memory does not hold is read piece by piece."""

import gzip
import subprocess
import sys

import polars as pl
import pytest

from gipi.data import corpus as corpora
from gipi.data import text_files
from gipi.data.corpus import Corpus, open_corpus
from gipi.data.text_files import Pieces
from gipi.errors import DataError, UsageError

PLAY = "ROMEO:\nIs the day so young?\n\nBENVOLIO:\nBut new struck nine.\n"


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_is_one_running_text(tmp_path):
    for path in (written(tmp_path / "play.txt", PLAY), written(tmp_path / "play.txt.gz", gzip.compress(PLAY.encode()))):
        found = open_corpus(path)
        assert "".join(found.texts) == PLAY and found.is_running and found.name == "play"
        assert found.origin == str(path.resolve()) and not found.parts and not found.notes
        assert open_corpus(found) is found


def test_each_line_a_document(tmp_path):
    path = written(tmp_path / "play.txt", PLAY)
    found = open_corpus(path, ["line"])
    assert found.texts == [line for line in PLAY.split("\n") if line] and not found.is_running
    assert "left out: 1" in found.notes[0]
    with pytest.raises(UsageError, match="no column 'text'"):
        open_corpus(path, ["text"])


def test_pieces_of_a_large_file_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "PIECE", 100)
    monkeypatch.setattr(corpora, "is_large", lambda size: True)
    text = "".join(f"{number}째 줄입니다\r\n" for number in range(500)) + "끝"
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), text.encode("cp949")):
        said: list = []
        found = open_corpus(written(tmp_path / "a.txt", content), progress=lambda *told, said=said: said.append(told))
        assert isinstance(found.texts, Pieces) and len(found.texts) > 40
        assert "".join(found.texts) == text.replace("\r\n", "\n")
        assert str(found.texts[-1]).endswith("끝") and found.texts[1:3] == [found.texts[1], found.texts[2]]
        assert said[-1][1] == said[-1][2] == len(content)
        with pytest.raises(IndexError):
            found.texts[len(found.texts)]


def test_a_folder_is_documents(tmp_path):
    for name, text in (("b.txt", "two"), ("a.txt", "one\r\n"), ("empty.txt", " \n"), ("picture.png", b"\x89PNG\0\0")):
        written(tmp_path / "docs" / name, text)
    found = open_corpus(tmp_path / "docs")
    assert found.texts == ["one\n", "two"] and not found.is_running and found.name == "docs"
    assert len(found.notes) == 2 and "picture.png" in found.notes[0]


@pytest.mark.parametrize("is_held", [True, False])
def test_parts_of_a_folder(is_held, tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "is_large", lambda size: not is_held)
    for name in ("train", "valid", "test"):
        written(tmp_path / "wiki" / f"{name}.txt", f"{name} text")
        written(tmp_path / "deep" / name / "1.txt", f"{name} text")
    written(tmp_path / "deep" / "train" / "0.txt", "\n")
    for folder in ("wiki", "deep"):
        found = open_corpus(tmp_path / folder)
        assert list(found.texts) == ["test text", "train text", "valid text"] and len(found.texts[:2]) == 2
        assert {name: rows.tolist() for name, rows in found.parts.items()} == {"train": [1], "valid": [2], "test": [0]}


def test_a_column_of_a_table_is_documents(tmp_path):
    rows = 'review,stars,by\n"a long and friendly review",5,Kim\n"a long and unfriendly one, too",1,Lee\n,3,Park\n'
    path = written(tmp_path / "r.csv", rows)
    found = open_corpus(path)
    assert found.texts == ["a long and friendly review", "a long and unfriendly one, too"] and len(found.notes) == 1
    assert open_corpus(path, ["by"]).texts == ["Kim", "Lee", "Park"]
    assert open_corpus(path, ["review", "by"]).texts[1:] == ["a long and unfriendly one, too\nLee", "Park"]
    assert open_corpus({"x": ["one", "two"]}).texts == ["one", "two"]
    assert open_corpus(pl.DataFrame({"x": ["one"]})).texts == ["one"]
    with pytest.raises(UsageError, match=r"no column 'rewiev'.*Did you mean 'review'"):
        open_corpus(path, ["rewiev"])
    with pytest.raises(UsageError, match="which column holds the text"):
        open_corpus({"a": ["x"], "b": ["y"]})


def test_a_text_that_looks_like_a_table_but_is_none(tmp_path):
    path = written(tmp_path / "a.txt", "1 one\n2 two\n3 three and more\n")
    assert "".join(open_corpus(path).texts) == path.read_text()


def test_a_list_of_texts(tmp_path):
    found = open_corpus(["one", "e\u0301", "", "\0"])
    assert found.texts == ["one", "é", "\ufffd"] and not found.is_running


def test_a_name(shared_data, monkeypatch):
    monkeypatch.setenv("GIPI_DATA", str(shared_data))
    found = open_corpus("tiny_shakespeare")
    assert sum(map(len, found.texts)) == 1_115_394 and found.is_running
    assert found.name == found.origin == "tiny-shakespeare"


@pytest.mark.parametrize("content", ["", "\n \n\t\n", b"\xef\xbb\xbf"])
def test_nothing_in_it(content, tmp_path):
    with pytest.raises(DataError, match="empty"):
        open_corpus(written(tmp_path / "a.txt", content))
    with pytest.raises(DataError):
        open_corpus(tmp_path)
    with pytest.raises(DataError, match="no text"):
        open_corpus(["", " "])


def test_what_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        open_corpus(tmp_path / "nothing.txt")
    with pytest.raises(UsageError, match="no data set"):
        open_corpus("tiny_shakespear")
    with pytest.raises(DataError, match="not text"):
        open_corpus(written(tmp_path / "a.txt", bytes(range(256)) * 9))


MEASURE = """
import resource, sys
from gipi.data import budget, corpus, kept, text_files, token_files
from gipi.data.tokenizers import train
corpus.is_large = token_files.is_large = lambda size: True
text_files.PIECE = token_files.AT_ONCE = kept.PIECE = 1 << 18
tokenizer = train(["a"], "characters", 259)
corpus.open_corpus(["a"])
held = {line.split(":")[0]: line.split()[1] for line in budget._lines("/proc/self/status") if "kB" in line}
most = (int(held["VmData"]) << 10) + (32 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
found = corpus.open_corpus(sys.argv[1])
print(len(token_files.tokens_of(found, tokenizer)), len(found.texts))
try:
    open(sys.argv[1]).read().split("y"), [*tokenizer.encode(open(sys.argv[1]).read())]
except MemoryError:
    print("as a whole it would not fit")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
def test_a_line_larger_than_the_memory_that_may_be_taken(tmp_path, monkeypatch):
    """12 MB in one line without a blank, and 32 MB of memory, which their tokens in a list alone would take thrice."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = written(tmp_path / "line.txt", b"x" * (12 << 20))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{12 << 20} 48", "as a whole it would not fit"]


def test_corpus_is_plain():
    assert Corpus("a", ["b"], False).notes == []


def test_a_text_with_a_comma_in_each_line_is_a_text(tmp_path):
    """Two columns could be seen in it; who asks for running text wants none."""
    path = tmp_path / "said.txt"
    path.write_text("\n".join(f"the film was good, said number {number}" for number in range(40)), encoding="utf-8")
    corpus = open_corpus(path)
    assert corpus.is_running and "".join(corpus.texts) == path.read_text(encoding="utf-8")
