"""The larger networks that are measured, as plain modules that any framework takes: ResNet-18 and -50, and GPT-2.

ResNet is gipi's (gipi/systems/resnet.py). Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.

B batch, T time, C channels, V words
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gipi.data.schema import Sizes
from gipi.systems import resnet as resnets


def resnet(depth: int, classes: int, side: int, stem: str = "auto") -> nn.Module:
    """The system's network, as a plain module: for pictures of 3 x side x side, below 96 without the early halvings."""
    return resnets.Net(Sizes((3, side, side), classes), resnets.Config(layers=depth, stem=stem))


class Block(nn.Module):
    """Attention to what came before, then a layer of four times the width; each added to what it was given."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        parts = self.qkv(self.norm_1(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B, heads, T, C / heads)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class GPT(nn.Module):
    """GPT-2; the small one (124 million parameters) as it comes. The words' table is the last layer too."""

    def __init__(self, words: int = 50304, context: int = 1024, width: int = 768, heads: int = 12, layers: int = 12):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _layer in range(layers)))
        self.norm = nn.LayerNorm(width)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, T) -> (B, T, V)
        x = self.words(tokens) + self.places(torch.arange(tokens.shape[1], device=tokens.device))
        return F.linear(self.norm(self.blocks(x)), self.words.weight)


def word_loss(output: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of each word: (B, T, V) and (B, T)."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


class Endless:
    """A stream of one's own: the same batch for ever, which lies where the arithmetic is."""

    def __init__(self, *batch: Tensor):
        self.batch = batch

    def __next__(self) -> tuple[Tensor, ...]:
        return self.batch
