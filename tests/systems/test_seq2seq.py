"""Seq2seq: a GRU step and both attentions in NumPy, Sutskever's way backwards, and what padding must not do."""

import numpy as np
import pytest
import torch

from gipi import losses
from gipi.data.schema import Sizes
from gipi.systems import seq2seq

SIZES = Sizes((20,), 0, vocabulary=30, target_vocabulary=30, end=1)
WAYS = [(cell, attention) for cell in ("gru", "lstm", "rnn") for attention in ("additive", "dot", "none")]
every_way = pytest.mark.parametrize(("cell", "attention"), WAYS)


def build(seed=0, sizes=SIZES, **options):
    torch.manual_seed(seed)
    return seq2seq.Net(sizes, seq2seq.Config(**{"width": 8, "dropout": 0.0, **options})).eval()


def texts(lengths, seed=0):
    """Rows of random tokens, each `[begin] ... [end]`, -1 behind it."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.full((len(lengths), max(lengths)), -1)
    for row, length in zip(rows, lengths, strict=True):
        row[0], row[length - 1] = 0, 1
        row[1 : length - 1] = torch.randint(3, 30, (length - 2,), generator=draw)
    return rows


def numbers(part):
    return {name: p.detach().numpy().astype(np.float64) for name, p in part.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_step(p, x, h, end=""):
    """Cho et al. 2014, with the reset gate behind the matrix as cuDNN and torch have it."""
    i = p[f"weight_ih_l0{end}"] @ x + p[f"bias_ih_l0{end}"]
    g = p[f"weight_hh_l0{end}"] @ h + p[f"bias_hh_l0{end}"]
    (ir, iz, inew), (gr, gz, gnew) = np.split(i, 3), np.split(g, 3)
    reset, update = sigmoid(ir + gr), sigmoid(iz + gz)
    return (1 - update) * np.tanh(inew + reset * gnew) + update * h


def softmax(x):
    x = np.exp(x - x.max())
    return x / x.sum()


@pytest.mark.parametrize("attention", ["additive", "dot"])
def test_it_is_the_papers_by_hand(attention):
    """One row in NumPy: both ways of reading, then for each word where to look, the state, the scores."""
    net = build(attention=attention)
    torch.nn.init.normal_(net.bias)
    x, said = texts([6]), texts([5], seed=1)
    with torch.no_grad():
        found, looked = net(x, said)[0].numpy(), net.attended(x, said)[0].numpy()
    table, p = net.embedding.weight.detach().numpy().astype(np.float64), numbers(net.encoder)
    ahead, back, h, g = [], [], np.zeros(8), np.zeros(8)
    for token in x[0].tolist():
        h = gru_step(p, table[token], h)
        ahead.append(h)
    for token in reversed(x[0].tolist()):
        g = gru_step(p, table[token], g, "_reverse")
        back.insert(0, g)
    seen = np.concatenate([ahead, back], 1)  # (S, 2 D)
    own, bridge, readout, down = (numbers(part) for part in (net.attention, net.bridge, net.readout, net.decoder))
    state = np.tanh(bridge["weight"] @ back[0] + bridge["bias"])

    def look(state):
        if attention == "dot":
            scores = np.array([state @ own["know.weight"] @ place for place in seen])
        else:
            keys = [own["know.weight"] @ place + own["know.bias"] for place in seen]
            scores = np.array([own["weigh.weight"][0] @ np.tanh(own["ask.weight"] @ state + key) for key in keys])
        return softmax(scores)

    for place, token in enumerate(said[0].tolist()):
        word = table[token]
        if attention == "additive":
            weights = look(state)
            context = weights @ seen
            state = gru_step(down, np.concatenate([word, context]), state)
            told = np.concatenate([state, context, word])
        else:
            state = gru_step(down, word, state)
            weights = look(state)
            told = np.concatenate([state, weights @ seen])
        scores = table @ np.tanh(readout["weight"] @ told + readout["bias"]) + net.bias.detach().numpy()
        assert np.abs(scores - found[place]).max() < 1e-5
        assert np.abs(weights - looked[place]).max() < 1e-6


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_without_attention_all_that_is_known_is_the_last_state_of_the_way_back(cell):
    net = build(cell=cell, attention="none", layers=2)
    x, said = texts([6]), texts([5], seed=1)
    with torch.no_grad():
        _states, last = net.encoder(net.embedding(x.flip(1)))
        states, _last = net.decoder(net.embedding(said), last)
        scores = net.readout(states).tanh() @ net.embedding.weight.T + net.bias
        assert torch.allclose(net(x, said), scores, atol=1e-6)
    assert net.attended(x, said) is None


@every_way
def test_padding_and_neighbours_change_nothing(cell, attention):
    net = build(cell=cell, attention=attention, layers=2)
    x, said = texts([12, 5, 2]), texts([7, 7, 7], seed=1)
    wide = torch.cat([x, torch.full((3, 6), -1)], 1)
    with torch.no_grad():
        together = net(x, said)
        assert torch.allclose(net(wide, said), together, atol=1e-6)
        assert torch.allclose(net(x[1:2, :5], said[1:2])[0], together[1], atol=1e-6)


@every_way
def test_following_is_writing_at_once(cell, attention):
    net = build(cell=cell, attention=attention, layers=2)
    x, said = texts([12, 5, 2]), texts([7, 7, 7], seed=1)
    with torch.no_grad():
        whole, source = net(x, said), net.read(x)
        state = [part.repeat_interleave(2, 0) for part in net.state(source)]  # two hypotheses of each row
        for place in range(7):
            scores, state = net.follow(said[:, place].repeat_interleave(2), source, state)
            assert torch.allclose(scores[::2], whole[:, place], atol=1e-6)
            assert torch.allclose(scores[1::2], whole[:, place], atol=1e-6)


@pytest.mark.parametrize("attention", ["additive", "dot"])
def test_what_is_looked_at_sums_to_one_and_leaves_padding_out(attention):
    net = build(attention=attention)
    with torch.no_grad():
        found = net.attended(texts([9, 4]), texts([5, 5], seed=1))
    assert torch.allclose(found.sum(2), torch.ones(2, 5)) and not found[1, :, 4:].any()


def test_tied_tables_are_one():
    assert build().output is None and build().target_embedding is None
    apart = build(tied=False)
    assert apart.output is not None and apart.target_embedding is not None
    other = build(sizes=Sizes((20,), 0, vocabulary=30, target_vocabulary=40, end=1))
    assert other.target_embedding is not None and other(texts([4])).shape == (1, 1, 40)


@pytest.mark.parametrize(("attention", "reached"), [("additive", 0.35), ("dot", 0.35), ("none", 0.7)])
def test_it_learns_to_turn_texts_round(attention, reached):
    """Who knows nothing of the source has a loss of 1.04: log 4 for three of four tokens."""
    config = seq2seq.Config(width=32, dropout=0.0, attention=attention, lr=1e-2)
    torch.manual_seed(0)
    net = seq2seq.Net(SIZES, config)
    loss = lambda output, y: losses.cross_entropy(output.flatten(0, 1), y.flatten())  # noqa: E731
    (player,) = seq2seq.players(net, config, loss, lambda lr: lambda step: lr).values()
    draw = torch.Generator().manual_seed(0)
    found = []
    for step in range(150):
        words = torch.randint(3, 7, (32, 3), generator=draw)
        begin, end = torch.zeros(32, 1, dtype=torch.int64), torch.ones(32, 1, dtype=torch.int64)
        turned = words.flip(1)
        batch = torch.cat([begin, words, end], 1), torch.cat([begin, turned, end], 1)
        found.append(player.play(batch, step).item())
    assert np.mean(found[-10:]) < reached < 1.04 < found[0]


def test_a_step_of_it_is_never_played_from_a_tape():
    """Packing reads the lengths of the rows: a recorded step would take the first batch's for ever."""
    from gipi.training.tape import Unplayable, record

    net = build().train()
    x, said = texts([6, 4]), texts([5, 5], seed=1)
    with pytest.raises(Unplayable):
        record(lambda: [net(x, said).sum()], [x, said])
