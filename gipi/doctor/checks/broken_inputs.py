"""Inputs that are broken: pictures of one colour or all alike, codes for missing values, empty or foreign texts.

The finding names the worst of what it saw, and how many rows it is about.
"""

from dataclasses import dataclass

import numpy as np

from gipi.data.remarks import abbreviated
from gipi.doctor.columns import Column, columns_of, is_table, some_rows
from gipi.doctor.copies import digests
from gipi.doctor.finding import Finding, Plot, Remedy, Severity, View
from gipi.doctor.languages import damaged, language_of
from gipi.messages import _

ROWS = 4000
PICTURES = 2000
# By definition: a fifth of the rows tell nothing, so a score of 100 % is out of reach by that much; a hundredth is
# about the standard error of most scores.
MANY, SOME = 0.2, 0.01
ONE_COLOUR = 0.995  # of the elements are alike: drawings on paper leave 90 %, a scan of nothing all but dust
ALIKE = 3  # copies of one picture, from which on they are counted: two are a matter of duplicate-rows
CODES = (-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0)  # of missing values
FAR = 3.0  # widths of the middle half beyond the next value (Tukey's "far out", 1977)
SQUEEZED = 10.0  # times the spread of the column without the code: all else is a tenth of the usual, or less
REPEATED = 5  # times: a measurement so far out is hardly made twice
GAPS = 0.5  # of the values of a column, by definition
FEW_TEXTS = 20
MAIN = 0.6  # of the texts are in one language, so the others are foreign; else the data is of several languages
VALUES = 10  # different ones, at least, of a column that measures something; with fewer each may be far from the next
SHOWN = 12


@dataclass(frozen=True)
class Broken:
    """One kind of harm: what is said of it, the share of the rows, the numbers, and how bad it is at most."""

    said: str
    share: float
    evidence: dict
    worst: Severity = "problem"
    is_grave: bool = False  # of few rows as well: all others suffer


def check(view: View) -> Finding | None:
    if view.x is None or not len(view.x) or not view.parts or view.x.dtype.kind not in "fiub":
        return None
    if view.x.ndim == 4:
        found = _pictures(view)
    elif "text" in view.used.values():
        found = _texts(view)
    elif is_table(view):
        found = _columns(view)
    else:
        return None
    found = [one for one in found if one.share > 0]
    if not found:
        return None
    found.sort(key=lambda one: -_rank(one))
    severities: tuple[Severity, ...] = ("note", "warning", "problem")
    return Finding(
        "broken-inputs",
        severities[_rank(found[0])],
        {name: value for one in found for name, value in one.evidence.items()},
        _(
            "Some of the inputs are broken ({said}): they tell nothing of the answer, and the model learns to live "
            "with them in place of learning from the others.",
            said="; ".join(one.said for one in found),
        ),
        (
            Remedy(_("Repair or remove these rows; a code for a missing value becomes an empty cell.")),
            Remedy(_("Check how the data was read, resized and written before it came here.")),
        ),
        Plot(
            _("share of the rows that are broken"),
            {_("share"): [one.share for one in found[:SHOWN]]},
            labels=[one.said for one in found[:SHOWN]],
        ),
    )


def _rank(one: Broken) -> int:
    """0 note, 1 warning, 2 problem."""
    rank = 2 if one.share >= MANY else 1 if one.share >= SOME else 0
    rank = 2 if one.is_grave else rank
    return min(rank, ("note", "warning", "problem").index(one.worst))


# --- pictures


def _pictures(view: View) -> list[Broken]:
    rows = some_rows(view, PICTURES)
    x = np.asarray(view.x)[rows]  # (n, C, H, W)
    flat = x.reshape(*x.shape[:2], -1)
    found = []
    if x.dtype.kind == "f":
        bad = ~np.isfinite(flat).all((1, 2))
        text = _("{count} pictures with elements that are no numbers (NaN)", count=int(bad.sum()))
        found.append(Broken(text, float(bad.mean()), {"not_numbers": int(bad.sum())}, is_grave=True))
        flat = np.nan_to_num(flat)
    is_flat = (flat.max(2) == flat.min(2)).all(1)
    usual = flat[:, :, :1]  # the first corner's colour
    is_mostly = (flat == np.median(flat, 2, keepdims=True)).all(1).mean(1) >= ONE_COLOUR
    is_mostly |= (flat == usual).all(1).mean(1) >= ONE_COLOUR
    blank = is_flat | is_mostly
    text = _("{count} of {rows} pictures are of one colour", count=int(blank.sum()), rows=len(rows))
    found.append(Broken(text, float(blank.mean()), {"one_colour": int(blank.sum()), "rows": len(rows)}))
    others = np.flatnonzero(~blank)
    if len(others):
        _values, place, counts = np.unique(digests(x[others]), return_inverse=True, return_counts=True)
        alike = int((counts[place] >= ALIKE).sum())
        text = _("{count} of {rows} pictures are one of a few pictures again", count=alike, rows=len(rows))
        found.append(Broken(text, alike / len(rows), {"alike": alike}))
    return found


# --- tables


def _columns(view: View) -> list[Broken]:
    rows = some_rows(view, ROWS)
    columns = columns_of(view, rows)
    if not columns or len(rows) < 4 * REPEATED:
        return []
    found, gaps = [], {}
    for column in columns:
        missing = float(np.isnan(column.values).mean())
        if missing >= GAPS:
            gaps[column.name] = missing
        if column.kind == "number" and (code := _code(column)):
            found.append(code)
    if view.frame is None and view.x is not None and view.x.dtype.kind == "f":
        bad = float((~np.isfinite(view.x[rows])).any(1).mean())
        text = _("{share} of the rows hold values that are no numbers (NaN)", share=f"{bad:.0%}")
        found.append(Broken(text, bad, {"not_numbers": bad}, is_grave=True))
    elif gaps:
        worst = sorted(gaps, key=lambda name: -gaps[name])
        shares = abbreviated([f"{name} {gaps[name]:.0%}" for name in worst])
        worth: Severity = "warning" if len(gaps) > len(columns) / 2 else "note"
        found.append(Broken(_("missing values: {shares}", shares=shares), gaps[worst[0]], {"missing": gaps}, worth))
    return found


def _code(column: Column) -> Broken | None:
    """A value that stands for "missing" among numbers: repeated, at the edge, and far from all others or well known."""
    values = column.values[~np.isnan(column.values)]
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= VALUES:
        return None
    for place, neighbour in ((0, 1), (-1, -2)):
        value, times = float(distinct[place]), int(counts[place])
        rest = values[values != value]
        low, high = np.quantile(rest, (0.25, 0.75))
        width = float(high - low) or float(rest.std())
        distance = abs(float(distinct[neighbour]) - value)
        is_code, is_far = value in CODES, distance > FAR * width > 0
        if times < REPEATED or not is_far or not (is_code or times > 10 * REPEATED):
            continue
        squeezed = float(values.std() / rest.std()) if rest.std() > 0 else SQUEEZED
        share = times / len(column.values)
        said = _(
            "{share} of the values of '{column}' are {value}, far from all others",
            share=f"{share:.1%}",
            column=column.name,
            value=f"{value:g}",
        )
        is_grave = is_code and squeezed > SQUEEZED and share >= SOME
        worst: Severity = "problem" if is_grave else "warning" if is_code else "note"
        return Broken(said, share, {f"code in {column.name}": {"value": value, "share": share}}, worst, is_grave)
    return None


# --- texts


def _texts(view: View) -> list[Broken]:
    names = [name for name, kind in view.used.items() if kind == "text"]
    rows = some_rows(view, ROWS)
    if view.frame is None or len(rows) < FEW_TEXTS:
        empty = float((np.asarray(view.x)[rows] < 0).all(1).mean()) if len(rows) and view.frame is None else 0.0
        return [Broken(_("{share} of the texts are empty", share=f"{empty:.1%}"), empty, {"empty": empty})]
    found = []
    for name in names:
        if name in view.frame.columns:
            found += _of_texts([str(text or "") for text in view.frame[name].gather(rows).to_list()], name)
    return found


def _of_texts(texts: list[str], name: str) -> list[Broken]:
    empty = float(np.mean([not text.strip() for text in texts]))
    spoilt = float(np.mean([damaged(text) for text in texts]))
    found = [
        Broken(
            _("{share} of the texts in '{column}' are empty", share=f"{empty:.1%}", column=name),
            empty,
            {"empty": empty},
        ),
        Broken(
            _(
                "{share} of the texts in '{column}' were read in the wrong encoding",
                share=f"{spoilt:.1%}",
                column=name,
            ),
            spoilt,
            {"wrong_encoding": spoilt},
        ),
    ]
    spoken = [language for text in texts if (language := language_of(text))]
    kinds, counts = np.unique(spoken, return_counts=True)
    if len(spoken) < FEW_TEXTS or counts.max() < MAIN * len(spoken):
        return found
    main = str(kinds[counts.argmax()])
    others = {str(kind): int(count) for kind, count in zip(kinds, counts, strict=True) if kind != main}
    share = sum(others.values()) / len(spoken)
    if share < SOME:  # so many are told wrong
        return found
    said = _(
        "{share} of the texts in '{column}' are in another language or script than the rest",
        share=f"{share:.1%}",
        column=name,
    )
    return [*found, Broken(said, share, {"languages": {main: int(counts.max()), **others}}, "warning")]
