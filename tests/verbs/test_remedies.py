"""`gipi doctor`: findings are shown, remedies are tried from the same start, and the best one makes a new run."""

import json

import numpy as np
import polars as pl
import pytest

import gipi
from gipi.cli.main import main
from gipi.doctor import Finding, Remedy
from gipi.errors import UsageError
from gipi.verbs.remedies import fixed, try_remedies


def table(rows=300, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4))
    label = np.where(x[:, 0] * x[:, 1] + 0.3 * random.normal(size=rows) > 0, "up", "down")
    return pl.DataFrame({**{f"x{n}": x[:, n] for n in range(4)}, "label": label})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "moves.csv"
    table().write_csv(path)
    return path


@pytest.fixture(scope="module")
def run(file, tmp_path_factory):
    """A step size so large that nothing is learned."""
    place = tmp_path_factory.mktemp("runs") / "bad"
    options = {"system": "mlp", "lr": 3.0, "steps": 240, "schedule": "constant"}
    return gipi.fit(file, target="label", run=place, verdict=False, quiet=True, **options)


def with_remedies(run, *changes):
    """As if the doctor had found this and no more: what is tried is what is under test."""
    remedies = tuple(Remedy(f"remedy {n}", one) for n, one in enumerate(changes))
    finding = Finding("step-too-large", "problem", {"ratio": 3.0}, "The step size is too large.", remedies)
    found = gipi.Run(run.path, run.own)
    found.record["findings"] = [finding.json()]
    return found


def test_a_remedy_that_helps_is_known_from_one_that_does_not(run):
    trials = try_remedies(with_remedies(run, {"dropout": 0.1}, {"lr": 0.003}), steps=200)
    assert [dict(trial.changes) for trial in trials] == [{"lr": 0.003}, {"dropout": 0.1}]
    best, other = trials
    assert best.helps and best.metric == "accuracy"
    assert best.gain == pytest.approx(best.after - best.before)
    assert 0 < best.low < best.gain < best.high
    assert not other.helps


def test_the_same_trial_twice_gives_the_same(run):
    one, other = (try_remedies(with_remedies(run, {"lr": 0.01}), steps=60) for _ in range(2))
    assert one == other


def test_the_run_anew_with_the_best(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = with_remedies(run, {"lr": 0.003})
    anew = fixed(bad, try_remedies(bad, steps=100), quiet=True)
    assert anew.record["config"]["lr"] == 0.003
    assert anew.record["steps"] == 240
    assert anew.record["split"] == run.record["split"]
    assert float(anew.metrics["accuracy"]) > float(run.metrics["accuracy"])


def test_nothing_better_makes_no_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = with_remedies(run, {"time": "x0"}, {"bogus": 1})
    trials = try_remedies(bad)
    assert ["tested" in trial.reason or "no option" in trial.reason for trial in trials] == [True, True]
    assert fixed(bad, trials) is None
    assert not [*tmp_path.iterdir()]


def test_a_run_that_diverges_where_a_remedy_does_not(file, tmp_path):
    options = {"system": "mlp", "steps": 60, "verdict": False, "quiet": True}
    good = gipi.fit(file, target="label", run=tmp_path / "good", lr=0.003, **options)
    best, worse = try_remedies(with_remedies(good, {"lr": 1e30, "optimizer": "sgd"}, {"lr": 0.01}), steps=60)
    assert worse.after is None and not worse.helps and best.after is not None
    again = with_remedies(good, {"lr": 0.003})
    again.record["system_options"] = {**good.record["system_options"], "lr": 1e30, "optimizer": "sgd"}
    (trial,) = try_remedies(again, steps=60)
    assert trial.before is None and trial.after is not None and trial.helps


def test_tasks_without_rows_of_answers_take_three_seeds(tmp_path):
    random = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{n}": random.normal(size=80) for n in range(3)})
    path = tmp_path / "points.csv"
    frame.write_csv(path)
    made = gipi.fit(path, no_target=True, steps=30, run=tmp_path / "run", quiet=True, verdict=False)
    (trial,) = try_remedies(with_remedies(made, {"batch_size": 20}), steps=20)
    assert trial.low < trial.gain < trial.high


def test_what_was_in_memory_must_be_given_again(tmp_path):
    made = gipi.fit(table(), target="label", steps=20, run=tmp_path / "run", quiet=True, verdict=False)
    bad = with_remedies(made, {"lr": 0.01})
    with pytest.raises(UsageError, match="in memory"):
        try_remedies(bad)
    assert len(try_remedies(bad, data=table(), steps=20)) == 1


def test_the_line(run, capsys):
    assert main(["doctor", str(run.path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [finding["name"] for finding in said["findings"]] == [one.name for one in run.doctor()]
    assert main(["doctor", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert all(finding.cause in " ".join(out.split()) for finding in run.doctor())
    assert main(["doctor", str(run.path), "--steps", "5"]) == 2
    assert main(["doctor", str(run.path / "nowhere")]) in (1, 2)


def test_the_report_has_findings_and_their_pictures(run):
    from gipi.doctor import Plot
    from gipi.report.html import document
    from gipi.report.page import Page

    finding = Finding("overfitting", "note", {"best": 0.25}, "It <learns> by heart.", (Remedy("Try", {"lr": 0.1}),))
    plots = [
        Plot("A line", {"valid": [3, 2, 5]}, x=[1, 2, 3], limit=4.0),
        Plot("Bars", {"": [1, 2]}, labels=["a", "b"]),
    ]
    held = [Finding(**{**vars(finding), "plot": plot}).json() for plot in plots]
    page = document(Page(title="x", findings=json.loads(json.dumps(held))))
    assert "It &lt;learns&gt; by heart." in page and "--lr 0.1" in page and page.count("<svg") == 2


def test_a_column_that_is_left_out_is_left_out_of_the_trial(run):
    (trial,) = try_remedies(with_remedies(run, {"drop": ["x0", "x1", "x2"]}), steps=200)
    assert not trial.reason and trial.after < trial.before  # these told the answer
    assert trial.gain == pytest.approx(trial.after - trial.before)


def test_what_mends_a_leak_is_not_tried(run):
    """Without the leak the score is worse, and nearer to the truth."""
    found = with_remedies(run, {"drop": ["x0"]})
    found.record["findings"][0]["name"] = "target-leak"
    (trial,) = try_remedies(found, steps=20)
    assert "flatter" in trial.reason and trial.before is None
