"""Tag from a file to spans: what is learned, kept, resumed, refused."""

import json

import numpy as np
import pytest

import gipi
from gipi.cli.main import main
from gipi.data.tags import open_tagged
from gipi.errors import DataError, UsageError

QUICK = {"quiet": True, "threads": 1, "doctor": False}
SMALL = {"system": "bert", "width": 32, "layers": 1, "heads": 2, "lr": 5e-3}
NAMES = ["Kim", "Lee", "Park", "Ko"]
PLACES = ["Seoul", "Busan", "Jeju"]


def sentences(count: int, seed: int = 0) -> list[list[tuple[str, str]]]:
    """Somebody, of one or two names, who is somewhere: which is which is said by the words before."""
    draw = np.random.default_rng(seed)
    rows = []
    for _number in range(count):
        one, other, place = draw.choice(NAMES), draw.choice(NAMES), draw.choice(PLACES)
        who = [(one, "B-PS"), (other, "I-PS")] if draw.random() < 0.5 else [(one, "B-PS")]
        rows.append([*who, ("went", "O"), ("to", "O"), (place, "B-LC"), (".", "O")])
    return rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tag")
    lines = ["\n".join(f"{word}\t{tag}" for word, tag in rows) for rows in sentences(120)]
    (folder / "names.tsv").write_text("\n\n".join(lines) + "\n")
    options = {"task": "tag", "tokenizer": "words", "steps": 150, "verdict_seconds": 2.0, **SMALL, **QUICK}
    return gipi.fit(str(folder / "names.tsv"), run=folder / "run", **options)


def test_it_learns_and_says_spans(run):
    assert run.metrics["f1"] > 0.95 and set(run.metrics) == {"f1", "precision", "recall", "token_accuracy"}
    (answer,) = run.predict("Park Ko went to Busan .")
    assert answer["text"] == "Park Ko went to Busan ."
    assert [(one["start"], one["stop"], one["text"], one["label"]) for one in answer["spans"]] == [
        (0, 7, "Park Ko", "PS"),
        (16, 21, "Busan", "LC"),
    ]
    assert all(0.5 < one["probability"] <= 1 for one in answer["spans"])
    many = run.predict(["Lee went to Jeju .", {"text": ""}, {"text": "Kim"}])
    assert [len(one["spans"]) for one in many][:2] == [2, 0] and many[1]["text"] == ""


def test_verdict_and_report(run):
    rows = {row.name: row for row in run.verdict.models}
    assert set(rows) == {"bert", "frequent_tag", "window"} and rows["window"].figure > 0.9
    page = run.report.read_text()
    assert "Label by label" in page and "logistic regression on a window" in page
    assert all("f1" in record["valid"] for record in run.history)


def test_neighbours_and_length_change_nothing(run):
    texts = ["Park Ko went to Busan .", "Kim", "Lee went to Jeju . " * 5, ""]
    together = run.predict(texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = run.predict(text)
        assert [one["text"] for one in alone["spans"]] == [one["text"] for one in answer["spans"]]
        sure = [[one["probability"] for one in said["spans"]] for said in (alone, answer)]
        assert sure[0] == pytest.approx(sure[1], abs=1e-6)


def test_a_text_longer_than_the_context(run, tmp_path):
    options = {"task": "tag", "tokenizer": "words", "context": 12, "steps": 160, "verdict": False, **SMALL, **QUICK}
    long = [[pair for rows in sentences(5, seed) for pair in rows] for seed in range(60)]
    short = gipi.fit(long, run=tmp_path / "run", **options)
    text = " ".join(word for word, _tag in long[0])
    answer = short.predict(text)[0]
    assert answer["text"] == text and answer["spans"][-1]["start"] > 80
    assert short.metrics["f1"] > 0.8


def test_evaluate_save_and_load(run, tmp_path):
    path = tmp_path / "new.tsv"
    path.write_text("\n\n".join("\n".join(f"{w}\t{t}" for w, t in rows) for rows in sentences(40, 7)))
    figures = run.evaluate(str(path))
    assert figures["f1"] > 0.9
    unknown = tmp_path / "unknown.tsv"
    unknown.write_text(path.read_text().replace("-LC", "-XX"))
    assert figures["recall"] > run.evaluate(str(unknown))["recall"] > 0.4
    again = gipi.load(run.save(tmp_path / "kept.gipi"))
    assert again.predict("Kim went to Seoul .") == run.predict("Kim went to Seoul .")


def test_same_seed_same_figures_and_going_on(tmp_path):
    options = {"task": "tag", "tokenizer": "words", "verdict": False, **SMALL, **QUICK}
    one, other = (gipi.fit(sentences(60), run=tmp_path / name, steps=12, **options) for name in ("one", "other"))
    assert one.metrics == other.metrics
    assert [record["train"] for record in one.history] == [record["train"] for record in other.history]


def test_characters_by_default_where_the_file_has_characters(tmp_path):
    rows = [
        [(letter, "B-X" if letter == "김" else "O") for letter in f"{word} 김씨"] for word in ("가", "나", "다라") * 20
    ]
    run = gipi.fit(rows, task="tag", steps=40, run=tmp_path / "run", verdict=False, **SMALL, **QUICK)
    assert any("characters" in fact for fact in run.notes)
    assert [one["text"] for one in run.predict("나 김씨")[0]["spans"]] == ["김"]


def test_command_line(run, capsys, monkeypatch):
    monkeypatch.chdir(run.path.parent)
    assert main(["predict", "run", "Lee went to Jeju .", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    answer = said[0] if isinstance(said, list) else said["predictions"][0]
    assert [one["label"] for one in answer["spans"]] == ["PS", "LC"]


def test_few_sentences_are_all_learned_from(tmp_path):
    run = gipi.fit(sentences(6), task="tag", tokenizer="words", steps=3, run=tmp_path / "run", **SMALL, **QUICK)
    assert run.verdict is None and any("too few" in note for note in run.notes)


def test_files_of_parts(tmp_path):
    for part, count in (("train", 40), ("test", 12)):
        lines = ["\n".join(f"{w}\t{t}" for w, t in rows) for rows in sentences(count, count)]
        (tmp_path / f"{part}.tsv").write_text("\n\n".join(lines))
    options = {"task": "tag", "tokenizer": "words", "steps": 3, "verdict": False, **SMALL, **QUICK}
    folder = gipi.fit(str(tmp_path), run=tmp_path / "a", **options)
    assert folder.record["rows"] == {"train": 32, "valid": 8, "test": 12}
    alone = gipi.fit(str(tmp_path / "train.tsv"), test=str(tmp_path / "test.tsv"), run=tmp_path / "b", **options)
    assert alone.record["rows"] == folder.record["rows"] and len(open_tagged(tmp_path / "test.tsv")) == 12


def test_what_is_refused(tmp_path):
    options = {"task": "tag", "steps": 1, **SMALL, **QUICK}
    with pytest.raises(UsageError, match="--context"):
        gipi.fit(sentences(40), context=4, **options)
    with pytest.raises(UsageError, match="--folds has no use"):
        gipi.fit(sentences(40), folds=3, **options)
    with pytest.raises(DataError, match="nothing to learn"):
        gipi.fit([[("a", "O")]], **options)
