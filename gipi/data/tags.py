"""Tagged text: sentences whose words or characters have tags, and what the tags say: which stretch is a name, of what.

A file has a token and its tag on each line, a tab (or blanks) between them, and an empty line between sentences, as the
shared tasks of CoNLL have had it since 2000; of more columns the first and the last count. Lines that begin with `## `
or `# ` are remarks. Where tokens are single characters, blanks among them, they are put together as they stand;
words are put together with blanks.

Tags: B-PERSON where a person's name begins, I-PERSON where it goes on, O elsewhere (Ramshaw & Marcus 1995,
https://arxiv.org/abs/cmp-lg/9505040). IOB1, IOE and BIOES say the same in other ways and are read too. Where no tag has
such a beginning (NOUN, VERB ...), each token is a stretch of its own.
"""

import gzip
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gipi.data.delimited import decode
from gipi.errors import DataError, nearest, reason_of
from gipi.messages import _

ALWAYS, SINGLE = "BSU", "ESUL"  # what always begins a stretch; what ends it
PREFIXES = (*"BIESULM",)
MOST_LABELS = 1000
SINGLES = 0.95  # share of tokens of one character, from which on they are characters and not words
PARTS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}
FILES = (".tsv", ".txt", ".conll", ".bio", ".iob", ".iob2", ".tagged")


class Span(NamedTuple):
    """A stretch of a text, in characters, and what it is."""

    start: int
    stop: int
    label: str


@dataclass(frozen=True)
class Sentence:
    """A text, where its tokens stand in it, and which stretches are labelled."""

    text: str
    tokens: tuple[tuple[int, int], ...]
    spans: tuple[Span, ...]


@dataclass
class Tagged:
    """Sentences with their tags.

    Attributes:
        name: What a person calls the data.
        sentences: In order.
        glue: What stands between two tokens: nothing between characters, a blank between words.
        labels: In alphabetical order.
        notes: What a person should read.
        parts: Numbers of the sentences of parts that come in files of their own.
        origin: What opens it again; None for sentences in memory.
    """

    name: str
    sentences: list[Sentence]
    glue: str
    labels: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    origin: str | None = None

    def __len__(self) -> int:
        return len(self.sentences)


Rows = list[tuple[str, str]]  # a sentence as it was written: (token, tag)


def open_tagged(source: Any, others: dict[str, str] | None = None) -> Tagged:
    """Tagged sentences of a file, of a folder with a file for each part, or `[[(token, tag), ...], ...]`.

    Args:
        source: Where they are.
        others: Files of parts of their own: "test", "valid".

    Raises:
        DataError: It cannot be read, or is no tagged text; says in which line.
    """
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        files = _files(path)
        name, origin = path.name.removesuffix(".gz").rpartition(".")[0] or path.name, str(path.absolute())
    else:
        name, origin, files = "data", None, {}
    notes: list[str] = []
    parts = {part: _read(file, notes) for part, file in files.items()} or {"train": _checked(source)}
    parts |= {part: _read(Path(file).expanduser(), notes) for part, file in (others or {}).items()}
    rows = [sentence for sentences in parts.values() for sentence in sentences]
    if not rows:
        raise DataError(_("{name}: there is no sentence in it", name=name))
    found = _made(rows, name, notes, origin)
    ends = np.cumsum([0, *map(len, parts.values())])
    if len(parts) > 1:
        found.parts = {part: np.arange(ends[place], ends[place + 1]) for place, part in enumerate(parts)}
    return found


def _files(path: Path) -> dict[str, Path]:
    """The file of each part."""
    if not path.exists():
        there = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(_("there is no file {path}.", path=path) + nearest(path.name, there))
    if not path.is_dir():
        return {"train": path}
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        plain = Path(file.name.removesuffix(".gz"))
        part = next((PARTS[word] for word in plain.stem.lower().replace("-", "_").split("_") if word in PARTS), "")
        if plain.suffix.lower() in FILES and part and part not in found:
            found[part] = file
    if "train" not in found:
        raise DataError(
            _("{path}: a folder of tagged text needs a file train.tsv, and perhaps valid.tsv and test.tsv", path=path)
        )
    return {part: found[part] for part in ("train", "valid", "test") if part in found}


def _read(path: Path, notes: list[str]) -> list[Rows]:
    """The sentences of a file."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise DataError(_("cannot read {path}: {reason}", path=path, reason=reason)) from error
    text, remarks = decode(data, path.name)
    notes += remarks
    return parsed(text, path.name)


def parsed(text: str, file: str) -> list[Rows]:
    """The sentences of a text in columns.

    Raises:
        DataError: A line has no tag.

    Example:
        >>> parsed("Kim\\tB-PS\\nsat\\tO\\n\\n.\\tO\\n", "a.tsv")
        [[('Kim', 'B-PS'), ('sat', 'O')], [('.', 'O')]]
    """
    sentences: list[Rows] = []
    rows: Rows = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line.startswith(("## ", "# ", "-DOCSTART-")) or line == "##":
            continue
        if not line.strip():
            if rows:
                sentences.append(rows)
            rows = []
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        if len(cells) < 2 or not cells[-1].strip():
            example = "Seoul\\tB-LOC"
            raise DataError(
                _(
                    "{file}, line {line}: a token and its tag were expected, such as {example}; {came} came",
                    file=file,
                    line=number,
                    example=example,
                    came=repr(line[:60]),
                )
            )
        rows.append((cells[0], cells[-1].strip()))
    return [*sentences, rows] if rows else sentences


def _checked(source: Any) -> list[Rows]:
    """Sentences that somebody made in Python."""
    rows = [list(sentence) for sentence in source] if isinstance(source, Iterable) else []
    for sentence in rows:
        for pair in sentence:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and all(isinstance(one, str) for one in pair)):
                came = repr(pair)[:60]
                raise DataError(_("a sentence is a list of (token, tag), both texts; {came} came", came=came))
    return [sentence for sentence in rows if sentence]


def _made(sentences: list[Rows], name: str, notes: list[str], origin: str | None) -> Tagged:
    """Sentences as texts with stretches."""
    tokens = [[_clean(token) for token, _tag in rows] for rows in sentences]
    every = [token for row in tokens for token in row]
    is_single = sum(len(token) == 1 for token in every) >= SINGLES * len(every)
    glue = "" if is_single else " "
    tags = {tag for rows in sentences for _token, tag in rows}
    is_plain = not any(_parted(tag)[0] and _parted(tag)[1] for tag in tags)
    found: list[Sentence] = []
    for row, rows in zip(tokens, sentences, strict=True):
        text, places = joined(row, glue)
        said = [f"S-{tag}" if is_plain and tag != "O" else tag for _token, tag in rows]
        spans = (Span(places[first][0], places[last - 1][1], label) for first, last, label in stretches(said))
        found.append(Sentence(text, tuple(places), tuple(spans)))
    labels = sorted({span.label for sentence in found for span in sentence.spans})
    if not labels:
        raise DataError(_("{name}: no token has a tag other than O; there is nothing to learn", name=name))
    if len(labels) > MOST_LABELS:
        shown = ", ".join(labels[:3])
        raise DataError(
            _(
                "{name}: {count} different tags ({shown} ...); is the last column the tag? At most {most} can be told "
                "apart",
                name=name,
                count=len(labels),
                shown=shown,
                most=MOST_LABELS,
            )
        )
    if is_plain:
        notes.append(_("tags without B- and I-: each token that has one is a stretch of its own"))
    return Tagged(name, found, glue, tuple(labels), notes, {}, origin)


def _clean(token: str) -> str:
    """A token as all text is: composed, without what no text has; nothing is a blank."""
    token = token.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", token) or " "


def joined(tokens: Sequence[str], glue: str) -> tuple[str, list[tuple[int, int]]]:
    """Tokens as one text, and where each of them is.

    Example:
        >>> joined(["Kim", "sat"], " ")
        ('Kim sat', [(0, 3), (4, 7)])
    """
    places, start = [], 0
    for token in tokens:
        places.append((start, start + len(token)))
        start += len(token) + len(glue)
    return glue.join(tokens), places


def _parted(tag: str) -> tuple[str, str]:
    """`("B", "PS")` of B-PS; `("", tag)` of what is no such tag."""
    prefix, dash, label = tag.partition("-")
    return (prefix, label) if dash and prefix in PREFIXES and label else ("", tag)


def stretches(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """`(first, behind the last, label)` of each stretch of tokens; I- that follows on nothing begins one.

    Example:
        >>> stretches(["B-A", "I-A", "O", "I-B", "B-B", "I-A"])
        [(0, 2, 'A'), (3, 4, 'B'), (4, 5, 'B'), (5, 6, 'A')]
    """
    found: list[tuple[int, int, str]] = []
    is_open = False
    for place, tag in enumerate(tags):
        prefix, label = _parted(tag)
        if not prefix:
            is_open = False
            continue
        if is_open and prefix not in ALWAYS and found[-1][2] == label:
            found[-1] = (found[-1][0], place + 1, label)
        else:
            found.append((place, place + 1, label))
        is_open = prefix not in SINGLE
    return found


# --- tags of pieces, as numbers: 0 is O, 1 + 2 k the beginning of label k, 2 + 2 k where it goes on ---------------


def numbered(pieces: Sequence[tuple[int, int]], spans: Iterable[Span], labels: Sequence[str]) -> list[int]:
    """The tag of each piece `(start, stop)` of a text: that of the stretch that it has a part in; the first one's.

    Example:
        >>> numbered([(0, 2), (2, 3), (4, 7)], [Span(0, 3, "PS")], ["LC", "PS"])
        [3, 4, 0]
    """
    known = {label: place for place, label in enumerate(labels)}
    starts, stops = [start for start, _stop in pieces], [max(stop, start + 1) for start, stop in pieces]
    tags = [0] * len(pieces)
    for start, stop, label in sorted(spans):
        first, behind = bisect_right(stops, start), bisect_left(starts, stop)
        free = [place for place in range(first, behind) if not tags[place]]
        for place in free:
            tags[place] = 1 + 2 * known[label] + (place > free[0])
    return tags


def runs(tags: Sequence[int]) -> list[tuple[int, int, int]]:
    """`(first, behind the last, label number)` of each stretch of numbered tags; what goes on from nothing begins one.

    Example:
        >>> runs([3, 4, 0, 4, 1, 1, 2])
        [(0, 2, 1), (3, 4, 1), (4, 5, 0), (5, 7, 0)]
    """
    found: list[tuple[int, int, int]] = []
    before = 0
    for place, tag in enumerate(tags):
        if tag and tag % 2 == 0 and before in (tag, tag - 1):
            found[-1] = (found[-1][0], place + 1, found[-1][2])
        elif tag:
            found.append((place, place + 1, (tag - 1) // 2))
        before = tag
    return found
