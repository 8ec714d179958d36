"""Figures of word vectors against SciPy and gensim; answers; files that are none."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from gipi.data.schema import Field, Schema, Sizes
from gipi.errors import DataError, UsageError
from gipi.release.model import Model
from gipi.systems import word2vec
from gipi.tasks import relate
from gipi.tasks.word_counts import counted_vectors, near_each_other, ppmi

WORDS = ["the", "king", "queen", "man", "woman", "river"]


def model(words=WORDS, size: int = 8, seed: int = 0) -> Model:
    import torch

    torch.manual_seed(seed)
    schema = Schema((Field("word", "text", (1,), values=tuple(words)),))
    sizes = Sizes((1,), 0, vocabulary=len(words))
    net = word2vec.Net(sizes, word2vec.Config(dimension=size))
    return Model("relate", "word2vec", schema, sizes, {}, [net])


# --- figures -----------------------------------------------------------------------------------------------------


def test_spearman_is_scipys_with_ties():
    random = np.random.default_rng(0)
    for _turn in range(20):
        one, other = random.integers(0, 6, 30), random.normal(size=30).round(1)
        assert relate.spearman(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


def test_interval_of_spearman_covers_the_truth():
    """Of normal pairs with r = 0.6: Spearman's is 6 / pi arcsin(r / 2)."""
    truth, hits = 6 / np.pi * np.arcsin(0.3), 0
    for seed in range(30):
        a, b = np.random.default_rng(seed).normal(size=(2, 120))
        found = relate.spearman(a, 0.6 * a + 0.8 * b, seed)
        hits += found.low <= truth <= found.high
    assert hits >= 24, "about 95 % of 30"


def of_gensim(space):
    keyed = pytest.importorskip("gensim.models").KeyedVectors(space.vectors.shape[1])
    keyed.add_vectors(space.words, space.vectors)
    return keyed


def near_truth(path, columns: slice, seed: int = 0):
    """Vectors of the words of a file in which the right answers are often found, and some words missing."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#:"]
    rows = [line.split("\t" if "\t" in line else None)[columns] for line in lines]
    words = sorted({word.lower() for row in rows for word in row})
    random = np.random.default_rng(seed)
    known = [words[place] for place in sorted(random.permutation(len(words))[: int(0.9 * len(words))])]
    vectors = dict(zip(known, random.normal(size=(len(known), 20)), strict=True))
    if columns.stop == 4:
        for a, b, c, d in ([word.lower() for word in row] for row in rows[::3]):
            if {a, b, c, d} <= vectors.keys():
                vectors[d] = vectors[b] - vectors[a] + vectors[c]
    return relate.Space(known, np.stack([vectors[word] for word in known]))


def test_word_pairs_are_counted_as_gensim_counts_them(shared_data):
    path = shared_data / "wordsim353" / "wordsim353.tsv"
    space = near_truth(path, slice(0, 2))
    found = relate.scored(space, path)
    _pearson, theirs, unknown = of_gensim(space).evaluate_word_pairs(str(path))
    assert found["wordsim"] == pytest.approx(theirs[0], abs=1e-6)
    assert found["wordsim_known"] == pytest.approx(1 - unknown / 100, abs=1e-9)
    assert found["wordsim"].low < found["wordsim"] < found["wordsim"].high


def test_analogies_are_counted_as_gensim_counts_them(shared_data, tmp_path):
    whole = (shared_data / "google_analogies" / "questions-words.txt").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "questions.txt"
    path.write_text(
        "\n".join([": some", *[line for line in whole if not line.startswith(":")][::12]]), encoding="utf-8"
    )
    space = near_truth(path, slice(0, 4))
    found = relate.scored(space, path)
    score, sections = of_gensim(space).evaluate_word_analogies(str(path))
    right, wrong = (sum(len(one[name]) for one in sections[:-1]) for name in ("correct", "incorrect"))
    assert found["analogies"] == pytest.approx(score, abs=1e-12) and 0.1 < score < 0.9
    assert found["analogies_known"] == pytest.approx((right + wrong) / len(whole[::12]), abs=0.02)


def test_nearer_is_a_half_by_chance_and_in_ties():
    unit = relate.Space(["a", "b"], np.array([[1.0, 0], [0.9, 0.1]])).unit
    assert relate.nearer(unit, np.array([[0, 0, 1], [0, 1, 0], [0, 1, 1]])).tolist() == [1, 0, 0.5]


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a b\n", "two words and a number"),
        ("", "two words and a number"),
        ("king\tqueen\t7\nman\twoman\n", "line 2: 2 parts, 3 expected"),
        ("king\tqueen\t7\nman\twoman\tmuch\n", "line 2: 'much' is no number"),
        ("nobody\tnothing\t1\nking\tqueen\t2\n", "of 2 pairs of words 1 are known"),
        ("oslo norway paris france\n", "of 1 questions none"),
    ],
)
def test_files_that_cannot_be_used(text, says, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises((DataError, UsageError), match=says):
        relate.score_source(model(), path)
    with pytest.raises(DataError, match="cannot read"):
        relate.score_source(model(), tmp_path / "nowhere.txt")


def test_titles_remarks_commas_and_rows_in_memory(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("# remark\nfirst,second,score\nking,Queen,7\nman,woman,6.5\nriver,the,1\n")
    found = model().evaluate(path)
    rows = [("king", "queen", 7), ("man", "woman", 6.5), ("river", "the", 1)]
    assert found == relate.score_source(model(), rows) and found["wordsim_known"] == 1


# --- answers -----------------------------------------------------------------------------------------------------


def test_near_words_sums_and_vectors():
    one = model()
    space = relate.space_of(one)
    (answer,) = one.predict("king")
    cosines = space.unit @ space.unit[1]
    assert [near["word"] for near in answer["near"]] == [WORDS[n] for n in np.argsort(-cosines) if n != 1]
    assert answer["near"][0]["cosine"] == pytest.approx(np.sort(cosines)[-2], abs=1e-6)
    (answer,) = one.predict("king - man + woman")
    target = space.unit[1] - space.unit[3] + space.unit[4]
    best = max({0, 2, 5}, key=lambda n: float(space.unit[n] @ target))
    assert answer["near"][0]["word"] == WORDS[best] and len(answer["near"]) == 3
    assert one.predict("king-man+woman")[0]["near"] == answer["near"]
    (answer,) = one.predict({"word": "King", "vector": True})
    np.testing.assert_allclose(answer["vector"], space.vectors[1], rtol=1e-6)
    assert [len(a["near"]) for a in one.predict([{"word": "king", "near": 2}, "man"])] == [2, 5]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("kinng", "the word 'kinng' is not among the 6 that are known. Did you mean 'king'"),
        ("king queen", "neither a word nor a sum"),
        ("king -", "neither a word nor a sum"),
        ("", "neither a word nor a sum"),
        ("\0", "is not among"),
        ({"words": "king"}, "was expected"),
        ({"word": None}, "was expected"),
        ({"word": "king", "near": 0}, "from 1 to 1000"),
        ({"word": "king", "close": 3}, "close came"),
    ],
)
def test_what_cannot_be_answered(row, says):
    with pytest.raises(DataError, match=says):
        model().predict(row)


# --- counted vectors ---------------------------------------------------------------------------------------------


def test_mutual_information_by_hand():
    """Equation 3 of Levy & Goldberg 2014, with contexts to the power 0.75 (Levy et al. 2015, section 3.1)."""
    words, lines = np.array([0, 1, 0, 2, 1, 1, 2, 0]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    pairs = near_each_other(words, lines, 2, 3)
    counts = np.zeros((3, 3))
    for one in range(8):
        for other in range(8):
            if one != other and abs(one - other) <= 2 and lines[one] == lines[other]:
                counts[words[one], words[other]] += (3 - abs(one - other)) / 2
    np.testing.assert_allclose(pairs.toarray(), counts)
    context = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
    with np.errstate(divide="ignore"):
        expected = np.maximum(np.log(counts / (counts.sum(1, keepdims=True) * context)), 0)
    np.testing.assert_allclose(ppmi(pairs).toarray(), expected)


def test_counted_vectors_know_circles_of_words():
    random = np.random.default_rng(0)
    words = (random.integers(0, 8, (300, 10)) + 8 * random.integers(0, 2, (300, 1))).reshape(-1)
    lines = np.repeat(np.arange(300), 10)
    vectors, how = counted_vectors(words, lines, np.bincount(words), 3, 0, 4, 5.0)
    unit = relate.Space([str(n) for n in range(16)], vectors).unit
    near = (unit @ unit.T - 2 * np.eye(16)).argmax(1)
    assert (near // 8 == np.arange(16) // 8).all() and "4 singular vectors" in how
    assert "to stay in time" not in how
