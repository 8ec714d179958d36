"""n-grams: probabilities that sum to one and are the papers'; losses of networks over a whole text."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from gipi.data.tokenizers import train as train_tokenizer
from gipi.tasks.language import verdict
from gipi.tasks.ngrams import guesses, losses_of_orders
from gipi.tasks.write import Guessed, bytes_of, guessed, metrics_of, pieces

TRAIN = np.random.default_rng(0).choice(5, 300, p=[0.4, 0.3, 0.2, 0.07, 0.03])


@pytest.mark.parametrize("seed", range(4))
def test_they_sum_to_one(seed):
    history = np.random.default_rng(seed).integers(0, 6, 7)  # token 5 was never seen
    each = [losses_of_orders(TRAIN, [np.append(history, token)], 6, 5) for token in range(6)]
    for order in range(5):
        assert sum(math.exp(-found[order][0][-1]) for found in each) == pytest.approx(1)


def test_kneser_ney_by_hand():
    """A bigram model written out: equation 25 of Chen & Goodman 1999 with one discount."""
    train = [0, 1, 0, 2, 0, 1, 1, 0, 3, 0, 1, 2, 2, 1, 0, 2, 3, 1, 2]
    test = [0, 1, 2, 3, 0, 4, 1]
    pairs = Counter(pairwise(train))
    once, twice = (sum(count == many for count in pairs.values()) for many in (1, 2))
    assert once and twice
    discount = once / (once + 2 * twice)
    ways = Counter(second for _first, second in pairs)  # different tokens before each
    own_once, own_twice = (sum(count == many for count in ways.values()) for many in (1, 2))
    own = own_once / (own_once + 2 * own_twice) if own_once and own_twice else 0.5

    def low(token: int) -> float:
        return max(ways[token] - own, 0) / len(pairs) + own * len(ways) / len(pairs) / 5

    def high(before: int, token: int) -> float:
        total = sum(count for (first, _second), count in pairs.items() if first == before)
        kinds = sum(first == before for first, _second in pairs)
        if not total:
            return low(token)
        return max(pairs[before, token] - discount, 0) / total + discount * kinds / total * low(token)

    expected = [-math.log(high(*pair)) for pair in pairwise(test)]
    found = losses_of_orders(np.array(train), [np.array(test)], 5, 2)[1][0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_order_is_chosen_by_validation():
    random = np.random.default_rng(1)
    text = np.array([0, 1, 2, 3] * 400)
    found = guesses(text, text[:200], text[:200], 4)
    assert [one.name for one in found] == ["unigram", "ngram"]
    assert found[1].losses[-1].mean() < 0.01 < found[0].losses[-1].mean()
    noise = random.integers(0, 4, 3000)
    assert guesses(noise[:2000], noise[2000:2500], noise[2500:], 4)[-1].order <= 2
    assert np.isfinite(guesses(np.zeros(9, int), np.zeros(3, int), np.zeros(4, int), 1)[0].losses[-1]).all()


class Echo(torch.nn.Module):
    """Guesses by what stands before: the deeper into a window, the surer, so that it shows what it could look at."""

    def __init__(self, vocabulary: int, context: int):
        super().__init__()
        self.vocabulary, self.context = vocabulary, context

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] <= self.context
        depth = torch.arange(x.shape[1], dtype=torch.float32)
        scores = torch.zeros(*x.shape, self.vocabulary)
        return scores.scatter(2, x[:, :, None], depth[None, :, None].expand(*x.shape, 1))


@pytest.mark.parametrize("count", [2, 3, 7, 8, 9, 10, 12, 13, 40])
@pytest.mark.parametrize("context", [1, 2, 5, 8])
def test_every_token_is_guessed_once_from_half_a_context(count, context):
    tokens = np.arange(count) % 3
    found = guessed(Echo(3, context), tokens, context, "cpu")
    assert len(found.losses) == count - 1
    # the next token is never the one before: its probability is 1 / (2 + e^depth), so the loss says how deep it stood
    depth = np.log(np.exp(found.losses.astype(float)) - 2)
    assert (depth > np.minimum(np.arange(count - 1), context - max(1, context // 2)) - 1e-3).all()
    assert (depth < context - 1 + 1e-3).all()


def test_bits_per_byte_compare_tokenizers():
    tokenizer = train_tokenizer(["aé가 b"], "characters", 300)
    tokens = np.array(tokenizer.encode("aé가 b"))
    assert bytes_of(tokenizer, tokens).tolist() == [2, 3, 1, 1]
    words = train_tokenizer(["the cat sat"], "words", 300)
    tokens = np.array(words.encode("the cat sat"))
    assert bytes_of(words, tokens).tolist() == [4, 4]
    sums = pieces(Guessed(np.full(8, math.log(2), np.float32), np.ones(8)), np.full(8, 2))
    found = metrics_of(sums)
    assert float(found["bits_per_byte"]) == pytest.approx(0.5)
    assert float(found["perplexity"]) == pytest.approx(2) and float(found["accuracy"]) == 1


def test_verdict_says_who_is_better():
    text = np.random.default_rng(0).integers(0, 4, 6000)
    rivals = guesses(text[:3000], text[3000:4000], text[4000:], 4)
    lengths = np.ones(1999, int)
    rows = {
        "good": np.full(1999, 0.7, np.float32),
        "bad": np.full(1999, 3.0, np.float32),
        "alike": rivals[0].losses[-1],
    }
    found = {
        name: verdict("gpt", pieces(Guessed(row, row < 1), lengths), 9.0, rivals, lengths) for name, row in rows.items()
    }
    assert found["good"].winner == "gpt" and found["good"].worth_it and "wins" in found["good"].sentence
    assert found["bad"].winner != "gpt" and found["bad"].sentence.startswith("Not worth it")
    assert found["alike"].winner is None and found["alike"].worth_it is False
    few = pieces(Guessed(np.ones(4, np.float32), None), np.ones(4))
    short = [type(one)(one.name, one.title, one.order, [row[:4] for row in one.losses], 0.0, "") for one in rivals]
    assert verdict("gpt", few, 9.0, short, np.ones(4, int)).worth_it is None
