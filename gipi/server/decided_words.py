"""What decided: the words of a text without which the answer would be another.

Each word in turn is left out, and how far the answer falls is what the word has added (Li, Monroe, Jurafsky,
"Understanding Neural Networks through Representation Erasure", 2016, https://arxiv.org/abs/1612.08220, section 4). Like
the square over a picture (decided.py) it asks the model and looks into nothing, so that a program says it as well.
Words that say the same thing twice hide each other: either alone can be left out.

T tokens of a row
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from gipi.data.schema import Schema
from gipi.data.tokenizers import Tokenizer, tokenizer_of
from gipi.server.engine import is_failure

Array = np.ndarray

WORD = re.compile(r"\S+")
MOST = 96  # times that the model is asked: of a longer text neighbours are left out together


async def explained_words(model: Any, answers: Callable[[list[Array]], Awaitable[list[dict]]], row: Array) -> dict:
    """Which words decided: `{"of": label, "words": [{"word", "start", "adds"}], "read": {column: text}}`, or its error.

    `read` is what the model has read, to its last token; `start` counts in its characters. Of a pair each word says its
    `column`.

    Args:
        model: That it was made ready for.
        answers: Answers rows that were made ready.
        row: `(T,)`, made ready.
    """
    names = [field.name for field in model.schema.inputs]
    tokenizer = tokenizer_of(model.schema.inputs[0].tokenizer)
    read, words = words_of(tokenizer, row, names)
    groups = [group.tolist() for group in np.array_split(np.arange(len(words)), min(MOST, max(1, len(words))))]
    left = [np.delete(row, [place for word in group for place in words[word][3]]) for group in groups]
    whole, *others = await answers([row, *left])
    if is_failure(whole):
        return whole
    of, value = _value(whole, model.schema)
    said = []
    for group, other in zip(groups, others, strict=True):
        without = value if is_failure(other) else _value(other, model.schema, of)[1]
        for word in group:
            column, start, text, _places = words[word]
            one = {"word": text, "start": start, "adds": (value - without) / len(group)}
            said.append(one | ({"column": column} if len(names) > 1 else {}))
    return {"of": of, "words": said, "read": read}


def words_of(
    tokenizer: Tokenizer, row: Sequence[int] | Array, names: Sequence[str]
) -> tuple[dict[str, str], list[tuple[str, int, str, list[int]]]]:
    """The texts that tokens say, and their words: the column, the first character, the word, its tokens' places.

    A token on two words counts to the one in which it ends.

    Example:
        >>> from gipi.data.tokenizers import train
        >>> words_of(train(["a b"], "characters", 300), [0, 100, 35, 101, 1], ["text"])
        ({'text': 'a b'}, [('text', 0, 'a', [1]), ('text', 2, 'b', [3])])
    """
    read, words = {}, []
    places = np.flatnonzero(np.asarray(row) == tokenizer.end).tolist()
    start = 1
    for name, stop in zip(names, [*places, *[len(row)] * len(names)], strict=False):
        text, ends = said_by(tokenizer, row[start:stop])
        owner = [-1] * (len(text) + 1)
        own: list[tuple[str, int, str, list[int]]] = []
        for found in WORD.finditer(text):
            owner[found.start() : found.end()] = [len(own)] * (found.end() - found.start())
            own.append((name, found.start(), found.group(), []))
        for place, end in enumerate(ends):
            if end and owner[end - 1] >= 0:
                own[owner[end - 1]][3].append(start + place)
        read[name] = text
        words += own
        start = stop + 1
    return read, words


def said_by(tokenizer: Tokenizer, ids: Sequence[int] | Array) -> tuple[str, list[int]]:
    """The text of tokens, and how far it goes with each: the first of a character's bytes goes as far as the last."""
    writer = tokenizer.writer()
    text, ends, waiting = "", [], 0
    for id in ids:
        more = writer.write(int(id))
        waiting += 1
        if more:
            text += more
            ends += [len(text)] * waiting
            waiting = 0
    text += writer.rest()
    return text, ends + [len(text)] * waiting


def _value(answer: dict, schema: Schema, of: Any = None) -> tuple[Any, float]:
    """What is explained and its number: the probability of the likeliest class or label, the first target's value."""
    if "probabilities" in answer:
        held = answer["probabilities"]
        of = answer.get("label", max(held, key=held.__getitem__)) if of is None else of
        return of, float(held[str(of)])
    name = schema.targets[0].name
    return name, float(answer[name]["value"] if len(schema.targets) > 1 else answer["value"])
