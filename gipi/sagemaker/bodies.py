"""Bodies as clients of SageMaker send them, as rows: more forms than POST /predict takes, read by the same rules.

- JSON: `{"rows": [...]}`, `{"instances": [...]}`, or the list alone; a row by its columns' names, or its values in
  their order, bare or as `{"features": [...]}`
- JSON lines: a row on each line
- CSV with a first line of names; or without one, as SageMaker's own algorithms take it, columns in the schema's order
- .npy: numbers, a row for each first index; a picture `(H, W)` or `(H, W, C)` for each, or a table's columns in order
- a picture's file; a text as text/plain

F columns of a table, N rows
"""

import csv
import io
import math
import re
from typing import Any

import numpy as np
from pydantic_core import from_json

from gipi.messages import _
from gipi.server.reading import CSV, JSON, PLAIN, Reader, Rows, quoted
from gipi.server.refusal import RefusedError

Array = np.ndarray

LINES = ("application/jsonlines", "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
NPY = ("application/x-npy",)
MAGIC = b"\x93NUMPY"
LENGTHS = {b"\x01\x00": 2, b"\x02\x00": 4}  # bytes that say how long the description is, by the format's version
LONGEST_HEAD = 1 << 12  # bytes of it
# each piece is bounded and begins with another letter than what precedes it, so no text makes it look twice
FIELD = re.compile(
    r"""['"](descr|fortran_order|shape)['"]\s?:\s?(?:['"]([^'"]{2,3})['"]|(True|False)|\(([\d, ]{0,200})\)),?"""
)
LONGEST_AXIS = 16  # digits
TYPE = re.compile(r"\|[biu]1|[<>](?:[iu][248]|f[248])")


def rows_of(reader: Reader, kind: str, body: bytes) -> Rows:
    """The rows of a body.

    Args:
        reader: Of the model.
        kind: The media type, without parameters.
        body: All of it.

    Raises:
        RefusedError: 400, 413, 415 or 422; says what is wrong, and where.
    """
    if kind in JSON + LINES + CSV:
        reader.check_values(body)
    if kind in JSON:
        return _of_json(reader, body)
    if reader.task != "generate":  # it takes nothing but how many are wanted
        if kind in LINES:
            return _checked(reader, [_parsed(line) for line in body.splitlines() if line.strip()])
        if kind in CSV and reader.is_table:
            return reader.of_csv(body, None if _has_names(reader, body) else _names(reader))
        if kind in NPY and not reader.texts:
            return _of_array(reader, _array(body))
        if kind.startswith("image/") or kind in PLAIN:
            return reader.read(kind, body)
    known = reader.kinds if reader.task == "generate" else (*reader.kinds, LINES[0], *(() if reader.texts else NPY))
    text = _(
        "the type of the content is {came}; this model takes {known}", came=quoted(kind) or "-", known=", ".join(known)
    )
    raise RefusedError(415, text)


# --- JSON ------------------------------------------------------------------------------------------------------------


def _of_json(reader: Reader, body: bytes) -> Rows:
    if reader.task == "generate" or body.lstrip()[:7] == b'{"rows"':
        return reader.of_json(body)
    said = _parsed(body)
    rows = said.get("instances") if isinstance(said, dict) else said
    if not isinstance(rows, list):
        return reader.of_json(body)  # which has the sentence for what is no such thing
    return _checked(reader, rows)


def _parsed(text: bytes) -> Any:
    try:
        return from_json(text, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, _("this is not JSON: {reason}", reason=quoted(error))) from None


def _checked(reader: Reader, rows: list) -> Rows:
    """Rows of JSON in any of their forms, validated as those of POST /predict are."""
    _check_count(reader, len(rows))
    if reader.task == "stream":
        return reader.checked(rows)
    if reader.is_picture:
        found = reader.checked([_picture(row) for row in rows])
        return [row["picture"] for row in found]
    names = _names(reader)
    return reader.checked([_row(row, names, number) for number, row in enumerate(rows)])


def _picture(row: Any) -> Any:
    """A picture as its own name says it, as TensorFlow's clients do, or bare."""
    if isinstance(row, dict) and "picture" not in row and "b64" in row:
        return {"picture": row["b64"]}
    return row if isinstance(row, dict) else {"picture": row}


def _row(row: Any, names: list[str], number: int) -> Any:
    """A row by the names of its columns."""
    if isinstance(row, dict) and "features" in row and "features" not in names:
        row = row["features"]
    if not isinstance(row, list):
        return row
    if len(row) != len(names):
        text = _("{count} values were expected, {came} came", count=len(names), came=len(row))
        raise RefusedError(422, text, [{"row": number, "field": None, "error": text}])
    return dict(zip(names, row, strict=True))


# --- CSV -------------------------------------------------------------------------------------------------------------


def _has_names(reader: Reader, body: bytes) -> bool:
    """Whether the first line names all columns, in any order; what cannot be read is left to who says why."""
    first = io.StringIO(body[: 1 << 20].decode("utf-8-sig", "replace"), newline="")
    try:
        cells = next((line for line in csv.reader(first) if line), [])
    except csv.Error:
        return True
    return {cell.strip() for cell in cells} >= set(_names(reader))


def _names(reader: Reader) -> list[str]:
    return [field.name for field in reader.schema.inputs]


# --- .npy ------------------------------------------------------------------------------------------------------------


def _array(body: bytes) -> Array:
    """The array of an .npy file: numbers only, and exactly as many as it says.

    NumPy's own reader makes room for what the file claims before it looks how much there is, opens zips that pose as
    arrays, gives the description to Python's parser, and unpickles if it is let; so it is not used.

    Raises:
        RefusedError: 400: it is none.
    """
    described = _described(body)
    if described is None:
        reason = _("numbers were expected, in an array as numpy.save writes it")
        raise RefusedError(400, _("this is no .npy file that is read: {reason}", reason=reason))
    dtype, is_fortran, shape, start = described
    content = memoryview(body)[start:]
    if not shape or min(shape) < 1 or math.prod(shape) * dtype.itemsize != len(content):
        reason = _("{count} bytes do not make the shape {shape}", count=len(content), shape=shape)
        raise RefusedError(400, _("this is no .npy file that is read: {reason}", reason=reason))
    flat = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)
    return flat.reshape(shape[::-1]).transpose() if is_fortran else flat.reshape(shape)


def _described(body: bytes) -> tuple[np.dtype, bool, tuple[int, ...], int] | None:
    """What an .npy file says of itself: type, order of the axes, shape, where the numbers begin; None: it is none.

    A magic word, a version, the length of the rest, and that rest as Python writes a dict of three things (NEP 1).
    """
    size = LENGTHS.get(body[len(MAGIC) : len(MAGIC) + 2])
    if not body.startswith(MAGIC) or size is None:
        return None
    start = len(MAGIC) + 2 + size
    length = int.from_bytes(body[start - size : start], "little")
    text = body[start : start + min(length, LONGEST_HEAD)].decode("latin-1").strip()
    said = {name: word or truth or axes for name, word, truth, axes in FIELD.findall(text[1:-1])}
    if said.keys() != {"descr", "fortran_order", "shape"} or "".join(FIELD.sub("", text).split()) != "{}":
        return None
    if not TYPE.fullmatch(said["descr"]) or said["fortran_order"] not in ("True", "False"):
        return None
    axes = said["shape"].replace(" ", "").strip(",").split(",")
    if not all(axis.isdecimal() and len(axis) < LONGEST_AXIS for axis in axes):
        return None
    shape = tuple(map(int, axes))
    return np.dtype(said["descr"]), said["fortran_order"] == "True", shape, start + length


def _of_array(reader: Reader, array: Array) -> Rows:
    """Rows along the first axis."""
    _check_count(reader, len(array))
    if reader.is_picture:
        if array.ndim not in (3, 4):
            raise _other_shape("(N, H, W), (N, H, W, C)", array)
        return [*array]
    if reader.task == "stream":
        return reader.checked(array.tolist())
    fields = reader.schema.inputs
    if array.ndim == 1 and len(array) == len(fields):
        array = array[None]
    if array.ndim != 2 or array.shape[1] != len(fields):
        raise _other_shape(f"(N, {len(fields)})", array)
    kinds = [(field.name, field.kind) for field in fields]
    rows = array.tolist()  # (N, F)
    return reader.checked(
        [{name: _cell(value, kind) for value, (name, kind) in zip(row, kinds, strict=True)} for row in rows]
    )


def _cell(value: float, kind: str) -> Any:
    """A number as JSON would have said it: NaN is no value, and a category that is a number has no point."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(value) if kind == "category" and isinstance(value, float) and value.is_integer() else value


def _other_shape(expected: str, array: Array) -> RefusedError:
    return RefusedError(
        422, _("an array of shape {expected} was expected, {shape} came", expected=expected, shape=array.shape)
    )


def _check_count(reader: Reader, count: int) -> None:
    most = reader.limits.rows
    if count > most:
        text = _("{came} rows came; the most at once is {most}: send them in parts", came=count, most=most)
        raise RefusedError(413, text)
