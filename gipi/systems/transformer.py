"""Transformer: words look at all other words at once, and what they find is all that a sentence's meaning is made of.

Vaswani et al., "Attention Is All You Need", 2017, https://arxiv.org/abs/1706.03762; the norm before each part (`--norm
pre`) as in Wang et al., "Learning Deep Transformer Models for Machine Translation", 2019,
https://arxiv.org/abs/1906.01787
Ours differs: the norm stands before each part unless it is asked for behind it; there are sizes below the paper's; with
classes or numbers to be told instead of a text, the encoder alone reads, and its mean over the words is what is told
from. The parameters of the layers have the names and shapes of torch.nn.Transformer's.

B rows, K hypotheses of a row, S source tokens, T target tokens, D width, V target vocabulary
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.training.player import learner, translator

tasks = ("translate", "classify", "regress")
kinds = ("text",)
defaults = {
    "epochs": 10,
    "batch_size": 64,
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
    "clip": 1.0,
    "vocabulary": 4000,
}

# layers of the encoder and of the decoder, D, heads; base and big are the paper's table 3
SIZES = {"mini": (2, 128, 4), "small": (3, 256, 4), "medium": (4, 384, 6), "base": (6, 512, 8), "big": (6, 1024, 16)}


@dataclass(frozen=True)
class Config:
    size: str = "mini"  # mini, small, medium, base or big
    norm: str = "pre"  # pre: before each part, which needs no care; post: behind it, as in the paper
    tied: bool = True  # one vocabulary and one table of embeddings for both languages and for the output
    dropout: float = 0.1  # share of what each layer gives that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 2e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step
    beams: int = 4  # beginnings of a translation that are kept while it is looked for; 1: the greedy way
    length_penalty: float = 0.6  # how much the length of a translation is forgiven; 0: not, so short ones win


class Attention(nn.Module):
    """Places ask other places, in several heads; the parameters are those of torch.nn.MultiheadAttention."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def ask(self, x: Tensor) -> Tensor:
        """What places `(B, T, D)` look for, `(B, heads, T, D / heads)`."""
        width = x.shape[2]
        return self._split(linear(x, self.in_proj_weight[:width], self.in_proj_bias[:width]))

    def remember(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What places are found by, and what they then give; each `(B, heads, T, D / heads)`."""
        width = x.shape[2]
        keys, values = linear(x, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, 2)
        return self._split(keys), self._split(values)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(
        self, asked: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """What was found, `(B, T, D)`; the mask is true where there is something."""
        found = scaled_dot_product_attention(asked, keys, values, mask, is_causal=is_causal)
        return self.out_proj(found.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """All words of the source look at each other, then two linear layers at each; both add to what they are given."""

    def __init__(self, width: int, heads: int, config: Config):
        super().__init__()
        self.is_pre = config.norm == "pre"
        self.self_attn = Attention(width, heads)
        self.linear1, self.linear2 = wide(width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # (B, S, D), (B, 1, 1, S)
        def look(x: Tensor) -> Tensor:
            return self.dropout(self.self_attn(self.self_attn.ask(x), *self.self_attn.remember(x), mask))

        x = added(x, look, self.norm1, self.is_pre)
        return added(x, lambda x: self.dropout(self.linear2(self.linear1(x).relu())), self.norm2, self.is_pre)


class DecoderLayer(nn.Module):
    """Each word of the target looks at those before it, then at the source, then two linear layers at each."""

    def __init__(self, width: int, heads: int, config: Config):
        super().__init__()
        self.is_pre = config.norm == "pre"
        self.self_attn, self.multihead_attn = Attention(width, heads), Attention(width, heads)
        self.linear1, self.linear2 = wide(width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _part in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, source: tuple[Tensor, Tensor], mask: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Words of the target `(B K, T, D)`, or the next one `(B K, 1, D)` and what those before it are found by."""
        now: list[tuple[Tensor, Tensor]] = []

        def look_back(x: Tensor) -> Tensor:
            keys, values = self.self_attn.remember(x)
            if past is not None:
                keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
            now.append((keys, values))
            return self.dropout(self.self_attn(self.self_attn.ask(x), keys, values, is_causal=past is None))

        def look_across(x: Tensor) -> Tensor:
            keys, values = source  # (B, heads, S, D / heads): the K hypotheses of a row ask them side by side
            rows, places = len(keys), x.shape[1]
            asked = self.multihead_attn.ask(x.reshape(rows, -1, x.shape[2]))
            return self.dropout(self.multihead_attn(asked, keys, values, mask)).reshape(-1, places, x.shape[2])

        x = added(x, look_back, self.norm1, self.is_pre)
        x = added(x, look_across, self.norm2, self.is_pre)
        x = added(x, lambda x: self.dropout(self.linear2(self.linear1(x).relu())), self.norm3, self.is_pre)
        return x, now[0]


def added(x: Tensor, part, norm: nn.Module, is_pre: bool) -> Tensor:
    """What a part of a layer adds, with the norm before it or behind both."""
    return x + part(norm(x)) if is_pre else norm(x + part(x))


def wide(width: int) -> tuple[nn.Linear, nn.Linear]:
    """The two linear layers of a place: four times as wide, and back."""
    up, down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    for layer in (up, down):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return up, down


def sinusoids(places: int, width: int) -> Tensor:
    """Where a place is, `(places, D)`: sines and cosines of ever longer waves; section 3.5.

    Example:
        >>> sinusoids(2, 4)
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    slower = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10_000) / width))
    angles = torch.arange(places, dtype=torch.float64)[:, None] * slower
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1).float()


class Net(nn.Module):
    """Reads a text `(B, S)`, -1 behind its end; tells classes or numbers, or goes on with its translation."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        layers, width, heads = size_of(config.size)
        if config.norm not in ("pre", "post"):
            raise UsageError(_("the norm of a transformer is pre or post, not '{name}'", name=config.norm))
        self.embedding = table(sizes.vocabulary, width)
        self.encoder = nn.ModuleList(EncoderLayer(width, heads, config) for _layer in range(layers))
        self.norm = nn.LayerNorm(width) if config.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("places", sinusoids(max(sizes.input[0], 512), width), persistent=False)
        self.told = nn.Linear(width, sizes.output) if sizes.output else None
        if self.told is not None:  # it begins by giving each class its share
            nn.init.zeros_(self.told.weight)
            nn.init.zeros_(self.told.bias)
            return
        is_one = config.tied and sizes.target_vocabulary == sizes.vocabulary
        self.target_embedding = None if is_one else table(sizes.target_vocabulary, width)
        self.decoder = nn.ModuleList(DecoderLayer(width, heads, config) for _layer in range(layers))
        self.target_norm = nn.LayerNorm(width) if config.norm == "pre" else nn.Identity()
        self.output = None if config.tied else nn.Linear(width, sizes.target_vocabulary, bias=False)
        if self.output is not None:
            nn.init.normal_(self.output.weight, std=width**-0.5)

    def forward(self, x: Tensor, said: Tensor | None = None) -> Tensor:
        """Scores of the classes `(B, output)`; of a translation, of what follows each of `said` `(B, T)`: `(B, T, V)`.

        Nothing said stands for token 0, which begins a text.
        """
        seen, mask = self.encode(x)
        if self.told is not None:
            there = mask[:, 0, 0, :, None].to(seen.dtype)  # (B, S, 1)
            return self.told(self.dropout((seen * there).sum(1) / there.sum(1)))
        y = self.begin(self.words, x.new_zeros(len(x), 1) if said is None else said)
        for layer in self._decoders():
            y, _past = layer(y, layer.multihead_attn.remember(seen), mask)
        return self.scores(y)

    @property
    def words(self) -> nn.Embedding:
        """The embeddings of the target."""
        return self.embedding if self.target_embedding is None else self.target_embedding

    def _decoders(self) -> list[DecoderLayer]:
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def scores(self, y: Tensor) -> Tensor:
        """What the decoder comes to, `(B, T, D)`, as scores of the next token."""
        return linear(self.target_norm(y), self.words.weight if self.output is None else self.output.weight)

    def begin(self, embedding: nn.Embedding, tokens: Tensor, first: int = 0) -> Tensor:
        """Tokens as vectors `(B, T, D)` that say what they are and where: from the place `first` on."""
        last = first + tokens.shape[1]
        if last > len(self.places):
            self.places = sinusoids(2 * last, self.places.shape[1]).to(self.places)
        x = embedding(tokens.clamp(min=0)) * math.sqrt(embedding.embedding_dim)
        return self.dropout(x + self.places[first:last])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder makes of the source, `(B, S, D)`, and where there is something, `(B, 1, 1, S)`."""
        mask = (x >= 0)[:, None, None]
        seen = self.begin(self.embedding, x)
        for layer in self.encoder:
            seen = layer(seen, mask)
        return self.norm(seen), mask

    # --- one token after the other

    def read(self, x: Tensor) -> list[Tensor]:
        """The source as the decoder looks at it: the mask, then keys and values of each layer."""
        seen, mask = self.encode(x)
        return [mask, *(part for layer in self._decoders() for part in layer.multihead_attn.remember(seen))]

    def state(self, source: list[Tensor]) -> list[Tensor]:
        """What has been said: nothing. Keys and values of each layer, `(B, heads, 0, D / heads)`."""
        return [part[:, :, :0] for part in source[1:]]

    def follow(self, said: Tensor, source: list[Tensor], state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Scores `(B K, V)` of what follows the token `(B K,)` said last, and what has been said then."""
        mask, parts = source[0], source[1:]
        y = self.begin(self.words, said[:, None], state[0].shape[2])
        now: list[Tensor] = []
        for place, layer in enumerate(self._decoders()):
            pair = slice(2 * place, 2 * place + 2)
            y, kept = layer(y, tuple(parts[pair]), mask, tuple(state[pair]))
            now += kept
        return self.scores(y)[:, 0], now

    def attended(self, x: Tensor, said: Tensor) -> Tensor:
        """How much each token of `said` looks at each of the source, `(B, T, S)`: the last layer's heads, averaged."""
        found: list[Tensor] = []

        def look(_part: nn.Module, given: tuple[Tensor, ...], _made: Tensor) -> None:
            asked, keys, _values, mask = given
            scores = asked @ keys.transpose(2, 3) / math.sqrt(keys.shape[3])  # (B, heads, T, S)
            found.append(scores.masked_fill(~mask, -torch.inf).softmax(3).mean(1))

        hook = self._decoders()[-1].multihead_attn.register_forward_hook(look)
        try:
            self.forward(x, said)
        finally:
            hook.remove()
        return found[0]


def table(vocabulary: int, width: int) -> nn.Embedding:
    """An embedding whose vectors have a length of about one."""
    made = nn.Embedding(vocabulary, width)
    nn.init.normal_(made.weight, std=width**-0.5)
    return made


def size_of(size: str) -> tuple[int, int, int]:
    """Layers, width and heads of a size by its name."""
    if size not in SIZES:
        known = ", ".join(SIZES)
        said = _("there is no size '{name}' of a transformer; there are {known}.", name=size, known=known)
        raise UsageError(said + nearest(size, list(SIZES)))
    return SIZES[size]


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small, for batches `(x, y)`: y a class or number, or a translation."""
    return (translator if net.told is None else learner)(net, loss, from_config(config, schedule))
