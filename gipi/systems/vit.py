"""ViT: a picture cut into patches, which are read like the words of a sentence, each in the light of all others.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", 2020,
https://arxiv.org/abs/2010.11929; the sizes tiny and small from Touvron et al. 2020, https://arxiv.org/abs/2012.12877
Ours differs: the patches follow from the picture, about seven or eight of them a side below 112 x 112; a picture that
they do not fill is padded; and there is a size below tiny, for small pictures and no GPU. The parameters have
torchvision's names and shapes, so its published weights fit.

B batch, C channels, H W height and width, T patches and one more, D width, K outputs
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, scaled_dot_product_attention

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError, nearest
from gipi.messages import _
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("picture",)
defaults = {"epochs": 60, "batch_size": 128, "schedule": "one-cycle", "augment": ("flip", "shift")}

# layers, D, heads; base, large and huge are the paper's table 1
SIZES = {
    "mini": (6, 128, 4),
    "tiny": (12, 192, 3),
    "small": (12, 384, 6),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
    "huge": (32, 1280, 16),
}
SMALL = 96  # height or width below which "auto" is mini, else small
LARGEST, PER_SIDE = 16, 7  # elements of a patch's side at most; patches on a picture's side at least
EPSILON = 1e-6  # of the norms


@dataclass(frozen=True)
class Config:
    size: str = "auto"  # mini, tiny, small, base, large or huge; auto: mini below 96 x 96, else small
    patch: int | None = None  # height and width of a patch; from the picture if not given
    dropout: float = 0.0  # share of what each layer gives that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 1e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.05  # shrinks the weights at each step


class Attention(nn.Module):
    """Each place asks all others, in several heads: `(B, T, D)` to the same."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        parts = linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        found = scaled_dot_product_attention(query, key, value)
        return self.out_proj(found.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention, then two linear layers at each place; both add to what they are given."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, EPSILON)
        self.self_attention = Attention(width, heads)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, EPSILON)
        up, down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(up, nn.GELU(), nn.Dropout(dropout), down, nn.Dropout(dropout))
        for layer in (up, down):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D)
        x = x + self.dropout(self.self_attention(self.ln_1(x)))
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """What each place is, where it is, and the layers; `(B, T, D)` to the same."""

    def __init__(self, places: int, layers: int, width: int, heads: int, dropout: float):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, places, width).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        each = {f"encoder_layer_{number}": Layer(width, heads, dropout) for number in range(layers)}
        self.layers = nn.Sequential()
        for name, layer in each.items():
            self.layers.add_module(name, layer)
        self.ln = nn.LayerNorm(width, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class Net(nn.Module):
    """Patches, a place that reads them all, layers, and a last one that looks at that place."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        channels, height, wide = sizes.input
        layers, width, heads = size_of(config.size, height, wide)
        patch = config.patch or patch_of(height, wide)
        rows, columns = -(-height // patch), -(-wide // patch)
        self.margin = (0, columns * patch - wide, 0, rows * patch - height)  # what is padded: left, right, top, bottom
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.conv_proj = nn.Conv2d(channels, width, patch, patch)
        self.encoder = Encoder(rows * columns + 1, layers, width, heads, config.dropout)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(width, sizes.output))
        nn.init.trunc_normal_(self.conv_proj.weight, std=(channels * patch**2) ** -0.5)
        for tensor in (self.conv_proj.bias, *self.heads.parameters()):  # it begins by giving each class its share
            assert tensor is not None
            nn.init.zeros_(tensor)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        x = pad(x, self.margin) if any(self.margin) else x
        x = self.conv_proj(x).flatten(2).transpose(1, 2)  # (B, T - 1, D)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1)  # (B, T, D)
        return self.heads(self.encoder(x)[:, 0])  # (B, K)


def size_of(size: str, height: int, width: int) -> tuple[int, int, int]:
    """Layers, width and heads of a size by its name; auto: by the picture."""
    if size == "auto":
        size = "mini" if min(height, width) < SMALL else "small"
    if size not in SIZES:
        known = ", ".join(SIZES)
        said = _("there is no size '{name}' of a vit; there are {known}.", name=size, known=known)
        raise UsageError(said + nearest(size, list(SIZES)))
    return SIZES[size]


def patch_of(height: int, width: int) -> int:
    """The side of a patch: as large as leaves seven on the shorter side, 16 at most; rather one that fills the picture.

    Example:
        >>> [patch_of(side, side) for side in (8, 28, 32, 37, 64, 224)]
        [1, 4, 4, 5, 8, 16]
    """
    largest = max(1, min(LARGEST, min(height, width) // PER_SIDE))
    common = math.gcd(height, width)
    filling = max(side for side in range(1, largest + 1) if common % side == 0)
    return filling if 2 * filling > largest else largest


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""

    return learner(net, loss, from_config(config, schedule))
