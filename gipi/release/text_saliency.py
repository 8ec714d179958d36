"""Which words of a text decided: integrated gradients over what its tokens are to a network, added up word by word.

Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", 2017, https://arxiv.org/abs/1703.01365, section 5.
Ours differs: the path begins where every token is zeros, not a token of its own; what the tokens of a word add is one
number, what stands outside of words (beginning, end, blanks) another, and with it the numbers add up to the change of
the answer. A network is asked where its tokens become vectors, so any system for texts can be explained.

P points of a path, T tokens, D a token's width, K outputs
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gipi import tasks
from gipi.data.dataset import Dataset
from gipi.data.encode import as_input, tokenizer_in
from gipi.data.text_rows import texts_of
from gipi.errors import UsageError
from gipi.messages import _
from gipi.release.saliency import Attribution, examined, integrated_gradients

if TYPE_CHECKING:
    from gipi.release.model import Model

WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Word:
    """A word, and what it adds to the answer.

    Attributes:
        text: As it stands in the text.
        start: Its first character's place in the text.
        adds: To the probability or the number; below 0 it speaks against it.
        column: Whose text it is in.
    """

    text: str
    start: int
    adds: float
    column: str


@dataclass(frozen=True)
class TextExplanation:
    """What each word did for one answer.

    Attributes:
        said: The answer, as `predict` gives it.
        of: What is explained: a class, a label, or the target whose number it is.
        texts: The text of each column, as the model read it.
        words: All of them, in order; those behind the longest text that the model reads add 0.
        rest: What stands outside of words adds: the beginning, the end, blanks.
        change: The probability or number, minus that of a text whose tokens say nothing.
        gap: The sum of `words` and `rest`, minus `change`; near 0.
        points: At how many points of the path the networks were asked.
    """

    said: dict[str, Any]
    of: Any
    texts: dict[str, str]
    words: list[Word]
    rest: float
    change: float
    gap: float
    points: int

    def json(self) -> dict[str, Any]:
        """What is explained and by which words, in order."""
        several = len(self.texts) > 1
        words = [
            {"word": one.text, "start": one.start, "adds": one.adds} | ({"column": one.column} if several else {})
            for one in self.words
        ]
        return {
            "of": self.of,
            "words": words,
            "rest": self.rest,
            "change": self.change,
            "gap": self.gap,
            "points": self.points,
        }

    def marked(self) -> list[tuple[str, float]]:
        """All that was read, cut where words begin and end, each part with what it adds; 0 between words."""
        parts: list[tuple[str, float]] = []
        for place, (column, text) in enumerate(self.texts.items()):
            parts += [("\n", 0.0)] if place else []
            at = 0
            for word in self.words:
                if word.column == column:
                    parts += [(text[at : word.start], 0.0)] if word.start > at else []
                    parts.append((word.text, word.adds))
                    at = word.start + len(word.text)
            parts += [(text[at:], 0.0)] if at < len(text) else []
        return parts


def text_explanations(model: "Model", data: Dataset, place: int | None) -> Iterator[TextExplanation]:
    """One for each row.

    Args:
        model: For texts.
        data: Rows with its columns.
        place: The number of the class, label or target to be explained; None: what is answered.
    """
    from gipi.release.explain import asked, named, scores

    if not len(data):
        return
    (x,) = model.encode(data)
    answers, disagreement = model.answers(x)
    said = tasks.load(model.task).decode(answers, disagreement, model.schema)
    wanted = asked(scores(answers, model.schema), model.schema, place)
    columns = {field.name: texts_of(data, field.name) for field in model.schema.inputs}
    for row, number in enumerate(wanted.tolist()):
        values, found = token_values(model, x[row], number)
        texts = {name: texts[row] for name, texts in columns.items()}
        words = words_of(model, texts, x[row].tolist(), values)
        rest = float(values.sum()) - sum(word.adds for word in words)
        change, gap, points = (float(one[0]) for one in (found.change, found.gap, found.points))
        yield TextExplanation(said[row], named(model.schema)[number], texts, words, rest, change, gap, int(points))


def token_values(model: "Model", x: Tensor, target: int) -> tuple[Tensor, Attribution]:
    """What each token of one encoded row `(T,)` adds to a class's probability or a target's number, `(T,)`.

    Example:
        >>> values, found = token_values(model, x[0], target=1)       # doctest: +SKIP
        >>> float(values.sum() - found.change - found.gap)             # doctest: +SKIP
        0.0
    """
    from gipi.release.explain import scores

    task, first = tasks.load(model.task), next(model.members[0].parameters())
    row = as_input(model.schema, x[None].to(first.device), first.dtype)  # (1, T), cut where the text ends
    parts = [lookup(member, model.sizes.vocabulary) for member in model.members]
    with examined(model.members), torch.backends.cudnn.flags(enabled=False):  # its recurrences need training mode
        vectors = [seen(member, part, row) for member, part in zip(model.members, parts, strict=True)]  # (1, T, D) each
        sizes = [one.numel() for one in vectors]

        def score(path: Tensor) -> Tensor:  # (P, all members' T D) -> (P, K)
            answers = []
            pieces = path.split(sizes, 1)
            for member, part, piece, like in zip(model.members, parts, pieces, vectors, strict=True):
                with given(part, piece.view(-1, *like.shape[1:])):
                    answers.append(task.answer(member(row.expand(len(path), -1)), model.schema))
            return scores(task.combine(answers, model.schema)[0], model.schema)

        found = integrated_gradients(score, torch.cat([one.flatten(1) for one in vectors], 1), target)
    added = [one.view(like.shape[1:]).sum(-1) for one, like in zip(found.values[0].split(sizes), vectors, strict=True)]
    values = torch.zeros(len(x), dtype=torch.float64)
    values[: row.shape[1]] = sum(one.double().cpu() for one in added)
    return values, found


def lookup(net: nn.Module, vocabulary: int) -> nn.Module:
    """The part of a network that turns tokens `(B, T)` into vectors `(B, T, D)`: its own `pieces`, or its embedding.

    Raises:
        UsageError: There is none.
    """
    own = getattr(net, "pieces", None)
    if isinstance(own, nn.Module):
        return own
    for part in net.modules():
        if isinstance(part, nn.Embedding) and part.num_embeddings == vocabulary:
            return part
    text = _("the words that decided are found where tokens become vectors; this network has no embedding of them")
    raise UsageError(text)


def seen(net: nn.Module, part: nn.Module, x: Tensor) -> Tensor:
    """What a part makes of a row on the way through its network, `(1, T, D)`."""
    kept: list[Tensor] = []

    def keep(_part: nn.Module, _inputs: object, output: Tensor) -> None:
        kept.append(output.detach())

    hook = part.register_forward_hook(keep)
    try:
        net(x)
    finally:
        hook.remove()
    if len(kept) != 1 or kept[0].shape[:2] != x.shape:
        raise UsageError(_("this network does not look its tokens up one by one: its words cannot be told apart"))
    return kept[0]


@contextmanager
def given(part: nn.Module, vectors: Tensor) -> Iterator[None]:
    """A part that gives these vectors, whatever it is asked."""

    def give(_part: nn.Module, _inputs: object, _output: Tensor) -> Tensor:
        return vectors

    hook = part.register_forward_hook(give)
    try:
        yield
    finally:
        hook.remove()


def words_of(model: "Model", texts: dict[str, str], row: Sequence[int], values: Tensor) -> list[Word]:
    """The words of a row's texts with what their tokens add.

    Args:
        model: Whose tokens they are.
        texts: Column -> text, clean.
        row: The row as it was encoded.
        values: What each token adds, `(T,)`.
    """
    tokenizer, words, at = tokenizer_in(model.schema), [], 1
    for column, text in texts.items():
        stop = row.index(tokenizer.end, at) if tokenizer.end in row[at:] else len(row)
        pieces = tokenizer.pieces(text)[: stop - at]
        words += joined(text, [(begin, end) for _id, begin, end in pieces], values[at:stop].tolist(), column)
        at = stop + 1
    return words


def joined(text: str, spans: Sequence[tuple[int, int]], adds: Sequence[float], column: str = "") -> list[Word]:
    """The words between blanks, each with what the tokens on it add; a token on two words is shared by its letters.

    Example:
        >>> [(word.text, word.adds) for word in joined("not bad", [(0, 3), (3, 5), (5, 7)], [0.5, 0.25, 0.25])]
        [('not', 0.5), ('bad', 0.5)]
    """
    found = [(one.start(), one.group()) for one in WORD.finditer(text)]
    owner = [-1] * (len(text) + 1)  # which word each character is in
    for number, (start, word) in enumerate(found):
        owner[start : start + len(word)] = [number] * len(word)
    totals = [0.0] * len(found)
    for (start, stop), value in zip(spans, adds, strict=False):
        inside = [owner[place] for place in range(start, max(stop, start + 1)) if owner[place] >= 0]
        for number in inside:
            totals[number] += value / len(inside)
    return [Word(word, start, total, column) for (start, word), total in zip(found, totals, strict=True)]
