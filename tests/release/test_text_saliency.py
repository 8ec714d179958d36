"""The words that decided: they add up to the change of the answer, whatever the network; each has its letters."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import gipi
from gipi import systems
from gipi.cli.main import main
from gipi.data.dataset import Dataset
from gipi.data.schema import Field, Schema, sizes
from gipi.data.tokenizers import train
from gipi.errors import UsageError
from gipi.release.explain import explanations
from gipi.release.model import Model
from gipi.release.text_saliency import joined, token_values
from gipi.report.words import print_words, shortened, words_html
from gipi.systems import bow, textcnn

TEXTS = ["a fine film", "a dull film", "not fine at all, dull", "정말 좋은 영화", "x"]
QUICK = {"quiet": True, "doctor": False, "threads": 1}


class Recurrent(nn.Module):
    """A network whose embedding is not called pieces, with packed rows."""

    def __init__(self, sizes, config):
        super().__init__()
        self.embed = nn.Embedding(sizes.vocabulary, 5)
        self.recurrent = nn.GRU(5, 6, batch_first=True)
        self.head = nn.Linear(6, sizes.output)

    def forward(self, x):
        lengths = (x >= 0).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(x.clamp(min=0)), lengths, True, enforce_sorted=False)
        return self.head(self.recurrent(packed)[1][-1])


def model_of(net, target="class", members=1, kind="bpe", columns=("text",), context=40):
    """A model with drawn weights for TEXTS."""
    tokenizer = train(TEXTS * 3, kind, 300).to_json()
    fields = tuple(Field(name, "text", (context,), tokenizer=tokenizer * (n == 0)) for n, name in enumerate(columns))
    values = ("bad", "good", "odd") if target == "class" else ()
    field = Field("y", target, values=values, center=4.0, scale=2.0)
    schema = Schema(fields, (field,))
    outputs = {"class": 3, "number": 1, "normal": 2}[target]
    made = []
    for member in range(members):
        torch.manual_seed(member)
        made.append(net(sizes(schema, outputs)))
        with torch.no_grad():
            for weight in made[-1].parameters():
                weight.normal_(0, 0.3)
    task = "classify" if target == "class" else "regress"
    return Model(task, "own", schema, sizes(schema, outputs), {}, made)


NETS = {
    "bow": lambda s: bow.Net(s, bow.Config(width=4, grams=3, buckets=128)),
    "textcnn": lambda s: textcnn.Net(s, textcnn.Config(width=6, channels=5)),
    "recurrent": lambda s: Recurrent(s, None),
}


def rows(*texts, columns=("text",)):
    return Dataset("texts", pl.DataFrame(dict(zip(columns, texts, strict=True))), text=columns)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("target", ["class", "number", "normal"])
def test_words_add_up_to_the_change(name, target):
    model = model_of(NETS[name], target)
    for one in explanations(model, rows(TEXTS)):
        total = sum(word.adds for word in one.words) + one.rest
        assert total == pytest.approx(one.change + one.gap, abs=1e-5)
        assert abs(one.gap) <= 0.03 * max(abs(one.change), 0.02)
        # the end of the path is what `predict` says
        said = one.said["probability"] if target == "class" else one.said["value"]
        blank = token_blank(model, one)
        assert one.change == pytest.approx(said - blank, abs=1e-4)


def token_blank(model, one):
    """The answer where every token is zeros: weights of the embedding at 0."""
    kept = {key: value.clone() for key, value in model.members[0].state_dict().items()}
    with torch.no_grad():
        for part in model.members[0].modules():
            if isinstance(part, nn.Embedding):
                part.weight.zero_()
    fresh = dataclasses.replace(model)
    (x,) = fresh.encode(rows([" ".join(one.texts.values())]))
    answers = fresh.answers(x)[0]
    model.members[0].load_state_dict(kept)
    if model.task == "classify":
        return float(answers[0, ["bad", "good", "odd"].index(one.of)])
    return float(answers[0, 0, 0])


TINY = {"lstm": {"width": 6}, "transformer": {"size": "mini"}, "bert": {"layers": 1, "width": 8, "heads": 2}}


@pytest.mark.parametrize("name", TINY)
def test_other_systems_for_texts_are_explained_too(name):
    system = systems.load(name)
    model = model_of(lambda s: system.Net(s, system.Config(**TINY[name])))
    (one,) = explanations(model, rows(["a fine film"]))
    assert sum(word.adds for word in one.words) + one.rest == pytest.approx(one.change + one.gap, abs=1e-5)
    assert abs(one.gap) <= 0.05 * max(abs(one.change), 0.05)
    assert all(word.adds != 0 for word in one.words)


def test_bag_without_layers_is_exact():
    """A linear score in a number: what a word adds is its own weight, divided by the root of the count."""
    model = model_of(lambda s: bow.Net(s, bow.Config(width=4, grams=1)), "number", kind="characters")
    net = model.members[0]
    (one,) = explanations(model, rows(["ab c"]))
    tokenizer = train(TEXTS * 3, "characters", 300)
    own = net.pieces.tokens.weight @ net.head[0].weight[0, :4] * 2.0 / np.sqrt(6)  # four characters, beginning and end
    ids = tokenizer.encode("ab c")
    assert [word.text for word in one.words] == ["ab", "c"]
    assert one.words[0].adds == pytest.approx(float((own[ids[0]] + own[ids[1]]).detach()), abs=1e-5)
    assert one.words[1].adds == pytest.approx(float(own[ids[3]].detach()), abs=1e-5)
    assert one.rest == pytest.approx(float((own[ids[2]] + own[0] + own[1]).detach()), abs=1e-5)


def test_members_are_explained_together():
    model = model_of(NETS["textcnn"], members=3)
    (one,) = explanations(model, rows(TEXTS[:1]), "odd")
    assert one.of == "odd"
    assert sum(word.adds for word in one.words) + one.rest == pytest.approx(one.change + one.gap, abs=1e-5)


def test_pairs_keep_their_columns_apart():
    model = model_of(NETS["bow"], columns=("one", "other"))
    (found,) = explanations(model, rows(["a fine film"], ["dull 영화"], columns=("one", "other")))
    assert [(word.column, word.text) for word in found.words] == [
        ("one", "a"),
        ("one", "fine"),
        ("one", "film"),
        ("other", "dull"),
        ("other", "영화"),
    ]
    assert "".join(text for text, _adds in found.marked()) == "a fine film\ndull 영화"
    assert {word["column"] for word in found.json()["words"]} == {"one", "other"}
    assert all(word.adds != 0 for word in found.words)


def test_words_behind_the_context_add_nothing():
    model = model_of(NETS["textcnn"], kind="characters", context=8)
    (found,) = explanations(model, rows(["fine dull film"]))
    assert [word.adds != 0 for word in found.words] == [True, True, False]


def test_networks_are_left_as_they_were():
    model = model_of(NETS["recurrent"])
    before = {name: value.clone() for name, value in model.members[0].state_dict().items()}
    [*explanations(model, rows(TEXTS[:2]))]
    assert all(torch.equal(value, before[name]) for name, value in model.members[0].state_dict().items())
    assert all(one.requires_grad for one in model.members[0].parameters())
    assert not any(part._forward_hooks for part in model.members[0].modules())


@pytest.mark.parametrize("text", ["", " ", "\x00\n", "한" * 100])
def test_odd_texts(text):
    model = model_of(NETS["bow"])
    (one,) = explanations(model, rows([text]))
    assert "".join(part for part, _adds in one.marked()) == one.texts["text"]
    assert np.isfinite(one.change)
    json.dumps(one.json())


def test_what_has_no_embedding_is_refused():
    class Counts(nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.head = nn.Linear(1, sizes.output)

        def forward(self, x):
            return self.head((x >= 0).sum(1, keepdim=True).to(self.head.weight.dtype))

    model = model_of(Counts)
    with pytest.raises(UsageError, match="no embedding"):
        token_values(model, torch.tensor([0, 5, 1]), 0)
    with pytest.raises(UsageError, match="is for pictures; this model takes a text"):
        [*explanations(model, rows(TEXTS[:1]), layer="head")]


# --- from tokens to words


def test_tokens_of_a_word_are_added_up():
    spans = [(0, 1), (1, 3), (3, 4), (4, 8)]
    found = joined("abc defg", spans, [1.0, 2.0, 4.0, 8.0])
    assert [(one.text, one.start, one.adds) for one in found] == [("abc", 0, 3.0), ("defg", 4, 8.0)]


def test_a_token_on_two_words_is_shared_by_its_letters():
    found = joined("ab c", [(0, 4)], [3.0])
    assert [one.adds for one in found] == pytest.approx([2.0, 1.0])


def test_bytes_of_one_letter_are_added_up():
    assert [one.adds for one in joined("é!", [(0, 1), (0, 1), (1, 2)], [1.0, 2.0, 5.0])] == [8.0]
    assert joined("", [], []) == [] and joined("a", [(0, 0)], [2.0])[0].adds == 2.0


# --- how it is shown


def test_colours_say_sign_and_strength():
    said = words_html([("<good>", 0.2), (" ", 0.0), ("bad", -0.4), ("faint", 0.001)])
    assert "&lt;good&gt;" in said and "rgba(178,24,43,0.30)" in said and "rgba(33,102,172,0.60)" in said
    assert said.count("<mark") == 2 and "faint</span>" in said


def test_long_texts_show_what_is_around_the_strongest():
    parts = [(f"w{n} ", 0.0) for n in range(400)]
    parts[200] = ("here", 1.0)
    kept = shortened(parts)
    assert kept[0] == ("...", 0.0) == kept[-1] and ("here", 1.0) in kept
    assert sum(len(text) for text, _adds in kept) <= 606
    assert shortened([("a" * 900, 1.0)]) == [("a" * 600, 1.0)]


def test_a_terminal_gets_colours_and_a_pipe_nothing(capsys):
    import io

    class Tty(io.StringIO):
        def isatty(self):
            return True

    out = Tty()
    print_words([("good\x1b[2J", 0.5), (" ", 0.0), ("bad", -0.2)], out)
    assert "\x1b[1;31mgood" in out.getvalue() and "\x1b[2J" not in out.getvalue()
    print_words([("good", 0.5)])
    assert capsys.readouterr().out == ""


# --- the whole way


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    random = np.random.default_rng(0)
    plain, kinds = ["film", "story", "a", "the", "was"], {"good": ["lovely", "superb"], "bad": ["awful", "dull"]}
    frame = {"review": [], "kind": []}
    for number in range(200):
        kind = ("good", "bad")[number % 2]
        said = kind if number % 20 else ("bad", "good")[number % 2]  # some are told wrongly: mistakes to be shown
        frame["review"].append(" ".join([*random.choice(plain, 4), *random.choice(kinds[kind], 2)]))
        frame["kind"].append(said)
    folder = tmp_path_factory.mktemp("words")
    return gipi.fit(
        frame, target="kind", text="review", system="bow", run=str(folder / "run"), epochs=12, lr=0.05, **QUICK
    )


def test_run_explains_its_texts(run):
    (found,) = run.explain("the film was superb")
    assert found.said["label"] == found.of == "good"
    strongest = max(found.words, key=lambda one: one.adds)
    assert strongest.text == "superb"
    assert "superb</mark>" in run.explain("the film was superb")._repr_html_()
    with pytest.raises(UsageError, match="nothing to draw"):
        run.explain("a film").save("nowhere")


def test_report_marks_the_words_of_mistakes(run):
    page = run.report.read_text(encoding="utf-8")
    assert "integrated gradients" in page and '<span class="words">' in page and "</mark>" in page


def test_verdict_is_against_tf_idf(run):
    names = [row.name for row in run.verdict.models]
    assert names == ["bow", "majority", "tfidf_words", "tfidf_characters"]
    assert run.verdict.rival in names[2:]


def test_predict_explain_on_the_command_line(run, capsys):
    assert main(["predict", str(run.path), "the film was awful", "--explain"]) in (0, None)
    out = capsys.readouterr().out
    assert "what each word adds to bad" in out and "awful" in out
    assert main(["predict", str(run.path), "the film was awful", "--explain", "--json"]) in (0, None)
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"][0]
    assert {word["word"] for word in answer["explanation"]["words"]} == {"the", "film", "was", "awful"}
