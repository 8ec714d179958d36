"""Rows of texts with labels, told from how files lie: a folder for each class, or a file for each class.

    reviews/pos/1.txt, reviews/neg/1.txt      each file is a row; folders train, valid and test above are the parts
    rt-polarity.pos, rt-polarity.neg          each line is a row
    male.txt, female.txt                      likewise

The files may lie in a folder or in a zip.
"""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.data.layout import PARTS, Place, Tree, few
from gipi.data.text_files import text_of
from gipi.data.texts import TEXTS
from gipi.errors import DataError
from gipi.messages import _

TEXT, LABEL = "text", "label"
ASIDE = {"readme", "license", "licence", "copying", "notice", "changes", "citation"}
OF_LINES = (*TEXTS, ".pos", ".neg")
MOST_FILES = 100  # that are classes of lines

Read = Callable[[Place], bytes]
Progress = Callable[[str, int, int | None], None]


def texts_of_tree(tree: Tree, read: Read, progress: Progress | None = None) -> Dataset | None:
    """Rows of texts, labels and parts; None where files do not lie so.

    Args:
        tree: What there is.
        read: The bytes of a file.
        progress: Called while many files are read.

    Raises:
        DataError: A file is no text, or no row has any.
    """
    files = [place for place in tree.files if _stem(place[-1]).lower() not in ASIDE]
    top: Place = ()
    while files and all(len(place) > 1 for place in files) and len({place[0] for place in files}) == 1:
        if files[0][0].lower() in PARTS:
            break
        top, files = (*top, files[0][0]), [place[1:] for place in files]
    if not files:
        return None
    parts = [PARTS.get(place[0].lower(), "") if len(place) > 1 else "" for place in files]
    if not all(parts):
        parts = [""] * len(files)
    below = [place[1:] if part else place for place, part in zip(files, parts, strict=True)]
    if len({*map(len, below)}) != 1:
        return None
    suffixes = {PurePosixPath(place[-1]).suffix.lower() for place in below}
    if len(below[0]) == 2 and suffixes <= {*TEXTS}:
        labels, is_lines = [place[0] for place in below], False
    elif len(below[0]) == 1 and suffixes <= {*OF_LINES} and 1 < len({*below}) <= MOST_FILES:
        names = [PurePosixPath(place[0]) for place in below]
        labels = [name.suffix[1:] if name.suffix not in TEXTS else name.stem for name in names]
        is_lines = True
    else:
        return None
    if len({*labels}) < 2:
        return None
    return _rows([(*top, *place) for place in files], labels, parts, is_lines, read, progress)


def _rows(
    files: Sequence[Place],
    labels: Sequence[str],
    parts: Sequence[str],
    is_lines: bool,
    read: Read,
    progress: Progress | None,
) -> Dataset:
    rows: list[tuple[str, str, str]] = []
    notes = [_("each file is a class, each of its lines a row")] if is_lines else []
    empty = 0
    for number, (place, label, part) in enumerate(zip(files, labels, parts, strict=True)):
        text, said = text_of(read(place), place[-1])
        notes += said
        texts = text.split("\n") if is_lines else [text]
        kept = [text for text in texts if text.strip()]
        empty += not kept or (not is_lines and len(texts) - len(kept))
        rows += [(text.strip(), label, part) for text in kept]
        if progress and len(files) > 1000 and number % 100 == 0:
            progress(_("texts"), number, len(files))
    if not rows:
        raise DataError(_("{name}: there is no text in it", name=few([place[-1] for place in files])))
    if empty:
        notes.append(_("empty files, left out: {count}", count=empty))
    frame = pl.DataFrame(rows, schema=[TEXT, LABEL, "part"], orient="row")
    found = frame["part"].to_numpy()
    named = {part: np.flatnonzero(found == part) for part in ("train", "valid", "test") if part in parts}
    return Dataset("texts", frame.drop("part"), None, (LABEL,), _shortened(notes), named, text=(TEXT,))


def _shortened(notes: list[str]) -> list[str]:
    """Of many files the first notes, and how many more there are."""
    if len(notes) <= 5:
        return notes
    return [*notes[:4], _("and {count} more notes on files", count=len(notes) - 4)]


def _stem(name: str) -> str:
    return Path(name).name.split(".")[0]
