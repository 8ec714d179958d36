"""JSON of a stranger, whose cost is bounded before it is read: size, depth, memory, and no value that is not JSON's.

Four megabytes of `[[],[],...` become a hundred as Python's objects, so what the objects will take is estimated from the
brackets, commas and quotes of the text. Two programs may read two things in `{"a": 1, "a": 2}`, `NaN` or half a
surrogate pair, so these are refused.
"""

import json
import math
import re
from typing import Any

import numpy as np

from gipi.messages import _
from gipi.release.refused import Refused

DEEPEST = 32  # brackets in brackets
LARGEST_MEMORY = 64 << 20  # bytes of Python's objects
LONGEST_NUMBER = 40  # letters; a float64 has at most 24, an int64 20
# bytes of objects that each of these makes at most, and what parsing holds meanwhile; test_safe_json.py measures it
COST = {b",": 48, b":": 200, b'"': 40, b"[": 96, b"{": 320}
# a text or a bracket; a text once begun is always found, to the end of the data if need be, so the search is linear
MARKS = re.compile(rb'"(?:[^"\\]+|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(
    data: bytes | bytearray | memoryview,
    largest_bytes: int,
    deepest: int = DEEPEST,
    largest_memory: int = LARGEST_MEMORY,
) -> Any:
    """What a JSON text says.

    Args:
        data: The text in UTF-8.
        largest_bytes: How long it may be.
        deepest: How many brackets may stand in one another.
        largest_memory: Bytes that its objects may take, by an estimate that is never too low.

    Raises:
        Refused: It is no JSON, or too much, or says a thing twice.

    Example:
        >>> loads(b'{"rows": [1, 2.5]}', 100)
        {'rows': [1, 2.5]}
    """
    if len(data) > largest_bytes:
        raise Refused(_("the JSON text is too large: {size} bytes", size=len(data)))
    text = bytes(data)
    if sum(text.count(sign) * cost for sign, cost in COST.items()) + 2 * len(text) > largest_memory:
        raise Refused(_("the JSON text has too many values"))
    if _depth(text, deepest) > deepest:
        raise Refused(_("the JSON text is nested too deeply"))
    try:
        found = json.loads(
            text.decode(),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_whole,
            parse_float=_decimal,
        )
        if SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()  # half a pair cannot be written
    except Refused:
        raise
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON
        raise Refused(_("it is not the JSON text that was expected: {reason}", reason=_short(error))) from error
    return found


def _depth(text: bytes, deepest: int) -> int:
    """How deep the brackets stand; looked at closely only where there are enough of them to matter."""
    if text.count(b"[") + text.count(b"{") <= deepest:
        return 0
    depth = greatest = 0
    for mark in MARKS.finditer(text):
        sign = mark[0]
        if sign in (b"[", b"{"):
            depth += 1
            greatest = max(greatest, depth)
            if greatest > deepest:
                break
        elif sign in (b"]", b"}"):
            depth -= 1
    return greatest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused(_("the JSON text has a name twice in one object"))
    return found


def _no_constant(name: str) -> float:
    raise Refused(_("the JSON text has {name}, which is no number of JSON", name=name))


def _whole(text: str) -> int:
    _check_length(text)
    return int(text)


def _decimal(text: str) -> float:
    _check_length(text)
    number = float(text)
    if math.isinf(number):
        raise Refused(_("the JSON text has a number that is too large"))
    return number


def _check_length(text: str) -> None:
    if len(text) > LONGEST_NUMBER:
        raise Refused(_("the JSON text has a number that is too long"))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def plain(value: Any) -> Any:
    """Without what JSON has no word for: a number that is none, or beyond all, is null; NumPy's are Python's."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
