"""Stretches that are found and those that are there: figures by another way of counting, and tags that make sense."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gipi.data.tags import Sentence, Span
from gipi.tasks import spans
from gipi.tasks.tag import looks

LABELS = ["A", "B"]
TEXT = "abcdefghij"
TOKENS = tuple((place, place + 1) for place in range(10))


def drawn(seed: int, sentences: int = 80):
    """Sentences with stretches, and what somebody says of them."""
    draw = np.random.default_rng(seed)

    def some() -> tuple[Span, ...]:
        found, place = [], 0
        while (start := place + int(draw.integers(0, 4))) < 9:
            place = min(10, start + int(draw.integers(1, 4)))
            found.append(Span(start, place, LABELS[draw.integers(2)]))
        return tuple(found)

    truth = [Sentence(TEXT, TOKENS, some()) for _number in range(sentences)]
    said = [[span for span in one.spans if draw.random() < 0.6] or [*some()] for one in truth]
    return truth, said


def test_figures_are_those_of_another_count():
    """Sets of (sentence, start, stop, label) by hand, and scikit-learn's on the tags of single tokens."""
    from sklearn.metrics import accuracy_score, f1_score

    truth, said = drawn(0)
    counts = np.array([spans.counted(one, found, LABELS) for one, found in zip(truth, said, strict=True)])
    found = spans.metrics(counts)
    true_set = {(row, *span) for row, one in enumerate(truth) for span in one.spans}
    said_set = {(row, *span) for row, one in enumerate(said) for span in one}
    assert float(found["precision"]) == pytest.approx(len(true_set & said_set) / len(said_set))
    assert float(found["recall"]) == pytest.approx(len(true_set & said_set) / len(true_set))
    each = sorted(true_set | said_set)
    there, claimed = [one in true_set for one in each], [one in said_set for one in each]
    assert float(found["f1"]) == pytest.approx(f1_score(there, claimed))

    def tags(some) -> list[str]:
        row = ["O"] * 10
        for start, stop, label in some:
            row[start:stop] = [f"B-{label}"] + [f"I-{label}"] * (stop - start - 1)
        return row

    flat = [[tag for one in every for tag in tags(one)] for every in ([one.spans for one in truth], said)]
    assert float(found["token_accuracy"]) == pytest.approx(accuracy_score(*flat))
    for figure in found.values():
        assert figure.low is not None and figure.high is not None and figure.low < float(figure) < figure.high
    table = spans.by_label(truth, said, LABELS)
    assert sum(row[3] for row in table.values()) == len(true_set)


def test_intervals_hold_what_other_sentences_give():
    """Of 60 samples of sentences about 95 % of the intervals hold the figure of very many."""
    truth, said = drawn(1, 6000)
    counts = np.array([spans.counted(one, found, LABELS) for one, found in zip(truth, said, strict=True)])
    all_of_them = float(spans.f1_of(counts.sum(0)))
    figures = [spans.metrics(counts[start : start + 100])["f1"] for start in range(0, 6000, 100)]
    inside = sum((one.low or 0.0) <= all_of_them <= (one.high or 0.0) for one in figures)
    assert 50 <= inside <= 60


def test_nothing_said_and_nothing_there():
    nothing = np.array([spans.counted(Sentence(TEXT, TOKENS, ()), [], LABELS)] * 3)
    assert {name: float(one) for name, one in spans.metrics(nothing).items()} == {
        "f1": 0.0,
        "precision": 0.0,
        "recall": 0.0,
        "token_accuracy": 1.0,
    }


@given(st.lists(st.lists(st.floats(0.01, 1.0), min_size=5, max_size=5), min_size=1, max_size=4))
def test_best_path_is_the_best_of_all_that_make_sense(rows):
    scores = np.log(np.array(rows))

    def makes_sense(tags) -> bool:
        return all(
            tag == 0 or tag % 2 or before in (tag, tag - 1) for before, tag in zip((0, *tags), tags, strict=False)
        )

    def worth(tags) -> float:
        return sum(scores[place, tag] for place, tag in enumerate(tags))

    every = [tags for tags in product(range(5), repeat=len(rows)) if makes_sense(tags)]
    found = spans.best_path(scores)
    assert makes_sense(found) and worth(found) == pytest.approx(max(map(worth, every)))


@given(st.integers(0, 200), st.integers(1, 40))
def test_each_token_is_judged_once_where_it_is_seen(count, room):
    judged = []
    for start, stop, first, behind in looks(count, room):
        assert 0 <= start <= first <= behind <= stop <= count and stop - start <= room
        judged += range(first, behind)
    assert judged == list(range(count))
