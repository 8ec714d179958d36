"""Tagged text: files in their many forms, what the tags say, tags of pieces and back."""

import gzip
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gipi.data.tags import Sentence, Span, joined, numbered, open_tagged, parsed, runs, stretches
from gipi.data.tokenizers import train
from gipi.errors import DataError

WORDS = "Kim\tB-PS\nLee\tI-PS\nsaw\tO\nSeoul\tB-LC\n\nrain\tO\n"


def written(folder, text: str, name: str = "a.tsv", encoding: str = "utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_words_and_characters(tmp_path):
    words = open_tagged(written(tmp_path, WORDS))
    assert words.glue == " " and words.labels == ("LC", "PS") and words.name == "a"
    assert words.sentences[0] == Sentence(
        "Kim Lee saw Seoul", ((0, 3), (4, 7), (8, 11), (12, 17)), (Span(0, 7, "PS"), Span(12, 17, "LC"))
    )
    assert words.sentences[1].spans == ()
    characters = open_tagged(written(tmp_path, "## remark\t<박:PS>씨 \n박\tB-PS\n씨\tO\n \tO\n#\tO\n#\tO\n\n\n가\tO\n"))
    assert characters.glue == "" and [one.text for one in characters.sentences] == ["박씨 ##", "가"]
    assert characters.sentences[0].spans == (Span(0, 1, "PS"),)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + WORDS,
        WORDS.replace("\n", "\r\n"),
        "# sent_id = 1\n## a remark\n-DOCSTART- -X- O O\n\n" + WORDS,
        WORDS.replace("\t", " NNP "),
        WORDS.replace("\t", "\tNNP\t"),
        WORDS.replace("\n\n", "\n\n \n\n") + "\n\n",
        WORDS.replace("B-", "I-"),
        WORDS.replace("I-PS", "E-PS").replace("B-LC", "S-LC"),
        WORDS.replace("I-PS", "L-PS").replace("B-LC", "U-LC"),
    ],
    ids=["mark", "crlf", "remarks", "blanks", "columns", "many empty lines", "IOB1", "BIOES", "BILOU"],
)
def test_the_same_in_other_forms(text, tmp_path):
    assert open_tagged(written(tmp_path, text)).sentences == open_tagged(written(tmp_path, WORDS, "b.tsv")).sentences


def test_packed_korean_and_in_memory(tmp_path):
    plain = "서울\tB-LC\n에서\tO\n왔습니다\tO\n"
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(plain.encode()))
    korean = open_tagged(written(tmp_path, plain * 9, encoding="cp949"))
    assert open_tagged(tmp_path / "a.tsv.gz").sentences[0].text == "서울 에서 왔습니다"
    assert korean.sentences[0].text.startswith("서울 에서") and "CP949" in korean.notes[0]
    given_in = open_tagged([[("서울", "B-LC"), ("에서", "O"), ("왔습니다", "O")], []])
    assert given_in.sentences == open_tagged(tmp_path / "a.tsv.gz").sentences and given_in.origin is None


def test_parts_of_a_folder_and_of_files(tmp_path):
    for name in ("train", "dev", "test"):
        written(tmp_path, WORDS * (2 if name == "train" else 1), f"en_{name}.conll")
    data = open_tagged(tmp_path)
    assert {part: list(rows) for part, rows in data.parts.items()} == {
        "train": [0, 1, 2],
        "valid": [3, 4],
        "test": [5, 6],
    }
    alone = open_tagged(tmp_path / "en_train.conll", {"test": str(tmp_path / "en_test.conll")})
    assert list(alone.parts["test"]) == [3, 4] and len(alone) == 5


def test_tags_that_are_plain_are_a_stretch_each(tmp_path):
    data = open_tagged(written(tmp_path, "the\tDET\nold\tADJ\nold\tADJ\nman\tNOUN\n"))
    assert data.labels == ("ADJ", "DET", "NOUN")
    assert [span[:2] for span in data.sentences[0].spans] == [(0, 3), (4, 7), (8, 11), (12, 15)]
    assert "without B- and I-" in data.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no sentence"),
        ("\n\n\n", "no sentence"),
        ("Kim B-PS\nalone\n", "line 2: a token and its tag"),
        ("Kim\tO\nsaw\tO\n", "nothing to learn"),
        ("".join(f"w\tB-{number}\n" for number in range(1001)), "1001 different tags"),
    ],
)
def test_what_cannot_be_used(text, said, tmp_path):
    with pytest.raises(DataError, match=said):
        open_tagged(written(tmp_path, text))


def test_files_that_are_not_there(tmp_path):
    written(tmp_path, WORDS, "klue.tsv")
    with pytest.raises(DataError, match=r"no file .*klu.tsv.*Did you mean 'klue.tsv'"):
        open_tagged(tmp_path / "klu.tsv")
    with pytest.raises(DataError, match=r"needs a file train\.tsv"):
        open_tagged(tmp_path)
    with pytest.raises(DataError, match=r"list of \(token, tag\)"):
        open_tagged([["Kim", "Lee"]])


def test_odd_characters_are_kept_or_replaced():
    data = open_tagged([[("a\0b", "B-X"), ("\ud800", "O"), ("", "O"), ("가", "O"), ("\x07", "O")]])
    assert data.sentences[0].text == "a\ufffdb ?   가 \x07"
    assert data.sentences[0].spans == (Span(0, 3, "X"),)


# --- stretches ---------------------------------------------------------------------------------------------------

tag = st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"])


@given(st.lists(tag, max_size=12))
def test_stretches_are_those_that_a_plain_reading_finds(tags):
    """Independently: position by position, as the script of the CoNLL tasks decides where a chunk begins and ends."""
    found, begun, before = [], None, "O"
    for place, now in enumerate([*tags, "O"]):
        ends = before != "O" and (now == "O" or now[0] == "B" or now[2:] != before[2:])
        begins = now != "O" and (before == "O" or now[0] == "B" or now[2:] != before[2:])
        if ends:
            found.append((begun, place, before[2:]))
        if begins:
            begun = place
        before = now
    assert stretches(tags) == found


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(["A", "B"])), max_size=6), st.data())
def test_numbered_tags_say_the_stretches_that_they_came_from(gaps, data):
    """Of characters and of any pieces that end where stretches end."""
    spans, place = [], 0
    for gap, length, label in gaps:
        spans.append(Span(place + gap, place + gap + length, label))
        place += gap + length
    cuts = {0, place + 2, *(edge for span in spans for edge in span[:2])}
    more = data.draw(st.sets(st.integers(0, place + 2)))
    edges = sorted(cuts | more)
    pieces = list(pairwise(edges))
    tags = numbered(pieces, spans, ["A", "B"])
    back = [Span(pieces[first][0], pieces[last - 1][1], "AB"[kind]) for first, last, kind in runs(tags)]
    assert back == spans


def test_pieces_that_share_a_character_or_hold_two_stretches():
    assert numbered([(0, 1), (0, 1), (0, 1), (1, 2)], [Span(0, 1, "A")], ["A"]) == [1, 2, 2, 0]
    assert numbered([(0, 4), (4, 6)], [Span(0, 2, "A"), Span(2, 5, "B")], ["A", "B"]) == [1, 3]
    assert numbered([], [Span(0, 2, "A")], ["A"]) == []


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "wordpiece"])
def test_pieces_of_each_tokenizer(kind):
    sentence = "Kim Lee saw Seoul, and 서울에서 𐍈 rained"
    tokenizer = train([sentence] * 3, kind, 600)
    spans = [Span(0, 7, "PS"), Span(12, 17, "LC")]
    pieces = tokenizer.pieces(sentence)
    places = [(start, stop) for _id, start, stop in pieces]
    back = [
        (places[first][0], places[last - 1][1]) for first, last, _kind in runs(numbered(places, spans, ["LC", "PS"]))
    ]
    assert back == [(0, 7), (12, 17)]


def test_joined_tokens_are_where_they_are_said_to_be():
    text, places = joined(["가", "", "bc"], " ")
    assert [text[start:stop] for start, stop in places] == ["가", "", "bc"]
    assert parsed("a\tO", "x") == [[("a", "O")]]


def test_klue_ner(shared_data):
    data = open_tagged(shared_data / "klue_sts_ner" / "klue-ner-v1.1_dev.tsv")
    assert len(data) == 5000 and data.labels == ("DT", "LC", "OG", "PS", "QT", "TI") and data.glue == ""
    said = [span.label for one in data.sentences for span in one.spans]
    counts = {label: said.count(label) for label in data.labels}
    lines = (shared_data / "klue_sts_ner" / "klue-ner-v1.1_dev.tsv").read_text("utf-8").splitlines()
    assert counts == {label: sum(line.endswith(f"\tB-{label}") for line in lines) for label in data.labels}
    for sentence, line in zip(data.sentences, (line for line in lines if line.startswith("## klue")), strict=True):
        assert np.all([sentence.text[start:stop] in line for start, stop, _label in sentence.spans])
