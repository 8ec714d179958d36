"""A data set: rows in a frame, perhaps a picture for each row, what is to be learned, and what was noticed.

Everything that can be opened (a file, a folder, a frame, arrays, a name) becomes one of these, by data/sources.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl

Kind = Literal["table", "picture", "text"]


@dataclass
class Dataset:
    """Rows that a model can learn from.

    Attributes:
        name: What a person calls it; the run folder takes its name.
        frame: One row per example: every column of a table; for pictures the labels and what else stood beside them.
        pictures: `(rows, H, W, C)`, uint8 0..255 or float32, C 1 or 3; None for a table.
        target: The columns to be predicted; empty when there is none.
        notes: Translated sentences on what was inferred, repaired or left out; a person reads each of them.
        parts: Row numbers of the parts that the data set itself gives ("train", "valid", "test"), any of them.
        origin: Where it came from, such that opening it again gives the same rows; None for data in memory.
        white: The value of a white picture element: 255 for uint8; what a picture file's 255 is mapped to.
        mapped: It is larger than memory: numbers of a table (gaps are NaN there) or the pictures lie on disk, and
            nobody may copy them as a whole.
        start: The number of the first row, where it is a piece of a larger set; errors count from there.
        names: What the pictures are called, in order; empty where they have no names.
        answers: `(rows, H', W', C')` uint8: what each picture should become, a mask of class numbers or a picture.
        text: The columns whose texts are learned from, two where texts are pairs; empty for tables and pictures.
    """

    name: str
    frame: pl.DataFrame
    pictures: np.ndarray | None = None
    target: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    origin: str | None = None
    white: float = 255.0
    mapped: bool = False
    start: int = 0
    names: Sequence[str] = ()
    answers: np.ndarray | None = None
    text: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return "picture" if self.pictures is not None else "text" if self.text else "table"

    def __len__(self) -> int:
        return self.frame.height if self.pictures is None else len(self.pictures)

    def rows(self, index: np.ndarray) -> "Dataset":
        """These rows, in this order."""
        pictures = None if self.pictures is None else self.pictures[index]
        answers = None if self.answers is None else self.answers[index]
        names = [self.names[i] for i in index] if self.names else ()
        own = {"frame": self.frame[index], "pictures": pictures, "answers": answers, "names": names}
        return replace(self, **own, parts={}, mapped=False, start=0)

    def piece(self, start: int, stop: int) -> "Dataset":
        """The rows from `start` to before `stop`; nothing is copied."""
        pictures = None if self.pictures is None else self.pictures[start:stop]
        answers = None if self.answers is None else self.answers[start:stop]
        own = {"frame": self.frame[start:stop], "pictures": pictures, "answers": answers}
        return replace(self, **own, names=self.names[start:stop], parts={}, start=self.start + start)
