"""BERT beside transformers' own on the same random weights, what padding and neighbours change (nothing), the loss."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.release.weight_files import Weights, tensors_of
from gipi.release.weights import take
from gipi.systems import bert

VOCABULARY, END, PLACES = 90, 3, 24
HEADS = {"words": (0, 0), "classes": (3, 0), "tags": (0, 5)}  # output and tags
THEIRS = {"words": "BertForMaskedLM", "classes": "BertForSequenceClassification", "tags": "BertForTokenClassification"}


def sizes_of(head: str, places: int = PLACES) -> Sizes:
    output, tags = HEADS[head]
    return Sizes((places,), output, vocabulary=VOCABULARY, end=END, tags=tags)


def texts(lengths: tuple[int, ...] = (20, 7, 1, 13), seed: int = 0) -> torch.Tensor:
    """Rows of tokens of these lengths, -1 behind them; those of more than six tokens are pairs."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.full((len(lengths), max(lengths)), -1)
    for row, length in enumerate(lengths):
        x[row, :length] = torch.randint(4, VOCABULARY, (length,), generator=draws)
        x[row, length - 1] = END
        if length > 6:
            x[row, length // 2] = END
    return x


def scattered(net: torch.nn.Module, width: int = 32, seed: int = 1) -> None:
    """Weights far from their beginning, biases and norms too: a part that is left out or misplaced shows.

    As large as trained ones are: those of bert-base, 768 wide, spread by 0.04.
    """
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            center = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            parameter.copy_(center + (1.2 / width) ** 0.5 * torch.randn(parameter.shape, generator=draws))


def reference(head: str, config: bert.Config, labels: int = 3):
    """transformers' network of the same make, in eval mode, with random weights."""
    transformers = pytest.importorskip("transformers", reason="parity: pip install transformers")
    layers, width, heads = bert.size_of(config)
    made = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=PLACES,
        num_labels=labels,
    )
    net = getattr(transformers, THEIRS[head])(made).eval()
    scattered(net, width)
    return net


def asked_of(theirs: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Their logits: the pad token in place of -1, a mask, and the segments that ours finds by itself."""
    is_second = torch.zeros_like(x)
    for row, tokens in enumerate(x.tolist()):
        is_second[row, tokens.index(END) + 1 :] = 1
    with torch.no_grad():
        return theirs(x.clamp(min=0), attention_mask=(x >= 0).long(), token_type_ids=is_second).logits


def loaded(head: str, config: bert.Config, tensors: dict[str, torch.Tensor], places: int = PLACES) -> bert.Net:
    net = bert.Net(sizes_of(head, places), config).eval()
    names, _said = take(net, Weights("theirs", tensors))
    assert names == net.state_dict().keys(), "each weight of ours has one of theirs"
    return net


SMALL = bert.Config(layers=2, width=32, heads=4)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("config", [SMALL, bert.Config("mini")], ids=["2 layers", "mini"])
def test_logits_are_those_of_transformers(head, config):
    x = texts()
    theirs = reference(head, config, sum(HEADS[head]))
    ours = loaded(head, config, theirs.state_dict())
    with torch.no_grad():
        found = ours(x)
    expected = asked_of(theirs, x)
    there = x >= 0 if head != "classes" else slice(None)
    assert expected[there].std() > 0.5, "nothing to compare"
    assert (found - expected)[there].abs().max() < 1e-4


@pytest.mark.slow
def test_logits_of_base_are_those_of_transformers():
    theirs = reference("words", bert.Config("base"))
    ours = loaded("words", bert.Config("base"), theirs.state_dict())
    x = texts()
    with torch.no_grad():
        assert (ours(x) - asked_of(theirs, x))[x >= 0].abs().max() < 1e-4


def test_gradients_are_those_of_transformers():
    theirs = reference("tags", SMALL, 5)
    ours = loaded("tags", SMALL, theirs.state_dict())
    x = texts()
    y = torch.randint(0, 5, x.shape, generator=torch.Generator().manual_seed(2)).where(x >= 0, -100)
    is_second = (x == END).long().cumsum(1) - (x == END).long() > 0
    there = (x >= 0).long()
    theirs(x.clamp(min=0), attention_mask=there, token_type_ids=is_second.long(), labels=y).loss.backward()
    cross_entropy(ours(x).flatten(0, 1), y.flatten()).backward()
    found = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        own = found[name].grad
        assert own is not None and torch.allclose(own, parameter.grad, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("kind", ["as it is", "without the prefix", "gamma and beta", "safetensors of save_pretrained"])
def test_weights_of_published_files_fit(kind, tmp_path):
    """A file may lack `bert.` before each name, or be from the days when norms had gamma and beta."""
    theirs = reference("words", SMALL)
    x = texts()
    expected = asked_of(theirs, x)
    tensors = dict(theirs.state_dict())
    if kind == "safetensors of save_pretrained":
        theirs.save_pretrained(tmp_path)
        tensors = tensors_of(tmp_path / "model.safetensors")
    if kind == "gamma and beta":
        named = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        tensors = {_renamed(name, named): tensor for name, tensor in tensors.items()}
        assert any(name.endswith(".gamma") for name in tensors)
    if kind == "without the prefix":
        tensors = {name.removeprefix("bert."): one for name, one in tensors.items() if name.startswith("bert.")}
        net = bert.Net(sizes_of("words"), SMALL).eval()
        names, said = take(net, Weights("theirs", tensors))
        assert {name for name in net.state_dict() if name.startswith("bert.")} == names
        assert "cls.predictions.bias" in said
        return
    with torch.no_grad():
        assert (loaded("words", SMALL, tensors)(x) - expected)[x >= 0].abs().max() < 1e-4


def _renamed(name: str, named: dict[str, str]) -> str:
    for older, newer in named.items():
        name = name.replace(older, newer)
    return name


def test_a_shorter_network_takes_the_first_places():
    theirs = reference("words", SMALL)
    ours = loaded("words", SMALL, theirs.state_dict(), places=9)
    x = texts((9, 4))
    with torch.no_grad():
        assert (ours(x) - asked_of(theirs, x))[x >= 0].abs().max() < 1e-4


def test_a_longer_network_does_not():
    theirs = reference("words", SMALL)
    net = bert.Net(sizes_of("words", PLACES + 1), SMALL)
    names, said = take(net, Weights("theirs", theirs.state_dict()))
    assert "bert.embeddings.position_embeddings.weight" not in names
    assert "24x32 came, 25x32 is needed" in said


# --- what changes an answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
def test_neither_padding_nor_neighbours_change_an_answer(head):
    net = bert.Net(sizes_of(head), SMALL).eval()
    scattered(net)
    x = texts()
    wide = torch.cat([x, torch.full((len(x), 4), -1)], 1)
    with torch.no_grad():
        together, padded = net(x), net(wide)
        for row, tokens in enumerate(x):
            length = int((tokens >= 0).sum())
            alone = net(tokens[None, :length])[0]
            for many in (together[row], padded[row]):
                assert (alone - (many if head == "classes" else many[:length])).abs().max() < 1e-6 * alone.abs().max()


def test_each_word_sees_both_sides_and_the_segment():
    net = bert.Net(sizes_of("words"), SMALL).eval()
    scattered(net)
    x = torch.arange(5, 17)[None]
    with torch.no_grad():
        before = net(x)
        for place in range(12):
            other = x.clone()
            other[0, place] = 40
            assert ((net(other) - before).abs().amax(2)[0] > 1e-4).all()


@pytest.mark.parametrize("tokens", [[3], [0, 3], [0] + [5] * 22 + [3]])
def test_one_token_and_a_full_text(tokens):
    for head in HEADS:
        net = bert.Net(sizes_of(head), SMALL).eval()
        assert net(torch.tensor([tokens])).isfinite().all()


def test_a_vocabulary_of_one_word():
    sizes = Sizes((8,), 0, vocabulary=4, end=1)
    net = bert.Net(sizes, SMALL)
    player = bert.players(net, SMALL, None, lambda lr: lr)["learner"]
    batch = (torch.tensor([[0, 2, 3, 1]]), torch.tensor([[1]]), torch.tensor([[3]]))
    losses = [player.play(batch, step).item() for step in range(60)]
    assert losses[-1] < 0.5 * losses[0]


# --- the loss ----------------------------------------------------------------------------------------------------


def test_loss_is_the_surprise_at_the_words_asked_for_and_nothing_else():
    torch.manual_seed(0)
    net = bert.Net(sizes_of("words"), SMALL).eval()
    scattered(net)
    x = texts()
    places, y = torch.tensor([[3, 5], [1, 0], [0, 0], [2, 9]]), torch.tensor([[7, 8], [9, -1], [-1, -1], [10, 11]])
    player = bert.players(net, SMALL, None, lambda lr: lr)["learner"]
    log = net(x).log_softmax(2)
    expected = -(log[0, 3, 7] + log[0, 5, 8] + log[1, 1, 9] + log[3, 2, 10] + log[3, 9, 11]) / 5
    assert player.objective((x, places, y)).item() == pytest.approx(expected.item(), rel=1e-5)
    assert int(player.count((x, places, y))) == 5
    nothing = player.objective((x, places, torch.full_like(y, -1)))
    assert nothing.item() == 0.0
    whole = player.differentiate((x, places, y))
    parts = bert.players(net, SMALL, None, lambda lr: lr)["learner"]
    parts.parts = 2
    for one, other in zip(whole, parts._by_parts((x, places, y)), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_sizes_and_what_is_refused():
    assert bert.size_of(bert.Config()) == (2, 128, 2)
    assert bert.size_of(bert.Config("base")) == (12, 768, 12)
    assert bert.size_of(bert.Config(width=192, layers=3)) == (3, 192, 3)
    assert bert.size_of(bert.Config(width=20)) == (2, 20, 1)
    with pytest.raises(UsageError, match="Did you mean 'tiny'"):
        bert.size_of(bert.Config("tyni"))
    with pytest.raises(UsageError, match="5 heads do not share a width of 128"):
        bert.size_of(bert.Config(heads=5))


def test_base_has_as_many_parameters_as_the_paper_says():
    with torch.device("meta"):
        net = bert.Net(Sizes((512,), 2, vocabulary=30522, end=102), bert.Config("base"))
    count = sum(parameter.numel() for parameter in net.bert.parameters())
    assert count == 109_482_240  # the trunk and the pooler: "110M"
