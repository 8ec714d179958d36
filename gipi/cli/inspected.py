"""`gipi inspect` as a page for a person: what stands in a bundle, in lines that fit the terminal."""

import re
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from gipi.messages import _
from gipi.report.text import clean, interval, metric, number, pad, shorten, spoken, width, wrapped

MOST_COLUMNS = 20  # of a table that are listed; `--json` has them all
MOST_VALUES = 8  # of a category
LONGEST_NAME = 24  # columns of the terminal
WIDEST = 100
TYPES = {"F32": "float32", "F64": "float64", "I64": "int64", "U8": "uint8", "BOOL": "bool"}


def page(found: dict[str, Any]) -> str:
    """What `gipi.inspect` gives, to be read."""
    columns = max(50, min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST))
    lines = [shorten(found["file"], columns), *_folded(_what(found), columns, 0), ""]
    for title, rows in _sections(found):
        if rows := list(rows):
            lines += [*_folded(title, columns, 2), *_listed(rows, columns), ""]
    half = len(found["checksum"]) // 2  # a line of all its letters is wider than some terminals
    lines += [_("checksum (sha256, it holds)"), f"  {found['checksum'][:half]}", f"  {found['checksum'][half:]}"]
    return "\n".join(lines)


def _what(found: dict[str, Any]) -> str:
    count, held = found["networks"], found["weights"]
    networks = _("1 network") if count == 1 else _("{count} networks", count=count)
    weights = _("{count} weights in {type}", count=number(held["numbers"]), type=held["type"])
    size = _("{count} bytes", count=number(found["bytes"]))
    return " · ".join([found["task"], clean(found["system"]), networks, weights, size])


def _sections(found: dict[str, Any]) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    yield _("goes in"), _fields(found["inputs"])
    yield _("comes out"), _fields(found["outputs"])
    rows = _metrics(found["metrics"])
    part = _part(found["metrics_of"]) if isinstance(found["metrics_of"], str) else ""
    yield (_("how good, on: {part}", part=part) if part else _("how good")), rows
    settings = {**found["config"], **{n: v for n, v in found["extra"].items() if isinstance(v, str | int | float)}}
    yield _("options of the system"), [(clean(name), _value(value)) for name, value in settings.items()]
    yield _("made"), _made(found)
    yield _("in the file"), [(name, _("{count} bytes", count=number(size))) for name, size in found["parts"].items()]
    yield _("program"), _program(found["program"])


def _part(kept: str) -> str:
    """Which rows the figures are of, `test part, 30 rows`: kept in the words of its day, said in those of now."""
    found = re.fullmatch(r"test part, (\d+) (rows|pictures)", kept)
    if not found:
        return clean(kept)
    if found[2] == "rows":
        return _("{part}, {rows} rows", part=_("test part"), rows=found[1])
    return _("{part}, {rows} pictures", part=_("test part"), rows=found[1])


def _listed(rows: list[tuple[str, str]], columns: int) -> Iterator[str]:
    """Two columns: names, and what there is to say of each, folded where it is long."""
    left = min(LONGEST_NAME, max(width(shorten(name, LONGEST_NAME)) for name, _said in rows))
    for name, said in rows:
        yield from _folded(f"  {pad(shorten(name, LONGEST_NAME), left)}  {said}", columns, left + 4)


def _folded(text: str, columns: int, indent: int) -> list[str]:
    return wrapped(" ".join(clean(text).splitlines()), columns, indent)


# --- each section ----------------------------------------------------------------------------------------------------


def _fields(fields: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for one in fields[:MOST_COLUMNS]:
        yield str(one["name"]), ", ".join(_field(one))
    if len(fields) > MOST_COLUMNS:
        yield "…", _("{count} more; --json has them all", count=len(fields) - MOST_COLUMNS)


def _field(one: dict[str, Any]) -> Iterator[str]:
    """What a column is: its kind, then its range, its categories, its size."""
    kind = _kind(one["kind"])
    values = one.get("quantiles", one.get("values", one.get("classes")))
    if values is None:
        yield kind
    else:
        shown = ", ".join(shorten(_value(value), LONGEST_NAME) for value in values[:MOST_VALUES])
        yield f"{kind} {len(values)}: {shown}" + (", …" if len(values) > MOST_VALUES else "")
    if one.get("any_size"):
        yield _("of any size, {channels} channels", channels=one["channels"])
    elif "height" in one:
        size = {"height": one["height"], "width": one["width"], "channels": one["channels"]}
        yield _("{height} × {width} in {channels} channels", **size)
    if one.get("resized"):
        yield _("other sizes are resized")
    if one.get("mean") is not None:
        spread = one["spread"] if "spread" in one else one["spread_days"]
        mean = one["mean"] if isinstance(one["mean"], str) else number(one["mean"])
        said = _("about {mean} ± {spread}", mean=mean, spread=number(spread))
        yield said + (f" {_('days')}" if "spread_days" in one else "")
    if None not in one.get("range", [None]):
        low, high = (end if isinstance(end, str) else number(end) for end in one["range"])
        yield _("{low} to {high}", low=low, high=high)
    if one.get("length") is not None:
        yield _("{count} numbers", count=number(one["length"]))
    if one.get("shape"):
        yield " × ".join(str(side) for side in one["shape"])
    if one.get("count") is not None:
        yield _("one of {count}", count=one["count"])
    if "positive" in one:
        yield _("yes means {label}", label=shorten(one["positive"], LONGEST_NAME))
    if one.get("may_be_missing"):
        yield _("may be missing")


def _kind(name: str) -> str:
    known = {
        "number": _("a number"),
        "boolean": _("yes or no"),
        "category": _("one of"),
        "date": _("a date"),
        "picture": _("a picture"),
        "noise": _("noise"),
        "batch": _("a batch as the stream gave them"),
        "class": _("one class of"),
        "labels": _("any labels of"),
        "normal": _("a number with its standard deviation"),
        "quantiles": _("a number by quantiles,"),
        "mask": _("a class for each pixel"),
        "cluster": _("a cluster"),
        "vector": _("a vector"),
    }
    return known.get(name, name)


def _metrics(metrics: Any) -> Iterator[tuple[str, str]]:
    """Whatever a stranger's file has there, only what is a figure is shown."""
    for name, held in metrics.items() if isinstance(metrics, dict) else ():
        if isinstance(held, dict) and isinstance(held.get("value"), int | float):
            low, high = (held.get(end) for end in ("low", "high"))
            ends = interval(name, low, high) if isinstance(low, int | float) and isinstance(high, int | float) else ""
            yield spoken(str(name)), f"{metric(name, held['value'])}  {ends}".rstrip()


def _made(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, title in (("data", _("data")), ("run", _("run")), ("made", _("when"))):
        if isinstance(found[name], str):
            yield title, found[name]
    versions = found["versions"] if isinstance(found["versions"], dict) else {}
    versions = {"gipi": found["gipi"], **versions}
    yield _("with"), ", ".join(f"{name} {value}" for name, value in versions.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_value, value)) or "–"
    return number(value) if isinstance(value, int | float) or value is None else shorten(value, WIDEST)


def _program(program: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "none" in program:
        yield _("none"), program["none"]
        return
    counts = program["operators"]
    most = ", ".join(f"{name} {count}" for name, count in [*counts.items()][:MOST_VALUES])
    yield _("opset"), str(program["opset"])
    said = _("{count} of {kinds} kinds: {most}", count=sum(counts.values()), kinds=len(counts), most=most)
    yield _("operators"), said + (", …" if len(counts) > MOST_VALUES else "")
    rows = {one["shape"][0] for one in program["inputs"] if one["shape"] and isinstance(one["shape"][0], str)}
    for title, ports in ((_("takes"), program["inputs"]), (_("gives"), program["outputs"])):
        for one in ports:
            axes = ", ".join(_axis(axis, rows) for axis in one["shape"])
            yield title, f"{one['name']}: {TYPES.get(one['type'], one['type'])} ({axes})"


def _axis(axis: Any, rows: set[str]) -> str:
    """A length, or what may be of any."""
    if axis in rows:
        return _("rows")
    return str(axis) if isinstance(axis, int) else _("any")
