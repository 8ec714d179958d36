"""Chat: a question in, an answer out: writing (tasks/write.py) that learned from pairs, with the loss on answers alone.

A turn is read as `[begin] question [end] answer [end]`, and a talk is one turn behind the other; the model writes up to
the second end. In token arrays what is not to be guessed, the questions, stands as `~token`, below zero.

B rows, T tokens, n pairs
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gipi.data.encode import tokenizer_in
from gipi.data.texts import clean
from gipi.data.tokens import Tokenizer
from gipi.errors import UsageError
from gipi.messages import _
from gipi.tasks import write
from gipi.tasks.intervals import Array, Metric
from gipi.tasks.write import Guessed, Way, asked, headline, loss, metrics_of, output, pieces, way_of

__all__ = ["asked", "default", "headline", "loss", "output"]

default = {"text": "gpt"}
AT_ONCE = 64  # pairs that are guessed together
Turn = tuple[str, str]  # what was asked, and what was answered


def turn(tokenizer: Tokenizer, question: list[int], answer: list[int]) -> Array:
    """A pair as tokens `(T,)`, the question's below zero.

    Example:
        >>> from gipi.data.tokenizers import train
        >>> tokenizer = train(["hi you"], "characters", 300)
        >>> one = turn(tokenizer, tokenizer.encode("hi"), tokenizer.encode("you"))
        >>> tokenizer.decode(one[one >= 0]), tokenizer.decode(~one[one < 0])
        ('you', 'hi')
    """
    told = [tokenizer.begin, *question, tokenizer.end]
    return np.array([*(~token for token in told), *answer, tokenizer.end], np.int32)


def turns(tokenizer: Tokenizer, questions: Sequence[str], answers: Sequence[str]) -> list[Array]:
    """Pairs as tokens."""
    both = zip(tokenizer.encode_all(questions), tokenizer.encode_all(answers), strict=True)
    return [turn(tokenizer, question, answer) for question, answer in both]


def only_answers(ids: Tensor, position: int = 0) -> tuple[Tensor, Tensor]:
    """What is learned from windows `(B, W)`: their tokens but the last, and what comes next, -1 where it is told."""
    x, y = ids[:, :-1], ids[:, 1:]
    return torch.where(x < 0, ~x, x), y.clamp(min=-1)


def rows_of(pairs: Sequence[Array], context: int) -> tuple[Tensor, Tensor]:
    """Pairs as a batch `(B, T)`, each for itself: of those that are too long the beginning is left out."""
    cut = [pair[-(context + 1) :] for pair in pairs]
    x = np.full((len(cut), max(map(len, cut)) - 1), -1, np.int64)
    y = x.copy()
    for row, pair in enumerate(cut):
        x[row, : len(pair) - 1] = np.where(pair < 0, ~pair, pair)[:-1]
        y[row, : len(pair) - 1] = np.maximum(pair[1:], -1)
    return torch.from_numpy(x), torch.from_numpy(y)


@torch.no_grad()
def guessed(net: Any, pairs: Sequence[Array], context: int, device: torch.device | str) -> Guessed:
    """What a network says of each token of the answers, one pair after the other."""
    losses, right = [], []
    for start in range(0, len(pairs), AT_ONCE):
        x, y = (part.to(device) for part in rows_of(pairs[start : start + AT_ONCE], context))
        scores = net(x).float()
        is_asked = y >= 0
        each = cross_entropy(scores.flatten(0, 1), y.clamp(min=0).flatten(), reduction="none").view(y.shape)
        losses.append(each[is_asked].cpu().numpy())
        right.append((scores.argmax(2) == y)[is_asked].cpu().numpy())
    return Guessed(np.concatenate(losses), np.concatenate(right))


def bytes_of(tokenizer: Tokenizer, pairs: Sequence[Array], context: int) -> Array:
    """How many bytes each token of the answers says, in the order of `guessed`."""
    found = []
    for pair in pairs:
        cut = pair[-(context + 1) :]
        found.append(write.bytes_of(tokenizer, np.where(cut < 0, ~cut, cut))[cut[1:] >= 0])
    return np.concatenate(found)


def metrics(model: Any, pairs: Sequence[Array], intervals: bool = True) -> dict[str, Metric]:
    """All metrics of a kept model on pairs."""
    net, context = model.members[0], model.schema.inputs[0].shape[0]
    found = guessed(net, pairs, context, next(net.parameters()).device)
    return metrics_of(pieces(found, bytes_of(tokenizer_in(model.schema), pairs, context)), intervals)


def score_source(model: Any, source: Any, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of a kept model on pairs: a table with the columns that it learned from."""
    from gipi.data.texts import open_rows

    question, answer = model.schema.inputs[0].name, model.extra["answer"]
    data = open_rows(source, (question,), (answer,))
    tokenizer = tokenizer_in(model.schema)
    return metrics(model, turns(tokenizer, *columns_of(data.frame, question, answer)), intervals)


def columns_of(frame: Any, question: str, answer: str) -> tuple[list[str], list[str]]:
    """The questions and the answers of a frame's rows, clean; a missing one says nothing."""
    both = [[clean("" if one is None else str(one)) for one in frame[name].to_list()] for name in (question, answer)]
    return both[0], both[1]


# --- answering -------------------------------------------------------------------------------------------------


def prompt_of(model: Any, question: str, before: Sequence[Turn] = ()) -> tuple[list[int], int]:
    """The tokens of a talk up to the answer, and how many at its beginning are left out, for lack of room."""
    tokenizer = tokenizer_in(model.schema)
    ids: list[int] = []
    for asked_before, answered in before:
        ids += [tokenizer.begin, *tokenizer.encode(clean(asked_before)), tokenizer.end]
        ids += [*tokenizer.encode(clean(answered)), tokenizer.end]
    ids += [tokenizer.begin, *tokenizer.encode(clean(question)), tokenizer.end]
    room = model.members[0].context
    return (ids, 0) if room is None else (ids[-room:], max(0, len(ids) - room))


def answered(model: Any, ids: Sequence[int], way: Way) -> Iterator[str]:
    """The answer behind these tokens, piece by piece, each as soon as it is a text."""
    return write.written(model, ids, way)


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """The answers to questions, each for itself, `{"text": ...}`; rows are as in tasks/write.py."""
    rows = [rows] if isinstance(rows, str | dict) else rows
    if not isinstance(rows, list | tuple):
        raise UsageError(_("a question was expected; {came} came", came=repr(rows)[:60]))
    found = []
    for number, row in enumerate(rows):
        question, way = way_of(model.schema, row, seed + number)
        ids, _cut = prompt_of(model, question)
        found.append({"text": "".join(answered(model, ids, way))})
    return found
