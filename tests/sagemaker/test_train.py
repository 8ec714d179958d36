"""SageMaker's contract for training: the folders it gives, what it finds afterwards, signals and exit codes."""

import re
import signal
import time

import pytest
from job import QUICK, job, started

import gipi
from gipi.errors import UsageError
from gipi.sagemaker.channels import parts_of
from gipi.sagemaker.hyperparameters import OF_SAGEMAKER, options_from
from gipi.sagemaker.line import main
from gipi.sagemaker.places import Places

REGEX = r"gipi {name}=(.*?);"  # of the documentation, for MetricDefinitions


def failed(root, capsys, code):
    """Why a job failed: what stands in its failure file, which its log says too."""
    assert main(["train", "--root", str(root)]) == code
    text = (root / "output" / "failure").read_text(encoding="utf-8")
    assert text.rstrip() in capsys.readouterr().err
    assert not (root / "model" / "model.gipi").exists()
    return text


# --- the real process ------------------------------------------------------------------------------------------------


def test_a_job_that_is_stopped_goes_on_in_another_container_to_the_same_bits(tmp_path):
    """As on a spot machine: SIGTERM, the checkpoint folder travels, a new container finds it and finishes."""
    long = QUICK | {"epochs": "400", "patience": "0", "sagemaker_region": "here"}
    root = job(tmp_path / "ml", long, ("train", "validation"))
    first = started("train", "--root", str(root))
    log = root / "checkpoints" / "run" / "metrics.jsonl"
    while first.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.02)
    asked = time.monotonic()
    first.send_signal(signal.SIGTERM)
    said, _nothing = first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGTERM, said
    assert time.monotonic() - asked < 60, "SIGKILL comes after 120 seconds"
    assert "saved" in (root / "output" / "failure").read_text(encoding="utf-8")
    assert not (root / "model" / "model.gipi").exists()

    last = started("train", "--root", str(root))
    said, _nothing = last.communicate(timeout=120)
    assert last.returncode == 0, said
    assert "going on with the run" in said
    kept = root / "model" / "model.gipi"
    one = {"hours": 7, "school": "north"}
    served = gipi.load(kept, runtime="onnx").predict(one)[0]["value"]
    assert {path.name for path in (root / "output" / "data").iterdir()} == {"report.html", "run.json", "metrics.jsonl"}

    table, other = (root / "input" / "data" / name / "grades.csv" for name in ("train", "validation"))
    options = {"target": "grade", "system": "mlp", "hidden": (8,), "threads": 1, "epochs": 400, "patience": 0}
    uncut = gipi.fit(table, valid=other, run=tmp_path / "uncut", quiet=True, verdict=False, **options)
    assert gipi.load(kept).predict(one) == uncut.predict(one)
    assert served == pytest.approx(uncut.predict(one)[0]["value"], rel=1e-5), "its program is in it"
    assert float(re.search(REGEX.format(name="rmse"), said)[1]) == pytest.approx(uncut.metrics["rmse"], rel=1e-5)
    best = min(epoch["valid"]["rmse"] for epoch in uncut.history)
    assert float(re.search(REGEX.format(name="valid_rmse"), said)[1]) == pytest.approx(best, rel=0.1)


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_misspelt_hyperparameter_names_the_nearest(tmp_path, capsys):
    root = job(tmp_path, QUICK | {"epoch": "5"})
    assert failed(root, capsys, 2) == "there is no hyperparameter epoch. Did you mean 'epochs'?"


def test_a_value_of_another_kind_is_refused(tmp_path, capsys):
    root = job(tmp_path, QUICK | {"epochs": "five"})
    assert failed(root, capsys, 2) == "the hyperparameter epochs must be a whole number; 'five' came"


def test_an_option_of_another_system_is_refused(tmp_path, capsys):
    root = job(tmp_path, {"target": "grade", "system": "linear", "hidden": "[8]"})
    assert "does not apply to linear" in failed(root, capsys, 2)


def test_several_hosts_are_refused(tmp_path, capsys):
    root = job(tmp_path, QUICK, hosts={"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    assert "the job has 2 hosts" in failed(root, capsys, 2)


def test_the_failure_is_as_long_as_what_is_shown(tmp_path, capsys):
    root = job(tmp_path, QUICK | {"x" * 3000: "5"})
    assert main(["train", "--root", str(root)]) == 2
    assert len((root / "output" / "failure").read_text(encoding="utf-8")) == 1024


def test_what_nobody_foresaw_is_said_too(tmp_path, capsys, monkeypatch):
    def broken(*_given, **_more):
        raise ZeroDivisionError("what nobody foresaw")

    monkeypatch.setattr("gipi.verbs.fit.fit", broken)
    assert "ZeroDivisionError: what nobody foresaw" in failed(job(tmp_path, QUICK), capsys, 1)


def test_other_hyperparameters_do_not_go_on_with_a_run_without_a_word(tmp_path, capsys):
    root = job(tmp_path, QUICK)
    assert main(["train", "--root", str(root)]) == 0
    (root / "model" / "model.gipi").unlink()
    config = root / "input" / "config" / "hyperparameters.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"epochs": "5"', '"epochs": "6"'), encoding="utf-8")
    assert "(epochs: 5 -> 6)" in failed(root, capsys, 1)


def test_a_finished_run_is_kept_again_and_not_trained_again(tmp_path, capsys):
    root = job(tmp_path, QUICK)
    assert main(["train", "--root", str(root)]) == 0
    kept = root / "model" / "model.gipi"
    before = kept.read_bytes()
    kept.unlink()
    capsys.readouterr()
    assert main(["train", "--root", str(root)]) == 0
    assert "epoch 1 " not in capsys.readouterr().out
    assert kept.read_bytes() == before


# --- hyperparameters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"epochs": "5"}, {"epochs": 5}),
        ({"epochs": "null"}, {"epochs": None}),
        ({"test-share": "0.25"}, {"test_share": 0.25}),
        ({"verdict": "false", "doctor": "True"}, {"verdict": False, "doctor": True}),
        ({"system": '"mlp"'}, {"system": "mlp"}),
        ({"target": "house price"}, {"target": ("house price",)}),
        ({"target": '["a, b", "c"]'}, {"target": ("a, b", "c")}),
        ({"target": "a, b"}, {"target": ("a", "b")}),
        ({"target": "5"}, {"target": ("5",)}),
        ({"hidden": "[64, 32]"}, {"hidden": (64, 32)}),
        ({"hidden": "(64, 32)"}, {"hidden": (64, 32)}),
        ({"hidden": "64 32"}, {"hidden": (64, 32)}),
        ({"hidden": "64"}, {"hidden": (64,)}),
        ({"lr": "auto"}, {"lr": "auto"}),
        ({"lr": "0.01"}, {"lr": 0.01}),
        ({"class_weight": "balanced"}, {"class_weight": "balanced"}),
        ({"seed": 3}, {"seed": 3}),
        ({f"{OF_SAGEMAKER[0]}program": "train.py", "_tuning_objective_metric": "x"}, {}),
    ],
)
def test_strings_become_what_the_option_is(said, read):
    assert options_from(said) == read


@pytest.mark.parametrize(
    "said",
    [
        {"epochs": "5.5"},
        {"verdict": "perhaps"},
        {"class_weight": "heavy"},
        {"hidden": "[64,"},
        {"hidden": "__import__('os')"},
        {"run": "elsewhere"},
        {"valid": "/etc/passwd"},
    ],
)
def test_what_cannot_be_read_is_refused(said):
    with pytest.raises(UsageError, match="hyperparameter"):
        options_from(said)


# --- channels --------------------------------------------------------------------------------------------------------


def test_channels_become_parts(tmp_path):
    root = job(tmp_path, {}, ("training", "validation", "test"))
    data = root / "input" / "data"
    assert parts_of(Places(root), {}) == {
        "train": str(data / "training" / "grades.csv"),
        "valid": str(data / "validation" / "grades.csv"),
        "test": str(data / "test" / "grades.csv"),
    }


def test_a_channel_of_several_files_is_its_folder(tmp_path):
    root = job(tmp_path, {})
    for name in ("cats", "dogs"):
        (root / "input" / "data" / "train" / name).mkdir()
    assert parts_of(Places(root), {})["train"] == str(root / "input" / "data" / "train")


def test_a_channel_may_bring_the_weights(tmp_path):
    root = job(tmp_path, {}, ("train", "pretrained"))
    with pytest.raises(UsageError, match="nothing reads the channel pretrained"):
        parts_of(Places(root), {})
    weights = str(root / "input" / "data" / "pretrained" / "model.gipi")
    assert [*parts_of(Places(root), {"weights": weights})] == ["train"]


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (("validation",), "there is no channel train"),
        (("train", "training"), "the channels train, training are for one part"),
        (("train", "vaild"), "Did you mean 'valid'"),
    ],
)
def test_channels_that_make_no_sense_are_refused(tmp_path, channels, message):
    with pytest.raises(ValueError, match=message):
        parts_of(Places(job(tmp_path, {}, channels)), {})


def test_pipes_are_refused(tmp_path):
    root = job(tmp_path, {})
    config = root / "input" / "config" / "inputdataconfig.json"
    config.write_text('{"train": {"TrainingInputMode": "Pipe"}}', encoding="utf-8")
    with pytest.raises(UsageError, match="Pipe"):
        parts_of(Places(root), {})


def test_an_empty_channel_is_said(tmp_path):
    root = job(tmp_path, {})
    (root / "input" / "data" / "train" / "grades.csv").unlink()
    with pytest.raises(ValueError, match="the channel train is empty"):
        parts_of(Places(root), {})
