"""Answers as clients of SageMaker want them: JSON, JSON lines, CSV, one PNG; and the headers that go with them.

A batch transform puts answers beside the lines that they belong to, so CSV has a line for each row and none of names,
and JSON lines likewise. Who wants the names says `Accept: text/csv; header=present`.
"""

from pydantic_core import to_json

from gipi.server.engine import Said, is_failure
from gipi.server.writing import CSV, JSON, PNG, as_csv, as_json, as_png, shown

LINES = "application/jsonlines"
KINDS = (JSON, CSV, LINES, PNG)
TYPES = {JSON: b"application/json", CSV: b"text/csv; charset=utf-8", LINES: LINES.encode(), PNG: b"image/png"}
CUSTOM = b"x-amzn-sagemaker-custom-attributes"
LONGEST_CUSTOM = 1024  # characters that SageMaker takes


def written(kind: str, accept: str, answers: list[Said]) -> bytes:
    """The body of an answer.

    Args:
        kind: The media type, one of `KINDS`.
        accept: The request's header, for what it says beside the type.
        answers: One for each row.

    Raises:
        RefusedError: 406: these answers cannot be said in this type.

    Example:
        >>> written("text/csv", "text/csv", [{"value": 7.5}, {"error": "no"}])
        b'7.5\\r\\n""\\r\\n'
    """
    if kind == JSON:
        return as_json(answers)
    if kind == LINES:
        return b"".join(to_json(shown(answer)) + b"\n" for answer in answers)
    if kind == PNG:
        return as_png(answers)
    if "header=present" in accept.replace(" ", "").lower():
        return as_csv(answers)
    return _lines(answers)


def _lines(answers: list[Said]) -> bytes:
    """CSV without names: as many cells on each line; of a row that has no answer, they are empty.

    What is wrong with a row and what is to be said of it is for those who read JSON, or names.
    """
    return as_csv([{} if is_failure(answer) else _plain(answer) for answer in answers], has_names=False)


def _plain(answer: Said) -> Said:
    """An answer with as many cells as every other one: without warnings, and its labels, if any, in one."""
    found = {name: value for name, value in answer.items() if name != "warnings" or not isinstance(value, list)}
    if isinstance(labels := found.get("labels"), list):
        found["labels"] = "; ".join(map(str, labels))
    return found


def passed_on(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The custom attributes of a request, which its answer carries too: visible ASCII, no line ends, bounded."""
    given = headers.get(CUSTOM)
    if given is None:
        return []
    return [(CUSTOM, bytes(letter for letter in given if 0x20 <= letter < 0x7F)[:LONGEST_CUSTOM].strip())]
