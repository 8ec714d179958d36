"""Tag: a text in, its labelled stretches out: which words are a person, a place, a date.

Each token gets a score for each tag: O, or the beginning of a label, or where it goes on (data/tags.py). The tags that
are answered are those with the largest probability among the sequences that make sense (`spans.best_path`). A text that
is longer than the network can see is looked at in pieces that overlap, and each token is judged where it has most of
the text around it. Figures: tasks/spans.py.

B texts, T tokens with beginning and end, K tags
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gipi.data.asked import texts_asked
from gipi.data.encode import tokenizer_in
from gipi.data.schema import Schema
from gipi.data.tags import Sentence, Span, numbered, open_tagged, runs
from gipi.data.text_rows import ENDED, padded
from gipi.tasks import spans
from gipi.tasks.intervals import Array, Metric

default = {"text": "bert"}
AT_ONCE = 4096  # tokens that go through a network together
EDGES = 2  # tokens around a text: its beginning and its end


def output(schema: Schema) -> int:
    """Nothing for a text as a whole; a score of each tag for each token: `Sizes.tags`."""
    return 0


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "f1"


def tags_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of these labels, in the order of their numbers.

    Example:
        >>> tags_of(["LC", "PS"])
        ('O', 'B-LC', 'I-LC', 'B-PS', 'I-PS')
    """
    return ("O", *(f"{part}-{label}" for label in labels for part in "BI"))


def labels_of(schema: Schema) -> list[str]:
    """The labels, in the order of their tags."""
    return [str(tag)[2:] for tag in schema.targets[0].values[1::2]]


def loss(output: Tensor, y: Tensor) -> Tensor:
    """The mean surprise at the tags `(B, T')` of tokens with scores `(B, T, K)`, T' >= T; -1 is not asked for."""
    y = y[:, : output.shape[1]]
    total = cross_entropy(output.flatten(0, 1), y.flatten(), ignore_index=ENDED, reduction="sum")
    return total / (y != ENDED).sum().clamp(min=1)


def asked(batch: tuple[Tensor, ...]) -> Tensor:
    """How many tokens a batch's loss is a mean of."""
    return (batch[1] != ENDED).sum()


# --- texts as rows of tokens -------------------------------------------------------------------------------------


def looks(count: int, room: int) -> list[tuple[int, int, int, int]]:
    """How `count` tokens are looked at, `room` at a time: `(start, stop, from, to)`, judged from `from` to before `to`.

    Example:
        >>> looks(5, 8), looks(10, 8)
        ([(0, 5, 0, 5)], [(0, 8, 0, 5), (2, 10, 5, 10)])
    """
    if count <= room:
        return [(0, count, 0, count)]
    starts = [*range(0, count - room, max(1, room // 2)), count - room]
    cuts = [0, *((before + room + start) // 2 for before, start in pairwise(starts)), count]
    return [(start, start + room, *cut) for start, cut in zip(starts, pairwise(cuts), strict=True)]


def rows_of(sentences: Sequence[Sentence], schema: Schema) -> tuple[Tensor, Tensor, Array]:
    """Tagged sentences as `x (n, T)` and tags `y (n, T)`, -1 where nothing is asked, and the sentence of each row."""
    tokenizer, room = tokenizer_in(schema), schema.inputs[0].shape[0] - EDGES
    labels = labels_of(schema)
    x, y, whose = [], [], []
    for number, sentence in enumerate(sentences):
        pieces = tokenizer.pieces(sentence.text)
        tags = numbered([(start, stop) for _id, start, stop in pieces], sentence.spans, labels)
        for start, stop, first, behind in looks(len(pieces), room):
            x.append([tokenizer.begin, *(id for id, _start, _stop in pieces[start:stop]), tokenizer.end])
            own = [tag if first <= place < behind else ENDED for place, tag in enumerate(tags[start:stop], start)]
            y.append([ENDED, *own, ENDED])
            whose.append(number)
    return torch.from_numpy(padded(x)), torch.from_numpy(padded(y)).long(), np.array(whose, np.int64)


def probabilities(model: Any, rows: Sequence[Sequence[int]]) -> list[Array]:
    """The tags' probabilities `(T, K)` of each row of tokens, the members' mean; rows of like length go together."""
    found: list[Any] = [None] * len(rows)
    device = next(model.members[0].parameters()).device
    for places in _batches([len(row) for row in rows]):
        x = torch.from_numpy(padded([rows[place] for place in places])).long().to(device)
        with torch.no_grad():
            mean = torch.stack([member(x).double().softmax(2) for member in model.members]).mean(0).cpu().numpy()
        for place, one in zip(places, mean, strict=True):
            found[place] = one[: len(rows[place])]
    return found


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Places of rows in batches of about AT_ONCE tokens."""
    some: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if some and lengths[place] * (len(some) + 1) > AT_ONCE:
            yield some
            some = []
        some.append(place)
    if some:
        yield some


Found = tuple[Span, float]


def found_in(model: Any, texts: Sequence[str]) -> list[list[Found]]:
    """The stretches of each text, each with the probability that all its tokens have just these tags."""
    schema = model.schema
    tokenizer, room, labels = tokenizer_in(schema), schema.inputs[0].shape[0] - EDGES, labels_of(schema)
    pieces = [tokenizer.pieces(text) for text in texts]
    plan = [(number, look) for number, row in enumerate(pieces) for look in looks(len(row), room)]
    asked = [
        [tokenizer.begin, *(id for id, _start, _stop in pieces[number][start:stop]), tokenizer.end]
        for number, (start, stop, _first, _behind) in plan
    ]
    whole = [np.ones((len(row), len(schema.targets[0].values))) for row in pieces]
    for (number, (start, _stop, first, behind)), said in zip(plan, probabilities(model, asked), strict=True):
        whole[number][first:behind] = said[1 + first - start : 1 + behind - start]
    return [_found(text, row, said, labels) for text, row, said in zip(texts, pieces, whole, strict=True)]


def _found(text: str, pieces: list[tuple[int, int, int]], said: Array, labels: Sequence[str]) -> list[Found]:
    tags = spans.best_path(np.log(np.maximum(said, 1e-30)))
    sure = said[np.arange(len(tags)), tags]
    found = []
    for first, last, kind in runs(tags):
        start, stop = pieces[first][1], pieces[last - 1][2]
        own = text[start:stop]
        start, stop = start + len(own) - len(own.lstrip()), stop - len(own) + len(own.rstrip())
        if start < stop:  # else it is blanks alone
            found.append((Span(start, stop, labels[kind]), float(sure[first:last].prod())))
    return found


# --- figures and answers -----------------------------------------------------------------------------------------


def counts_of(model: Any, sentences: Sequence[Sentence]) -> tuple[Array, list[list[Span]]]:
    """What is counted of each sentence `(n, 5)`, and the stretches that the model finds in it."""
    labels = labels_of(model.schema)
    found = [[span for span, _sure in one] for one in found_in(model, [sentence.text for sentence in sentences])]
    pairs = zip(sentences, found, strict=True)
    return np.array([spans.counted(sentence, one, labels) for sentence, one in pairs]).reshape(-1, 5), found


def score_source(model: Any, data: Any, intervals: bool = True) -> dict[str, Metric]:
    """All figures on other tagged sentences, as `fit` takes them. A label that the model does not know is missed."""
    sentences = open_tagged(data).sentences
    known = set(labels_of(model.schema))
    counts, _found = counts_of(model, [_known(sentence, known) for sentence in sentences])
    counts[:, spans.TRUE] = [len(sentence.spans) for sentence in sentences]
    return spans.metrics(counts, intervals)


def _known(sentence: Sentence, labels: set[str]) -> Sentence:
    own = tuple(span for span in sentence.spans if span.label in labels)
    return Sentence(sentence.text, sentence.tokens, own)


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """For each text `{"text", "spans": [{"start", "stop", "text", "label", "probability"}]}`; stop is behind it."""
    texts = texts_asked(rows, model.schema.inputs[0].name)
    return [
        {"text": text, "spans": [_said(text, span, sure) for span, sure in found]}
        for text, found in zip(texts, found_in(model, texts), strict=True)
    ]


def _said(text: str, span: Span, sure: float) -> dict[str, Any]:
    own = text[span.start : span.stop]
    return {"start": span.start, "stop": span.stop, "text": own, "label": span.label, "probability": sure}
