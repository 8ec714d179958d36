"""The whole journey in seconds: from a CSV to a kept model that answers, in Python and on the command line.

Run it before each commit: `make tiny`.
"""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import gipi
from gipi.cli.main import main

ROWS = 200


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a table and a finished run of it, where everything below happens."""
    folder = tmp_path_factory.mktemp("desk")
    write_table(folder / "students.csv", ROWS, seed=0)
    write_table(folder / "new.csv", 30, seed=1)
    before = os.getcwd()
    os.chdir(folder)
    try:
        gipi.fit("students.csv", target="grade", epochs=20, threads=1, quiet=True, verdict_seconds=4.0)
        yield folder
    finally:
        os.chdir(before)


def write_table(path, rows, seed):
    """Grades that follow from hours and school; some hours are missing, names are of no use."""
    draw = np.random.default_rng(seed)
    lines = ["name,hours,school,sport,grade"]
    for row in range(rows):
        is_missing = row % 40 == 7
        hours = 5.0 if is_missing else draw.uniform(0, 10)
        school, sport = draw.choice(["north", "south"]), draw.choice(["yes", "no"])
        grade = 2 * hours + 3 * (school == "north") + draw.normal() / 2
        lines.append(f"s{row:04d},{'' if is_missing else round(hours, 2)},{school},{sport},{grade:.2f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def said(capsys, *words, code=0):
    """What `gipi WORDS --json` gives."""
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


ONE = {"name": "x", "hours": 7, "school": "north", "sport": "no"}


# --- in Python ---------------------------------------------------------------------------------------------------


def test_a_run_has_numbers_a_verdict_and_a_report(desk):
    run = gipi.Run("last")
    assert run.status == "done"
    assert run.metrics["rmse"].low <= run.metrics["rmse"] <= run.metrics["rmse"].high
    assert run.metrics["r2"] > 0.5
    assert run.verdict.sentence
    report = run.report.read_text(encoding="utf-8")
    assert "<svg" in report
    assert all(model.title in report for model in run.verdict.models)
    assert "http://" not in report.replace("http://www.w3.org/", "") and "<script src" not in report
    assert len(run.history) == 20
    assert any("name" in note for note in run.notes), "the identifier that was left out is mentioned"


def test_it_answers_in_any_form(desk):
    import polars as pl

    run = gipi.Run("last")
    (answer,) = run.predict(ONE)
    assert 10 < answer["value"] < 24
    many = run.predict([ONE, {**ONE, "hours": None, "school": "west"}])
    assert len(many) == 2 and many[0] == answer
    frame = pl.DataFrame([ONE, ONE])
    assert run.predict(frame) == [answer, answer]
    assert len(run.predict("new.csv")) == 30


def test_save_load_evaluate(desk):
    run = gipi.Run("last")
    path = run.save(desk / "grades.gipi")
    model = gipi.load(path)
    assert model.predict(ONE) == run.predict(ONE)
    metrics = gipi.evaluate(path, "new.csv")
    assert 0 < metrics["rmse"] < 5
    assert metrics["rmse"] == gipi.evaluate(run, "new.csv")["rmse"]


def test_same_seed_same_run_and_another_system(desk):
    options = {"target": "grade", "epochs": 4, "threads": 1, "quiet": True, "verdict": False, "hidden": (8,)}
    one, other = gipi.fit("students.csv", **options), gipi.fit("students.csv", **options)
    assert one.metrics == other.metrics
    assert [run.path.name for run in gipi.runs()].count(one.path.name) == 1
    found = gipi.compare(gipi.runs()[0], one)
    assert "epochs" in found["differences"]
    linear = gipi.fit("students.csv", target="grade", system="linear", quiet=True, verdict=False, threads=1)
    assert linear.metrics["rmse"] < 1.0


def test_grades_line(desk):
    run = gipi.fit("grades", system="linear", quiet=True)
    assert run.predict({"study": 7})[0]["value"] == pytest.approx(70, abs=1e-3)
    assert any("10 study" in note for note in run.notes)


def test_parts_of_ones_own(desk):
    import torch

    def steep(output, y, weight=None):
        return (output - y).abs().mean()

    model = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.Tanh(), torch.nn.Linear(4, 3))
    run = gipi.fit(
        "iris",
        model=lambda sizes: torch.nn.Linear(*sizes.input, sizes.output),
        optimizer=lambda params: torch.optim.Adam(params, lr=0.05),
        epochs=10,
        quiet=True,
        verdict=False,
    )
    assert run.metrics["accuracy"] > 0.7
    assert run.record["own"] == ["model", "optimizer"]
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    mine = gipi.fit((x, x @ [1.0, -2.0]), model=torch.nn.Linear(2, 1), loss=steep, epochs=5, quiet=True, verdict=False)
    assert mine.status == "done"
    assert model is not None


# --- on the command line -----------------------------------------------------------------------------------------


def test_every_verb_gives_json(desk, capsys):
    fitted = said(capsys, "fit", "students.csv", "--target", "grade", "--epochs", "3", "--hidden", "8", "--no-verdict")
    assert fitted["metrics"]["rmse"]["value"] > 0
    assert fitted["verdict"] is None
    assert fitted["status"] == "done"
    run = fitted["run"]
    assert said(capsys, "evaluate", run, "new.csv")["metrics"]["rmse"]["value"] > 0
    assert len(said(capsys, "predict", run, json.dumps(ONE), "new.csv")["predictions"]) == 31
    assert said(capsys, "runs")["runs"][-1]["run"] == run
    assert said(capsys, "show", run)["system"] == "tabm"
    assert "rmse" in said(capsys, "compare", "students-tabm-1", run)["metrics"]
    assert said(capsys, "save", run, "kept.gipi")["file"] == "kept.gipi"
    assert "mlp" in [one["name"] for one in said(capsys, "systems")["systems"]]
    assert said(capsys, "systems", "mlp")["options"]
    assert "digits" in [one["name"] for one in said(capsys, "data")["data"]]
    assert said(capsys, "resume", run)["run"] == run, "a finished run is given back as it is"


def test_every_verb_speaks_to_a_person(desk, capsys):
    run = "students-tabm-1"
    for words in (
        ["fit", "grades", "--system", "linear"],
        ["evaluate", run, "new.csv"],
        ["predict", run, json.dumps(ONE)],
        ["runs"],
        ["show", run],
        ["compare", run, "last"],
        ["systems"],
        ["systems", "gan"],
        ["data"],
    ):
        assert main(words) == 0, words
        assert capsys.readouterr().out.strip(), words


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["fit", "nowhere.csv"], 2),
        (["fit", "students.csv", "--target", "grades"], 2),
        (["fit", "students.csv", "--target", "grade", "--system", "linear", "--hidden", "8"], 2),
        (["fit", "students.csv", "--target", "grade", "--no-such-option", "8"], 2),
        (["fit"], 2),
        (["ftt"], 2),
        (["predict", "no-such-run", "{}"], 1),
        (["predict", "students-tabm-1", '{"hours": 7}'], 1),
        (["predict", "students-tabm-1", "{hours: 7}"], 2),
    ],
    ids=lambda part: " ".join(part)[:50] if isinstance(part, list) else "",
)
def test_what_is_wrong_is_said_in_a_sentence(desk, capsys, words, code):
    try:
        ended = main(words)
    except SystemExit as stop:
        ended = stop.code
    told = capsys.readouterr()
    assert ended == code, told
    assert "Traceback" not in told.err and told.err.strip()


def test_an_interrupted_run_goes_on(desk, capsys):
    """Ctrl-C in the middle of a step: the step is done, all is saved, and the run goes on to its end."""
    calls = []

    def pressing(output, y, weight=None):
        calls.append(1)
        if len(calls) == 30:
            signal.raise_signal(signal.SIGINT)
        return ((output - y) ** 2).mean()

    options = {"target": "grade", "loss": pressing, "epochs": 20, "patience": 0, "hidden": (8,), "threads": 1}
    options["doctor"] = False  # which asks the loss many things before the first step
    with pytest.raises(KeyboardInterrupt):
        gipi.fit("students.csv", run="cut", verdict=False, quiet=True, **options)
    run = gipi.Run("cut")
    assert run.status == "interrupted"
    assert 0 < len(run.history) < 20
    with pytest.raises(ValueError, match="resume"):
        _ = run.model
    assert main(["show", "cut"]) == 0
    with pytest.raises(ValueError, match="loss"):
        gipi.resume("cut", quiet=True)
    done = gipi.resume("cut", quiet=True, loss=pressing)
    assert done.status == "done"
    assert [line["epoch"] for line in done.history] == [*range(1, 21)], "no epoch is lost or told twice"


def test_the_program_itself(desk):
    done = subprocess.run([sys.executable, "-m", "gipi", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"gipi {gipi.__version__}\n")


def test_korean(desk, capsys):
    assert main(["--help", "--lang", "ko"]) == 0
    assert "gipi" in capsys.readouterr().out
