"""Answers are compared and kept whatever their classes and targets are called."""

import csv

import pytest

import gipi
from gipi.release.alike import difference, is_tie
from gipi.release.examples import packed, unpacked


def test_classes_may_be_called_as_the_parts_of_an_answer():
    for names in (("value", "low"), ("probabilities", "labels"), ("worth", "value", "low", "high")):
        answer = {"label": names[0], "probability": 0.7, "probabilities": dict.fromkeys(names, 0.7)}
        assert difference(answer, answer) is None
        assert is_tie(answer["probabilities"]) is False
        other = {**answer, "probabilities": {**answer["probabilities"], names[1]: 0.6}}
        assert difference(other, answer) == f"{names[1]}: 0.6, 0.7 expected"


def test_targets_may_be_called_as_the_parts_of_an_answer():
    answer = {name: {"value": 1.0, "low": 0.0, "high": 2.0} for name in ("value", "low", "high")}
    assert difference(answer, answer) is None
    assert difference({**answer, "low": {"value": 3.0, "low": 0.0, "high": 2.0}}, answer) == "value: 3, 1 expected"


def test_classes_called_as_the_parts_of_an_array_stay_numbers():
    probabilities = {"array": 0.5, "shape": 0.25, "bytes": 0.25}
    assert unpacked(packed(probabilities)) == probabilities


@pytest.mark.parametrize("names", [("low", "value"), ("array", "shape", "bytes")])
def test_a_model_of_such_classes_is_kept_and_opened(names, tmp_path):
    rows = [{"a": place + 0.01 * number, "k": name} for number in range(20) for place, name in enumerate(names)]
    run = gipi.fit(rows, target="k", system="mlp", steps=5, verdict=False, quiet=True, run=tmp_path / "run")
    path = run.save(tmp_path / "kept.gipi")
    for runtime in ("torch", "onnx"):
        said = gipi.load(path, runtime=runtime).predict([{"a": 0.5}])[0]
        assert said["label"] in names
        assert set(said["probabilities"]) == set(names)


def test_several_targets_of_such_names_are_printed(tmp_path, capsys):
    from gipi.cli.main import main

    names = ("a", "low", "picture")
    with open(tmp_path / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([names, *((n / 10, n / 5, -n) for n in range(40))])
    run = tmp_path / "run"
    gipi.fit(
        tmp_path / "rows.csv", target=["low", "picture"], system="mlp", steps=5, verdict=False, quiet=True, run=run
    )
    assert main(["predict", str(run), '{"a": 1}']) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("low: ")
    assert "  picture: " in printed
