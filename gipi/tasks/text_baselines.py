"""What classical models reach on the same texts: TF-IDF of words and of characters with a linear model on top.

Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988. They are scikit-learn's own pipelines
and hard to beat on a few thousand texts, so every text run fits both: words and pairs of words, and runs of characters
inside words, which in a language that glues its endings on (Korean) see what is the same in two forms of one word.
Costs are foretold as in baselines.py: the same data gives the same baselines on any machine.

n texts, m texts to predict, V words or runs of characters, K classes, labels or numbers
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gipi.messages import _
from gipi.tasks.baselines import PATIENCE, Array, Baseline, Fitted, Kind, Rows, classifiers, constant, fitted

NAMES = ("tfidf_words", "tfidf_characters")
SHARES = {"tfidf_words": 0.3, "tfidf_characters": 0.7}  # of the budget
WORDS = (1, 2)  # words in a row
SYLLABLES, LETTERS = (1, 4), (2, 5)  # characters in a row: where one is a syllable or a word, and where one is a letter
INVERSE_PENALTY = 3.0  # C; on nsmc_sample and sentence_polarity never behind 1, and up to a point ahead
PENALTY = 1.0  # of ridge regression
STEPS = (30, 300)  # fewest and most of L-BFGS
# Seconds, measured on one core beside a busy one (scikit-learn 1.9) on the two sets above.
SECONDS_CHARACTER = {"tfidf_words": 1e-6, "tfidf_characters": 4e-6}  # for each character of a text
SECONDS_STEP = {"tfidf_words": 1.5e-8, "tfidf_characters": 8e-8}  # for each character, class and step of L-BFGS
Texts = Sequence[tuple[str, ...]]  # one text for each row, or the two of a pair


def fit_text_baselines(
    kind: Kind,
    train: tuple[Any, ...],
    test: Texts,
    outputs: int,
    budget: float | None = 20.0,
    seed: int = 0,
) -> list[Baseline]:
    """Fit every baseline on the training texts and predict the test texts.

    Args:
        kind: "classify" (y is class numbers), "labels" (0 or 1 for each label), "regress" (numbers, any units).
        train: `(texts, y)` or `(texts, y, weight)`.
        test: Texts as in `train`.
        outputs: How many classes there are.
        budget: Seconds for all of them; None: as long as it takes.
        seed: Of subsamples.

    Example:
        >>> made = fit_text_baselines("classify", ([("good",), ("bad",)] * 20, np.arange(40) % 2), [("good",)], 2)
        >>> [(one.name, one.predictions.argmax(1).tolist()) for one in made]
        [('majority', [0]), ('tfidf_words', [0]), ('tfidf_characters', [0])]
    """
    import sklearn.linear_model  # noqa: F401  # so that no baseline is charged for the import

    given, y, *others = train
    y = np.asarray(y)
    y = y.astype(np.int64) if kind == "classify" else y.reshape(len(y), -1).astype(np.float64)
    weight = np.asarray(others[0], np.float64) if others and others[0] is not None else None
    texts, asked = as_columns(given), as_columns(test)
    outputs = outputs if kind == "classify" else y.shape[1]
    rows = Rows(kind, texts, np.zeros((len(texts), 0)), y, weight, outputs, (), seed)
    start = time.perf_counter()
    made = [fitted("majority" if kind == "classify" else "mean", constant, rows, asked, None, None)]
    for name in NAMES:
        limit = None if budget is None else budget * SHARES[name]
        if kind == "classify" and len(np.unique(y)) < 2:
            made.append(Baseline(name, None, settings=_("left out: the training rows hold one class only")))
        elif budget and time.perf_counter() - start > max(1.5 * budget, PATIENCE):
            made.append(Baseline(name, None, settings=_("left out: {seconds} s were used up", seconds=round(budget))))
        else:
            made.append(fitted(name, partial(linear, name), rows, asked, None, limit))
    return made


def as_columns(texts: Texts) -> Array:
    """`(n, columns)` strings."""
    return np.array([[*row] for row in texts], object).reshape(len(texts), -1)


def linear(name: str, rows: Rows, limit: float | None, to_predict: int) -> Fitted:
    """TF-IDF, then logistic regression for classes and labels, ridge regression for numbers."""
    from sklearn.linear_model import Ridge

    length = max(1.0, sum(len(text) for row in rows.x for text in row) / len(rows))  # characters of a row
    times = rows.outputs if rows.outputs > 2 or rows.kind == "labels" else 1
    step = SECONDS_STEP[name] * length * (times if rows.kind != "regress" else 0)
    read = SECONDS_CHARACTER[name] * length
    spare = np.inf if limit is None else limit / len(rows) - read * (1 + to_predict / len(rows))
    steps = STEPS[1] if limit is None or not step else int(np.clip(spare / step, *STEPS))
    used = rows if limit is None else rows.some((limit - read * to_predict) / (read + step * steps))
    features, z, said = features_of(name, used.x)
    used = replace(used, z=z)
    if rows.kind == "regress":
        center, scale = used.y.mean(0), np.where(np.ptp(used.y, axis=0) > 0, used.y.std(0), 1)
        ridge = Ridge(PENALTY).fit(used.z, (used.y - center) / scale, used.weight)
        settings = f"{said}; " + _("ridge regression, penalty {penalty}", penalty=f"{PENALTY:g}")
        return lambda x, z: ridge.predict(features(x)).reshape(len(x), -1) * scale + center, settings, len(used)

    def one(y: Array) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=INVERSE_PENALTY, max_iter=steps).fit(used.z, y, used.weight)

    models, predict = classifiers(used, one)
    settings = f"{said}; " + _("logistic regression, C {strength}", strength=f"{INVERSE_PENALTY:g}")
    if any(model.n_iter_.max() >= steps for model in models):
        settings += "; " + _("stopped before convergence after {steps} steps", steps=steps)
    return lambda x, z: predict(features(x)), settings, len(used)


def features_of(name: str, texts: Array) -> tuple[Callable[[Array], Any], Any, str]:
    """What makes the features `(n, V)` of texts, learned from these; those of these; and what it is called.

    Of a pair: both texts' own, what they have in common (the product), what they differ in, and their cosine.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    if name == "tfidf_words":
        counted = TfidfVectorizer(ngram_range=WORDS, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        said = _("1 or {most} words in a row", most=WORDS[1])
    else:
        least, most = SYLLABLES if has_syllables(texts[:1000].ravel().tolist()) else LETTERS
        counted = TfidfVectorizer(analyzer="char_wb", ngram_range=(least, most), sublinear_tf=True)
        said = _("{least} to {most} characters in a row", least=least, most=most)
    if texts.shape[1] == 1:
        z = counted.fit_transform(texts[:, 0])
        return lambda texts: counted.transform(texts[:, 0]), z, said
    counted.fit(texts.ravel())

    def features(texts: Array) -> Any:
        a: Any = counted.transform(texts[:, 0])
        b: Any = counted.transform(texts[:, 1])
        both = a.multiply(b).tocsr()
        return sparse.hstack([a, b, both, abs(a - b), sparse.csr_matrix(both.sum(1))], format="csr")

    return features, features(texts), said


def has_syllables(texts: Sequence[str]) -> bool:
    """Whether a third of the letters or more are syllables or words by themselves: Hangul, kana, Han, Thai, ..."""
    letters = [letter for text in texts for letter in text[:200] if letter.isalpha()]
    whole = sum("ᄀ" <= letter <= "ᇿ" or "぀" <= letter <= "퟿" or letter >= "\U00020000" for letter in letters)
    return 3 * whole >= len(letters) > 0
