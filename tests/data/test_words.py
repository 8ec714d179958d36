"""Words of texts as numbers, wherever the texts were cut."""

import random
import re

import numpy as np
import pytest

from gipi.data.words import LONGEST, apart, known_only, known_words, read_words


def test_a_running_text_may_be_cut_anywhere():
    draw = random.Random(0)
    text = "".join(draw.choice("ab 한글\n.,'_0\t") for _letter in range(3000))
    whole = read_words([text], True, lower=True)
    for _turn in range(20):
        cuts = sorted(draw.randrange(len(text) + 1) for _cut in range(draw.randrange(1, 40)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        found = read_words(pieces, True, lower=True)
        assert found.names == whole.names and np.array_equal(found.words, whole.words)
        assert np.array_equal(found.lengths, whole.lengths)
    assert [whole.names[n] for n in whole.words] == re.findall(r"\w+", text)
    lines = [re.findall(r"\w+", line) for line in text.splitlines()]
    assert whole.lengths.tolist() == [len(line) for line in lines if line]


def test_documents_are_apart_and_capitals_are_kept_if_wanted():
    text = read_words(["The cat\nthe Dog", "", "cat the"], False, lower=False)
    assert text.names == ["The", "cat", "the", "Dog"]
    assert text.lengths.tolist() == [2, 2, 2] and text.documents.tolist() == [0, 0, 2]
    assert read_words(["The the"], False, lower=True).names == ["the"]


def test_korean_words_end_at_blanks_and_marks():
    assert read_words(["영화가 정말 좋았다! 영화가…"], False, lower=True).names == ["영화가", "정말", "좋았다"]


def test_nothing_control_characters_and_endless_words():
    for text in ("", "\n\n", "... !!", "\0\ufffd"):
        assert len(read_words([text], True, lower=True).words) == 0
    text = read_words(["a" * (LONGEST + 1) + " b\0c"], True, lower=True)
    assert text.names == ["b", "c"]


def test_known_words_are_the_frequent_ones():
    text = read_words(["b a c a b a d"], False, lower=True)
    words, counts, numbers = known_words(text.words, text.names, 2, None)
    assert words == ["a", "b"] and counts.tolist() == [3, 2]
    assert known_words(text.words, text.names, 1, 3)[0] == ["a", "b", "c"], "of words as frequent the first comes first"
    found, lines = known_only(text.words, text.lengths, numbers)
    assert found.tolist() == [1, 0, 0, 1, 0] and lines.tolist() == [0] * 5


@pytest.mark.parametrize("is_running", [True, False])
def test_a_share_is_held_out(is_running):
    text = read_words([f"w{n} x y z" for n in range(100)] if not is_running else ["w x y z\n" * 100], is_running, True)
    order = np.random.default_rng(0).permutation(100)
    learned, held = apart(text, 0.2, is_running, order)
    assert held.sum() == 20 and not (learned & held).any() and (learned | held).all()
    if is_running:
        assert held[-20:].all(), "the end of a running text"
    assert not apart(text, 0.0, is_running, order)[1].any()
