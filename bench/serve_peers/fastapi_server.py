"""FastAPI, pydantic and PyTorch, one worker, as its documentation has it.

    python fastapi_server.py async|def table|picture MODEL PORT

`async` computes in the event loop, which suits networks as small as these; `def` is what most people write, and FastAPI
runs it in a pool of threads. The type of the answer is declared, so that pydantic writes its JSON at once.
"""

import sys
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI
from networks import Answers, Picture, Table


def application(way: str, work: str, path: str) -> FastAPI:
    app = FastAPI()
    if work == "table":
        table = Table(path)
        Rows: Any = table.request()

        def answer_rows(body: Any) -> Any:
            return {"predictions": table.answers(table.ready(body.rows))}

        if way == "async":

            @app.post("/predict")
            async def predict_rows(body: Rows) -> Answers:
                return answer_rows(body)
        else:

            @app.post("/predict")
            def predict_rows_in_thread(body: Rows) -> Answers:
                return answer_rows(body)
    else:
        picture = Picture(path)

        def answer_picture(body: bytes) -> Any:
            return {"predictions": picture.answers(picture.ready([body]))}

        if way == "async":

            @app.post("/predict")
            async def predict_picture(body: Annotated[bytes, Body(media_type="image/png")]) -> Answers:
                return answer_picture(body)
        else:

            @app.post("/predict")
            def predict_picture_in_thread(body: Annotated[bytes, Body(media_type="image/png")]) -> Answers:
                return answer_picture(body)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


if __name__ == "__main__":
    way, work, path, port = sys.argv[1:]
    uvicorn.run(
        application(way, work, path),
        port=int(port),
        access_log=False,
        log_level="warning",
        loop="uvloop",
        http="httptools",
    )
