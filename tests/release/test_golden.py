"""Golden bundles: what a release of gipi wrote is opened by every later one, and answers as it did then.

tests/golden/make.py wrote them, once for each release; they are never written again.
"""

import json
from functools import cache
from pathlib import Path

import pytest

import gipi
from gipi.errors import RunError, UsageError
from gipi.release.alike import difference
from gipi.release.described import IN_STEPS
from gipi.release.examples import shortened, unit, unpacked

OLDER = ("lstm-classify-text-class",)  # kept when its system had no program yet
GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted(GOLDEN.glob("*/*.gipi"))


@cache
def stored_answers(folder: Path):
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


def test_there_are_some_of_every_task():
    assert len(FILES) >= 18
    from gipi.tasks import TASKS

    assert {gipi.load(path).task for path in FILES} == set(TASKS)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_opens_and_answers_as_ever(path, runtime):
    if path.stem == "own" and runtime == "torch":
        with pytest.raises(RunError, match="of the same make"):  # its source is nowhere: its program is what is left
            gipi.load(path, runtime="torch")
        return
    if runtime == "onnx" and ({*path.stem.split("-")} & {*IN_STEPS} or path.stem in OLDER):
        with pytest.raises(UsageError, match="has no program"):
            gipi.load(path, runtime="onnx")
        return
    model, stored = gipi.load(path, runtime=runtime), stored_answers(path.parent)[path.stem]
    found = shortened(model.predict(unpacked(stored["rows"])))
    assert difference(found, unpacked(stored["answers"]), unit(model.schema)) is None
