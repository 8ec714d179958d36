"""GET /openapi.json: the routes that predict, described by the types that read them, beside FastAPI's own."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gipi.server.decided import explains
from gipi.server.state import Served, State
from gipi.server.writing import CSV, EVENTS, JSON, PNG

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["row", "field", "error"],
                "properties": {
                    "row": {"type": ["integer", "null"]},
                    "field": {"type": ["string", "null"]},
                    "error": {"type": "string"},
                },
            },
        },
    },
}
REFUSALS = {
    400: "This is no JSON, no CSV, or no request.",
    401: "A key is needed.",
    403: "Another site's page asks, or the name in Host is not this server's.",
    404: "There is no such thing.",
    405: "The address takes another method.",
    406: "None of what is accepted can be given.",
    408: "The request did not come in time.",
    413: "The body, its rows or its pixels are too many.",
    415: "The model takes no content of this type.",
    422: "Rows or fields are not as the schema says; `details` has the first 20.",
    429: "You ask too often.",
    431: "The headers are too large.",
    503: "The server is busy, starts or stops; see Retry-After.",
}
RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
NUMBERS = {"type": "array", "items": {"type": "object"}}


def described(app: FastAPI, state: State) -> dict[str, Any]:
    """The whole API as OpenAPI says it."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes, summary="Models made by gipi.")
    paths = document["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", []):  # the one that there is: a model's name
                parameter["schema"]["enum"] = [*state.served]
            codes = [401, 403, 405, 429, 431] + [404] * ("{name}" in path) + [503] * (path == "/healthz")
            operation["responses"] |= _refusals(codes)
    if "/metrics" in paths:
        paths["/metrics"]["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    document.setdefault("components", {})["schemas"] = {"Error": ERROR}
    for path, served in [("", state.default), *((f"/models/{name}", one) for name, one in state.served.items())]:
        paths[f"{path}/predict"] = {"post": _predict(served, path)}
        if explains(served.engine.model):
            paths[f"{path}/explain"] = {"post": _explain(served, path)}
    if state.guard.keys:
        document["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        for path, methods in paths.items():
            for operation in methods.values():
                if path != "/healthz":
                    operation["security"] = [{"key": []}, {"bearer": []}]
    return document


def _predict(served: Served, path: str) -> dict[str, Any]:
    predictions = {"type": "object", "required": ["predictions"], "properties": {"predictions": NUMBERS}}
    text, binary = {"type": "string"}, {"type": "string", "format": "binary"}
    answer = {JSON: predictions, CSV: text, EVENTS: text, PNG: binary}
    return _operation(served, f"predict{path.replace('/', '_')}", "One answer for each row.", answer)


def _explain(served: Served, path: str) -> dict[str, Any]:
    said = {"type": "object", "required": ["explanations"], "properties": {"explanations": NUMBERS}}
    name = f"explain{path.replace('/', '_')}"
    made = _operation(served, name, "What decided: in colour on the picture, or by which words.", {JSON: said})
    made["requestBody"]["content"][JSON]["schema"]["properties"]["rows"] |= {"minItems": 1, "maxItems": 1}
    return made


def _operation(served: Served, name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    reader = served.reader
    content: dict[str, Any] = {}
    for kind in reader.kinds:
        if kind == "application/json":
            content[kind] = {"schema": _inline(reader.body.json_schema())}
        else:
            content[kind] = {
                "schema": {"type": "string", **({"format": "binary"} if kind.startswith("image/") else {})}
            }
    right = {"description": "The answers.", "content": {kind: {"schema": one} for kind, one in answers.items()}}
    codes = [code for code in REFUSALS if code not in (404, 405)]
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": right, **_refusals(codes)},
    }


def _refusals(codes: list[int]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        str(code): {
            "description": REFUSALS[code],
            "content": content,
            **({"headers": RETRY} if code in (429, 503) else {}),
        }
        for code in codes
    }


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema without references: every definition where it is used."""
    definitions = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolved(definitions[value["$ref"].rpartition("/")[2]])
            return {name: resolved(one) for name, one in value.items()}
        return [resolved(one) for one in value] if isinstance(value, list) else value

    return resolved(schema)
