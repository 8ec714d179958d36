"""Beam search: of all that could be said the most probable, found by keeping the few best beginnings at each step.

A beginning that has come to its end stays where it is and competes on with the others, each by its log-probability over
a penalty of its length: ((5 + length) / 6) ** alpha (Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14;
without it short texts win). With one beginning this is the greedy way; with as many as there are it is exact.

B rows, K beginnings of a row, V vocabulary
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_BEAMS = 1024
Follow = Callable[[Tensor, list[Tensor], list[Tensor]], tuple[Tensor, list[Tensor]]]


@dataclass(frozen=True)
class Said:
    """What was found for a row.

    Attributes:
        tokens: Without the token that ends it.
        score: Its log-probability, end included, over the penalty of its length.
        log_probability: Of all its tokens.
        is_ended: Whether it came to its end, or to the greatest length.
    """

    tokens: list[int]
    score: float
    log_probability: float
    is_ended: bool


def penalty(length: Tensor, alpha: float) -> Tensor:
    """What a log-probability of so many tokens is divided by."""
    return ((5 + length) / 6) ** alpha


def search(
    follow: Follow,
    source: list[Tensor],
    state: list[Tensor],
    *,
    begin: int,
    end: int,
    most: Tensor,
    beams: int = 4,
    alpha: float = 0.6,
) -> list[Said]:
    """The best that was found for each row.

    Args:
        follow: `(tokens (B K,), source, state) -> (scores (B K, V), state)`: the token said last, what was read, what
            has been said before in tensors with B K rows.
        source: What was read: tensors with B rows.
        state: Before anything is said: tensors with B rows.
        begin: The token that begins.
        end: The token that ends.
        most: `(B,)`: tokens at most, the end included.
        beams: K, beginnings that are kept of each row.
        alpha: How much length is forgiven; 0: not.

    Example:
        >>> bigrams = torch.tensor([[0.0, 0.1, 0.5, 0.4], [0.0, 1, 0, 0], [0.0, 0.4, 0.3, 0.3], [0.0, 0.9, 0.1, 0.0]])
        >>> chain = lambda tokens, source, state: (bigrams.log()[tokens], state)
        >>> (found,) = search(chain, [torch.zeros(1)], [], begin=0, end=1, most=torch.tensor([9]), beams=3, alpha=0.0)
        >>> found.tokens, round(found.log_probability, 3)
        ([3], -1.022)
    """
    if not 1 <= beams <= MOST_BEAMS:
        raise ValueError(f"from 1 to {MOST_BEAMS} beginnings can be kept, not {beams}")
    rows, device = len(source[0]), source[0].device
    alive = torch.arange(rows, device=device)  # rows that are still searched, of those that came
    state = [part.repeat_interleave(beams, 0) for part in state]
    totals = torch.full((rows, beams), -torch.inf, device=device)
    totals[:, 0] = 0.0  # at first there is one beginning
    lengths = torch.zeros(rows, beams, dtype=torch.int64, device=device)
    ended = torch.zeros(rows, beams, dtype=torch.bool, device=device)
    said = torch.empty(rows, beams, 0, dtype=torch.int64, device=device)
    last = torch.full((rows * beams,), begin, device=device)
    found: list[Said | None] = [None] * rows
    for step in range(1, int(most.max()) + 1 if rows else 1):
        scores, state = follow(last, source, state)
        log = scores.float().log_softmax(1).unflatten(0, (-1, beams))  # (B, K, V)
        width = log.shape[2]
        # one that has ended goes on in one way only, which costs nothing
        log = log.masked_fill(ended[..., None], -torch.inf)
        log[..., end] = torch.where(ended, 0.0, log[..., end])
        grown = lengths + ~ended  # (B, K)
        candidates = ((totals[..., None] + log) / penalty(grown, alpha)[..., None]).flatten(1)  # (B, K V)
        best = candidates.topk(beams, 1).indices  # (B, K)
        parent, token = best // width, best % width
        totals = totals.gather(1, parent) + log.flatten(1).gather(1, best)
        lengths, ended = grown.gather(1, parent), ended.gather(1, parent) | (token == end)
        said = torch.cat([said.gather(1, parent[..., None].expand_as(said)), token[..., None]], 2)
        order = parent + beams * torch.arange(len(parent), device=device)[:, None]
        settled = is_settled(totals, lengths, ended, alpha, most) | (most <= step)
        if settled.any():
            _take(found, alive, settled, said, totals, lengths, ended, alpha)
            if settled.all():
                break
            keep = ~settled
            alive, most, order, token = alive[keep], most[keep], order[keep], token[keep]
            totals, lengths, ended, said = totals[keep], lengths[keep], ended[keep], said[keep]
            source = [part[keep] for part in source]
        state = [part.index_select(0, order.flatten()) for part in state]
        last = token.flatten()
    assert all(one is not None for one in found)
    return found  # type: ignore[return-value]


def is_settled(totals: Tensor, lengths: Tensor, ended: Tensor, alpha: float, most: Tensor) -> Tensor:
    """Rows `(B,)` whose best is found: nothing that goes on can become better than what has ended.

    A log-probability only falls, and what it is divided by is at most that of the greatest length.
    """
    reach = (totals / penalty(most[:, None], alpha)).masked_fill(ended, -torch.inf).amax(1)
    score = (totals / penalty(lengths, alpha)).masked_fill(~ended, -torch.inf).amax(1)
    return score >= reach


def _take(
    found: list[Said | None],
    alive: Tensor,
    chosen: Tensor,
    said: Tensor,
    totals: Tensor,
    lengths: Tensor,
    ended: Tensor,
    alpha: float,
) -> None:
    """Write down the best of each chosen row: of those that have ended, if there are any."""
    scores = totals / penalty(lengths, alpha)
    score, best = torch.where(ended | ~ended.any(1, keepdim=True), scores, -torch.inf).max(1)
    for row in chosen.nonzero()[:, 0].tolist():
        place = int(best[row])
        count, is_ended = int(lengths[row, place]), bool(ended[row, place])
        tokens = said[row, place, : count - is_ended].tolist()
        found[int(alive[row])] = Said(tokens, float(score[row]), float(totals[row, place]), is_ended)
