"""What a row must look like, as a pydantic type that is made from the schema: it reads JSON and documents it.

Anything that is JSON but no such row is refused before it is read any further. What only the model can say (a date that
is none, a number too far from all others) is found later, and concerns its row alone.
"""

from typing import Annotated, Any, NotRequired, Optional

from pydantic import FailFast, TypeAdapter, WithJsonSchema
from pydantic import Field as Described
from pydantic.functional_validators import BeforeValidator
from typing_extensions import TypedDict

from gipi.data.schema import MISSING, Field, Schema
from gipi.messages import _
from gipi.release.single import WORDS
from gipi.server.limits import Limits

LONGEST_WORD = 10_000  # letters of a category, a date, an answer's name
SEED = 1 << 63
WRITING = ("write", "chat")  # tasks that answer token by token
WHOLE = ("fill", "tag", "relate")  # and those that read a row as it came
USUAL_TOKENS = 200  # that are written unless somebody says how many
MOST_TURNS = 200  # of a talk that go before
HOTTEST = 100.0  # temperature
MOST_NEAR = 100  # words


def _truth(value: Any) -> Any:
    """What says yes or no, as it came.

    Raises:
        ValueError: It says neither.
    """
    if (type(value) is str and value in WORDS) or (type(value) in (bool, int, float) and value in (0, 1)):
        return value
    raise ValueError(_("true or false was expected, or one of {words}", words=", ".join(WORDS)))


def _whole(value: Any) -> int:
    """A whole number; JSON knows no other kind of number, so 4.0 is one.

    Raises:
        ValueError: It is none.
    """
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value)
    raise ValueError(_("a whole number was expected"))


Number = Annotated[float, Described(allow_inf_nan=False, strict=True)]
Word = Annotated[str, Described(max_length=LONGEST_WORD)]
Truth = Annotated[
    Any,
    BeforeValidator(_truth),
    WithJsonSchema({"enum": [True, False, 0, 1, *WORDS]}),
]
Pixels = list[Any]  # nested lists; what is wrong with them is said by what reads pictures


def row_type(task: str, schema: Schema, limits: Limits) -> Any:
    """The type of one row; None where nothing goes in but how many are wanted."""
    if task == "generate":
        return None
    if task == "stream":
        return Pixels
    if schema.is_picture:
        text = Annotated[str, Described(description="a PNG, JPEG, WebP ... in base64, or as a data: URL")]
        return TypedDict("Picture", {"picture": text | Pixels})  # type: ignore[misc]
    if schema.is_text:
        return _texts(task, schema, limits)
    return TypedDict("Row", {field.name: _type_of(field) for field in schema.inputs})  # type: ignore[misc]


def _texts(task: str, schema: Schema, limits: Limits) -> Any:
    """A text by the name of its column, two of a pair; of one alone, the text itself is a row too."""
    text = Annotated[str, Described(max_length=limits.characters)]
    about = Annotated[text | None, Described(description="a text; null says nothing")]
    needed: dict[str, Any] = {field.name: about for field in schema.inputs}
    named = _optional("Row", needed, _ways(task, text, limits))
    if len(needed) > 1:
        return named
    (name,) = needed
    said = {"anyOf": [TypeAdapter(named).json_schema(), {"type": "string", "maxLength": limits.characters}]}
    bare = BeforeValidator(lambda row: {name: row} if isinstance(row, str) else row)
    return Annotated[named, bare, WithJsonSchema(said)]


def _ways(task: str, text: Any, limits: Limits) -> dict[str, Any]:
    """What else a row may say: how is written, how many words are wanted."""
    if task == "relate":
        return {"near": Annotated[int, Described(ge=1, le=MOST_NEAR), BeforeValidator(_whole)]}
    if task not in WRITING:
        return {}
    turn = Annotated[list[text], Described(min_length=2, max_length=2, description="a question and its answer")]
    before = {"before": Annotated[list[turn], Described(max_length=MOST_TURNS)]} if task == "chat" else {}
    return before | {
        "tokens": Annotated[int, Described(ge=1, le=limits.tokens), BeforeValidator(_whole)],
        "temperature": Annotated[Number, Described(ge=0, le=HOTTEST)],
        "top_k": Annotated[int, Described(ge=0, lt=SEED), BeforeValidator(_whole)],
        "top_p": Annotated[Number, Described(gt=0, le=1)],
        "seed": Annotated[int, Described(ge=0, lt=SEED), BeforeValidator(_whole)],
    }


def _type_of(field: Field) -> Any:
    """The type of one value; null is "no value"."""
    if field.kind == "category":
        known = [value for value in map(str, field.values) if value != MISSING]
        about = Described(description=" | ".join(known[:20]), examples=known[:3])
        return Annotated[Word | Number | bool | None, about]
    if field.kind == "boolean":
        return Optional[Truth]  # noqa: UP045  # pyright takes no | here
    if field.kind == "date":
        return Annotated[Word | None, Described(description="a date, 2020-02-01 or 2020-02-01 12:30:00")]
    return Optional[Number]  # noqa: UP045


def body_type(task: str, schema: Schema, limits: Limits) -> TypeAdapter:
    """What the body of a request is, as JSON."""
    if task == "generate":
        count = Annotated[int, Described(ge=1, le=limits.made), BeforeValidator(_whole)]
        seed = Annotated[int, Described(ge=0, lt=SEED), BeforeValidator(_whole)]
        return TypeAdapter(_optional("Wanted", {"count": count}, {"seed": seed}))
    rows = Annotated[list[row_type(task, schema, limits)], Described(max_length=limits.rows), FailFast()]
    return TypeAdapter(TypedDict("Rows", {"rows": rows}))  # type: ignore[misc]


def row_adapter(task: str, schema: Schema, limits: Limits) -> TypeAdapter:
    """One row alone: to say what is wrong with each."""
    return TypeAdapter(row_type(task, schema, limits))


def _optional(name: str, needed: dict[str, Any], others: dict[str, Any]) -> Any:
    return TypedDict(name, {**needed, **{key: NotRequired[kind] for key, kind in others.items()}})  # type: ignore[misc]
