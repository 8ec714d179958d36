"""What is learned from of a picture and its answer (a mask, a larger picture): the same piece, turned the same way.

Batched tensor code on the device where the pictures are; which piece is a function of a row's draws, and so of (seed,
epoch, row). An answer may be `factor` times as large as its picture.

N pictures, B batch, C channels, H W of the canvas, S the sides of a piece
"""

import torch
from torch import Tensor

PLACE = 2  # draws that a piece needs
TURN = 3  # draws of a turn


def pieces(x: Tensor, rows: Tensor, sizes: Tensor, draws: Tensor, sides: tuple[int, int], factor: int = 1) -> Tensor:
    """A piece `(B, C, factor * S, factor * S')` of each of these pictures, anywhere within its size.

    Args:
        x: `(N, C, factor * H, factor * W)`.
        rows: `(B,)` whole numbers.
        sizes: `(N, 2)`: how far each picture reaches on its canvas, in units of `sides`.
        draws: `(B, 2)` from 0 to 1.
        sides: S, S' of the piece, at most H and W. Where a picture is smaller, the piece holds what is beside it.
        factor: See above; the same draws give the same place at any factor.

    Example:
        >>> x = torch.arange(16).reshape(1, 1, 4, 4)
        >>> pieces(x, torch.tensor([0]), torch.tensor([[4, 4]]), torch.tensor([[0.0, 0.99]]), (2, 2))[0, 0].tolist()
        [[2, 3], [6, 7]]
    """
    free = (sizes[rows] - torch.tensor(sides, device=x.device)).clamp_min(0) + 1  # (B, 2) places that there are
    corner = (draws * free).long().minimum(free - 1) * factor  # (B, 2)
    down = corner[:, :1] + torch.arange(sides[0] * factor, device=x.device)  # (B, S)
    right = corner[:, 1:] + torch.arange(sides[1] * factor, device=x.device)  # (B, S')
    found = x[rows[:, None, None], :, down[:, :, None], right[:, None, :]]  # (B, S, S', C)
    return found.permute(0, 3, 1, 2).contiguous()


def turn(x: Tensor, draws: Tensor) -> Tensor:
    """One of the eight ways in which a square lies on a square: for what has neither above nor below. D = 3."""
    if x.shape[2] != x.shape[3]:  # no square: four ways are left
        x = torch.where(draws[:, 0, None, None, None] < 0.5, x.flip(2), x)
        return torch.where(draws[:, 1, None, None, None] < 0.5, x.flip(3), x)
    x = torch.where(draws[:, 0, None, None, None] < 0.5, x.flip(2), x)
    x = torch.where(draws[:, 1, None, None, None] < 0.5, x.flip(3), x)
    return torch.where(draws[:, 2, None, None, None] < 0.5, x.transpose(2, 3), x)
