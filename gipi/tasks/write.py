"""Write: a text goes on. A language model says how likely each token is to come next, and is scored by what it said of
the tokens of a text that it never saw.

- `loss`: nats a token. Tokens differ from tokenizer to tokenizer, so it compares only models with the same one.
- `perplexity`: its exponential, of how many tokens a guess seems to be one.
- `bits_per_byte`: the bits that the whole text takes, over its bytes in UTF-8: compares any two language models, and
  what compresses files (what ends a document costs bits, and is no byte).
- `accuracy`: how often the likeliest token is the one that comes.

Every token is guessed from at least half of a context before it, but for those at the very beginning. The tokens of a
text depend on each other, so intervals are by drawing pieces of it, not tokens.

B rows, T tokens of a window, C context, V vocabulary, G pieces, n tokens
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gipi.data.encode import tokenizer_in
from gipi.data.schema import Schema
from gipi.data.texts import clean
from gipi.data.tokens import Tokenizer
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.decoding import generate
from gipi.tasks.intervals import Array, Metric, Resample

default = {"text": "gpt"}
LENGTH = 200  # tokens that are written unless somebody says how many
PIECE, PIECES = 256, 400  # tokens of a piece at least, and pieces at most; of short texts pieces are shorter
FEWEST = 30  # pieces of a short text
AT_ONCE = 4_000_000  # scores (tokens times vocabulary) that are in memory together
MOST = 2_000_000  # tokens of a text that are judged; the figures are sure to the third digit then


def output(schema: Schema) -> int:
    """Numbers for a text as a whole: none, each token gets its own."""
    return 0


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "bits_per_byte"


def loss(scores: Tensor, y: Tensor) -> Tensor:
    """The mean cross entropy of scores `(B, T, V)` over the tokens `(B, T)` that are asked for; others are -1."""
    total = cross_entropy(scores.flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum")
    return total / asked(y).clamp(min=1)


def asked(y: Tensor) -> Tensor:
    """How many tokens are asked for."""
    return (y >= 0).sum()


# --- how well it guesses ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guessed:
    """What was said of each token of a text.

    Attributes:
        losses: `(n,)` in nats.
        right: `(n,)`, whether the likeliest token was the one that came; None where nobody asked.
    """

    losses: Array
    right: Array | None


@torch.no_grad()
def guessed(net: Any, tokens: Array, context: int, device: torch.device | str) -> Guessed:
    """What a network says of each token of a text but the first, `(n - 1,)`.

    Args:
        net: In eval mode.
        tokens: `(n,)`, two at least.
        context: C. Windows of so many tokens, each half of a context after the one before; of all but the first the
            second half counts.
        device: Where the network is.
    """
    last = len(tokens) - 1  # so many are guessed
    half = max(1, context // 2)
    starts = np.arange(0, max(1, last - context + half), half) if last > context else np.array([0])
    starts = np.minimum(starts, max(0, last - context))
    width = min(context, last)
    vocabulary = net(torch.from_numpy(tokens[:1].astype(np.int64))[None].to(device)).shape[2]
    rows = max(1, AT_ONCE // (width * vocabulary))
    losses, right = np.zeros(last, np.float32), np.zeros(last, bool)
    offsets = np.arange(width)
    for some in np.array_split(starts, -(-len(starts) // rows)):
        places = some[:, None] + offsets
        x, y = (torch.from_numpy(tokens[places + ahead].astype(np.int64)).to(device) for ahead in (0, 1))
        scores = net(x).float()  # (B, T, V)
        each = cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).cpu().numpy()
        is_right = (scores.argmax(2) == y).cpu().numpy()
        for row, start in enumerate(some):
            begin = 0 if start == 0 else width - half
            losses[start + begin : start + width] = each[row, begin:]
            right[start + begin : start + width] = is_right[row, begin:]
    return Guessed(losses, right)


def bytes_of(tokenizer: Tokenizer, tokens: Array) -> Array:
    """How many bytes of text each token but the first says, `(n - 1,)`; a character's belong to its last token."""
    if any(tokenizer.spaced):
        writer = tokenizer.writer()
        return np.array([len(writer.write(int(token)).encode()) for token in tokens][1:], np.int64)
    each = np.array([len(said) for said in tokenizer.table], np.int64)
    return each[tokens[1:]]


def pieces(found: Guessed, lengths: Array) -> Array:
    """Sums over pieces of a text, `(G, 4)`: nats, tokens, bytes, tokens that were guessed right."""
    count = len(found.losses)
    several = max(1, min(PIECES, max(count // PIECE, min(FEWEST, count))))
    right = np.zeros(count) if found.right is None else found.right
    rows = np.stack([found.losses, np.ones(count), lengths, right], 1).astype(np.float64)
    return np.add.reduceat(rows, np.arange(several) * count // several, axis=0)


def bits_per_byte(sums: Array) -> Array:
    """`(R, 4)` to `(R,)`."""
    return sums[:, 0] / math.log(2) / np.maximum(sums[:, 2], 1)


STATISTICS = {
    "loss": lambda sums: sums[:, 0] / sums[:, 1],
    "perplexity": lambda sums: np.exp(sums[:, 0] / sums[:, 1]),
    "bits_per_byte": bits_per_byte,
    "accuracy": lambda sums: sums[:, 3] / sums[:, 1],
}


def metrics_of(sums: Array, intervals: bool = True, seed: int = 0, names: Sequence[str] = (*STATISTICS,)) -> dict:
    """The metrics of pieces `(G, 4)`, by name."""
    resample = Resample(len(sums), 1000 if intervals else 0, seed)
    drawn = resample.sums(sums)
    return {
        name: resample.metric(drawn, STATISTICS[name], name == "accuracy", is_share=name == "accuracy")
        for name in names
    }


def metrics(model: Any, tokens: Array, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of a kept model on a text's tokens."""
    net = model.members[0]
    where = next(net.parameters()).device
    found = guessed(net, tokens, model.schema.inputs[0].shape[0], where)
    return metrics_of(pieces(found, bytes_of(tokenizer_in(model.schema), tokens)), intervals)


def score_source(model: Any, source: Any, intervals: bool = True) -> dict[str, Metric]:
    """All metrics of a kept model on a text: a file, a folder, or texts."""
    from gipi.data.corpus import open_corpus
    from gipi.data.token_files import tokens_of

    tokens = tokens_of(open_corpus(source), tokenizer_in(model.schema))
    if len(tokens) < 2:
        raise UsageError(_("a text of {count} tokens is too short to be judged by", count=len(tokens)))
    return metrics(model, tokens, intervals)


# --- writing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """How is written; see models/decoding.py.

    Attributes:
        tokens: At most.
        temperature: 0: always the likeliest.
        top_k: 0: all.
        top_p: 1: all.
        seed: Of what is drawn.
    """

    tokens: int = LENGTH
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


def prompt_of(model: Any, text: str) -> tuple[list[int], int]:
    """The tokens that a text to go on from is read as, and how many at its beginning are left out, for lack of room.

    An empty text is begun as texts of training were.
    """
    tokenizer = tokenizer_in(model.schema)
    ids = tokenizer.encode(clean(text)) or [int(model.extra.get("begin", tokenizer.end))]
    room = model.members[0].context
    return (ids, 0) if room is None else (ids[-room:], max(0, len(ids) - room))


def written(model: Any, ids: Sequence[int], way: Way) -> Iterator[str]:
    """What the model writes behind these tokens, piece by piece, each as soon as it is a text.

    The pieces are whole characters. What ends a document ends it.
    """
    tokenizer, net = tokenizer_in(model.schema), model.members[0]
    writer = tokenizer.writer(ids)
    how = {"temperature": way.temperature, "top_k": way.top_k, "top_p": way.top_p, "seed": way.seed}
    for token in generate(net, ids, net.context, **how, end=tokenizer.end, most=way.tokens):
        if text := writer.write(token):
            yield text
    if text := writer.rest():
        yield text


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """How texts go on, `{"text": ...}` each, without what was given.

    Args:
        model: The model.
        rows: A text, several, dicts with the text and perhaps fields of `Way`, or how many are to be written from
            nothing.
        seed: Of what is drawn; the next row's is one more.

    Raises:
        UsageError: A row is something else.
    """
    rows = [""] * rows if type(rows) is int else [rows] if isinstance(rows, str | dict) else list(rows)
    found = []
    for number, row in enumerate(rows):
        text, way = way_of(model.schema, row, seed + number)
        ids, _cut = prompt_of(model, text)
        found.append({"text": "".join(written(model, ids, way))})
    return found


def way_of(schema: Schema, row: Any, seed: int) -> tuple[str, Way]:
    """The text of a row, and how it is to go on.

    Raises:
        UsageError: It is no text, or a number of it is none.
    """
    name = schema.inputs[0].name
    row = row if isinstance(row, dict) else {name: row}
    text = row.get(name)
    if not isinstance(text, str):
        raise UsageError(_("a text to go on from was expected; {came} came", came=repr(text)[:60]))
    asked_for = {}
    for field in fields(Way):
        value = row.get(field.name)
        if value is None:
            continue
        is_whole = field.type == "int" or field.type is int
        if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
            raise UsageError(_("{name}: a number was expected; {came} came", name=field.name, came=repr(value)[:60]))
        asked_for[field.name] = value
    return text, Way(**{"seed": seed, **asked_for})
