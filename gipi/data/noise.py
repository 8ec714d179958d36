"""Noise for pictures: normal numbers that are a function of a row's draws, however the rows are put into batches.

A batch cannot hold a draw for each element of each picture, so two uniform draws of a row (a function of seed, epoch
and row, as data/stream.py gives them) become a whole number, which is counted up from element to element and mixed:
SplitMix64 (Steele, Lea & Flood 2014, https://doi.org/10.1145/2660193.2660195), then Box and Muller's transform of its
two halves. Integers wrap around alike on each device, so the noise is the same wherever it is made, but for rounding.

B batch, C channels, H W height and width, E elements of a picture
"""

import math

import torch
from torch import Tensor

DRAWS = 2  # uniform numbers of 24 bits each, that a row's noise is made from
STRIDE = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number: 2**64 over the golden ratio, odd
MIX = ((30, -4658895280553007687), (27, -7723592293110705685))  # 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
HALF = 2**24  # a float32 holds as many whole numbers


def normal(draws: Tensor, elements: int) -> Tensor:
    """Normal numbers `(B, E)` with mean 0 and standard deviation 1, from `(B, 2)` uniform draws.

    Example:
        >>> one = normal(torch.tensor([[0.1, 0.7]]), 6)
        >>> both = normal(torch.tensor([[0.3, 0.2], [0.1, 0.7]]), 6)
        >>> torch.equal(one[0], both[1])
        True
    """
    pairs = -(-elements // 2)
    high, low = (draws[:, :DRAWS].double() * HALF).long().unbind(1)  # (B,) each
    places = torch.arange(1, pairs + 1, device=draws.device)
    mixed = _mixed(_mixed((high * HALF + low) * STRIDE)[:, None] + places * STRIDE)  # (B, pairs)
    first = ((mixed & (HALF - 1)).float() + 1) / HALF  # (0, 1]: a logarithm is taken of it
    second = (_shifted(mixed, 40)).float() / HALF
    size, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    return torch.cat([size * angle.cos(), size * angle.sin()], 1)[:, :elements]


def add_noise(x: Tensor, draws: Tensor, spread: float, white: float) -> Tensor:
    """Pictures `(B, C, H, W)` of levels 0..white with normal noise of this standard deviation, white being 1.

    What leaves 0..white is cut off: no file could hold it. The levels are float32, and not rounded.
    """
    noise = normal(draws, x[0].numel()).view(x.shape)
    return (x.float() + noise * (spread * white)).clamp(0, white)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, with zeros from the left: torch shifts the sign in."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(x: Tensor) -> Tensor:
    for bits, factor in MIX:
        x = (x ^ _shifted(x, bits)) * factor
    return x ^ _shifted(x, 31)
