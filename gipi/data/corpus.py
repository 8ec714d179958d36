"""Running text: what a language model, word vectors and masked words are learned from.

One text, as a file is, in consecutive pieces; or many documents, as a folder of files or a column of a table is. A file
that memory does not hold is read again and again, a piece at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gipi.data import text_files
from gipi.data.budget import is_large
from gipi.data.dataset import Dataset
from gipi.data.layout import PARTS, few, tree_of_folder
from gipi.data.text_files import HEAD, Noticed, Pieces, clean, cut, decoded, encoding_of, head_of, opened, read_text
from gipi.data.texts import form_of, is_text_file, named, path_of, stem_of
from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _

LINE = "line"  # the column of a text file: each line is a document
TIMES = 8  # bytes of memory for each byte of a file: as text, as tokens, and both at once
SHORT = 20.0  # characters; columns whose texts are shorter on average are not documents

Progress = Callable[[str, int, int | None], None]


@dataclass
class Corpus:
    """Text to learn from.

    Attributes:
        name: What a person calls it; the run folder takes its name.
        texts: Documents in order, clean; of a large file read when they are asked for.
        is_running: The texts are consecutive pieces of one text, which they are when they are joined.
        notes: Translated sentences on what was recognised, repaired or left out.
        origin: Where it came from; None for data in memory.
        parts: Numbers of the texts of the parts that the source itself gives: "train", "valid", "test".
    """

    name: str
    texts: Sequence[str]
    is_running: bool
    notes: list[str] = field(default_factory=list)
    origin: str | None = None
    parts: dict[str, np.ndarray] = field(default_factory=dict)


def open_corpus(source: Any, columns: Sequence[str] = (), progress: Progress | None = None) -> Corpus:
    """Text from anything that holds some.

    Args:
        source: A text file (also .gz, .xz), a folder of them, a table or JSON lines, a registered name, a frame, a
            Dataset, or a list of texts. A str is always a path or a name.
        columns: Of a table, those with the texts; of several, a row's texts are one document. None: the one with long
            texts. Of a text file, `line` makes each line a document.
        progress: Called while a large file is read.

    Raises:
        UsageError: There is no such path, name or column.
        DataError: It is empty, or no text.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "play.txt"
        >>> _written = path.write_text("ROMEO:\\nIs the day so young?\\n")
        >>> corpus = open_corpus(path)
        >>> corpus.name, corpus.is_running, "".join(corpus.texts)[:6]
        ('play', True, 'ROMEO:')
    """
    if isinstance(source, Corpus):
        return source
    if isinstance(source, list) and all(isinstance(text, str) for text in source):
        return _documents("texts", map(clean, source), [], None)
    if isinstance(source, str | PathLike):
        path, form = path_of(source, progress), form_of(source)
        if path is not None and path.is_dir() and form == "running":
            return _of_folder(path, progress)
        if path is not None and path.is_file() and is_text_file(path):
            corpus = _of_text_file(path, form, columns, progress)
            if (entry := named(source)) is not None:
                corpus.name = corpus.origin = entry.name
            return corpus
    return _of_rows(source, columns, progress)


# --- a file ------------------------------------------------------------------------------------------------------


def _of_text_file(path: Path, form: str, columns: Sequence[str], progress: Progress | None) -> Corpus:
    """Running text, or a table that is called .txt: its cells have tabs between them, or a column is asked for."""
    is_table = bool(columns) or b"\t" in head_of(path)
    if form == "running" or tuple(columns) == (LINE,) or not is_table:
        return _of_file(path, columns, progress)
    try:
        return _of_rows(path, columns, progress)
    except (DataError, UsageError):
        if columns:
            raise
        return _of_file(path, columns, progress)


def _of_file(path: Path, columns: Sequence[str], progress: Progress | None) -> Corpus:
    if columns and tuple(columns) != (LINE,):
        raise UsageError(
            _(
                "{path} is a text, not a table, so it has no column '{name}'; expected 'line', or none.",
                path=path,
                name=columns[0],
            )
        )
    file = opened(path)
    size = file.seek(0, 2)
    file.seek(0)
    noticed = Noticed(encoding_of(file.read(HEAD), path.name))
    is_kept = not is_large(TIMES * size)
    kept: list[str] = []
    places, has_text = [0], False
    for start, content in cut(file, noticed.encoding, text_files.PIECE):
        text = decoded(content, noticed, start == 0)
        has_text = has_text or bool(text.strip())
        if is_kept:
            kept.append(text)
        places.append(start + len(content))
        if progress and size > 64 * text_files.PIECE:
            progress(path.name, places[-1], size)
    if not has_text:
        raise DataError(_("{path} is empty: there is no text in it", path=path))
    notes = noticed.notes(path.name)
    if is_kept and "\n" not in (whole := "".join(kept)) and "\r" in whole:
        kept = [whole.replace("\r", "\n")]  # Macintosh before 2001
    texts = kept if is_kept else Pieces(file, noticed.encoding, places)
    if is_kept:
        file.close()
    if columns:
        return _of_lines(path, texts, notes)
    return Corpus(stem_of(path), texts, True, notes, str(path.resolve()))


def _of_lines(path: Path, pieces: Sequence[str], notes: list[str]) -> Corpus:
    """Each line a document; those without any text are left out."""
    lines: list[str] = []
    begun = ""
    for piece in pieces:
        *whole, begun = (begun + piece).split("\n")
        lines += whole
    return _documents(stem_of(path), [*lines, begun] if begun else lines, notes, str(path.resolve()))


def _documents(
    name: str, texts: Iterable[str], notes: list[str], origin: str | None, parts: dict[str, np.ndarray] | None = None
) -> Corpus:
    every = list(texts)
    there = np.array([bool(text.strip()) for text in every], bool)
    kept = [text for text, has in zip(every, there, strict=True) if has]
    if not kept:
        raise DataError(_("{name}: there is no text in it", name=name))
    if empty := len(every) - len(kept):
        notes = [*notes, _("empty texts, left out: {count}", count=empty)]
    place = np.cumsum(there) - 1
    parts = {part: place[numbers[there[numbers]]] for part, numbers in (parts or {}).items()}
    return Corpus(name, kept, False, notes, origin, parts)


# --- a folder ----------------------------------------------------------------------------------------------------


def _of_folder(path: Path, progress: Progress | None) -> Corpus:
    """Each file a document; train.txt, valid.txt and test.txt, or folders so called, are the parts."""
    tree = tree_of_folder(path)
    files = [place for place in tree.files if is_text_file(Path(place[-1]))]
    others = [place[-1] for place in tree.files if not is_text_file(Path(place[-1]))]
    notes = [_("files that are not text were left out: {names}", names=few(others))] if others else []
    paths = [path.joinpath(*place) for place in files]
    is_kept = not is_large(TIMES * sum(file.stat().st_size for file in paths))
    texts, there = [], []
    for number, file in enumerate(paths):
        text, said = read_text(file)
        notes += said
        there.append(bool(text.strip()))
        texts += [text] if is_kept and there[-1] else []
        if progress and len(files) > 100:
            progress(path.name, number + 1, len(files))
    if not any(there):
        raise DataError(_("{name}: there is no text in it", name=path))
    if empty := len(there) - sum(there):
        notes.append(_("empty texts, left out: {count}", count=empty))
    named = [place[0] if len(place) > 1 else stem_of(file) for place, file in zip(files, paths, strict=True)]
    parts = np.array([PARTS.get(name.lower(), "") for name, has in zip(named, there, strict=True) if has])
    numbers = {part: np.flatnonzero(parts == part) for part in ("train", "valid", "test") if part in parts}
    held = texts if is_kept else Files([file for file, has in zip(paths, there, strict=True) if has])
    return Corpus(path.resolve().name, held, False, notes, str(path.resolve()), numbers if "train" in numbers else {})


class Files(Sequence[str]):
    """The texts of files, each read when it is asked for."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [read_text(path)[0] for path in self.paths[index]]
        return read_text(self.paths[index])[0]


# --- rows --------------------------------------------------------------------------------------------------------


def _of_rows(source: Any, columns: Sequence[str], progress: Progress | None) -> Corpus:
    from gipi.data.sources import open_data

    data = open_data(source, progress=progress)
    names = tuple(columns) or data.text or (_longest(data),)
    for name in names:
        if name not in data.frame.columns:
            known = ", ".join(data.frame.columns[:20])
            raise UsageError(
                _("There is no column '{name}' in {data}.", name=name, data=data.name)
                + nearest(name, data.frame.columns)
                + " "
                + _("Its columns are: {names}.", names=known)
            )
    frame = data.frame.select(pl.col(*names).cast(pl.String).fill_null(""))
    texts = frame.to_series().to_list() if len(names) == 1 else ["\n".join(filter(None, row)) for row in frame.rows()]
    return _documents(data.name, map(clean, texts), [*data.notes], data.origin, data.parts)


def _longest(data: Dataset) -> str:
    """The one column of texts.

    Raises:
        UsageError: There is none, or several.
    """
    length = {
        name: float(data.frame[name].str.len_chars().mean() or 0.0)  # type: ignore[arg-type]
        for name, kind in data.frame.schema.items()
        if kind == pl.String
    }
    long = [name for name, mean in length.items() if mean >= SHORT]
    if len(length) == 1 or len(long) == 1:
        return (long or [*length])[0]
    names = ", ".join(long or length) or _("nothing")
    raise UsageError(
        _("{data}: which column holds the text? Say it by --text; there are {names}.", data=data.name, names=names)
    )
