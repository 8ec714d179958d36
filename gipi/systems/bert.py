"""BERT: every word of a text read in the light of all others, on both sides; learned by guessing words left out.

Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018,
https://arxiv.org/abs/1810.04805; the sizes below base from Turc et al. 2019, https://arxiv.org/abs/1908.08962
Ours differs: no next-sentence task (Liu et al. 2019, RoBERTa, found that it does not help); the words to be guessed are
drawn anew each time that a text is seen; no pad token exists, a place without one is -1; narrow networks begin with
larger weights, with which they learn at once and not after thousands of steps. The parameters have the names and shapes
of the library transformers, so published weights fit.

`Sizes` choose the head: `output` numbers for a text, `tags` scores for each token, else a score for each word of the
vocabulary at each place.

B batch, T tokens, D width, V vocabulary, K outputs or tags, M masked places of a text
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, linear, scaled_dot_product_attention

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.training.player import Player, learner

tasks = ("fill", "classify", "regress", "tag")
kinds = ("text",)
defaults = {"epochs": 12, "batch_size": 32, "schedule": "one-cycle", "tokenizer": "wordpiece", "context": 128}

# layers, D, heads: tiny to medium are table 1 of Turc et al., base and large section 3 of the paper
SIZES = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}
EPSILON = 1e-12  # of the norms
SPREAD = 0.02 * 768**0.5  # of the weights at their beginning, over the root of D: at 768 as in the paper's code


@dataclass(frozen=True)
class Config:
    size: str = "tiny"  # tiny, mini, small, medium, base or large: layers, width and heads
    layers: int | None = None  # by the size if not given
    width: int | None = None  # numbers that each token is at each layer; by the size if not given
    heads: int | None = None  # of the attention; by the size if not given, or one for each 64 of the width
    dropout: float = 0.1  # share of what each layer gives that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 1e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


class Embeddings(nn.Module):
    """What a token is, where it stands, and in which of two texts: `(B, T)` to `(B, T, D)`."""

    def __init__(self, vocabulary: int, places: int, width: int, end: int, dropout: float):
        super().__init__()
        self.end = end
        self.word_embeddings = nn.Embedding(vocabulary, width)
        self.position_embeddings = nn.Embedding(places, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        is_end = (x == self.end).long()
        segment = (is_end.cumsum(1) - is_end).clamp(max=1)  # (B, T): 0 up to and with the first end, then 1
        where = self.position_embeddings(torch.arange(x.shape[1], device=x.device))  # (T, D)
        return self.dropout(
            self.LayerNorm(self.word_embeddings(x.clamp(min=0)) + where + self.token_type_embeddings(segment))
        )


class Attention(nn.Module):
    """Each token asks all tokens that are there, in several heads: `(B, T, D)` to the same."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _part in range(3))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        parts = (part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        query, key, value = parts  # each (B, heads, T, D / heads)
        dropout = self.dropout if self.training else 0.0
        found = scaled_dot_product_attention(query, key, value, there[:, None, None], dropout)
        return found.transpose(1, 2).flatten(2)


class Added(nn.Module):
    """What was found, brought to the width, added to what there was, and normalized."""

    def __init__(self, inputs: int, width: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, found: Tensor, x: Tensor) -> Tensor:
        return self.LayerNorm(x + self.dropout(self.dense(found)))


class Layer(nn.Module):
    """Attention, then two linear layers at each place; both are added to what they are given."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        attention = {"self": Attention(width, heads, dropout), "output": Added(width, width, dropout)}
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, 4 * width)})
        self.output = Added(4 * width, width, dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:  # (B, T, D), (B, T)
        x = self.attention["output"](self.attention["self"](x, there), x)
        return self.output(gelu(self.intermediate["dense"](x)), x)


class Trunk(nn.Module):
    """Tokens `(B, T)`, -1 where there is none, as what they mean in this text: `(B, T, D)`."""

    def __init__(self, sizes: Sizes, layers: int, width: int, heads: int, dropout: float):
        super().__init__()
        self.embeddings = Embeddings(sizes.vocabulary, sizes.input[0], width, sizes.end, dropout)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(width, heads, dropout) for _l in range(layers))})
        if sizes.output:
            self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, x: Tensor) -> Tensor:
        there = x >= 0
        x = self.embeddings(x)
        for layer in self.encoder["layer"]:  # type: ignore[attr-defined]
            x = layer(x, there)
        return x


class Words(nn.Module):
    """Which word may stand where the text means x: `(..., D)` to the score of each vocabulary word, `(..., V)`."""

    def __init__(self, vocabulary: int, width: int):
        super().__init__()
        self.transform = nn.ModuleDict({"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, EPSILON)})
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, x: Tensor, embeddings: Tensor) -> Tensor:  # (V, D): what each word is at the beginning
        return linear(self.transform["LayerNorm"](gelu(self.transform["dense"](x))), embeddings, self.bias)


class Net(nn.Module):
    """The trunk, and the head that the sizes ask for."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        layers, width, heads = size_of(config)
        self.sizes = sizes
        self.bert = Trunk(sizes, layers, width, heads, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        if sizes.output or sizes.tags:
            self.classifier = nn.Linear(width, sizes.output or sizes.tags)
        else:
            self.cls = nn.ModuleDict({"predictions": Words(sizes.vocabulary, width)})
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=SPREAD / width**0.5)
            if isinstance(part, nn.Linear):
                nn.init.zeros_(part.bias)

    def forward(self, x: Tensor) -> Tensor:  # (B, T) -> (B, K) | (B, T, K) | (B, T, V)
        x = self.bert(x)
        if self.sizes.output:
            return self.classifier(self.dropout(self.bert.pooler["dense"](x[:, 0]).tanh()))
        if self.sizes.tags:
            return self.classifier(self.dropout(x))
        return self.cls["predictions"](x, self.bert.embeddings.word_embeddings.weight)

    def guesses(self, x: Tensor, places: Tensor) -> Tensor:
        """Scores at some places alone, `(B, T)` and `(B, M)` to `(B, M, V)`: at all of them is a waste in training."""
        x = self.bert(x)
        asked = x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))  # (B, M, D)
        return self.cls["predictions"](asked, self.bert.embeddings.word_embeddings.weight)


def size_of(config: Config) -> tuple[int, int, int]:
    """Layers, width and heads: by the size's name, but for what is said besides.

    Raises:
        UsageError: There is no such size, or the heads do not share the width evenly.
    """
    if config.size not in SIZES:
        known = ", ".join(SIZES)
        said = _("there is no size '{name}' of bert; there are {known}.", name=config.size, known=known)
        raise UsageError(said + nearest(config.size, list(SIZES)))
    layers, width, heads = SIZES[config.size]
    if config.width is not None:
        width, heads = config.width, max(1, config.width // 64)
    layers, heads = config.layers or layers, config.heads or heads
    if width % heads:
        raise UsageError(
            _("{heads} heads do not share a width of {width} evenly; choose others", heads=heads, width=width)
        )
    return layers, width, heads


def players(net: Net, config: Config, loss, schedule) -> dict[str, Player]:
    """One learner that wants the loss small; of masked words `(x, places, y)` it is the surprise at each word y."""
    optimizer = from_config(config, schedule)
    if net.sizes.output or net.sizes.tags:
        return learner(net, loss, optimizer)
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]

    def objective(batch: tuple[Tensor, ...]) -> Tensor:  # (B, T), (B, M), (B, M): y is -1 where nothing is asked
        x, places, y = batch
        surprise = cross_entropy(net.guesses(x, places).flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum")
        return surprise / asked(batch).clamp(min=1)

    return {"learner": Player(params, objective, optimizer(params), count=asked)}


def asked(batch: tuple[Tensor, ...]) -> Tensor:
    """How many words of a batch are to be guessed."""
    return (batch[2] >= 0).sum()
