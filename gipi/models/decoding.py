"""How a network that knows what may come next writes: token by token, drawn as temperature, top-k and top-p have it.

Temperature: Ackley, Hinton & Sejnowski 1985; top-k: Fan, Lewis & Dauphin 2018, https://arxiv.org/abs/1805.04833; top-p:
Holtzman et al. 2020, https://arxiv.org/abs/1904.09751.

A network that writes has `memory(rows)`, a list of tensors with an axis for rows in front that never grows, and
`follow(x, memory)`, which reads new tokens `(B, n)` and gives the scores `(B, V)` of what comes next; it may have
`reader()`, which gives `follow` with the parameters at hand. So each token is read once, and 10,000 tokens take no more
memory than 10.

B rows, n tokens, V vocabulary
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gipi.errors import UsageError
from gipi.messages import _


def check(temperature: float, top_k: int, top_p: float) -> None:
    """Whether tokens can be drawn so.

    Raises:
        UsageError: A number is out of its range.
    """
    if not 0 <= temperature < float("inf"):
        raise UsageError(_("--temperature is 0 (always the likeliest) or more; {value} came", value=temperature))
    if top_k < 0:
        raise UsageError(_("--top-k is 0 (all tokens) or more; {value} came", value=top_k))
    if not 0 < top_p <= 1:
        raise UsageError(_("--top-p is more than 0 and at most 1 (all tokens); {value} came", value=top_p))


def probabilities(scores: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """How likely each token is drawn, `(..., V)`, by its scores `(..., V)`.

    Args:
        scores: Of tokens; a softmax makes them probabilities.
        temperature: They are divided by it: below 1 the likely become likelier. 0: the likeliest is certain.
        top_k: Only the so many likeliest (and what is as likely as the last of them); 0: all.
        top_p: Only the likeliest that together are at least so likely, after temperature and top-k; 1: all.

    Example:
        >>> probabilities(torch.tensor([2.0, 1.0, 0.0]).log(), top_k=2)
        tensor([0.6667, 0.3333, 0.0000])
    """
    if temperature == 0:
        return torch.zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)
    scores = (scores - scores.amax(-1, keepdim=True)) / temperature  # no temperature makes 0 overflow
    if 0 < top_k < scores.shape[-1]:
        last = scores.topk(top_k).values[..., -1:]
        scores = scores.masked_fill(scores < last, -torch.inf)
    found = scores.softmax(-1)
    if top_p < 1:
        ordered, places = found.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered
        found = found.masked_fill(torch.zeros_like(found, dtype=torch.bool).scatter(-1, places, before >= top_p), 0)
        found = found / found.sum(-1, keepdim=True)
    return found


def choose(scores: Tensor, temperature: float, top_k: int, top_p: float, draws: torch.Generator) -> int:
    """One token, drawn by its scores `(V,)`."""
    if temperature == 0 or top_k == 1:
        return int(scores.argmax())
    return int(torch.multinomial(probabilities(scores.cpu(), temperature, top_k, top_p), 1, generator=draws))


@torch.inference_mode()
def read(follow: Any, tokens: Sequence[int], memory: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The scores `(V,)` of what comes behind these tokens, and the memory that has read them."""
    scores, filled = follow(torch.tensor([tokens], device=memory[0].device), memory)
    return scores[0].float(), filled


def generate(
    net: Any,
    prompt: Sequence[int],
    context: int | None,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    end: int | None = None,
    most: int = 200,
) -> Iterator[int]:
    """What comes behind a text, token by token, as each is drawn.

    Args:
        net: A network that writes, in eval mode.
        prompt: One token or more. Of more than `context` the last are read; to say so is the caller's part.
        context: How many tokens its memory holds; None: any number. Where it is full, the last half of it is read
            again, and the rest forgotten.
        temperature: See `probabilities`, also for the next two.
        top_k: How many tokens are in question.
        top_p: How likely they are together.
        seed: The same one draws the same tokens.
        end: Ends the text, and is not given; None: nothing does.
        most: Tokens.

    Raises:
        UsageError: A number is out of its range.
    """
    check(temperature, top_k, top_p)
    assert prompt and (context is None or context > 0)
    draws = torch.Generator().manual_seed(seed)
    last = deque(prompt, context)  # what the memory holds
    follow = net.reader() if hasattr(net, "reader") else net.follow
    scores, memory = read(follow, list(last), net.memory(1))
    for number in range(most):
        token = choose(scores, temperature, top_k, top_p, draws)
        if token == end:
            return
        yield token
        if number + 1 == most:
            return
        if context is not None and len(last) == context:
            last = deque([*last, token][-max(1, context // 2) :], context)
            scores, memory = read(follow, list(last), net.memory(1))
        else:
            if context is not None:
                last.append(token)
            scores, memory = read(follow, [token], memory)
