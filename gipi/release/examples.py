"""The inputs that a bundle keeps with the answers they must give, and how they stand in JSON.

The inputs are made up from the schema, at random but always the same: no row of anybody's data leaves with a model.
They have what rows have, gaps and words that nobody knows among them, and pictures of other sizes.

H W C a picture, Z noise
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gipi.data.schema import MISSING, Field, Schema

if TYPE_CHECKING:
    from gipi.release.model import Model

COUNT = 5
MOST = 100  # examples that are read
LARGEST_SIDE = 48  # of a picture that is kept as an example: it is resized like any other
MOST_SIDE = LARGEST_SIDE + 9  # of one that is another size, see `_sizes`
TYPES = ("uint8", "int64", "float32", "float64")
UNKNOWN = "?"  # a word that no training row had
MARK = "[MASK]"  # what the task fill is asked about
UNUSUAL = "\U00010348"  # a letter that needs four bytes


def example_rows(model: "Model") -> Any:
    """What `model.predict` is given: rows, pictures, noise or a batch."""
    random = np.random.default_rng(0)
    if model.task == "generate":
        return random.normal(size=(COUNT, model.config["latent"])).astype(np.float32)
    if model.task == "stream":
        shape = (COUNT, *model.extra.get("shape", ()))
        if "shape" not in model.extra:
            return None
        return random.normal(size=shape).astype(np.float32) if model.extra["takes_floats"] else np.ones(shape, np.int64)
    if model.schema.is_picture:
        (field,) = model.schema.inputs
        return [_picture(random, size) for size in _sizes(field)]
    if model.schema.is_text:
        own = {"tokens": 8, "temperature": 0.0} if model.task in ("write", "chat") else {}
        mark = f" {MARK}" if model.task == "fill" else ""
        return [
            {f.name: _text(model.schema, random, n) + mark for f in model.schema.inputs} | own for n in range(COUNT)
        ]
    return [{field.name: _value(field, random, number) for field in model.schema.inputs} for number in range(COUNT)]


def _sizes(field: Field) -> list[tuple[int, int, int]]:
    """Its own size, as far as that is small, and others that must be resized."""
    channels, height, width = field.shape
    own = (min(height, LARGEST_SIDE), min(width, LARGEST_SIDE), channels)
    return [own, own, own, (own[0] + 5, own[1] + 9, channels), (max(2, own[0] // 2), own[1], channels)]


def _picture(random: np.random.Generator, size: tuple[int, int, int]) -> np.ndarray:
    """Soft shapes with a little noise, `(H, W, C)` uint8: more like a photograph than noise alone."""
    height, width, channels = size
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    phase, pace = random.uniform(0, 6, (3, channels)), random.uniform(2, 9, (2, channels))
    waves = np.sin(down * pace[0] + phase[0]) * np.cos(right * pace[1] + phase[1])
    return (127 + 90 * waves + random.normal(0, 12, size)).clip(0, 255).astype(np.uint8)


def _text(schema: Schema, random: np.random.Generator, number: int) -> str:
    """Some tokens that the tokenizer has; nothing at all; and a letter that hardly any text has."""
    from gipi.data.texts import clean
    from gipi.data.tokenizers import tokenizer_of

    first = schema.inputs[0]
    if not first.tokenizer:
        return str(first.values[number * 7 % len(first.values)])
    tokenizer = tokenizer_of(first.tokenizer)
    if number == COUNT - 1:
        return ""
    ids = random.integers(0, tokenizer.size, min(3 + 9 * number, first.shape[0]))
    return clean(tokenizer.decode(ids.tolist())) + UNUSUAL * (number == COUNT - 2)


def _value(field: Field, random: np.random.Generator, number: int) -> Any:
    if field.kind == "category":
        words: list[Any] = [str(value) for value in field.values if value != MISSING]
        words += [UNKNOWN] + [None] * (MISSING in field.values)
        return words[(number * 7 + len(field.name)) % len(words)]
    drawn = field.center + field.scale * float(random.normal())
    if field.has_missing and number == COUNT - 1:
        return None
    if field.kind == "boolean":
        return drawn > field.center
    if field.kind == "date":
        moment = datetime.fromtimestamp(min(max(drawn, 0), 4e9), UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S")
    return float(f"{drawn:.6g}")


# --- in JSON -----------------------------------------------------------------------------------------------------


def packed(value: Any) -> Any:
    """Arrays as their bytes in base64, in anything that JSON has."""
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value)
        text = base64.b64encode(content.tobytes()).decode()
        return {"array": str(value.dtype), "shape": list(value.shape), "bytes": text}
    if isinstance(value, dict):
        return {name: packed(one) for name, one in value.items()}
    return [packed(one) for one in value] if isinstance(value, list) else value


def unpacked(value: Any) -> Any:
    """`packed` undone.

    Raises:
        ValueError: An array is not as it says.
    """
    if isinstance(value, dict) and set(value) == {"array", "shape", "bytes"} and isinstance(value["shape"], list):
        return _array(value)  # else they are three classes of such names, with their probabilities
    if isinstance(value, dict):
        return {name: unpacked(one) for name, one in value.items()}
    return [unpacked(one) for one in value] if isinstance(value, list) else value


def check_examples(held: Any, task: str, schema: Schema) -> None:
    """The rows are such as `example_rows` makes: a name among them would be a file to be opened.

    Raises:
        ValueError: They are not.
    """
    if held == {} and task == "stream":  # kept before its shape was known
        return
    if not isinstance(held, dict) or set(held) != {"rows", "answers"} or not isinstance(held["answers"], list):
        raise ValueError("the examples are not rows and answers")
    rows = held["rows"]
    if task in ("generate", "stream"):
        fits = isinstance(rows, np.ndarray)
    elif schema.is_picture:
        fits = isinstance(rows, list) and all(map(_is_small, rows))
    else:
        plain = (str, int, float, bool, type(None))
        fits = isinstance(rows, list) and all(
            isinstance(row, dict) and all(type(value) in plain for value in row.values()) for row in rows
        )
    if not fits or not COUNT <= len(rows) <= MOST or len(rows) != len(held["answers"]):
        raise ValueError("the examples are not the rows and answers of such a model")


def _is_small(row: Any) -> bool:
    """Whether this is a picture such as `_picture` makes, and no larger."""
    return isinstance(row, np.ndarray) and row.ndim == 3 and min(row.shape) > 0 and max(row.shape) <= MOST_SIDE


def _array(held: dict[str, Any]) -> np.ndarray:
    kind, shape, text = held["array"], held["shape"], held["bytes"]
    if kind not in TYPES or not isinstance(text, str) or not isinstance(shape, list):
        raise ValueError("an array in the examples is not as it should be")
    if not all(type(side) is int and side >= 0 for side in shape) or len(shape) > 8:
        raise ValueError("an array in the examples has no sensible shape")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("an array in the examples is not in base64") from error
    count = 1
    for side in shape:
        count *= side
    if count * np.dtype(kind).itemsize != len(content):
        raise ValueError("an array in the examples has more or less bytes than its shape says")
    return np.frombuffer(content, kind).reshape(shape).copy()  # anybody may write to it


def unit(schema: Schema) -> float:
    """The spread of the answer's numbers, for the tolerance."""
    kinds = {field.kind for field in schema.targets}
    return max(abs(field.scale) for field in schema.targets) if kinds & {"number", "normal", "quantiles"} else 1.0


def shortened(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers without what follows from the rest: the pictures that show a mask."""
    return [{n: v for n, v in one.items() if n not in ("mask_picture", "overlay", "share")} for one in answers]
