"""Word vectors from a text to answers: what is learned, kept, said, refused and written."""

import json

import numpy as np
import pytest
import torch

import gipi
from gipi.cli.main import main
from gipi.errors import DataError, UsageError

QUICK = {"system": "word2vec", "quiet": True, "threads": 1, "doctor": False, "min_count": 1}
CIRCLES = (("ant", "bee", "fly", "moth", "wasp"), ("ship", "boat", "sail", "mast", "deck"))


def lines(count: int = 900, seed: int = 0) -> list[str]:
    """Lines about insects and lines about ships, and a word that is in all."""
    random = np.random.default_rng(seed)
    chosen = [CIRCLES[n] for n in random.integers(0, 2, count)]
    return ["The " + " ".join(random.choice(circle, 8)) for circle in chosen]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    path = folder / "circles.txt"
    path.write_text("\n".join(lines()), encoding="utf-8")
    return gipi.fit(str(path), dimension=12, epochs=12, sample=0.01, run=str(folder / "run"), **QUICK)


def circle(word: str) -> tuple[str, ...]:
    return next(one for one in CIRCLES if word in one)


def test_words_of_one_circle_are_near(run):
    assert run.metrics["nearer"].low > 0.6  # some words from elsewhere are of the same circle
    for word in (*CIRCLES[0], *CIRCLES[1]):
        (answer,) = run.predict(word)
        assert answer["near"][0]["word"] in circle(word), answer
    assert run.status == "done" and run.report.exists()
    assert "Nearest words" in run.report.read_text(encoding="utf-8")
    assert {row.name for row in run.verdict.models} == {"word2vec", "ppmi_svd"}


def test_kept_as_one_file_it_answers_alike(run, tmp_path):
    path = run.save(tmp_path / "words.gipi")
    kept = gipi.load(path)
    assert kept.predict(["the", "ant + sail"]) == run.predict(["the", "ant + sail"])
    assert kept.predict({"word": "the", "vector": True}) == run.predict({"word": "the", "vector": True})


def test_command_line(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = str(run.path)
    assert main(["predict", name, "ant", "ship - sail + bee"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("ant  ") and said[1].startswith("ship - sail + bee  ")
    assert main(["predict", name, "antt"]) != 0
    assert "Did you mean 'ant'" in capsys.readouterr().err
    (tmp_path / "pairs.tsv").write_text("ant\tbee\t9\nant\tship\t1\nsail\tmast\t8\nwasp\tdeck\t2\n")
    assert main(["evaluate", name, "pairs.tsv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    assert found["wordsim"]["value"] > 0.5 and found["wordsim_known"]["value"] == 1
    for to, file in (("word2vec-text", "v.txt"), ("word2vec-binary", "v.bin")):
        assert main(["export", name, file, "--to", to]) == 0
        assert (tmp_path / file).read_bytes().startswith(b"11 12\nthe ")


def test_the_same_seed_gives_the_same_words(tmp_path):
    options = {**QUICK, "dimension": 6, "epochs": 2, "batch_size": 300, "verdict": False}
    one, same, other = (
        gipi.fit(lines(80), task="relate", seed=seed, run=str(tmp_path / name), **options)
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    weights = [run.model.members[0].words for run in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_documents_of_a_table_and_korean(tmp_path):
    path = tmp_path / "reviews.tsv"
    random = np.random.default_rng(0)
    rows = [" ".join(random.choice(["영화가", "정말", "좋았다", "배우", "연기", "최고"], 9)) for _row in range(120)]
    path.write_text("review\tlabel\n" + "\n".join(f"{row}\t1" for row in rows), encoding="utf-8")
    run = gipi.fit(str(path), text="review", task="embed", epochs=3, dimension=4, run=str(tmp_path / "r"), **QUICK)
    assert {near["word"] for near in run.predict("영화가")[0]["near"]} == {"정말", "좋았다", "배우", "연기", "최고"}


def test_words_that_are_known_are_chosen(tmp_path):
    texts = ["Rare The the THE cat cat"] * 6 + ["seldom"]
    options = {**QUICK, "verdict": False, "epochs": 1, "dimension": 3, "test_share": 0.0}
    run = gipi.fit(texts, task="relate", **{**options, "min_count": 6}, run=str(tmp_path / "a"))
    assert run.model.schema.inputs[0].values == ("the", "cat", "rare")
    run = gipi.fit(texts, task="relate", vocabulary=2, lower=False, run=str(tmp_path / "b"), **options)
    assert run.model.schema.inputs[0].values == ("cat", "Rare")
    with pytest.raises(DataError, match="too few to learn from"):
        gipi.fit(["a single line"] * 3, task="relate", **{**options, "min_count": 5}, run=str(tmp_path / "c"))
    with pytest.raises(DataError, match="too few to learn from"):
        gipi.fit(["word word word"] * 9, task="relate", **options, run=str(tmp_path / "d"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window": 0}, "window"),
        ({"sample": -1.0}, "sample"),
        ({"architecture": "glove"}, "architecture"),
        ({"tokenizer": "bpe"}, "tokenizer"),
        ({"folds": 3}, "folds"),
    ],
)
def test_options_that_make_no_sense(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        gipi.fit(lines(20), task="relate", run=str(tmp_path / "r"), **{**QUICK, **options})


def test_what_diverges_goes_back_and_on_with_smaller_steps(tmp_path):
    """A step size far too large: it is said, and what comes out is finite."""
    options = {**QUICK, "lr": 60.0, "dimension": 8, "epochs": 6, "batch_size": 900, "verdict": False}
    try:
        run = gipi.fit(lines(200), task="relate", run=str(tmp_path / "r"), **options)
    except gipi.errors.TrainingError as error:
        assert "step" in str(error)
    else:
        assert np.isfinite(float(run.metrics["loss"]))
