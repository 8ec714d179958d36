"""`gipi serve`: which models are opened, under which names, and in which way."""

from pathlib import Path

import pytest

import gipi
from gipi.errors import UsageError
from gipi.server.limits import Limits
from gipi.verbs.serve import names_of, opened, serve

GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0"
MODEL = GOLDEN / "mlp-classify-table-class.gipi"


def test_names_are_those_of_files_and_runs(tmp_path):
    assert names_of((MODEL,)) == {"mlp-classify-table-class": MODEL}
    assert names_of((f"one={MODEL}", f"two={MODEL}")) == {"one": str(MODEL), "two": str(MODEL)}
    odd = tmp_path / "a b=é?.gipi"
    odd.write_bytes(MODEL.read_bytes())
    assert [*names_of((str(odd),))] == ["a-b"]
    with pytest.raises(UsageError, match="two models"):
        names_of((MODEL, MODEL))


def test_a_file_with_a_program_is_opened_by_it():
    engine = opened("m", MODEL, None, 1, Limits())
    assert not hasattr(engine.model, "members") and engine.seconds > 0 and engine.batch > 1
    assert hasattr(opened("m", MODEL, "torch", 1, Limits()).model, "members")


def test_of_a_run_the_quicker_way_answers(tmp_path):
    """Networks and program are both there; whichever it is gives the run's answers."""
    data = [{"x": n / 20, "y": "no" if n < 10 else "yes"} for n in range(20)]
    run = gipi.fit(data, target="y", system="mlp", steps=5, run=tmp_path / "run", verdict=False, quiet=True)
    engine = opened("m", str(run.path), None, 1, Limits(batch=8))
    assert engine.batch == 8
    ready, _warnings = engine.ready({"x": 0.3})
    (answer,) = engine.run([ready])
    assert answer["probability"] == pytest.approx(run.predict({"x": 0.3})[0]["probability"], rel=1e-4)


def test_nothing_to_serve_is_an_error():
    with pytest.raises(UsageError):
        serve()
