"""The small routes, by FastAPI: the page, what the models are, health, numbers, and the API's documentation.

Nothing here takes a path or an address: the names of files are looked up among those that are there.
"""

import mimetypes
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gipi import __version__
from gipi.messages import _
from gipi.server import about
from gipi.server.documentation import described
from gipi.server.refusal import SAFE
from gipi.server.state import Served, State

PAGE_POLICY = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:"),
        *("connect-src 'self'", "media-src 'self' blob:", "form-action 'none'", "base-uri 'none'"),
        *("frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"),
    )
)
# Swagger's own script sets styles in markup and draws with data: pictures; it is kept to these two pages' worth.
DOCS_POLICY = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:"),
        *("connect-src 'self'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"),
    )
)
HEADERS = {name.decode(): value.decode() for name, value in SAFE}
PAGE_HEADERS = {
    **HEADERS,
    "content-security-policy": PAGE_POLICY,
    "permissions-policy": "camera=(self)",
    "cross-origin-opener-policy": "same-origin",
}
DOCS_HEADERS = {**HEADERS, "content-security-policy": DOCS_POLICY}
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
DOCS = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>gipi: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/begin.js"></script></body></html>
"""
BEGIN = b"SwaggerUIBundle({url: new URL('../openapi.json', document.currentScript.src).href, dom_id: '#swagger-ui'});\n"
SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")


def small_routes(state: State) -> FastAPI:
    """The application of all routes but those that predict."""
    app = FastAPI(title="gipi", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    app.add_exception_handler(HTTPException, _said)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return _file("index.html", request)

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str, request: Request) -> Response:
        return _file(name, request)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204, headers=HEADERS)

    @app.get("/healthz", summary="Whether it answers: 200, or 503 while it starts or stops.")
    async def healthz() -> Response:
        return _json({"status": state.status}, 200 if state.status == "ok" else 503)

    @app.get("/metrics", summary="What was counted, for Prometheus.")
    async def metrics() -> Response:
        return Response(state.counts.text(), 200, HEADERS, "text/plain; version=0.0.4; charset=utf-8")

    @app.get("/models", summary="The models by name; the first is the default.")
    async def models() -> Response:
        engines = [served.engine for served in state.served.values()]
        known = [{"name": one.name, "task": one.model.task, "system": one.model.system} for one in engines]
        return _json({"models": known})

    @app.get("/schema", summary="What goes into the default model and what comes out.")
    async def default_schema() -> Response:
        return _json(_schema(state.default, state))

    @app.get("/card", summary="Where the default model comes from and how good it is.")
    async def default_card() -> Response:
        return _json(about.card(state.default.engine.model))

    @app.get("/models/{name}/schema", summary="What goes into a model and what comes out.")
    async def schema(name: str) -> Response:
        return _json(_schema(_known(state, name), state))

    @app.get("/models/{name}/card", summary="Where a model comes from and how good it is.")
    async def card(name: str) -> Response:
        return _json(about.card(_known(state, name).engine.model))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(DOCS, 200, DOCS_HEADERS, "text/html")

    @app.get("/docs/{name}", include_in_schema=False)
    async def docs_part(name: str) -> Response:
        if name == "begin.js":
            return Response(BEGIN, 200, DOCS_HEADERS, "text/javascript")
        if name not in SWAGGER:
            raise HTTPException(404)
        return Response(_swagger(name), 200, DOCS_HEADERS, TYPES["." + name.rpartition(".")[2]])

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return _json(document)

    document = described(app, state)
    return app


def _schema(served: Served, state: State) -> dict[str, Any]:
    return about.schema(served.engine, state.limits, served.reader.bounds.pixels)


def _known(state: State, name: str) -> Served:
    if name not in state.served:
        raise HTTPException(404)
    return state.served[name]


def _json(value: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(value, status, HEADERS)


async def _said(request: Request, error: Exception) -> Response:
    """What is wrong, in a sentence."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        text = _("there is nothing at this address; see GET /docs")
    elif error.status_code == 405:
        text = _("this address does not take {method}", method=request.method[:20])
    else:
        text = str(error.detail)
    return JSONResponse({"error": text}, error.status_code, {**HEADERS, **(error.headers or {})})


@cache
def _pages() -> dict[str, bytes]:
    """The page's files, read once: no name that a client sends ever becomes a path."""
    found = (files("gipi.server") / "page").iterdir()
    return {one.name: one.read_bytes() for one in found if one.is_file()}


def _file(name: str, request: Request) -> Response:
    """A file of the page; one that the browser still has is not sent again."""
    content = _pages().get(name)
    if content is None:
        raise HTTPException(404)
    headers = PAGE_HEADERS | {"cache-control": "no-cache", "etag": _sums()[name]}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(None, 304, headers)
    kind = TYPES.get("." + name.rpartition(".")[2]) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, 200, headers, kind)


@cache
def _sums() -> dict[str, str]:
    return {name: f'"{sha256(content).hexdigest()[:32]}"' for name, content in _pages().items()}


@cache
def _swagger(name: str) -> bytes:
    return (files("fastapi_swagger") / "resources" / name).read_bytes()
