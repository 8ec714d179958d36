"""The transformer: attention in NumPy, torch's layers and Marian with the same weights, what padding must not do."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gipi import losses
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.systems import transformer

SIZES = Sizes((20,), 0, vocabulary=30, target_vocabulary=30, end=1)


def build(config=None, sizes=SIZES, seed=0):
    torch.manual_seed(seed)
    return transformer.Net(sizes, config or transformer.Config(size="mini", dropout=0.0)).eval()


def texts(lengths, seed=0, width=None):
    """Rows of random tokens, each `[begin] ... [end]`, -1 behind it."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.full((len(lengths), width or max(lengths)), -1)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.cat(
            [torch.tensor([0]), torch.randint(3, 30, (length - 2,), generator=draw), torch.tensor([1])]
        )
    return rows


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def test_attention_is_equation_1():
    part = transformer.Attention(8, 2).eval()
    x, memory = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in ((2, 3, 8), (2, 5, 8)))
    there = torch.tensor([[True] * 5, [True, True, True, False, False]])
    with torch.no_grad():
        found = part(part.ask(x), *part.remember(memory), there[:, None, None]).numpy()
    weight, bias = part.in_proj_weight.detach().numpy(), part.in_proj_bias.detach().numpy()
    wq, wk, wv = np.split(weight, 3)
    bq, bk, bv = np.split(bias, 3)
    for row in range(2):
        q, k, v = x[row].numpy() @ wq.T + bq, memory[row].numpy() @ wk.T + bk, memory[row].numpy() @ wv.T + bv
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = q[:, head] @ k[:, head].T / math.sqrt(4)
            scores[:, ~there[row].numpy()] = -np.inf
            heads.append(softmax(scores) @ v[:, head])
        by_hand = (
            np.concatenate(heads, 1) @ part.out_proj.weight.detach().numpy().T + part.out_proj.bias.detach().numpy()
        )
        assert np.abs(found[row] - by_hand).max() < 1e-6


def test_places_are_the_papers():
    made = transformer.sinusoids(50, 16).numpy()
    for place in (0, 1, 7, 49):
        for i in range(8):
            angle = place / 10_000 ** (2 * i / 16)
            assert made[place, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert made[place, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_layers_are_torchs(norm):
    """The same names, the same shapes, the same answers."""
    config = transformer.Config(norm=norm, dropout=0.0)
    torch.manual_seed(0)
    ours, ours_down = transformer.EncoderLayer(16, 4, config).eval(), transformer.DecoderLayer(16, 4, config).eval()
    for part in (ours, ours_down):
        for name, p in part.named_parameters():
            if "norm" in name or "bias" in name:  # not as they begin
                nn.init.normal_(p, mean=float("norm" in name and "weight" in name), std=0.2)
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm == "pre"}
    theirs = nn.TransformerEncoderLayer(16, 4, 64, **options).eval()
    theirs.load_state_dict(ours.state_dict())
    theirs_down = nn.TransformerDecoderLayer(16, 4, 64, **options).eval()
    theirs_down.load_state_dict(ours_down.state_dict())
    x, y = torch.randn(3, 7, 16), torch.randn(3, 5, 16)
    there = torch.arange(7) < torch.tensor([[7], [4], [2]])
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    seen = ours(x, there[:, None, None])
    expected = theirs(x, src_key_padding_mask=~there)
    assert torch.allclose(seen[there], expected[there], atol=1e-5)
    made, _past = ours_down(y, ours_down.multihead_attn.remember(seen), there[:, None, None])
    wanted = theirs_down(y, seen, tgt_mask=causal, memory_key_padding_mask=~there)
    assert torch.allclose(made, wanted, atol=1e-5)


def test_the_whole_is_marians():
    """`transformers`' MarianMT: the norm behind each part, sinusoids, one table of embeddings."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.MarianConfig(
        vocab_size=30, decoder_vocab_size=30, d_model=128, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=512,
        decoder_ffn_dim=512, encoder_attention_heads=4, decoder_attention_heads=4, activation_function="relu",
        scale_embedding=True, max_position_embeddings=64, pad_token_id=2, eos_token_id=1, decoder_start_token_id=0,
        share_encoder_decoder_embeddings=True, tie_word_embeddings=True,
    )  # fmt: skip
    theirs = transformers.MarianMTModel(config).eval()
    net = build(transformer.Config(size="mini", norm="post", dropout=0.0))
    with torch.no_grad():
        net.embedding.weight.copy_(theirs.model.shared.weight)
        for side in ("encoder", "decoder"):
            getattr(theirs.model, side).embed_positions.weight.copy_(transformer.sinusoids(64, 128))
            for ours, layer in zip(getattr(net, side), getattr(theirs.model, side).layers, strict=True):
                parts = [("self_attn", layer.self_attn, layer.self_attn_layer_norm)]
                if side == "decoder":
                    parts.append(("multihead_attn", layer.encoder_attn, layer.encoder_attn_layer_norm))
                norms = iter((ours.norm1, ours.norm2, getattr(ours, "norm3", None)))
                for name, attention, norm in parts:
                    own, three = getattr(ours, name), (attention.q_proj, attention.k_proj, attention.v_proj)
                    own.in_proj_weight.copy_(torch.cat([one.weight for one in three]))
                    own.in_proj_bias.copy_(torch.cat([one.bias for one in three]))
                    own.out_proj.load_state_dict(attention.out_proj.state_dict())
                    next(norms).load_state_dict(norm.state_dict())
                next(norms).load_state_dict(layer.final_layer_norm.state_dict())
                ours.linear1.load_state_dict(layer.fc1.state_dict())
                ours.linear2.load_state_dict(layer.fc2.state_dict())
        x, said = texts([9, 5, 2]), texts([6, 6, 6], seed=3)
        there = (x >= 0).long()
        wanted = theirs(input_ids=x.clamp(min=0), attention_mask=there, decoder_input_ids=said).logits
        assert torch.allclose(net(x, said), wanted, atol=1e-4)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("output", [0, 3])
def test_padding_and_neighbours_change_nothing(norm, output):
    sizes = Sizes((20,), output, vocabulary=30, target_vocabulary=30, end=1)
    net = build(transformer.Config(size="mini", norm=norm), sizes)
    if output:
        nn.init.normal_(net.told.weight)
    x, said = texts([12, 5, 2]), texts([7, 7, 7], seed=1)
    wide = torch.cat([x, torch.full((3, 6), -1)], 1)
    given = () if output else (said,)
    with torch.no_grad():
        together = net(x, *given)
        assert torch.allclose(net(wide, *given), together, atol=1e-6)
        alone = net(x[1:2, :5], *(one[1:2] for one in given))
        assert torch.allclose(alone[0], together[1], atol=1e-6)


def test_no_word_looks_ahead():
    net = build()
    x, said = texts([6]), texts([8], seed=1)
    other = said.clone()
    other[0, 5:] = 4
    with torch.no_grad():
        assert torch.equal(net(x, said)[:, :5], net(x, other)[:, :5])


@pytest.mark.parametrize("config", [{}, {"norm": "post"}, {"tied": False}])
def test_following_with_a_cache_is_writing_at_once(config):
    net = build(transformer.Config(size="mini", dropout=0.0, **config))
    x, said = texts([12, 5, 2]), texts([7, 7, 7], seed=1)
    with torch.no_grad():
        whole = net(x, said)
        source = net.read(x)
        state = [part.repeat_interleave(2, 0) for part in net.state(source)]  # two hypotheses of each row
        for place in range(7):
            scores, state = net.follow(said[:, place].repeat_interleave(2), source, state)
            assert torch.allclose(scores[::2], whole[:, place], atol=1e-5)
            assert torch.allclose(scores[1::2], whole[:, place], atol=1e-5)


def test_what_is_looked_at_sums_to_one_and_leaves_padding_out():
    net = build()
    x, said = texts([9, 4]), texts([5, 5], seed=1)
    with torch.no_grad():
        found = net.attended(x, said)
    assert found.shape == (2, 5, 9)
    assert torch.allclose(found.sum(2), torch.ones(2, 5)) and not found[1, :, 4:].any()


def test_texts_longer_than_the_table_of_places_are_read():
    net = build()
    x = texts([700])
    with torch.no_grad():
        seen, _mask = net.encode(x)
    assert seen.shape == (1, 700, 128) and torch.allclose(net.places[:700], transformer.sinusoids(700, 128))


def test_tied_tables_are_one():
    assert build().output is None and build().target_embedding is None
    apart = build(transformer.Config(size="mini", tied=False))
    assert apart.output is not None and apart.target_embedding is not None
    other = build(sizes=Sizes((20,), 0, vocabulary=30, target_vocabulary=40, end=1))
    assert other.target_embedding is not None and other(texts([4])).shape == (1, 1, 40)


@pytest.mark.parametrize("wrong", [{"size": "tall"}, {"norm": "batch"}])
def test_what_is_not_there_is_said(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong.values()))):
        transformer.Net(SIZES, transformer.Config(**wrong))


def test_it_learns_to_turn_texts_round():
    """The last word first. Who knows nothing of the source has a loss of 1.76: log 9 for four of five tokens."""
    config = transformer.Config(size="mini", dropout=0.0, lr=1e-3)
    net = build(config).train()
    loss = lambda output, y: losses.cross_entropy(output.flatten(0, 1), y.flatten())  # noqa: E731
    (player,) = transformer.players(net, config, loss, lambda lr: lambda step: lr).values()
    draw = torch.Generator().manual_seed(0)
    found = []
    for step in range(90):
        words = torch.randint(3, 12, (32, 4), generator=draw)
        begin, end = torch.zeros(32, 1, dtype=torch.int64), torch.ones(32, 1, dtype=torch.int64)
        turned = words.flip(1)
        batch = torch.cat([begin, words, end], 1), torch.cat([begin, turned, end], 1)
        found.append(player.play(batch, step).item())
    assert np.mean(found[-10:]) < 0.8 < 1.76 < found[0]
