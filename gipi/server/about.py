"""What a server says of its models: GET /schema and /card. The page is made from it."""

from datetime import UTC, datetime
from typing import Any

from gipi import __version__
from gipi.data.schema import Field
from gipi.release.described import ANY_SIZE
from gipi.release.safe_json import plain
from gipi.server.decided import explains
from gipi.server.engine import Engine
from gipi.server.limits import Limits
from gipi.server.row_types import WRITING
from gipi.server.writing import data_url

EXAMPLES = 3
WIDEST_PEN = 0.08  # of the canvas: with a wider one loops close; `prepared` gives strokes the width that was learned
MADE = ("generate", "stream")  # tasks into which no row goes
SOON, LATE = -62_135_596_800, 253_402_300_799  # the years 1 and 9999, in seconds since 1970


def schema(engine: Engine, limits: Limits, pixels: int) -> dict[str, Any]:
    """What goes in and what comes out, for whoever asks and for the page; of a picture so many pixels may come."""
    model = engine.model
    return {
        "name": engine.name,
        "task": model.task,
        "system": model.system,
        "runtime": runtime(model),
        "gipi": __version__,
        "inputs": [_input(field, model.task, limits) for field in ([] if model.task in MADE else model.schema.inputs)],
        "targets": [_target(field, model) for field in model.schema.targets],
        "examples": examples(engine),
        "drawing": _drawing(model),
        "explains": explains(model),
        "limits": {
            "rows": limits.made if model.task == "generate" else limits.rows,
            "bytes": limits.body,
            "pixels": pixels,
            **({"tokens": limits.tokens} if model.task in WRITING else {}),
        },
    }


def _drawing(model: Any) -> dict[str, Any] | None:
    """How to draw what the model reads: light or dark ink, and the pen's width as part of the picture's side."""
    held = model.extra.get("drawing")
    return None if held is None else {"ink": held["ink"], "pen": min(held["pen"], WIDEST_PEN)}


def runtime(model: Any) -> str:
    return "torch" if hasattr(model, "members") else "onnx"


def card(model: Any) -> dict[str, Any]:
    """Where a model comes from and how good it is, with every number that JSON can hold."""
    return plain(model.card)


def examples(engine: Engine) -> list[Any]:
    """Rows that can be asked, as JSON has them: made up, of nobody's data."""
    model = engine.model
    if engine.examples is None or model.task == "generate" or model.schema.is_text:
        return []  # of a text they would be tokens by chance, which nobody can read
    if model.task == "stream":
        return [row.tolist() for row in engine.examples[:EXAMPLES]]
    if model.schema.is_picture:
        return [{"picture": data_url(picture)} for picture in engine.examples[:EXAMPLES]]
    fields = {field.name: field for field in model.schema.inputs}
    rows = [{name: _usual(value, fields[name]) for name, value in row.items()} for row in engine.examples[:EXAMPLES]]
    return [plain(row) for row in rows]


def _usual(value: Any, field: Field) -> Any:
    """A made-up number as rows have them: within the range of the training rows, whole where their ends are."""
    if field.kind == "category" and value not in field.values:
        return None  # the examples have a word that no training row has
    if field.kind != "number" or type(value) is not float or not field.range:
        return value
    low, high = field.range
    value = min(max(value, low), high)
    is_whole = low == int(low) and high == int(high) and high - low >= 1
    return float(round(value)) if is_whole else float(f"{value:.3g}")


def _input(field: Field, task: str, limits: Limits) -> dict[str, Any]:
    said: dict[str, Any] = {"name": field.name, "kind": field.kind}
    if field.kind == "text":
        return said | {"characters": limits.characters, "tokens": field.shape[0]}
    if field.kind == "picture":
        channels, height, width = field.shape
        is_any = task in ANY_SIZE
        return said | {
            "channels": channels,
            "height": None if is_any else height,
            "width": None if is_any else width,
        }
    if field.kind == "category":
        return said | {"values": list(field.values)}
    if field.kind == "boolean":
        return said
    low, high = field.range or (None, None)
    if field.kind == "date":
        return said | {"low": _moment(low), "high": _moment(high), "fill": _moment(field.fill)}
    return said | {"low": low, "high": high, "fill": field.fill}


def _target(field: Field, model: Any) -> dict[str, Any]:
    values = [*field.values] if field.kind in ("class", "labels", "tags") else []
    if field.kind == "mask":
        values = [*model.extra["classes"]["names"]]
    return {"name": field.name, "kind": field.kind, "values": values}


def _moment(seconds: float | None) -> str | None:
    if seconds is None or not SOON <= seconds <= LATE:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
