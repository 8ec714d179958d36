"""A small GPT as people write it in straight PyTorch, after Karpathy's nanoGPT, and the text that all contenders learn.

Nothing of gipi is in it. The settings are those that nanoGPT's page gives for a CPU (README, "I only have a macbook"):
4 layers, 4 heads, width 128, no dropout, windows of 64 characters, batches of 12, AdamW with betas 0.9 and 0.99, a step
size of 1e-3 that rises over 100 steps and falls as a cosine to 1e-4, 2000 steps.

B windows, T characters, C width
"""

import math
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS, HEADS, WIDTH, WINDOW, BATCH = 4, 4, 128, 64, 12
STEP_SIZE, LEAST, WARM, BETAS, DECAY, CLIP = 1e-3, 1e-4, 100, (0.9, 0.99), 0.1, 1.0
VALID = 0.1  # of the text, at its end


def text() -> str:
    """Tiny shakespeare: the file below the folder that GIPI_DATA names."""
    path = Path(os.environ.get("GIPI_DATA", "../shared/data")) / "tiny_shakespeare" / "input.txt"
    return path.read_text(encoding="utf-8")


def parts() -> tuple[np.ndarray, np.ndarray, int]:
    """Training and validation characters as numbers, and how many there are."""
    whole = text()
    letters = sorted(set(whole))
    number = {letter: place for place, letter in enumerate(letters)}
    ids = np.array([number[letter] for letter in whole], np.int64)
    cut = len(ids) - round(VALID * len(ids))
    return ids[:cut], ids[cut:], len(letters)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, is_gpt2: bool):
        super().__init__()
        self.heads, self.approximate = heads, "tanh" if is_gpt2 else "none"
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=is_gpt2), nn.LayerNorm(width, bias=is_gpt2)
        self.c_attn = nn.Linear(width, 3 * width, bias=is_gpt2)
        self.c_proj = nn.Linear(width, width, bias=is_gpt2)
        self.up, self.down = nn.Linear(width, 4 * width, bias=is_gpt2), nn.Linear(4 * width, width, bias=is_gpt2)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(C, 2)
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate=self.approximate))


class GPT(nn.Module):
    """nanoGPT's network for a CPU; `is_gpt2`: with GPT-2's biases and its approximate gelu, which it leaves out."""

    def __init__(
        self, vocabulary: int, layers: int = LAYERS, heads: int = HEADS, width: int = WIDTH, is_gpt2: bool = False
    ):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(WINDOW, width)
        self.blocks = nn.ModuleList(Block(width, heads, is_gpt2) for _layer in range(layers))
        self.ln_f = nn.LayerNorm(width, bias=is_gpt2)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.wte.weight
        for name, param in self.named_parameters():
            if param.ndim == 2:
                is_last = name.endswith(("c_proj.weight", "down.weight"))
                nn.init.normal_(param, std=0.02 / math.sqrt(2 * layers) if is_last else 0.02)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(self.head(self.ln_f(h)).flatten(0, 1), y.flatten())


def windows(ids: Tensor, batch: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    starts = torch.randint(len(ids) - WINDOW, (batch,), generator=draws)
    rows = torch.stack([ids[start : start + WINDOW + 1] for start in starts])
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def loss_of(net: nn.Module, ids: Tensor) -> float:
    """The mean loss over windows of the validation text, one behind the other."""
    rows = ids[: (len(ids) - 1) // WINDOW * WINDOW + 1].unfold(0, WINDOW + 1, WINDOW)
    found = [net(some[:, :-1], some[:, 1:]).item() * len(some) for some in rows.split(256)]
    return sum(found) / len(rows)


def train(steps: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    ids, _valid, vocabulary = parts()
    tokens = torch.from_numpy(ids)
    net = GPT(vocabulary)
    weights = [p for p in net.parameters() if p.ndim == 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, STEP_SIZE, BETAS, fused=True)
    draws = torch.Generator().manual_seed(seed)
    for step in range(steps):
        part = min(1.0, max(0.0, (step - WARM) / max(1, steps - WARM)))
        size = LEAST + (STEP_SIZE - LEAST) * (1 + math.cos(math.pi * part)) / 2
        for group in optimizer.param_groups:
            group["lr"] = size * min(1.0, (step + 1) / WARM)
        loss = net(*windows(tokens, BATCH, draws))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
    return net
