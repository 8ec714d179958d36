"""The columns of a table as numbers that checks can compare, with gaps as NaN; also of columns that gipi left out.

n rows that are looked at, T numbers that are asked for
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gipi.doctor.finding import View
from gipi.messages import _

MOST_COLUMNS = 500  # of more than these, the first are looked at: a check takes a third of a second, not a minute
MOST_CLASSES = 50  # that are told apart; the others are one
MOST_QUESTIONS = 8  # numbers or labels that are asked for, of which each is looked at by itself
# The words by which a column says that its values name someone or something of which there may be several rows.
OWNERS = frozenset(
    {"id", "ids", "uuid", "guid", "patient", "patients", "subject", "subjects", "person", "user", "users", "customer"}
    | {"client", "member", "household", "family", "group", "session", "speaker", "author", "writer", "player", "device"}
    | {"machine", "sensor", "participant", "animal", "mouse", "donor", "account", "owner", "respondent", "visitor"}
)
OWNERS_KOREAN = r"환자|피험자|참가자|사용자|고객|회원|가구|가족|그룹|화자|작가|선수|기기|장비|아이디|번호$"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: As in the table.
        kind: number, boolean, date (seconds since 1970) or category (numbers that stand for its values).
        values: `(n,)` float64; NaN where there is none.
        is_used: Something is learned from it.
    """

    name: str
    kind: str
    values: np.ndarray
    is_used: bool = True

    @property
    def is_whole(self) -> bool:
        """Whole numbers alone."""
        present = self.values[np.isfinite(self.values)]
        return self.kind == "number" and len(present) > 0 and bool((present == np.floor(present)).all())


def some_rows(view: View, most: int, parts: Sequence[str] = ("train", "valid", "test")) -> np.ndarray:
    """Rows of these parts in order, at most so many: always the same ones."""
    held = [np.asarray(view.parts[part]) for part in parts if part in view.parts]
    rows = np.concatenate(held) if held else np.empty(0, np.int64)
    if len(rows) > most:
        rows = np.random.default_rng(0).choice(rows, most, replace=False)
    return np.sort(rows)


def is_table(view: View) -> bool:
    """Rows of columns: no pictures, no texts."""
    if "text" in view.used.values() or view.x is None or view.x.dtype.kind not in "fiub":
        return False
    return view.x.ndim == 2 and (view.frame is not None or np.issubdtype(view.x.dtype, np.floating))


def columns_of(view: View, rows: np.ndarray, left_out: bool = False) -> list[Column]:
    """The input columns of a table; of rows without one, the inputs by number.

    Args:
        view: What is looked at.
        rows: Numbers of the rows.
        left_out: Also the columns that nothing is learned from.
    """
    if view.frame is None:
        if view.x is None or view.x.ndim != 2:
            return []
        some = view.x[rows][:, :MOST_COLUMNS].astype(np.float64)
        some[~np.isfinite(some)] = np.nan
        return [Column(_("input {number}", number=n + 1), "number", some[:, n]) for n in range(some.shape[1])]
    import polars as pl

    names = [name for name in view.frame.columns if name not in view.target and (left_out or name in view.used)]
    aside = (view.group, view.options.get("weight"))
    names = [name for name in names if left_out or name not in aside][:MOST_COLUMNS]
    places = pl.Series(rows)
    return [read(view.frame[name].gather(places), view.used.get(name, "")) for name in names]


def read(column: Any, kind: str = "") -> Column:
    """A column of a frame; what kind it is, its values say where nobody else does."""
    import polars as pl

    dtype, is_used = column.dtype, bool(kind)
    if dtype.is_temporal() and dtype != pl.Duration and dtype != pl.Time:
        values = column.cast(pl.Datetime("us"), strict=False).dt.epoch("us").cast(pl.Float64) / 1e6
        return Column(column.name, "date", _floats(values), is_used)
    if dtype.is_numeric() or dtype == pl.Boolean:
        made = "boolean" if dtype == pl.Boolean else "number"
        values = _floats(column.cast(pl.Float64, strict=False))
        return Column(column.name, kind if kind in ("category", "boolean") else made, values, is_used)
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        return Column(column.name, "category", np.full(len(column), np.nan), is_used)
    text = column.cast(pl.String, strict=False)
    if not is_used:  # it was left as it was read: digits are text
        numbers = text.cast(pl.Float64, strict=False)
        if numbers.count() and numbers.count() == text.count():
            return Column(column.name, "number", _floats(numbers), is_used)
    return Column(column.name, "category", _floats(text.rank("dense").cast(pl.Float64)), is_used)


def _floats(column: Any) -> np.ndarray:
    values = column.to_numpy().astype(np.float64)  # of a column of floats, what is missing becomes NaN
    values[~np.isfinite(values)] = np.nan
    return values


def class_codes(view: View) -> np.ndarray | None:
    """`(rows,)` class numbers; None where they are none."""
    y = None if view.y is None else np.asarray(view.y)
    if y is None or y.dtype.kind not in "fiub" or y.size != len(y) or not len(y) or not np.isfinite(y).all():
        return None
    codes = y.reshape(-1).astype(np.int64)
    return codes if codes.min() >= 0 else None


def questions(view: View, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """What is asked for: names, and `(n, T)` numbers of mean 0: one for each class, or each number by itself."""
    if view.y is None or not len(rows):
        return []
    if view.target_kind == "class":
        y = class_codes(view)
        if y is None:
            return []
        classes, codes = np.unique(y[rows], return_inverse=True)
        counts = np.bincount(codes)
        if len(classes) < 2:
            return []
        often = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
        asked = (codes[:, None] == often).astype(np.float64)
        return [(", ".join(view.target), asked - asked.mean(0))]
    y = np.asarray(view.y)[rows]
    if y.dtype.kind not in "fiub" or view.target_kind not in ("number", "normal", "quantiles", "labels"):
        return []
    numbers = y.reshape(len(y), -1).astype(np.float64)[:, :MOST_QUESTIONS]
    names = view.target if len(view.target) == numbers.shape[1] else [""] * numbers.shape[1]
    found = []
    for place, name in enumerate(names):
        one = numbers[:, place : place + 1]
        if np.isfinite(one).all() and np.ptp(one) > 0:
            found.append((name, (one - one.mean()) / one.std()))
    return found


def matrix(columns: Sequence[Column]) -> np.ndarray:
    """`(n, D)` float32 without gaps for quick models: a gap is the median, and a column says where gaps were."""
    made = []
    for column in columns:
        gaps = np.isnan(column.values)
        if gaps.all():
            continue
        centre = np.nanmedian(column.values)
        spread = np.nanstd(column.values) or 1.0
        made.append(np.where(gaps, 0, (column.values - centre) / spread))
        if gaps.any():
            made.append(gaps)
    rows = len(columns[0].values) if columns else 0
    return np.stack(made, 1).astype(np.float32) if made else np.empty((rows, 0), np.float32)


def words_of(name: str) -> list[str]:
    """`customerId` and `customer_id` are customer and id."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[가-힣]+", name)]


def names_owners(name: str) -> bool:
    """Whether a column's name says that its values are names of someone or something."""
    return bool(OWNERS & set(words_of(name))) or re.search(OWNERS_KOREAN, name) is not None


def names_rows(column: Column) -> str:
    """How a column of whole numbers or words gives each row a value of its own: counts, assigned, or "" (it does not).

    counts: each is one more than the one before. assigned: so many whole numbers of so small a range are hardly ever
    all different by chance. If n were drawn from R values, they would be with a chance of exp(-n(n-1)/2R) at most: of
    equally likely values (the birthday problem), and less of others.
    """
    values = column.values
    if column.kind != "number" or len(values) < FEW or np.isnan(values).any() or not column.is_whole:
        return ""
    ordered = np.sort(values)
    if (np.diff(ordered) <= 0).any():
        return ""
    span = ordered[-1] - ordered[0] + 1
    if len(values) * (len(values) - 1) / (2 * span) < -np.log(CHANCE):
        return ""
    return "counts" if (np.diff(values) > 0).all() and span <= 2 * len(values) else "assigned"


FEW = 20  # rows; with fewer, unique values prove nothing (data/columns.py)
CHANCE = 1e-4  # of being wrong, on one column
