"""bundle.json: what a bundle says of itself, each word of it looked at before anybody believes it."""

import math
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, fields
from typing import Any

from gipi.data.schema import Field, Schema
from gipi.messages import _
from gipi.release.refused import Refused
from gipi.tasks import OWN, TASKS

FORMAT = 2  # 1 was never released
DTYPES = ("float32", "float64")
INPUTS = ("number", "boolean", "category", "date", "picture", "text")
TARGETS = ("class", "labels", "number", "normal", "quantiles", "mask", "picture", "text", "tags")
LARGEST_SIDE = 1 << 14  # of a picture
MOST_PIXELS = 1 << 22  # of a picture that goes in: a network of few weights would make gigabytes of more
WHITE = (1e-9, 1e9)  # the value of white in a picture, at least and at most
MOST_MEMBERS = 1000
PART, STEEPEST = 1e-3, 1e3  # of what a drawing says: the least part of a picture, the most that ink leans
IN_STEPS = ("write", "chat", "translate", "fill", "tag", "relate")  # tasks whose answers take several steps: no program
ANY_SIZE = ("segment", "upscale")  # tasks whose networks take pictures as large as they are, each for itself
KEYS = {
    "format": int,
    "gipi": str,
    "task": str,
    "system": str,
    "config": dict,
    "sizes": dict,
    "schema": dict,
    "members": int,
    "dtype": str,
    "card": dict,
    "extra": dict,
    "program": dict,
}


@dataclass(frozen=True)
class Described:
    """What stands in bundle.json; see release/bundle.py.

    Attributes:
        task: Its name.
        system: The system's name; "own" for a module of a person's own.
        config: The system's configuration.
        sizes: `input`, `output` and `categories` of the networks.
        schema: What goes in and what comes out.
        members: How many networks.
        dtype: Of their weights.
        card: Where it comes from and how good it is.
        extra: What else the task keeps.
        program: `reach` of the program, if there is one; why there is none, as `none`.
        gipi: The version that wrote it.
    """

    task: str
    system: str
    config: dict[str, Any]
    sizes: dict[str, Any]
    schema: Schema
    members: int
    dtype: str
    card: dict[str, Any]
    extra: dict[str, Any]
    program: dict[str, Any]
    gipi: str


def described(held: Any) -> Described:
    """What was read as JSON, checked.

    Raises:
        Refused: It is of another format, or a word is not what it should be; says which.
    """
    if not isinstance(held, dict) or type(held.get("format")) is not int:
        raise Refused(_("bundle.json does not say its format"))
    if held["format"] != FORMAT:
        version = str(held.get("gipi", "?"))[:20]
        text = _(
            "it has format {came}, written by gipi {version}; this gipi reads format {known}",
            came=held["format"],
            version=version,
            known=FORMAT,
        )
        raise Refused(text)
    if set(held) != set(KEYS):
        raise _odd(", ".join(sorted(set(held) ^ set(KEYS)))[:80])
    for name, kind in KEYS.items():
        if type(held[name]) is not kind:
            raise _odd(name)
    if held["dtype"] not in DTYPES or not 0 < held["members"] <= MOST_MEMBERS:
        raise _odd("dtype, members")
    if held["task"] not in (*TASKS, *OWN):
        raise Refused(_("there is no task '{name}'", name=held["task"][:60]))
    schema = schema_of(held["schema"])
    _check_sizes(held["sizes"])
    _check_config(held["config"])
    _check_extra(held["extra"])
    own = {name: held[name] for name in KEYS if name not in ("format", "schema")}
    return Described(schema=schema, **own)


def schema_of(held: Any) -> Schema:
    """A schema as JSON, checked.

    Raises:
        Refused: It is none.
    """
    if not isinstance(held, dict) or set(held) != {"inputs", "targets"}:
        raise _odd("schema")
    for place, kinds in (("inputs", INPUTS), ("targets", TARGETS)):
        if not isinstance(held[place], list):
            raise _odd(place)
        for one in held[place]:
            _check_field(one, kinds)
    twice = _twice([one["name"] for place in ("inputs", "targets") for one in held[place] if one["kind"] != "picture"])
    if len(held["inputs"]) > 1 and any(one["kind"] == "picture" for one in held["inputs"]):
        raise _odd("inputs")  # a picture stands alone
    is_text = [one["kind"] == "text" for one in held["inputs"]]
    if any(is_text) and (not all(is_text) or len(is_text) > 2):
        raise _odd("inputs")  # texts stand alone, or two as a pair
    if twice is not None:  # one column would be read in two ways
        raise _odd(twice[:60])
    return Schema.from_json(held)


def _twice(names: list[str]) -> str | None:
    """A name that is there more than once."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)


def _check_field(held: Any, kinds: tuple[str, ...]) -> None:
    known = {field.name: field for field in fields(Field)}
    needed = {name for name, field in known.items() if field.default is NO_DEFAULT}
    if not isinstance(held, dict) or not needed <= set(held) <= set(known):
        raise _odd("schema")
    name = held["name"]
    if not isinstance(name, str) or len(name) > 10_000 or held["kind"] not in kinds:
        raise _odd(str(name)[:60])
    sides = held.get("shape", [])
    if not isinstance(sides, list) or not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        raise _odd(name)
    if held["kind"] == "picture" and (len(sides) != 3 or sides[0] not in (1, 3) or sides[1] * sides[2] > MOST_PIXELS):
        raise _odd(name)
    if held["kind"] == "text" and len(sides) != 1:
        raise _odd(name)
    if not isinstance(held.get("tokenizer", ""), str):
        raise _odd(name)
    for part in ("center", "scale", "fill", "white"):
        if not _is_number(held.get(part, 1.0)):
            raise _odd(name)
    for part in ("edges", "centers", "scales"):
        if not isinstance(held.get(part, []), list) or not all(map(_is_number, held.get(part, []))):
            raise _odd(name)
    ends = held.get("range", [])
    if not isinstance(ends, list) or len(ends) not in (0, 2) or not all(map(_is_number, ends)) or ends != sorted(ends):
        raise _odd(name)
    values = held.get("values", [])
    if not isinstance(values, list) or not all(isinstance(value, str | int | float | bool) for value in values):
        raise _odd(name)
    if len(set(map(str, values))) < len(values):  # each names a class, and two of one name cannot be told apart
        raise _odd(name)
    if not WHITE[0] <= abs(held.get("white", 255.0)) <= WHITE[1]:
        raise _odd(name)
    if 0 in (held.get("scale", 1.0), held.get("white", 255.0), *held.get("scales", [])):
        raise _odd(name)
    if type(held.get("has_missing", False)) is not bool or not isinstance(held.get("positive"), str | None):
        raise _odd(name)


def _check_sizes(held: dict[str, Any]) -> None:
    if not {"input", "output", "categories"} <= set(held) or type(held["output"]) is not int or held["output"] < 0:
        raise _odd("sizes")
    for name in ("input", "categories"):
        if not isinstance(held[name], list) or not all(type(one) is int and one >= 0 for one in held[name]):
            raise _odd(name)


def _check_config(held: dict[str, Any]) -> None:
    plain = (str, int, float, bool, type(None))
    for name, value in held.items():
        parts = value if isinstance(value, list) else [value]
        if len(parts) > 1000 or not all(type(part) in plain for part in parts):
            raise _odd(name)


def _check_extra(held: dict[str, Any]) -> None:
    limits = {"factor": 16, "longest": LARGEST_SIDE, "seed": 1 << 63}
    for name, most in limits.items():
        if name in held and (type(held[name]) is not int or not 0 <= held[name] <= most):
            raise _odd(name)
    if "noise" in held and not _is_number(held["noise"]):
        raise _odd("noise")
    sides = held.get("shape", [])
    if not isinstance(sides, list) or not all(type(side) is int and 0 <= side <= LARGEST_SIDE for side in sides):
        raise _odd("shape")
    centers = held.get("centers", [])
    if not isinstance(centers, list) or not all(isinstance(one, list) and all(map(_is_number, one)) for one in centers):
        raise _odd("centers")
    classes = held.get("classes")
    if classes is not None and not _are_classes(classes):
        raise _odd("classes")
    if "drawing" in held and not _is_drawing(held["drawing"]):
        raise _odd("drawing")


def _is_drawing(held: Any) -> bool:
    """Whether data/drawing.py would know it; its lengths are parts of a picture."""
    words = {"ink": ("light", "dark"), "fits": ("height", "width", "longer"), "center": ("box", "mass")}
    pairs = {"most": (PART, 1.0), "slants": (-STEEPEST, STEEPEST), "place": (0.0, 1.0)}
    parts = ("level", "pen", "side")
    if not isinstance(held, dict) or set(held) != {*words, *pairs, *parts}:
        return False
    for name, (low, high) in pairs.items():
        if not isinstance(held[name], list) or len(held[name]) != 2:
            return False
        if not all(_is_number(one) and low <= one <= high for one in held[name]):
            return False
    if held["slants"] != sorted(held["slants"]):
        return False
    return all(_is_number(held[name]) and PART <= held[name] <= 1 for name in parts) and all(
        isinstance(held[name], str) and held[name] in known for name, known in words.items()
    )


def _are_classes(held: Any) -> bool:
    if not isinstance(held, dict) or not isinstance(held.get("names"), list):
        return False
    colours = held.get("colours")
    if not isinstance(colours, list) or len(colours) != len(held["names"]) or len(colours) > 255:
        return False
    if not all(isinstance(one, str) for one in held["names"]) or len(set(held["names"])) < len(held["names"]):
        return False  # each names a class
    return all(
        isinstance(one, list) and len(one) == 3 and all(type(part) is int and 0 <= part <= 255 for part in one)
        for one in colours
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _odd(what: str) -> Refused:
    return Refused(_("bundle.json is not as it should be: {what}", what=what))
