"""Answers as bytes: JSON with pictures as data URLs, CSV, one PNG, or events one after the other."""

import base64
import csv
import io
from typing import Any

import numpy as np
from PIL import Image
from pydantic_core import to_json

from gipi.messages import _
from gipi.server.engine import Said
from gipi.server.refusal import RefusedError

JSON, CSV, PNG, EVENTS = "application/json", "text/csv", "image/png", "text/event-stream"
KINDS = (JSON, CSV, PNG, EVENTS)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with these a spreadsheet takes a cell for something to be computed
MOST_ACCEPTED = 50  # media types of a header that are looked at
QUICK = 1  # zlib's level: pictures are looked at once


def wanted(accept: str, kinds: tuple[str, ...] = KINDS) -> str:
    """The media type of the answer: of what a client accepts, the one that it likes best and we have.

    Raises:
        RefusedError: 406.
    """
    if not accept or accept == "*/*":
        return kinds[0]
    best, liked = None, 0.0
    for part in accept.split(",", MOST_ACCEPTED)[:MOST_ACCEPTED]:
        name, *more = (piece.strip() for piece in part.split(";"))
        quality = next((_quality(one[2:]) for one in more if one[:2] in ("q=", "Q=")), 1.0)
        name = name.lower()
        for kind in kinds:
            if name in (kind, "*/*", kind.split("/")[0] + "/*") and quality > liked:
                best, liked = kind, quality
                break
    if best is None:
        known = ", ".join(kinds)
        raise RefusedError(406, _("none of what is accepted can be given; there are {known}", known=known))
    return best


def _quality(text: str) -> float:
    try:
        return max(0.0, min(1.0, float(text)))
    except ValueError:
        return 0.0


def as_json(answers: list[Said], name: str = "predictions") -> bytes:
    """`{"predictions": [...]}`."""
    return to_json({name: [shown(answer) for answer in answers]})


def shown(answer: Any) -> Any:
    """An answer with its pictures as data URLs."""
    if isinstance(answer, dict):
        for value in answer.values():
            if type(value) not in (float, str, int):
                break
        else:
            return answer
        return {name: shown(value) for name, value in answer.items()}
    return data_url(answer) if isinstance(answer, np.ndarray) else answer


def pixels_of(answer: Any) -> int:
    """Numbers in the pictures of an answer."""
    values = answer.values() if isinstance(answer, dict) else (answer,)
    return sum(value.size for value in values if isinstance(value, np.ndarray))


def data_url(picture: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def png(picture: np.ndarray) -> bytes:
    """A picture `(H, W)`, `(H, W, 1)` or `(H, W, 3)` uint8 as a file."""
    array = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, "PNG", compress_level=QUICK)
    return file.getvalue()


def as_png(answers: list[Said]) -> bytes:
    """The one picture of one answer.

    Raises:
        RefusedError: 406: there is none, or there are more.
    """
    (first, *others) = answers or [{}]
    picture = first.get("overlay", first.get("picture"))
    if others or not isinstance(picture, np.ndarray):
        raise RefusedError(406, _("one row whose answer is a picture can be given as image/png; ask for JSON"))
    return png(picture)


def as_csv(answers: list[Said], has_names: bool = True) -> bytes:
    """A line for each answer: what is nested stands under names with dots.

    Args:
        answers: One for each row.
        has_names: The first line has the names.

    Raises:
        RefusedError: 406: there are pictures in them.
    """
    lines = [_flat(answer) for answer in answers]
    names = list(dict.fromkeys(name for line in lines for name in line))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    if has_names:
        writer.writerow([_harmless(name) for name in names])
    writer.writerows([_harmless(line.get(name, "")) for name in names] for line in lines)
    return file.getvalue().encode()


def _flat(answer: Said, before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in answer.items():
        name = f"{before}{name}"
        if isinstance(value, dict):
            flat |= _flat(value, f"{name}.")
        elif isinstance(value, list):
            text = isinstance(value and value[0], str)
            flat |= {name: "; ".join(value)} if text else {f"{name}.{place}": one for place, one in enumerate(value)}
        elif isinstance(value, np.ndarray):
            raise RefusedError(406, _("answers with pictures cannot be given as a table; ask for JSON"))
        else:
            flat[name] = value
    return flat


def _harmless(cell: Any) -> Any:
    """A word that a spreadsheet would compute, as the word that it is."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def event(answer: Any, name: str = "") -> bytes:
    """One event of a stream."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + to_json(shown(answer)) + b"\n\n"
