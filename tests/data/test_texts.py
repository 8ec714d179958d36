"""Text is read whole, whatever it is written in; a source's form is told from its files; rows get their answers."""

import codecs
import gzip
import json
import lzma
import random
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.data import text_files
from gipi.data.registry import entry_of, open_named
from gipi.data.sources import open_data
from gipi.data.text_catalog import text_entries
from gipi.data.text_files import Noticed, clean, cut, decoded, encoding_of, opened, read_text
from gipi.data.texts import form_of, open_rows
from gipi.errors import DataError, UsageError

KOREAN = "안녕하세요. 오늘은 날씨가 참 좋네요.\n내일도 좋을 것 같아요.\n"
ENGLISH = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n\n"
ANY = KOREAN + ENGLISH + "naïve 😀 東京\n"


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- encodings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ANY.encode(), ""),
        (codecs.BOM_UTF8 + ANY.encode(), ""),
        (ANY.encode("utf-16"), ""),
        (codecs.BOM_UTF16_BE + ANY.encode("utf-16-be"), ""),
        (ANY.encode("utf-32"), ""),
        (KOREAN.encode("cp949"), "CP949"),
        (("뷁 " + KOREAN).encode("cp949"), "CP949"),
        ("une façade à Orléans, où l'été…".encode("cp1252"), "Latin-1"),
        (ANY.replace("\n", "\r\n").encode(), ""),
        (ENGLISH.replace("\n", "\r").encode(), ""),
    ],
    ids=["utf-8", "mark", "utf-16", "utf-16-be", "utf-32", "cp949", "cp949 rare", "latin-1", "crlf", "cr"],
)
def test_encodings(content, said, tmp_path):
    text, notes = read_text(written(tmp_path / "a.txt", content))
    wanted = [ANY, KOREAN, "뷁 " + KOREAN, "une façade à Orléans, où l'été…", ENGLISH]
    assert text in wanted
    assert (said in " ".join(notes)) if said else not notes


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_packed_files(suffix, tmp_path):
    packed = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix](ANY.encode())
    path = written(tmp_path / f"a.txt{suffix}", packed)
    assert read_text(path) == (ANY, [])
    assert form_of(path) == "running"
    if suffix:
        written(path, packed[: len(packed) // 2])
        with pytest.raises(DataError, match="cut off"):
            read_text(path)
        written(path, packed + packed)  # several, one after the other
        assert read_text(path)[0] == ANY + ANY
        written(path, b"not packed at all")
        with pytest.raises(DataError, match=r"a\.txt"):
            read_text(path)


def test_lines_in_another_encoding_are_read_in_theirs(tmp_path):
    lines = [KOREAN.encode()] * 30 + [KOREAN.encode("cp949")] + [KOREAN.encode()] * 30
    text, notes = read_text(written(tmp_path / "a.txt", b"".join(lines)))
    assert text == KOREAN * 61
    assert "CP949: 2" in notes[0]


def test_a_broken_character_is_replaced_and_counted(tmp_path):
    content = (KOREAN * 20).encode()
    text, notes = read_text(written(tmp_path / "a.txt", content[:3] + b"\xff" + content[3:]))
    assert text == "안\ufffd" + (KOREAN * 20)[1:]
    assert notes and notes[0].endswith("1")


def test_nul_bytes_and_half_pairs_are_replaced_and_counted(tmp_path):
    text, notes = read_text(written(tmp_path / "a.txt", b"a" * 500 + b"\0b\0"))
    assert text == "a" * 500 + "\ufffdb\ufffd" and notes[0].endswith("2")
    half = codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x00\xd8" + "c".encode("utf-16-le")
    text, notes = read_text(written(tmp_path / "b.txt", half))
    assert text == "ab\ufffdc" and notes[0].endswith("1")


def test_control_characters_are_kept(tmp_path):
    content = "a\x1b[1m b\x07 c\u200b\u202e d\x85\n" + ENGLISH * 3
    assert read_text(written(tmp_path / "a.txt", content)) == (content, [])


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_clean_text_is_whole_and_stays(text):
    done = clean(text)
    done.encode()
    assert "\0" not in done and "\r\n" not in done and clean(done) == done


def test_hangul_is_composed():
    assert clean("\u1112\u1161\u11ab\u1100\u1173\u11af") == "한글"


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n" + b"text " * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"PK\x03\x04" + b"a" * 100,
        random.Random(0).randbytes(5000),
        bytes(100_000),
    ],
    ids=["pdf", "png", "zip", "random", "zeros"],
)
def test_what_is_no_text_is_refused(content, tmp_path):
    path = written(tmp_path / "a.txt", content)
    with pytest.raises(DataError, match="not text"):
        read_text(path)
    assert form_of(path) == ""
    with pytest.raises(DataError, match="not text"):
        read_text(written(tmp_path / "a.txt.gz", gzip.compress(content)))


def test_much_packed_into_little_is_refused_before_it_fills_the_disk(tmp_path):
    path = written(tmp_path / "bomb.txt.xz", lzma.compress(bytes(50_000_000)))
    with pytest.raises(DataError, match="not text"):
        opened(path)


def test_unpacking_takes_no_more_memory_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "PACKER_MEMORY", 1 << 16)
    with pytest.raises(DataError, match="damaged"):
        read_text(written(tmp_path / "a.txt.xz", lzma.compress(ANY.encode() * 100, preset=9)))


# --- pieces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "cp949"])
@pytest.mark.parametrize("text", [KOREAN * 40, "가나다😀" * 200, "a" * 1000, "가 나 " * 300, "줄\r\n" * 300])
def test_pieces_joined_are_the_text(encoding, text, tmp_path):
    text = text.replace("😀", "힣") if encoding == "cp949" else text
    path = written(tmp_path / "a.txt", text.encode(encoding))
    with path.open("rb") as file:
        pieces = list(cut(file, encoding, 64))
    assert b"".join(content for _start, content in pieces) == path.read_bytes()
    assert len(pieces) > 1 and all(0 < len(content) <= 64 for _start, content in pieces)
    starts = np.cumsum([0, *(len(content) for _start, content in pieces)])
    assert [start for start, _content in pieces] == starts[:-1].tolist()
    noticed = Noticed(encoding)
    assert "".join(decoded(content, noticed, start == 0) for start, content in pieces) == clean(text)
    assert not noticed.replaced and not noticed.lines


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=200),
    st.integers(8, 40),
)
def test_pieces_of_any_text(text, size):
    import io

    text = clean(text)
    pieces = [content for _start, content in cut(io.BytesIO(text.encode()), "utf-8", size)]
    noticed = Noticed("utf-8")
    joined = "".join(decoded(content, noticed, False) for content in pieces)
    assert clean(joined) == text and not noticed.lines and not noticed.replaced


def test_mark_in_the_middle_stays():
    assert decoded("\ufeffa".encode(), Noticed(), is_first=False) == "\ufeffa"
    assert encoding_of("가".encode()[:2], "x") == "utf-8"  # cut off in a character


# --- forms -------------------------------------------------------------------------------------------------------


def test_form_of_files(tmp_path):
    assert form_of(written(tmp_path / "play.txt", ENGLISH * 5)) == "running"
    assert form_of(written(tmp_path / "book.md", KOREAN)) == "running"
    assert form_of(written(tmp_path / "names.txt", "emma\nolivia\nava\n")) == "running"
    assert form_of(written(tmp_path / "t.txt", "id\tdocument\tlabel\n" + "1\tgood film, really\t1\n" * 9)) == ""
    assert form_of(written(tmp_path / "c.txt", 'a,b\n"x, y",2\n"z",3\n')) == ""
    assert form_of(written(tmp_path / "n.txt", "1 2 3\n4 5 6\n")) == ""
    assert form_of(written(tmp_path / "a.csv", "a,b\n1,2\n")) == ""
    assert form_of(written(tmp_path / "ner.tsv", "Seoul\tB-LOC\nis\tO\n\nBob\tB-PER\nran\tO\n")) == "tags"
    assert form_of(written(tmp_path / "empty.txt", "")) == ""
    assert form_of(str(tmp_path / "nothing.txt")) == "" == form_of("") == form_of(None) == form_of({"a": [1]})
    assert form_of(["a text", "another"]) == "running"


def test_form_of_folders_and_pairs(tmp_path):
    for name in ("a.txt", "b.txt"):
        written(tmp_path / "docs" / name, ENGLISH)
        written(tmp_path / "parts" / "train" / name, ENGLISH)
        written(tmp_path / "parts" / "test" / name, ENGLISH)
        written(tmp_path / "classes" / "pos" / name, ENGLISH)
        written(tmp_path / "classes" / "neg" / name, ENGLISH)
    written(tmp_path / "both" / "train.de", "ja\n")
    written(tmp_path / "both" / "train.en", "yes\n")
    written(tmp_path / "both" / "README.md", "read me")
    written(tmp_path / "polar" / "rt.pos", "good\n")
    written(tmp_path / "polar" / "rt.neg", "bad\n")
    forms = {name: form_of(tmp_path / name) for name in ("docs", "parts", "classes", "both", "polar")}
    assert forms == {"docs": "running", "parts": "running", "classes": "", "both": "pairs", "polar": ""}
    assert form_of(f"{tmp_path}/both/train.de,{tmp_path}/both/train.en") == "pairs"


def test_forms_of_names():
    assert form_of("tiny_shakespeare") == "running" and form_of("multi30k") == "pairs"
    assert (
        form_of("klue-ner") == "tags" and form_of("korean-chatbot") == "answers" and form_of("sentence-polarity") == ""
    )


# --- rows from folders and zips ----------------------------------------------------------------------------------


def test_folder_for_each_class(tmp_path):
    for part in ("train", "test"):
        for label in ("pos", "neg"):
            for number in range(3):
                written(tmp_path / part / label / f"{number}.txt", f"{label} {part} {number}\nsecond line")
    written(tmp_path / "README.md", "read me")
    data = open_data(tmp_path)
    assert data.kind == "text" and data.text == ("text",) and data.target == ("label",)
    assert len(data) == 12 and {name: len(rows) for name, rows in data.parts.items()} == {"train": 6, "test": 6}
    assert data.frame.row(0) == ("neg test 0\nsecond line", "neg")
    assert all("test" in text for text in data.frame["text"].gather(data.parts["test"]))


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.parametrize("names", [("rt.pos", "rt.neg"), ("pos.txt", "neg.txt"), ("male.txt", "female.txt")])
def test_file_for_each_class(names, is_zip, tmp_path):
    for name in names:
        written(tmp_path / "set" / "inner" / name, "una façade\n\nanother\n".encode("latin-1"))
    written(tmp_path / "set" / "inner" / "README", "read me")
    source = tmp_path / "set"
    if is_zip:
        source = tmp_path / "set.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in (tmp_path / "set" / "inner").iterdir():
                archive.write(file, f"set/{file.name}")
    data = open_data(source)
    labels = {name.split(".")[1] if name.startswith("rt") else name.split(".")[0] for name in names}
    assert len(data) == 4 and set(data.frame["label"]) == labels and data.frame["text"][0] == "una façade"
    assert data.name == "set" and any("Latin-1" in note for note in data.notes)
    assert "each file is a class" in data.notes[0]


def test_running_text_is_no_rows(tmp_path):
    path = written(tmp_path / "play.txt", ENGLISH * 3)
    with pytest.raises(DataError, match="running text"):
        open_data(path)
    with pytest.raises(DataError, match="not text"):
        written(tmp_path / "set" / "a" / "1.txt", bytes(500))
        written(tmp_path / "set" / "b" / "1.txt", "x")
        open_data(tmp_path / "set")


# --- rows with what belongs to them ------------------------------------------------------------------------------


def test_parallel_files(tmp_path):
    written(tmp_path / "train.de", "ja\n\nnein\n")
    written(tmp_path / "train.en", "yes\nwell\nno")
    written(tmp_path / "val.de.gz", gzip.compress(b"doch\n"))
    written(tmp_path / "val.en.gz", gzip.compress(b"but yes\n"))
    data = open_rows(tmp_path)
    assert data.text == ("de",) and data.target == ("en",) and data.origin == str(tmp_path)
    assert data.frame.rows() == [("ja", "yes"), ("nein", "no"), ("doch", "but yes")]
    assert {name: rows.tolist() for name, rows in data.parts.items()} == {"train": [0, 1], "valid": [2]}
    assert any("left out: 1" in note for note in data.notes)
    other = open_rows(tmp_path, target="de")
    assert (
        (other.text, other.target)
        == (("en",), ("de",))
        == tuple(vars(open_rows(tmp_path, ["en"]))[n] for n in ("text", "target"))
    )
    two = open_rows(f"{tmp_path}/train.en,{tmp_path}/train.de")
    assert two.text == ("en",) and two.frame.row(0) == ("yes", "ja")


def test_parallel_files_of_other_lengths_are_refused(tmp_path):
    written(tmp_path / "a.de", "ja\nnein\n")
    written(tmp_path / "a.en", "yes\n")
    with pytest.raises(DataError, match=r"a\.de has 2 lines and a\.en has 1"):
        open_rows(tmp_path)
    written(tmp_path / "a.de", "\n")
    written(tmp_path / "a.en", "\n")
    with pytest.raises(DataError, match="no row"):
        open_rows(tmp_path)


def test_rows_of_tables_and_json_lines(tmp_path):
    path = written(
        tmp_path / "a.jsonl", "\n".join(json.dumps({"q": q, "a": a, "n": 1}) for q, a in ["xy", "zw", ("v", "")])
    )
    data = open_rows(path)
    assert (data.text, data.target, len(data)) == (("q",), ("a",), 2)
    assert open_rows(path, ["a"], "q").text == ("a",)
    with pytest.raises(UsageError, match=r"no column 'qq'.*Did you mean 'q'"):
        open_rows(path, ["qq"])
    three = {"a": ["x y"], "b": ["z"], "c": ["w"]}
    with pytest.raises(UsageError, match="--text and --target"):
        open_rows(three)
    assert open_rows(three, ["a"], "c").frame["c"].to_list() == ["w"]
    assert open_rows(pl.DataFrame({"a": ["e\u0301\0"], "b": ["z"]})).frame["a"][0] == "é\ufffd"


# --- names -------------------------------------------------------------------------------------------------------

ROWS = {
    "sentence-polarity": 10_662,
    "multi30k": 30_014,
    "korean-english": 720,
    "korsts": 7_249,
    "klue-sts": 519,
}


@pytest.mark.parametrize("name", ROWS)
def test_named_sets(name, shared_data, monkeypatch):
    monkeypatch.setenv("GIPI_DATA", str(shared_data))
    entry, data = entry_of(name), open_named(name)
    assert entry is not None and len(data) == ROWS[name]
    assert (
        data.text == entry.text and data.target == entry.target and {*data.text, *data.target} <= {*data.frame.columns}
    )
    assert data.frame.select(pl.col(*data.text, *data.target).is_null().any()).row(0) == (False,) * (len(data.text) + 1)
    assert set(data.parts) == ({"train", "valid"} if name in ("multi30k", "korsts") else set())


def test_named_texts_have_an_address_and_no_other_columns():
    assert {entry.name for entry in text_entries()} >= {
        *ROWS,
        "tiny-shakespeare",
        "korean-chatbot",
        "ag-news",
        "klue-ner",
    }
    with pytest.raises(DataError, match="running text"):
        from gipi.data.named_texts import refuse_running

        refuse_running(text_entries()[0], [])
