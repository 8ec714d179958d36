"""Rows whose texts are learned from: which columns those are, what is said of them, and answers that stay the same."""

import numpy as np
import polars as pl
import pytest

import gipi
from gipi.data.schema import Field, Schema
from gipi.errors import DataError, UsageError

QUICK = {"system": "bow", "steps": 60, "verdict": False, "doctor": False, "quiet": True, "threads": 1}
RANDOM = np.random.default_rng(0)
FILLERS = ["the", "film", "was", "a", "story", "of", "its", "own", "and", "nobody", "in", "it", "said", "much"]


def reviews(count: int = 120, **more) -> dict:
    """Reviews of very different lengths; one word of each says what is thought of the film."""
    texts, answers = [], []
    for number in range(count):
        words = RANDOM.choice(FILLERS, RANDOM.integers(2, 40)).tolist()
        good = number % 2 == 0
        words.insert(int(RANDOM.integers(len(words))), "superb" if good else "dreadful")
        texts.append(" ".join(words))
        answers.append("good" if good else "bad")
    return {"number": [f"r{n}x" for n in range(count)], "review": texts, "sentiment": answers, **more}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = reviews()
    return gipi.fit(data, target="sentiment", run=str(tmp_path_factory.mktemp("texts") / "run"), **QUICK), data


def test_the_column_of_texts_is_found_and_said(run):
    found, _data = run
    (field,) = found.model.schema.inputs
    assert (field.name, field.kind) == ("review", "text")
    assert any("texts: review" in note and "number" in note for note in found.notes)
    assert any("tokens: characters" in note for note in found.notes)


def test_what_is_said_of_many_is_said_of_each(run):
    """Answers come back in the order of the rows, whatever their lengths; neighbours change nothing."""
    found, data = run
    texts = data["review"] * 30  # more than go through at once
    together = found.predict(texts)
    alone = [found.predict(text)[0] for text in texts[:12]]
    assert [one["label"] for one in together[:12]] == [one["label"] for one in alone]
    gaps = [abs(a["probability"] - b["probability"]) for a, b in zip(together, alone, strict=False)]
    assert max(gaps) < 1e-6
    assert [one["label"] for one in together] == [one["label"] for one in together[:120]] * 30
    assert np.mean([one["label"] for one in together[:120]] == np.array(data["sentiment"])) > 0.9


def test_texts_come_in_any_shape(run, tmp_path):
    found, data = run
    text = data["review"][0]
    expected = found.predict([text])
    for rows in (
        text,
        (text,),
        {"review": text},
        [{"review": text}],
        pl.DataFrame({"review": [text]}),
        np.array([text]),
    ):
        assert found.predict(rows) == expected
    pl.DataFrame({"review": [text]}).write_csv(tmp_path / "one.csv")
    assert found.predict(str(tmp_path / "one.csv")) == expected
    assert len(found.predict(["", "\0 \ud800", "e\u0301"])) == 3
    with pytest.raises(DataError, match="review"):
        found.predict([{"text": "which column?"}])
    with pytest.raises(DataError, match="texts were expected: review"):
        found.predict([3.5])


def test_the_run_keeps_the_tokenizer_once(run):
    """In the bundle; the record of the run names it by its hash."""
    found, _data = run
    held = found.record["schema"]["inputs"][0]["tokenizer"]
    assert len(held) == 64 and held != found.model.schema.inputs[0].tokenizer


def test_a_schema_of_texts_is_json_both_ways():
    schema = Schema((Field("a", "text", (9,), tokenizer="{}"), Field("b", "text", (9,))))
    assert Schema.from_json(schema.to_json()) == schema and schema.is_text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text": "reviews"}, "there is no column 'reviews'.*review"),
        ({"text": "sentiment"}, "is the target"),
        ({"text": ("review", "number", "other")}, "one column, or two"),
        ({"text": "review", "tokenizer": "caracters"}, "no tokenizer 'caracters'.*characters"),
        ({"text": "review", "vocabulary": 1}, "--vocabulary must be"),
        ({"text": "review", "mixup": 0.2}, "--mixup is not for texts"),
        ({"text": "review", "system": "mlp"}, "mlp does not take a text"),
    ],
)
def test_what_cannot_be_is_said(tmp_path, options, words):
    data = reviews(60, other=["x"] * 60)
    with pytest.raises((UsageError, DataError), match=words):
        gipi.fit(data, target="sentiment", run=str(tmp_path / "run"), **{**QUICK, **options})
    assert not (tmp_path / "run").exists()


def test_options_of_texts_are_refused_for_tables(tmp_path):
    with pytest.raises(UsageError, match="--tokenizer is for texts"):
        gipi.fit("iris", tokenizer="words", run=str(tmp_path / "run"), verdict=False, quiet=True)


def test_pairs_are_read_together(tmp_path):
    """Whether two texts are the same cannot be said by either alone."""
    words = ["red", "green", "blue", "black"]
    one, other = RANDOM.choice(words, 200), RANDOM.choice(words, 200)
    data = {"one": [f"it is {w}" for w in one], "other": [f"it is {w}" for w in other], "same": (one == other).tolist()}
    own = {**QUICK, "system": "textcnn", "tokenizer": "words", "vocabulary": 400}
    run = gipi.fit(data, text=("one", "other"), target="same", run=str(tmp_path / "run"), **own)
    assert [field.name for field in run.model.schema.inputs] == ["one", "other"]
    rows = [("it is red", "it is blue"), ("it is red", "it is red")]
    assert run.predict(rows) == run.predict([{"one": a, "other": b} for a, b in rows])
    assert len(run.predict(("it is red", "it is blue"))) == 1


def test_weights_bring_their_tokenizer(run, tmp_path):
    found, data = run
    more = gipi.fit(data, target="sentiment", weights=found, run=str(tmp_path / "run"), **{**QUICK, "steps": 2})
    assert more.model.schema.inputs[0].tokenizer == found.model.schema.inputs[0].tokenizer
    assert any("weights of" in note for note in more.notes)


def test_same_seed_same_model(tmp_path):
    data = pl.DataFrame(reviews())
    data.write_csv(tmp_path / "reviews.csv")
    own = {**QUICK, "steps": 30, "ensemble": 2}
    whole = gipi.fit(tmp_path / "reviews.csv", target="sentiment", run=str(tmp_path / "whole"), **own)
    again = gipi.fit(tmp_path / "reviews.csv", target="sentiment", run=str(tmp_path / "again"), **own)
    assert whole.metrics == again.metrics and whole.model.checksum() == again.model.checksum()


def test_an_empty_column_is_said(tmp_path):
    data = {"review": [" "] * 40, "sentiment": ["a", "b"] * 20}
    with pytest.raises(DataError, match="empty"):
        gipi.fit(data, text="review", target="sentiment", run=str(tmp_path / "run"), **QUICK)
