"""What a person is told about the columns of a table: few sentences, also when there are many columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from gipi.data.values import MISSING, MISSING_AMONG_NUMBERS, stripped, without_missing
from gipi.messages import _

USED = ("number", "boolean", "category", "date")  # the kinds that a model learns from


@dataclass
class Findings:
    """What is worth a remark, by topic, so that many columns make one sentence."""

    topics: dict[str, list[str]] = field(default_factory=dict)

    def add(self, topic: str, column: str) -> None:
        self.topics.setdefault(topic, []).append(column)


def abbreviated(names: Sequence[str], most: int = 8) -> str:
    """The first names of a long list, and how many more there are."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return _("{names} and {count} more", names=", ".join(names[:most]), count=len(names) - most)


def remarks(frame: pl.DataFrame, kinds: dict[str, str], target: tuple[str, ...], findings: Findings) -> list[str]:
    """One sentence on what the columns are, one on gaps, and one for each topic of the findings."""
    inputs = {name: kind for name, kind in kinds.items() if name not in target}
    said = []
    titles = {
        "number": _("numbers"),
        "category": _("categories"),
        "boolean": _("yes or no"),
        "date": _("dates"),
    }
    for kind, title in titles.items():
        names = [name for name, found in inputs.items() if found == kind]
        if not names:
            continue
        if kind == "category":
            names = [
                f"{name} ({without_missing(stripped(frame[name].unique())).drop_nulls().n_unique()})" for name in names
            ]
        said.append(f"{title}: {abbreviated(names)}")
    reasons = {"identifier": _("identifier"), "text": _("free text"), "constant": _("constant")}
    left = [f"{name} ({reasons[kind]})" for name, kind in inputs.items() if kind in reasons]
    if left:
        said.append(_("left out: {names}", names=abbreviated(left, 12)))
    notes = ["; ".join(said)] if said else []
    gaps = _gaps(frame, kinds)
    most_first = sorted(filter(gaps.get, gaps), key=lambda name: -gaps[name])
    shares = [f"{name} {_share(gaps[name], frame.height)}" for name in most_first]
    if shares:
        notes.append(_("missing values: {shares}", shares=abbreviated(shares)))
    topics = {
        "thousands": _("commas in numbers separate thousands (1,395 is 1395)"),
        "zeros": _("digits with leading zeros are taken as codes, not as numbers"),
        "mixed": _("numbers mixed with many different words are taken as categories"),
        "many": _("categories with very many values"),
        "dates": _("looks like dates that can be read two ways (1/2/2000); write 2000-02-01 to have them used"),
        "signs": _("numbers with a sign or unit ($, %) are taken as words; remove it to have them used"),
        "nested": _("left out, because the cells hold lists, records or bytes"),
        "counting": _("only counts the rows; leave it out if it is a row number"),
    }
    for topic, names in findings.topics.items():
        notes.append(topics[topic] + ": " + abbreviated(names))
    return notes


def _gaps(frame: pl.DataFrame, kinds: dict[str, str]) -> dict[str, int]:
    """How many values are missing in each column that is used; all columns in one go."""
    counts, schema = [], frame.schema
    for name, kind in kinds.items():
        if kind not in USED:
            continue
        column, dtype = pl.col(name), schema[name]
        is_gap = column.is_null()
        if dtype == pl.String:
            is_gap |= column.is_in(MISSING_AMONG_NUMBERS if kind in ("number", "date") else MISSING)
        elif dtype.is_float():
            is_gap |= column.is_nan()
        counts.append(is_gap.sum().alias(name))
    return frame.select(counts).row(0, named=True) if counts else {}


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 1 else f"{part}"
