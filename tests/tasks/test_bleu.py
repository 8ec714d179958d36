"""BLEU and chrF are sacreBLEU's to the last digit, and their intervals what its bootstrap finds."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.tasks import bleu

sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu, the judge, is not installed")

SENTENCES = """A man in an orange hat starring at something.
A Boston Terrier is running on lush green grass in front of a white fence.
A girl in karate uniform breaking a stick with a front kick.
Five people wearing winter jackets and helmets stand in the snow, with snowmobiles in the background.
People are fixing the roof of a house.
Two men pretend to be statues while women look on; it costs $3.50, or 1,000 won -- "cheap"!
A 5-year-old's dog & cat (both wet) sit at 10:30 a.m.
한 남자가 산을 오르고 있다.""".splitlines()


def worse(text, draw):
    """A text as a machine might have it: words lost, moved, repeated."""
    words = text.split()
    for _change in range(draw.randrange(4)):
        place = draw.randrange(len(words))
        words.insert(draw.randrange(len(words)), words.pop(place) if draw.random() < 0.5 else words[place])
        if len(words) > 3 and draw.random() < 0.3:
            words.pop()
    return " ".join(words)


def both(said, wanted):
    return sacrebleu.corpus_bleu(said, [wanted]).score, sacrebleu.corpus_chrf(said, [wanted]).score


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_sacrebleus(seed):
    draw = random.Random(seed)
    wanted = draw.choices(SENTENCES, k=draw.randrange(1, 12))
    said = [worse(text, draw) for text in wanted]
    found = bleu.figures(said, wanted, intervals=False)
    assert (found["bleu"], found["chrf"]) == pytest.approx(both(said, wanted), abs=1e-9)


texts = st.text(st.sampled_from("ab .,-'\"&;<>ltampquo012 \n\t\x0b\u00a0(){}[]`~^한국ée…—\U0001f600\x00"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(texts | st.text(max_size=20), texts, st.booleans()), min_size=1, max_size=3))
def test_whatever_the_letters_are(rows):
    said = [ours for ours, _other, _same in rows]
    wanted = [f"{ours} {other}" if same else other for ours, other, same in rows]
    found = bleu.figures(said, wanted, intervals=False)
    assert (found["bleu"], found["chrf"]) == pytest.approx(both(said, wanted), abs=1e-9)


def test_words_are_those_of_13a():
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    for text in (*SENTENCES, "<skipped> a-\nb &quot;c&quot; &amp;lt; 3.5- 1,2. 7-8 $a_b [c]"):
        assert bleu.words_of(text) == Tokenizer13a()(text.rstrip()).split()


def test_nothing_said_is_nothing():
    found = bleu.figures(["", ""], ["A dog.", "A cat."])
    assert found["bleu"] == 0 and found["chrf"] == 0
    assert bleu.figures(["A dog runs far."], ["A dog runs far."])["bleu"] == pytest.approx(100)


def test_intervals_are_those_of_sacrebleus_bootstrap():
    draw = random.Random(0)
    wanted = [f"{worse(draw.choice(SENTENCES), draw)} {draw.randrange(100)}" for _row in range(300)]
    said = [worse(text, draw) for text in wanted]
    found = bleu.figures(said, wanted)["bleu"]
    theirs = sacrebleu.BLEU().corpus_score(said, [wanted], n_bootstrap=1000)
    assert found.low < found < found.high
    assert (found.high - found.low) / 2 == pytest.approx(theirs._ci, rel=0.15)


def test_many_resamples_at_once_are_each_a_corpus():
    draw = random.Random(1)
    said = [worse(text, draw) for text in SENTENCES]
    for count, score in ((bleu.bleu_counts, bleu.bleu), (bleu.chrf_counts, bleu.chrf)):
        counts = bleu.counts_of(said, SENTENCES, count)
        drawn = np.random.default_rng(0).integers(0, 3, (20, len(SENTENCES)))
        together = score(drawn @ counts)
        for row, number in zip(drawn, together, strict=True):
            ours = [text for text, times in zip(said, row, strict=True) for _time in range(times)]
            theirs = [text for text, times in zip(SENTENCES, row, strict=True) for _time in range(times)]
            assert number == pytest.approx(both(ours, theirs)[count is bleu.chrf_counts], abs=1e-9)
