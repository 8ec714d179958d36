"""LitServe, one worker.

    python litserve_server.py table|picture MODEL PORT [BATCH SECONDS fast|usual]

A batch of what waits goes through the network at once. Which size, which wait and which queue suit it was tried
(bench/serve.py says what it uses); a request's JSON is taken as it is, which is quicker than a pydantic model here.
"""

import sys
from typing import Annotated, Any

import litserve
from fastapi import Body
from networks import Picture, Table

Content = Annotated[bytes, Body(media_type="image/png")]


class TableAPI(litserve.LitAPI):
    def __init__(self, path: str, batch: int, seconds: float):
        super().__init__(max_batch_size=batch, batch_timeout=seconds)
        self.path = path

    def setup(self, device: str) -> None:
        self.model = Table(self.path)

    def decode_request(self, request):
        return request["rows"]

    def predict(self, x: Any) -> Any:
        if self.max_batch_size == 1:
            return self.model.answers(self.model.of_dicts(x))
        many = self.model.answers(self.model.of_dicts([row for rows in x for row in rows]))
        ends = iter(many)
        return [[next(ends) for _row in rows] for rows in x]

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output):
        return {"predictions": output}


class PictureAPI(TableAPI):
    def setup(self, device: str) -> None:
        self.model = Picture(self.path)

    def decode_request(self, request: Content):
        return [request]

    def predict(self, x: Any) -> Any:
        if self.max_batch_size == 1:
            return self.model.answers(self.model.ready(x))
        return [[answer] for answer in self.model.answers(self.model.ready([content for (content,) in x]))]


if __name__ == "__main__":
    work, path, port, *rest = sys.argv[1:]
    batch, seconds, queue = rest or ("1", "0", "usual")
    api = {"table": TableAPI, "picture": PictureAPI}[work](path, int(batch), float(seconds))
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=queue == "fast")
    server.run(
        host="127.0.0.1",
        port=int(port),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
