"""Translate: the loss is a mean over tokens, padding has no say, and simpler ways are what they are called."""

import math

import numpy as np
import pytest
import torch

from gipi.data.schema import Field, Schema, Sizes
from gipi.data.tokenizers import train
from gipi.systems import seq2seq
from gipi.tasks import translate as task
from gipi.tasks.bleu import bleu_counts
from gipi.tasks.compared import Way
from gipi.tasks.translation_baselines import dictionary, nearest, translation_baselines, word_by_word

TEXTS = ["der Hund rennt", "die Katze schläft", "ein Hund schläft"]


def schema(context=20):
    tokenizer = train(TEXTS, "words", 400).to_json()
    return Schema((Field("de", "text", (context,), tokenizer=tokenizer),), (Field("en", "text", (context,)),))


def network(sizes=None, **options):
    torch.manual_seed(0)
    size = task.target_tokenizer(schema()).size
    sizes = sizes or Sizes((20,), 0, vocabulary=size, target_vocabulary=size, end=1)
    return seq2seq.Net(sizes, seq2seq.Config(width=8, **options)).eval()


def test_the_loss_is_a_mean_over_the_tokens_that_are_there():
    scores = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([[1, 4, 2], [3, -1, -1]])
    log = scores.double().log_softmax(2)
    by_hand = -(log[0, 0, 1] + log[0, 1, 4] + log[0, 2, 2] + log[1, 0, 3]) / 4
    assert task.loss()(scores, y).item() == pytest.approx(by_hand.item(), rel=1e-6)
    even = -log.mean(2)[y >= 0].mean()
    smoothed = 0.9 * by_hand + 0.1 * even  # Szegedy 2016, section 7
    assert task.loss(0.1)(scores, y).item() == pytest.approx(smoothed.item(), rel=1e-6)
    assert task.count((torch.zeros(2, 2), torch.tensor([[0, 1, 4, 2], [0, 3, -1, -1]]))).item() == 4


def test_a_batch_in_parts_has_the_whole_ones_gradient():
    from gipi.training.prepare import Arithmetic, prepared

    found = []
    for parts in (1, 3):
        net = network(dropout=0.0)
        players = seq2seq.players(net, seq2seq.Config(), task.loss(), lambda lr: lambda step: lr)
        (player,) = prepared(players, net, Arithmetic(), None, parts, False, task.count).values()
        x, y = torch.randint(3, 200, (2, 6, 5), generator=torch.Generator().manual_seed(1))
        y[0, 2:], y[3, 3:] = -1, -1
        found.append(player.differentiate((x, y)) if parts == 1 else player._by_parts((x, y)))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_text_alone_is_what_it_is_in_company():
    own, net = schema(), network()
    tokenizer = task.target_tokenizer(own)
    rows = [[0, *tokenizer.encode(text), 1] for text in [*TEXTS, "rennt", ""]]
    x = torch.full((len(rows), 12), -1)
    for row, tokens in zip(x, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    together = task.translated(net, x, own, 3, 0.6)
    for number in range(len(rows)):
        (alone,) = task.translated(net, x[number : number + 1], own, 3, 0.6)
        assert alone.tokens == together[number].tokens
        assert alone.score == pytest.approx(together[number].score, abs=1e-5)
    assert together[-1].tokens == [] and task.texts_said(together[-1:], own) == [""]
    assert all(len(one.tokens) <= 20 for one in together)


def test_model_1_finds_what_words_stand_for():
    sources = [["das", "Haus"], ["das", "Buch"], ["ein", "Buch"]]
    targets = [["the", "house"], ["the", "book"], ["a", "book"]]
    assert dictionary(sources, targets) == {"das": "the", "Haus": "house", "Buch": "book", "ein": "a"}
    assert dictionary([], []) == {}


def test_model_1_is_em_by_hand():
    """Two rounds and more in plain loops, on words that are not plain."""
    draw = np.random.default_rng(0)
    sources = [[f"f{k}" for k in draw.integers(0, 6, 4)] for _text in range(30)]
    targets = [[f"e{(int(word[1]) + draw.integers(0, 2)) % 6}" for word in text] for text in sources]
    share: dict = {}
    for _round in range(8):
        counts: dict = {}
        for source, target in zip(sources, targets, strict=True):
            for word in target:
                weights = [share.get((f, word), 1.0) for f in (*source, "")]
                for f, weight in zip((*source, ""), weights, strict=True):
                    counts[f, word] = counts.get((f, word), 0.0) + weight / sum(weights)
        totals: dict = {}
        for (f, _word), count in counts.items():
            totals[f] = totals.get(f, 0.0) + count
        share = {pair: count / totals[pair[0]] for pair, count in counts.items()}
    best = {f: max((s, e) for (g, e), s in share.items() if g == f)[1] for f in totals if f}
    assert dictionary(sources, targets) == best


def test_simpler_ways():
    known = (
        ["der Hund rennt .", "die Katze schläft .", "ein Vogel singt ."],
        ["the dog runs .", "the cat sleeps .", "a bird sings ."],
    )
    assert nearest(known, ["der Hund schläft nicht rennt"])[0] == ["the dog runs ."]
    assert nearest((["", ""], ["a", "b"]), ["c"])[0] == ["a"], "without a word one is as good as another"
    assert word_by_word(known, ["Unbekannt"])[0] == ["Unbekannt"]
    ways = translation_baselines(known, ["ein Hund rennt ."], ["a dog runs ."], 1.0)
    assert [way.name for way in ways] == ["memory", "words"] and all(way.sums.shape == (1, 10) for way in ways)


@pytest.mark.parametrize(("better", "word"), [(True, "wins"), (False, "Not worth it"), (None, "No clear winner")])
def test_what_is_said_of_the_comparison(better, word):
    wanted = [f"a man number {k} runs over the green grass" for k in range(40)]
    worse = [text.replace("green", "red") for text in wanted]
    ours, theirs = {True: (wanted, worse), False: (worse, wanted), None: (wanted, wanted)}[better]
    rival = Way("words", "word by word", task.counts(theirs, wanted))
    found = task.judged("net", task.counts(ours, wanted), 3.0, [rival])
    assert word in found.sentence and found.rows == 40 and "13a" in found.note
    assert found.winner == {True: "net", False: "words", None: None}[better]
    few = task.judged("net", task.counts(ours, wanted)[:3], 3.0, [Way("words", "word by word", rival.sums[:3])])
    assert "Too few" in few.sentence and few.winner is None


def test_counts_are_of_each_text():
    assert task.counts(["a b", "c"], ["a b", "d"]).tolist() == [bleu_counts("a b", "a b"), bleu_counts("c", "d")]
    assert math.isclose(sum(bleu_counts("a b c d", "a b c d")[2::2]), 10)
