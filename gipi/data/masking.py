"""Words left out, to be guessed: windows of a token stream, some of their tokens masked, as BERT learns from them.

Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1 and appendix A.1: 15 % of a window's tokens are asked
for; of those 80 % become the mask, 10 % another token, and 10 % stay. Which windows and which tokens is a function of
(seed, position), so a run can stop anywhere; nothing is masked twice in the same way.

B windows, T tokens of each with its beginning and end, M places that are asked for
"""

import numpy as np
import torch
from torch import Tensor

from gipi.data.stream import generator
from gipi.data.tokenizers import Tokenizer
from gipi.data.windows import Windows

SHARE = 0.15  # of a window's tokens, that are asked for
MASKED, CHANGED = 0.8, 0.1  # of those: become the mask, become another token; the rest stays
EDGES = 2  # tokens that stand around a window: its beginning and its end


def most_asked(context: int) -> int:
    """M: places of a window of so many tokens that are asked for, at least one."""
    return max(1, round(SHARE * (context - EDGES)))


def ordinary(tokenizer: Tokenizer) -> Tensor:
    """The ids that say something: all but the special ones."""
    return torch.tensor([id for id in range(tokenizer.size) if id not in tokenizer.special])


def masked(x: Tensor, mask: int, words: Tensor, asked: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Windows with words left out, the places that are asked for, and what was there.

    Args:
        x: `(B, T)` tokens; those that are not among `words` are never asked for.
        mask: The token that stands for what is left out.
        words: The tokens that may be asked for, and put in another's place; sorted.
        asked: M.
        random: What decides.

    Returns:
        `(B, T)`, `(B, M)` and `(B, M)`; -1 in the last where a window has not so many words: 15 % of them, at least 1.
    """
    is_word = torch.isin(x, words)
    count = is_word.sum(1)
    enough = (SHARE * count).round().clamp(min=1).minimum(count)  # (B,)
    noise = torch.rand(x.shape, generator=random).masked_fill(~is_word, 2.0)
    places = noise.argsort(1)[:, :asked]  # (B, M)
    there = x.gather(1, places)
    is_asked = torch.arange(places.shape[1]) < enough[:, None]
    fate = torch.rand(places.shape, generator=random)
    other = words[torch.randint(len(words), places.shape, generator=random)]
    become = torch.where(fate < MASKED, mask, torch.where(fate < MASKED + CHANGED, other, there))
    seen = x.scatter(1, places, torch.where(is_asked, become, there))
    return seen, places, there.where(is_asked, -1)


def edged(ids: Tensor, tokenizer: Tokenizer) -> Tensor:
    """Windows `(B, T - 2)` with their beginning and their end, as a text is shown to the network in every task."""
    edge = ids.new_ones(len(ids), 1)
    return torch.cat([edge * tokenizer.begin, ids, edge * tokenizer.end], 1)


def covering(tokens: np.ndarray, context: int, tokenizer: Tokenizer, most: int) -> Tensor:
    """`(n, T)`: windows that cover the tokens once; at most so many of them, evenly spread."""
    room = min(context - EDGES, len(tokens))
    starts = np.arange(0, len(tokens) - room + 1, room)
    starts = starts[np.linspace(0, len(starts) - 1, min(most, len(starts))).round().astype(np.int64)]
    ids = np.stack([tokens[start : start + room] for start in starts]).astype(np.int64)
    return edged(torch.from_numpy(ids), tokenizer)


def masked_windows(
    tokens: np.ndarray, batch_size: int, context: int, tokenizer: Tokenizer, seed: int, device: torch.device
) -> Windows:
    """A stream of batches `(x, places, y)`, see `masked`: windows of a token stream, for ever.

    Args:
        tokens: `(n,)`, in memory or on disk.
        batch_size: B.
        context: T.
        tokenizer: Says what may be asked for.
        seed: Decides windows and masks, with the position in the stream.
        device: Where batches are wanted.
    """
    words = ordinary(tokenizer)

    def prepare(ids: Tensor, position: int) -> tuple[Tensor, ...]:
        x = edged(ids.cpu(), tokenizer)
        batch = masked(x, tokenizer.mask, words, most_asked(x.shape[1]), generator(seed, "masks", position))
        return tuple(part.to(device) for part in batch)

    return Windows(tokens, context - EDGES, batch_size, seed, device, prepare)
