"""GPT: a text goes on, token by token, each guessed from all before it by layers of attention.

Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019; parameters have the names and the
layout of its published weights, which fit where `--size` names their size (gpt2, gpt2-medium, gpt2-large, gpt2-xl).
Ours differs in the sizes below those: positions are turned into the queries and keys (Su et al. 2021, "RoFormer",
https://arxiv.org/abs/2104.09864), the activation is a squared ReLU (So et al. 2021, "Primer",
https://arxiv.org/abs/2109.08668), what each layer adds begins at zero, and the matrices move by Muon, all else by AdamW
(Jordan 2024, https://kellerjordan.github.io/posts/muon/). Together they learn the same in a third of the steps.

B batch, T tokens, V vocabulary, D width, H heads, d = D / H, C context: the longest text that is looked at
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from gipi.algorithms.optimizers import STEP_SIZES, FirstOrder, from_config
from gipi.algorithms.together import Together
from gipi.algorithms.updates import Rule, adamw, muon_of_layers
from gipi.data.schema import Sizes
from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.training.player import Player, learner

tasks = ("write", "chat")
kinds = ("text",)
defaults = {"steps": 2000, "batch_size": 32, "schedule": "linear", "context": 64}
recipes = {
    "quick": {"steps": 300, "batch_size": 12, "schedule": "linear", "context": 64, "size": "tiny"},
}

# layers, D, heads; those of GPT-2 are its table 2
SIZES = {
    "mini": (2, 64, 2),
    "tiny": (4, 128, 4),
    "small": (6, 384, 6),
    "gpt2": (12, 768, 12),
    "gpt2-medium": (24, 1024, 16),
    "gpt2-large": (36, 1280, 20),
    "gpt2-xl": (48, 1600, 25),
}
SPREAD = 0.02  # standard deviation of weights at their beginning: GPT-2's code
MOMENTUM, ADAMW = 0.9, 1.0  # of Muon; AdamW's step size beside Muon's: both tried on tiny shakespeare
BASE = 10_000.0  # of the wavelengths of positions: RoFormer, section 3.2.2


@dataclass(frozen=True)
class Config:
    size: str = "tiny"  # mini, tiny, small, gpt2, gpt2-medium, gpt2-large, gpt2-xl: sets layers, heads and width
    layers: int | None = None  # by the size if not given
    width: int | None = None  # numbers that each token is at each layer; by the size if not given
    heads: int | None = None  # of each layer's attention; by the size if not given
    positions: Literal["auto", "learned", "rotary"] = "auto"  # auto: learned in the sizes of GPT-2, else rotary
    activation: str = "auto"  # gelu (as GPT-2 computes it) or relu2, a squared relu; auto: gelu in the sizes of GPT-2
    dropout: float = 0.0  # share of what each layer gives that is switched off at each step
    optimizer: str = "muon"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 0.02  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.0  # shrinks the weights at each step


class Shape(NamedTuple):
    """What a Config comes to."""

    layers: int
    width: int
    heads: int
    is_rotary: bool
    is_gelu: bool
    dropout: float


def shape_of(config: Config) -> Shape:
    """Layers, width, heads, positions and activation of a configuration.

    Raises:
        UsageError: There is no such size or activation; the width cannot be cut into so many heads.
    """
    if config.size not in SIZES:
        known = ", ".join(SIZES)
        said = _("there is no size '{name}' of a gpt; there are {known}.", name=config.size, known=known)
        raise UsageError(said + nearest(config.size, list(SIZES)))
    if config.activation not in ("auto", "gelu", "relu2"):
        raise UsageError(_("a gpt's activation is gelu or relu2; '{name}' came", name=config.activation))
    layers, width, heads = SIZES[config.size]
    layers, width, heads = (
        config.layers or layers,
        config.width or width,
        config.heads or heads,
    )
    is_published = config.size.startswith("gpt2")
    is_rotary = config.positions == "rotary" or (config.positions == "auto" and not is_published)
    is_gelu = config.activation == "gelu" or (config.activation == "auto" and is_published)
    if min(layers, width, heads) < 1 or width % heads or (is_rotary and width // heads % 2):
        text = _("a width of {width} cannot be cut into {heads} heads of an even size", width=width, heads=heads)
        raise UsageError(text)
    return Shape(layers, width, heads, is_rotary, is_gelu, config.dropout)


class Linear(nn.Module):
    """`x W + b`, with W `(inputs, outputs)` as GPT-2's weights were published."""

    def __init__(self, inputs: int, outputs: int, spread: float):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs).normal_(std=spread))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:  # (B, T, inputs) -> (B, T, outputs)
        B, T, inputs = x.shape
        return torch.addmm(self.bias, x.view(B * T, inputs), self.weight).view(B, T, -1)


def through(layer: Linear) -> Callable[[Tensor], Tensor]:
    """A layer as a function of `(n, inputs)`, its parameters at hand: of one token, to find them takes as long."""
    weight, bias = layer.weight, layer.bias
    return lambda x: torch.addmm(bias, x, weight)


def normed(norm: nn.LayerNorm) -> Callable[[Tensor], Tensor]:
    shape, weight, bias, least = norm.normalized_shape, norm.weight, norm.bias, norm.eps
    return lambda x: torch.layer_norm(x, shape, weight, bias, least)


class Here(NamedTuple):
    """Where new tokens stand, and what of the memory they may look at.

    Attributes:
        places: `(n,)`, of the new tokens.
        mask: `(n, stop)`, true where a token may look; None: everywhere.
    """

    places: Tensor
    mask: Tensor | None


Follow = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]
Turn = tuple[Tensor, Tensor]  # cosines and sines, each (T, d / 2)
MaybeTurn = Turn | None  # the compiler cannot see this made inside a function


def turned(x: Tensor, turn: Turn) -> Tensor:
    """Each pair of numbers `i` and `i + d / 2` of `(..., T, d)` turned by the angle of its place and pair."""
    cosine, sine = turn
    one, other = x.chunk(2, -1)
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], -1)


def split(parts: Tensor, turn: Turn | None, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, `(B, H, T, d)` each, of `(B, T, 3 D)`."""
    B, T, width = parts.shape
    query, key, value = parts.view(B, T, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4).unbind()
    return (query, key, value) if turn is None else (turned(query, turn), turned(key, turn), value)


class Attention(nn.Module):
    """Each token asks those before it, and itself, in several heads: `(B, T, D)` to the same."""

    def __init__(self, shape: Shape, spread: float):
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.c_attn = Linear(shape.width, 3 * shape.width, SPREAD)
        self.c_proj = Linear(shape.width, shape.width, spread)

    def forward(self, x: Tensor, turn: Turn | None) -> Tensor:
        query, key, value = split(self.c_attn(x), turn, self.heads)
        off = self.dropout if self.training else 0.0
        found = scaled_dot_product_attention(query, key, value, dropout_p=off, is_causal=True)
        return self.c_proj(found.transpose(1, 2).flatten(2))


class Perceptrons(nn.Module):
    """Two linear layers at each token, the one between four times as wide."""

    def __init__(self, shape: Shape, spread: float):
        super().__init__()
        self.is_gelu = shape.is_gelu
        self.c_fc = Linear(shape.width, 4 * shape.width, SPREAD)
        self.c_proj = Linear(4 * shape.width, shape.width, spread)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.bend(self.c_fc(x)))

    def bend(self, x: Tensor) -> Tensor:
        return gelu(x, approximate="tanh") if self.is_gelu else x.relu().square()


class Layer(nn.Module):
    """Attention, then two linear layers at each token; both add to what they are given."""

    def __init__(self, shape: Shape, spread: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width)
        self.attn = Attention(shape, spread)
        self.ln_2 = nn.LayerNorm(shape.width)
        self.mlp = Perceptrons(shape, spread)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, turn: Turn | None) -> Tensor:
        x = x + self.dropout(self.attn(self.ln_1(x), turn))
        return x + self.dropout(self.mlp(self.ln_2(x)))

    def reader(self) -> Callable[[Tensor, Turn | None, Tensor, Tensor, Here], Tensor]:
        """The same for new tokens `(B n, D)` behind those in memory, `(B, 2, H, C, d)`, which gets theirs."""
        attn, mlp = self.attn, self.mlp
        before, between = normed(self.ln_1), normed(self.ln_2)
        ask, answer, widen, narrow = map(through, (attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj))

        def read(x: Tensor, turn: MaybeTurn, room: Tensor, seen: Tensor, here: Here) -> Tensor:
            B, _two, H, _room, d = room.shape
            parts = ask(before(x)).view(B, -1, 3, H, d).permute(0, 2, 3, 1, 4)
            if turn is not None:
                parts = torch.cat([turned(parts[:, :2], turn), parts[:, 2:]], 1)
            room.index_copy_(3, here.places, parts[:, 1:])
            keys, values = seen.unbind(1)
            found = scaled_dot_product_attention(parts[:, 0], keys, values, here.mask)  # (B, H, n, d)
            x = x + answer(found.transpose(1, 2).reshape(x.shape))
            return x + narrow(mlp.bend(widen(between(x))))

        return read


class Net(nn.Module):
    """Tokens and their places, layers, and a score for each token of the vocabulary, by the same table as it was read.

    Attributes:
        context: How many tokens it can look at.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        shape = shape_of(config)
        (self.context,) = sizes.input
        self.heads, self.is_rotary = shape.heads, shape.is_rotary
        self.wte = nn.Embedding(sizes.vocabulary, shape.width)
        if shape.is_rotary:
            half = shape.width // shape.heads // 2
            angle = torch.outer(torch.arange(self.context), BASE ** (-torch.arange(half) / half))
            self.register_buffer("cosine", angle.cos(), persistent=False)  # (C, d / 2)
            self.register_buffer("sine", angle.sin(), persistent=False)
        else:
            self.wpe = nn.Embedding(self.context, shape.width)
            nn.init.normal_(self.wpe.weight, std=SPREAD)
        self.drop = nn.Dropout(shape.dropout)
        # GPT-2, section 2.3: what layers add is smaller, the more there are
        spread = SPREAD / math.sqrt(2 * shape.layers) if shape.is_gelu else 0.0
        self.h = nn.ModuleList(Layer(shape, spread) for _number in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width)
        nn.init.normal_(self.wte.weight, std=SPREAD)

    def forward(self, x: Tensor) -> Tensor:  # (B, T), -1 where a text has ended -> (B, T, V)
        T = x.shape[1]
        h = self.wte(x.clamp(min=0))  # (B, T, D)
        turn = None
        if self.is_rotary:
            turn = self.cosine[:T], self.sine[:T]
        else:
            h = h + self.wpe.weight[:T]
        h = self.drop(h)
        for layer in self.h:
            h = layer(h, turn)
        return linear(self.ln_f(h), self.wte.weight)

    # --- writing

    def memory(self, rows: int) -> list[Tensor]:
        """Room for keys and values of all layers, `(rows, L, 2, H, C, d)`, and how much of it is filled, `(rows,)`."""
        weight = self.wte.weight
        room = weight.new_zeros(rows, len(self.h), 2, self.heads, self.context, weight.shape[1] // self.heads)
        return [room, torch.zeros(rows, dtype=torch.long, device=weight.device)]

    def follow(self, x: Tensor, memory: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The scores `(B, V)` of what comes behind new tokens `(B, n)`; the memory is filled in place."""
        return self.reader()(x, memory)

    def reader(self) -> Follow:
        """`follow` with the parameters at hand, for many tokens one by one.

        All rows have come equally far. What is compiled, or runs on a GPU, always looks at the whole room, through a
        mask: nothing has to be read back, and no shape changes. Elsewhere only what is filled is looked at.
        """
        table, context = self.wte.weight, self.context
        turns = (self.cosine, self.sine) if self.is_rotary else None
        where = None if self.is_rotary else self.wpe.weight
        layers, last = [layer.reader() for layer in self.h], normed(self.ln_f)  # type: ignore[operator]

        def follow(x: Tensor, memory: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            room, filled = memory
            B, n = x.shape
            places = filled[0] + torch.arange(n, device=x.device)
            is_static = torch.compiler.is_compiling() or x.device.type != "cpu"
            stop = context if is_static else int(filled[0]) + n
            mask = None
            if is_static or n > 1:
                mask = torch.arange(stop, device=x.device) <= places[:, None]  # (n, stop)
            h = torch.embedding(table, x)  # (B, n, D)
            if where is not None:
                h = h + torch.embedding(where, places)
            turn = (turns[0][places], turns[1][places]) if turns else None
            h, here = h.flatten(0, 1), Here(places, mask)
            for read, own, seen in zip(layers, room.unbind(1), room[..., :stop, :].unbind(1), strict=True):
                h = read(h, turn, own, seen, here)
            end = h if n == 1 else h.view(B, n, -1)[:, -1]
            return linear(last(end), table), [room, filled + n]

        return follow


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small; with Muon the layers' matrices move by it, and all else by AdamW."""
    if config.optimizer != "muon":
        return learner(net, loss, from_config(config, schedule))
    momentum = MOMENTUM if config.momentum is None else config.momentum
    free = [(name, param) for name, param in net.named_parameters() if param.requires_grad]
    matrices = [(name, param) for name, param in free if name.startswith("h.") and param.ndim == 2]
    several = [param for name, param in matrices if ".c_attn." in name]  # queries, keys and values side by side
    single = [param for name, param in matrices if ".c_attn." not in name]
    rest = [param for _name, param in free if not any(param is one for one in (*several, *single))]
    lr = config.lr if isinstance(config.lr, float | int) else STEP_SIZES["muon"]
    decay = config.weight_decay

    def by_muon(params: Sequence[Tensor], parts: int) -> FirstOrder:
        rule = Rule(muon_of_layers(momentum, parts), ("momentum",), is_elementwise=False)
        return FirstOrder([*params], schedule(lr), (rule, rule), decay)

    def by_adamw(params: Sequence[Tensor]) -> FirstOrder:
        rule = Rule(adamw(beta2=0.95), ("mean", "square"), True, skips=True)
        return FirstOrder([*params], schedule(ADAMW * lr), (rule, rule), decay)

    moved = [by_muon(params, parts) for params, parts in ((several, 3), (single, 1)) if params]
    optimizer = Together([*moved, by_adamw(rest)] if rest else moved)

    def objective(batch) -> Tensor:
        x, *target = batch
        return loss(net(x), *target)

    return {"learner": Player(optimizer.params, objective, optimizer)}
