"""word2vec's updates against loops over single pairs of words, in NumPy, that share nothing with it."""

import numpy as np
import pytest
import torch

from gipi.algorithms.optimizers import NotFinite
from gipi.data.schema import Sizes
from gipi.data.skipgrams import Skipgrams, update_size
from gipi.systems import word2vec

V, D, W, S, P, K = 30, 6, 3, 5, 2, 4
LR = 0.3


def made(architecture: str, seed: int = 0):
    """A network whose tables are not small, and its player, in float64."""
    torch.manual_seed(seed)
    config = word2vec.Config(architecture=architecture, dimension=D, window=W, lr=LR)
    net = word2vec.Net(Sizes((1,), 0, vocabulary=V), config).double()
    for table in (net.words, net.contexts):
        table.copy_(torch.randn(V, D, dtype=torch.float64))
    (player,) = word2vec.players(net, config, None, lambda lr: lambda step: lr).values()
    return net, player


def update(seed: int = 0):
    """A text in which words come again and again, some of which look nowhere, and noise; a batch of one update."""
    random = np.random.default_rng(seed)
    text = random.integers(0, V // 3, P * S + 2 * W)
    left, right = random.integers(0, W + 1, (2, P * S))
    left[1] = right[1] = 0
    noise = random.integers(0, V, (P, K))
    return tuple(torch.from_numpy(part)[None] for part in (text, left * (W + 1) + right, noise)), left, right


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_pairs(architecture: str, net, parts, left, right, negative: int = 5):
    """The loss and the changes of both tables, pair by pair, as the paper has it; the noise counts 5 / K each."""
    words, contexts = net.words.numpy().copy(), net.contexts.numpy().copy()
    moved, answered = np.zeros_like(words), np.zeros_like(contexts)
    text, _reach, noise = (part[0].numpy() for part in parts)
    loss, count, share = 0.0, 0, negative / K
    for s in range(P * S):
        own, near = text[W + s], [*range(W + s - left[s], W + s), *range(W + s + 1, W + s + 1 + right[s])]
        noisy = [(n, 0, share) for n in noise[s // S]]
        if architecture == "skip-gram":
            said = [(words[own], [(text[place], 1, 1.0), *noisy], [own]) for place in near]
        else:
            beside = text[near]
            said = [(words[beside].mean(0), [(own, 1, 1.0), *noisy], beside)] if len(near) else []
        for vector, asked, whose in said:
            count += 1
            error = np.zeros(D)
            for number, is_true, weight in asked:
                score = vector @ contexts[number]
                loss -= weight * np.log(sigmoid(score if is_true else -score))
                gap = weight * (sigmoid(score) - is_true)
                error += gap * contexts[number]
                answered[number] += gap * vector
            for word in whose:  # of cbow each gets the whole error
                moved[word] += error
    return loss / count, moved, answered


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_an_update_is_what_single_pairs_make_together(architecture):
    net, player = made(architecture)
    parts, left, right = update()
    loss, moved, answered = by_pairs(architecture, net, parts, left, right)
    words, contexts = net.words.clone(), net.contexts.clone()
    assert float(player.loss(parts)) == pytest.approx(loss, rel=1e-12)
    found = player.play(parts, 0)
    assert float(found) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose((words - net.words).numpy() / LR, moved, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose((contexts - net.contexts).numpy() / LR, answered, rtol=1e-10, atol=1e-12)


def test_the_step_of_skip_gram_is_the_gradient_of_its_loss():
    _net, player = made("skip-gram")
    parts, left, right = update(3)
    for table in player.params:
        table.requires_grad_(True)
    pairs = int((left + right).sum())
    gradients = torch.autograd.grad(player.loss(parts) * pairs, player.params)
    for table in player.params:
        table.requires_grad_(False)
    before = [table.clone() for table in player.params]
    player.play(parts, 0)
    for old, new, gradient in zip(before, player.params, gradients, strict=True):
        torch.testing.assert_close(old - new, LR * gradient)


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_words_that_look_nowhere_move_nothing(architecture):
    net, player = made(architecture)
    (text, reach, noise), _left, _right = update()
    before = net.state_dict()["words"].clone(), net.state_dict()["contexts"].clone()
    player.play((text, torch.zeros_like(reach), noise), 0)
    assert torch.equal(net.words, before[0]) and torch.equal(net.contexts, before[1])


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_one_update_after_the_other_sees_what_the_first_did(architecture):
    _net, player = made(architecture)
    one, other = update(1)[0], update(2)[0]
    start = [table.clone() for table in player.params]
    player.play(tuple(torch.cat(pair) for pair in zip(one, other, strict=True)), 0)
    together = [table.clone() for table in player.params]
    for table, old in zip(player.params, start, strict=True):
        table.copy_(old)
    player.play(one, 0)
    player.play(other, 0)
    assert all(torch.equal(a, b) for a, b in zip(together, player.params, strict=True))


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("table", [0, 1])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_stop_it(architecture, table, number):
    _net, player = made(architecture)
    one, other = update(1)[0], update(2)[0]
    player.params[table][V - 1] = number
    one[2][one[2] == V - 1] = 0
    other[0][0, W + 3] = V - 1  # what is wrong is in the last update alone
    other[1][:] = 2 * (W + 1) + 2
    with pytest.raises(NotFinite):
        player.play(tuple(torch.cat(pair) for pair in zip(one, other, strict=True)), 0)


def test_whose_neighbour_a_word_is():
    """Against the definition, word by word; nobody stands outside."""
    wide, count = 2 * W + 1, 9
    near = torch.rand(2, count, wide)
    fenced = torch.nn.functional.pad(near, (0, 0, 2 * W, 2 * W))
    found = word2vec.turned(fenced)
    assert found.shape == (2, count + 2 * W, wide)
    for word in range(-W, count + W):
        for place in range(wide):
            other = word + place - W
            said = near[:, other, word - other + W] if 0 <= other < count else torch.zeros(2)
            assert torch.equal(found[:, word + W, place], said)


def test_single_precision_is_as_good_as_double():
    """A whole update of 512 words in float32 beside the same in float64."""
    random = np.random.default_rng(0)
    words = random.integers(0, 200, 600).astype(np.int32)
    batch = next(Skipgrams(words, words * 0, np.bincount(words), 600, 5, 0, 512, seed=0, share=16))
    torch.manual_seed(0)
    single = word2vec.Net(Sizes((1,), 0, vocabulary=200), word2vec.Config(architecture="cbow"))
    single.contexts.normal_()
    double = word2vec.Net(Sizes((1,), 0, vocabulary=200), word2vec.Config(architecture="cbow")).double()
    double.load_state_dict(single.state_dict())
    for net in (single, double):
        (player,) = word2vec.players(
            net, word2vec.Config(architecture="cbow"), None, lambda lr: lambda step: lr
        ).values()
        player.play(batch, 0)
    torch.testing.assert_close(single.words.double(), double.words, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(single.contexts.double(), double.contexts, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_words_of_one_circle_come_together(architecture):
    """Two circles of words that never meet: after some epochs each word's nearest is of its own circle."""
    random = np.random.default_rng(0)
    words = (random.integers(0, 10, (400, 12)) + 10 * random.integers(0, 2, (400, 1))).astype(np.int32)
    counts = np.bincount(words.reshape(-1))
    update = update_size(counts, 0, 5, 0.05)
    config = word2vec.Config(architecture=architecture, dimension=16, lr=0.05)
    torch.manual_seed(0)
    net = word2vec.Net(Sizes((1,), 0, vocabulary=20), config)
    (player,) = word2vec.players(net, config, None, lambda lr: lambda step: lr).values()
    lines = np.repeat(np.arange(400, dtype=np.int32), 12)
    stream = Skipgrams(words.reshape(-1), lines, counts, 2000, 5, 0, update, seed=0)
    losses = [float(player.play(next(stream), step)) for step in range(100)]
    assert losses[-1] < losses[0] - 0.3
    unit = torch.nn.functional.normalize(net(torch.arange(20)))
    near = (unit @ unit.T - 2 * torch.eye(20)).argmax(1)
    assert (near // 10 == torch.arange(20) // 10).sum() >= 18


def test_each_architecture_has_the_authors_step_size():
    for architecture, size in (("skip-gram", 0.025), ("cbow", 0.05)):
        config = word2vec.Config(architecture=architecture)
        net = word2vec.Net(Sizes((1,), 0, vocabulary=3), config)
        (player,) = word2vec.players(net, config, None, lambda lr: lambda step: lr).values()
        assert player.optimizer.size(0) == size
