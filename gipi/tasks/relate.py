"""Relate: a word in, the words that are like it out; and sums of words, "king - man + woman".

Words are alike where their vectors point the same way: the cosine. Three figures say how good vectors are:

- `nearer`: how often a word that stands near another in text that was never learned from has the higher cosine with
  it than a word from elsewhere in that text. 0.5 is chance; both words of a pair are as frequent as they are.
- `wordsim`: Spearman's rank correlation of cosines with what people say of pairs of words (Finkelstein et al. 2001).
- `analogies`: how often the word nearest to b - a + c is the one that is to c as b is to a (Mikolov et al. 2013); a, b
  and c themselves are no answers. Both as gensim counts them: what has an unknown word is left out.

V words, D numbers of a vector, Q questions
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gipi.data.schema import Schema
from gipi.errors import DataError, UsageError, nearest, reason_of
from gipi.messages import _
from gipi.tasks.intervals import Array, Metric, wilson

default = {"text": "word2vec"}
loss = None  # the system has its own
NEAR = 10  # words of an answer
MOST_NEAR = 1000
AT_ONCE = 500  # questions whose cosines with all words are held together
RESAMPLES = 1000
FEWEST_PAIRS = 3
TOKEN = re.compile(r"[+-]|[^\s+-]+")
LOOKED_AT = 20_000  # most frequent words that a misspelt one is compared with


def output(schema: Schema) -> int:
    """Nothing is predicted of a word: what is asked for is its vector."""
    return 0


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "nearer"


class Space:
    """Words and their vectors.

    Args:
        words: The most frequent first.
        vectors: `(V, D)`.

    Example:
        >>> space = Space(["up", "down", "rise"], np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.1]]))
        >>> space.near(space.unit[:1], [{0}], 1)[0][0][0]
        'rise'
    """

    def __init__(self, words: Sequence[str], vectors: Array):
        self.words = [*words]
        self.vectors = np.asarray(vectors, np.float32)
        sizes = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.unit = self.vectors / np.maximum(sizes, 1e-12)

    @cached_property
    def places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def _folded(self) -> dict[str, int]:
        return {word.casefold(): place for place, word in reversed([*enumerate(self.words)])}

    def place(self, word: str) -> int | None:
        """Of a word as it is written, or, where there is none, of the most frequent one that differs in capitals."""
        found = self.places.get(word)
        return self._folded.get(word.casefold()) if found is None else found

    def known(self, word: str) -> int:
        """The place of a word.

        Raises:
            DataError: It is not known; names the nearest.
        """
        found = self.place(word)
        if found is None:
            text = _("the word '{word}' is not among the {count} that are known.", word=word, count=len(self.words))
            raise DataError(text + nearest(word.lower(), self.words[:LOOKED_AT]))
        return found

    def near(self, targets: Array, without: Sequence[set[int]], count: int) -> list[list[tuple[str, float]]]:
        """The words nearest to unit vectors `(Q, D)` with their cosines, leaving some out for each."""
        found = []
        for start in range(0, len(targets), AT_ONCE):
            cosines = targets[start : start + AT_ONCE] @ self.unit.T  # (some, V)
            for row, out in zip(cosines, without[start : start + AT_ONCE], strict=True):
                row[[*out]] = -np.inf
                most = min(count, len(row) - len(out))
                best = np.argpartition(-row, min(most, len(row) - 1))[:most]
                best = best[np.argsort(-row[best], kind="stable")]
                found.append([(self.words[place], round(float(row[place]), 6)) for place in best])
        return found


def space_of(model: Any) -> Space:
    """The words of a kept model; made once."""
    held = vars(model).get("_space")
    if held is None or held[0] is not model.members[0]:
        vectors = model.members[0].words.detach().float().cpu().numpy()
        held = vars(model)["_space"] = (model.members[0], Space(model.schema.inputs[0].values, vectors))
    return held[1]


# --- answers -----------------------------------------------------------------------------------------------------


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """The words nearest to each word or sum of words: `{"word", "near": [{"word", "cosine"}, ...]}`.

    Args:
        model: The model.
        rows: `"king"`, `"king - man + woman"`, or `{"word": ...}`, which may also have `"near"`: how many words; and
            `"vector": true`: the vector in place of near words. One or many.
        seed: Nothing is drawn.

    Raises:
        DataError: A word is not known; names the nearest.
    """
    space = space_of(model)
    several = rows if isinstance(rows, list | tuple) else [rows]
    return [_answer(space, row) for row in several]


def _answer(space: Space, row: Any) -> dict[str, Any]:
    asked = row if isinstance(row, dict) else {"word": row}
    if "word" not in asked or isinstance(asked["word"], list | dict | float | None):
        raise DataError(_('a word, or {{"word": ...}}, was expected; {came} came', came=repr(row)[:60]))
    if odd := sorted(set(asked) - {"word", "near", "vector"}):
        raise DataError(_("a word is asked for by word, near and vector; {came} came", came=", ".join(map(str, odd))))
    count = asked.get("near", NEAR)
    if type(count) is not int or not 0 < count <= MOST_NEAR:
        raise DataError(
            _("near is a whole number from 1 to {most}; {came} came", most=MOST_NEAR, came=repr(count)[:60])
        )
    text = str(asked["word"]).strip()
    parts = _parts(text, space)
    if asked.get("vector"):
        return {"word": text, "vector": _summed(parts, space.vectors).tolist()}
    target = _summed(parts, space.unit)
    target = target / max(float(np.linalg.norm(target)), 1e-12)
    (near,) = space.near(target[None], [{place for _sign, place in parts}], count)
    return {"word": text, "near": [{"word": word, "cosine": cosine} for word, cosine in near]}


def _parts(text: str, space: Space) -> list[tuple[int, int]]:
    """`(+1 or -1, place)` of each word of a sum."""
    parts, sign, is_due = [], 1, True
    for token in TOKEN.findall(text):
        if token in ("+", "-"):
            sign, is_due = (1 if token == "+" else -1), True
            continue
        if not is_due:
            break
        parts.append((sign, space.known(token)))
        sign, is_due = 1, False
    else:
        if not is_due:
            return parts
    raise DataError(_("'{text}' is neither a word nor a sum such as 'king - man + woman'", text=text[:60]))


def _summed(parts: list[tuple[int, int]], vectors: Array) -> Array:
    return np.sum([sign * vectors[place] for sign, place in parts], axis=0)


# --- figures -----------------------------------------------------------------------------------------------------


def ranks(values: Array) -> Array:
    """1 for the smallest; equal values share the mean of their ranks. Of `(..., n)`."""
    values = np.asarray(values)
    order = values.argsort(-1, kind="stable")
    ordered = np.take_along_axis(values, order, -1)
    n = values.shape[-1]
    begins = np.concatenate([np.ones((*values.shape[:-1], 1), bool), ordered[..., 1:] != ordered[..., :-1]], -1)
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(begins, place, 0), -1)
    ends = np.concatenate([begins[..., 1:], np.ones((*values.shape[:-1], 1), bool)], -1)
    last = np.flip(np.minimum.accumulate(np.flip(np.where(ends, place, n), -1), -1), -1)
    shared = (first + last) / 2 + 1
    found = np.empty(values.shape)
    np.put_along_axis(found, order, shared, -1)
    return found


def spearman(one: Array, other: Array, seed: int = 0) -> Metric:
    """The correlation of ranks, with its interval: percentiles over resampled pairs."""

    def correlation(a: Array, b: Array) -> Array:
        a, b = ranks(a), ranks(b)
        a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
        size = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
        return np.divide((a * b).sum(-1), size, out=np.full(size.shape, np.nan), where=size > 0)

    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(one), (RESAMPLES, len(one)))
    draws = correlation(one[drawn], other[drawn])
    draws = draws[np.isfinite(draws)]
    value = float(correlation(one[None], other[None])[0])
    return Metric(value, *np.percentile(draws, (2.5, 97.5))) if len(draws) else Metric(value)


def wordsim(space: Space, pairs: Sequence[tuple[str, str, float]], seed: int = 0) -> dict[str, Metric]:
    """`wordsim` of pairs with what people said, and `wordsim_known`, the share whose words are both known.

    Raises:
        DataError: Hardly any is known.
    """
    placed = [(space.place(a), space.place(b), said) for a, b, said in pairs]
    known = [(a, b, said) for a, b, said in placed if a is not None and b is not None]
    if len(known) < FEWEST_PAIRS:
        raise DataError(_("of {all} pairs of words {known} are known: too few", all=len(pairs), known=len(known)))
    a, b, said = (np.array(column) for column in zip(*known, strict=True))
    cosines = (space.unit[a] * space.unit[b]).sum(1)
    share = len(known) / len(pairs)
    return {"wordsim": spearman(cosines, said, seed), "wordsim_known": Metric(share)}


def analogies(space: Space, questions: Sequence[Sequence[str]]) -> dict[str, Metric]:
    """`analogies`, the share of questions (a, b, c, d) that are answered by d, and `analogies_known`.

    Raises:
        DataError: None of them has known words only.
    """
    placed = [[space.place(word) for word in question] for question in questions]
    known = np.array([one for one in placed if None not in one], np.int64).reshape(-1, 4)
    if not len(known):
        raise DataError(_("of {all} questions none has known words only", all=len(questions)))
    right = 0
    for start in range(0, len(known), AT_ONCE):
        a, b, c, d = known[start : start + AT_ONCE].T
        cosines = (space.unit[b] - space.unit[a] + space.unit[c]) @ space.unit.T  # times a length that all share
        rows = np.arange(len(a))
        for given in (a, b, c):
            cosines[rows, given] = -np.inf
        right += int((cosines.argmax(1) == d).sum())
    share = right / len(known)
    found = Metric(share, *wilson(share, len(known)))
    return {"analogies": found, "analogies_known": Metric(len(known) / len(questions))}


def nearer(unit: Array, pairs: Array) -> Array:
    """For words, their neighbours and words from elsewhere `(n, 3)`: 1 where the neighbour is nearer, 1/2 in a tie."""
    word, beside, other = (unit[column] for column in pairs.T)
    gain = (word * beside).sum(1) - (word * other).sum(1)
    return (np.sign(gain) + 1) / 2


def score_source(model: Any, data: Any, intervals: bool = True) -> dict[str, Metric]:
    """`wordsim` of a file of pairs (word, word, number), or `analogies` of a file of four words a line."""
    return scored(space_of(model), data)


def scored(space: Space, data: Any) -> dict[str, Metric]:
    """What a file asks of words: pairs with a number, or questions of four words; see questions-words.txt.

    Args:
        space: The words.
        data: A text file, or rows: `[("tiger", "cat", 7.35), ...]` or `[("athens", "greece", "oslo", "norway"), ...]`.

    Raises:
        UsageError: It is neither.
        DataError: A line of it is not as the others; names it.
    """
    rows = _read(Path(data)) if isinstance(data, str | Path) else [*enumerate(map(list, data), start=1)]
    width = len(rows[0][1]) if rows else 0
    if width not in (3, 4):
        expected = _("lines of two words and a number (wordsim353.tsv), or of four words (questions-words.txt)")
        raise UsageError(
            _("vectors are judged by {expected}; {came} is neither", expected=expected, came=str(data)[:80])
        )
    for line, cells in rows:
        if len(cells) != width:
            raise DataError(
                _("line {line}: {came} parts, {expected} expected", line=line, came=len(cells), expected=width)
            )
    if width == 4:
        return analogies(space, [[*map(str, cells)] for _line, cells in rows])
    first = rows[1:] if len(rows) > 1 and _number(rows[0][1][2]) is None else rows  # a line of titles
    pairs = []
    for line, (one, other, said) in first:
        if (number := _number(said)) is None:
            raise DataError(_("line {line}: '{text}' is no number", line=line, text=str(said)[:60]))
        pairs.append((str(one), str(other), number))
    return wordsim(space, pairs)


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _read(path: Path) -> list[tuple[int, list[Any]]]:
    """Lines with their numbers, cut at tabs, commas or blanks; remarks (#) and titles of sections (:) are left out."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    except UnicodeDecodeError as error:
        raise DataError(_("cannot read {path}: {reason}", path=path, reason=error)) from error
    held = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    held = [(number, line) for number, line in held if line and line[0] not in "#:"]
    mark = next((mark for mark in ("\t", ",") if held and mark in held[0][1]), None)
    return [(number, [cell.strip() for cell in line.split(mark)]) for number, line in held]
