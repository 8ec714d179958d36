"""A request's body as rows: JSON, CSV, a text or a picture, within limits, refused in a sentence where it is none.

Nothing in a body is ever a path or an address: pictures are bytes, and no text is opened as a file.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from gipi.data.drawing import Drawing, prepared
from gipi.data.images import Bounds, OversizedError, decoded
from gipi.data.values import MISSING_AMONG_NUMBERS, THOUSANDS
from gipi.errors import DataError
from gipi.messages import _
from gipi.release.described import ANY_SIZE
from gipi.server.engine import Engine
from gipi.server.json_pictures import picture_of
from gipi.server.limits import Limits
from gipi.server.refusal import RefusedError
from gipi.server.row_types import USUAL_TOKENS, WRITING, body_type, row_adapter
from gipi.tasks.latent import noise_of

Array = np.ndarray
Row = Any
Rows = list[Row]

FIRST = 20  # things that are wrong and named
WORST = 200  # letters of what is quoted
EVERY = 7  # where each pixel is answered as it is, a network takes so many times the memory of reading it
FEW_PIXELS = 1 << 16  # of a picture that is read in a moment
FEW_LETTERS = 400  # of a text whose tokens are found in a moment, whatever it says
LIST = 6  # a list or an object takes the memory of so many numbers
ENLARGED = 4  # a picture that is enlarged takes so many times the memory of the large one
JSON = ("application/json",)
CSV = ("text/csv", "application/csv")
PLAIN = ("text/plain",)
PICTURES = tuple(f"image/{kind}" for kind in ("png", "jpeg", "webp", "gif", "bmp"))
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what browsers and cameras send: fewer decoders for a stranger to try
ANY = ("application/octet-stream", "application/x-www-form-urlencoded")  # what curl says who was not told


@dataclass
class Drawn:
    """The file of a picture that was drawn by hand."""

    file: bytes


class Reader:
    """Reads the bodies of requests to one model.

    Args:
        engine: The model.
        limits: How much may come.
    """

    def __init__(self, engine: Engine, limits: Limits):
        self.task, self.schema, self.limits = engine.model.task, engine.model.schema, limits
        self.body: TypeAdapter = body_type(self.task, self.schema, limits)
        self.validate: Callable[[bytes], Any] = self.body.validator.validate_json
        self.row = None if self.task == "generate" else row_adapter(self.task, self.schema, limits)
        self.is_picture = self.schema.is_picture and self.task != "generate"
        factor = engine.model.extra.get("factor", 0) if self.task == "upscale" else 0
        pixels = limits.pixels // (ENLARGED * factor**2 if factor else EVERY if self.task in ANY_SIZE else 1)
        self.bounds = Bounds(pixels, FORMATS, pixels // 2)
        few = min(pixels // 2, FEW_PIXELS)
        self.few = Bounds(few, FORMATS, few)
        field = self.schema.inputs[0] if self.schema.is_picture else None
        self.shape = field.shape if field is not None and self.task not in ANY_SIZE else None
        drawing = engine.model.extra.get("drawing")
        self.drawing = None if drawing is None else Drawing.from_json(drawing)
        self.latent = int(engine.model.config.get("latent", 0))
        self.is_table = not self.is_picture and self.task not in ("generate", "stream")
        self.texts = [field.name for field in self.schema.inputs] if self.schema.is_text else []

    @property
    def kinds(self) -> tuple[str, ...]:
        """The media types that are understood."""
        return JSON + CSV * self.is_table + PLAIN * (len(self.texts) == 1) + PICTURES * self.is_picture

    def read(self, kind: str, body: bytes, is_drawing: bool = False) -> Rows:
        """The rows of a body; of a model that makes things, the random numbers that they are made of.

        Args:
            kind: Its media type, without parameters.
            body: All of it.
            is_drawing: The picture was drawn by hand on a canvas, and must be laid as the model's pictures lie.

        Raises:
            RefusedError: 400, 413, 415 or 422; says what is wrong, and where.
        """
        if kind in JSON:
            return self.of_json(body)
        if kind in CSV and self.is_table:
            return self.of_csv(body)
        if self.is_picture and (kind in PICTURES or kind in ANY):
            if is_drawing and self.drawing is None:
                raise RefusedError(422, _("this model's pictures are no drawings; see GET /schema"))
            return [Drawn(body) if is_drawing else body]
        if kind in PLAIN and len(self.texts) == 1:
            return self._of_text(body)
        known = ", ".join(self.kinds)
        raise RefusedError(
            415, _("the type of the content is {came}; this model takes {known}", came=quoted(kind) or "-", known=known)
        )

    def of_json(self, body: bytes) -> Rows:
        """`{"rows": [...]}`, or `{"count", "seed"}`."""
        self.check_values(body)
        try:
            said = self.validate(body)
        except (ValidationError, ValueError) as error:
            raise self._refused(body, error) from None
        if self.task == "generate":
            noise = noise_of(said["count"], self.latent, said.get("seed", 0))
            return [*np.column_stack([noise, np.arange(len(noise), dtype=np.float32)])]
        if self.task in WRITING:
            self._check_tokens(said["rows"])
        return [row["picture"] for row in said["rows"]] if self.is_picture else said["rows"]

    def _of_text(self, body: bytes) -> Rows:
        """The one text that the body is."""
        try:
            return self.checked([body.decode("utf-8-sig")])
        except UnicodeDecodeError as error:
            raise RefusedError(400, _("the text is not UTF-8: byte {place}", place=error.start)) from None

    def of_csv(self, body: bytes, names: list[str] | None = None) -> Rows:
        """A table with a header.

        Args:
            body: UTF-8.
            names: The columns, where the table has no header.
        """
        self.check_values(body)
        try:
            text = body.decode("utf-8-sig")
            table = csv.reader(io.StringIO(text, newline=""), strict=True)
            lines = [*islice((line for line in table if line), self.limits.rows + 2)]  # a header, and one too many
        except UnicodeDecodeError as error:
            raise RefusedError(400, _("the table is not UTF-8: byte {place}", place=error.start)) from None
        except csv.Error as error:
            raise RefusedError(400, _("this is no CSV: {reason}", reason=quoted(error))) from None
        if names is None and lines:
            names = [name.strip() for name in lines.pop(0)]
        if not names:
            raise RefusedError(400, _("a table was expected, with the names of its columns in the first line"))
        if len({*names}) < len(names):
            known: set[str] = set()
            twice = next(name for name in names if name in known or known.add(name))
            raise RefusedError(422, _("the column '{name}' is there twice", name=quoted(twice)))
        if len(lines) > self.limits.rows:
            raise self._too_many(len(lines))
        kinds = {field.name: field.kind for field in self.schema.inputs}
        places = [(place, name, kinds[name]) for place, name in enumerate(names) if name in kinds]
        rows = []
        for number, line in enumerate(lines):
            if len(line) != len(names):
                text = _("{count} cells were expected, {came} came", count=len(names), came=len(line))
                raise RefusedError(422, text, [{"row": number, "field": None, "error": text}])
            rows.append({name: _cell(line[place], kind) for place, name, kind in places})
        return self.checked(rows)

    def checked(self, rows: Rows) -> Rows:
        """Rows that did not come as JSON, validated as if they had.

        Raises:
            RefusedError: 422.
        """
        assert self.row is not None
        found, details = [], []
        for number, row in enumerate(rows):
            try:
                found.append(self.row.validator.validate_python(row))
            except ValidationError as error:
                details += _details(number, error)
                if len(details) >= FIRST:
                    break
        if details:
            raise _wrong_rows(details)
        if self.task in WRITING:
            self._check_tokens(found)
        return found

    # --- pictures ------------------------------------------------------------------------------------------------

    def letters(self, row: Any) -> int:
        """How long the texts of a row are, with the talk before them."""
        if not self.texts:
            return 0
        before = sum(len(text) for turn in row.get("before", ()) for text in turn)
        return before + sum(len(row[name] or "") for name in self.texts)

    def opened(self, row: Any, is_quick: bool = False) -> Any:
        """What a row came as, as what the model reads: a picture as an array.

        Args:
            row: One of `read`.
            is_quick: Only if it is soon done; 413 for a picture or a text of more than some pixels or letters.

        Raises:
            DataError: It is no picture.
            RefusedError: 413: it claims more pixels than are read.
        """
        if is_quick and self.letters(row) > FEW_LETTERS:
            raise RefusedError(413, _("the text is too long: {most} characters at most", most=FEW_LETTERS))
        if not self.is_picture:
            return row
        bounds = self.few if is_quick else self.bounds
        if isinstance(row, Drawn):
            return self._drawn(row.file, bounds)
        picture = picture_of(row, self.schema.inputs[0].white) if isinstance(row, str | list) else row
        try:
            if isinstance(picture, bytes):
                return decoded(picture, _("the picture"), self.shape, bounds)
        except OversizedError as error:
            raise RefusedError(413, str(error)) from None
        height, width = (*picture.shape, 1)[:2]
        if height * width > bounds.pixels:
            text = _("the picture has {came} pixels; the most is {most}", came=height * width, most=bounds.pixels)
            raise RefusedError(413, text)
        return picture

    def _drawn(self, body: bytes, bounds: Bounds) -> Array:
        """A drawing, laid and inked as the model's pictures are.

        Raises:
            RefusedError: 422: nothing is drawn, or it is no picture.
        """
        assert self.drawing is not None
        try:
            canvas = decoded(body, _("the picture"), None, bounds)
            return prepared(canvas, self.drawing, self.schema.inputs[0].shape)
        except OversizedError as error:
            raise RefusedError(413, str(error)) from None
        except DataError as error:
            raise RefusedError(422, str(error)) from None

    # --- what is wrong -------------------------------------------------------------------------------------------

    def _refused(self, body: bytes, error: Exception) -> RefusedError:
        """What is wrong with a body: with all of it, or with its first rows."""
        try:
            read = from_json(body, allow_inf_nan=False)
        except (ValueError, RecursionError) as reason:
            return RefusedError(400, _("this is not JSON: {reason}", reason=quoted(reason)))
        rows = read.get("rows") if isinstance(read, dict) else None
        if self.row is None or not isinstance(rows, list):
            details = _details(None, error) if isinstance(error, ValidationError) else []
            named = [f"{quoted(one['field'])}: {one['error']}" for one in details if one["field"] is not None]
            return RefusedError(422, "; ".join([*named[:1], self._expected()]), details[:FIRST])
        if len(rows) > self.limits.rows:
            return self._too_many(len(rows))
        try:
            self.checked(rows)
        except RefusedError as found:
            return found
        return RefusedError(422, self._expected())

    def _expected(self) -> str:
        if self.task == "generate":
            return _("{expected} was expected as JSON", expected='{"count": 4, "seed": 0}')
        return _("{expected} was expected as JSON", expected='{"rows": [...]}')

    def check_values(self, body: bytes) -> None:
        """A few letters may become hundreds of bytes when they are read: `[0],` a list, a number and its place.

        Raises:
            RefusedError: 422: there may be more in it than is read.
        """
        most = self.limits.values
        if len(body) <= most:
            return
        came = body.count(b",") + body.count(b"\n") + LIST * (body.count(b"[") + body.count(b"{"))
        if came > most:
            text = _(
                "the body has about {came} values; the most at once is {most}: send it in parts", came=came, most=most
            )
            raise RefusedError(422, text)

    def _check_tokens(self, rows: Rows) -> None:
        """Raises:
        RefusedError: 422: more is to be written than one request may ask for.
        """
        came, most = sum(row.get("tokens", USUAL_TOKENS) for row in rows), self.limits.tokens
        if came > most:
            text = _(
                "{came} tokens are to be written; the most at once is {most}: send the rows in parts",
                came=came,
                most=most,
            )
            raise RefusedError(422, text)

    def _too_many(self, came: int) -> RefusedError:
        text = _("{came} rows came; the most at once is {most}: send them in parts", came=came, most=self.limits.rows)
        return RefusedError(422, text)


def quoted(value: Any) -> str:
    """What came, short, and on one line that no log or terminal takes for more than text."""
    text = json.dumps(str(value)[: WORST + 1], ensure_ascii=True)[1:-1].replace('\\"', '"')
    return text if len(text) <= WORST else text[:WORST] + "..."


def _cell(text: str, kind: str) -> Any:
    """A cell of a table, as JSON would have said it."""
    if kind == "text":
        return text
    text = text.strip()
    if kind == "category":
        return text or None
    if text in MISSING_AMONG_NUMBERS:
        return None
    if kind == "number":
        try:
            return float(text.replace(",", "") if re.match(THOUSANDS, text) else text)
        except ValueError:
            return text
    return text


def _details(row: int | None, error: ValidationError) -> list[dict[str, Any]]:
    """What pydantic says, by row and field."""
    said: dict[tuple, dict[str, Any]] = {}
    for one in error.errors(include_url=False, include_input=False)[: 4 * FIRST]:
        place = [part for part in one["loc"] if isinstance(part, str)]
        field = place[0] if place else None
        key = (row, field)
        if key not in said:  # a value that fits none of several types has an error for each
            said[key] = {"row": row, "field": field, "error": _reason(one)}
    return [*said.values()]


def _reason(said: Any) -> str:
    """One of pydantic's reasons in our words; those of our own validators are sentences already."""
    if said["type"] == "string_too_long":
        return _("the text is too long: {most} characters at most", most=said["ctx"]["max_length"])
    usual = {
        "missing": _("it is missing"),
        "float_type": _("a number was expected"),
        "finite_number": _("a finite number was expected"),
        "string_type": _("a text was expected"),
        "bool_type": _("true or false was expected"),
        "list_type": _("a list was expected"),
        "dict_type": _("an object with the columns' names was expected"),
        "int_type": _("a whole number was expected"),
        "greater_than_equal": _("the number is too small"),
        "greater_than": _("the number is too small"),
        "too_short": _("the list is too short"),
        "too_long": _("the list is too long"),
        "less_than_equal": _("the number is too large"),
        "less_than": _("the number is too large"),
    }
    return usual.get(said["type"]) or str(said["msg"]).removeprefix("Value error, ")


def _wrong_rows(details: list[dict[str, Any]]) -> RefusedError:
    first = details[0]
    place = _("row {row}", row=first["row"] + 1)  # a person counts from 1, `details` from 0 as the list does
    if first["field"] is not None:
        place += ", " + _("column '{name}'", name=quoted(first["field"]))
    return RefusedError(422, f"{place}: {first['error']}", details[:FIRST])
