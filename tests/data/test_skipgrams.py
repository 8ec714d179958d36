"""Batches for word2vec: what is drawn is drawn as often as it should be, and everything is a function of the place."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from gipi.data.skipgrams import (
    SPAN,
    Skipgrams,
    evenly_drawn,
    held_out_pairs,
    keeping,
    noise_shares,
    update_size,
)

WINDOW = 3


def text(words: int = 6000, known: int = 40, line: int = 17, seed: int = 0):
    """Numbers, lines and counts of a text in which some words are far more frequent than others."""
    shares = 1 / np.arange(1, known + 1)
    found = np.random.default_rng(seed).choice(known, words, p=shares / shares.sum()).astype(np.int32)
    return found, (np.arange(words) // line).astype(np.int32), np.bincount(found, minlength=known)


def stream(sample: float = 0.0, batch_size: int = 700, update: int = 64, seed: int = 0, **own) -> Skipgrams:
    return Skipgrams(*text(**own), batch_size, WINDOW, sample, update, seed)


def centres(batch):
    """Number, left and right of each word that is there, in order."""
    texts, reach, _noise = batch
    own = texts[:, WINDOW : WINDOW + reach.shape[1]].flatten()
    return own, reach.flatten() // (WINDOW + 1), reach.flatten() % (WINDOW + 1)


def test_an_epoch_has_each_word_once_with_its_neighbours():
    words, lines, _counts = text()
    made = stream()
    pairs: Counter = Counter()
    for number in range(made.batches):
        texts, reach, _noise = made.piece(0, number)
        for text_of, row in zip(texts.tolist(), reach.tolist(), strict=True):
            for place, code in enumerate(row):
                left, right = divmod(code, WINDOW + 1)
                middle = WINDOW + place
                pairs.update((text_of[middle], other) for other in text_of[middle - left : middle])
                pairs.update((text_of[middle], other) for other in text_of[middle + 1 : middle + 1 + right])
    wanted: Counter = Counter()
    for number in range(made.batches):  # the same draws, by the text itself
        low, high = made.cuts[number], made.cuts[number + 1]
        left, right = (part[: high - low].numpy() for part in centres(made.piece(0, number))[1:])
        for place in range(low, high):
            for other in range(place - left[place - low], place + right[place - low] + 1):
                if other != place:
                    assert lines[other] == lines[place], "a neighbour of another line"
                    wanted[words[place], words[other]] += 1
    assert pairs == wanted


def test_how_far_a_word_looks_is_uniform():
    made = Skipgrams(*text(60_000, line=10**9), 60_000, WINDOW, 0.0, 512, 0)
    _own, left, right = centres(made.piece(0, 0))
    inside = slice(WINDOW, 60_000 - WINDOW)
    assert torch.equal(left[inside], right[inside])
    seen = left[inside].bincount(minlength=WINDOW + 1)
    assert seen[0] == 0 and chisquare(seen[1:].numpy()).pvalue > 1e-3


def test_frequent_words_are_left_out_as_often_as_they_should_be():
    words, lines, counts = text(200_000, line=10**9)
    made = Skipgrams(words, lines, counts, 200_000, WINDOW, 1e-2, 512, 0)
    own, left, right = centres(made.piece(0, 0))
    kept = own[(left + right) > 0].bincount(minlength=len(counts)).numpy()
    expected = counts * keeping(counts, 1e-2)
    spread = np.sqrt(np.maximum(expected * (1 - keeping(counts, 1e-2)), 1))
    assert np.abs((kept - expected) / spread).max() < 4.5
    assert keeping(counts, 1e-2)[0] < 0.5 and keeping(counts, 0).min() == 1


def test_what_stays_is_as_in_the_authors_program():
    """word2vec.c, line 396: (sqrt(cn / (sample * train_words)) + 1) * (sample * train_words) / cn."""
    counts, sample = np.array([500, 300, 150, 50]), 0.05
    threshold = sample * counts.sum()
    expected = np.minimum(1, (np.sqrt(counts / threshold) + 1) * threshold / counts)
    np.testing.assert_allclose(keeping(counts, sample), expected)


def test_noise_is_drawn_by_frequency_to_the_three_quarters():
    counts = np.array([1000, 100, 10, 1])
    shares = noise_shares(counts)
    np.testing.assert_allclose(shares, counts**0.75 / (counts**0.75).sum())
    until = np.cumsum(shares)
    drawn = [evenly_drawn(until, (7,), torch.Generator().manual_seed(seed)) for seed in range(4000)]
    each = torch.stack(drawn)
    for place in range(7):  # at every place alike
        assert chisquare(each[:, place].bincount(minlength=4).numpy(), 4000 * shares).pvalue > 1e-4
    often = (each == 0).sum(1)
    assert set(often.tolist()) <= {int(7 * shares[0]), int(7 * shares[0]) + 1}, "as often as it should be, but for one"


def test_batches_are_a_function_of_seed_and_place():
    one, other = stream(1e-2), stream(1e-2)
    seen = [next(one) for _step in range(2 * one.batches)]
    other.load_state_dict({"position": one.batches + 2})
    assert all(torch.equal(a, b) for a, b in zip(next(other), seen[one.batches + 2], strict=True))
    assert one.state_dict() == {"position": 2 * one.batches}
    assert not torch.equal(next(stream(1e-2, seed=1))[0], next(stream(1e-2))[0])


def test_threads_that_work_ahead_change_nothing():
    words, lines, counts = text()
    alone = Skipgrams(words, lines, counts, 700, WINDOW, 1e-2, 64, 0)
    helped = Skipgrams(words, lines, counts, 700, WINDOW, 1e-2, 64, 0, workers=2)
    for _step in range(2 * alone.batches + 3):
        assert all(torch.equal(a, b) for a, b in zip(next(alone), next(helped), strict=True))


@pytest.mark.parametrize("words", [1, 2, SPAN, SPAN + 1])
def test_short_texts(words):
    texts, reach, noise = next(stream(words=words, known=3, batch_size=5000))
    assert len(texts) == len(reach) == len(noise) and int((reach > 0).sum()) <= words
    assert reach.shape[1] == noise.shape[1] * SPAN == texts.shape[1] - 2 * WINDOW


def test_few_words_move_together_where_one_is_everywhere():
    assert update_size(np.full(10_000, 50), 0, 5, 0.025) == 512
    assert 1 <= update_size(np.array([1000, 1000]), 0, 5, 0.025) < 16
    assert update_size(np.array([1000, 1000]), 0, 5, 10.0) == 1


def test_neighbours_held_out_are_neighbours_and_as_frequent_as_the_others():
    words, lines, counts = text(50_000)
    pairs = held_out_pairs(words, lines, counts, WINDOW, 0.0, 10_000, 0)
    near = set()
    for apart in range(1, WINDOW + 1):
        together = lines[apart:] == lines[:-apart]
        one, other = words[:-apart][together], words[apart:][together]
        near |= {*zip(one.tolist(), other.tolist(), strict=True), *zip(other.tolist(), one.tolist(), strict=True)}
    assert len(pairs) == 10_000 and all((one, other) in near for one, other, _third in pairs.tolist())
    assert (pairs[:, 0] != pairs[:, 1]).all()
    share = np.bincount(pairs[:, 2], minlength=len(counts)) / len(pairs)
    np.testing.assert_allclose(share, counts / counts.sum(), atol=0.02)
    assert held_out_pairs(words[:1], lines[:1], counts, WINDOW, 0.0, 10, 0).shape == (0, 3)
