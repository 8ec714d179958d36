"""What the doctor may look at of data that has no labels, or more than one label a row: pictures, tokens, texts.

Everything is bounded: of data larger than memory some rows, of long texts the beginning of each part.

B rows, T tokens of a row
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gipi.data.large_frames import sample
from gipi.data.text_rows import padded
from gipi.data.tokenizers import Tokenizer
from gipi.doctor.finding import View
from gipi.tasks.intervals import Array

COPIED = 50  # tokens: a stretch as long that stands twice is a copy, no chance (Lee 2022, arxiv.org/abs/2107.06499)
WIDE = 64  # tokens of a line or document that are looked at
MOST = {"train": 1 << 22}  # tokens of a part from which its lines are taken
MOST_HELD = 1 << 20  # and of a part that is held out


def of_pictures(x: Any, parts: Mapping[str, Array], names: Sequence[str], mapped: bool, seed: int) -> View:
    """Pictures `(rows, C, H, W)`, a tensor; where they are mapped, some of each part."""
    x = x.numpy()
    if not mapped:
        return View(x, None, parts, names=names)
    chosen = {part: sample(rows, x[0].size, seed) for part, rows in parts.items()}
    starts = np.cumsum([0, *map(len, chosen.values())])
    kept = np.concatenate([*chosen.values()])
    cut = {part: np.arange(starts[n], starts[n + 1]) for n, part in enumerate(chosen)}
    return View(x[kept], None, cut, names=[names[int(row)] for row in kept] if names else ())


def of_running(tokens: Mapping[str, Array], tokenizer: Tokenizer) -> View:
    """The lines of a running text, or documents, that are so long that none is there twice by chance."""
    rows = {part: lines_of(some[: MOST.get(part, MOST_HELD)], tokenizer) for part, some in tokens.items()}
    return of_rows(rows)


def lines_of(tokens: Array, tokenizer: Tokenizer) -> list[Array]:
    """The first 64 tokens of each line or document of 50 at least, where its tokens `(n,)` say where one ends."""
    tokens = np.asarray(tokens)
    ends = np.array([b"\n" in said for said in tokenizer.table] if not any(tokenizer.spaced) else [], bool)
    ends = np.pad(ends, (0, max(0, tokenizer.size - len(ends))))
    ends[tokenizer.end] = True
    cuts = np.flatnonzero(ends[tokens]) + 1
    starts = np.concatenate([[0], cuts])
    lengths = np.diff(np.concatenate([starts, [len(tokens)]]))
    is_long = lengths >= COPIED
    if len(starts) < 2:
        return []
    return [
        tokens[start : start + min(length, WIDE)]
        for start, length in zip(starts[is_long], lengths[is_long], strict=True)
    ]


def of_rows(rows: Mapping[str, Sequence[Array]]) -> View:
    """Rows of tokens of each part."""
    rows = {part: some for part, some in rows.items() if len(some)}
    if "train" not in rows:
        return View()
    starts = np.cumsum([0, *map(len, rows.values())])
    parts = {part: np.arange(starts[n], starts[n + 1]) for n, part in enumerate(rows)}
    return View(padded([row[:WIDE] for some in rows.values() for row in some]), None, parts)
