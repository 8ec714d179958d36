"""Fill from a text to words that were left out, and from there to other tasks: what is learned, kept, given on."""

import numpy as np
import pytest

import gipi
from gipi.data.tokenizers import train
from gipi.errors import DataError, UsageError
from gipi.tasks.fill import cut_at_marks, metrics, sums_of
from gipi.tasks.fill_baselines import Pairs, fit_guessers

QUICK = {"quiet": True, "threads": 1, "doctor": False}
SMALL = {
    "system": "bert",
    "width": 64,
    "layers": 2,
    "heads": 4,
    "lr": 3e-3,
    "dropout": 0.0,
    "tokenizer": "words",
    "context": 10,
    "batch_size": 64,
}
SEATS = {"cat": "mat", "dog": "log", "fox": "box", "hen": "pen"}


def text(count: int, seed: int = 0) -> str:
    """Who sits where is decided by who it is, two words apart: pairs of neighbours do not say it."""
    draw = np.random.default_rng(seed)
    return "".join(f"{who} on {SEATS[who]} . " for who in draw.choice([*SEATS], count))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fill")
    (folder / "seats.txt").write_text(text(2000))
    return gipi.fit(str(folder / "seats.txt"), task="fill", steps=300, run=folder / "run", **SMALL, **QUICK)


def test_it_learns_what_pairs_of_words_do_not_say(run):
    valid = [record["valid"]["accuracy"] for record in run.history]
    assert valid[-1] > valid[0] + 0.2
    rows = {row.name: row for row in run.verdict.models}
    assert set(rows) == {"bert", "frequent_token", "both_sides"}
    assert rows["bert"].figure > rows["both_sides"].figure > rows["frequent_token"].figure
    assert run.verdict.winner == "bert" and run.metrics["accuracy"].low > 0.75
    assert run.metrics["perplexity"] == pytest.approx(np.exp(run.metrics["loss"]))
    assert "Words left out" in run.report.read_text()


def test_words_that_may_stand_there(run):
    (answer,) = run.predict("fox on [MASK] .")
    assert answer["text"] == "fox on box ." and answer["words"][0]["word"] == "box"
    sure = [one["probability"] for one in answer["words"]]
    assert sure == sorted(sure, reverse=True) and sure[0] > 0.5 and sum(sure) <= 1 + 1e-9
    (two,) = run.predict({"text": "[MASK] [MASK] pen ."})
    assert [words[0]["word"] for words in two["masks"]] == ["hen", "on"] and two["words"] == two["masks"][0]
    assert run.predict("hen on <mask> .")[0]["words"][0]["word"] == "pen"
    long = "cat on mat . " * 20 + "dog on [MASK] . " + "cat on mat . " * 20
    assert run.predict(long)[0]["words"][0]["word"] == "log"
    with pytest.raises(DataError, match=r"row 2: there is no \[MASK\]"):
        run.predict(["a [MASK]", "the fox sat"])


def test_kept_evaluated_and_the_same_again(run, tmp_path):
    kept = gipi.load(run.save(tmp_path / "kept.gipi"))
    asked = ["the [MASK] sat", "[MASK]", "\x07 [MASK] \u200b\0"]
    assert kept.predict(asked) == run.predict(asked)
    (tmp_path / "new.txt").write_text(text(200, 5))
    assert run.evaluate(str(tmp_path / "new.txt"))["accuracy"] > 0.75
    options = {"task": "fill", "steps": 6, "verdict": False, **SMALL, **QUICK}
    one, other = (gipi.fit(str(tmp_path / "new.txt"), run=tmp_path / name, **options) for name in ("a", "b"))
    assert one.metrics == other.metrics


def rows_of(count: int, seed: int) -> dict:
    """Whether each sits where it should."""
    draw = np.random.default_rng(seed)
    said, right = [], []
    for who in draw.choice([*SEATS], count):
        where = (
            SEATS[who] if draw.random() < 0.5 else draw.choice([seat for seat in SEATS.values() if seat != SEATS[who]])
        )
        said.append(f"{who} on {where} .")
        right.append("yes" if where == SEATS[who] else "no")
    return {"said": said, "right": right}


def test_its_trunk_is_what_other_tasks_begin_with(run, tmp_path):
    """The same tokens, the trunk loaded, and fewer labels needed than from scratch."""
    options = {"target": "right", "text": "said", "system": "bert", "steps": 25, "verdict": False, **QUICK}
    data = rows_of(160, 3)
    begun = gipi.fit(data, weights=str(run.path), lr=3e-3, batch_size=64, run=tmp_path / "begun", **options)
    plain = gipi.fit(data, run=tmp_path / "plain", **{**SMALL, **options})
    said = " ".join(begun.notes)
    assert "left at their beginning: bert.pooler.dense.weight" in said and "classifier.weight" in said
    assert begun.model.schema.inputs[0].tokenizer == run.model.schema.inputs[0].tokenizer
    assert begun.model.schema.inputs[0].shape == run.model.schema.inputs[0].shape
    assert begun.model.config["width"] == 64
    assert begun.metrics["accuracy"] > plain.metrics["accuracy"]
    frozen = gipi.fit(data, weights=str(run.path), freeze=True, run=tmp_path / "frozen", **{**options, "steps": 3})
    for name, tensor in run.model.members[0].bert.state_dict().items():
        kept = frozen.model.members[0].bert.state_dict()[name]
        assert bool((tensor == kept).all()), name
    sentences = [[(word, "B-WHO" if word in SEATS else "O") for word in one.split()] for one in data["said"]]
    tagged = gipi.fit(
        sentences, task="tag", weights=str(run.path), steps=40, run=tmp_path / "tag", verdict=False, **QUICK
    )
    assert tagged.metrics["f1"] > 0.9 and "weights of" in " ".join(tagged.notes)


# --- figures and simpler ways ------------------------------------------------------------------------------------


def test_sums_and_metrics_by_hand():
    import torch

    logs = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], [[0.2, 0.7, 0.1], [1.0, 1.0, 1.0]]]).log()
    sums = sums_of(logs, torch.tensor([[0, 1], [2, -1]]))
    assert sums[:, [0, 2]].tolist() == [[1, 2], [0, 1]]
    assert sums[:, 1].tolist() == pytest.approx([-np.log(0.5) - np.log(0.1), -np.log(0.1)])
    found = metrics(sums)
    assert float(found["accuracy"]) == pytest.approx(1 / 3)
    assert float(found["perplexity"]) == pytest.approx((0.5 * 0.1 * 0.1) ** (-1 / 3))
    assert not found["loss"].higher_is_better and found["accuracy"].higher_is_better


def test_counts_of_pairs_are_probabilities_and_say_what_pairs_say():
    import torch

    tokenizer = train(["a b c d"], "words", 300)
    a, b, c, d = (tokenizer.encode(word)[0] for word in "abcd")
    tokens = np.array(([a, b, c] * 50 + [a, d, a] * 2), np.uint16)
    counts = np.bincount(tokens, minlength=tokenizer.size) + 1e-12
    pairs = Pairs(tokens, tokenizer, counts / counts.sum())
    mask, begin, end = tokenizer.mask, tokenizer.begin, tokenizer.end
    x = torch.tensor([[begin, a, mask, c, end], [begin, mask, b, c, end], [begin, a, b, d, end]])
    said = pairs.logs(x, torch.tensor([[2], [1], [2]]))
    assert np.exp(said).sum(-1) == pytest.approx(np.ones((3, 1)))
    assert said.argmax(-1).ravel().tolist() == [b, a, b]
    half = 50 / 54  # c follows b always, and b follows a in 50 of 54
    assert np.exp(said[0, 0, b]) > half


def test_simpler_ways_see_what_the_network_sees():
    import torch

    from gipi.tasks.fill import held_out

    tokenizer = train([text(50)], "words", 400)
    tokens = np.array(tokenizer.encode(text(300)), np.uint16)
    held = held_out(tokens, tokenizer, 20, 0)
    ways = {way.name: way for way in fit_guessers(tokens, tokenizer, held)}
    asked = int((held[2] >= 0).sum())
    sums = {name: way.sums for name, way in ways.items() if way.sums is not None}
    assert set(sums) == {"frequent_token", "both_sides"}
    assert all(each[:, 2].sum() == asked for each in sums.values())
    often = np.bincount(tokens, minlength=tokenizer.size).argmax()
    assert sums["frequent_token"][:, 0].sum() == int((held[2] == torch.tensor(often)).sum())


# --- marks and odd texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "wordpiece", "unigram"])
def test_marks_become_masks_and_blanks_belong_to_words(kind):
    tokenizer = train([text(40)] * 2, kind, 700)
    ids = cut_at_marks("cat on [MASK] . fox on [MASK] .", tokenizer)
    assert ids.count(tokenizer.mask) == 2
    first, last = ids.index(tokenizer.mask), len(ids) - ids[::-1].index(tokenizer.mask) - 1
    whole = tokenizer.encode("cat on mat . fox on box .")
    wide = 3 if kind == "characters" else 1
    assert [*ids[:first], *ids[first + 1 : last], *ids[last + 1 :]] == [
        *whole[:first],
        *whole[first + wide : last + wide - 1],
        *whole[last + 2 * wide - 1 :],
    ]
    assert cut_at_marks("", tokenizer) == []
    assert cut_at_marks("[MASK]", tokenizer) == [tokenizer.mask]


def test_a_mark_inside_of_a_word():
    tokenizer = train([text(40)] * 2, "words", 700)
    assert cut_at_marks("cat[MASK]on", tokenizer).count(tokenizer.mask) == 1


def test_what_is_too_short_or_empty(tmp_path):
    options = {"task": "fill", "steps": 2, **SMALL, **QUICK}
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "one.txt").write_text("a")
    (tmp_path / "few.txt").write_text("the cat sat on the mat . " * 4)
    with pytest.raises(DataError, match="empty"):
        gipi.fit(str(tmp_path / "empty.txt"), **options)
    with pytest.raises(DataError, match="two words at least"):
        gipi.fit(str(tmp_path / "one.txt"), **options)
    few = gipi.fit(str(tmp_path / "few.txt"), run=tmp_path / "few", **options)
    assert few.verdict is None and any("too few" in note for note in few.notes)
    with pytest.raises(UsageError, match="--context"):
        gipi.fit(str(tmp_path / "few.txt"), **{**options, "context": 3})
