"""The corpus against gipi itself: files made of a real bundle's parts are refused by both ways of opening one."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gipi
from gipi.errors import RunError, UsageError
from gipi.release import stored
from gipi.release.bundle import LARGEST, read_bundle

pytest.importorskip("onnxruntime", reason="the export extra is not installed")

from hostile import corpus, joined  # beside this file


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A small classifier of a table with numbers and a category, kept with its program."""
    folder = tmp_path_factory.mktemp("good")
    draws = np.random.default_rng(0)
    x = draws.standard_normal(60)
    rows = [{"a": float(v), "b": float(v * v), "c": "x" if v > 0 else "y", "t": "yes" if v > 0.3 else "no"} for v in x]
    run = gipi.fit(
        rows, target="t", system="mlp", steps=3, hidden=(4,), verdict=False, doctor=False, run=folder / "run", seed=0
    )
    run.save(folder / "good.gipi")
    return folder / "good.gipi"


@pytest.fixture(scope="module")
def parts(good) -> dict[str, bytes]:
    return {name: content.tobytes() for name, content in stored.read(good, LARGEST).items()}


def test_the_good_one_opens(good, parts):
    assert set(parts) == set(stored.NAMES)
    for runtime in ("torch", "onnx"):
        read_bundle(good, runtime=runtime)


WORDS = [
    "",
    "..",
    "../evil",
    "os",
    "os.system",
    "__main__",
    "hf:../../evil",
    "timm:evil",
    "own",
    "a" * 100_000,
    "gipi",
    "\0",
]
ODD = [
    None,
    True,
    -1,
    0,
    1 << 70,
    1.5,
    1e308,
    "",
    "evil",
    [],
    [[]],
    {},
    {"a": {}},
    [None],
    [1 << 40],
    [-1],
    ["x"] * 1000,
]


def places(value: Any, way: tuple = ()) -> Iterator[tuple]:
    """The way to each thing inside a JSON value."""
    if way:
        yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*way, key))


def changed(said: dict, way: tuple, value: Any, away: bool = False) -> bytes:
    """The description with another value at a place, or without it."""
    new = copy.deepcopy(said)
    inner = new
    for key in way[:-1]:
        inner = inner[key]
    if away:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return json.dumps(new).encode()


def descriptions(parts: dict[str, bytes], part: str, every: int = 1) -> Iterator[tuple[str, bytes]]:
    """A part in JSON with each of its values taken away, or one odd value after the other in its place."""
    said = json.loads(parts[part])
    found = []
    for way in places(said):
        for value in [*ODD, *(WORDS if way[-1] in ("task", "system", "kind", "name", "dtype") else ())]:
            found.append((way, value, False))
        found.append((way, None, True))
        if isinstance(way[-1], int) or way[-1] in ("output", "members", "reach", "hidden", "width"):
            found += [(way, big, False) for big in (10**6, 10**9, 10**12)]
    for way, value, away in found[::every]:
        yield f"{part}: {'.'.join(map(str, way))} = {ascii(value)[:30]}", changed(said, way, value, away)


@pytest.mark.parametrize("kind", ["zip", "json", "weights", pytest.param("program", marks=pytest.mark.slow)])
def test_hostile_files_are_refused(tmp_path, parts, kind):
    """Opened by the program, so that all of it is looked at. Hostile programs: in test_trial too."""
    path, taken, slow, count = tmp_path / "hostile.gipi", [], [], 0
    for name, content in corpus(parts):
        if not name.startswith(kind):
            continue
        path.write_bytes(content)
        begin = time.process_time()
        try:
            read_bundle(path, runtime="onnx")
            taken.append(name)
        except (RunError, UsageError):
            count += 1
        if time.process_time() - begin > 1:
            slow.append(name)
    assert not taken and not slow
    assert count >= 40


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
@pytest.mark.parametrize(("part", "every"), [("bundle.json", 151), ("examples.json", 47)])
def test_odd_descriptions_are_refused_or_change_nothing(tmp_path, parts, part, every, runtime):
    """Whatever stands in a place: a refusal, or a model whose answers on the examples are those it was stored with."""
    path, taken, refused = tmp_path / "hostile.gipi", 0, 0
    for _name, content in descriptions(parts, part, every):
        path.write_bytes(joined(parts | {part: content}))
        try:
            read_bundle(path, runtime=runtime)
            taken += 1
        except (RunError, UsageError):
            refused += 1
    assert refused > 0 and taken + refused > 5
