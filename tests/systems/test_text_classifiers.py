"""Bag of words and text convolution: equal to plain loops in NumPy, blind to padding and neighbours, and they learn."""

import numpy as np
import pytest
import torch

from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.losses import cross_entropy
from gipi.systems import bow, textcnn
from gipi.systems.bow import ngrams

VOCABULARY = 40
SIZES = Sizes(input=(12,), output=3, vocabulary=VOCABULARY, end=1)
BAGS = [
    bow.Config(width=5, grams=3, buckets=64),
    bow.Config(width=4, grams=1),
    bow.Config(width=4, grams=2, buckets=32, hidden=(6,)),
]
CONVOLUTIONS = [textcnn.Config(width=6, channels=4), textcnn.Config(width=3, channels=2, lengths=(1, 7))]
NETS = [(bow, config) for config in BAGS] + [(textcnn, config) for config in CONVOLUTIONS]
every_net = pytest.mark.parametrize(("system", "config"), NETS)


def made(system, config, seed=0):
    """A network whose weights are all drawn, in float64; n-grams do not stay at zero."""
    torch.manual_seed(seed)
    net = system.Net(SIZES, config).double().eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.5)
    return net


def rows(*lengths, seed=0):
    """Rows of so many tokens, -1 behind them."""
    random = np.random.default_rng(seed)
    x = np.full((len(lengths), max(lengths)), -1)
    for row, length in enumerate(lengths):
        x[row, :length] = random.integers(0, VOCABULARY, length)
    return torch.from_numpy(x)


def numbers_of(net):
    return {name: value.numpy() for name, value in net.state_dict().items()}


# --- against plain loops


def bag_by_loops(net, config, tokens):
    """One row, written as the story says it; behind its first end token stands the other text of a pair."""
    held, tokens = numbers_of(net), [int(token) for token in tokens]
    cut = tokens.index(SIZES.end) + 1 if SIZES.end in tokens else len(tokens)
    places, counted = np.zeros((len(tokens), config.width)), set()
    for length in range(1, config.grams + 1):
        for start in range(len(tokens) - length + 1):
            number = 0
            for token in tokens[start : start + length]:
                number = (number * bow.FACTOR + token + 1) % bow.MODULUS
            row = tokens[start] if length == 1 else number % config.buckets
            if (length > 1, start >= cut, row) in counted:
                continue
            counted.add((length > 1, start >= cut, row))
            table = "pieces.tokens.weight" if length == 1 else "pieces.grams.weight"
            places[start : start + length] += held[table][row] / length
    places /= np.sqrt(len(counted))
    one, other = places[:cut].sum(0), places[cut:].sum(0)
    told_apart = [np.abs(one - other), one * other] if cut < len(tokens) else [0 * one, 0 * one]
    seen = np.concatenate([one + other, *told_apart])
    last = len(config.hidden) * 2
    for layer in range(len(config.hidden)):
        seen = np.maximum(held[f"head.{2 * layer}.0.weight"] @ seen + held[f"head.{2 * layer}.0.bias"], 0)
    return held[f"head.{last}.weight"] @ seen + held[f"head.{last}.bias"]


@pytest.mark.parametrize("config", BAGS)
def test_bag_is_what_loops_give(config):
    net, x = made(bow, config), rows(12, 1, 2, 5, 9, 12)
    x[4, [4, 8]] = SIZES.end  # a pair
    x[5, [3, 11]] = SIZES.end
    x[5, 4:7] = x[5, :3]  # that says some of the same twice
    found = net(x).detach().numpy()
    for row in range(len(x)):
        assert np.allclose(found[row], bag_by_loops(net, config, x[row][x[row] >= 0].numpy()), atol=1e-12)


def convolution_by_loops(net, config, tokens):
    held = numbers_of(net)
    features = []
    for place, length in enumerate(config.lengths):
        weight, bias = held[f"filters.{place}.weight"], held[f"filters.{place}.bias"]  # (C, D, length)
        for channel in range(config.channels):
            best = 0.0
            for start in range(1 - length, len(tokens)):
                answer = bias[channel]
                for offset in range(length):
                    if 0 <= start + offset < len(tokens):
                        answer += weight[channel, :, offset] @ held["tokens.weight"][tokens[start + offset]]
                best = max(best, answer)
            features.append(best)
    return held["head.weight"] @ np.array(features) + held["head.bias"]


@pytest.mark.parametrize("config", CONVOLUTIONS)
def test_convolution_is_what_loops_give(config):
    net, x = made(textcnn, config), rows(12, 1, 2, 5)
    found = net(x).detach().numpy()
    for row in range(len(x)):
        assert np.allclose(found[row], convolution_by_loops(net, config, x[row][x[row] >= 0].numpy()), atol=1e-10)


def test_ngrams_name_the_same_run_alike_wherever_it_stands():
    x = torch.tensor([[3, 4, 5, 3, 4, 5], [9, 3, 4, 5, -1, -1]])
    pairs, triples = ngrams(x, 3, 1 << 20)
    assert pairs[0, 0] == pairs[0, 3] == pairs[1, 1] and pairs[0, 0] != pairs[0, 1]
    assert triples[0, 0] == triples[0, 3] == triples[1, 1]
    assert pairs[1].tolist()[3:] == [-1, -1, -1] and triples[0].tolist()[4:] == [-1, -1] and (pairs[0, :5] >= 0).all()


def test_few_runs_share_a_row():
    """All pairs of 300 tokens into a million rows: a good hash leaves 4 % of them in company."""
    first, second = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    (numbers,) = ngrams(torch.stack([first.flatten(), second.flatten()], 1), 2, 1 << 20)
    expected = (1 << 20) * (1 - np.exp(-90_000 / (1 << 20)))  # rows taken, if they were drawn at random
    assert len(numbers[:, 0].unique()) > 0.99 * expected


def test_what_stands_twice_counts_once():
    x = torch.tensor([[5, 3, 5, 5, -1], [2, 2, 2, 2, 2]])
    part = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]])
    assert bow.firsts(x, part).tolist() == [[True, True, False, True, False], [True, False, False, False, False]]
    net = made(bow, bow.Config(width=4, grams=1))
    assert torch.allclose(net(torch.tensor([[5, 3, 5, 5, -1]])), net(torch.tensor([[3, 5]])))


def test_the_other_text_of_a_pair_begins_behind_the_first_end():
    x = torch.tensor([[0, 5, 1, 6, 7, 1, -1], [0, 5, 1, -1, -1, -1, -1]])
    assert bow.second(x, end=1).long().tolist() == [[0, 0, 0, 1, 1, 1, 0], [0] * 7]


# --- padding, neighbours, odd rows


@every_net
def test_padding_and_neighbours_change_nothing(system, config):
    net, x = made(system, config), rows(12, 3, 7, 1)
    together = net(x)
    longer = torch.cat([x, torch.full((len(x), 9), -1)], 1)
    assert torch.allclose(net(longer), together, atol=1e-10)
    for row in range(len(x)):
        alone = x[row][x[row] >= 0][None]
        assert torch.allclose(net(alone)[0], together[row], atol=1e-10)
    assert torch.allclose(net(x.flip(0)).flip(0), together, atol=1e-10)


@every_net
def test_a_row_without_tokens_and_a_vocabulary_of_one(system, config):
    net = made(system, config)
    assert net(torch.full((2, 4), -1)).isfinite().all()
    tiny = system.Net(Sizes(input=(4,), output=2, vocabulary=1, end=0), config)
    assert tiny(torch.tensor([[0, 0, -1, -1], [0, -1, -1, -1]])).isfinite().all()


@every_net
def test_no_gradient_comes_from_padding(system, config):
    net, x = made(system, config), rows(8, 2)
    first = list(net.parameters())
    for tail in (0, 5):
        longer = torch.cat([x, torch.full((2, tail), -1)], 1)
        found = torch.autograd.grad(net(longer).square().sum(), first)
        if not tail:
            expected = found
    assert all(torch.allclose(one, other, atol=1e-10) for one, other in zip(found, expected, strict=True))


# --- learning


@every_net
def test_same_seed_same_weights_and_it_learns(system, config):
    """Whether token 7 is there decides; four words stand around it."""
    random = np.random.default_rng(0)
    x = torch.from_numpy(random.integers(8, VOCABULARY, (256, 6)))
    y = torch.from_numpy(random.integers(0, 2, 256))
    places = torch.from_numpy(random.integers(0, 6, 256))
    x[torch.arange(256)[y == 1], places[y == 1]] = 7
    states = []
    for _turn in range(2):
        torch.manual_seed(1)
        net = system.Net(SIZES, config)
        player = system.players(net, config, cross_entropy, lambda lr: lambda step: 0.02)["learner"]
        for step in range(60):
            player.play((x, y), step)
        states.append(net.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(*[state.values() for state in states], strict=True))
    net.eval()
    assert (net(x).argmax(1) == y).double().mean() > 0.9


def test_words_are_left_out_only_in_training():
    config = bow.Config(width=4, grams=2, buckets=32, word_dropout=0.5)
    net, x = made(bow, config), rows(12, 12)
    assert torch.equal(net(x), net(x))
    net.train()
    torch.manual_seed(0)
    assert not torch.allclose(net(x), net(x))


def test_filters_without_length_are_refused():
    with pytest.raises(UsageError, match="filters of one token or more"):
        textcnn.Net(SIZES, textcnn.Config(lengths=()))
