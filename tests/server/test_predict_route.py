"""POST /predict: the answers of `model.predict`, for every task, by networks and by program, in every form."""

import base64
import csv
import io
import json

import numpy as np
import pytest
from asked import GOLDEN, Asked
from PIL import Image

import gipi
from gipi.release.alike import difference
from gipi.release.bundle import held
from gipi.server.engine import Engine

BUNDLES = sorted(GOLDEN.glob("*.gipi"))
WITH_PICTURES = ("picture", "mask", "mask_picture", "overlay")


def asked(path, runtime="onnx") -> Asked:
    return Asked(Engine("golden", gipi.load(path, runtime=runtime), held(path).examples["rows"]))


def in_json(row) -> object:
    if not isinstance(row, np.ndarray):
        return row
    if row.ndim == 3:
        file = io.BytesIO()
        Image.fromarray(row if row.shape[2] == 3 else row[:, :, 0]).save(file, "PNG")
        return {"picture": base64.b64encode(file.getvalue()).decode()}
    return row.tolist()


def unpacked(answer):
    """Pictures of an answer as arrays again."""
    found = {}
    for name, value in answer.items():
        if name in WITH_PICTURES and isinstance(value, str):
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(value.partition(",")[2]))))
            value = picture if picture.ndim == 3 or name == "mask" else picture[:, :, None]
        found[name] = value
    return found


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_the_web_answers_as_the_model_does(path, runtime):
    """Every task: the same words and numbers as `predict`."""
    if path.stem == "own" and runtime == "torch":
        pytest.skip("a module of a person's own has only its program here")
    if runtime == "onnx" and "program.onnx" not in held(path).parts:
        pytest.skip("answers that take several steps have no program")
    server = asked(path, runtime)
    engine = server.state.default.engine
    rows = engine.examples
    if engine.model.task == "generate":
        body = {"count": 6, "seed": 3}
        expected = engine.model.predict(np.random.default_rng(3).normal(size=(6, 5)).astype(np.float32))
    else:
        body = {"rows": [in_json(row) for row in rows]}
        expected = engine.model.predict(rows)
    said = server("POST", "/predict", content=json.dumps(body), headers={"content-type": "application/json"})
    assert said.status_code == 200, said.text
    found = [unpacked(answer) for answer in said.json()["predictions"]]
    for answer in found:
        answer.pop("warnings", None)
    assert difference(found, expected, 1.0) is None


def test_rows_that_come_together_are_answered_as_alone():
    """Requests at the same moment make one batch, and each gets its own answers."""
    path = GOLDEN / "mlp-classify-table-class.gipi"
    server = asked(path)
    rows = server.state.default.engine.examples
    alone = [server("POST", "/predict", json={"rows": [row]}).json()["predictions"][0] for row in rows]
    many = server.together(*(("POST", "/predict", {"json": {"rows": [rows[n % 5]] * (n % 3 + 1)}}) for n in range(40)))
    for number, said in enumerate(many):
        predictions = said.json()["predictions"]
        assert len(predictions) == number % 3 + 1
        assert difference(predictions, [alone[number % 5]] * len(predictions), 1.0) is None
    batches = server.state.counts.all[0, 0]
    from gipi.server.counts import BATCH, ROWS

    assert batches[BATCH : BATCH + len(ROWS) + 1].sum() < 20  # 45 requests, far fewer batches


def test_csv_in_and_out():
    path = GOLDEN / "mlp-regress-table-normal.gipi"
    server = asked(path)
    rows = server.state.default.engine.examples
    file = io.StringIO()
    writer = csv.DictWriter(file, [*rows[0]])
    writer.writeheader()
    writer.writerows(rows)
    headers = {"content-type": "text/csv; charset=utf-8", "accept": "text/csv"}
    said = server("POST", "/predict", content=file.getvalue(), headers=headers)
    assert said.status_code == 200 and said.headers["content-type"].startswith("text/csv")
    expected = server("POST", "/predict", json={"rows": rows}).json()["predictions"]
    lines = [*csv.DictReader(io.StringIO(said.text))]
    assert [float(line["value"]) for line in lines] == pytest.approx([one["value"] for one in expected])


def test_a_picture_as_it_is():
    path = GOLDEN / "convnet-classify-picture-class.gipi"
    server = asked(path)
    picture = server.state.default.engine.examples[3]  # of another size
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    for kind in ("image/png", "application/octet-stream"):
        said = server("POST", "/predict", content=file.getvalue(), headers={"content-type": kind})
        assert difference(said.json()["predictions"], server.state.default.engine.model.predict([picture]), 1.0) is None
    arrays = server("POST", "/predict", json={"rows": [{"picture": picture.tolist()}]})
    assert arrays.json() == said.json()


def test_events_come_one_by_one():
    path = GOLDEN / "gan-generate-picture.gipi"
    server = asked(path)
    said = server("POST", "/predict", json={"count": 9, "seed": 1}, headers={"accept": "text/event-stream"})
    events = [block.split("\n") for block in said.text.strip().split("\n\n")]
    assert [len(lines) for lines in events] == [1] * 9 + [2] and events[-1][0] == "event: end"
    whole = server("POST", "/predict", json={"count": 9, "seed": 1}).json()["predictions"]
    first = [unpacked(json.loads(lines[0].removeprefix("data: "))) for lines in events[:9]]
    assert difference(first, [unpacked(one) for one in whole], 1.0) is None


def test_one_picture_as_png():
    path = GOLDEN / "gan-generate-picture.gipi"
    said = asked(path)("POST", "/predict", json={"count": 1}, headers={"accept": "image/png"})
    assert Image.open(io.BytesIO(said.content)).size == (8, 8)


def test_what_is_not_known_is_said_in_the_row():
    path = GOLDEN / "mlp-classify-table-class.gipi"
    server = asked(path)
    row = dict(server.state.default.engine.examples[0])
    row["kind"], row["colour"] = "a", "=1+1 ultraviolet"
    one, other = server("POST", "/predict", json={"rows": [row, row | {"colour": "red"}]}).json()["predictions"]
    assert "ultraviolet" in one["warnings"][0] and "colour" in one["warnings"][0]
    assert "warnings" not in other and "label" in one


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_trouble_with_one_row_is_that_rows_alone(runtime):
    path = GOLDEN / "mlp-regress-table-normal.gipi"
    server = asked(path, runtime)
    row = server.state.default.engine.examples[0]
    alone = server("POST", "/predict", json={"rows": [row]}).json()["predictions"][0]
    bad = [row | {"length": 1e300}, row | {"day": "the day before yesterday"}, row | {"length": 1e37}]
    first, *wrong, last = server("POST", "/predict", json={"rows": [row, *bad, row]}).json()["predictions"]
    assert difference([first, last], [alone, alone], 1.0) is None
    assert all("error" in one and "value" not in one for one in wrong[:2])
    assert "error" in wrong[2] or np.isfinite(wrong[2]["value"])
    damaged = asked(GOLDEN / "convnet-classify-picture-class.gipi", runtime)
    good = in_json(damaged.state.default.engine.examples[0])
    rows = [good, {"picture": "bm8gcGljdHVyZQ=="}, {"picture": "§"}, {"picture": [[1, "a"]]}, good]
    found = damaged("POST", "/predict", json={"rows": rows}).json()["predictions"]
    assert ["error" in one for one in found] == [False, True, True, True, False]


def test_explains_a_picture():
    path = GOLDEN / "convnet-classify-picture-class.gipi"
    for runtime in ("torch", "onnx"):
        server = asked(path, runtime)
        picture = in_json(server.state.default.engine.examples[0])
        said = server("POST", "/explain", json={"rows": [picture]})
        (one,) = said.json()["explanations"]
        label = server("POST", "/predict", json={"rows": [picture]}).json()["predictions"][0]["label"]
        assert one["of"] == label and unpacked(one)["overlay"].shape == (224, 224, 3)
    table = asked(GOLDEN / "mlp-classify-table-class.gipi")
    assert table("POST", "/explain", json={"rows": [table.state.default.engine.examples[0]]}).status_code == 404


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_many_rows_out_of_the_ordinary(runtime):
    """Dates in another form need a long look each; thousands of them come together, and what is wrong is by itself."""
    path = GOLDEN / "mlp-classify-table-class.gipi"
    server = asked(path, runtime)
    row = dict(server.state.default.engine.examples[0]) | {"kind": "a"}
    plain = server("POST", "/predict", json={"rows": [row | {"day": "2020-12-31"}]}).json()["predictions"][0]
    rows = [row | {"day": "31.12.2020"} for _row in range(3000)]
    rows[7]["day"], rows[2000]["length"] = "never", 1e300
    found = server("POST", "/predict", json={"rows": rows}).json()["predictions"]
    wrong = {place: answer["error"] for place, answer in enumerate(found) if "error" in answer}
    assert [*wrong] == [7, 2000] and "row 8" in wrong[7] and "row 2001" in wrong[2000]
    assert difference([found[0], found[6], found[8], found[-1]], [plain] * 4, 1.0) is None
    counted = server("GET", "/metrics").text
    assert 'gipi_row_errors_total{model="golden"} 2' in counted
