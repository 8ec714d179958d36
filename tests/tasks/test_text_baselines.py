"""TF-IDF baselines: they are scikit-learn's pipelines, stay in time, and say what was cut."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from gipi.tasks import text_baselines
from gipi.tasks.text_baselines import fit_text_baselines, has_syllables

GOOD, BAD = ["good", "fine", "lovely", "superb"], ["bad", "dull", "awful", "poor"]
PLAIN = ["film", "story", "a", "the", "was", "plot", "end", "I"]


def reviews(count, seed=0):
    """Sentences of plain words with one or two that say it; 1 is good."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    texts = []
    for label in y:
        words = [*random.choice(PLAIN, 5), *random.choice(GOOD if label else BAD, random.integers(1, 3))]
        texts.append(" ".join(random.permutation(words)))
    return texts, y


def rows(texts):
    return [(text,) for text in texts]


def by_name(made):
    return {one.name: one for one in made}


def test_equal_to_the_pipelines_of_scikit_learn():
    texts, y = reviews(300)
    train, test = texts[:200], texts[200:]
    made = by_name(fit_text_baselines("classify", (rows(train), y[:200]), rows(test), 2, None))
    assert list(made) == ["majority", "tfidf_words", "tfidf_characters"]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    for name, vectorizer in (("tfidf_words", words), ("tfidf_characters", letters)):
        pipeline = make_pipeline(vectorizer, LogisticRegression(C=3.0, max_iter=300)).fit(train, y[:200])
        assert np.allclose(made[name].predictions, pipeline.predict_proba(test), atol=1e-9)
        assert (made[name].predictions.argmax(1) == y[200:]).mean() > 0.95
        assert made[name].rows == 200 and made[name].seconds_fit > 0
    assert made["tfidf_words"].settings == "1 or 2 words in a row; logistic regression, C 3"
    assert made["tfidf_characters"].settings.startswith("2 to 5 characters in a row; logistic regression")


def test_numbers_keep_their_units():
    texts, y = reviews(300)
    number = 1000.0 + 50 * y + np.random.default_rng(1).normal(0, 5, 300)
    made = by_name(fit_text_baselines("regress", (rows(texts[:200]), number[:200]), rows(texts[200:]), 1, None))
    assert list(made) == ["mean", "tfidf_words", "tfidf_characters"]
    assert np.allclose(made["mean"].predictions, number[:200].mean())
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    train = number[:200]
    pipeline = make_pipeline(words, Ridge(1.0)).fit(texts[:200], (train - train.mean()) / train.std())
    expected = pipeline.predict(texts[200:]) * train.std() + train.mean()
    assert np.allclose(made["tfidf_words"].predictions[:, 0], expected, atol=1e-6)
    error = np.abs(made["tfidf_words"].predictions[:, 0] - number[200:]).mean()
    assert error < np.abs(made["mean"].predictions[:, 0] - number[200:]).mean() / 2


def test_weights_count():
    texts, y = ["same words"] * 40, np.arange(40) % 2
    weight = np.where(y == 1, 3.0, 1.0)
    made = by_name(fit_text_baselines("classify", (rows(texts), y, weight), rows(texts[:1]), 2))
    for one in made.values():
        assert np.allclose(one.predictions[0, 1], 0.75, atol=0.02)


def test_pairs_see_what_two_texts_share():
    random = np.random.default_rng(0)
    vocabulary = [f"word{number}" for number in range(30)]
    texts, y = [], random.integers(0, 2, 400)
    for label in y:
        first = random.choice(vocabulary, 5, replace=False)
        other = first if label else random.choice(vocabulary, 5, replace=False)
        texts.append((" ".join(first), " ".join(random.permutation(other))))
    made = by_name(fit_text_baselines("classify", (texts[:300], y[:300]), texts[300:], 2))
    for name in text_baselines.NAMES:
        assert (made[name].predictions.argmax(1) == y[300:]).mean() > 0.9


def test_several_labels_one_of_them_never_seen():
    texts, y = reviews(120)
    labels = np.stack([y, 1 - y, np.zeros(120)], 1)
    made = by_name(fit_text_baselines("labels", (rows(texts[:100]), labels[:100]), rows(texts[100:]), 3))
    for name in text_baselines.NAMES:
        found = made[name].predictions
        assert found.shape == (20, 3) and np.all(found[:, 2] == 0)
        assert ((found[:, :2] > 0.5) == labels[100:, :2]).mean() > 0.9


def test_a_small_budget_takes_fewer_rows_and_says_so():
    texts, y = reviews(3000)
    texts = [" ".join([text] * 20) for text in texts]
    made = by_name(fit_text_baselines("classify", (rows(texts), y), rows(texts[:10]), 2, budget=0.5))
    one = made["tfidf_characters"]
    assert 20 <= one.rows < 3000
    assert f"fitted on {one.rows} of 3000 training rows" in one.settings


@pytest.mark.parametrize("texts", [["", "", "", ""], ["!", "?", "!", "?"], ["\x00", " ", "\n", "\x00"]])
def test_texts_without_words_cost_nobody_the_verdict(texts):
    made = fit_text_baselines("classify", (rows(texts), np.array([0, 1, 0, 1])), rows(texts), 2)
    assert made[0].predictions is not None
    for one in made[1:]:
        assert one.predictions is not None or one.settings.startswith("left out")


def test_one_class_is_left_out():
    made = fit_text_baselines("classify", (rows(["a b", "c d"]), np.zeros(2)), rows(["a"]), 2)
    assert [one.predictions is None for one in made] == [False, True, True]


def test_syllables_are_told_from_letters():
    assert has_syllables(["이 영화 정말 좋아요", "great 영화였다"]) and has_syllables(["この映画は良い", "电影"])
    assert not has_syllables(["a fine film", "фильм", "", "1234 !"])
