"""The larger networks that are measured, as plain modules that any framework takes: ResNet-18 and -50, and GPT-2.

He et al., "Deep Residual Learning for Image Recognition", 2015, https://arxiv.org/abs/1512.03385; Radford et al.,
"Language Models are Unsupervised Multitask Learners", 2019.

B batch, T time, C channels, V words
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions, or with `widening` a bottleneck of 1x1, 3x3, 1x1, beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, widening: int):
        super().__init__()
        outputs = width * widening
        if widening == 1:
            self.way = nn.Sequential(conv(inputs, width, 3, stride), nn.ReLU(), conv(width, outputs, 3))
        else:
            first, second = conv(inputs, width, 1), conv(width, width, 3, stride)
            self.way = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), conv(width, outputs, 1))
        self.shortcut = nn.Identity() if inputs == outputs and stride == 1 else conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.way(x) + self.shortcut(x))


class ResNet(nn.Sequential):
    """`depth` 18 or 50; `is_small`: the stem for pictures of 32 x 32, without the early halvings."""

    def __init__(self, depth: int, classes: int, is_small: bool = False):
        blocks, widening = {18: ((2, 2, 2, 2), 1), 50: ((3, 4, 6, 3), 4)}[depth]
        stem = conv(3, 64, 3) if is_small else conv(3, 64, 7, 2)
        layers: list[nn.Module] = [stem, nn.ReLU()] + ([] if is_small else [nn.MaxPool2d(3, 2, 1)])
        inputs = 64
        for stage, count in enumerate(blocks):
            for block in range(count):
                width, stride = 64 << stage, 2 if block == 0 and stage > 0 else 1
                layers.append(Residual(inputs, width, stride, widening))
                inputs = width * widening
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


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
