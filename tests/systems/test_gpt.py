"""GPT beside transformers' GPT-2 and beside NumPy: the same numbers, the same weights by name, the same text."""

import math

import numpy as np
import pytest
import torch

from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.models.decoding import generate
from gipi.release.weight_files import Weights
from gipi.release.weights import take
from gipi.systems import gpt
from gipi.tasks import chat, write
from gipi.tasks.write import loss
from gipi.training import fit

VOCABULARY, CONTEXT = 37, 24


def net_of(context: int = CONTEXT, vocabulary: int = VOCABULARY, **options) -> gpt.Net:
    torch.manual_seed(0)
    options = {"size": "gpt2", "layers": 3, "width": 32, "heads": 4, **options}
    return gpt.Net(Sizes((context,), 0, vocabulary=vocabulary), gpt.Config(**options)).eval()


def theirs(context: int = CONTEXT, vocabulary: int = VOCABULARY, layers=3, width=32, heads=4):
    transformers = pytest.importorskip("transformers", reason="parity with transformers: it is not installed")
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=vocabulary,
        n_positions=context,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=None,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        model.transformer.wpe.weight.mul_(8 if layers < 12 else 1)  # so that a text does not say one word for ever
        for param in model.parameters():
            if param.ndim == 1 and layers < 12:  # biases and norms that are not as they begin
                param.add_(0.3 * torch.randn_like(param))
    return model


@pytest.mark.parametrize("prefix", ["", "transformer."], ids=["as published", "as saved"])
def test_gpt2s_weights_fit_by_name_and_give_its_logits(prefix):
    reference = theirs()
    tensors = {
        prefix + n.removeprefix("transformer."): t for n, t in reference.state_dict().items() if "lm_head" not in n
    }
    net = net_of()
    loaded, said = take(net, Weights("gpt2.safetensors", tensors))
    assert loaded == net.state_dict().keys(), said
    x = torch.randint(0, VOCABULARY, (4, CONTEXT))
    with torch.no_grad():
        assert (net(x) - reference(x).logits).abs().max() < 1e-4


def test_greedy_text_is_gpt2s():
    reference, net = theirs(), net_of()
    take(net, Weights("file", dict(reference.state_dict())))
    prompt = torch.randint(0, VOCABULARY, (1, 5))
    said = reference.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=CONTEXT - 5, do_sample=False, pad_token_id=0
    )
    ours = [*generate(net, prompt[0].tolist(), CONTEXT, temperature=0, most=CONTEXT - 5)]
    assert ours == said[0, 5:].tolist()
    assert len(set(ours)) > 2


@pytest.mark.slow
def test_the_whole_of_gpt2():
    """124 million parameters, filled at random: `--size gpt2` is its size."""
    reference = theirs(1024, 50257, 12, 768, 12)
    net = gpt.Net(Sizes((1024,), 0, vocabulary=50257), gpt.Config(size="gpt2")).eval()
    take(net, Weights("file", dict(reference.state_dict())))
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in reference.parameters()) == 124_439_808
    x = torch.randint(0, 50257, (1, 200))
    with torch.no_grad():
        assert (net(x) - reference(x).logits).abs().max() < 1e-4
    said = reference.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert [*generate(net, x[0].tolist(), 1024, temperature=0, most=12)] == said[0, 200:].tolist()


# --- by hand -----------------------------------------------------------------------------------------------------


def test_attention_by_hand():
    """Vaswani 2017, equation 1, each token before or at its own place, in plain NumPy."""
    layer = net_of().h[0].attn
    x = torch.randn(2, 7, 32)
    weight, bias = (p.detach().double().numpy() for p in (layer.c_attn.weight, layer.c_attn.bias))
    out, shift = (p.detach().double().numpy() for p in (layer.c_proj.weight, layer.c_proj.bias))
    query, key, value = np.split(x.double().numpy() @ weight + bias, 3, 2)
    found = np.zeros_like(query)
    for row in range(2):
        for head in range(4):
            cut = slice(8 * head, 8 * head + 8)
            for here in range(7):
                scores = [query[row, here, cut] @ key[row, there, cut] / math.sqrt(8) for there in range(here + 1)]
                share = np.exp(scores) / np.exp(scores).sum()
                found[row, here, cut] = share @ value[row, : here + 1, cut]
    with torch.no_grad():
        ours = layer(x, None)
    np.testing.assert_allclose(ours.numpy(), found @ out + shift, atol=1e-6)


def test_rotary_positions_by_complex_numbers():
    """RoFormer, equation 34: pair i of place m is turned by m / 10000^(2 i / d)."""
    net = net_of(positions="rotary")
    x = torch.randn(1, 1, 5, 8)
    pairs = x.double().numpy()[0, 0, :, :4] + 1j * x.double().numpy()[0, 0, :, 4:]
    turned = pairs * np.exp(1j * np.outer(np.arange(5), 10_000.0 ** (-np.arange(4) / 4)))
    ours = gpt.turned(x, (net.cosine[:5], net.sine[:5]))[0, 0].numpy()
    np.testing.assert_allclose(ours, np.concatenate([turned.real, turned.imag], 1), atol=1e-6)


def test_rotary_scores_depend_on_distance_alone():
    net = net_of(positions="rotary")
    query, key = torch.randn(8), torch.randn(8)

    def score(here: int, there: int) -> float:
        one, other = (gpt.turned(v.expand(CONTEXT, 8), (net.cosine, net.sine)) for v in (query, key))
        return float(one[here] @ other[there])

    assert score(9, 4) == pytest.approx(score(20, 15), abs=1e-5)
    assert score(9, 4) != pytest.approx(score(9, 5), abs=1e-3)


# --- memory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_token_by_token_is_all_at_once(positions):
    net = net_of(positions=positions)
    x = torch.randint(0, VOCABULARY, (3, CONTEXT))
    with torch.no_grad():
        whole = net(x)
        scores, memory = net.follow(x[:, :4], net.memory(3))
        torch.testing.assert_close(scores, whole[:, 3], atol=1e-5, rtol=1e-5)
        scores, memory = net.follow(x[:, 4:9], memory)
        torch.testing.assert_close(scores, whole[:, 8], atol=1e-5, rtol=1e-5)
        for place in range(9, CONTEXT):
            scores, memory = net.follow(x[:, place : place + 1], memory)
            torch.testing.assert_close(scores, whole[:, place], atol=1e-5, rtol=1e-5)
    assert all(len(part) == 3 for part in memory)


def test_memory_compiles_without_a_break():
    """The shapes stay, so one program serves every token; the compiler's own backend would take half a minute."""
    net = net_of(positions="rotary")
    follow = torch.compile(net.follow, fullgraph=True, backend="aot_eager", dynamic=False)
    x = torch.randint(0, VOCABULARY, (1, 8))
    with torch.no_grad():
        whole = net(x)
        memory = net.memory(1)
        for place in range(8):
            scores, memory = follow(x[:, place : place + 1], memory)
            torch.testing.assert_close(scores, whole[:, place], atol=1e-5, rtol=1e-5)


# --- rows ---------------------------------------------------------------------------------------------------------


def test_padding_and_neighbours_say_nothing():
    net = net_of(positions="rotary")
    x = torch.randint(0, VOCABULARY, (3, CONTEXT))
    padded = x.clone()
    padded[0, 5:] = -1
    with torch.no_grad():
        alone, together = net(x[:1, :5]), net(padded)
    assert (alone - together[:1, :5]).abs().max() < 1e-6


def test_what_a_question_would_be_asked_changes_no_gradient():
    """The loss is on answers only: the targets in questions may be anything."""
    net = net_of()
    pair = np.array([~0, ~5, ~6, ~7, ~1, 8, 9, 1], np.int32)
    x, y = chat.only_answers(torch.from_numpy(np.stack([pair, pair])).long())

    def gradient(found: torch.Tensor) -> torch.Tensor:
        return torch.cat([part.flatten() for part in torch.autograd.grad(found, list(net.parameters()))])

    assert x.tolist() == [[0, 5, 6, 7, 1, 8, 9]] * 2 and y.tolist() == [[-1, -1, -1, -1, 8, 9, 1]] * 2
    ours = gradient(loss(net(x), y))
    # written out: of the scores behind the question's end and in the answer alone
    by_hand = gradient(-net(x).log_softmax(2)[:, [4, 5, 6]].gather(2, y[:, [4, 5, 6], None]).mean())
    torch.testing.assert_close(ours, by_hand, atol=1e-6, rtol=1e-4)
    whole = torch.from_numpy(np.where(pair < 0, ~pair, pair)[1:].astype(np.int64)).expand(2, -1)  # as if all were asked
    assert not torch.allclose(ours, gradient(loss(net(x), whole)), atol=1e-3)


def test_loss_of_nothing_asked_is_zero():
    assert float(loss(torch.randn(1, 3, 5), torch.full((1, 3), -1))) == 0


# --- learning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_it_learns_to_count(optimizer):
    torch.manual_seed(0)
    config = gpt.Config(size="mini", optimizer=optimizer, lr=0.02 if optimizer == "muon" else 3e-3)
    net = gpt.Net(Sizes((8,), 0, vocabulary=11), config)
    starts = torch.arange(11)[:, None] + torch.arange(9)
    x = starts % 11
    batch = x[:, :-1], x[:, 1:]
    players = gpt.players(net, config, write.loss, lambda lr: lambda step: lr)
    found = [float(each["learner"]) for _step, each in fit(players, iter(lambda: batch, None), 40)]
    assert found[0] == pytest.approx(math.log(11), abs=0.5) and found[-1] < 0.05
    assert [*generate(net.eval(), [4, 5], 8, temperature=0, most=4)] == [6, 7, 8, 9]


def test_muon_moves_matrices_and_adamw_the_rest():
    config = gpt.Config(size="mini")
    net = gpt.Net(Sizes((8,), 0, vocabulary=11), config)
    optimizer = gpt.players(net, config, write.loss, lambda lr: lambda step: lr)["learner"].optimizer
    several, single, rest = optimizer.parts
    assert {tuple(p.shape) for p in several.params} == {(64, 192)}
    assert {tuple(p.shape) for p in single.params} == {(64, 64), (64, 256), (256, 64)}
    assert len(optimizer.params) == len([*net.parameters()]) == len({id(p) for p in optimizer.params})
    assert any(p is net.wte.weight for p in rest.params)


@pytest.mark.parametrize(
    ("options", "word"), [({"size": "gpt3"}, "gpt2"), ({"activation": "relu"}, "relu2"), ({"heads": 5}, "heads")]
)
def test_what_cannot_be(options, word):
    with pytest.raises(UsageError, match=word):
        net_of(**options)
