"""Texts of a person: what form a source has, and rows of texts with their answers, from tables and parallel files.

a text file, a folder of them                  running text (corpus.py)
folders of text files, one for each class      rows with labels (text_sets.py)
a.de and a.en, line by line                    pairs
a word and its tag on a line                   tags
a table, JSON lines                            rows
"""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.delimited import NO_SEPARATOR, SAMPLE, sniff
from gipi.data.layout import PARTS
from gipi.data.text_files import HEAD, PACKED, Noticed, clean, decoded, encoding_of, head_of, read_text
from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _

if TYPE_CHECKING:
    from gipi.data.catalog import Entry

__all__ = ["clean", "form_of", "open_rows"]

TEXTS = (".txt", ".text", ".md")
TAGGED = (".tsv", ".txt", ".conll", ".iob", ".bio", ".iob2")
OF_TASK = {"write": "running", "translate": "pairs", "tag": "tags", "chat": "answers"}
SAME = 0.95  # of the lines of a table have the same number of cells
OTHERS = {
    "py",
    "js",
    "gz",
    "xz",
    "md",
    "pl",
    "sh",
    "pos",
    "neg",
    "tar",
    "csv",
    "tsv",
    "txt",
    "zip",
    "log",
    "xml",
    "doc",
    "pdf",
    "dat",
}

Progress = Callable[[str, int, int | None], None]


# --- what form a source has --------------------------------------------------------------------------------------


def form_of(source: Any) -> str:
    """running, pairs, tags or (questions with) answers; "" for rows and all that is no text. Nothing is refused here.

    Example:
        >>> form_of("tiny-shakespeare"), form_of(["one text", "another"]), form_of({"x": [1, 2]})
        ('running', 'running', '')
    """
    if isinstance(source, list) and source and all(isinstance(text, str) for text in source):
        return "running"
    if getattr(source, "is_running", None) is not None:  # a Corpus
        return "running"
    if not isinstance(source, str | PathLike) or not str(source).strip():
        return ""
    if two_of(source) is not None:
        return "pairs"
    try:
        if (entry := named(source)) is not None:
            return OF_TASK.get(entry.task, "")
        path = Path(source).expanduser()
        if not path.exists():
            return ""
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except (OSError, DataError):  # opening it says what is wrong
        return ""


def _of_folder(path: Path) -> str:
    inside = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    if parallel_files(inside):
        return "pairs"
    files, folders = [file for file in inside if file.is_file()], [file for file in inside if file.is_dir()]
    is_parts = bool(folders) and all(folder.name.lower() in PARTS for folder in folders)
    if is_parts and not any(any(below.is_dir() for below in folder.iterdir()) for folder in folders):
        files += [file for folder in folders for file in folder.iterdir()]
    elif folders:
        return ""
    texts = [file for file in files if is_text_file(file)]
    is_plain = bool(texts) and len(texts) >= len(files) - len(texts) and not is_by_file(texts)
    return "running" if is_plain and _of_file(texts[0]) == "running" else ""


def _of_file(path: Path) -> str:
    suffix = Path(path.stem if path.suffix.lower() in PACKED else path.name).suffix.lower()
    if suffix not in (*TEXTS, *TAGGED):
        return ""
    head = head_of(path)
    noticed = Noticed(encoding_of(head, path.name))
    lines = decoded(head, noticed).split("\n")
    lines = lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines
    if suffix in TAGGED and are_tagged(lines):
        return "tags"
    return "running" if suffix in TEXTS and is_running(lines) else ""


def are_tagged(lines: Sequence[str]) -> bool:
    """A word and its tag on each line, tags that begin with B-, I- or are O, and blank lines between sentences."""
    words = [line for line in lines if line.strip() and not line.startswith("#")]
    tags = [line.split("\t")[-1].split(" ")[-1].strip() for line in words]
    named = [tag for tag in tags if tag == "O" or tag[:2] in ("B-", "I-", "E-", "S-")]
    return len(named) >= SAME * len(words) and 0 < len(words) < len(lines) and "O" in tags and len({*tags}) > 1


def is_running(lines: Sequence[str]) -> bool:
    """Sentences, and not the rows of a table: more letters than digits, and no sign that divides all lines alike."""
    full = [line for line in lines if line.strip()]
    letters = sum(letter.isalpha() for line in full for letter in line)
    if not full or letters < sum(letter.isdigit() for line in full for letter in line):
        return False
    separator = sniff(full[:SAMPLE], "")
    if separator == NO_SEPARATOR or len(full) < 2:
        return True
    plain = [line.count(separator) for line in full[:SAMPLE]]
    quoted = [len(row) for row in csv.reader(full[:SAMPLE], delimiter=separator)] if separator != "\t" else plain
    return all(max(Counter(widths).values()) < SAME * len(widths) for widths in (plain, quoted))


def is_text_file(path: Path) -> bool:
    name = path.name[: -len(path.suffix)] if path.suffix.lower() in PACKED else path.name
    return name.lower().endswith(TEXTS)


def is_by_file(files: Sequence[Path]) -> bool:
    """Whether files are called as their classes: pos and neg."""
    return {stem_of(file).lower() for file in files} >= {"pos", "neg"}


def stem_of(path: Path) -> str:
    """A file's name without what says its kind."""
    name = path.name[: -len(path.suffix)] if path.suffix.lower() in PACKED else path.name
    return Path(name).stem or name


def named(source: str | PathLike) -> "Entry | None":
    """The entry that a source means by its name; None for a path."""
    from gipi.data.registry import entry_of

    text = str(source)
    if isinstance(source, PathLike) or any(mark in text for mark in "/\\~") or Path(text).suffix:
        return None
    return entry_of(text)


def path_of(source: str | PathLike, progress: Progress | None = None) -> Path | None:
    """Where a source lies: its own path, or that of a registered set of one file; None for anything else.

    Raises:
        DataError: It cannot be fetched.
    """
    from gipi.data.registry import located

    if (entry := named(source)) is not None:
        return located(entry.files[0], progress) if len(entry.files) == 1 else None
    path = Path(source).expanduser()
    return path if path.exists() else None


# --- parallel files ----------------------------------------------------------------------------------------------


def two_of(source: str | PathLike) -> tuple[Path, Path] | None:
    """The two files of "a.de,b.en"."""
    names = str(source).split(",")
    if len(names) != 2 or Path(source).exists():
        return None
    first, second = (Path(name.strip()).expanduser() for name in names)
    return (first, second) if first.is_file() and second.is_file() else None


def language_of(path: Path) -> str:
    """`de` of train.de and train.de.gz; "" where the name says none."""
    name = Path(path.name[: -len(path.suffix)] if path.suffix.lower() in PACKED else path.name)
    said = name.suffix[1:].lower()
    return said if 2 <= len(said) <= 3 and said.isalpha() and said not in OTHERS else ""


def parallel_files(files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of files with one name and two languages; none where there are not just two."""
    spoken = [file for file in files if language_of(file)]
    languages = sorted({language_of(file) for file in spoken})
    if len(languages) != 2:
        return []
    found = {(stem_of(file), language_of(file)): file for file in spoken}
    stems = dict.fromkeys(stem for stem, _language in found)
    pairs = [tuple(found.get((stem, language)) for language in languages) for stem in stems]
    return [(first, second) for first, second in pairs if first and second]


def open_pairs(pairs: Sequence[tuple[Path, Path]], name: str) -> Dataset:
    """Lines of files that belong together; files called train, valid and test are the parts.

    Raises:
        DataError: Two files do not have as many lines, or nothing in them.
    """
    columns = [language_of(path) for path in pairs[0]]
    if not all(columns) or columns[0] == columns[1]:
        columns = ["source", "target"]
    rows, parts, notes = ([], []), [], []
    for files in pairs:
        both = []
        for path in files:
            text, said = read_text(path)
            both.append(text.removesuffix("\n").split("\n"))
            notes += said
        if len(both[0]) != len(both[1]):
            raise DataError(
                _(
                    "{first} has {count} lines and {second} has {other}; parallel files have as many, one translation "
                    "a line.",
                    first=files[0].name,
                    count=len(both[0]),
                    second=files[1].name,
                    other=len(both[1]),
                )
            )
        for column, lines in zip(rows, both, strict=True):
            column += lines
        parts += [part_of(stem_of(files[0]))] * len(both[0])
    frame = pl.DataFrame(dict(zip(columns, rows, strict=True)), schema=dict.fromkeys(columns, pl.String))
    known = [part for part in ("train", "valid", "test") if part in parts] if "train" in parts else []
    numbers = {part: np.flatnonzero(np.array(parts) == part) for part in known}
    return Dataset(name, frame, None, (columns[1],), notes, numbers, text=(columns[0],))


def part_of(stem: str) -> str:
    words = stem.lower().replace("-", "_").replace(".", "_").split("_")
    named = {**PARTS, "dev": "valid"}
    return next((named[word] for word in words if word in named), "")


# --- rows --------------------------------------------------------------------------------------------------------


def open_rows(
    source: Any, text: Sequence[str] = (), target: str | Sequence[str] | None = None, progress: Progress | None = None
) -> Dataset:
    """Rows of texts with what belongs to each: a translation, an answer, a label.

    Args:
        source: Parallel files, as a folder or as "a.de,b.en"; a table or JSON lines; a registered name; a Dataset.
        text: The columns with the texts. None: those of the source, else of two columns with texts the first.
        target: What belongs to them. None: that of the source, else the other one.
        progress: Called while something takes long.

    Raises:
        UsageError: There is no such source or column, or it is not plain which columns are meant.
        DataError: It cannot be read, or no row is whole.

    Example:
        >>> data = open_rows({"question": ["Who?", "Why?"], "answer": ["I.", "So."]})
        >>> data.text, data.target
        (('question',), ('answer',))
    """
    data = _pairs_of(source, progress)
    if data is None:
        from gipi.data.sources import open_data

        data = open_data(source, progress=progress)
    else:
        data.origin = str(source)
    asked = (target,) if isinstance(target, str) else tuple(target or ())
    for name in (*text, *asked):
        if name not in data.frame.columns:
            known = ", ".join(data.frame.columns[:20])
            raise UsageError(
                _("There is no column '{name}' in {data}.", name=name, data=data.name)
                + nearest(name, data.frame.columns)
                + " "
                + _("Its columns are: {names}.", names=known)
            )
    texts, target = _chosen(data, tuple(text), asked)
    return _whole_rows(replace(data, text=texts, target=target, notes=[*data.notes]))


def _pairs_of(source: Any, progress: Progress | None) -> Dataset | None:
    if not isinstance(source, str | PathLike):
        return None
    if two := two_of(source):
        return open_pairs([two], f"{stem_of(two[0])}-{language_of(two[1]) or stem_of(two[1])}")
    path = Path(source).expanduser()
    if path.is_dir() and (pairs := parallel_files(sorted(path.iterdir()))):
        return open_pairs(pairs, path.resolve().name)
    return None


def _chosen(data: Dataset, text: tuple[str, ...], target: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which columns are the texts, and which belong to them."""
    if target and not text and data.text == target:
        text = tuple(name for name in data.target if name not in target)  # the other direction
    elif text and not target and data.target == text:
        target = data.text
    words = [name for name, kind in data.frame.schema.items() if kind == pl.String]
    target = target or tuple(name for name in data.target if name not in text)
    text = text or tuple(name for name in data.text if name not in target)
    left = [name for name in words if name not in (*text, *target)]
    if not text and left:
        text, left = (left[0],) if len(left) == 1 or (not target and len(left) == 2) else (), left[1:]
    if text and not target and len(left) == 1:
        target = (left[0],)
    if not text or not target:
        names = ", ".join(data.frame.columns[:20])
        raise UsageError(
            _(
                "{data}: which column holds the texts, and which what belongs to them? Say it by --text and --target; "
                "there are {names}.",
                data=data.name,
                names=names,
            )
        )
    return text, target


def _whole_rows(data: Dataset) -> Dataset:
    """Clean texts; rows where one is missing are left out, and said."""
    every = [*data.text, *data.target]
    words = [name for name in every if data.frame.schema[name] == pl.String]
    frame = data.frame.with_columns(
        pl.Series(name, [None if text is None else clean(text) for text in data.frame[name]], pl.String)
        for name in words
    )
    is_empty = frame.select(
        pl.any_horizontal(
            *(pl.col(name).is_null() for name in every), *(pl.col(name).str.strip_chars() == "" for name in words)
        ).fill_null(True)
    ).to_series()
    if is_empty.all():
        raise DataError(_("{data}: no row has both {names}.", data=data.name, names=", ".join(every)))
    if not is_empty.any():
        return replace(data, frame=frame)
    there = (~is_empty).to_numpy()
    data.notes.append(
        _("rows without a text or without what belongs to it, left out: {count}", count=int(is_empty.sum()))
    )
    place = np.cumsum(there) - 1
    parts = {part: place[numbers[there[numbers]]] for part, numbers in data.parts.items()}
    return replace(data, frame=frame.filter(~is_empty), parts=parts)
