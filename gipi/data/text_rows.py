"""Rows of texts as numbers, in NumPy: `[begin] tokens [end]`, a pair as `[begin] one [end] other [end]`.

B rows, T tokens of the longest row, at most those of the schema
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.schema import Field
from gipi.data.texts import clean
from gipi.data.tokenizers import Tokenizer, tokenizer_of
from gipi.errors import DataError
from gipi.messages import _

ENDED = -1  # stands where a text has ended, whatever the tokens are


def text_rows(fields: Sequence[Field], data: Dataset) -> np.ndarray:
    """The texts of these columns as tokens, `(B, T)` int32, `ENDED` behind the end of each.

    A row that is longer than the schema's T keeps its beginning and its end token; of a pair the longer of the two
    texts is cut first.

    Raises:
        DataError: A column is missing.
    """
    tokenizer, most = tokenizer_of(fields[0].tokenizer), fields[0].shape[0]
    encoded = [tokenizer.encode_all(texts_of(data, field.name)) for field in fields]
    return padded([joined(row, tokenizer, most) for row in zip(*encoded, strict=True)])


def texts_of(data: Dataset, name: str) -> list[str]:
    """A column's texts, clean; a missing one says nothing.

    Raises:
        DataError: There is no such column.
    """
    if name not in data.frame.columns:
        came = ", ".join(data.frame.columns[:12])
        raise DataError(_("column '{name}' is missing; the columns are: {came}", name=name, came=came))
    column = data.frame[name]
    if column.dtype.is_nested():
        kind = str(column.dtype)[:60]
        raise DataError(_("column '{name}' holds {kind}; texts were expected", name=name, kind=kind))
    return [clean(text) for text in column.cast(pl.String).fill_null("").to_list()]


def joined(texts: Sequence[list[int]], tokenizer: Tokenizer, most: int) -> list[int]:
    """One row of tokens, no longer than `most`, of one text or of a pair.

    Example:
        >>> from gipi.data.tokenizers import train
        >>> joined([[7, 8, 9, 7], [8]], train(["abc"], "characters", 300), 6)
        [0, 7, 8, 1, 8, 1]
    """
    room = max(0, most - 1 - len(texts))
    if len(texts) == 2:
        first = texts[0][: max(room - len(texts[1]), room - room // 2)]
        texts = [first, texts[1][: room - len(first)]]
    else:
        texts = [text[:room] for text in texts]
    row = [tokenizer.begin]
    for text in texts:
        row += [*text, tokenizer.end]
    return row


def padded(rows: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Rows of different lengths as `(B, T)` int32, `ENDED` behind each; T is at least 1."""
    lengths = np.array([len(row) for row in rows], np.int64)
    x = np.full((len(rows), max(1, int(lengths.max(initial=0)))), ENDED, np.int32)
    x[np.arange(x.shape[1]) < lengths[:, None]] = np.concatenate([np.asarray(row, np.int32) for row in rows] or [[]])
    return x


def lengths_of(x: np.ndarray) -> np.ndarray:
    """How many tokens each row of `(B, T)` has."""
    return (x != ENDED).sum(1)
