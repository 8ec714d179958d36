"""Tokenizers: any text comes back as it was, the same texts give the same tokenizer, and a stranger's is looked at."""

import json
import os
import random
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gipi.data import learned_tokens, tokenizers
from gipi.data.learned_tokens import Learned
from gipi.data.tokenizers import BEGIN, END, KINDS, MASK, tokenizer_of, train
from gipi.errors import DataError, UsageError

LEARNED = ("bpe", "wordpiece", "unigram")
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat;",
    "don't",
    "ask",
    "why,",
    "she",
    "said:",
    "고양이가",
    "앉았다.",
    "나는",
    "밥을",
    "먹었다!",
    "naïve",
    "café",
    "東京タワー",
    "😀👍🏽",
    "£5",
]


def some_texts() -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=12)) + "\n" for _ in range(300)]


@pytest.fixture(scope="module")
def trained():
    if all_there():
        return {kind: train(some_texts(), kind, 700) for kind in KINDS}
    return {kind: train(some_texts(), kind, 700) for kind in KINDS if kind not in LEARNED}


def all_there() -> bool:
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        return False
    return True


needs_package = pytest.mark.skipif(not all_there(), reason="needs the package tokenizers: pip install 'gipi[text]'")
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)  # all of Unicode but lone surrogates
known_text = st.lists(st.sampled_from([*WORDS, " ", "\n", "  ", "\t", "#", "##", "'", "< end >", "\u3000", "\x1c"]))


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs_package if kind in LEARNED else ()) for kind in KINDS])
class TestEach:
    @settings(max_examples=150, deadline=None)
    @given(text=any_text | known_text.map("".join))
    def test_any_text_comes_back(self, kind, text, trained):
        tokenizer = trained[kind]
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 <= id < tokenizer.size for id in ids)
        assert not {BEGIN, END, MASK} & {*ids}
        assert [id for id, _start, _stop in tokenizer.pieces(text)] == ids

    @settings(max_examples=60, deadline=None)
    @given(texts=st.lists(any_text, max_size=5))
    def test_many_are_as_one_by_one(self, kind, texts, trained):
        tokenizer = trained[kind]
        assert tokenizer.encode_all(texts) == [tokenizer.encode(text) for text in texts]

    @settings(max_examples=60, deadline=None)
    @given(text=any_text | known_text.map(" ".join))
    def test_pieces_stand_where_they_say(self, kind, text, trained):
        tokenizer, covered, before = trained[kind], [False] * len(text), 0
        for id, start, stop in tokenizer.pieces(text):
            assert before <= start <= stop <= len(text) or start < stop <= before + 1
            before = max(before, start)
            said = tokenizer.table[id].decode(errors="ignore").strip()
            assert said in text[start:stop]
            covered[start:stop] = [True] * (stop - start)
        assert all(there or character.isspace() for character, there in zip(text, covered, strict=True))

    def test_same_texts_same_bytes(self, kind, trained):
        assert train(iter(some_texts()), kind, 700).to_json() == trained[kind].to_json()

    def test_kept_and_read_again(self, kind, trained):
        one = trained[kind]
        again = tokenizer_of(one.to_json())
        assert again.to_json() == one.to_json()
        assert again.encode("the 고양이 xyz") == one.encode("the 고양이 xyz")
        assert tokenizer_of(one.to_json()) is again
        assert again.size == one.size <= 700
        assert (again.begin, again.end, again.mask) == (0, 1, 2)

    def test_writes_characters_when_they_are_whole(self, kind, trained):
        tokenizer, text = trained[kind], "the 뷁😀 cat\n"
        writer = tokenizer.writer()
        said = [writer.write(id) for id in tokenizer.encode(text)]
        assert "".join(said) + writer.rest() == text
        assert "\ufffd" not in "".join(said)
        assert "" in said  # in the middle of a character that is spelled

    def test_writer_goes_on_after_a_prompt(self, kind, trained):
        tokenizer = trained[kind]
        prompt, more = tokenizer.encode("the cat"), tokenizer.encode(" sat on a")
        whole = tokenizer.encode("the cat sat on a")
        writer = tokenizer.writer(prompt)
        if whole == prompt + more:
            assert "".join(map(writer.write, more)) == " sat on a"
        else:  # words leave the blank out
            assert "".join(map(writer.write, whole[len(prompt) :])) == " sat on a"

    def test_an_unfinished_character_is_said_at_the_end(self, kind, trained):
        tokenizer = trained[kind]
        ids = [tokenizer.table.index(b"\xea"), tokenizer.table.index(b"\xb0")]
        assert tokenizer.decode(ids) == "\ufffd"
        assert tokenizer.decode([*ids, END, *tokenizer.encode("a")]) == "\ufffda"

    def test_special_ids_say_nothing(self, kind, trained):
        tokenizer = trained[kind]
        ids = tokenizer.encode("the cat")
        assert tokenizer.decode([BEGIN, *ids, END, MASK, -1, -1]) == "the cat"
        assert [tokenizer.shown(id) for id in (BEGIN, END, MASK)] == ["<begin>", "<end>", "<mask>"]
        assert tokenizer.shown(tokenizer.table.index(b"\xff")) == "<FF>"

    def test_no_text_is_taken_for_a_special_token(self, kind, trained):
        for text in ("<end>", "< end >", "<begin><mask>", "[MASK] </s> <|endoftext|>", "## a##b", "\u0120the"):
            assert trained[kind].decode(trained[kind].encode(text)) == text

    def test_lone_surrogates_are_replaced(self, kind, trained):
        assert trained[kind].decode(trained[kind].encode("a\ud800b\udfff")) == "a\ufffdb\ufffd"
        assert len(trained[kind].pieces("\udc80")) >= 1

    def test_empty_and_one_symbol(self, kind, trained):
        assert trained[kind].encode("") == [] == trained[kind].pieces("")
        assert trained[kind].decode([]) == ""
        for texts in ([], [""], ["a"], ["aaaa aaaa"], ["가"], ["\0"], ["\n\n"]):
            tokenizer = train(texts, kind, 600)
            assert tokenizer.decode(tokenizer.encode("aaa 가\0")) == "aaa 가\0"

    def test_long_word_and_much_text(self, kind, trained):
        for text in ("a" * 100_000, "가" * 20_000, " " * 50_000, "a\n" * 50_000):
            assert trained[kind].decode(trained[kind].encode(text)) == text

    def test_vocabulary_too_small_or_too_large(self, kind):
        for size in (0, 100, 1 << 30):
            with pytest.raises(UsageError, match="vocabulary"):
                train(["a"], kind, size)


# --- what each is for --------------------------------------------------------------------------------------------


def test_frequent_characters_are_known_and_rare_ones_spelled():
    tokenizer = train(["가가가나나다"], "characters", 261)
    assert [tokenizer.shown(id) for id in tokenizer.encode("가나다a")] == ["가", "나", "<EB>", "<8B>", "<A4>", "a"]


def test_a_blank_between_words_takes_no_token():
    tokenizer = train(["the cat sat (the cat) on\nthe mat"], "words", 400)
    assert [tokenizer.shown(id) for id in tokenizer.encode("the cat sat")] == ["the", "cat", "sat"]
    assert [tokenizer.shown(id) for id in tokenizer.encode("(the")] == ["(", "<joined>", "the"]
    assert [tokenizer.shown(id) for id in tokenizer.encode("on\nthe  mat")] == ["on", "\n", "the", " ", " ", "mat"]
    assert tokenizer.pieces("the  cat")[0][1:] == (0, 3)


def test_words_keep_accents_and_apostrophes_together():
    tokenizer = train(["don't हिन्दी e\u0301te\u0301"], "words", 400)
    assert (
        len(tokenizer.encode("don't"))
        == len(tokenizer.encode("हिन्दी"))
        == len(tokenizer.encode("e\u0301te\u0301"))
        == 1
    )


@needs_package
@pytest.mark.parametrize("kind", LEARNED)
def test_learned_tokens_are_longer_than_bytes(kind, trained):
    text = "".join(some_texts())
    assert len(trained[kind].encode(text)) < len(text.encode()) / 3


@needs_package
def test_unigram_finds_the_syllables_that_a_language_is_made_of():
    """Words drawn from 30 syllables: the pieces are syllables and words of them, hardly ever a part across two."""
    draw = random.Random(1)
    syllables = sorted({a + b + c for a in "bdgk" for b in "aeiou" for c in "nrs"})[:30]
    texts = [" ".join("".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(20)) for _ in range(400)]
    tokenizer = train(texts, "unigram", 259 + 60)
    cuts = [len(tokenizer.encode(syllable + " ")) for syllable in syllables]
    assert sum(cuts) / len(cuts) < 2.2  # the syllable and the blank


@needs_package
def test_unigram_is_as_short_as_the_package_trains_it():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    draw = random.Random(2)
    stems = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 5))) for _ in range(150)]
    ends = ["ing", "ed", "s", "er", "tion", ""]
    texts = [" ".join(draw.choice(stems) + draw.choice(ends) for _ in range(30)) for _ in range(200)]
    theirs = Tokenizer(models.Unigram())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=500, initial_alphabet=letters, show_progress=False)
    )
    ours = train(texts, "unigram", 503)
    length = sum(map(len, ours.encode_all(texts)))
    assert length <= 1.03 * sum(len(theirs.encode(text).ids) for text in texts)


def test_unknown_kind():
    with pytest.raises(UsageError, match="bpe"):
        train(["a"], "bep", 300)


def test_of_very_much_text_a_part_is_learned_from(monkeypatch):
    read = []

    class Many(list):
        def __getitem__(self, place):
            read.append(place)
            return super().__getitem__(place)

    monkeypatch.setattr(tokenizers, "MOST_LEARNED", 20_000)
    texts = Many([f"{'ab'[number % 2]}x{number % 7} " * 10 for number in range(1000)])
    assert tokenizers.train(texts, "words", 300).to_json() == tokenizers.train(texts[::2], "words", 300).to_json()
    assert len(read) < 1000


# --- what strangers wrote ----------------------------------------------------------------------------------------


def changed(kind: str, trained, **own) -> str:
    said = json.loads(trained[kind].to_json())
    return json.dumps({**said, **own})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"gipi tokenizer": 2, "kind": "words"}',
        '{"gipi tokenizer": 1, "kind": "pickle"}',
    ],
    ids=["empty", "cut", "list", "null", "deep", "another format", "another kind"],
)
def test_damaged_json_is_refused(text):
    with pytest.raises(DataError, match="damaged"):
        tokenizer_of(text)


def test_brackets_that_would_fill_the_memory_are_refused():
    with pytest.raises(DataError, match="too many"):
        tokenizer_of('{"gipi tokenizer": 1, "kind": "words", "words": [' + "[]," * 1_000_000 + "[]]}")


def test_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(tokenizers, "LARGEST", 100)
    with pytest.raises(DataError, match="too large"):
        tokenizer_of(" " * 101)


@pytest.mark.parametrize(
    "own",
    [
        {"words": "abc"},
        {"words": [1]},
        {"words": [""]},
        {"words": ["a", "a"]},
        {"words": ["a"], "marks": ["a"]},
        {"words": ["\ud800"]},
        {"words": ["a" * 5000]},
        {"words": None},
    ],
)
def test_damaged_words_are_refused(own, trained):
    with pytest.raises(DataError, match="damaged"):
        tokenizer_of(changed("words", trained, **own))


@needs_package
@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("bpe", {"tokens": []}),
        ("bpe", {"tokens": ["a", "b"]}),
        ("bpe", {"tokens": {"a": 4_000_000_000}}),
        ("bpe", {"merges": [0, 5_000_000_000]}),
        ("bpe", {"merges": [3, 3]}),
        ("bpe", {"merges": ["a", "b"]}),
        ("bpe", {"merges": None}),
        ("bpe", {"merges": [True, 3]}),
        ("bpe", {"merges": [3]}),
        ("bpe", {"special": [10**9]}),
        ("bpe", {"begin": -1}),
        ("bpe", {"mask": "2"}),
        ("bpe", {"cut": "(a+)+$"}),
        ("bpe", {"cut": "bert", "normal": {}}),
        ("bpe", {"blank_first": 1}),
        ("wordpiece", {"prefix": ""}),
        ("wordpiece", {"prefix": "#" * 1000}),
        ("wordpiece", {"unknown": 10**9}),
        ("unigram", {"scores": []}),
        ("unigram", {"scores": "many"}),
    ],
)
def test_damaged_learned_ones_are_refused(kind, own, trained):
    with pytest.raises(DataError, match="damaged"):
        tokenizer_of(changed(kind, trained, **own))


@needs_package
@pytest.mark.parametrize("score", ["NaN", "Infinity", "1e999", "true", '"a"', "1e7"])
def test_scores_that_are_no_numbers_are_refused(score, trained):
    said = json.loads(trained["unigram"].to_json())
    text = json.dumps({**said, "scores": ["@", *said["scores"][1:]]}).replace('"@"', score, 1)
    with pytest.raises(DataError, match="damaged"):
        tokenizer_of(text)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"pip install 'gipi\[text\]'"):
        train(["a"], "bpe", 300)
    assert train(["a"], "words", 300).decode([100]) == "a"


@needs_package
@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 10**6))
def test_json_changed_at_random_is_refused_or_works(kind, seed, trained):
    text, draw = trained[kind].to_json(), random.Random(seed)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice('0123456789",[]{}:-e\\ua#Ġ ') + text[place + draw.randint(0, 2) :]
    try:
        tokenizer = tokenizer_of(text)
    except DataError:
        return
    ids = tokenizer.encode("the 고양이 #! \n")
    assert all(0 <= id < tokenizer.size for id in ids)
    tokenizer.decode(ids)


DIGESTS = """
import hashlib, random, sys
from gipi.data.tokenizers import KINDS, train
draw = random.Random(5)
words = ["".join(draw.choices("abcdeé가나", k=draw.randint(1, 6))) for _ in range(200)]
texts = [" ".join(draw.choices(words, k=20)) for _ in range(300)]  # with many ties
for kind in KINDS:
    print(hashlib.sha256(train(texts, kind, 600).to_json().encode()).hexdigest())
"""


@needs_package
def test_other_processes_and_threads_give_the_same_bytes():
    said = []
    for seed, parallel, threads in (("1", "false", "1"), ("2", "true", "2")):
        own = {"PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel, "OMP_NUM_THREADS": threads}
        run = [sys.executable, "-c", DIGESTS]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, env={**os.environ, **own})
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split())
    assert said[0] == said[1] and len(set(said[0])) == len(KINDS)


@needs_package
@pytest.mark.parametrize("kind", LEARNED)
def test_what_was_cut_before_is_not_cut_again(kind, trained):
    """Fluent text repeats its words: with them remembered it is several times as fast as the package alone."""
    texts = ["".join(some_texts() * 20)] * 2
    tokenizer = tokenizer_of(trained[kind].to_json())
    assert isinstance(tokenizer, Learned)
    tokenizer.encode_all(texts)
    began = time.process_time()  # of all threads: another process has no say
    ours = tokenizer.encode_all(texts)
    between = time.process_time()
    theirs = [found.ids for found in tokenizer._inner.encode_batch_fast(texts, add_special_tokens=False)]
    after = time.process_time()
    assert ours == theirs
    assert 2 * (between - began) < after - between


def test_threads_may_share_a_tokenizer(trained, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(learned_tokens, "REMEMBERED", 200)  # it forgets all the time
    for tokenizer in trained.values():
        fresh = tokenizer_of(tokenizer.to_json())
        texts = [f"the cat {number} sat on {number * 7} 고양이" for number in range(200)]
        with ThreadPoolExecutor(8) as pool:
            assert all(
                fresh.decode(ids) == text for text, ids in zip(texts, pool.map(fresh.encode, texts), strict=True)
            )
